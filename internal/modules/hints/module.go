package hints

import "kresd/internal/module"

// Module is the module hints. It uses the root hints of the worker.
func Module() module.Module {
	return module.Module{
		Name: "hints",
		Open: func(h *module.Host) (*module.Instance, error) { return Open(h.Roots, h.Files, h.Warn) },
	}
}
