package bindings

import (
	"fmt"

	"kresd/internal/luavalue"
	"kresd/internal/script"
)

// limitsFunc is worker.limits(): a table of hits by name, or in words what one of
// them counts.
func limitsFunc(d *Daemon) script.Func {
	return script.Func{
		Name: "limits", Args: "[name]", Max: 1,
		Help: "how often each limit was hit, by name; with a name, what is counted there",
		Fn: func(c *script.Call) error {
			if c.IsNil(1) {
				t := &luavalue.Table{}
				for _, l := range d.Process.Limits() {
					t.Add(l.Name, float64(l.Hits))
				}
				return c.Return(t)
			}
			name := c.String(1)
			for _, l := range d.Process.Limits() {
				if l.Name == name {
					return c.Return(l.Means)
				}
			}
			return fmt.Errorf("there is no limit '%s'", name)
		},
	}
}
