package script

import (
	"math"

	lua "github.com/Shopify/go-lua"

	"kresd/internal/luavalue"
)

var debugFuncs = []Func{
	{Name: "getinfo", Args: "[coroutine,] level or function", Min: 1, Max: 3, Fn: debugGetinfo},
	{Name: "traceback", Args: "[coroutine,] [message[, level]]", Max: 3, Fn: debugTraceback},
	{Name: "setmetatable", Args: "value, table or nil", Min: 2, Max: 2, Fn: debugSetmetatable},
}

// fixDebug removes what the machine cannot do.
func (vm *VM) fixDebug(l *lua.State) {
	l.Global("debug")
	for _, name := range []string{"sethook", "gethook"} {
		l.PushNil()
		l.SetField(-2, name)
	}
	l.Pop(1)
}

// debugGetinfo tells where a level of the stack stands: source, short_src,
// currentline, linedefined, what. Others of its fields are absent.
func debugGetinfo(c *Call) error {
	l, of := c.l, c.threadStack()
	var d lua.Debug
	if c.NArgs() > 0 && l.TypeOf(1) == lua.TypeFunction {
		l.PushValue(1)
		d, _ = lua.Info(l, ">S", nil)
		d.CurrentLine = -1
	} else {
		f, ok := lua.Stack(of, c.OptInt(1, 0, math.MaxInt32, 1))
		if !ok {
			return c.Return(nil)
		}
		d, _ = lua.Info(of, "Sl", f)
	}
	t := (&luavalue.Table{}).Add("source", d.Source).Add("short_src", d.ShortSource).
		Add("currentline", d.CurrentLine).Add("linedefined", d.LineDefined).Add("what", d.What)
	return c.Return(t)
}

// debugSetmetatable sets the metatable of a value whatever the present one says.
// That of a basic type is common to all threads.
func debugSetmetatable(c *Call) error {
	l := c.l
	if !l.IsNil(2) && !l.IsTable(2) {
		c.TypeError(2, "nil or table")
	}
	switch l.TypeOf(1) {
	case lua.TypeTable, lua.TypeUserData:
		l.PushValue(2)
		l.SetMetaTable(1)
	default:
		c.vm.setBasicMetaTable(l.ToValue(1), l.ToValue(2))
	}
	l.SetTop(1)
	return c.multi(1)
}

// threadStack drops a coroutine in argument 1, and returns the stack to look at:
// that of the coroutine, or else the caller's.
func (c *Call) threadStack() *lua.State {
	if c.Type(1) != "thread" {
		return c.l
	}
	_, t := c.coroutine(1)
	c.Shift()
	if t.status == dead {
		return lua.NewState() // nothing is left of it
	}
	return t.l
}

func debugTraceback(c *Call) error {
	l, level := c.l, 1
	after := ""
	if c.Type(1) == "thread" {
		_, t := c.coroutine(1)
		level, after = 0, t.traceback
	}
	of := c.threadStack()
	if !c.IsNil(1) && c.Type(1) != "string" && c.Type(1) != "number" {
		l.SetTop(1)
		return c.multi(1)
	}
	message := c.OptString(1, "")
	if after != "" { // of the place where an error ended the coroutine
		if message != "" {
			message += "\n"
		}
		return c.Return(message + after)
	}
	lua.Traceback(l, of, message, c.OptInt(2, 0, math.MaxInt32, level))
	return c.multi(l.Top())
}
