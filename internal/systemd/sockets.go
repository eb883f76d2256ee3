// Package systemd is what a service manager and kresd say to each other:
// sockets that were opened for us (LISTEN_FDS), and notifications of readiness,
// of stopping and of being alive (NOTIFY_SOCKET, WATCHDOG_USEC).
//
// All of it is optional. Without the variables in the environment nothing is
// inherited and nothing is said; no other program than systemd is assumed.
package systemd

import (
	"fmt"
	"os"
	"slices"
	"strings"

	"github.com/coreos/go-systemd/v22/activation"
	"golang.org/x/sys/unix"
)

// The kinds of inherited sockets.
const (
	DNS     = "dns"     // plain DNS, datagram or stream
	Control = "control" // the console
	TLS     = "tls"     // DNS over TLS, stream
)

// A Socket is one that this process inherited. Type is SOCK_STREAM or
// SOCK_DGRAM.
type Socket struct {
	Kind string
	Type int
	File *os.File
}

// Inherited takes the sockets that the service manager passed. Their kind
// follows from their name in any case of letters: "control", "tls", and plain
// DNS for every other, but that the names of kinds that are not served are an
// error. The variables are removed from the environment, so that
// programs started from here do not claim them too.
func Inherited() ([]Socket, error) {
	var sockets []Socket
	controls := 0
	for _, f := range activation.Files(true) {
		if notServed(f.Name()) {
			return nil, fmt.Errorf("inherited socket %d is named '%s': serving this kind is not in this version", f.Fd(), f.Name())
		}
		s, err := adopt(f, kindOf(f.Name()))
		if err != nil {
			return nil, err
		}
		if s.Kind == Control {
			controls++
		}
		sockets = append(sockets, s)
	}
	if controls > 1 {
		return nil, fmt.Errorf("%d inherited sockets are named 'control'; one is the most", controls)
	}
	return sockets, nil
}

// notServed tells whether a socket's name is one that the manual of the resolver
// gives to a kind that is not served here. Plain DNS spoken there would be
// understood by no client.
func notServed(name string) bool {
	return slices.Contains([]string{"doh", "doh2", "doq", "https", "quic", "webmgmt", "xdp"}, strings.ToLower(name))
}

// Adopt takes one inherited descriptor, as option -S names it.
func Adopt(fd int, kind string) (Socket, error) {
	if _, err := unix.FcntlInt(uintptr(fd), unix.F_GETFD, 0); err != nil {
		return Socket{}, fmt.Errorf("inherited socket %d: %w", fd, err)
	}
	unix.CloseOnExec(fd)
	return adopt(os.NewFile(uintptr(fd), kind), kind)
}

func kindOf(name string) string {
	switch n := strings.ToLower(name); n {
	case Control, TLS:
		return n
	}
	return DNS
}

// adopt finds out what a descriptor is. The caller keeps it open in all cases.
func adopt(f *os.File, kind string) (Socket, error) {
	fd := int(f.Fd())
	typ, err := unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_TYPE)
	if err != nil {
		return Socket{}, fmt.Errorf("inherited socket %d: %w", fd, err)
	}
	domain, err := unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_DOMAIN)
	if err == nil && kind != Control && domain != unix.AF_INET && domain != unix.AF_INET6 {
		return Socket{}, fmt.Errorf("inherited socket %d is of address family %d: only IPv4 and IPv6 sockets can serve as '%s'", fd, domain, kind)
	}
	if typ != unix.SOCK_STREAM && (typ != unix.SOCK_DGRAM || kind != DNS) {
		return Socket{}, fmt.Errorf("inherited socket %d: a socket of this type cannot serve as '%s'", fd, kind)
	}
	return Socket{Kind: kind, Type: typ, File: f}, nil
}
