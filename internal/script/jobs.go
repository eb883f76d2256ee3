package script

import (
	"context"

	lua "github.com/Shopify/go-lua"

	"kresd/internal/script/machine"
)

// Do runs fn on the owner goroutine and returns its error. Lua errors and
// panics inside fn become errors too. When ctx ends before fn started, fn
// never runs; when it ends later, Lua code that fn runs is interrupted. There
// is no limit of time. Never call it on the owner goroutine.
func (vm *VM) Do(ctx context.Context, fn func(c *Call) error) error {
	return vm.m.Do(ctx, vm.called(fn))
}

// Hook is Do for what a request waits for: it comes before other jobs, and is
// served while a Call waits, which may be for that very request. It waits for the machine
// for limits.LuaHookWait. From when it begins it may run for limits.LuaHookRun, which is
// what others wait for, and may take limits.LuaHookTime with what it waits for itself.
func (vm *VM) Hook(ctx context.Context, fn func(c *Call) error) error {
	return vm.m.Hook(ctx, vm.called(fn))
}

// Post queues fn for the owner goroutine and returns at once; it may be called
// on the owner goroutine. Lua code that fn runs is interrupted after
// Options.EventTime, or nobody else would get a turn for good. An error is
// written to Stderr as "error: …", with the traceback if it has one.
func (vm *VM) Post(fn func(c *Call) error) { vm.m.Post(vm.called(fn)) }

// Stopper returns what ends the evaluation that runs now, for the owner goroutine: it acts
// while the code of an event gives way to a command, and not where it waits for something.
func (vm *VM) Stopper() (stop func(why error)) { return vm.m.Stopper() }

// HoldEvents keeps what is posted from now on until ReleaseEvents: while a configuration
// loads and what it configures starts, no event runs.
func (vm *VM) HoldEvents() { vm.m.HoldEvents() }

// ReleaseEvents lets what was posted run, in its order.
func (vm *VM) ReleaseEvents() { vm.m.ReleaseEvents() }

// Close ends the machine and its goroutines after the job that is running, which
// is interrupted. Jobs that are still queued fail with ErrClosed.
func (vm *VM) Close() { vm.m.Close() }

// Enter runs body as an evaluation on the owner goroutine.
func (vm *VM) Enter(e machine.Evaluation, body func(c *Call) error) error {
	return vm.m.Enter(e, vm.called(body))
}

// EnterPart is Enter for what is a part of the evaluation that runs.
func (vm *VM) EnterPart(body func(c *Call) error) error { return vm.m.EnterPart(vm.called(body)) }

// called is a job with the Call that it gets.
func (vm *VM) called(job func(c *Call) error) func(l *lua.State) error {
	return func(l *lua.State) error { return job(&Call{vm: vm, l: l}) }
}

// A Task is a coroutine that a scheduler of ours runs, and not a script. Where its code
// waits, the scheduler runs others meanwhile.
type Task = machine.Task

// NewTask makes a task of a function and its arguments. Nothing runs before Run. The
// function ready is called, by any goroutine, whenever Run may go on with what waited.
// It fails when there are too many coroutines.
func (c *Call) NewTask(ready func(), fn *Ref, args ...any) (*Task, error) {
	fn.Push(c.l)
	for _, a := range args {
		c.vm.Push(c.l, a)
	}
	task, err := c.vm.m.NewTask(c.l, len(args), ready)
	if err != nil {
		return nil, Usage(err.Error())
	}
	return task, nil
}

// AttachTask makes a task of the coroutine in argument i, which must be suspended.
func (c *Call) AttachTask(ready func(), i int) (*Task, error) {
	task, ok := c.vm.m.AttachTask(c.Coroutine(i), ready)
	if !ok {
		c.ArgError(i, "a suspended coroutine expected that nobody else runs")
	}
	return task, nil
}

// InTask tells whether the code that runs is a task's.
func (c *Call) InTask() bool { return c.vm.m.InTask() }

// Task is the task whose code runs, or nil, and whether that code is in the task's own
// coroutine, not in one that the task has resumed.
func (c *Call) Task() (k *Task, direct bool) { return c.vm.m.Task() }

// Context ends when the evaluation is given up. A task goes on in many of them, and is
// not given up with one.
func (c *Call) Context() context.Context { return c.vm.m.Context() }

// Wait waits until done is closed or receives. Meanwhile this worker serves
// expressions mapped from others and what requests wait for (VM.Hook), and
// nothing else: no timer, no command (StepAside lets them). The time does not
// count as running time.
// It fails when the evaluation is given up; pass that error on.
//
// A task waits for itself only: it is parked, and everything is served.
func (c *Call) Wait(done <-chan struct{}) error { return c.vm.m.Wait(done) }

// StepAside is Wait for a command that may take long: while it waits, the machine
// serves everything, further commands, timers and callbacks included, so what the command
// saw before may have changed. Commands that were typed or mapped step aside, code that one
// request waits for, and callbacks of events, which others need not wait for; a
// configuration file waits as by Wait, because nothing may overtake it.
func (c *Call) StepAside(done <-chan struct{}) error { return c.vm.m.StepAside(done) }

// Pause waits until wake is called, which any goroutine may do, also before arrange
// returns, and more than once. A task is parked; other code steps aside. What arrange
// returns, if anything, is called when the wait is over for whatever reason. Pass the
// error on: the evaluation was given up.
func (c *Call) Pause(arrange func(wake func()) (release func())) error {
	return c.vm.m.Pause(arrange)
}
