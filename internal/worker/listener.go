package worker

import (
	"net/netip"

	"kresd/internal/bindings"
	"kresd/internal/listen"
)

// listener lets scripts open and close addresses.
type listener struct{ server *listen.Server }

// Listen implements bindings.Listener.
func (l listener) Listen(addr netip.AddrPort, freebind bool) error {
	err := l.server.Listen(addr, listen.Flags{UDP: true, TCP: true, FreeBind: freebind})
	return bindReason(err)
}

// Close implements bindings.Listener.
func (l listener) Close(addr netip.AddrPort) bool { return l.server.Close(addr) }

// Endpoints implements bindings.Listener.
func (l listener) Endpoints() []bindings.Endpoint {
	var list []bindings.Endpoint
	for _, e := range l.server.Endpoints() {
		list = append(list, bindings.Endpoint{Addr: e.Addr, UDP: e.Flags.UDP, TCP: e.Flags.TCP})
	}
	return list
}
