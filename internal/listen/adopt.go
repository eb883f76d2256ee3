package listen

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"slices"

	"golang.org/x/sys/unix"

	"kresd/internal/transport"
)

// ErrNotASocket is returned by Adopt for what is neither a bound UDP nor a
// listening TCP socket.
var ErrNotASocket = errors.New("neither a bound UDP nor a listening TCP socket")

// Adopt takes a socket that another process has bound (option -S, socket
// activation), to serve it by that one of the kinds that lives in such sockets, from
// ServeAdopted on: until then its queries wait in it. It may be
// shared with other processes, so leaving does not change its state. Adopt takes
// f, whatever it returns.
func (s *Server) Adopt(f *os.File, kinds []transport.Kind) (err error) {
	defer func() {
		if err != nil {
			f.Close()
		}
	}()
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.left {
		return ErrLeaving
	}
	var network, path string
	var bound netip.AddrPort
	err = withFD(f, func(fd int) (err error) {
		network, bound, path, err = identify(fd)
		return err
	})
	if err != nil {
		return fmt.Errorf("inherited socket %s: %w", f.Name(), err)
	}
	i := slices.IndexFunc(kinds, func(k transport.Kind) bool { return k.Network() == network && s.Serves(k) })
	name := path
	if name == "" {
		name = bound.String()
	}
	if i < 0 {
		return fmt.Errorf("inherited socket %s: %w", name, ErrNotServed)
	}
	e := &endpoint{Endpoint: Endpoint{Addr: bound, Path: path, Kind: kinds[i], Inherited: true}}
	e.adopted = f
	s.endpoints = append(s.endpoints, e)
	return nil
}

// ServeAdopted begins to serve what Adopt has taken. A worker calls it when it can
// answer, while Open may have been called before, to bind ports with privileges that
// are dropped.
func (s *Server) ServeAdopted() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.left {
		return ErrLeaving
	}
	for _, e := range s.endpoints {
		f := e.adopted
		if f == nil {
			continue
		}
		e.adopted = nil
		at := site{addr: e.Addr, path: e.Path, wildcard: e.Addr.Addr().IsUnspecified(), shared: true}
		var err error
		if e.Kind.Network() == "udp" {
			err = s.adoptUDP(e, f, at)
		} else {
			err = s.takeListener(e, f, at)
		}
		f.Close()
		if err != nil {
			return fmt.Errorf("inherited socket %s: %w", f.Name(), err)
		}
	}
	return nil
}

// identify tells the network of a socket and where it is bound: at an address, or,
// listening for streams, at a path.
func identify(fd int) (network string, bound netip.AddrPort, path string, err error) {
	kind, err := unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_TYPE)
	if err != nil {
		return "", bound, "", ErrNotASocket
	}
	sa, err := unix.Getsockname(fd)
	if err != nil {
		return "", bound, "", err
	}
	bound = canonical(fromSockaddr(sa))
	listening, _ := unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_ACCEPTCONN)
	local, _ := sa.(*unix.SockaddrUnix)
	switch inet := bound.IsValid() && bound.Port() != 0; {
	case inet && kind == unix.SOCK_DGRAM:
		return "udp", bound, "", nil
	case inet && kind == unix.SOCK_STREAM && listening == 1:
		return "tcp", bound, "", nil
	case local != nil && local.Name != "" && kind == unix.SOCK_STREAM && listening == 1:
		return "tcp", bound, local.Name, nil
	}
	return "", bound, "", ErrNotASocket
}

func (s *Server) adoptUDP(e *endpoint, f *os.File, at site) error {
	fd, err := detach(f)
	if err != nil {
		return err
	}
	if err := setUDP(fd, familyOf(fd) == unix.AF_INET6, at.wildcard); err != nil {
		unix.Close(fd)
		return err
	}
	return s.serve(e, boundSocket{fd: fd}, at)
}

func familyOf(fd int) int {
	family, _ := unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_DOMAIN)
	return family
}

// takeListener accepts from a copy of f.
func (s *Server) takeListener(e *endpoint, f *os.File, at site) error {
	ln, err := net.FileListener(f)
	if err != nil {
		return err
	}
	listener, ok := ln.(streamListener)
	if !ok {
		ln.Close()
		return ErrNotASocket
	}
	return s.serve(e, boundSocket{listener: listener}, at)
}
