package priming

import (
	"kresd/internal/module"
	"kresd/internal/resolve"
)

// Module is the module priming. It uses the clock, background tasks, the log, the
// driver and the root hints.
func Module() module.Module {
	return module.Module{Name: "priming", Open: open}
}

// open makes an instance; it starts nothing yet.
func open(h *module.Host) (*module.Instance, error) {
	p := &priming{host: h}
	return &module.Instance{Layer: &resolve.Layer{Name: "priming", Checkout: p.checkout}}, nil
}
