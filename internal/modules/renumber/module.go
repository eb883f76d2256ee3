package renumber

import (
	"kresd/internal/module"
	"kresd/internal/resolve"
)

// Module is the module renumber. It uses nothing of the worker.
func Module() module.Module {
	return module.Module{
		Name: "renumber",
		Open: func(*module.Host) (*module.Instance, error) {
			n := &renumber{}
			n.now.Store(&inForce{})
			return &module.Instance{Layer: &resolve.Layer{Name: "renumber", Judge: n.judge}, Shape: n.shape, Config: n.config}, nil
		},
	}
}
