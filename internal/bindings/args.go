package bindings

import (
	"strconv"

	"kresd/internal/dnsname"
	"kresd/internal/luavalue"
	"kresd/internal/script"
)

// text is a string argument. A number does not count as its text: what these
// functions take is a name, an address or a path.
func text(c *script.Call, i int) string {
	if c.Type(i) != "string" {
		c.TypeError(i, "string")
	}
	return c.String(i)
}

// funcs reads better than a slice literal where functions are listed.
func funcs(list ...script.Func) []script.Func { return list }

// typeName is the type of a value by its name in scripts.
func typeName(v any) string {
	switch v.(type) {
	case nil:
		return "nil"
	case bool:
		return "boolean"
	case float64:
		return "number"
	case string:
		return "string"
	case *luavalue.Table:
		return "table"
	}
	return "function"
}

// nameArg is a name as text.
func nameArg(c *script.Call, i int, v any) dnsname.Name {
	text, ok := v.(string)
	if !ok {
		c.ArgError(i, "a name expected, got %s", typeName(v))
	}
	name, err := dnsname.Parse(text)
	if err != nil {
		c.ArgError(i, "'%s' is no name: %v", printable(text), err)
	}
	return name
}

func optFunction(c *script.Call, i int) *script.Ref {
	if c.IsNil(i) {
		return nil
	}
	return c.Function(i)
}

func functionValue(c *script.Call, key string, v any) *script.Ref {
	fn, ok := v.(*script.Ref)
	if !ok || fn.Type() != "function" {
		c.ArgError(1, "%s: a function expected", key)
	}
	return fn
}

// printable shows octets that are no text by their numbers.
func printable(text string) string {
	quoted := strconv.QuoteToASCII(text[:min(len(text), 80)])
	return quoted[1 : len(quoted)-1]
}
