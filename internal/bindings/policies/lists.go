package policies

import (
	"kresd/internal/rules"
	"kresd/internal/script"
)

// rpz makes a rule of a response policy zone.
func (p *policies) rpz(c *script.Call) error {
	watch, noData := rpzOptions(c)
	action := p.actionArg(c, 1)
	list, err := p.d.Policy.Lists.RPZ(c.Text(2), watch, noData)
	if err != nil {
		return err
	}
	return c.Return(&script.Handle{Class: p.rule, Value: &rules.Rule{Filter: rules.Listed(list), Action: action}})
}

// rpzOptions reads argument 3: whether the file is watched, or a table.
func rpzOptions(c *script.Call) (watch, noData bool) {
	if c.Type(3) != "table" {
		return c.OptBool(3, true), false
	}
	watch = true
	for _, pair := range c.Table(3).Pairs {
		on, is := pair.Value.(bool)
		switch {
		case is && pair.Key == "watch":
			watch = on
		case is && pair.Key == "nodata":
			noData = on
		default:
			c.ArgError(3, "true, false or { watch = boolean, nodata = boolean } expected")
		}
	}
	return watch, noData
}
