package tasentinel

import (
	"kresd/internal/module"
	"kresd/internal/resolve"
	"kresd/internal/trustanchor"
)

// Module is the module ta_sentinel. It uses nothing of its Host; anchors are the
// trust anchors as of then.
func Module(anchors func() *trustanchor.Snapshot) module.Module {
	return module.Module{
		Name: "ta_sentinel",
		Open: func(*module.Host) (*module.Instance, error) {
			s := sentinel{anchors}
			return &module.Instance{
				Layer: &resolve.Layer{Name: "ta_sentinel", Finalize: s.finalize},
				Fast:  &module.Fast{Begin: fast},
			}, nil
		},
	}
}
