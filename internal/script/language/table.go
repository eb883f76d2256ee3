package language

import (
	"fmt"
	"math"
	"strings"

	"kresd/internal/luavalue"
	"kresd/internal/script"
)

var tableFuncs = []script.Func{
	{Name: "concat", Args: "list[, separator[, from[, to]]]", Min: 1, Max: 4, Fn: tableConcat},
	{Name: "insert", Args: "list, [position,] value", Min: 2, Max: 3, Fn: tableInsert},
	{Name: "remove", Args: "list[, position]", Min: 1, Max: 2, Fn: tableRemove},
	{Name: "getn", Args: "list", Min: 1, Max: 1, Fn: tableGetn},
	{Name: "maxn", Args: "table", Min: 1, Max: 1, Fn: tableMaxn},
	{Name: "unpack", Args: "list[, from[, to]]", Min: 1, Max: 3, Fn: baseUnpack},
	{Name: "foreach", Args: "table, function", Min: 2, Max: 2, Fn: tableForeach},
	{Name: "foreachi", Args: "list, function", Min: 2, Max: 2, Fn: tableForeachi},
}

func tableConcat(c *script.Call) error {
	c.NeedTable(1)
	l, sep := c.Stack(), c.OptString(2, "")
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
			b.WriteString(luavalue.FormatNumber(v))
		default:
			return script.Usage(fmt.Sprintf("invalid value (%s) at index %d in table for 'concat'", l.TypeOf(-1), i))
		}
		l.Pop(1)
		if i < to {
			b.WriteString(sep)
		}
		c.TooLong(b.Len())
	}
	return c.Return(b.String())
}

// tableInsert puts a value at the end, or in front of a place, which need not be in
// the list.
func tableInsert(c *script.Call) error {
	c.NeedTable(1)
	l, end := c.Stack(), c.Stack().RawLength(1)+1
	place := end
	switch c.NArgs() {
	case 2:
	case 3:
		place = placeAt(c, 2)
	default:
		return script.Usage("wrong number of arguments to 'insert'")
	}
	for i := end; i > place; i-- {
		l.RawGetInt(1, i-1)
		l.RawSetInt(1, i)
	}
	l.PushValue(c.NArgs())
	l.RawSetInt(1, place)
	return nil
}

// tableRemove returns nothing when there is nothing at the place.
func tableRemove(c *script.Call) error {
	c.NeedTable(1)
	l, size := c.Stack(), c.Stack().RawLength(1)
	place := size
	if !c.IsNil(2) {
		place = placeAt(c, 2)
	}
	if place < 1 || place > size {
		return nil
	}
	l.RawGetInt(1, place)
	for i := place; i < size; i++ {
		l.RawGetInt(1, i+1)
		l.RawSetInt(1, i)
	}
	l.PushNil()
	l.RawSetInt(1, size)
	return c.ReturnFrom(l.Top())
}

// placeAt is a number argument as an index; one that no list can have is a large one.
func placeAt(c *script.Call, i int) int {
	return int(max(math.MinInt32, min(math.MaxInt32, math.Trunc(c.Number(i)))))
}

func tableGetn(c *script.Call) error {
	c.NeedTable(1)
	return c.Return(c.Stack().RawLength(1))
}

func tableMaxn(c *script.Call) error {
	c.NeedTable(1)
	most := 0.0
	err := c.VM().EachPair(c.Stack(), 1, func() error {
		if n, ok := c.Stack().ToValue(-2).(float64); ok {
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
func tableForeach(c *script.Call) error {
	c.NeedTable(1)
	c.NeedFunction(2)
	l := c.Stack()
	for l.PushNil(); l.Next(1); l.Pop(1) {
		l.PushValue(2)
		l.PushValue(-3)
		l.PushValue(-3)
		if l.Call(2, 1); !l.IsNil(-1) {
			return c.ReturnFrom(l.Top())
		}
		l.Pop(1)
	}
	return nil
}

func tableForeachi(c *script.Call) error {
	c.NeedTable(1)
	c.NeedFunction(2)
	l := c.Stack()
	for i := 1; i <= l.RawLength(1); i++ {
		l.PushValue(2)
		l.PushInteger(i)
		l.RawGetInt(1, i)
		if l.Call(2, 1); !l.IsNil(-1) {
			return c.ReturnFrom(l.Top())
		}
		l.Pop(1)
	}
	return nil
}
