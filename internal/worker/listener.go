package worker

import (
	"net/netip"

	"kresd/internal/bindings"
	"kresd/internal/listen"
	"kresd/internal/transport"
)

// listener lets scripts open and close addresses.
type listener struct{ server *listen.Server }

// Listen implements bindings.Listener.
func (l listener) Listen(addr netip.AddrPort, kinds []transport.Kind, freebind bool) error {
	err := l.server.Listen(addr, listen.Flags{Kinds: kinds, FreeBind: freebind})
	return bindReason(err)
}

// Serves implements bindings.Listener.
func (l listener) Serves(k transport.Kind) bool { return l.server.Serves(k) }

// Close implements bindings.Listener.
func (l listener) Close(addr netip.AddrPort) bool { return l.server.Close(addr) }

// Endpoints implements bindings.Listener.
func (l listener) Endpoints() []bindings.Endpoint {
	var list []bindings.Endpoint
	for _, e := range l.server.Endpoints() {
		list = append(list, bindings.Endpoint{Addr: e.Addr, Kind: e.Kind})
	}
	return list
}
