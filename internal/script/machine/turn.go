package machine

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"kresd/internal/limits"
)

// Who has the machine, when its code waits for something outside
//
// A thread serves jobs (serve). When the code of a job waits, the thread keeps its
// goroutine and its stack with all that was computed so far, and a fresh thread
// serves instead: everything, or only what is urgent, as the waiting code allows.
// When what was waited for is there, the thread queues for its return; the one that
// serves ends between two jobs and hands it the machine.

// Wait waits until done is closed or receives. Meanwhile this worker serves
// expressions mapped from others and what requests wait for (Machine.Hook), and
// nothing else: no timer, no command (StepAside lets them). The time does not
// count as running time.
// It fails when the evaluation is given up; pass that error on.
//
// A task waits for itself only: it is parked, and everything is served.
func (m *Machine) Wait(done <-chan struct{}) error {
	if k := m.currentTask(); k != nil {
		k.pauseUntil(done)
		return nil
	}
	if m.depth() >= maxNesting {
		return m.placed(m.countingNoTime(func() error { return m.await(m.Context(), done) }))
	}
	return m.placed(m.leave(m.Context(), done, true))
}

// placed is the end of a wait, with the place that waited where it was interrupted.
func (m *Machine) placed(err error) error {
	if i := new(Interrupt); errors.As(err, &i) {
		l := m.now.l
		i.Where, i.traceback = FilePosition(l), Traceback(l, 0)
	}
	return err
}

// StepAside is Wait for a command that may take long: while it waits, the machine
// serves everything, further commands, timers and callbacks included, so what the
// command saw before may have changed. What people typed or mapped steps aside, what one
// request waits for, and the callback of an event, for which others need not wait; a
// configuration file, which nothing may overtake, waits.
func (m *Machine) StepAside(done <-chan struct{}) error {
	switch {
	case m.InTask():
		return m.Wait(done)
	case m.hookedOnly() && m.hooksAway >= limits.LuaHooksAside:
		return fmt.Errorf("%d functions that requests wait for wait themselves already", limits.LuaHooksAside)
	case !m.mayStepAside():
		return m.Wait(done)
	}
	return m.placed(m.leave(m.Context(), done, false))
}

// Pause waits until wake is called, which any goroutine may do, also before arrange
// returns, and more than once. A task is parked; other code steps aside. What arrange
// returns, if anything, is called when the wait is over for whatever reason. Pass the
// error on: the evaluation was given up.
func (m *Machine) Pause(arrange func(wake func()) (release func())) error {
	if k := m.currentTask(); k != nil {
		k.pause(arrange)
		return nil
	}
	return waitFor(arrange, m.StepAside)
}

// waitFor arranges to be woken and waits for that.
func waitFor(arrange func(wake func()) func(), wait func(<-chan struct{}) error) error {
	done, once := make(chan struct{}), sync.Once{}
	if release := arrange(func() { once.Do(func() { close(done) }) }); release != nil {
		defer release()
	}
	return wait(done)
}

// hookedOnly tells whether all that waits for the running code is requests.
func (m *Machine) hookedOnly() bool { return m.only(Hooked) }

// only tells whether all that waits for the running code is of these kinds.
func (m *Machine) only(kinds ...Kind) bool {
	for r := m.now.run; r != nil; r = r.outer {
		if !slices.Contains(kinds, r.Kind) {
			return false
		}
	}
	return m.now.run != nil
}

// mayStepAside tells whether all that waits for the running code is requests, or an event
// and few events have stepped aside, or commands and requests and few commands have.
func (m *Machine) mayStepAside() bool {
	switch {
	case m.hookedOnly():
		return true
	case m.only(Event):
		return m.eventsAway < limits.LuaEventsAside
	}
	for r := m.now.run; r != nil; r = r.outer {
		if r.Kind != Console && r.Kind != Mapped && r.Kind != Hooked {
			return false
		}
	}
	return m.now.run != nil && m.away-m.held-m.hooksAway-m.eventsAway < limits.ConsoleClients
}

// maxNesting bounds the evaluations that wait for each other.
const maxNesting = 16

func (m *Machine) depth() (n int) {
	for r := m.now.run; r != nil; r = r.outer {
		n++
	}
	return n
}

// leave leaves the machine to others until done. If the thread holds the machine, only
// urgent work is served meanwhile.
func (m *Machine) leave(ctx context.Context, done <-chan struct{}, holds bool) error {
	me, returns, held := m.now, m.aside, 0
	other := m.newThread()
	if holds {
		returns, held = m.waited, 1
		other.run, other.outside = me.run, me.run
	}
	hooks, events := 0, 0
	switch {
	case holds:
	case m.hookedOnly():
		hooks, returns = 1, m.hooksBack
	case m.only(Event):
		events = 1
	}
	m.away, m.held, m.hooksAway, m.eventsAway = m.away+1, m.held+held, m.hooksAway+hooks, m.eventsAway+events
	err := m.countingNoTime(func() error {
		m.serveOn(other)
		err := m.await(ctx, done)
		returns.put(func() { m.now = me; me.turn <- struct{}{} })
		<-me.turn
		return err
	})
	m.away, m.held, m.hooksAway, m.eventsAway = m.away-1, m.held-held, m.hooksAway-hooks, m.eventsAway-events
	return err
}

// countingNoTime calls fn, whose time is no running time of anybody's on this
// thread.
func (m *Machine) countingNoTime(fn func() error) error {
	me, start := m.now, time.Now()
	err := fn()
	for r, waited := me.run, time.Since(start); r != me.outside; r = r.outer {
		r.since = r.since.Add(waited)
	}
	return err
}

// await waits without the machine.
func (m *Machine) await(ctx context.Context, done <-chan struct{}) error {
	select {
	case <-done:
		return nil
	case <-ctx.Done():
		return &Interrupt{Reason: endOf(ctx)}
	case <-m.closed:
		return &Interrupt{Reason: ErrClosed}
	}
}

// serveOn hands the machine to a thread that serves jobs, on a goroutine of its
// own.
func (m *Machine) serveOn(t *Thread) {
	t.status = running
	m.now = t
	m.opts.Goroutines.Go("lua", t.serve)
}

// serve does the machine's work until a thread that has waited takes the machine
// back, or until the machine ends.
func (t *Thread) serve() {
	m := t.m
	for {
		if giveBack := m.nextReturn(); giveBack != nil {
			t.end()
			giveBack()
			return
		}
		if m.isClosed() && m.away == 0 {
			m.endThreads()
			close(m.ended)
			return
		}
		if m.serveNext() {
			continue
		}
		m.awaitWork()
	}
}

// nextReturn is the return of a thread that has waited, or nil. What had stepped aside or
// given way does not overtake a command that waits, unless the machine ends.
func (m *Machine) nextReturn() func() {
	if giveBack := m.waited.take(); giveBack != nil {
		return giveBack
	}
	if m.held > 0 && !m.isClosed() {
		return nil
	}
	for _, q := range []*queue{m.gaveWay, m.hooksBack, m.aside} {
		if giveBack := q.take(); giveBack != nil {
			return giveBack
		}
	}
	return nil
}

// serveNext runs the job whose turn it is, if there is one.
func (m *Machine) serveNext() bool {
	switch {
	case m.abandoned.serve():
	case m.isClosed():
		return false
	case m.hooks.serve(), m.mapped.serve():
	case m.held == 0 && m.jobs.serve():
	default:
		return false
	}
	return true
}

// awaitWork waits until one of the queues that are served may have a job, or until
// the machine may end: it may have been closed since the caller last looked.
func (m *Machine) awaitWork() {
	jobs, aside, hooksBack, closed := m.jobs.wake, m.aside.wake, m.hooksBack.wake, m.closed
	if m.held > 0 {
		jobs, aside, hooksBack = nil, nil, nil
	}
	if m.isClosed() && m.away > 0 {
		aside, hooksBack, closed = m.aside.wake, m.hooksBack.wake, nil // all that are away come back, to end
	}
	select {
	case <-closed:
	case <-m.waited.wake:
	case <-aside:
	case <-hooksBack:
	case <-m.abandoned.wake:
	case <-m.hooks.wake:
	case <-m.mapped.wake:
	case <-jobs:
	}
}

// endThreads ends those that are suspended. Nobody will resume them.
func (m *Machine) endThreads() {
	for t := range m.threads {
		t.abandon()
	}
}
