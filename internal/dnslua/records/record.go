package records

import (
	"fmt"

	"kresd/internal/dnslua/message"
	"kresd/internal/dnslua/terms"
	"kresd/internal/luavalue"
	"kresd/internal/modules/policy"
	"kresd/internal/script"
	"kresd/internal/wire"
)

// Table is a record as packet:section() lists it.
func Table(rr wire.RR) *luavalue.Table {
	return (&luavalue.Table{}).Add("owner", string(rr.Owner)).Add("ttl", float64(rr.TTL)).Add("class", float64(rr.Class)).
		Add("type", float64(rr.Type)).Add("rdata", string(rr.RData))
}

// recordOf reads such a table, in which the class may be missing, and so may type and TTL,
// which are 0 then.
func recordOf(t *luavalue.Table) (rr wire.RR, err error) {
	number := func(field string, absent, most float64) float64 {
		switch n := t.Get(field).(type) {
		case nil:
			return absent
		case float64:
			if n >= 0 && n <= most && n == float64(uint32(n)) {
				return n
			}
		}
		err = fmt.Errorf("the field '%s' of a record is a number from 0 to %.0f", field, most)
		return 0
	}
	text := func(field string) string {
		s, ok := t.Get(field).(string)
		if !ok {
			err = fmt.Errorf("the field '%s' of a record is text in wire form", field)
		}
		return s
	}
	rr = wire.RR{
		Type: uint16(number("type", 0, 0xffff)), Class: uint16(number("class", float64(wire.ClassIN), 0xffff)),
		TTL: uint32(number("ttl", 0, message.MaxTTL)), RData: []byte(text("rdata")),
	}
	owner := text("owner")
	if err != nil {
		return rr, err
	}
	if rr.Owner, err = terms.WireName(owner); err == nil && len(rr.RData) > message.MaxRData {
		err = fmt.Errorf("RDATA of more than %d octets", message.MaxRData)
	}
	return rr, err
}

// recordText is kres.rr2str: the text of a record such as packet:section() lists.
func recordText(c *script.Call) error {
	t := c.Table(1)
	rr, err := recordOf(t)
	if err != nil {
		c.ArgError(1, "%v", err)
	}
	line := styleArg(c, 2).Line(rr)
	if comment, ok := t.Get("comment").(string); ok {
		line += " ;" + comment
	}
	return c.Return(line)
}

// parseRData is kres.parse_rdata: RDATA in wire form of texts such as 'A
// 192.0.2.1', in the order of the table.
func parseRData(c *script.Call) error {
	var out []any
	for i, v := range c.Table(1).Values() {
		text, ok := v.(string)
		if !ok {
			c.ArgError(1, "entry %d is no text", i+1)
		}
		data, err := policy.ParseData(text)
		if err != nil {
			c.ArgError(1, "'%s': %v", text, err)
		}
		out = append(out, string(data))
	}
	return c.Return(luavalue.List(out...))
}
