package listen

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"

	"golang.org/x/sys/unix"
)

// ErrNotASocket is returned by Adopt for what is neither a bound UDP nor a
// listening TCP socket.
var ErrNotASocket = errors.New("neither a bound UDP nor a listening TCP socket")

// Adopt serves a socket that another process has bound (option -S, socket
// activation). Such a socket is served at once, before Open too: its queries
// wait in it anyway. It may be shared with other processes, so leaving does not
// change its state. Adopt takes f, whatever it returns.
func (s *Server) Adopt(f *os.File) error {
	defer f.Close()
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.left {
		return ErrLeaving
	}
	raw, err := f.SyscallConn()
	if err != nil {
		return err
	}
	var kind int
	var bound netip.AddrPort
	err = withFD(raw, func(fd int) (err error) {
		kind, bound, err = identify(fd)
		return err
	})
	if err != nil {
		return fmt.Errorf("inherited socket %s: %w", f.Name(), err)
	}
	e := &endpoint{Endpoint: Endpoint{Addr: bound, Inherited: true}}
	if kind == unix.SOCK_DGRAM {
		e.Flags.UDP = true
		err = s.adoptUDP(e, f)
	} else {
		e.Flags.TCP = true
		err = s.takeTCP(e, f, true)
	}
	if err != nil {
		return fmt.Errorf("inherited socket %v: %w", bound, err)
	}
	s.merge(e)
	return nil
}

// merge adds e to the list, as the other transport of an address that is
// there if its own is missing.
func (s *Server) merge(e *endpoint) {
	if i := s.find(e.Addr); i >= 0 {
		there := s.endpoints[i]
		if there.Inherited && e.udp != nil && there.udp == nil && there.tcp != nil {
			there.udp, there.Flags.UDP = e.udp, true
			return
		}
		if there.Inherited && e.tcp != nil && there.tcp == nil && there.udp != nil {
			there.tcp, there.Flags.TCP = e.tcp, true
			return
		}
	}
	s.endpoints = append(s.endpoints, e)
}

// identify tells what kind of socket fd is and where it is bound.
func identify(fd int) (kind int, bound netip.AddrPort, err error) {
	if kind, err = unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_TYPE); err != nil {
		return 0, bound, ErrNotASocket
	}
	sa, err := unix.Getsockname(fd)
	if err != nil {
		return 0, bound, err
	}
	bound = canonical(fromSockaddr(sa))
	listening, _ := unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_ACCEPTCONN)
	usable := kind == unix.SOCK_DGRAM || kind == unix.SOCK_STREAM && listening == 1
	if !usable || !bound.IsValid() || bound.Port() == 0 {
		return 0, bound, ErrNotASocket
	}
	return kind, bound, nil
}

func (s *Server) adoptUDP(e *endpoint, f *os.File) error {
	fd, err := detach(f)
	if err != nil {
		return err
	}
	v6 := familyOf(fd) == unix.AF_INET6
	setReceiveBuffer(fd)
	wildcard := e.Addr.Addr().IsUnspecified()
	err = setFragments(fd, v6)
	if err == nil && wildcard {
		err = setPktinfo(fd, v6)
	}
	if err != nil {
		unix.Close(fd)
		return err
	}
	e.udp, err = s.startUDP(fd, e.Addr, wildcard, true)
	return err
}

func familyOf(fd int) int {
	family, _ := unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_DOMAIN)
	return family
}

// takeTCP accepts from a copy of f.
func (s *Server) takeTCP(e *endpoint, f *os.File, shared bool) error {
	ln, err := net.FileListener(f)
	if err != nil {
		return err
	}
	tcp, ok := ln.(*net.TCPListener)
	if !ok {
		ln.Close()
		return ErrNotASocket
	}
	e.tcp = s.startTCP(tcp, e.Addr, shared)
	return nil
}
