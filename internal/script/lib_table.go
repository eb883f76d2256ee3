package script

import (
	"fmt"
	"strings"

	lua "github.com/Shopify/go-lua"
)

var tableFuncs = []Func{
	{Name: "concat", Args: "list[, separator[, from[, to]]]", Min: 1, Max: 4, Fn: tableConcat},
	{Name: "getn", Args: "list", Min: 1, Max: 1, Fn: tableGetn},
	{Name: "maxn", Args: "table", Min: 1, Max: 1, Fn: tableMaxn},
	{Name: "unpack", Args: "list[, from[, to]]", Min: 1, Max: 3, Fn: baseUnpack},
	{Name: "foreach", Args: "table, function", Min: 2, Max: 2, Fn: tableForeach},
	{Name: "foreachi", Args: "list, function", Min: 2, Max: 2, Fn: tableForeachi},
}

func (c *Call) needTable(i int) {
	if c.NArgs() < i || c.l.TypeOf(i) != lua.TypeTable {
		c.TypeError(i, "table")
	}
}

func tableConcat(c *Call) error {
	c.needTable(1)
	l, sep := c.l, c.OptString(2, "")
	from, to := 1, l.RawLength(1)
	if !c.IsNil(3) {
		from = int(c.Number(3))
	}
	if !c.IsNil(4) {
		to = int(c.Number(4))
	}
	var b strings.Builder
	for i := from; i <= to; i++ {
		l.RawGetInt(1, i)
		switch v := l.ToValue(-1).(type) {
		case string:
			b.WriteString(v)
		case float64:
			b.WriteString(formatNumber(v))
		default:
			return Usage(fmt.Sprintf("invalid value (%s) at index %d in table for 'concat'", l.TypeOf(-1), i))
		}
		l.Pop(1)
		if i < to {
			b.WriteString(sep)
		}
		c.tooLong(b.Len())
	}
	return c.Return(b.String())
}

func tableGetn(c *Call) error {
	c.needTable(1)
	return c.Return(c.l.RawLength(1))
}

func tableMaxn(c *Call) error {
	c.needTable(1)
	most := 0.0
	err := c.vm.eachPair(c.l, 1, func() error {
		if n, ok := c.l.ToValue(-2).(float64); ok {
			most = max(most, n)
		}
		return nil
	})
	if err != nil {
		return err
	}
	return c.Return(most)
}

// tableForeach is of Lua 5.0, still there in 5.1: it stops at the first result
// that is not nil and returns it.
func tableForeach(c *Call) error {
	c.needTable(1)
	l := c.l
	for l.PushNil(); l.Next(1); l.Pop(1) {
		l.PushValue(2)
		l.PushValue(-3)
		l.PushValue(-3)
		if l.Call(2, 1); !l.IsNil(-1) {
			return c.multi(l.Top())
		}
		l.Pop(1)
	}
	return nil
}

func tableForeachi(c *Call) error {
	c.needTable(1)
	l := c.l
	for i := 1; i <= l.RawLength(1); i++ {
		l.PushValue(2)
		l.PushInteger(i)
		l.RawGetInt(1, i)
		if l.Call(2, 1); !l.IsNil(-1) {
			return c.multi(l.Top())
		}
		l.Pop(1)
	}
	return nil
}
