// Package json has the libraries cjson, cjson.safe and dkjson of scripts: text of RFC
// 8259 for values and back. Text is read and quoted in Go; which values make which text
// is written in Lua, since it depends on metatables.
//
// Nesting and the size of strings are bounded; what cannot be read is told with its place.
package json

import (
	_ "embed" // parts of the libraries are files

	"kresd/internal/limits"
	"kresd/internal/script"
)

//go:embed cjson.lua
var cjson string

//go:embed dkjson.lua
var dkjson string

// Libraries are the ones that require gives as cjson, cjson.safe and dkjson.
func Libraries() []script.Library {
	return []script.Library{
		{Name: "cjson", Help: "values as JSON and back: encode, decode, null", Open: func(c *script.Call) (any, error) { return openCjson(c, false) }},
		{Name: "cjson.safe", Help: "cjson with nil and an error's text in place of errors", Open: func(c *script.Call) (any, error) { return openCjson(c, true) }},
		{Name: "dkjson", Help: "values as JSON and back: encode(value[, { indent = true }]), decode(text[, position[, null]])", Open: func(c *script.Call) (any, error) {
			return c.LibraryText("dkjson", dkjson, limits.LuaNesting)
		}},
	}
}

// openCjson makes cjson or cjson.safe, which have null and the marks of arrays in common.
func openCjson(c *script.Call, safe bool) (any, error) {
	const shared = "local core, class, text, safe = ... " +
		"local made = package.loaded['cjson.core'] " +
		"if not made then made = { new = load(text, '=cjson')(core, class) } package.loaded['cjson.core'] = made end " +
		"return made.new(safe)"
	null := &script.Handle{Class: &script.Class{Name: "userdata", Text: func(any) string { return "userdata: (nil)" }}}
	return c.LibraryText("cjson", shared, core(c), null, cjson, safe)
}

func core(c *script.Call) *script.Ref {
	return c.LibraryTable("json", []script.Func{
		{Name: "quote", Args: "text", Min: 1, Max: 1, Fn: func(c *script.Call) error { return c.Return(quote(c.String(1))) }},
		{Name: "decode", Args: "text, depth, invalid, null[, arrays]", Min: 4, Max: 5, Fn: decode},
	})
}

// decode returns the value of a text, or nil and what is wrong with it.
func decode(c *script.Call) error {
	p := &parser{text: c.String(1), most: min(c.Int(2, 1, 1<<31-1), limits.LuaNesting), invalid: c.Bool(3), null: c.Ref(4)}
	if !c.IsNil(5) {
		p.arrays = c.Ref(5)
	}
	v, err := p.whole()
	if err != nil {
		return c.Return(nil, err.Error())
	}
	return c.Return(v)
}

// quote writes a text as a string of JSON, as lua-cjson does: with "/" escaped, and
// octets that are no UTF-8 as they are.
func quote(text string) string {
	const hex, plain = "0123456789abcdef", 0
	out := make([]byte, 0, len(text)+2)
	out = append(out, '"')
	for _, octet := range []byte(text) {
		switch letter := escape(octet); letter {
		case plain:
			out = append(out, octet)
		case 'u':
			out = append(out, '\\', 'u', '0', '0', hex[octet>>4], hex[octet&15])
		default:
			out = append(out, '\\', letter)
		}
	}
	return string(append(out, '"'))
}

// escape is the letter behind the backslash for an octet, 0 for one that stands as it is.
func escape(octet byte) byte {
	switch octet {
	case '"', '\\', '/':
		return octet
	case '\b':
		return 'b'
	case '\f':
		return 'f'
	case '\n':
		return 'n'
	case '\r':
		return 'r'
	case '\t':
		return 't'
	case 0x7f:
		return 'u'
	}
	if octet < 0x20 {
		return 'u'
	}
	return 0
}
