package worker

import (
	"strings"
	"sync"
	"testing"
	"time"

	"kresd/internal/ipc"
	"kresd/internal/limits"
	"kresd/internal/logging"
	"kresd/internal/resolve"
)

var _ watcher = (*ipc.Link)(nil)

// A watched is what a worker says of its health.
type watched struct {
	alive chan struct{}
	hangs chan string
}

func (h watched) Alive() {
	select {
	case h.alive <- struct{}{}:
	default:
	}
}

func (h watched) Hangs(why string) {
	select {
	case h.hangs <- why:
	default:
	}
}

// beginsWith has a worker do something where each request begins.
func beginsWith(w *Worker, do func()) {
	config := w.driverConfig(false)
	layers := config.Layers
	config.Layers = func() []*resolve.Layer {
		return append([]*resolve.Layer{{Name: "test", Begin: func(*resolve.Request) resolve.State {
			do()
			return 0
		}}}, layers()...)
	}
	w.driver = resolve.NewDriver(config)
}

// A lock of the driver's that nobody gives back is noticed within two seconds.
func TestALockThatHangsIsNoticedInTime(t *testing.T) {
	w := laboratory(t)
	h := watched{make(chan struct{}, 1), make(chan string, 1)}
	var lock sync.Mutex
	beginsWith(w, func() {
		lock.Lock()
		defer lock.Unlock()
	})
	w.superviseItself(limits.AliveEvery, h)
	<-h.alive
	lock.Lock()
	begun := time.Now()
	select {
	case why := <-h.hangs:
		t.Logf("after %v: %s", time.Since(begun), why)
		if took := time.Since(begun); took > 2*time.Second || !strings.Contains(why, "has not been answered for") {
			t.Errorf("noticed after %v: %s", took, why)
		}
	case <-time.After(10 * time.Second):
		t.Error("it is not noticed")
	}
	lock.Unlock()
}

func TestWhatLooksAtAWorkerTell(t *testing.T) {
	const every = limits.AliveEvery
	type at struct {
		since    time.Duration
		receives bool
		silence  time.Duration
		waits    bool
		alive    bool
		hangs    bool
	}
	for what, looks := range map[string][]at{
		"it answers":                    {{every, true, 0, false, true, false}, {every, true, every, false, true, false}},
		"a lock hangs":                  {{every, true, every, false, true, false}, {every, true, 2 * every, false, false, true}},
		"a script takes its time":       {{every, true, every, true, true, false}, {every, true, limits.AliveAnswer - 1, true, true, false}, {every, true, limits.AliveAnswer, true, false, false}},
		"the machine was busy":          {{every, true, every, false, true, false}, {4 * every, true, 5 * every, false, false, false}, {every, true, 6 * every, false, false, false}},
		"the machine was, and it hangs": {{4 * every, true, 5 * every, false, false, false}, {every, true, 6 * every, false, false, false}},
		"a thread does not receive":     {{every, false, 0, false, false, false}, {every, false, 0, false, false, true}},
		"a thread was late":             {{every, false, 0, false, false, false}, {every, true, 0, false, true, false}, {every, false, 0, false, false, false}},
	} {
		var d diagnosis
		d.inTime = time.Hour
		for i, l := range looks {
			alive, hangs := d.look(every, l.since, l.receives, l.silence, l.waits)
			if alive != l.alive || (hangs != "") != l.hangs {
				t.Errorf("%s, look %d: alive %t, hangs %q", what, i, alive, hangs)
			}
		}
	}
}

// A script that takes longer than the question to which it belongs has is slow, and the
// next question, which has not come to it yet, does not make it a lock that hangs.
func TestASlowScriptIsNoLockThatHangs(t *testing.T) {
	const every = limits.AliveEvery
	p, d := &pulse{}, diagnosis{inTime: time.Hour}
	look := func(at time.Duration) (alive bool, hangs string) {
		silence, waits := p.now(at)
		return d.look(every, every, true, silence, waits)
	}
	p.ask(every)
	p.Pass()
	late := every + limits.AliveAnswer
	if alive, hangs := look(late - 1); !alive || hangs != "" {
		t.Errorf("before its time is over: alive %t, hangs %q", alive, hangs)
	}
	p.ask(late)
	if alive, hangs := look(late); alive || hangs != "" {
		t.Errorf("when the next question is asked: alive %t, hangs %q", alive, hangs)
	}
	p.answered()
	p.ask(late + every)
	if alive, hangs := look(late + every + limits.AliveSure); alive || hangs == "" {
		t.Errorf("a lock hangs after it: alive %t, hangs %q", alive, hangs)
	}
}

// What is not mended is told once in a while, not at each look.
func TestTheWatchdogSaysItOnce(t *testing.T) {
	out, to := newOutput(t)
	w := laboratory(t)
	w.log = logging.New(logging.Options{Out: to})
	const line = "the watchdog's question was not answered"
	beginsWith(w, func() { // until it is late
		for end := time.Now().Add(20 * time.Second); !strings.Contains(out.String(), line) && time.Now().Before(end); {
			time.Sleep(time.Millisecond)
		}
	})
	for range 20 {
		w.answersItself(time.Microsecond, nil)
	}
	time.Sleep(100 * time.Millisecond)
	if n := strings.Count(out.String(), line); n != 1 {
		t.Errorf("it is told %d times", n)
	}
}
