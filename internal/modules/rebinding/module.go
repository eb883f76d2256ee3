package rebinding

import (
	"kresd/internal/module"
	"kresd/internal/resolve"
)

// Module is the module rebinding. It uses the log.
func Module() module.Module {
	return module.Module{
		Name: "rebinding",
		Open: func(h *module.Host) (*module.Instance, error) {
			b := &rebinding{host: h}
			return &module.Instance{Layer: &resolve.Layer{Name: "rebinding", Begin: b.begin, Judge: b.judge}, Shape: shape}, nil
		},
	}
}
