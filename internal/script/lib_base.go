package script

import (
	"errors"

	lua "github.com/Shopify/go-lua"
)

// baseFuncs replace functions of the basic library.
var baseFuncs = []Func{
	{Name: "assert", Args: "value[, message]", Min: 1, Fn: baseAssert},
	{Name: "pcall", Args: "function, ...", Min: 1, Fn: basePcall},
	{Name: "xpcall", Args: "function, handler, ...", Min: 2, Fn: baseXpcall},
	{Name: "select", Args: "n, ...", Min: 1, Fn: baseSelect},
	{Name: "tostring", Args: "value", Min: 1, Fn: baseTostring},
	{Name: "unpack", Args: "list[, from[, to]]", Min: 1, Max: 3, Fn: baseUnpack},
}

// multi returns the machine's values from index i on as they are.
func (c *Call) multi(i int) error {
	c.spread = i
	return nil
}

func baseAssert(c *Call) error {
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
func basePcall(c *Call) error { return protected(c, c.NArgs()-1, 0) }

func baseXpcall(c *Call) error {
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
		c.vm.cleanError(l, err)
	}
	if !l.CheckStack(lua.MinStack) {
		return errors.New("stack overflow")
	}
	l.PushBoolean(err == nil)
	l.Insert(handler + 1)
	return c.multi(handler + 1)
}

func baseSelect(c *Call) error {
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
	if n, ok := c.l.ToValue(1).(float64); ok {
		return c.Return(formatNumber(n))
	}
	lua.ToStringMeta(c.l, 1)
	return c.multi(c.l.Top())
}

func baseUnpack(c *Call) error {
	const most = 8000 // as many as Lua 5.1 has room for
	l := c.l
	if l.TypeOf(1) != lua.TypeTable {
		c.TypeError(1, "table")
	}
	from := 1
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
		return formatNumber(n)
	}
	text, _ := lua.ToStringMeta(l, i)
	l.Pop(1)
	return text
}
