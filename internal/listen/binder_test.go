package listen

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"testing"

	"golang.org/x/sys/unix"

	"kresd/internal/transport"
)

// What a process may not bind it has bound, with all that its sockets need.
func TestSocketsThatAreBoundByAnother(t *testing.T) {
	for _, at := range []string{"127.0.0.1:0", "[::1]:0"} {
		asked := 0
		b := binder(func(fd int, addr netip.AddrPort) error {
			asked++
			return unix.Bind(fd, toSockaddr(addr, 0))
		})
		addr := netip.MustParseAddrPort(at)
		lc := listenConfig(true, func(fd int) error { return nil })
		f, err := b.bound(lc, "udp", unix.SOCK_DGRAM, addr)
		if err != nil {
			t.Fatal(err)
		}
		ln, err := b.boundTCP(lc, addr)
		if err != nil {
			t.Fatal(err)
		}
		_ = withFD(ln, func(fd int) error {
			for what, fd := range map[string]int{"udp": int(f.Fd()), "tcp": fd} {
				shared, _ := unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_REUSEPORT)
				sa, err := unix.Getsockname(fd)
				if err != nil || fromSockaddr(sa).Port() == 0 || shared != 1 {
					t.Errorf("%s at %s: bound to %+v, %v; shared %d", what, at, sa, err, shared)
				}
			}
			if listening, err := unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_ACCEPTCONN); listening != 1 {
				t.Errorf("tcp at %s: listening %d, %v", at, listening, err)
			}
			return nil
		})
		f.Close()
		ln.Close()
		if asked != 2 {
			t.Errorf("at %s it was asked %d times", at, asked)
		}
	}
}

// Whoever is asked for a socket and refuses gives the reason that is told.
func TestTheReasonOfARefusalIsTheBinders(t *testing.T) {
	b := binder(func(int, netip.AddrPort) error { return unix.EADDRNOTAVAIL })
	lc := listenConfig(false, func(int) error { return nil })
	addr := netip.MustParseAddrPort("127.0.0.1:0")
	if ln, err := b.boundTCP(lc, addr); !errors.Is(err, unix.EADDRNOTAVAIL) || ln != nil {
		t.Errorf("tcp: %v, %v", ln, err)
	}
	if f, err := b.bound(lc, "udp", unix.SOCK_DGRAM, addr); !errors.Is(err, unix.EADDRNOTAVAIL) || f != nil {
		t.Errorf("udp: %v, %v", f, err)
	}
	wanting := listenConfig(false, func(int) error { return unix.ENOBUFS })
	if f, err := b.bound(wanting, "udp", unix.SOCK_DGRAM, addr); !errors.Is(err, unix.ENOBUFS) || f != nil {
		t.Errorf("a socket that is not prepared: %v, %v", f, err)
	}
	if f, err := b.bound(lc, "udp", 0xf, addr); err == nil || f != nil {
		t.Errorf("a socket of no kind that there is: %v, %v", f, err)
	}
}

// Whoever binds a socket for this process is told the interface of an address by its number, since
// names may differ for it, and of other addresses nothing.
func TestABinderIsToldTheNumberOfAnInterface(t *testing.T) {
	lo, err := net.InterfaceByName("lo")
	if err != nil {
		t.Fatal(err)
	}
	for at, want := range map[string]string{"[fe80::1%lo]:7": fmt.Sprintf("[fe80::1%%%d]:7", lo.Index), "[::1]:7": "[::1]:7", "127.0.0.1:7": "127.0.0.1:7"} {
		var got netip.AddrPort
		_ = binder(func(_ int, addr netip.AddrPort) error { got = addr; return nil }).at(-1, netip.MustParseAddrPort(at))
		if got.String() != want {
			t.Errorf("%s becomes %s, want %s", at, got, want)
		}
	}
}

// Who may bind an address asks nobody, and what is not a matter of privileges nobody helps
// with.
func TestABinderIsAskedForPrivilegesOnly(t *testing.T) {
	b := binder(func(int, netip.AddrPort) error { t.Error("it was asked"); return nil })
	addr := netip.MustParseAddrPort("127.0.0.1:0")
	if err := b.probe(addr, Flags{Kinds: []transport.Kind{transport.TCP}}); err != nil {
		t.Error(err)
	}
	fd, err := b.udp(addr, false)
	if err != nil {
		t.Fatal(err)
	}
	unix.Close(fd)
	if _, err := b.tcp(netip.MustParseAddrPort("192.0.2.1:53"), false); err == nil {
		t.Error("an address that is not there was bound")
	}
	if !b.helps(unix.EACCES) || b.helps(unix.EADDRINUSE) || binder(nil).helps(unix.EACCES) {
		t.Error("it helps with something else")
	}
}

// Connections of a listener that another process has bound are not probed by the kernel
// either: how long one may be silent is told by net.tcp_in_idle alone.
func TestConnectionsOfABoundListenerAreNotProbed(t *testing.T) {
	b := binder(func(fd int, addr netip.AddrPort) error { return unix.Bind(fd, toSockaddr(addr, 0)) })
	ln, err := b.boundTCP(listenConfig(false, func(int) error { return nil }), netip.MustParseAddrPort("127.0.0.1:0"))
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	client, err := net.Dial("tcp", ln.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	conn, err := ln.AcceptTCP()
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	probed := func() (on int) {
		on = -1 // where it is closed
		_ = withFD(conn, func(fd int) (err error) {
			on, err = unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_KEEPALIVE)
			return err
		})
		return on
	}
	before := probed()
	serve(t, newEcho()).startAccepting(transport.TCP, &acceptedBefore{ln, conn}, site{addr: plainAddr(ln.Addr())})
	eventually(t, "the connection is served", func() bool { return probed() == 0 })
	if before != 1 {
		t.Errorf("it was not probed before: %d", before)
	}
}

// acceptedBefore accepts a connection that was accepted already, and no other.
type acceptedBefore struct {
	*net.TCPListener
	conn net.Conn
}

func (l *acceptedBefore) Accept() (net.Conn, error) {
	if c := l.conn; c != nil {
		l.conn = nil
		return c, nil
	}
	return nil, net.ErrClosed
}
