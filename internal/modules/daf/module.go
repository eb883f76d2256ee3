package daf

import (
	"fmt"

	"kresd/internal/module"
)

// Module is the module daf over these rules. It uses nothing of the worker but the rules of
// policy.
func (d *DAF) Module() module.Module {
	return module.Module{Name: "daf", Open: func(*module.Host) (*module.Instance, error) { return d.open(), nil }}
}

// open makes an instance.
func (d *DAF) open() *module.Instance {
	d.load(true)
	id := module.Whole("id", "the id of a rule", 0, 1<<31)
	on := module.Custom("true | false", func(v any) (any, error) {
		if _, ok := v.(bool); !ok && v != nil {
			return nil, fmt.Errorf("true or false expected")
		}
		return v, nil
	}).Or(nil)
	switched := func(to bool) func(float64) ([]any, error) {
		return func(id float64) ([]any, error) { return d.toggle(id, to) }
	}
	return &module.Instance{
		Config: d.configure,
		Functions: []module.Function{
			module.Call1("add", module.Text("rule", "a rule as text"), d.add),
			module.Call1("get", id, d.get),
			module.Call1("del", id, d.del),
			module.Call2("toggle", id, on, d.toggle),
			module.Call1("enable", id, switched(true)),
			module.Call1("disable", id, switched(false)),
			module.Call0("clear", d.clear),
		},
		Options: []string{"rules"},
		Get:     func(string) (any, error) { return d.rules(), nil },
		Set: func(key string, _ any) error {
			return fmt.Errorf("daf.%s cannot be assigned; daf.add adds a rule", key)
		},
		Close: func() { d.load(false) },
	}
}

// load puts the rules in force, or suspends them.
func (d *DAF) load(loaded bool) {
	d.loaded = loaded
	for _, r := range d.list {
		d.apply(r)
	}
}
