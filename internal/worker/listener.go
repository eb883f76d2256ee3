package worker

import (
	"errors"
	"fmt"
	"io/fs"
	"net/netip"
	"os"
	"slices"

	"kresd/internal/bindings/network"
	"kresd/internal/ipc"
	"kresd/internal/listen"
	"kresd/internal/logging"
	"kresd/internal/transport"
)

// listener lets scripts open and close addresses. It belongs to who has the Lua
// machine.
type listener struct {
	server  *listen.Server
	secured func()            // told when an encrypted transport was opened
	places  map[string]string // where in the configuration an address or path was named
	failed  error             // why the first address that could not be bound was not
	refused error             // the same as the system said it, with the address; nil where it was not the system
}

func newListener(server *listen.Server, secured func()) *listener {
	return &listener{server: server, secured: secured, places: map[string]string{}}
}

// Listen implements network.Listener.
func (l *listener) Listen(addr netip.AddrPort, kinds []transport.Kind, freebind bool, place string) (awaited bool, err error) {
	err = l.server.Listen(addr, listen.Flags{Kinds: kinds, FreeBind: freebind, Await: true})
	if err != nil {
		if l.refused == nil {
			l.refused = err
		}
		return false, bindReason(err)
	}
	l.opened(addr.String(), kinds, place)
	return l.server.Awaits(addr), nil
}

// ListenPath implements network.Listener.
func (l *listener) ListenPath(path string, kinds []transport.Kind, mode fs.FileMode, place string) error {
	err := l.server.ListenPath(path, listen.PathFlags{Flags: listen.Flags{Kinds: kinds}, Mode: mode})
	if err != nil {
		return bindReason(err)
	}
	l.opened(path, kinds, place)
	return nil
}

// opened keeps the first place that names an address or a path.
func (l *listener) opened(name string, kinds []transport.Kind, place string) {
	if slices.ContainsFunc(kinds, transport.Kind.Secured) {
		l.secured()
	}
	if _, known := l.places[name]; !known {
		l.places[name] = place
	}
}

// Failed implements network.Listener.
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
		name := b.Path
		if name == "" {
			name = b.Addr.String()
		}
		if place = l.places[name]; place != "" {
			return fmt.Errorf("%s%w", place, err)
		}
	}
	return err
}

// Serves implements network.Listener.
func (l *listener) Serves(k transport.Kind) bool { return l.server.Serves(k) }

// Close implements network.Listener.
func (l *listener) Close(addr netip.AddrPort) bool { return l.server.Close(addr) }

// ClosePath implements network.Listener.
func (l *listener) ClosePath(path string) bool { return l.server.ClosePath(path) }

// Endpoints implements network.Listener.
func (l *listener) Endpoints() []network.Endpoint {
	var list []network.Endpoint
	for _, e := range l.server.Endpoints() {
		list = append(list, network.Endpoint{Addr: e.Addr, Path: e.Path, Kind: e.Kind})
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

// supervisorOf is the process that started this worker and its siblings, 0 for a process
// alone.
func supervisorOf(l *ipc.Link) int {
	if l == nil {
		return 0
	}
	return os.Getppid()
}

// quicDir is where workers pass each other packets of DNS over QUIC, in the run
// directory.
const quicDir = "quic"
