package script

import (
	"errors"
	"iter"
	"runtime"
	"time"
	"weak"

	lua "github.com/Shopify/go-lua"

	"kresd/internal/limits"
)

// errAbandoned ends the code of a thread that nobody resumes any more.
var errAbandoned = errors.New("the thread was abandoned")

// newThread makes a thread. It has no goroutine yet.
func (vm *VM) newThread() *thread {
	t := &thread{vm: vm, l: lua.NewState(), turn: make(chan struct{})}
	lua.SetDebugHook(t.l, vm.watch, lua.MaskCount, hookInterval)
	if vm.now != nil {
		t.share(vm.now.l)
	} else { // the first
		vm.basic = basicValues(t.l)
	}
	vm.threads[t] = struct{}{}
	return t
}

// share gives the thread the registry, in which the globals are, and the
// metatables of the basic types.
func (t *thread) share(from *lua.State) {
	from.CheckStack(lua.MinStack)
	from.PushValue(lua.RegistryIndex)
	t.l.PushLightUserData(from.ToValue(-1))
	t.l.Replace(lua.RegistryIndex)
	from.Pop(1)
	for _, basic := range t.vm.basic {
		from.PushLightUserData(basic)
		if from.MetaTable(-1) {
			setMetaTable(t.l, basic, from.ToValue(-1))
			from.Pop(1)
		}
		from.Pop(1)
	}
}

// basicValues are one of each type whose values all have one metatable.
func basicValues(l *lua.State) []any {
	l.PushGoFunction(func(*lua.State) int { return 0 })
	defer l.Pop(1)
	return []any{nil, false, 0.0, "", l.ToValue(-1), new(lua.State)}
}

// setBasicMetaTable gives the type of a basic value a metatable, or none, in all
// threads.
func (vm *VM) setBasicMetaTable(basic, meta any) {
	for t := range vm.threads {
		setMetaTable(t.l, basic, meta)
	}
}

func setMetaTable(l *lua.State, value, meta any) {
	l.CheckStack(lua.MinStack)
	l.PushLightUserData(value)
	l.PushLightUserData(meta)
	l.SetMetaTable(-2)
	l.Pop(1)
}

// begin makes a thread that will call the function at index i of l when it is
// resumed first. It fails when there are too many threads.
func (vm *VM) begin(l *lua.State, i int) (*thread, error) {
	for vm.abandoned.serve() {
	}
	if len(vm.threads) >= limits.LuaThreads {
		vm.reclaim()
	}
	if len(vm.threads) >= limits.LuaThreads {
		return nil, errors.New("too many coroutines")
	}
	t := vm.newThread()
	l.PushValue(i)
	vm.move(l, t.l, 1)
	return t, nil
}

// reclaim ends the threads that scripts have forgotten, without waiting until memory
// is short. Where nothing was found it does not look again for a while, since that
// slows down the whole process.
func (vm *VM) reclaim() {
	const pause, patience = time.Second, 20 * time.Millisecond
	if time.Since(vm.fruitless) < pause {
		return
	}
	runtime.GC()
	select {
	case <-vm.abandoned.wake:
	case <-time.After(patience):
		vm.fruitless = time.Now()
	}
	for vm.abandoned.serve() {
	}
}

// move takes the n topmost values from one stack to another. Both belong to the
// thread that has the machine: the other one waits.
func (vm *VM) move(from, to *lua.State, n int) bool {
	if !to.CheckStack(n+lua.MinStack) || !from.CheckStack(lua.MinStack) {
		from.Pop(n)
		return false
	}
	for i := from.Top() - n + 1; i <= from.Top(); i++ {
		if from.TypeOf(i) != lua.TypeUserData {
			to.PushLightUserData(from.ToValue(i)) // the value itself, whatever it is
			continue
		}
		// Of a userdata a state lets only the contents out. In a table that both
		// states know it passes whole.
		from.PushValue(i)
		from.SetField(lua.RegistryIndex, inTransit)
		to.Field(lua.RegistryIndex, inTransit)
	}
	from.PushNil()
	from.SetField(lua.RegistryIndex, inTransit)
	from.Pop(n)
	return true
}

// inTransit is the key of the registry under which a value passes from thread to
// thread.
const inTransit = "kresd.transit"

// resume lets t go on with the n topmost values of the running thread's stack,
// until it yields, returns, or fails. What it gives back is on the stack then, as
// many values as resume says: those yielded or returned, or the error's value with
// errRaised. An *Interrupt ends the evaluation in which t ran, and so that of the
// caller.
func (t *thread) resume(n int) (results int, err error) {
	vm, me := t.vm, t.vm.now
	if t.status != suspended {
		me.l.Pop(n)
		return 0, errors.New("cannot resume " + t.status.String() + " coroutine")
	}
	if me.nested >= maxNestedThreads {
		me.l.Pop(n)
		return 0, errors.New("too many coroutines that resume each other")
	}
	if !vm.move(me.l, t.l, n) {
		return 0, errors.New("too many arguments to resume")
	}
	t.moved = n
	t.run, t.within, t.outside, t.nested = me.run, me.run, me.outside, me.nested+1
	if t.handOver(me); t.parked {
		t.waitParked(me)
	}
	return t.moved, t.err
}

// waitParked parks me as long as t, which it has resumed, is parked.
func (t *thread) waitParked(me *thread) {
	defer func() {
		if t.parked { // me is abandoned
			t.abandon()
		}
	}()
	for t.parked {
		t.vm.park()
		t.handOver(me)
	}
}

// park gives the machine to whoever resumed this thread, in the name of the task that
// it belongs to, until that goes on. It does not return in a thread that is abandoned.
func (vm *VM) park() {
	t := vm.now
	t.parked, t.status = true, normal
	if !t.suspend(struct{}{}) {
		panic(&Interrupt{Reason: errAbandoned})
	}
}

// maxNestedThreads bounds threads that resume each other, as Lua 5.1 does.
const maxNestedThreads = 190

// handOver gives the machine to t until it is given back to me.
func (t *thread) handOver(me *thread) {
	if t.proceed == nil {
		t.proceed, t.stop = iter.Pull(func(suspend func(struct{}) bool) {
			t.suspend = suspend
			t.body()
		})
	}
	before := me.status
	me.status, t.status, t.resumer, t.parked = normal, running, me, false
	t.vm.now = t
	t.proceed()
	t.vm.now = me
	me.status, t.resumer = before, nil
	if t.status == dead {
		t.proceed, t.stop, t.suspend = nil, nil, nil
	}
}

// body is what the thread's goroutine does: it calls the function at the bottom of
// the stack with the arguments above it.
func (t *thread) body() {
	l := t.l
	l.PushGoFunction(t.noteTraceback)
	l.Insert(1)
	switch err := t.vm.tryCall(l, t.moved, lua.MultipleReturns, 1).(type) {
	case nil:
		t.moved = l.Top() - 1 // above the handler
	case *Error:
		l.PushString(err.Message)
		t.fail()
	case *Interrupt:
		t.moved, t.err = 0, err
	default:
		t.fail()
	}
	if !t.vm.move(l, t.resumer.l, t.moved) {
		t.moved, t.err = 0, &Interrupt{Reason: errors.New("too many results of a coroutine")}
	}
	t.end()
}

// fail notes the error whose value is on top of the stack.
func (t *thread) fail() {
	t.moved, t.err = 1, errRaised
	t.raised = refTo(t.vm, t.l, -1)
}

// noteTraceback is the message handler: it sees the stack before it unwinds.
func (t *thread) noteTraceback(l *lua.State) int {
	lua.Traceback(l, l, "", 1)
	t.traceback, _ = l.ToString(-1)
	l.Pop(1)
	return 1
}

// yield gives the n topmost values of the running thread's stack to the one that
// resumed it, and waits until it is resumed again: then so many values as yield
// says are on the stack. It does not return in a thread that is abandoned.
func (vm *VM) yield(n int) (args int, err error) {
	t := vm.now
	if err := t.mayYield(); err != nil {
		t.l.Pop(n)
		return 0, err
	}
	if !vm.move(t.l, t.resumer.l, n) {
		return 0, errors.New("too many values to yield")
	}
	t.moved = n
	t.status = suspended
	t.run, t.within, t.outside = nil, nil, nil
	if !t.suspend(struct{}{}) {
		panic(&Interrupt{Reason: errAbandoned})
	}
	return t.moved, nil
}

// mayYield tells why the thread cannot yield, if so.
func (t *thread) mayYield() error {
	switch {
	case t.resumer == nil:
		return errors.New("attempt to yield from outside a coroutine")
	case t.run != t.within:
		return errors.New("attempt to yield across eval_cmd")
	}
	return nil
}

// abandon ends a thread that is suspended or parked: its code does not go on, its
// goroutine ends.
func (t *thread) abandon() {
	if t.status != suspended && !t.parked {
		return
	}
	if t.proceed == nil {
		t.end()
		return
	}
	me := t.vm.now
	t.status, t.resumer, t.parked = running, me, false
	t.vm.now = t
	t.stop()
	t.vm.now = me
	t.resumer, t.proceed, t.stop, t.suspend = nil, nil, nil, nil
}

// end takes a thread that will not run again off the machine's list, and lets go
// of its stack.
func (t *thread) end() {
	t.status, t.l, t.task = dead, nil, nil
	t.run, t.within, t.outside = nil, nil, nil // a task's is part of the task
	delete(t.vm.threads, t)
}

// show makes what stands for the thread in scripts. When they have forgotten that, the
// thread ends.
func (t *thread) show() *lua.State {
	co := new(lua.State)
	t.seen = weak.Make(co)
	t.vm.coroutines[t.seen] = t
	runtime.AddCleanup(co, (*thread).forgotten, t)
	return co
}

// forgotten is called, on a goroutine of the collector's, when no script can name
// the coroutine any more.
func (t *thread) forgotten() {
	t.vm.abandoned.put(func() {
		t.abandon()
		delete(t.vm.coroutines, t.seen)
	})
}
