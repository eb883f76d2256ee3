package script

import (
	"context"
	"errors"
	"fmt"
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
// expressions mapped from others and what requests wait for (VM.Hook), and
// nothing else: no timer, no command (StepAside lets them). The time does not
// count as running time.
// It fails when the evaluation is given up; pass that error on.
//
// A task waits for itself only: it is parked, and everything is served.
func (c *Call) Wait(done <-chan struct{}) error {
	if k := c.vm.currentTask(); k != nil {
		k.pauseUntil(done)
		return nil
	}
	if c.vm.depth() >= maxNesting {
		return c.placed(c.vm.countingNoTime(func() error { return c.vm.await(c.Context(), done) }))
	}
	return c.placed(c.vm.leave(c.Context(), done, true))
}

// placed is the end of a wait, with the place that waited where it was interrupted.
func (c *Call) placed(err error) error {
	if i := new(Interrupt); errors.As(err, &i) {
		i.Where, i.traceback = c.Position(), tracebackOf(c.l, 0)
	}
	return err
}

// StepAside is Wait for a command that may take long: while it waits, the machine
// serves everything, further commands, timers and callbacks included, so what the
// command saw before may have changed. What people typed or mapped steps aside, what one
// request waits for, and the callback of an event, for which others need not wait; a
// configuration file, which nothing may overtake, waits.
func (c *Call) StepAside(done <-chan struct{}) error {
	switch vm := c.vm; {
	case c.InTask():
		return c.Wait(done)
	case vm.hookedOnly() && vm.hooksAway >= limits.LuaHooksAside:
		return fmt.Errorf("%d functions that requests wait for wait themselves already", limits.LuaHooksAside)
	case !vm.mayStepAside():
		return c.Wait(done)
	}
	return c.placed(c.vm.leave(c.Context(), done, false))
}

// Pause waits until wake is called, which any goroutine may do, also before arrange
// returns, and more than once. A task is parked; other code steps aside. What arrange
// returns, if anything, is called when the wait is over for whatever reason. Pass the
// error on: the evaluation was given up.
func (c *Call) Pause(arrange func(wake func()) (release func())) error {
	if k := c.vm.currentTask(); k != nil {
		k.pause(arrange)
		return nil
	}
	return waitFor(arrange, c.StepAside)
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
func (vm *VM) hookedOnly() bool { return vm.only(Hooked) }

// only tells whether all that waits for the running code is of one kind.
func (vm *VM) only(kind Kind) bool {
	for r := vm.now.run; r != nil; r = r.outer {
		if r.kind != kind {
			return false
		}
	}
	return vm.now.run != nil
}

// mayStepAside tells whether all that waits for the running code is requests, or an event
// and few events have stepped aside, or commands and requests and few commands have.
func (vm *VM) mayStepAside() bool {
	switch {
	case vm.hookedOnly():
		return true
	case vm.only(Event):
		return vm.eventsAway < limits.LuaEventsAside
	}
	for r := vm.now.run; r != nil; r = r.outer {
		if r.kind != Console && r.kind != Mapped && r.kind != Hooked {
			return false
		}
	}
	return vm.now.run != nil && vm.away-vm.held-vm.hooksAway-vm.eventsAway < limits.ConsoleClients
}

// maxNesting bounds the evaluations that wait for each other.
const maxNesting = 16

func (vm *VM) depth() (n int) {
	for r := vm.now.run; r != nil; r = r.outer {
		n++
	}
	return n
}

// leave leaves the machine to others until done. What holds the machine lets only
// urgent work overtake it.
func (vm *VM) leave(ctx context.Context, done <-chan struct{}, holds bool) error {
	me, returns, held := vm.now, vm.aside, 0
	other := vm.newThread()
	if holds {
		returns, held = vm.waited, 1
		other.run, other.outside = me.run, me.run
	}
	hooks, events := 0, 0
	switch {
	case holds:
	case vm.hookedOnly():
		hooks = 1
	case vm.only(Event):
		events = 1
	}
	vm.away, vm.held, vm.hooksAway, vm.eventsAway = vm.away+1, vm.held+held, vm.hooksAway+hooks, vm.eventsAway+events
	err := vm.countingNoTime(func() error {
		vm.serveOn(other)
		err := vm.await(ctx, done)
		returns.put(func() { vm.now = me; me.turn <- struct{}{} })
		<-me.turn
		return err
	})
	vm.away, vm.held, vm.hooksAway, vm.eventsAway = vm.away-1, vm.held-held, vm.hooksAway-hooks, vm.eventsAway-events
	return err
}

// countingNoTime calls fn, whose time is no running time of anybody's on this
// thread.
func (vm *VM) countingNoTime(fn func() error) error {
	me, start := vm.now, time.Now()
	err := fn()
	for r, waited := me.run, time.Since(start); r != me.outside; r = r.outer {
		r.since = r.since.Add(waited)
	}
	return err
}

// await waits without the machine.
func (vm *VM) await(ctx context.Context, done <-chan struct{}) error {
	select {
	case <-done:
		return nil
	case <-ctx.Done():
		return &Interrupt{Reason: endOf(ctx)}
	case <-vm.closed:
		return &Interrupt{Reason: ErrClosed}
	}
}

// serveOn hands the machine to a thread that serves jobs, on a goroutine of its
// own.
func (vm *VM) serveOn(t *thread) {
	t.status = running
	vm.now = t
	vm.opts.Goroutines.Go("lua", t.serve)
}

// serve does the machine's work until a thread that has waited takes the machine
// back, or until the machine ends.
func (t *thread) serve() {
	vm := t.vm
	for {
		if giveBack := vm.nextReturn(); giveBack != nil {
			t.end()
			giveBack()
			return
		}
		if vm.isClosed() && vm.away == 0 {
			vm.endThreads()
			close(vm.ended)
			return
		}
		if vm.serveNext() {
			continue
		}
		vm.awaitWork()
	}
}

// nextReturn is the return of a thread that has waited, or nil. A command that had
// stepped aside does not overtake one that waits, unless the machine ends.
func (vm *VM) nextReturn() func() {
	if giveBack := vm.waited.take(); giveBack != nil {
		return giveBack
	}
	if vm.held > 0 && !vm.isClosed() {
		return nil
	}
	return vm.aside.take()
}

// serveNext runs the job whose turn it is, if there is one.
func (vm *VM) serveNext() bool {
	switch {
	case vm.abandoned.serve():
	case vm.isClosed():
		return false
	case vm.hooks.serve(), vm.mapped.serve():
	case vm.held == 0 && vm.jobs.serve():
	default:
		return false
	}
	return true
}

// awaitWork waits until one of the queues that are served may have a job, or until
// the machine may end: it may have been closed since the caller last looked.
func (vm *VM) awaitWork() {
	jobs, aside, closed := vm.jobs.wake, vm.aside.wake, vm.closed
	if vm.held > 0 {
		jobs, aside = nil, nil
	}
	if vm.isClosed() && vm.away > 0 {
		aside, closed = vm.aside.wake, nil // all that are away come back, to end
	}
	select {
	case <-closed:
	case <-vm.waited.wake:
	case <-aside:
	case <-vm.abandoned.wake:
	case <-vm.hooks.wake:
	case <-vm.mapped.wake:
	case <-jobs:
	}
}

// endThreads ends those that are suspended. Nobody will resume them.
func (vm *VM) endThreads() {
	for t := range vm.threads {
		t.abandon()
	}
}
