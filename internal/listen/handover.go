package listen

import (
	"net/netip"
	"os"

	"golang.org/x/sys/unix"

	"kresd/internal/limits"
	"kresd/internal/transport"
)

// Copies duplicates the sockets that are served, UDP before TCP, at most that
// many of them, for a process that is to answer what they hold should this one
// be killed (Finish). It leaves out sockets that are leaving, inherited ones, which other
// processes have as well, and those of QUIC (quic.go). The caller closes the descriptors.
//
// A copy attracts nothing once the socket itself has left: a UDP socket leaves
// its group by being connected, a TCP socket by a shutdown, and both change the
// socket and not the descriptor.
func (s *Server) Copies(most int) (fds []int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	add := func(fd int) error {
		if len(fds) == most {
			return nil
		}
		dup, err := unix.FcntlInt(uintptr(fd), unix.F_DUPFD_CLOEXEC, 3)
		if err == nil {
			fds = append(fds, dup)
		}
		return err
	}
	for _, network := range []string{"udp", "tcp"} {
		for _, e := range s.endpoints {
			if e.socket != nil && !e.Inherited && e.Kind.Network() == network && e.Kind != transport.QUIC {
				_ = e.socket.withFD(add) // without a descriptor to spare there is no copy, and no harm
			}
		}
	}
	return fds
}

// Finish takes a listening socket of a process that is dead, answers what has
// come to it, and closes it. It leaves its port group at once, so that what
// comes from now on goes to those that live, and is no endpoint of this server.
// A descriptor does not tell by which kind of transport its owner served it: that
// is the kind by which this server listens there. The socket of a path stays, and
// becomes this server's, if clients find it by that path. Finish takes fd, whatever it
// returns.
func (s *Server) Finish(fd int) error {
	network, bound, path, err := identify(fd)
	if err != nil {
		unix.Close(fd)
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.left {
		unix.Close(fd)
		return ErrLeaving
	}
	if path != "" {
		f := os.NewFile(uintptr(fd), "")
		defer f.Close()
		s.inherit(f, path)
		return nil
	}
	e := &endpoint{Endpoint: Endpoint{Addr: bound, Kind: s.kindAt(bound, network)}, orphaned: true}
	if network == "udp" {
		err = s.finishUDP(e, fd)
	} else {
		f := os.NewFile(uintptr(fd), "")
		defer f.Close()
		err = s.takeListener(e, f, site{addr: bound})
	}
	if err == nil {
		s.retireLocked(e, s.clock.Mono()+limits.DrainAnswerTime)
	}
	return err
}

// kindAt is by which kind of transport this server serves a network's socket
// that is bound at addr: as the one of its own there; as one of the same port,
// because a socket that has begun to leave may have another address than it had;
// or else as plain DNS.
func (s *Server) kindAt(addr netip.AddrPort, network string) transport.Kind {
	kind := transport.UDP
	if network == "tcp" {
		kind = transport.TCP
	}
	for _, e := range s.endpoints {
		if e.Kind.Network() != network || e.Kind == transport.QUIC || e.Addr.Port() != addr.Port() {
			continue
		}
		if kind = e.Kind; e.Addr == addr {
			break
		}
	}
	return kind
}

// finishUDP leaves the group before anything else. That a socket belongs to all
// addresses is known from what it tells of each datagram: if its owner had begun
// to leave, it is connected, and has an address.
func (s *Server) finishUDP(e *endpoint, fd int) error {
	_ = connectToItself(fd, e.Addr)
	wildcard := tellsLocal(fd)
	if wildcard && !e.Addr.Addr().IsUnspecified() {
		e.Addr = netip.AddrPortFrom(unspecified(e.Addr.Addr()), e.Addr.Port())
	}
	return s.serve(e, boundSocket{fd: fd}, site{addr: e.Addr, wildcard: wildcard})
}

func unspecified(a netip.Addr) netip.Addr {
	if a.Is6() {
		return netip.IPv6Unspecified()
	}
	return netip.IPv4Unspecified()
}

// tellsLocal tells whether a socket is tellingLocal.
func tellsLocal(fd int) bool {
	o := tellingLocal(familyOf(fd) == unix.AF_INET6)
	on, err := unix.GetsockoptInt(fd, o.level, o.name)
	return err == nil && on != 0
}
