package attack

import (
	"strconv"
	"strings"
	"testing"
	"time"

	"kresd/internal/proctest"
)

// busyScript switches between coroutines a hundred thousand times and lets ten thousand
// timers come, within two seconds where the machine is quick enough.
const busyScript = `switches, fired, resumed = 0, 0, 0
for i = 1, 10000 do event.after(i % 2000, function() fired = fired + 1 end) end
for i = 1, 100 do worker.coroutine(function() for j = 1, 500 do worker.sleep(0.002) switches = switches + 1 end end) end
for i = 1, 50 do worker.coroutine(function()
	local co = coroutine.wrap(function() while true do coroutine.yield() end end)
	for j = 1, 1000 do co() switches = switches + 1 if j % 50 == 0 then worker.sleep(0.1) end end
end) end`

// A worker whose scripts are busy answers from its cache about as fast as one whose
// scripts rest, measured one after the other on the same machine; and when the scripts
// are done, nothing is left of them.
func TestBusyScriptsAreNotInTheWayOfAnswers(t *testing.T) {
	const (
		rate = 20_000 // queries a second
		name = "www.example.com."
		room = 25 * time.Millisecond // for what other programs do to this one meanwhile
	)
	l := newLab(t, honest(), 1)
	socket := l.g.Workers()[0].Socket
	l.g.Ask(t, "udp", name, 1, 1232)
	before := number(t, socket, "worker.stats().rss")

	idle := proctest.Load(t, l.g.Addr, rate, name)
	time.Sleep(3 * time.Second)
	rest := idle.Stop()

	proctest.Eval(t, socket, strings.ReplaceAll(busyScript, "\n", " "))
	load := proctest.Load(t, l.g.Addr, rate, name)
	time.Sleep(3 * time.Second)
	busy := load.Stop()
	done := func() bool {
		return number(t, socket, "switches") == 100_000 && number(t, socket, "fired") == 10_000
	}
	proctest.Eventually(t, time.Minute, "all switches and timers", done)

	t.Logf("p99 of answers: %v with scripts that rest, %v with busy ones (p50 %v, %v); %d and %d answered of %d and %d",
		rest.Wait(0.99), busy.Wait(0.99), rest.Wait(0.5), busy.Wait(0.5), rest.Answered, busy.Answered, rest.Sent, busy.Sent)
	if most := 2*rest.Wait(0.99) + room; busy.Wait(0.99) > most {
		t.Errorf("p99 is %v while scripts are busy, %v while they rest", busy.Wait(0.99), rest.Wait(0.99))
	}
	if busy.Answered*100 < busy.Sent*95 && rest.Answered*100 >= rest.Sent*95 {
		t.Errorf("%d of %d are answered while scripts are busy, %d of %d while they rest", busy.Answered, busy.Sent, rest.Answered, rest.Sent)
	}
	proctest.Eventually(t, time.Minute, "no coroutine is left", func() bool { return number(t, socket, "worker.bg_worker.cq:count()") == 0 })
	if after := number(t, socket, "worker.stats().rss"); after > before+(96<<20) {
		t.Errorf("the worker has %d MiB, %d before", after>>20, before>>20)
	}
}

// number is what an expression is on a console.
func number(t *testing.T, socket, expression string) int {
	t.Helper()
	text := proctest.Eval(t, socket, expression)
	n, err := strconv.ParseFloat(strings.TrimSpace(text), 64)
	if err != nil {
		t.Fatalf("%s shows %q", expression, text)
	}
	return int(n)
}

// Scripts that loop, hoard or fail in timers and coroutines end nothing: the worker
// answers, and says what was wrong.
func TestScriptsThatFailOverAndOverEndNothing(t *testing.T) {
	l := newLab(t, honest(), 1)
	socket := l.g.Workers()[0].Socket
	proctest.Eval(t, socket, "n = 0 event.recurrent(1, function() n = n + 1 error('every time') end)")
	proctest.Eval(t, socket, "for i = 1, 100 do worker.coroutine(function() worker.sleep(0) error({}) end) end")
	proctest.Eval(t, socket, "worker.coroutine(function() while true do worker.sleep(0) end end)")
	proctest.Eventually(t, time.Minute, "the event goes on", func() bool { return number(t, socket, "n") > 20 })
	if m := l.g.Ask(t, "udp", "www.example.com.", 1, 1232); len(m.Answer) != 1 {
		t.Errorf("the answer is %v", m)
	}
	if n := strings.Count(l.g.Log(), ": every time\nstack traceback:"); n != 1 {
		t.Errorf("the log has the error of the event %d times", n)
	}
	if t.Failed() {
		t.Logf("the log:\n%s", l.g.Log())
	}
}
