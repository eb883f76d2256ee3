package script

import (
	"errors"
	"fmt"
	"math"
	"strings"

	lua "github.com/Shopify/go-lua"

	"kresd/internal/limits"
	"kresd/internal/luavalue"
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

// NArgs is the number of arguments, explicit nils included.
func (c *Call) NArgs() int { return c.args }

// IsNil tells whether argument i is absent or nil.
func (c *Call) IsNil(i int) bool { return i > c.args || c.l.IsNoneOrNil(i) }

// Type is the name of the type of argument i: "nil", "boolean", "number",
// "string", "table", "function", "userdata", or "no value".
func (c *Call) Type(i int) string {
	if i > c.args {
		return "no value"
	}
	return c.l.TypeOf(i).String()
}

// Arg returns argument i as a Go value: nil, bool, float64, string,
// *luavalue.Table (a deep copy), or *Ref for functions and userdata.
func (c *Call) Arg(i int) any {
	if i > c.args {
		return nil
	}
	v, err := c.vm.ToGo(c.l, i)
	if err != nil {
		c.ArgError(i, "%v", err)
	}
	return v
}

// String returns a string argument. A number counts as its text.
func (c *Call) String(i int) string {
	if i <= c.args {
		switch v := c.l.ToValue(i).(type) {
		case string:
			return v
		case float64:
			return luavalue.FormatNumber(v)
		}
	}
	c.TypeError(i, "string")
	return ""
}

// Text is a string argument that is a name, an address or a path: a number does not
// count as its text.
func (c *Call) Text(i int) string {
	if c.Type(i) != "string" {
		c.TypeError(i, "string")
	}
	return c.String(i)
}

// NotNil refuses a nil that was written as the last argument: it was meant to be
// something, such as a constant that does not exist.
func (c *Call) NotNil(i int, expected string) {
	if c.NArgs() == i && c.IsNil(i) {
		c.ArgError(i, "%s, got nil", expected)
	}
}

// OptString is String with a value for an absent or nil argument.
func (c *Call) OptString(i int, absent string) string {
	if c.IsNil(i) {
		return absent
	}
	return c.String(i)
}

// Number returns a number argument. Text that reads as a number counts.
func (c *Call) Number(i int) float64 {
	if i <= c.args {
		switch c.l.TypeOf(i) {
		case lua.TypeNumber, lua.TypeString:
			if n, ok := c.l.ToNumber(i); ok {
				return n
			}
		}
	}
	c.TypeError(i, "number")
	return 0
}

// Int returns a number argument that must be whole and lie in [lo, hi].
func (c *Call) Int(i, lo, hi int) int {
	n := c.Number(i)
	switch {
	case !(n >= float64(lo) && n <= float64(hi)):
		c.ArgError(i, "a number from %d to %d expected, got %s", lo, hi, luavalue.FormatNumber(n))
	case n != math.Trunc(n):
		c.ArgError(i, "a whole number expected, got %s", luavalue.FormatNumber(n))
	}
	return int(n)
}

// OptInt is Int with a value for an absent or nil argument.
func (c *Call) OptInt(i, lo, hi, absent int) int {
	if c.IsNil(i) {
		return absent
	}
	return c.Int(i, lo, hi)
}

// Bool returns a boolean argument.
func (c *Call) Bool(i int) bool {
	if i > c.args || c.l.TypeOf(i) != lua.TypeBoolean {
		c.TypeError(i, "boolean")
	}
	return c.l.ToBoolean(i)
}

// OptBool is Bool with a value for an absent or nil argument.
func (c *Call) OptBool(i int, absent bool) bool {
	if c.IsNil(i) {
		return absent
	}
	return c.Bool(i)
}

// Table returns a deep copy of a table argument.
func (c *Call) Table(i int) *luavalue.Table {
	if i > c.args || c.l.TypeOf(i) != lua.TypeTable {
		c.TypeError(i, "table")
	}
	return c.Arg(i).(*luavalue.Table)
}

// Nils counts the places of the list in argument i that its constructor filled with
// nil, those of lists in it included: two in { '127.0.0.1', nil, { nil } }.
func (c *Call) Nils(i int) int { return c.nils(i, 0) }

// listing is the machine, patched: Listed is how many places a constructor filled.
type listing interface{ Listed(index int) int }

func (c *Call) nils(i, depth int) (n int) {
	if c.l.TypeOf(i) != lua.TypeTable || depth == maxTableDepth || !c.l.CheckStack(lua.MinStack) {
		return 0
	}
	i = c.l.AbsIndex(i)
	for place := range any(c.l).(listing).Listed(i) {
		c.l.RawGetInt(i, place+1)
		if c.l.IsNil(-1) {
			n++
		}
		n += c.nils(-1, depth+1)
		c.l.Pop(1)
	}
	return n
}

// Function returns a reference to a function argument.
func (c *Call) Function(i int) *Ref {
	if i > c.args || c.l.TypeOf(i) != lua.TypeFunction {
		c.TypeError(i, "function")
	}
	return c.Ref(i)
}

// OptFunction is the function in argument i; nil where the argument is nil or left out.
func (c *Call) OptFunction(i int) *Ref {
	if c.IsNil(i) {
		return nil
	}
	return c.Function(i)
}

// Ref returns a reference to argument i, of any type.
func (c *Call) Ref(i int) *Ref {
	if i > c.args {
		return &Ref{vm: c.vm}
	}
	return c.vm.RefTo(c.l, i)
}

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

// TypeError raises the error for argument i that is not of a wanted type, as
// in "string or table".
func (c *Call) TypeError(i int, want string) {
	c.ArgError(i, "%s expected, got %s", want, c.Type(i))
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
