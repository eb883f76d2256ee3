package listen

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"kresd/internal/limits"
)

// While clients by UDP ask much, handshakes have their share of the time, however many wait,
// and all of it otherwise.
func TestHandshakesHaveAShareOfTheTime(t *testing.T) {
	for _, busy := range []bool{true, false} {
		now := time.Hour
		r := ration{percent: limits.TLSPercent, now: func() time.Duration { return now }, busy: func() bool { return busy }}
		begun, spent := now, time.Duration(0)
		for range 1000 {
			now += r.pause()
			const took = 300 * time.Microsecond
			now += took
			spent += took
			r.spent(took)
		}
		share, want := 100*spent/(now-begun), time.Duration(100)
		if busy {
			want = limits.TLSPercent
		}
		if share < want-1 || share > want+1 {
			t.Errorf("busy %v: handshakes take %d %% of the time, want %d", busy, share, want)
		}
	}
}

// A handshake that seems to have taken long, for somebody else had the processor, makes the
// next wait a few milliseconds.
func TestAHandshakeThatWasHeldUpIsNoLongOne(t *testing.T) {
	now := time.Hour
	turns := newTurns(func() time.Duration { return now }, func() bool { return true })
	a := turn{turns: turns}
	if err := a.take(t.Context(), nil); err != nil {
		t.Fatal(err)
	}
	now += time.Second
	a.give()
	if wait := turns.ration.pause(); wait <= 0 || wait > limits.RationPause {
		t.Errorf("the next handshake waits for %v", wait)
	}
	// Who gives up meanwhile leaves the place to others.
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := a.take(ctx, nil); !errors.Is(err, context.Canceled) {
		t.Errorf("a turn without a client: %v", err)
	}
	now += time.Second
	if err := a.take(t.Context(), nil); err != nil {
		t.Error(err)
	}
}

func TestClientsByUDPAreBusyFromARateOn(t *testing.T) {
	var l udpLoad
	asked, known := uint64(0), true
	count := func() (uint64, bool) { return asked, known }
	now := time.Hour
	l.look(now, count)
	step := func(more uint64, after time.Duration) bool {
		now, asked = now+after, asked+more
		return l.look(now, count)
	}
	const look = limits.UDPBusyLook
	enough := uint64(limits.UDPBusy * look / time.Second)
	if step(enough-1, look) {
		t.Error("too few are many")
	}
	if !step(enough, look) {
		t.Error("enough are not many")
	}
	if !step(0, look/2) {
		t.Error("what was just found out is forgotten")
	}
	known = false
	if !step(0, 10*look) {
		t.Error("what cannot be found out now is forgotten")
	}
	if known = true; step(0, look) {
		t.Error("none are many")
	}
}

// The questions of sockets that are closed are not lost to the count, nor counted twice.
func TestQuestionsByUDPAreCounted(t *testing.T) {
	s := serve(t, newEcho(), "127.0.0.1:0")
	at := s.Endpoints()[0].Addr
	c := udpClient(t, at)
	for i := range 5 {
		exchange(t, c, ask(uint16(i), 'f'))
	}
	want := func() bool { n, ok := s.udpAsked(); return ok && n == 5 }
	eventually(t, "all are counted", want)
	s.Close(at)
	eventually(t, "the socket is closed", func() bool { s.mu.Lock(); defer s.mu.Unlock(); return len(s.leaving) == 0 })
	if !want() {
		t.Error("the questions of a closed socket are lost")
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, ok := s.udpAsked(); ok {
		t.Error("it waited for whoever opens sockets")
	}
}

// A handshake that waits for a place, and then because of the ration, counts as one that
// waited; so it does if it waits several times.
func TestAHandshakeThatWaitsCountsOnce(t *testing.T) {
	var now atomic.Int64
	now.Store(int64(time.Hour))
	turns := newTurns(func() time.Duration { return time.Duration(now.Load()) }, func() bool { return true })
	n := &limits.Counters{}
	first, second := turn{turns: turns}, turn{turns: turns}
	if err := first.take(t.Context(), n); err != nil {
		t.Fatal(err)
	}
	taken := make(chan error)
	go func() { taken <- second.take(t.Context(), n) }()
	eventually(t, "the second one queues", func() bool { return turns.waiting.Load() == 1 })
	now.Add(int64(limits.TLSTurnMost))
	first.give()
	if err := <-taken; err != nil {
		t.Fatal(err)
	}
	now.Add(int64(limits.TLSTurnMost))
	second.give()
	if err := second.take(t.Context(), n); err != nil {
		t.Fatal(err)
	}
	if got := n.Get(limits.TLSTurns); got != 1 {
		t.Errorf("it counts %d times, want once", got)
	}
	second.give()
	second.give()
	if len(turns.places) != 0 {
		t.Error("a turn is held that nobody has")
	}
}

// A handshake whose client goes while it waits for a place counts as one that waited.
func TestAHandshakeThatGivesUpInTheQueueIsCounted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		begun, hits := time.Now(), &limits.Counters{}
		turns := newTurns(func() time.Duration { return time.Since(begun) }, func() bool { return false })
		first, second := turn{turns: turns}, turn{turns: turns}
		if err := first.take(t.Context(), hits); err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		err := second.take(ctx, hits)
		if !errors.Is(err, context.DeadlineExceeded) || second.held || hits.Get(limits.TLSTurns) != 1 || turns.waiting.Load() != 0 {
			t.Errorf("%v; held %v, counted %d times, %d wait", err, second.held, hits.Get(limits.TLSTurns), turns.waiting.Load())
		}
	})
}

// A handshake waits for its ration while clients by UDP ask much, which is counted once for
// its client, and gives its place up when its client has gone meanwhile.
func TestAHandshakeThatWaitsForItsRationIsCounted(t *testing.T) {
	for _, gone := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			begun, hits := time.Now(), &limits.Counters{}
			turns := newTurns(func() time.Duration { return time.Since(begun) }, func() bool { return true })
			turns.ration.due = limits.RationPause
			a := turn{turns: turns}
			ctx, cancel := context.WithCancelCause(t.Context())
			defer cancel(nil)
			why := errors.New("the client has gone")
			if gone {
				time.AfterFunc(limits.RationPause/2, func() { cancel(why) })
			}
			err := a.take(ctx, hits)
			if hits.Get(limits.TLSTurns) != 1 || !a.queued || a.held == gone || len(turns.places) != map[bool]int{false: 1, true: 0}[gone] {
				t.Errorf("gone %v: counted %d times, held %v, %d places taken", gone, hits.Get(limits.TLSTurns), a.held, len(turns.places))
			}
			if want := map[bool]time.Duration{false: limits.RationPause, true: limits.RationPause / 2}[gone]; a.waited != want || gone != errors.Is(err, why) {
				t.Errorf("gone %v: it waited for %v, want %v; %v", gone, a.waited, want, err)
			}
			if gone {
				return
			}
			a.give()
			turns.ration.due = time.Since(begun) + 1
			if err := a.take(ctx, hits); err != nil || hits.Get(limits.TLSTurns) != 1 {
				t.Errorf("the second part of it: %v, counted %d times", err, hits.Get(limits.TLSTurns))
			}
			a.give()
			a.give() // which has been given
		})
	}
}
