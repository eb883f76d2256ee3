package dns64

import (
	"sync/atomic"

	"kresd/internal/module"
	"kresd/internal/resolve"
)

// Config is what the module knows of its worker.
type Config struct {
	// Disabled is the option that a rule gives to clients for whom nothing is made up.
	Disabled resolve.Options
}

type dns64 struct {
	disabled resolve.Options
	now      atomic.Pointer[options]
}

// Module is the module dns64. It uses nothing of the worker.
func Module(c Config) module.Module {
	return module.Module{
		Name: "dns64",
		Open: func(*module.Host) (*module.Instance, error) {
			d := &dns64{disabled: c.Disabled}
			if err := d.config(nil); err != nil {
				return nil, err
			}
			return &module.Instance{
				Layer:  &resolve.Layer{Name: "dns64", Consume: d.consume, Own: d.own, Judge: d.judge},
				Fast:   &module.Fast{Own: d.fast},
				Shape:  func() uint64 { return d.now.Load().shape },
				Config: d.config,
			}, nil
		},
	}
}

// config takes a prefix or a table, in the place of what was before.
func (d *dns64) config(value any) error {
	o, err := optionsOf(value)
	if err == nil {
		d.now.Store(o)
	}
	return err
}
