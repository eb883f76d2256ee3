package bindings

import (
	"fmt"

	"kresd/internal/luavalue"
	"kresd/internal/script"
	"kresd/internal/wording"
)

// limitsFunc is worker.limits(): a table of hits by name, or in words what one of
// them counts.
func limitsFunc(d *Daemon) script.Func {
	return script.Func{
		Name: "limits", Args: "[name]", Max: 1,
		Fn: func(c *script.Call) error {
			if c.IsNil(1) {
				return c.Return(figures(d, LimitFigures))
			}
			name := c.Text(1)
			for _, l := range d.Metrics.Read(LimitFigures) {
				if l.Name == name {
					return c.Return(l.Help)
				}
			}
			return fmt.Errorf("worker.limits: there is no limit '%s'; worker.limits() lists them", wording.Printable(name))
		},
	}
}

// figures is a table of a group's values by name.
func figures(d *Daemon, group string) *luavalue.Table {
	t := &luavalue.Table{}
	for _, s := range d.Metrics.Read(group) {
		t.Add(s.Name, s.Value)
	}
	return t
}
