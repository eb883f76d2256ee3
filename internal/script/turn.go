package script

import (
	"context"
	"time"

	lua "github.com/Shopify/go-lua"

	"kresd/internal/limits"
)

// The machine belongs to one goroutine at a time, not to the same one for ever. A
// command that waits can hand it on: it keeps its goroutine and the stack with
// what it has computed so far, and a new owner with a stack of its own serves
// everybody else. When what it waits for is there, it queues for its turn like a
// job, goes on where it was, and is the owner from then on. The table of globals
// and all else but the stack is common to all.

// StepAside is Wait for a command that may take long: while it waits, the machine
// serves everything, further commands, timers and callbacks included, so what the
// command saw before may have changed. Only what people typed or mapped steps
// aside; a configuration file or a callback, which nothing may overtake, waits.
func (c *Call) StepAside(done <-chan struct{}) error {
	vm, start := c.vm, time.Now()
	if !vm.mayStepAside() {
		return c.Wait(done)
	}
	r, l, ctx := vm.run, vm.l, c.Context()
	vm.away++
	vm.run, vm.l = nil, vm.beside(l)
	vm.opts.Goroutines.Go("lua", vm.own)
	err := vm.await(ctx, done)

	back := make(chan struct{})
	vm.returns.put(func() { close(back) })
	<-back
	vm.away--
	vm.run, vm.l = r, l
	for waited := time.Since(start); r != nil; r = r.outer { // no running time of anybody's
		r.since = r.since.Add(waited)
	}
	return err
}

// mayStepAside tells whether all that waits for the running code is commands.
func (vm *VM) mayStepAside() bool {
	for r := vm.run; r != nil; r = r.outer {
		if r.kind != Console && r.kind != Mapped {
			return false
		}
	}
	return vm.run != nil && vm.away < limits.ConsoleClients
}

// await waits without the machine.
func (vm *VM) await(ctx context.Context, done <-chan struct{}) error {
	select {
	case <-done:
		return nil
	case <-ctx.Done():
		return &Interrupt{ctx.Err()}
	case <-vm.closed:
		return &Interrupt{ErrClosed}
	}
}

// beside makes another stack for the machine of l: what is registered there, the
// globals first of all, and the metatables of the basic types are the same.
func (vm *VM) beside(l *lua.State) *lua.State {
	other := lua.NewState()
	top := l.Top()
	defer l.SetTop(top)
	l.PushValue(lua.RegistryIndex)
	for l.PushNil(); l.Next(-2); l.Pop(1) {
		switch key := l.ToValue(-2).(type) {
		case string:
			other.PushLightUserData(l.ToValue(-1))
			other.SetField(lua.RegistryIndex, key)
		case float64:
			if key == lua.RegistryIndexMainThread {
				continue
			}
			other.PushLightUserData(l.ToValue(-1))
			other.RawSetInt(lua.RegistryIndex, int(key))
		}
	}
	for _, basic := range []any{nil, false, 0.0, ""} { // all values of such a type have one metatable
		l.PushLightUserData(basic)
		if l.MetaTable(-1) {
			other.PushLightUserData(basic)
			other.PushLightUserData(l.ToValue(-1))
			other.SetMetaTable(-2)
			other.Pop(1)
		}
	}
	lua.SetDebugHook(other, vm.watch, lua.MaskCount, hookInterval)
	return other
}
