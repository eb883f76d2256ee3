package machine

import (
	"context"
	"fmt"
	"sync"
	"time"

	"kresd/internal/limits"
)

// A hookTime is the context of what a request waits for: its parent, and an end. Nearly all
// such code asks it for nothing but whether it has ended, and much of it runs; so it makes a
// timer only for those who wait by it.
type hookTime struct {
	context.Context
	end time.Time

	mu    sync.Mutex
	timed context.Context // nil: nobody has waited by it
	stop  context.CancelFunc
	gone  bool // the code has ended
}

// errHookTime ends what a request has waited for too long.
var errHookTime = fmt.Errorf("ended: it took longer than %v", limits.LuaHookTime)

// wait is the context with a timer.
func (t *hookTime) wait() context.Context {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.timed == nil {
		t.timed, t.stop = context.WithDeadlineCause(t.Context, t.end, errHookTime)
		if t.gone {
			t.stop()
		}
	}
	return t.timed
}

// over is called when the code has ended.
func (t *hookTime) over() {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.gone = true; t.stop != nil {
		t.stop()
	}
}

func (t *hookTime) Deadline() (time.Time, bool) {
	if end, ok := t.Context.Deadline(); ok && end.Before(t.end) {
		return end, true
	}
	return t.end, true
}

func (t *hookTime) Done() <-chan struct{} { return t.wait().Done() }

func (t *hookTime) Err() error {
	t.mu.Lock()
	asks := t.timed != nil || t.gone
	t.mu.Unlock()
	if asks || !time.Now().Before(t.end) {
		return t.wait().Err()
	}
	return t.Context.Err()
}

// Value has the cause of the end, too, which package context keeps among the values.
func (t *hookTime) Value(key any) any { return t.wait().Value(key) }

// takeTimer is a timer for a hook that waits for the machine, which most do for a moment.
func (m *Machine) takeTimer(d time.Duration) *time.Timer {
	t, ok := m.timers.Get().(*time.Timer)
	if !ok {
		return time.NewTimer(d)
	}
	t.Reset(d)
	return t
}

func (m *Machine) giveTimer(t *time.Timer) {
	t.Stop()
	m.timers.Put(t)
}
