package policy

import "kresd/internal/module"

// Module is the module policy over these rules, which outlive its loading and
// unloading. It uses nothing of the worker.
func (p *Policy) Module() module.Module {
	return module.Module{
		Name: "policy",
		Open: func(*module.Host) (*module.Instance, error) { return p.Open() },
	}
}
