package script

import (
	"math"
	"time"

	lua "github.com/Shopify/go-lua"

	"kresd/internal/luavalue"
)

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

// Coroutine is the coroutine in argument i.
func (c *Call) Coroutine(i int) *lua.State {
	if i <= c.args {
		if co, ok := c.l.ToValue(i).(*lua.State); ok {
			return co
		}
	}
	c.TypeError(i, "coroutine")
	return nil
}

// Shift drops argument 1, so that the others move up.
func (c *Call) Shift() {
	c.l.Remove(1)
	c.args--
}

// Rewrite puts what fn makes of them in place of the values of the list in
// argument i, in that very table.
func (c *Call) Rewrite(i int, fn func(v any) (any, error)) error {
	if i > c.args || c.l.TypeOf(i) != lua.TypeTable {
		c.TypeError(i, "table")
	}
	for k := 1; ; k++ {
		c.l.RawGetInt(i, k)
		v, err := c.vm.ToGo(c.l, -1)
		c.l.Pop(1)
		if v == nil || err != nil {
			return err
		}
		if v, err = fn(v); err != nil {
			return err
		}
		c.vm.Push(c.l, v)
		c.l.RawSetInt(i, k)
	}
}

// TypeError raises the error for argument i that is not of a wanted type, as
// in "string or table".
func (c *Call) TypeError(i int, want string) {
	c.ArgError(i, "%s expected, got %s", want, c.Type(i))
}

// Milliseconds is argument i, a whole number of milliseconds that are lo at least, as a
// duration.
func (c *Call) Milliseconds(i int, lo float64) time.Duration {
	ms := c.Number(i)
	if !(ms >= lo && ms <= math.MaxUint32) || ms != math.Trunc(ms) {
		c.ArgError(i, "whole milliseconds from %v to %v expected", lo, uint32(math.MaxUint32))
	}
	return time.Duration(ms) * time.Millisecond
}
