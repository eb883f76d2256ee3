package clock

import (
	"sync/atomic"
	"time"
)

// followStep is how often a timer that follows the shifted clock looks at it.
const followStep = 10 * time.Millisecond

// A Timer is a call that is still to come. A nil *Timer has come already.
type Timer struct {
	stopped atomic.Bool
	real    *time.Timer
}

// AfterFunc calls fn on a goroutine of its own after d. It counts monotonic
// time, or the shifted wall time where TimersFollow says so; then a jump fires
// what is due. fn must not panic.
func (c *Clock) AfterFunc(d time.Duration, fn func()) *Timer {
	t := &Timer{}
	if !c.timers {
		t.real = time.AfterFunc(d, func() { t.fire(fn) })
		return t
	}
	t.follow(c, c.Now().Add(d), fn)
	return t
}

// follow looks at the shifted clock again and again until it is due.
func (t *Timer) follow(c *Clock, due time.Time, fn func()) {
	ready := make(chan struct{})
	wait := min(max(due.Sub(c.Now()), 0), followStep)
	t.real = time.AfterFunc(wait, func() {
		<-ready // t.real is set
		if left := due.Sub(c.Now()); left > 0 && !t.stopped.Load() {
			t.real.Reset(min(left, followStep))
			return
		}
		t.fire(fn)
	})
	close(ready)
}

func (t *Timer) fire(fn func()) {
	if t.stopped.CompareAndSwap(false, true) {
		fn()
	}
}

// Stop keeps a call from coming and tells whether it still would have. A call
// that has begun goes on.
func (t *Timer) Stop() bool {
	if t == nil {
		return false
	}
	pending := t.stopped.CompareAndSwap(false, true)
	t.real.Stop()
	return pending
}
