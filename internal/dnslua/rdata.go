package dnslua

import (
	"kresd/internal/luavalue"
	"kresd/internal/modules/policy"
	"kresd/internal/script"
	"kresd/internal/wire"
)

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

// recordText is kres.rr2str: the text of a record such as packet:section() lists.
func recordText(c *script.Call) error {
	t := c.Table(1)
	number := func(field string, absent, most float64) float64 {
		switch n := t.Get(field).(type) {
		case nil:
			return absent
		case float64:
			if n >= 0 && n <= most && n == float64(uint32(n)) {
				return n
			}
		}
		c.ArgError(1, "the field '%s' of a record is a number from 0 to %.0f", field, most)
		return 0
	}
	text := func(field string) string {
		s, ok := t.Get(field).(string)
		if !ok {
			c.ArgError(1, "the field '%s' of a record is text in wire form", field)
		}
		return s
	}
	owner, err := WireName(text("owner"))
	if err != nil {
		c.ArgError(1, "%v", err)
	}
	data := text("rdata")
	if len(data) > 0xffff {
		c.ArgError(1, "RDATA of more than 65535 octets")
	}
	set := wire.RRset{
		Owner: owner, Type: uint16(number("type", 0, 0xffff)), Class: uint16(number("class", float64(wire.ClassIN), 0xffff)), TTL: uint32(number("ttl", 0, 1<<31-1)),
	}
	return c.Return(policy.RecordText(set, []byte(data)))
}
