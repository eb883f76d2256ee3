package machine

import (
	"errors"
	"fmt"
	"runtime/debug"

	lua "github.com/Shopify/go-lua"
)

// ProtectedCall calls like lua.State.ProtectedCall, but leaves nothing on the
// stack when it fails; the error is an *Interrupt or an *Error.
func (m *Machine) ProtectedCall(l *lua.State, args, results, handler int) error {
	err := m.tryCall(l, args, results, handler)
	if err == ErrRaised {
		return PopError(l)
	}
	return err
}

// TracedCall is ProtectedCall of the function below its args on top of the stack, for
// all of its results. A Lua error comes back with a traceback for Report.
func (m *Machine) TracedCall(l *lua.State, args int) error {
	var raised string
	l.PushGoFunction(func(l *lua.State) int { // sees the stack before it unwinds
		raised = Traceback(l, 1)
		return 1
	})
	handler := l.Top() - args - 1
	l.Insert(handler)
	err := m.ProtectedCall(l, args, lua.MultipleReturns, handler)
	if err == nil {
		l.Remove(handler)
		return nil
	}
	l.SetTop(handler - 1)
	if e := new(Error); errors.As(err, &e) && e.traceback == "" {
		e.traceback = raised
	}
	return err
}

// ErrRaised says that a Lua error was raised, and that its value is on the stack.
var ErrRaised = errors.New("a Lua error was raised")

// tryCall calls like lua.State.ProtectedCall. Its error is ErrRaised; or an
// *Interrupt or, for a fault of the machine itself, an *Error, and then nothing is
// on the stack.
func (m *Machine) tryCall(l *lua.State, args, results, handler int) (err error) {
	// What the machine itself panics with, when it is no error, passes one
	// protected call; there may be none further out.
	defer func() {
		if v := recover(); v != nil {
			if i, ok := v.(*Interrupt); ok {
				err = i
				return
			}
			m.panicked("Lua machine", v)
			err = &Error{Message: fmt.Sprintf("internal error: %v", v)}
		}
	}()
	e := l.ProtectedCall(args, results, handler)
	if e == nil {
		return nil
	}
	var i *Interrupt
	if errors.As(e, &i) {
		l.Pop(1)
		return i
	}
	if errors.Is(e, lua.ErrorError) { // of a handler of ours: no room was left for it
		l.Pop(1)
		l.PushString("stack overflow")
		return ErrRaised
	}
	m.CleanError(l, e)
	return ErrRaised
}

// CleanError puts a message in place of what the machine leaves as the error
// value when it panicked itself.
func (m *Machine) CleanError(l *lua.State, e error) {
	if isLuaError(e) {
		m.explain(l)
		return
	}
	l.Pop(1)
	l.PushString(fmt.Sprintf("internal error: %v", e))
}

// explain puts a better message in place of the machine's, where there is one.
func (m *Machine) explain(l *lua.State) {
	msg, _ := l.ToValue(-1).(string)
	if m.opts.Explain == nil {
		return
	}
	if better, ok := m.opts.Explain(msg); ok {
		l.Pop(1)
		l.PushString(better)
	}
}

func isLuaError(v any) bool {
	switch v {
	case lua.SyntaxError, lua.MemoryError, lua.ErrorError, lua.FileError:
		return true
	}
	_, ok := v.(lua.RuntimeError)
	return ok
}

// Caught makes fn a function of the machine in which a Go panic becomes a Lua
// error.
func (m *Machine) Caught(name string, fn lua.Function) lua.Function {
	return func(l *lua.State) int {
		defer func() {
			if v := recover(); v != nil {
				m.rethrow(l, name, v)
			}
		}()
		return fn(l)
	}
}

// rethrow raises what a function of the machine panicked with.
func (m *Machine) rethrow(l *lua.State, name string, v any) {
	if _, ok := v.(*Interrupt); ok || isLuaError(v) {
		panic(v)
	}
	m.panicked(name, v)
	msg := fmt.Sprintf("internal error: %v", v)
	if name != "" {
		msg = fmt.Sprintf("internal error in %s: %v", name, v)
	}
	l.PushString(Position(l) + msg)
	l.Error()
}

func (m *Machine) panicked(name string, v any) {
	if m.opts.OnPanic != nil {
		m.opts.OnPanic(name, v, debug.Stack())
		return
	}
	line := fmt.Sprintf("panic in %s: %v\n%s", name, v, debug.Stack())
	m.opts.Warn(line)
}
