package view

import "kresd/internal/module"

// Module is the module view over these rules, which outlive its loading and unloading. It
// uses nothing of the worker.
func (v *View) Module() module.Module {
	return module.Module{
		Name: "view",
		Open: func(*module.Host) (*module.Instance, error) { return v.Open() },
	}
}
