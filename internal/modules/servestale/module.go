package servestale

import (
	"kresd/internal/limits"
	"kresd/internal/module"
	"kresd/internal/resolve"
)

// Module is the module serve_stale. It uses what the cache knew, the driver,
// background tasks, the log, and functions of scripts.
func Module() module.Module {
	return module.Module{
		Name: "serve_stale", Open: open,
	}
}

// open makes an instance.
func open(h *module.Host) (*module.Instance, error) {
	s := &serveStale{host: h, further: map[question]int64{}, told: map[question]told{}, reasons: map[question]string{}}
	s.timeout.Store(int64(limits.StaleTimeout))
	return &module.Instance{
		Layer:   &resolve.Layer{Name: "serve_stale", Accept: s.accept, Produce: s.produce, Finalize: s.finalize},
		Options: []string{"timeout", "callback"}, Get: s.get, Set: s.set,
	}, nil
}
