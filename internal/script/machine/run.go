package machine

import (
	"context"
	"errors"
	"fmt"
	"io"
	"runtime/debug"
	"strings"
	"time"

	lua "github.com/Shopify/go-lua"

	"kresd/internal/limits"
	"kresd/internal/wording"
)

// hookInterval is how many instructions pass between two looks at the clock:
// some ten microseconds.
const hookInterval = 1000

// watch is the machine's count hook.
func (m *Machine) watch(l *lua.State, _ lua.Debug) { m.Check(l) }

// Check ends the evaluation that runs when it is overdue, and tells of one that runs
// long. Functions of ours call it, since the machine looks while its own code runs.
func (m *Machine) Check(l *lua.State) {
	m.tellLong(l)
	if err := m.overdue(); err != nil {
		l := m.now.l
		// Not a Lua error: those run message handlers, in which no hook
		// fires, and can be caught.
		panic(&Interrupt{Reason: err, Where: FilePosition(l), traceback: Traceback(l, 0)})
	}
}

// tellLong lets the owner know of code that has run for long without a pause, and where
// it stands, once in a while.
func (m *Machine) tellLong(l *lua.State) {
	r := m.now.run
	if r == nil || m.opts.OnLong == nil {
		return
	}
	now := time.Now()
	if ran := now.Sub(r.since); ran > limits.LuaLongRun && now.Sub(m.toldLong) > limits.LuaLongPause {
		m.toldLong = now
		m.opts.OnLong(strings.TrimSuffix(Position(l), ": "), ran)
	}
}

func (m *Machine) overdue() error {
	r := m.now.run
	if r == nil {
		return nil
	}
	if r.Budget > 0 {
		now := time.Now()
		if now.Sub(r.since) > r.Budget {
			return fmt.Errorf("ended: it ran longer than %v", r.Budget)
		}
		if err := r.took.exceeded(now); err != nil {
			return err
		}
	}
	select {
	case <-m.closed:
		return ErrClosed
	default:
	}
	if r.Context != nil && r.Context.Err() != nil {
		return endOf(r.Context)
	}
	return nil
}

// endOf says why a context ended, in words for whoever reads the message.
func endOf(ctx context.Context) error { return wording.Reason(context.Cause(ctx)) }

// EnterPart is Enter for what is a part of the evaluation that runs.
func (m *Machine) EnterPart(body func(l *lua.State) error) error {
	e := m.now.run.Evaluation
	e.part = true
	return m.Enter(e, body)
}

// Enter runs body as an evaluation and returns its error, or the Lua error
// that was raised inside.
func (m *Machine) Enter(e Evaluation, body func(l *lua.State) error) error {
	t := m.now
	r := &run{Evaluation: e, outer: t.run, since: time.Now()}
	if e.part && t.run != nil {
		r.since, r.took = t.run.since, t.run.took
	}
	l, top := t.l, t.l.Top()
	t.run = r
	defer func() {
		t.run = r.outer
		l.SetTop(top)
	}()
	if !l.CheckStack(lua.MinStack) {
		return errors.New("stack overflow")
	}
	var result error
	l.PushGoFunction(m.Caught("", func(l *lua.State) int {
		result = body(l)
		return 0
	}))
	if err := m.ProtectedCall(l, 0, 0, 0); err != nil {
		return err
	}
	return result
}

// ProtectedCall calls like lua.State.ProtectedCall, but leaves nothing on the
// stack when it fails; the error is an *Interrupt or an *Error.
func (m *Machine) ProtectedCall(l *lua.State, args, results, handler int) error {
	err := m.tryCall(l, args, results, handler)
	if err == ErrRaised {
		return PopError(l)
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

// Echo shows what a command prints to the client that sent it.
func (m *Machine) Echo(text string) {
	if r := m.now.run; r != nil && r.Echo != nil {
		_, _ = io.WriteString(r.Echo, text)
	}
}

// Kind is that of the evaluation that runs.
func (m *Machine) Kind() Kind { return m.now.run.Kind }

// Within tells whether the evaluation that runs, or one that waits for it, is of kind.
func (m *Machine) Within(kind Kind) bool {
	for r := m.now.run; r != nil; r = r.outer {
		if r.Kind == kind {
			return true
		}
	}
	return false
}

// Exit is the error that ends the evaluation in which a script has ended the process. No
// event's code runs any more.
func (m *Machine) Exit() error {
	m.exiting = true
	return &Interrupt{Reason: ErrExit, Where: FilePosition(m.now.l)}
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
