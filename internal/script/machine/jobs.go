package machine

import (
	"context"
	"errors"
	"sync/atomic"
	"time"

	lua "github.com/Shopify/go-lua"

	"kresd/internal/limits"
	"kresd/internal/wording"
)

// Do runs fn on the owner goroutine and returns its error. Lua errors and
// panics inside fn become errors too. When ctx ends before fn started, fn
// never runs; when it ends later, Lua code that fn runs is interrupted. There
// is no limit of time. Never call it on the owner goroutine.
func (m *Machine) Do(ctx context.Context, fn func(l *lua.State) error) error {
	return m.Submit(ctx, Internal, func() error {
		return m.Enter(Evaluation{Context: ctx, Kind: Internal}, fn)
	})
}

// Hook is Do for what a request waits for: it comes before other jobs, and is
// served while code waits (Wait), which may be for that very request. It waits for the
// machine for limits.LuaHookWait. From when it begins it may run for limits.LuaHookRun, which
// is what others wait for, and may take limits.LuaHookTime with what it waits for itself.
func (m *Machine) Hook(ctx context.Context, fn func(l *lua.State) error) error {
	patience := m.takeTimer(limits.LuaHookWait)
	defer m.giveTimer(patience)
	return m.submit(ctx, patience.C, Hooked, func() error {
		during := &hookTime{Context: ctx, end: time.Now().Add(limits.LuaHookTime)}
		defer during.over()
		return m.Enter(Evaluation{Context: during, Kind: Hooked, Budget: limits.LuaHookRun}, fn)
	})
}

// Post queues fn for the owner goroutine and returns at once; it may be called
// on the owner goroutine. Lua code that fn runs is interrupted after
// Options.EventTime, or nobody else would get a turn for good. An error is
// told to Options.Warn as "error: …", with the traceback if it has one.
func (m *Machine) Post(fn func(l *lua.State) error) {
	m.events.put(m.jobs, func() {
		if m.exiting {
			return
		}
		err := m.Enter(Evaluation{Kind: Event, Budget: m.opts.EventTime}, fn)
		if err == nil || errors.Is(err, ErrClosed) || errors.Is(err, ErrExit) {
			return
		}
		m.opts.Warn("error: " + Report(err))
		if m.opts.Fatal != nil {
			m.opts.Fatal()
		}
	})
}

// Submit queues work, in which Enter runs what is evaluated, and waits for it. Its kind
// says where: what requests wait for and mapped expressions overtake the others. To
// commands and mapped expressions the code of events gives way (giveway.go).
func (m *Machine) Submit(ctx context.Context, kind Kind, work func() error) error {
	return m.submit(ctx, nil, kind, work)
}

// submit is Submit for work that is given up if it has not begun when patience ends.
func (m *Machine) submit(ctx context.Context, patience <-chan time.Time, kind Kind, work func() error) error {
	q := m.jobs
	switch kind {
	case Hooked:
		q = m.hooks
	case Mapped:
		q = m.mapped
	}
	const (
		waiting = iota
		started
		givenUp
	)
	var state atomic.Int32
	result := make(chan error, 1)
	q.add(job{command: kind == Console, run: func() {
		if state.CompareAndSwap(waiting, started) {
			result <- work()
		}
	}})
	select {
	case err := <-result:
		return err
	case <-ctx.Done():
		if state.CompareAndSwap(waiting, givenUp) {
			return endOf(ctx)
		}
	case <-patience:
		if state.CompareAndSwap(waiting, givenUp) {
			return wording.Reason(context.DeadlineExceeded)
		}
	case <-m.ended:
		if state.CompareAndSwap(waiting, givenUp) {
			return ErrClosed
		}
	}
	return <-result
}

// HoldEvents keeps what is posted from now on until ReleaseEvents: while a configuration
// loads and what it configures starts, no event runs.
func (m *Machine) HoldEvents() { m.events.hold() }

// ReleaseEvents lets what was posted run, in its order.
func (m *Machine) ReleaseEvents() { m.events.release(m.jobs) }
