package language

import (
	"errors"
	"strings"

	lua "github.com/Shopify/go-lua"

	"kresd/internal/luavalue"
	"kresd/internal/script"
)

// baseFuncs replace functions of the basic library.
var baseFuncs = []script.Func{
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

func baseAssert(c *script.Call) error {
	c.Need(1)
	if c.Stack().ToBoolean(1) {
		return c.ReturnFrom(1)
	}
	if c.NArgs() < 2 {
		return script.Usage("assertion failed!")
	}
	if text, ok := c.Stack().ToValue(2).(string); ok {
		return script.Usage(text)
	}
	c.Stack().SetTop(2)
	c.Stack().Error()
	return nil
}

// basePcall catches Lua errors, but not the end of the evaluation.
func basePcall(c *script.Call) error {
	c.Need(1)
	return protected(c, c.NArgs()-1, 0)
}

func baseXpcall(c *script.Call) error {
	c.Need(2)
	l := c.Stack()
	l.PushValue(1) // handler first, then the function and its arguments
	l.PushValue(2)
	l.Replace(1)
	l.Replace(2)
	return protected(c, c.NArgs()-2, 1)
}

func protected(c *script.Call, args, handler int) error {
	l := c.Stack()
	err := l.ProtectedCall(args, lua.MultipleReturns, handler)
	var i *script.Interrupt
	if errors.As(err, &i) {
		panic(i)
	}
	if err != nil {
		c.VM().Machine().CleanError(l, err)
	}
	if !l.CheckStack(lua.MinStack) {
		return errors.New("stack overflow")
	}
	l.PushBoolean(err == nil)
	l.Insert(handler + 1)
	return c.ReturnFrom(handler + 1)
}

func baseSelect(c *script.Call) error {
	c.Need(1)
	rest := c.NArgs() - 1
	if text, ok := c.Stack().ToValue(1).(string); ok && text == "#" {
		return c.Return(rest)
	}
	n := int(c.Number(1))
	if n < 0 {
		n += rest + 1
	}
	if n < 1 {
		c.ArgError(1, "index out of range")
	}
	return c.ReturnFrom(min(n, rest+1) + 1)
}

func baseTostring(c *script.Call) error {
	c.Need(1)
	if n, ok := c.Stack().ToValue(1).(float64); ok {
		return c.Return(luavalue.FormatNumber(n))
	}
	lua.ToStringMeta(c.Stack(), 1)
	return c.ReturnFrom(c.Stack().Top())
}

// baseTonumber reads text as Lua reads a number; in a base of its own digits only.
func baseTonumber(c *script.Call) error {
	c.Need(1)
	base := 10
	if !c.IsNil(2) {
		if base = int(c.Number(2)); base < 2 || base > 36 {
			c.ArgError(2, "base out of range")
		}
	}
	if base == 10 {
		if n, ok := c.Stack().ToNumber(1); ok {
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

func baseNewproxy(c *script.Call) error {
	l := c.Stack()
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
	return c.ReturnFrom(l.Top())
}

// baseType knows the values that are structures in C to scripts written for LuaJIT.
func baseType(c *script.Call) error {
	c.Need(1)
	if c.IsCData(1) {
		return c.Return("cdata")
	}
	return c.Return(c.Stack().TypeOf(1).String())
}

func baseUnpack(c *script.Call) error {
	const most = 8000 // as many as Lua 5.1 has room for
	c.NeedTable(1)
	l, from := c.Stack(), 1
	if !c.IsNil(2) {
		from = int(c.Number(2))
	}
	to := l.RawLength(1)
	if !c.IsNil(3) {
		to = int(c.Number(3))
	}
	if to-from >= most || from < to && to-from < 0 || !l.CheckStack(max(0, to-from)+lua.MinStack) {
		return script.Usage("too many results to unpack")
	}
	first := l.Top() + 1
	for i := from; i <= to; i++ {
		l.RawGetInt(1, i)
	}
	return c.ReturnFrom(first)
}

// Displayed is tostring(argument i).
func Displayed(l *lua.State, i int) string {
	if n, ok := l.ToValue(i).(float64); ok {
		return luavalue.FormatNumber(n)
	}
	text, _ := lua.ToStringMeta(l, i)
	l.Pop(1)
	return text
}
