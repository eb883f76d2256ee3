package script

import (
	"errors"
	"strings"

	lua "github.com/Shopify/go-lua"

	"kresd/internal/luavalue"
)

// baseFuncs replace functions of the basic library.
var baseFuncs = []Func{
	{Name: "assert", Args: "value[, message]", Min: 1, Fn: baseAssert},
	{Name: "pcall", Args: "function, ...", Min: 1, Fn: basePcall},
	{Name: "xpcall", Args: "function, handler, ...", Min: 2, Fn: baseXpcall},
	{Name: "select", Args: "n, ...", Min: 1, Fn: baseSelect},
	{Name: "tostring", Args: "value", Min: 1, Fn: baseTostring},
	{Name: "tonumber", Args: "value[, base]", Min: 1, Fn: baseTonumber},
	{Name: "newproxy", Args: "[true or proxy]", Max: 1, Fn: baseNewproxy},
	{Name: "type", Args: "value", Max: -1, Fn: baseType},
	{Name: "unpack", Args: "list[, from[, to]]", Min: 1, Max: 3, Fn: baseUnpack},
}

// multi returns the machine's values from index i on as they are.
func (c *Call) multi(i int) error {
	c.spread = i
	return nil
}

func baseAssert(c *Call) error {
	c.need(1)
	if c.l.ToBoolean(1) {
		return c.multi(1)
	}
	if c.NArgs() < 2 {
		return Usage("assertion failed!")
	}
	if text, ok := c.l.ToValue(2).(string); ok {
		return Usage(text)
	}
	c.l.SetTop(2)
	c.l.Error()
	return nil
}

// basePcall catches Lua errors, but not the end of the evaluation.
func basePcall(c *Call) error {
	c.need(1)
	return protected(c, c.NArgs()-1, 0)
}

func baseXpcall(c *Call) error {
	c.need(2)
	l := c.l
	l.PushValue(1) // handler first, then the function and its arguments
	l.PushValue(2)
	l.Replace(1)
	l.Replace(2)
	return protected(c, c.NArgs()-2, 1)
}

func protected(c *Call, args, handler int) error {
	l := c.l
	err := l.ProtectedCall(args, lua.MultipleReturns, handler)
	var i *Interrupt
	if errors.As(err, &i) {
		panic(i)
	}
	if err != nil {
		c.vm.m.CleanError(l, err)
	}
	if !l.CheckStack(lua.MinStack) {
		return errors.New("stack overflow")
	}
	l.PushBoolean(err == nil)
	l.Insert(handler + 1)
	return c.multi(handler + 1)
}

func baseSelect(c *Call) error {
	c.need(1)
	rest := c.NArgs() - 1
	if text, ok := c.l.ToValue(1).(string); ok && text == "#" {
		return c.Return(rest)
	}
	n := int(c.Number(1))
	if n < 0 {
		n += rest + 1
	}
	if n < 1 {
		c.ArgError(1, "index out of range")
	}
	return c.multi(min(n, rest+1) + 1)
}

func baseTostring(c *Call) error {
	c.need(1)
	if n, ok := c.l.ToValue(1).(float64); ok {
		return c.Return(luavalue.FormatNumber(n))
	}
	lua.ToStringMeta(c.l, 1)
	return c.multi(c.l.Top())
}

// need raises the error for an argument that was left out.
func (c *Call) need(i int) {
	if c.NArgs() < i {
		c.ArgError(i, "value expected")
	}
}

func (c *Call) needFunction(i int) {
	if c.NArgs() < i || c.l.TypeOf(i) != lua.TypeFunction {
		c.TypeError(i, "function")
	}
}

func (c *Call) needTable(i int) {
	if c.NArgs() < i || c.l.TypeOf(i) != lua.TypeTable {
		c.TypeError(i, "table")
	}
}

// baseTonumber reads text as Lua reads a number; in a base of its own digits only.
func baseTonumber(c *Call) error {
	c.need(1)
	base := 10
	if !c.IsNil(2) {
		if base = int(c.Number(2)); base < 2 || base > 36 {
			c.ArgError(2, "base out of range")
		}
	}
	if base == 10 {
		if n, ok := c.l.ToNumber(1); ok {
			return c.Return(n)
		}
		return c.Return(nil)
	}
	digits := strings.ToLower(strings.Trim(c.String(1), " \t\n\v\f\r"))
	digits, negative := strings.CutPrefix(digits, "-")
	n, sign := 0.0, 1.0
	if negative {
		sign = -1
	}
	for _, d := range []byte(digits) {
		at := strings.IndexByte("0123456789abcdefghijklmnopqrstuvwxyz"[:base], d)
		if at < 0 {
			return c.Return(nil)
		}
		n = n*float64(base) + float64(at)
	}
	if digits == "" {
		return c.Return(nil)
	}
	return c.Return(sign * n)
}

// A proxy is a userdata of a script's own: nothing but what has a metatable.
type proxy struct{ _ byte }

func baseNewproxy(c *Call) error {
	l := c.l
	switch _, isProxy := l.ToUserData(1).(*proxy); {
	case isProxy && c.NArgs() > 0:
		l.PushUserData(&proxy{})
		l.MetaTable(1)
		l.SetMetaTable(-2)
	case c.IsNil(1) || !l.ToBoolean(1):
		l.PushUserData(&proxy{})
	case c.Type(1) == "boolean":
		l.PushUserData(&proxy{})
		l.NewTable()
		l.SetMetaTable(-2)
	default:
		c.TypeError(1, "boolean or proxy")
	}
	return c.multi(l.Top())
}

// baseType knows the values that are structures in C to scripts written for LuaJIT.
func baseType(c *Call) error {
	c.need(1)
	if h := handleAt(c.l, 1); h != nil && h.Class.CData {
		return c.Return("cdata")
	}
	return c.Return(c.l.TypeOf(1).String())
}

func baseUnpack(c *Call) error {
	const most = 8000 // as many as Lua 5.1 has room for
	c.needTable(1)
	l, from := c.l, 1
	if !c.IsNil(2) {
		from = int(c.Number(2))
	}
	to := l.RawLength(1)
	if !c.IsNil(3) {
		to = int(c.Number(3))
	}
	if to-from >= most || from < to && to-from < 0 || !l.CheckStack(max(0, to-from)+lua.MinStack) {
		return Usage("too many results to unpack")
	}
	first := l.Top() + 1
	for i := from; i <= to; i++ {
		l.RawGetInt(1, i)
	}
	return c.multi(first)
}

// displayed is tostring(argument i).
func displayed(l *lua.State, i int) string {
	if n, ok := l.ToValue(i).(float64); ok {
		return luavalue.FormatNumber(n)
	}
	text, _ := lua.ToStringMeta(l, i)
	l.Pop(1)
	return text
}
