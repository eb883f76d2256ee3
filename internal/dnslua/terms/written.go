package terms

import (
	"errors"
	"fmt"

	"kresd/internal/dnsname"
	"kresd/internal/luavalue"
	"kresd/internal/resolve"
	"kresd/internal/script"
	"kresd/internal/wording"
)

// NameArg is the name that v, which stands in argument i, writes as text.
func NameArg(c *script.Call, i int, v any) dnsname.Name {
	text, ok := v.(string)
	if !ok {
		c.ArgError(i, "a name expected, got %s", script.TypeName(v))
	}
	name, err := dnsname.Parse(text)
	if err != nil {
		c.ArgError(i, "'%s' is no name: %v", wording.Printable(text), err)
	}
	return name
}

// WireName reads a whole name in wire form, as todname() gives it.
func WireName(text string) (dnsname.Name, error) {
	n, err := dnsname.FromWire([]byte(text))
	if err != nil || len(n) != len(text) {
		return "", fmt.Errorf("'%s' is no name in wire form; todname('%s') makes one", wording.Printable(text), wording.Printable(text))
	}
	return n, nil
}

// TypeArg is the type of records that v, which stands in argument i, names or numbers.
func TypeArg(c *script.Call, i int, v any) uint16 {
	switch v := v.(type) {
	case float64:
		if v >= 1 && v <= 0xffff && v == float64(uint16(v)) {
			return uint16(v)
		}
	case string:
		if n, ok := typeNumbers()[v]; ok {
			return uint16(n)
		}
		if n, ok := typeByNumber(v); ok && n > 0 {
			return uint16(n)
		}
	}
	c.ArgError(i, "a type expected, such as kres.type.AAAA or 'AAAA'")
	return 0
}

// FlagList are the flags of a name or a list of names, v, which stands in argument i.
func FlagList(c *script.Call, i int, v any) (o resolve.Options, ok bool) {
	list, err := TextList(v)
	if err != nil {
		return o, false
	}
	return named(c, i, list), true
}

// named are the flags of a list of names, which stands in argument i.
func named(c *script.Call, i int, list []string) (o resolve.Options) {
	for _, name := range list {
		one, ok := OptionByName(name)
		if !ok {
			c.ArgError(i, "unknown flag '%s'", name)
		}
		o = o.With(one)
	}
	return o
}

var errTextList = errors.New("text or a list of texts expected")

// TextList reads a text, or a list of texts.
func TextList(v any) (list []string, err error) {
	values := []any{v}
	if t, ok := v.(*luavalue.Table); ok {
		if values = t.Values(); len(values) != len(t.Pairs) {
			return nil, errTextList
		}
	}
	for _, v := range values {
		text, ok := v.(string)
		if !ok {
			return nil, errTextList
		}
		list = append(list, text)
	}
	return list, nil
}

// Truth reads a boolean, or a number, of which all but 0 are true.
func Truth(c *script.Call, i int) bool {
	if c.Type(i) == "number" {
		return c.Number(i) != 0
	}
	return c.Bool(i)
}
