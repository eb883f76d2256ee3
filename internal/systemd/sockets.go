// Package systemd is what a service manager and kresd say to each other:
// sockets that were opened for us (LISTEN_FDS), and notifications of readiness,
// of reloading, of stopping and of being alive (NOTIFY_SOCKET, WATCHDOG_USEC).
//
// All of it is optional. Without the variables in the environment nothing is
// inherited and nothing is said; no other program than systemd is assumed. What
// is spoken in a socket, and whether this version does, is package listen's to know.
package systemd

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"

	"github.com/coreos/go-systemd/v22/activation"
	"golang.org/x/sys/unix"
)

// The kinds of inherited sockets: the services of net.listen, and the console.
const (
	DNS     = "dns"     // plain DNS, datagram or stream
	TLS     = "tls"     // DNS over TLS, stream
	DoH     = "doh2"    // DNS over HTTPS, stream
	HTTP    = "http"    // DNS over HTTP that a proxy has taken out of TLS, stream
	DoQ     = "doq"     // DNS over QUIC, datagram
	Control = "control" // the console, stream
)

// A Socket is one that this process inherited.
type Socket struct {
	// Kind is one of the constants above.
	Kind string
	// FD is the descriptor's number, by which messages name it.
	FD   int
	File *os.File
}

// ManagerSockets takes the sockets that the service manager passed. Their kind
// follows from their name in any case of letters (KindOf); what has no name, or
// one that is no kind, is plain DNS. The variables are removed from the environment, so that
// programs started from here do not claim the sockets too. kept is what Notifier.Keep has
// left with the manager, nil for nothing: the process before this one has ended without
// Forget.
func ManagerSockets() (sockets []Socket, kept *os.File, err error) {
	for _, f := range activation.Files(true) {
		if f.Name() == keptName && !isSocket(f) {
			kept = f
			continue
		}
		if notServed(f.Name()) {
			return nil, nil, fmt.Errorf("inherited socket %d is named '%s': serving this kind is not in this version; name it in FileDescriptorName= by what it is to serve: %s", f.Fd(), f.Name(), KindNames)
		}
		kind, ok := KindOf(f.Name())
		if !ok {
			kind = DNS
		}
		s, err := socketOf(f, kind)
		if err != nil {
			return nil, nil, err
		}
		sockets = append(sockets, s)
	}
	return sockets, kept, nil
}

func isSocket(f *os.File) bool {
	_, err := unix.GetsockoptInt(int(f.Fd()), unix.SOL_SOCKET, unix.SO_TYPE)
	return err == nil
}

// KindNames lists the names that KindOf knows, for messages.
const KindNames = "dns, tls, doh2, http, doq or control"

// KindOf is the kind with a name, in any case of letters.
func KindOf(name string) (kind string, ok bool) {
	kind = strings.ToLower(name)
	if kind == "doh" { // as the unit files of later versions call it
		kind = DoH
	}
	return kind, slices.Contains([]string{DNS, TLS, DoH, HTTP, DoQ, Control}, kind)
}

// notServed tells whether a socket's name is one that the manual of the resolver
// gives to a kind that is not served here. Plain DNS spoken there would be
// understood by no client.
func notServed(name string) bool {
	return slices.Contains([]string{"webmgmt", "xdp"}, strings.ToLower(name))
}

// OpenSocket makes a socket of a descriptor that this process was started with, as option -S
// names it.
func OpenSocket(fd int, kind string) (Socket, error) {
	if _, err := unix.FcntlInt(uintptr(fd), unix.F_GETFD, 0); err != nil {
		return Socket{}, fmt.Errorf("inherited socket %d: %w: who starts this process has to leave a socket open under that number", fd, err)
	}
	unix.CloseOnExec(fd)
	return socketOf(os.NewFile(uintptr(fd), kind), kind)
}

// socketOf finds out whether a descriptor can serve as a kind. The caller keeps it
// open in all cases.
func socketOf(f *os.File, kind string) (Socket, error) {
	fd := int(f.Fd())
	if err := fits(fd, kind); err != nil {
		return Socket{}, fmt.Errorf("inherited socket %d cannot serve as '%s': %w", fd, kind, err)
	}
	return Socket{Kind: kind, FD: fd, File: f}, nil
}

// fits says why a descriptor cannot serve as a kind, and what to do.
func fits(fd int, kind string) error {
	typ, err := unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_TYPE)
	if err != nil {
		return fmt.Errorf("it is no socket (%w); pass a socket that is bound, as ListenDatagram= and ListenStream= of a socket unit make it", err)
	}
	domain, err := unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_DOMAIN)
	if err != nil {
		return err
	}
	switch {
	case domain != unix.AF_INET && domain != unix.AF_INET6 && domain != unix.AF_UNIX:
		return errors.New("it is neither an IPv4 nor an IPv6 nor a UNIX socket; use ListenStream= or ListenDatagram= with an address or a path")
	case domain == unix.AF_UNIX && (typ != unix.SOCK_STREAM || kind == DoQ):
		return errors.New("it is a UNIX socket, and only streams are served on those; use ListenStream= for a path")
	case kind == Control && domain != unix.AF_UNIX:
		return errors.New("it is no UNIX socket, and who reaches a console rules the resolver; give ListenStream= a path")
	case typ != unix.SOCK_STREAM && typ != unix.SOCK_DGRAM:
		return errors.New("it is neither a stream nor a datagram socket; use ListenStream= or ListenDatagram=")
	case typ == unix.SOCK_DGRAM && kind != DNS && kind != DoQ:
		return errors.New("it is a datagram socket and this needs a stream socket; use ListenStream=, or the name 'dns'")
	case typ == unix.SOCK_STREAM && kind == DoQ:
		return errors.New("it is a stream socket and this needs a datagram socket; use ListenDatagram=, or the name 'tls'")
	}
	return waits(fd, typ)
}

// waits says why a socket is not one that waits for clients.
func waits(fd, typ int) error {
	if _, err := unix.Getpeername(fd); err == nil {
		return errors.New("it is connected to one client already; pass the socket that listens: Accept=no in a socket unit")
	}
	if listening, _ := unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_ACCEPTCONN); typ == unix.SOCK_STREAM && listening != 1 {
		return errors.New("it does not listen; call listen(2) before it is passed, as ListenStream= of a socket unit does")
	}
	if sa, err := unix.Getsockname(fd); err == nil && portOf(sa) == 0 {
		return errors.New("it is bound to no port; bind it before it is passed, as ListenDatagram= of a socket unit does")
	}
	return nil
}

// portOf is the port of an address, -1 where addresses have none.
func portOf(sa unix.Sockaddr) int {
	switch a := sa.(type) {
	case *unix.SockaddrInet4:
		return a.Port
	case *unix.SockaddrInet6:
		return a.Port
	}
	return -1
}
