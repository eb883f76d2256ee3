package script

import (
	"errors"
	"fmt"
	"strings"

	lua "github.com/Shopify/go-lua"

	"kresd/internal/limits"
	"kresd/internal/script/machine"
)

// A Call is one call of a binding, or one job on the owner goroutine (then
// without arguments). It is valid only until the binding returns, and only on
// the owner goroutine.
//
// The accessors for arguments count from 1 and raise a Lua error that names
// the function, the argument and the type that came; they do not return then.
type Call struct {
	vm      *VM
	l       *lua.State
	fn      *Func // nil in a job
	field   bool  // an assignment: argument 1 is the value
	args    int
	results []any
	spread  int // when not 0: the results are on the stack from there on
}

// VM is the machine that calls.
func (c *Call) VM() *VM { return c.vm }

// Kind says in what sort of evaluation the call was made.
func (c *Call) Kind() Kind { return c.vm.m.Kind() }

// Within tells whether this evaluation, or one that waits for it, is of kind.
func (c *Call) Within(kind Kind) bool { return c.vm.m.Within(kind) }

// Return sets the results. Go's integers, bools, strings, slices of strings or
// any, *luavalue.Table and *Ref become Lua values.
func (c *Call) Return(values ...any) error {
	c.results = values
	return nil
}

// ArgError raises an error about argument i. For a method it names the argument as
// the script counts, which wrote the value itself before the colon.
func (c *Call) ArgError(i int, format string, args ...any) {
	msg := fmt.Sprintf(format, args...)
	if c.fn != nil && c.fn.method {
		if i--; i == 0 {
			c.Raise(Usage(fmt.Sprintf("'%s' is called on a wrong value (%s); usage: %s", c.fn.Name, msg, c.fn.usage())))
		}
	}
	switch {
	case c.fn == nil:
		c.Raise(errors.New(msg))
	case c.field:
		c.Raise(Usage(fmt.Sprintf("bad value for '%s' (%s)", c.fn.Name, msg)))
	}
	c.Raise(Usage(fmt.Sprintf("bad argument #%d to '%s' (%s); usage: %s", i, c.fn.Name, msg, c.fn.usage())))
}

// Usage is an error about how a function was called; it gets the position of
// the call in front. All errors of an object's functions and options begin with
// "error: ", after the position when a file calls. Other errors of bindings, and
// Lua errors that pass through one, keep their bare text.
type Usage string

func (u Usage) Error() string { return string(u) }

// Raise raises err as a Lua error. It does not return.
func (c *Call) Raise(err error) {
	var (
		i *Interrupt
		e *Error
		u Usage
	)
	switch {
	case errors.As(err, &i):
		panic(i)
	case errors.As(err, &e):
		e.Raise(c.l)
	}
	switch {
	case errors.As(err, &u), e == nil && c.ofObject():
		text := err.Error()
		if c.ofObject() { // an error that passed another object has the word already
			text = strings.TrimPrefix(text, ErrorWord)
		}
		c.l.PushString(c.prefix() + text)
	default:
		c.l.PushString(err.Error())
	}
	c.l.Error()
}

// ofObject tells whether a function or an option of one of the resolver's
// objects was used. All that these refuse begins alike.
func (c *Call) ofObject() bool { return c.field || c.fn != nil && c.fn.object }

// prefix is what stands before an error about usage. Functions and options of
// the resolver's objects say "error: ", after the position when a file calls.
func (c *Call) prefix() string {
	if c.ofObject() {
		return machine.FilePosition(c.l) + ErrorWord
	}
	return machine.CallerPosition(c.l)
}

// Position is "file:line: " of the code that calls, or "" on the console.
func (c *Call) Position() string { return machine.FilePosition(c.l) }

// TooLong raises an error when a string would be larger than the machine
// allows.
func (c *Call) TooLong(size int) {
	if size > limits.LuaString {
		c.Raise(Usage("resulting string too large"))
	}
}

// A Func is a function that scripts can call.
type Func struct {
	Name string // as it is called: "hostname", "cache.clear"
	Args string // its parameters as help() shows them: "name[, type]"
	Help string // one line, where package reference has no entry

	// Min and Max bound the number of arguments; a Max below Min means any.
	Min, Max int

	// Fn does the work. Results go to Call.Return; an error becomes a Lua
	// error (see Usage for what stands before its text). A panic becomes a Lua
	// error too.
	Fn func(c *Call) error

	object bool // belongs to an object of the resolver
	method bool // of a Class: argument 1 is the value before the colon
}

func (f *Func) usage() string { return f.Name + "(" + f.Args + ")" }
