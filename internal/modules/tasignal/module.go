package tasignal

import (
	"kresd/internal/dnsname"
	"kresd/internal/module"
	"kresd/internal/resolve"
	"kresd/internal/trustanchor"
)

// Module is the module ta_signal_query. It uses the clock, background tasks and the
// driver. anchors returns the trust anchors as they are at the call.
func Module(anchors func() *trustanchor.Snapshot) module.Module {
	return module.Module{
		Name: "ta_signal_query",
		Open: func(h *module.Host) (*module.Instance, error) {
			s := &signal{host: h, anchors: anchors, sent: map[dnsname.Name]sent{}}
			return &module.Instance{Layer: &resolve.Layer{Name: "ta_signal_query", Consume: s.consume}}, nil
		},
	}
}
