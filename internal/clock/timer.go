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
	due := c.Now().Add(d)
	var look func()
	look = func() {
		if wait := due.Sub(c.Now()); wait > 0 && !t.stopped.Load() {
			t.real.Reset(min(wait, followStep))
			return
		}
		t.fire(fn)
	}
	ready := make(chan struct{})
	t.real = time.AfterFunc(min(max(d, 0), followStep), func() { <-ready; look() })
	close(ready)
	return t
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
