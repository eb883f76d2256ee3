package language

import (
	"fmt"
	"strings"

	lua "github.com/Shopify/go-lua"

	"kresd/internal/luapattern"
	"kresd/internal/luavalue"
	"kresd/internal/script"
	"kresd/internal/wording"
)

var patternFuncs = []script.Func{
	{Name: "find", Args: "text, pattern[, from[, plain]]", Min: 2, Fn: stringFind},
	{Name: "match", Args: "text, pattern[, from]", Min: 2, Fn: stringMatch},
	{Name: "gmatch", Args: "text, pattern", Min: 2, Fn: stringGmatch},
	{Name: "gfind", Args: "text, pattern", Min: 2, Fn: stringGmatch},
	{Name: "gsub", Args: "text, pattern, replacement[, most]", Min: 3, Fn: stringGsub},
}

// from is the octet, counting from 0, at which a search begins: argument 3
// counts from 1, or backwards from the end.
func from(c *script.Call, text string) int {
	if c.IsNil(3) {
		return 0
	}
	n := c.Number(3)
	if n < 0 {
		n += float64(len(text)) + 1
	}
	if !(n >= 1) {
		return 0
	}
	return int(min(n-1, float64(len(text))))
}

func stringFind(c *script.Call) error {
	text, pattern := c.String(1), c.String(2)
	from := from(c, text)
	if luapattern.IsPlain(pattern) || c.NArgs() > 3 && c.Stack().ToBoolean(4) {
		at := strings.Index(text[from:], pattern)
		if at < 0 {
			return c.Return(nil)
		}
		return c.Return(from+at+1, from+at+len(pattern))
	}
	f, err := luapattern.Find(text, pattern, from)
	if err != nil || f == nil {
		return noMatch(c, err)
	}
	captures, err := f.Captures()
	return returnMatch(c, err, []any{f.Start + 1, f.End}, captures)
}

func stringMatch(c *script.Call) error {
	text := c.String(1)
	f, err := luapattern.Find(text, c.String(2), from(c, text))
	if err != nil || f == nil {
		return noMatch(c, err)
	}
	values, err := f.Values()
	return returnMatch(c, err, nil, values)
}

func noMatch(c *script.Call, err error) error {
	if err != nil {
		return script.Usage(err.Error())
	}
	return c.Return(nil)
}

func returnMatch(c *script.Call, err error, results []any, values []luapattern.Value) error {
	if err != nil {
		return script.Usage(err.Error())
	}
	for _, v := range values {
		results = append(results, captured(v))
	}
	return c.Return(results...)
}

func captured(v luapattern.Value) any {
	if v.IsPosition {
		return v.Position
	}
	return v.Text
}

func stringGmatch(c *script.Call) error {
	it := luapattern.NewIterator(c.String(1), c.String(2))
	next := script.Func{Name: "gmatch", Max: -1, Fn: func(c *script.Call) error {
		f, err := it.Next()
		if err != nil || f == nil {
			return noMatch(c, err)
		}
		values, err := f.Values()
		return returnMatch(c, err, nil, values)
	}}
	c.VM().PushFunc(c.Stack(), next)
	return c.ReturnFrom(c.Stack().Top())
}

func stringGsub(c *script.Call) error {
	text, pattern, most := c.String(1), c.String(2), -1
	if !c.IsNil(4) {
		most = int(max(0, min(c.Number(4), float64(len(text)+1))))
	}
	with := replacement(c)
	out, n, err := luapattern.Replace(text, pattern, most, with)
	if err != nil {
		return usageUnlessLua(err)
	}
	return c.Return(out, n)
}

func usageUnlessLua(err error) error {
	if e, ok := err.(luapattern.Error); ok {
		return script.Usage(e)
	}
	return err
}

// replacement makes a function of argument 3: a template, a function of the
// captures, or a table with the first capture as key.
func replacement(c *script.Call) func(*luapattern.Match) (string, bool, error) {
	l := c.Stack()
	switch l.TypeOf(3) {
	case lua.TypeString, lua.TypeNumber:
		template := c.String(3)
		return func(f *luapattern.Match) (string, bool, error) {
			text, err := f.Expand(template)
			return text, true, err
		}
	case lua.TypeFunction, lua.TypeTable:
		return func(f *luapattern.Match) (string, bool, error) { return replaceByValue(c, f) }
	}
	c.TypeError(3, "string/function/table")
	return nil
}

func replaceByValue(c *script.Call, f *luapattern.Match) (string, bool, error) {
	l := c.Stack()
	values, err := f.Values()
	if err != nil {
		return "", false, err
	}
	if l.TypeOf(3) == lua.TypeTable {
		c.VM().Push(l, captured(values[0]))
		l.Table(3)
	} else {
		l.PushValue(3)
		for _, v := range values {
			c.VM().Push(l, captured(v))
		}
		l.Call(len(values), 1)
	}
	v, kind := l.ToValue(-1), l.TypeOf(-1)
	l.Pop(1)
	switch v := v.(type) {
	case string:
		return v, true, nil
	case float64:
		return luavalue.FormatNumber(v), true, nil
	}
	if v == nil || v == false {
		return "", false, nil
	}
	return "", false, script.Usage(fmt.Sprintf("invalid replacement value (%s)", wording.WithArticle(kind.String())))
}
