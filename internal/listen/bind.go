package listen

import (
	"errors"
	"net/netip"
	"slices"

	"golang.org/x/sys/unix"

	"kresd/internal/limits"
)

// start binds a group of endpoints of this server, which have one address, and serves
// them, all or none. Port 0 becomes a port that is free for all of them. Its caller has
// s.binding and not s.mu: the supervisor may be asked to bind, and nobody else is to wait
// for it. What was closed meanwhile is not served.
func (s *Server) start(group []*endpoint) error {
	if len(group) == 0 {
		return nil
	}
	group = datagramsFirst(group)
	bound, err := s.bind.group(group)
	for tries := 0; err != nil && group[0].Addr.Port() == 0 && errors.Is(err, unix.EADDRINUSE) && tries < limits.FreePortTries; tries++ {
		bound, err = s.bind.group(group)
	}
	if err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if !slices.Contains(s.endpoints, group[0]) {
		bound.close()
		if s.left {
			return ErrLeaving
		}
		return nil
	}
	return s.serveGroup(group, bound)
}

// serveGroup begins to serve endpoints on their sockets, which it takes.
func (s *Server) serveGroup(group []*endpoint, bound boundGroup) error {
	for _, e := range group {
		b := bound.sockets[0]
		bound.sockets = bound.sockets[1:]
		if err := s.serve(e, b, site{addr: bound.addr, wildcard: bound.addr.Addr().IsUnspecified()}); err != nil {
			bound.close()
			return bindError(bound.addr, err)
		}
	}
	for _, e := range group {
		e.Addr = bound.addr
	}
	return nil
}

// A boundGroup are the sockets of a group of endpoints, in its order.
type boundGroup struct {
	addr    netip.AddrPort
	sockets []boundSocket
}

func (g *boundGroup) close() {
	for _, b := range g.sockets {
		b.close()
	}
}

// group binds what receives datagrams first, so that who finds the port open for
// streams, and takes that for readiness, finds it open for datagrams too. A UDP
// socket that is closed again because the other kind failed would lose what has
// come into it; so the other is tried before. Served are they in the same order,
// because accepting cannot fail.
func (b binder) group(group []*endpoint) (g boundGroup, err error) {
	g.addr = group[0].Addr
	if err := b.probeTCP(g.addr, flagsOf(group)); err != nil {
		return g, bindError(g.addr, err)
	}
	for _, e := range group {
		s, err := b.endpoint(g.addr, e.Endpoint)
		if err != nil {
			g.close()
			return g, bindError(g.addr, err)
		}
		g.sockets = append(g.sockets, s)
		g.addr = netip.AddrPortFrom(g.addr.Addr(), s.port)
	}
	return g, nil
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
func (s *Server) serve(e *endpoint, b boundSocket, at site) (err error) {
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
