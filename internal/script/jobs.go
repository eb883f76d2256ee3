package script

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"

	"kresd/internal/limits"
)

// Do runs fn on the owner goroutine and returns its error. Lua errors and
// panics inside fn become errors too. When ctx ends before fn started, fn
// never runs; when it ends later, Lua code that fn runs is interrupted. There
// is no limit of time. Never call it on the owner goroutine.
func (vm *VM) Do(ctx context.Context, fn func(c *Call) error) error {
	return vm.submit(ctx, vm.jobs, func() error {
		return vm.enter(setup{ctx: ctx, kind: Internal}, fn)
	})
}

// Hook is Do for what a request waits for: it comes before other jobs, and is
// served while a Call waits, which may be for that very request. From when it begins it
// may run for limits.LuaHookRun, which is what others wait for, and may take
// limits.LuaHookTime with what it waits for itself.
func (vm *VM) Hook(ctx context.Context, fn func(c *Call) error) error {
	return vm.submit(ctx, vm.hooks, func() error {
		ctx, end := context.WithTimeoutCause(ctx, limits.LuaHookTime, errHookTime)
		defer end()
		return vm.enter(setup{ctx: ctx, kind: Hooked, budget: limits.LuaHookRun}, fn)
	})
}

// errHookTime ends what a request has waited for too long.
var errHookTime = fmt.Errorf("ended: it took longer than %v", limits.LuaHookTime)

// Post queues fn for the owner goroutine and returns at once; it may be called
// on the owner goroutine. Lua code that fn runs is interrupted after
// Options.EventTime, or nobody else would get a turn for good. An error is
// written to Stderr as "error: …", with the traceback if it has one.
func (vm *VM) Post(fn func(c *Call) error) {
	vm.events.put(vm.jobs, func() {
		if vm.exiting {
			return
		}
		err := vm.enter(setup{kind: Event, budget: vm.eventBudget}, fn)
		if err == nil || errors.Is(err, ErrClosed) || errors.Is(err, ErrExit) {
			return
		}
		vm.warnf("error: %s", Report(err))
		if vm.opts.Fatal != nil {
			vm.opts.Fatal()
		}
	})
}

// submit queues job and waits for it.
func (vm *VM) submit(ctx context.Context, q *queue, job func() error) error {
	const (
		waiting = iota
		started
		given // up
	)
	var state atomic.Int32
	result := make(chan error, 1)
	q.put(func() {
		if state.CompareAndSwap(waiting, started) {
			result <- job()
		}
	})
	select {
	case err := <-result:
		return err
	case <-ctx.Done():
		if state.CompareAndSwap(waiting, given) {
			return endOf(ctx)
		}
	case <-vm.ended:
		if state.CompareAndSwap(waiting, given) {
			return ErrClosed
		}
	}
	return <-result
}

// HoldEvents keeps what is posted from now on until ReleaseEvents: while a configuration
// loads and what it configures starts, no event runs.
func (vm *VM) HoldEvents() { vm.events.hold() }

// ReleaseEvents lets what was posted run, in its order.
func (vm *VM) ReleaseEvents() { vm.events.release(vm.jobs) }
