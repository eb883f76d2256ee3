package timeskew

import (
	"kresd/internal/module"
	"kresd/internal/resolve"
	"kresd/internal/trustanchor"
)

// Config is what the module needs of the worker beside its Host.
type Config struct {
	// Anchors returns the trust anchors as they are at the call. The module asks nothing
	// while the root has none.
	Anchors func() *trustanchor.Snapshot
	// Leads tells whether this worker is the one of its group that tells the operator.
	Leads func() bool
}

// Module is the module detect_time_skew. It uses the clock, background tasks, the
// driver, the log and the cache, which it clears.
func Module(c Config) module.Module {
	return module.Module{
		Name: "detect_time_skew",
		Open: func(h *module.Host) (*module.Instance, error) {
			s := &skew{Config: c, host: h}
			s.plan(first)
			return &module.Instance{Layer: &resolve.Layer{Name: "detect_time_skew", Finalize: s.finalize}, Close: s.close}, nil
		},
	}
}
