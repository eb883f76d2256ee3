package bindings

import (
	"context"
	"fmt"
	"strconv"
	"strings"

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

// notNil refuses a nil that was written as the last argument: it was meant to be
// something, such as a constant that does not exist.
func notNil(c *script.Call, i int, expected string) {
	if c.NArgs() == i && c.IsNil(i) {
		c.ArgError(i, "%s, got nil", expected)
	}
}

// funcs is a list of functions, which reads better than a slice literal.
func funcs(list ...script.Func) []script.Func { return list }

// typeName is the name that scripts have for the type of a value.
func typeName(v any) string {
	switch v := v.(type) {
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
	case *script.Ref:
		return v.Type()
	}
	return "userdata" // a handle
}

// nameArg is the name that v, which stands in argument i, writes as text.
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

// optFunction is the function in argument i; nil where the argument is nil or left out.
func optFunction(c *script.Call, i int) *script.Ref {
	if c.IsNil(i) {
		return nil
	}
	return c.Function(i)
}

// functionValue is the function that stands under key in the table that is argument 1.
func functionValue(c *script.Call, key string, v any) *script.Ref {
	fn, ok := v.(*script.Ref)
	if !ok || fn.Type() != "function" {
		c.ArgError(1, "%s: a function expected", key)
	}
	return fn
}

// wireName reads a whole name in wire form, as todname() gives it.
func wireName(text string) (dnsname.Name, error) {
	n, err := dnsname.FromWire([]byte(text))
	if err != nil || len(n) != len(text) {
		return "", fmt.Errorf("'%s' is no name in wire form; todname('%s') makes one", printable(text), printable(text))
	}
	return n, nil
}

// printable shows octets that are no text by their numbers.
func printable(text string) string {
	quoted := strconv.QuoteToASCII(text[:min(len(text), 80)])
	return quoted[1 : len(quoted)-1]
}

// A missedConstant is the reading of a constant that does not exist: what a nil that
// leaves no trace in a table comes from.
type missedConstant struct {
	class, name string
	by          context.Context // of the command or file that read it
	at          string          // its place
}

func (m *missedConstant) note(c *script.Call, class, name string) {
	*m = missedConstant{class, name, c.Context(), c.Position()}
}

// in is the constant of a class that a call's table was to have, "" if none was read
// in vain where the table is written.
func (m *missedConstant) in(c *script.Call, class string) string {
	if m.class != class || m.by != c.Context() || lineOf(m.at) < lineOf(c.Position()) {
		return ""
	}
	return m.class + "." + m.name
}

// lineOf is the line of a place, "file:line: "; 0 for commands.
func lineOf(place string) int {
	place = strings.TrimSuffix(place, ": ")
	n, _ := strconv.Atoi(place[strings.LastIndexByte(place, ':')+1:])
	return n
}
