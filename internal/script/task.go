package script

import (
	"context"
	"errors"
	"runtime"
	"time"

	lua "github.com/Shopify/go-lua"
)

// Tasks
//
// A task is a coroutine that a scheduler of ours runs, and not a script. Where its code
// waits, however many coroutines deep, all of them are parked: each gives the machine
// to the one that resumed it, up to the scheduler, which runs others meanwhile. So a
// wait costs a task as little as a yield, and no goroutine.

// NewTask makes a task of a function and its arguments. Nothing runs before Run. The
// function ready is called, by any goroutine, whenever Run may go on with what waited.
// It fails when there are too many coroutines.
func (c *Call) NewTask(ready func(), fn *Ref, args ...any) (*Task, error) {
	vm, l := c.vm, c.l
	fn.push(l)
	t, err := vm.begin(l, l.Top())
	l.Pop(1)
	if err != nil {
		return nil, Usage(err.Error())
	}
	co := t.show()
	for _, a := range args {
		vm.push(l, a)
	}
	if !vm.move(l, t.l, len(args)) {
		return nil, Usage("too many arguments")
	}
	return t.asTask(co, ready, len(args)), nil
}

func (t *thread) asTask(co *lua.State, ready func(), args int) *Task {
	t.task = &Task{t: t, co: co, ready: ready, args: args}
	return t.task
}

// Coroutine is the task as scripts see it.
func (k *Task) Coroutine() *Ref { return &Ref{vm: k.t.vm, value: k.co, kind: lua.TypeThread} }

// Run lets the task go on until it waits or ends. Its error is an *Error, or an
// *Interrupt that ends the caller's evaluation too. What the task does counts as the
// caller's running time.
func (k *Task) Run() (ended bool, err error) {
	t, me := k.t, k.t.vm.now
	if t.status == dead {
		return true, nil
	}
	if me.nested >= maxNestedThreads {
		return false, errors.New("too many coroutines that resume each other")
	}
	k.adopt(me)
	t.moved, k.args = k.args, 0
	t.handOver(me)
	runtime.KeepAlive(k.co)
	switch {
	case t.parked:
		k.since = time.Now()
		return false, nil
	case t.status != dead: // it yielded: others come first, then it goes on
		me.l.Pop(t.moved)
		k.ready()
		return false, nil
	}
	return true, k.outcome(me)
}

// adopt puts the task into the evaluation of the thread that runs it.
func (k *Task) adopt(me *thread) {
	t := k.t
	if t.run == nil {
		t.run = &k.base
	}
	for r := t.run; r != nil && r != &k.base && !k.since.IsZero(); r = r.outer {
		r.since = r.since.Add(time.Since(k.since))
	}
	if me.run != nil {
		k.base.setup, k.base.since = me.run.setup, me.run.since
		k.base.took = memory{} // what others have taken while it waited is not its own
	}
	t.within, t.nested = &k.base, me.nested+1
}

// outcome takes what the task's end left on the stack.
func (k *Task) outcome(me *thread) error {
	switch err := k.t.err.(type) {
	case nil:
		me.l.Pop(k.t.moved)
		return nil
	case *Interrupt:
		return err
	}
	e := popError(me.l)
	e.traceback = "\n" + k.t.traceback
	return e
}

// Raised is the value of the error that ended the task, or nil.
func (k *Task) Raised() *Ref { return k.t.raised }

// End ends a task that waits, or that has not begun.
func (k *Task) End() {
	k.waits.Add(1)
	k.t.abandon()
}

// currentTask is the task whose code runs, or nil.
func (vm *VM) currentTask() *Task {
	for t := vm.now; t != nil; t = t.resumer {
		if t.task != nil {
			return t.task
		}
	}
	return nil
}

// InTask tells whether the code that runs is a task's.
func (c *Call) InTask() bool { return c.vm.currentTask() != nil }

// Context ends when the evaluation is given up. A task goes on in many of them, and is
// not given up with one.
func (c *Call) Context() context.Context {
	if c.InTask() {
		return context.Background()
	}
	if r := c.vm.now.run; r != nil && r.ctx != nil {
		return r.ctx
	}
	return context.Background()
}

// Task is the task whose code runs, or nil, and whether that code is in the task's own
// coroutine, not in one that the task has resumed.
func (c *Call) Task() (k *Task, direct bool) {
	k = c.vm.currentTask()
	return k, k != nil && k.t == c.vm.now
}

// pause parks the running thread until the wake that it hands out is called.
func (k *Task) pause(arrange func(wake func()) func()) {
	n := k.waits.Add(1)
	if release := arrange(func() { k.wake(n) }); release != nil {
		defer release()
	}
	for {
		k.t.vm.park()
		if k.waits.Load() != n {
			return
		}
	}
}

// wake lets the scheduler know that the task's n-th wait is over.
func (k *Task) wake(n uint64) {
	if k.waits.CompareAndSwap(n, n+1) {
		k.ready()
	}
}

// pauseUntil parks until done is closed or receives.
func (k *Task) pauseUntil(done <-chan struct{}) {
	k.pause(func(wake func()) func() {
		over := make(chan struct{})
		k.t.vm.opts.Goroutines.Go("wait of a script", func() {
			select {
			case <-done:
				wake()
			case <-over:
			}
		})
		return func() { close(over) }
	})
}
