package ddr

import (
	"net/netip"

	"kresd/internal/module"
	"kresd/internal/resolve"
	"kresd/internal/transport"
)

// An Endpoint is an address that is listened on by one kind of transport.
type Endpoint struct {
	Addr netip.AddrPort
	Kind transport.Kind
}

// Config is what the module knows of its worker.
type Config struct {
	// Endpoints are those that are served.
	Endpoints func() []Endpoint
	// Reaches tells whether what comes to an address reaches this machine, as far as it
	// can know.
	Reaches func(netip.Addr) bool
	// Unaddressed tells that who asks at local has used no address, as through a UNIX
	// socket.
	Unaddressed func(local netip.AddrPort) bool
	// Name is what this resolver is called, as text, and whether the operator has
	// given it a certificate.
	Name func() (name string, certified bool)
	// Path is where questions are answered by HTTPS.
	Path func() string
	// Minimises tells whether names are minimised (RFC 9156).
	Minimises func() bool
}

// Module is the module ddr. It uses the clock of its Host.
func Module(c Config) module.Module {
	return module.Module{
		Name: "ddr",
		Open: func(h *module.Host) (*module.Instance, error) {
			d := &ddr{Config: c, mono: h.Clock.Mono}
			d.forget()
			return &module.Instance{
				Layer:   &resolve.Layer{Name: "ddr", Begin: d.begin},
				Fast:    &module.Fast{Begin: d.fast},
				Options: []string{"announce", "infourl"}, Get: d.get, Set: d.set, Config: d.config,
			}, nil
		},
	}
}
