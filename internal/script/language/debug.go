package language

import (
	"math"

	lua "github.com/Shopify/go-lua"

	"kresd/internal/luavalue"
	"kresd/internal/script"
)

var debugFuncs = []script.Func{
	{Name: "getinfo", Args: "[coroutine,] level or function[, what]", Min: 1, Max: 3, Fn: debugGetinfo},
	{Name: "getlocal", Args: "[coroutine,] level, number", Min: 2, Max: 3, Fn: debugGetlocal},
	{Name: "setlocal", Args: "[coroutine,] level, number, value", Min: 3, Max: 4, Fn: debugSetlocal},
	// The machine's only hook is the one that ends evaluations. Packages set one
	// against endless loops, which end here anyway.
	{Name: "sethook", Args: "[hook, mask]", Max: 4, Fn: func(c *script.Call) error { return nil }},
	{Name: "gethook", Max: 1, Fn: func(c *script.Call) error { return nil }},
	{Name: "getfenv", Args: "function", Min: 1, Max: 1, Fn: baseGetfenv},
	{Name: "setfenv", Args: "function, table", Min: 2, Max: 2, Fn: baseSetfenv},
	{Name: "traceback", Args: "[coroutine,] [message[, level]]", Max: 3, Fn: debugTraceback},
	{Name: "setmetatable", Args: "value, table or nil", Min: 2, Max: 2, Fn: debugSetmetatable},
}

// debugGetinfo tells about a function, or about what runs at a level of the stack: the
// fields that the letters of the last argument stand for.
func debugGetinfo(c *script.Call) error {
	l, of := c.Stack(), threadStack(c)
	which := "Slnuf"
	if !c.IsNil(2) {
		which = c.String(2)
	}
	var d lua.Debug
	if c.NArgs() > 0 && l.TypeOf(1) == lua.TypeFunction {
		l.PushValue(1)
		d, _ = lua.Info(l, ">Slu", nil)
		l.PushValue(1)
	} else {
		f, ok := lua.Stack(of, c.OptInt(1, 0, math.MaxInt32, 1))
		if c.Need(1); !ok {
			return c.Return(nil)
		}
		d, _ = lua.Info(of, "Slnuf", f)
		if of != l {
			c.VM().Machine().Move(of, l, 1)
		}
	}
	return describe(c, d, which)
}

// describe returns what is known of the function on top of the stack.
func describe(c *script.Call, d lua.Debug, which string) error {
	fields, fn := &luavalue.Table{}, c.Stack().Top()
	for _, letter := range which {
		switch letter {
		case 'S':
			what, source, short, last := d.What, d.Source, d.ShortSource, d.LastLineDefined
			if what == "Go" {
				what, source, short, last = "C", "=[C]", "[C]", -1
			}
			fields.Add("what", what).Add("source", source).Add("short_src", short).
				Add("linedefined", d.LineDefined).Add("lastlinedefined", last)
		case 'l':
			fields.Add("currentline", d.CurrentLine)
		case 'n':
			if d.Name != "" {
				fields.Add("name", d.Name)
			}
			fields.Add("namewhat", d.NameKind)
		case 'u':
			fields.Add("nups", ownUpvalues(c.Stack(), d.UpValueCount)).Add("nparams", d.ParameterCount).Add("isvararg", d.IsVarArg)
		case 'f':
			fields.Add("func", c.VM().RefTo(c.Stack(), fn))
		case 'L':
			c.Stack().PushValue(fn)
			lua.Info(c.Stack(), ">L", nil)
			fields.Add("activelines", c.VM().RefTo(c.Stack(), -1))
		default:
			c.ArgError(2, "invalid option")
		}
	}
	return c.Return(fields)
}

// ownUpvalues is the number of upvalues of the function on top of the stack as Lua 5.1
// counts them, where the table of globals is none.
func ownUpvalues(l *lua.State, all int) int {
	if !l.IsGoFunction(-1) && environmentUpvalue(l) > 0 {
		all--
	}
	return all
}

// locals is the machine, patched: Local gives or assigns the n-th local variable of a
// frame of the stack of.
type locals interface {
	Local(of *lua.State, at lua.Frame, n int, assign bool) (name string, ok bool)
}

// debugGetlocal returns name and value of a local variable of a level of the stack.
func debugGetlocal(c *script.Call) error {
	of := threadStack(c)
	name, ok := any(c.Stack()).(locals).Local(of, frame(c, of), c.Int(2, math.MinInt32, math.MaxInt32), false)
	if !ok {
		return c.Return(nil)
	}
	c.Stack().PushString(name)
	c.Stack().Insert(-2)
	return c.ReturnFrom(c.Stack().Top() - 1)
}

// debugSetlocal assigns to one.
func debugSetlocal(c *script.Call) error {
	of := threadStack(c)
	frame, n := frame(c, of), c.Int(2, math.MinInt32, math.MaxInt32)
	c.Need(3)
	c.Stack().SetTop(3)
	name, ok := any(c.Stack()).(locals).Local(of, frame, n, true)
	if !ok {
		return c.Return(nil)
	}
	return c.Return(name)
}

// frame is the level of the stack that argument 1 names.
func frame(c *script.Call, of *lua.State) lua.Frame {
	frame, ok := lua.Stack(of, c.Int(1, 0, math.MaxInt32))
	if !ok {
		c.ArgError(1, "level out of range")
	}
	return frame
}

// debugSetmetatable sets the metatable of a value whatever the present one says.
// That of a basic type is common to all threads.
func debugSetmetatable(c *script.Call) error {
	l := c.Stack()
	if c.Need(1); c.NArgs() < 2 || !l.IsNil(2) && !l.IsTable(2) {
		c.TypeError(2, "nil or table")
	}
	switch l.TypeOf(1) {
	case lua.TypeTable, lua.TypeUserData:
		l.PushValue(2)
		l.SetMetaTable(1)
	default:
		c.VM().Machine().SetBasicMetaTable(l.ToValue(1), l.ToValue(2))
	}
	return c.Return(true)
}

// threadStack drops a coroutine in argument 1, and returns the stack to look at:
// that of the coroutine, or else the caller's.
func threadStack(c *script.Call) *lua.State {
	if c.Type(1) != "thread" {
		return c.Stack()
	}
	t := thread(c, 1)
	c.Shift()
	if stack := t.Stack(); stack != nil {
		return stack
	}
	return lua.NewState() // nothing is left of it
}

func debugTraceback(c *script.Call) error {
	l, level := c.Stack(), 1
	after := ""
	if c.Type(1) == "thread" {
		level, after = 0, thread(c, 1).Traceback()
	}
	of := threadStack(c)
	if !c.IsNil(1) && c.Type(1) != "string" && c.Type(1) != "number" {
		l.SetTop(1)
		return c.ReturnFrom(1)
	}
	message := c.OptString(1, "")
	if after != "" { // of the place where an error ended the coroutine
		if message != "" {
			message += "\n"
		}
		return c.Return(message + after)
	}
	lua.Traceback(l, of, message, c.OptInt(2, 0, math.MaxInt32, level))
	return c.ReturnFrom(l.Top())
}
