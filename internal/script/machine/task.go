package machine

import (
	"context"
	"errors"
	"runtime"
	"sync/atomic"
	"time"

	lua "github.com/Shopify/go-lua"
)

// Tasks
//
// A task is a coroutine that a scheduler of ours runs, and not a script. Where its code
// waits, however many coroutines deep, all of them are parked: each gives the machine
// to the one that resumed it, up to the scheduler, which runs others meanwhile. So a
// wait costs a task as little as a yield, and no goroutine.

// A Task is a thread that a scheduler of ours runs. Its methods are for the
// owner goroutine.
type Task struct {
	t     *Thread
	co    *lua.State // keeps it from being forgotten
	ready func()     // tells the scheduler that it can go on
	base  run        // the evaluation that all of its code belongs to
	args  int        // on its stack, for the function that is called first
	waits atomic.Uint64
	since time.Time // when it was parked
}

// NewTask makes a task of the function below its args on top of the stack, and takes them
// off. Nothing runs before Run. The function ready is called, by any goroutine, whenever
// Run may go on with what waited. It fails when there are too many coroutines.
func (m *Machine) NewTask(l *lua.State, args int, ready func()) (*Task, error) {
	function := l.Top() - args
	t, err := m.begin(l, function)
	if err != nil {
		l.Pop(args + 1)
		return nil, err
	}
	co := t.show()
	moved := m.Move(l, t.l, args)
	l.Pop(1)
	if !moved {
		return nil, errors.New("too many arguments")
	}
	return t.asTask(co, ready, args), nil
}

// AttachTask makes a task of a coroutine. There is none where that is not suspended or is
// a task already.
func (m *Machine) AttachTask(co *lua.State, ready func()) (k *Task, ok bool) {
	t := m.Coroutine(co)
	if t == nil || t.status != suspended || t.task != nil {
		return nil, false
	}
	return t.asTask(co, ready, 0), true
}

func (t *Thread) asTask(co *lua.State, ready func(), args int) *Task {
	t.task = &Task{t: t, co: co, ready: ready, args: args}
	return t.task
}

// Coroutine is the task as scripts see it.
func (k *Task) Coroutine() *lua.State { return k.co }

// Run lets the task go on until it waits or ends. Its error is an *Error, or an
// *Interrupt that ends the caller's evaluation too. What the task does counts as the
// caller's running time.
func (k *Task) Run() (ended bool, err error) {
	t, me := k.t, k.t.m.now
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
func (k *Task) adopt(me *Thread) {
	t := k.t
	if t.run == nil {
		t.run = &k.base
	}
	for r := t.run; r != nil && r != &k.base && !k.since.IsZero(); r = r.outer {
		r.since = r.since.Add(time.Since(k.since))
	}
	if me.run != nil {
		k.base.Evaluation, k.base.since = me.run.Evaluation, me.run.since
		k.base.took = memory{} // what others have taken while it waited is not its own
	}
	t.within, t.nested = &k.base, me.nested+1
}

// outcome takes what the task's end left on the stack.
func (k *Task) outcome(me *Thread) error {
	switch err := k.t.err.(type) {
	case nil:
		me.l.Pop(k.t.moved)
		return nil
	case *Interrupt:
		return err
	}
	e := PopError(me.l)
	e.traceback = "\n" + k.t.traceback
	return e
}

// Raised is the value of the error that ended the task, or nil.
func (k *Task) Raised() *Value { return k.t.raised }

// End ends a task that waits, or that has not begun.
func (k *Task) End() {
	k.waits.Add(1)
	k.t.abandon()
}

// currentTask is the task whose code runs, or nil.
func (m *Machine) currentTask() *Task {
	for t := m.now; t != nil; t = t.resumer {
		if t.task != nil {
			return t.task
		}
	}
	return nil
}

// InTask tells whether the code that runs is a task's.
func (m *Machine) InTask() bool { return m.currentTask() != nil }

// Context ends when the evaluation is given up. A task goes on in many of them, and is
// not given up with one.
func (m *Machine) Context() context.Context {
	if m.InTask() {
		return context.Background()
	}
	if r := m.now.run; r != nil && r.Context != nil {
		return r.Context
	}
	return context.Background()
}

// Task is the task whose code runs, or nil, and whether that code is in the task's own
// coroutine, not in one that the task has resumed.
func (m *Machine) Task() (k *Task, direct bool) {
	k = m.currentTask()
	return k, k != nil && k.t == m.now
}

// pause parks the running thread until the wake that it hands out is called.
func (k *Task) pause(arrange func(wake func()) func()) {
	n := k.waits.Add(1)
	if release := arrange(func() { k.wake(n) }); release != nil {
		defer release()
	}
	for {
		k.t.m.park()
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
		k.t.m.opts.Goroutines.Go("wait of a script", func() {
			select {
			case <-done:
				wake()
			case <-over:
			}
		})
		return func() { close(over) }
	})
}
