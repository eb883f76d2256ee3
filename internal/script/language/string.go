package language

import (
	"strings"

	"kresd/internal/script"
)

// stringFuncs replace functions that take octets for letters of Unicode, or
// that ask for as much memory as a script says.
var stringFuncs = []script.Func{
	{Name: "format", Args: "format, ...", Min: 1, Fn: func(c *script.Call) error { return c.Return(Format(c, 1)) }},
	{Name: "lower", Args: "text", Min: 1, Fn: func(c *script.Call) error { return c.Return(mapOctets(c.String(1), 'A', 'Z', 'a'-'A')) }},
	{Name: "upper", Args: "text", Min: 1, Fn: func(c *script.Call) error { return c.Return(mapOctets(c.String(1), 'a', 'z', 'A'-'a')) }},
	{Name: "char", Args: "...", Max: -1, Fn: stringChar},
	{Name: "rep", Args: "text, n[, separator]", Min: 2, Fn: stringRep},
	{Name: "reverse", Args: "text", Min: 1, Fn: stringReverse},
	{Name: "dump", Args: "function", Max: -1, Fn: func(*script.Call) error {
		return script.Usage("unable to dump given function: bytecode is not supported")
	}},
}

// mapOctets adds shift to each octet from lo to hi.
func mapOctets(text string, lo, hi byte, shift int) string {
	b := []byte(text)
	for i, c := range b {
		if lo <= c && c <= hi {
			b[i] = byte(int(c) + shift)
		}
	}
	return string(b)
}

func stringChar(c *script.Call) error {
	b := make([]byte, c.NArgs())
	for i := range b {
		n := c.Number(i + 1)
		if !(n > -1 && n < 256) {
			c.ArgError(i+1, "invalid value")
		}
		b[i] = byte(n)
	}
	return c.Return(string(b))
}

func stringReverse(c *script.Call) error {
	b := []byte(c.String(1))
	for i, j := 0, len(b)-1; i < j; i, j = i+1, j-1 {
		b[i], b[j] = b[j], b[i]
	}
	return c.Return(string(b))
}

func stringRep(c *script.Call) error {
	text, n, sep := c.String(1), c.Number(2), c.OptString(3, "")
	size := n * float64(len(text)+len(sep))
	if !(n >= 1) || size == 0 {
		return c.Return("")
	}
	if size > 1<<40 {
		size = 1 << 40 // a conversion beyond int is undefined
	}
	c.TooLong(int(size))
	return c.Return(strings.Repeat(text+sep, int(n)-1) + text)
}
