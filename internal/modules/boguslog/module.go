package boguslog

import (
	"kresd/internal/module"
	"kresd/internal/resolve"
	"kresd/internal/wire"
)

// Module is the module bogus_log. It uses the clock and the log.
func Module() module.Module {
	return module.Module{Name: "bogus_log", Open: func(h *module.Host) (*module.Instance, error) {
		b := newBogusLog(h)
		return &module.Instance{
			Layer: &resolve.Layer{Name: "bogus_log", Finalize: b.finalize},
			Functions: []module.Function{
				module.Call0("frequent",
					func() ([]any, error) { return []any{b.often.Table(wire.TypeText)}, nil }),
			},
		}, nil
	}}
}
