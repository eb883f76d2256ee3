package machine

import (
	"runtime"
	"weak"

	lua "github.com/Shopify/go-lua"
)

// A coroutine is a thread in the hands of scripts. To them it is a state of the
// machine that is never used; the thread that it stands for does not refer to it,
// or nothing would tell when scripts have forgotten it.

// NewCoroutine makes a coroutine that will call the function at index i of l when it is
// resumed first. It fails when there are too many.
func (m *Machine) NewCoroutine(l *lua.State, i int) (co *lua.State, err error) {
	t, err := m.begin(l, i)
	if err != nil {
		return nil, err
	}
	return t.show(), nil
}

// show makes what stands for the thread in scripts. When they have forgotten that, the
// thread ends.
func (t *Thread) show() *lua.State {
	co := new(lua.State)
	t.seen = weak.Make(co)
	t.m.coroutines[t.seen] = t
	runtime.AddCleanup(co, (*Thread).forgotten, t)
	return co
}

// forgotten is called, on a goroutine of the collector's, when no script can name
// the coroutine any more.
func (t *Thread) forgotten() {
	t.m.abandoned.put(func() {
		t.abandon()
		delete(t.m.coroutines, t.seen)
	})
}

// Coroutine is the thread that a coroutine stands for, or nil.
func (m *Machine) Coroutine(co *lua.State) *Thread { return m.coroutines[weak.Make(co)] }

// Running is the coroutine that runs; nil outside of one.
func (m *Machine) Running() *lua.State { return m.now.seen.Value() }

// Resume lets a coroutine go on with the args topmost values of the running thread's
// stack, until it yields, returns, or fails. Then the stack has as many results on top as
// Resume says: the values yielded or returned, or the error's value with ErrRaised. An *Interrupt ends the caller's evaluation, too; any other error says why
// the coroutine cannot be resumed.
func (m *Machine) Resume(co *lua.State, args int) (results int, err error) {
	results, err = m.Coroutine(co).resume(args)
	runtime.KeepAlive(co) // it must not be forgotten meanwhile
	return results, err
}

// MayYield tells why the thread that runs cannot yield, if so.
func (m *Machine) MayYield() error { return m.now.mayYield() }

// Status is what coroutine.status says of a thread.
func (t *Thread) Status() string { return t.status.String() }

// Stack is the thread's; nil when it has ended.
func (t *Thread) Stack() *lua.State { return t.l }

// Traceback is that of the place where an error has ended the thread, or "".
func (t *Thread) Traceback() string { return t.traceback }

// Close ends a thread that is suspended. Of one that an error has ended, raised is the
// error's value, once. It does nothing to a thread that goes on: ok is false then.
func (t *Thread) Close() (raised *Value, ok bool) {
	if t.status != suspended && t.status != dead {
		return nil, false
	}
	t.abandon()
	raised, t.raised = t.raised, nil
	return raised, true
}
