package taupdate

import (
	"kresd/internal/logging"
	"kresd/internal/module"
	"kresd/internal/trustanchor"
)

// Config is what the module needs of the worker beside its Host.
type Config struct {
	Store *trustanchor.Store
	// Leads tells whether this worker is the one of its group that watches what is not
	// kept up to date.
	Leads func() bool
	Log   *logging.Logger
}

// Module is the module ta_update. It uses the clock, background tasks, the driver,
// and functions of scripts.
func Module(c Config) module.Module {
	return module.Module{
		Name: "ta_update",
		Open: func(h *module.Host) (*module.Instance, error) {
			f := newFollower(c, h)
			f.open()
			return &module.Instance{
				Options: []string{"hold_down_time", "refresh_time", "keep_removed", "cb_unmanagedkey_change"}, Get: f.get, Set: f.set, Close: f.close,
			}, nil
		},
	}
}
