package bindings

import (
	"kresd/internal/luavalue"
	"kresd/internal/modules/policy"
	"kresd/internal/script"
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
