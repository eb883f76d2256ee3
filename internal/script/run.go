package script

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
func (vm *VM) watch(l *lua.State, _ lua.Debug) {
	vm.tellLong(l)
	if err := vm.overdue(); err != nil {
		l := vm.now.l
		// Not a Lua error: those run message handlers, in which no hook
		// fires, and can be caught.
		panic(&Interrupt{Reason: err, Where: filePosition(l), traceback: tracebackOf(l, 0)})
	}
}

// tellLong lets the owner know of code that has run for long without a pause, and where
// it stands, once in a while.
func (vm *VM) tellLong(l *lua.State) {
	r := vm.now.run
	if r == nil || vm.opts.OnLong == nil {
		return
	}
	now := time.Now()
	if ran := now.Sub(r.since); ran > limits.LuaLongRun && now.Sub(vm.toldLong) > limits.LuaLongPause {
		vm.toldLong = now
		vm.opts.OnLong(strings.TrimSuffix(position(l), ": "), ran)
	}
}

func (vm *VM) overdue() error {
	r := vm.now.run
	if r == nil {
		return nil
	}
	if r.budget > 0 {
		now := time.Now()
		if now.Sub(r.since) > r.budget {
			return fmt.Errorf("ended: it ran longer than %v", r.budget)
		}
		if err := r.took.exceeded(now); err != nil {
			return err
		}
	}
	select {
	case <-vm.closed:
		return ErrClosed
	default:
	}
	if r.ctx != nil && r.ctx.Err() != nil {
		return endOf(r.ctx)
	}
	return nil
}

// endOf says why a context ended, in words for whoever reads the message.
func endOf(ctx context.Context) error { return wording.Reason(context.Cause(ctx)) }

// enter runs body as an evaluation and returns its error, or the Lua error
// that was raised inside.
func (vm *VM) enter(s setup, body func(c *Call) error) error {
	t := vm.now
	r := &run{setup: s, outer: t.run, since: time.Now()}
	if s.part && t.run != nil {
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
	l.PushGoFunction(vm.caught("", func(l *lua.State) int {
		result = body(&Call{vm: vm, l: l})
		return 0
	}))
	if err := vm.protectedCall(l, 0, 0, 0); err != nil {
		return err
	}
	return result
}

// protectedCall calls like lua.State.ProtectedCall, but leaves nothing on the
// stack when it fails; the error is an *Interrupt or an *Error.
func (vm *VM) protectedCall(l *lua.State, args, results, handler int) error {
	err := vm.tryCall(l, args, results, handler)
	if err == errRaised {
		return popError(l)
	}
	return err
}

// errRaised says that a Lua error was raised, and that its value is on the stack.
var errRaised = errors.New("a Lua error was raised")

// tryCall calls like lua.State.ProtectedCall. Its error is errRaised; or an
// *Interrupt or, for a fault of the machine itself, an *Error, and then nothing is
// on the stack.
func (vm *VM) tryCall(l *lua.State, args, results, handler int) (err error) {
	// What the machine itself panics with, when it is no error, passes one
	// protected call; there may be none further out.
	defer func() {
		if v := recover(); v != nil {
			if i, ok := v.(*Interrupt); ok {
				err = i
				return
			}
			vm.panicked("Lua machine", v)
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
	vm.cleanError(l, e)
	return errRaised
}

// cleanError puts a message in place of what the machine leaves as the error
// value when it panicked itself.
func (vm *VM) cleanError(l *lua.State, e error) {
	if isLuaError(e) {
		vm.explain(l)
		return
	}
	l.Pop(1)
	l.PushString(fmt.Sprintf("internal error: %v", e))
}

// explain puts a better message in place of the machine's about a nil where an
// absent name was used.
func (vm *VM) explain(l *lua.State) {
	msg, _ := l.ToValue(-1).(string)
	if better, ok := vm.absent.explain(msg); ok {
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

// caught makes fn a function of the machine in which a Go panic becomes a Lua
// error.
func (vm *VM) caught(name string, fn lua.Function) lua.Function {
	return func(l *lua.State) int {
		defer func() {
			if v := recover(); v != nil {
				vm.rethrow(l, name, v)
			}
		}()
		return fn(l)
	}
}

// rethrow raises what a function of the machine panicked with.
func (vm *VM) rethrow(l *lua.State, name string, v any) {
	if _, ok := v.(*Interrupt); ok || isLuaError(v) {
		panic(v)
	}
	vm.panicked(name, v)
	msg := fmt.Sprintf("internal error: %v", v)
	if name != "" {
		msg = fmt.Sprintf("internal error in %s: %v", name, v)
	}
	l.PushString(position(l) + msg)
	l.Error()
}

func (vm *VM) panicked(name string, v any) {
	if vm.opts.OnPanic != nil {
		vm.opts.OnPanic(name, v, debug.Stack())
		return
	}
	vm.warnf("panic in %s: %v\n%s", name, v, debug.Stack())
}

// print writes what a script prints: to the standard output, and to the console on
// which the command was typed that runs.
func (vm *VM) print(text string) error {
	vm.echo(text)
	_, err := io.WriteString(vm.opts.Stdout, text)
	return err
}

// echo shows what a command prints to the client that sent it.
func (vm *VM) echo(text string) {
	if r := vm.now.run; r != nil && r.echo != nil {
		_, _ = io.WriteString(r.echo, text)
	}
}

// note writes a line that is meant for the log.
func (vm *VM) note(line string) error {
	if vm.opts.Line == nil {
		return vm.print(line + "\n")
	}
	vm.echo(line + "\n")
	vm.opts.Line(false, line)
	return nil
}

func (vm *VM) warnf(format string, args ...any) {
	_ = vm.warn(fmt.Sprintf(format, args...))
}

// warn writes a line about what is wrong.
func (vm *VM) warn(line string) (err error) {
	if vm.opts.Line != nil {
		vm.opts.Line(true, line)
	} else {
		_, err = fmt.Fprintln(vm.opts.Stderr, line)
	}
	return err
}
