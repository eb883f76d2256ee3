package records

import (
	"kresd/internal/dnslua/message"
	"kresd/internal/luavalue"
	"kresd/internal/script"
)

// styleArg is the style in argument i: a table with the fields of a knot_dump_style_t, of
// which those that are missing are as usual.
func styleArg(c *script.Call, i int) message.Style {
	s := message.Usual()
	if c.IsNil(i) {
		return s
	}
	fields := s.Fields()
	for _, p := range c.Table(i).Pairs {
		name, _ := p.Key.(string)
		on, isBool := p.Value.(bool)
		switch to := fields[name]; {
		case !isBool:
			c.ArgError(i, "style: the field '%v' is true or false", p.Key)
		case to != nil:
			*to = on
		case name == "original_ttl": // records here have no other
		case (name == "wrap" || name == "verbose" || name == "empty_ttl"):
			if on {
				c.ArgError(i, "style: '%s' is not in this version; a record is one line with all its parts", name)
			}
		default:
			c.ArgError(i, "style: there is no field '%v'; there are generic, hide_crypto, human_timestamp, human_ttl, show_class, show_ttl", p.Key)
		}
	}
	return s
}

// StyleTable is what ffi.new makes of the type knot_dump_style_t: a style, with the fields
// of the table in argument 2 where that is given.
func StyleTable(c *script.Call) *luavalue.Table {
	s, t := styleArg(c, 2), &luavalue.Table{}
	for name, on := range s.Fields() {
		t.Add(name, *on)
	}
	return t
}
