package workarounds

import (
	"maps"

	"kresd/internal/module"
	"kresd/internal/resolve"
)

// Module is the module workarounds, whose options scripts call by names. It uses
// nothing of the worker.
func Module(names Names) module.Module {
	return module.Module{
		Name: "workarounds",
		Open: func(*module.Host) (*module.Instance, error) { return open(names), nil },
	}
}

// open makes an instance with the built-in rules.
func open(names Names) *module.Instance {
	w := &workarounds{names: names}
	r := maps.Clone(builtin)
	w.rules.Store(&r)
	return &module.Instance{
		Layer:  &resolve.Layer{Name: "workarounds", Produce: w.produce},
		Config: w.config,
		Functions: []module.Function{
			module.Call2("add", nameParam(), w.optionsParam(), w.add),
			module.Call1("del", nameParam(), w.del),
			module.Call0("list", w.list),
		},
	}
}
