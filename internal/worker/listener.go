package worker

import (
	"errors"
	"fmt"
	"net/netip"

	"kresd/internal/bindings"
	"kresd/internal/listen"
	"kresd/internal/logging"
	"kresd/internal/transport"
)

// listener lets scripts open and close addresses. It belongs to who has the Lua
// machine.
type listener struct {
	server *listen.Server
	places map[netip.AddrPort]string // where in the configuration an address was named
	failed error                     // why the first address that could not be bound was not
}

func newListener(server *listen.Server) *listener {
	return &listener{server: server, places: map[netip.AddrPort]string{}}
}

// Listen implements bindings.Listener.
func (l *listener) Listen(addr netip.AddrPort, kinds []transport.Kind, freebind bool, place string) (awaited bool, err error) {
	err = l.server.Listen(addr, listen.Flags{Kinds: kinds, FreeBind: freebind, Await: true})
	if err != nil {
		return false, bindReason(err)
	}
	if _, known := l.places[addr]; !known {
		l.places[addr] = place
	}
	return l.server.Awaits(addr), nil
}

// Failed implements bindings.Listener.
func (l *listener) Failed(err error) {
	if l.failed == nil {
		l.failed = err
	}
}

// named puts in front of err the place in the configuration that named its
// address.
func (l *listener) named(err error) error {
	var b *listen.BindError
	if place := ""; errors.As(err, &b) {
		if place = l.places[b.Addr]; place != "" {
			return fmt.Errorf("%s%w", place, err)
		}
	}
	return err
}

// Serves implements bindings.Listener.
func (l *listener) Serves(k transport.Kind) bool { return l.server.Serves(k) }

// Close implements bindings.Listener.
func (l *listener) Close(addr netip.AddrPort) bool { return l.server.Close(addr) }

// Endpoints implements bindings.Listener.
func (l *listener) Endpoints() []bindings.Endpoint {
	var list []bindings.Endpoint
	for _, e := range l.server.Endpoints() {
		list = append(list, bindings.Endpoint{Addr: e.Addr, Kind: e.Kind})
	}
	return list
}

// tellAppeared returns what tells, once in a group, that an awaited address is
// there.
func tellAppeared(log *logging.Logger, id int) func(netip.AddrPort, error) {
	return func(addr netip.AddrPort, err error) {
		switch {
		case err != nil:
			log.Error(fmt.Sprintf("an address has appeared and cannot be listened on: %v", err))
		case id == 0:
			log.Notice(fmt.Sprintf("listening on %s@%d, which has appeared", addr.Addr(), addr.Port()))
		}
	}
}
