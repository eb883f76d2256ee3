package listen

import (
	"errors"
	"net/netip"
	"slices"

	"golang.org/x/sys/unix"

	"kresd/internal/limits"
)

// start binds a group of endpoints, which have one address, and serves them, all
// or none. Port 0 becomes a port that is free for all of them.
func (s *Server) start(group []*endpoint) error {
	err := s.startOnce(group)
	for tries := 0; err != nil && group[0].Addr.Port() == 0 && errors.Is(err, unix.EADDRINUSE) && tries < limits.FreePortTries; tries++ {
		err = s.startOnce(group)
	}
	return err
}

// startOnce binds what receives datagrams first, so that who finds the port open for
// streams, and takes that for readiness, finds it open for datagrams too. A UDP
// socket that is closed again because the other kind failed would lose what has
// come into it; so the other is tried before. Served are they in the same order,
// because accepting cannot fail.
func (s *Server) startOnce(group []*endpoint) error {
	if len(group) == 0 {
		return nil
	}
	addr := group[0].Addr
	group = datagramsFirst(group)
	if err := s.bind.probeTCP(addr, flagsOf(group)); err != nil {
		return bindError(addr, err)
	}
	var sockets []boundSocket
	abandon := func(err error) error {
		for _, b := range sockets {
			b.close()
		}
		return bindError(addr, err)
	}
	for _, e := range group {
		b, err := s.bind.endpoint(addr, e.Endpoint)
		if err != nil {
			return abandon(err)
		}
		sockets = append(sockets, b)
		addr = netip.AddrPortFrom(addr.Addr(), b.port)
	}
	for _, e := range group {
		b := sockets[0]
		sockets = sockets[1:]
		if err := s.serve(e, b, place{addr: addr, wildcard: addr.Addr().IsUnspecified()}); err != nil {
			return abandon(err)
		}
	}
	for _, e := range group {
		e.Addr = addr
	}
	return nil
}

// flagsOf are the flags by which a group of endpoints was asked for.
func flagsOf(group []*endpoint) Flags {
	f := Flags{FreeBind: group[0].FreeBind}
	for _, e := range group {
		f.Kinds = append(f.Kinds, e.Kind)
	}
	return f
}

// serve begins to serve e on a socket, and takes the socket, whatever it returns.
func (s *Server) serve(e *endpoint, b boundSocket, at place) (err error) {
	if b.listener != nil {
		e.socket = s.startAccepting(e.Kind, b.listener, at)
		return nil
	}
	e.socket, err = s.protocols[e.Kind].datagrams(s, b.fd, at)
	return err
}

// datagramsFirst orders endpoints by their network.
func datagramsFirst(group []*endpoint) []*endpoint {
	datagrams := func(e *endpoint) int {
		if e.Kind.Network() == "udp" {
			return 0
		}
		return 1
	}
	return slices.SortedStableFunc(slices.Values(group), func(a, b *endpoint) int { return datagrams(a) - datagrams(b) })
}

// A boundSocket is bound and not served yet.
type boundSocket struct {
	port     uint16
	listener streamListener // nil: a UDP socket
	fd       int            // of a UDP socket
}

func (b boundSocket) close() {
	if b.listener != nil {
		b.listener.Close()
	} else {
		unix.Close(b.fd)
	}
}

// endpoint makes the socket of one endpoint, at the given address.
func (b binder) endpoint(addr netip.AddrPort, e Endpoint) (boundSocket, error) {
	if e.Kind.Network() == "tcp" {
		ln, err := b.tcp(addr, e.FreeBind)
		if err != nil {
			return boundSocket{}, err
		}
		return boundSocket{listener: ln, port: plainAddr(ln.Addr()).Port()}, nil
	}
	fd, err := b.udp(addr, e.FreeBind)
	if err != nil {
		return boundSocket{}, err
	}
	bound := boundSocket{fd: fd, port: addr.Port()}
	if sa, err := unix.Getsockname(fd); err == nil {
		bound.port = fromSockaddr(sa).Port()
	}
	return bound, nil
}
