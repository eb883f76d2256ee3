package machine

import (
	"errors"
	"iter"
	"runtime"
	"time"
	"weak"

	lua "github.com/Shopify/go-lua"

	"kresd/internal/limits"
)

// A Thread is a Lua stack of its own, and the goroutine that runs on it. All
// threads of a machine have everything else in common: the table of globals, the
// registry and the metatables of the basic types. The machine cannot do that by
// itself; here each thread is one of its states, to which the common parts were
// handed.
//
// Machine.now is the thread that has the machine. No other goroutine touches any Lua
// value, also not those on its own stack, until the machine is handed to it. There
// are two ways to hand it over:
//
//   - resume and yield go from one thread to a certain other one and back
//     (coroutine.go, task.go). The one that resumed waits meanwhile, and what the
//     resumed thread does counts as its running time.
//   - A thread whose code waits for something outside leaves the machine to whoever
//     has work for it, and queues for its return (turn.go).
type Thread struct {
	m *Machine
	l *lua.State

	run     *run // the innermost evaluation in progress here
	outside *run // the innermost of those that wait until this thread's are done, or nil

	// turn says to a thread that waits for something outside that it has the
	// machine again.
	turn chan struct{}

	// What follows is used for threads that are resumed, not for those that
	// serve jobs.

	status  threadStatus
	resumer *Thread // who gets the machine back
	within  *run    // the evaluation in which it was resumed
	nested  int     // resumers above, of which each waits for the next
	task    *Task   // that it is, or nil
	parked  bool    // it has given the machine away since code of its task waits

	// The goroutine is one of iter.Pull's, which hands over several times as fast
	// as a channel; what panics there comes out where it was resumed, under the
	// recover of that goroutine.
	proceed func() (struct{}, bool)
	stop    func()
	suspend func(struct{}) bool

	seen weak.Pointer[lua.State] // what stands for it in scripts: a coroutine

	moved     int    // values that the last hand-over put on the receiver's stack
	err       error  // what ended the thread: an *Interrupt or ErrRaised
	raised    *Value // the error's value
	traceback string // of the place where the error was raised
}

type threadStatus int

const (
	suspended threadStatus = iota // not begun, or in yield
	running                       // has the machine, or has it again after waiting
	normal                        // has resumed another thread
	dead
)

func (s threadStatus) String() string {
	return [...]string{"suspended", "running", "normal", "dead"}[s]
}

// errAbandoned ends the code of a thread that nobody resumes any more.
var errAbandoned = errors.New("the thread was abandoned")

// newThread makes a thread. It has no goroutine yet.
func (m *Machine) newThread() *Thread {
	t := &Thread{m: m, l: lua.NewState(), turn: make(chan struct{})}
	lua.SetDebugHook(t.l, m.watch, lua.MaskCount, hookInterval)
	if m.now != nil {
		t.share(m.now.l)
	} else { // the first
		m.basic = basicValues(t.l)
	}
	m.threads[t] = struct{}{}
	return t
}

// share gives the thread the registry, in which the globals are, and the
// metatables of the basic types.
func (t *Thread) share(from *lua.State) {
	from.CheckStack(lua.MinStack)
	from.PushValue(lua.RegistryIndex)
	t.l.PushLightUserData(from.ToValue(-1))
	t.l.Replace(lua.RegistryIndex)
	from.Pop(1)
	for _, basic := range t.m.basic {
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

// SetBasicMetaTable gives the type of a basic value a metatable, or none, in all
// threads.
func (m *Machine) SetBasicMetaTable(basic, meta any) {
	for t := range m.threads {
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
func (m *Machine) begin(l *lua.State, i int) (*Thread, error) {
	for m.abandoned.serve() {
	}
	if len(m.threads) >= limits.LuaThreads {
		m.reclaim()
	}
	if len(m.threads) >= limits.LuaThreads {
		return nil, errors.New("too many coroutines")
	}
	t := m.newThread()
	l.PushValue(i)
	m.Move(l, t.l, 1)
	return t, nil
}

// reclaim ends the threads that scripts have forgotten, without waiting until memory
// is short. Where nothing was found it does not look again for a while, since that
// slows down the whole process.
func (m *Machine) reclaim() {
	const pause, patience = time.Second, 20 * time.Millisecond
	if time.Since(m.fruitless) < pause {
		return
	}
	runtime.GC()
	select {
	case <-m.abandoned.wake:
	case <-time.After(patience):
		m.fruitless = time.Now()
	}
	for m.abandoned.serve() {
	}
}

// Move takes the n topmost values from one stack to another. Both belong to the
// thread that has the machine: the other one waits.
func (m *Machine) Move(from, to *lua.State, n int) bool {
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
// until it yields, returns, or fails. Then the stack has as many results on top as resume
// says: the values yielded or returned, or the error's value with ErrRaised. An *Interrupt ends the evaluation in which t ran, and so that of the
// caller.
func (t *Thread) resume(n int) (results int, err error) {
	m, me := t.m, t.m.now
	if t.status != suspended {
		me.l.Pop(n)
		return 0, errors.New("cannot resume " + t.status.String() + " coroutine")
	}
	if me.nested >= maxNestedThreads {
		me.l.Pop(n)
		return 0, errors.New("too many coroutines that resume each other")
	}
	if !m.Move(me.l, t.l, n) {
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
func (t *Thread) waitParked(me *Thread) {
	defer func() {
		if t.parked { // me is abandoned
			t.abandon()
		}
	}()
	for t.parked {
		t.m.park()
		t.handOver(me)
	}
}

// park gives the machine to whoever resumed this thread, in the name of the task that
// it belongs to, until that goes on. It does not return in a thread that is abandoned.
func (m *Machine) park() {
	t := m.now
	t.parked, t.status = true, normal
	if !t.suspend(struct{}{}) {
		panic(&Interrupt{Reason: errAbandoned})
	}
}

// maxNestedThreads bounds threads that resume each other, as Lua 5.1 does.
const maxNestedThreads = 190

// handOver gives the machine to t until it is given back to me.
func (t *Thread) handOver(me *Thread) {
	if t.proceed == nil {
		t.proceed, t.stop = iter.Pull(func(suspend func(struct{}) bool) {
			t.suspend = suspend
			t.body()
		})
	}
	before := me.status
	me.status, t.status, t.resumer, t.parked = normal, running, me, false
	t.m.now = t
	t.proceed()
	t.m.now = me
	me.status, t.resumer = before, nil
	if t.status == dead {
		t.proceed, t.stop, t.suspend = nil, nil, nil
	}
}

// body is what the thread's goroutine does: it calls the function at the bottom of
// the stack with the arguments above it.
func (t *Thread) body() {
	l := t.l
	l.PushGoFunction(t.noteTraceback)
	l.Insert(1)
	switch err := t.m.tryCall(l, t.moved, lua.MultipleReturns, 1).(type) {
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
	if !t.m.Move(l, t.resumer.l, t.moved) {
		t.moved, t.err = 0, &Interrupt{Reason: errors.New("too many results of a coroutine")}
	}
	t.end()
}

// fail notes the error whose value is on top of the stack.
func (t *Thread) fail() {
	t.moved, t.err = 1, ErrRaised
	raised := Keep(t.l, -1)
	t.raised = &raised
}

// noteTraceback is the message handler: it sees the stack before it unwinds.
func (t *Thread) noteTraceback(l *lua.State) int {
	lua.Traceback(l, l, "", 1)
	t.traceback, _ = l.ToString(-1)
	l.Pop(1)
	return 1
}

// Yield gives the n topmost values of the running thread's stack to the one that
// resumed it, and waits until it is resumed again: then as many values as Yield
// says are on the stack. It does not return in a thread that is abandoned.
func (m *Machine) Yield(n int) (args int, err error) {
	t := m.now
	if err := t.mayYield(); err != nil {
		t.l.Pop(n)
		return 0, err
	}
	if !m.Move(t.l, t.resumer.l, n) {
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
func (t *Thread) mayYield() error {
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
func (t *Thread) abandon() {
	if t.status != suspended && !t.parked {
		return
	}
	if t.proceed == nil {
		t.end()
		return
	}
	me := t.m.now
	t.status, t.resumer, t.parked = running, me, false
	t.m.now = t
	t.stop()
	t.m.now = me
	t.resumer, t.proceed, t.stop, t.suspend = nil, nil, nil, nil
}

// end takes a thread that will not run again off the machine's list, and lets go
// of its stack.
func (t *Thread) end() {
	t.status, t.l, t.task = dead, nil, nil
	t.run, t.within, t.outside = nil, nil, nil // a task's is part of the task
	delete(t.m.threads, t)
}
