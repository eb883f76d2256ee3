package listen

import (
	"errors"
	"net"
	"net/netip"
	"os"
	"strconv"

	"golang.org/x/sys/unix"
)

// A binder binds a socket of this process where that may not do so itself, which is so of
// ports below 1024 (Options.Bind); nil: nobody does.
type binder func(fd int, addr netip.AddrPort) error

// helps tells whether a binder may do what has failed.
func (b binder) helps(err error) bool { return b != nil && errors.Is(err, unix.EACCES) }

// at binds a socket; a zone becomes the number of its interface.
func (b binder) at(fd int, addr netip.AddrPort) error {
	if index := zoneIndex(addr.Addr()); index != 0 {
		addr = netip.AddrPortFrom(addr.Addr().WithZone(strconv.FormatUint(uint64(index), 10)), addr.Port())
	}
	return b(fd, addr)
}

// bound makes a socket as lc would, and has it bound. Its descriptor does not block.
func (b binder) bound(lc *net.ListenConfig, proto string, kind int, addr netip.AddrPort) (*os.File, error) {
	fd, err := unix.Socket(familyFor(addr.Addr()), kind|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
	if err != nil {
		return nil, err
	}
	f := os.NewFile(uintptr(fd), proto)
	if err := b.prepare(lc, f, proto, addr); err != nil {
		f.Close()
		return nil, err
	}
	return f, nil
}

// prepare sets what lc sets, and has the socket bound.
func (b binder) prepare(lc *net.ListenConfig, f *os.File, proto string, addr netip.AddrPort) error {
	raw, err := f.SyscallConn()
	if err != nil {
		return err
	}
	if err := lc.Control(network(proto, addr.Addr()), addr.String(), raw); err != nil {
		return err
	}
	return withRaw(raw, func(fd int) error {
		if addr.Addr().Is6() {
			if err := set(fd, forIPv6Alone()); err != nil {
				return err
			}
		}
		return b.at(fd, addr)
	})
}

// boundTCP makes a listening TCP socket that is bound by b.
func (b binder) boundTCP(lc *net.ListenConfig, addr netip.AddrPort) (*net.TCPListener, error) {
	f, err := b.bound(lc, "tcp", unix.SOCK_STREAM, addr)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	if err := withFD(f, func(fd int) error { return unix.Listen(fd, unix.SOMAXCONN) }); err != nil {
		return nil, err
	}
	ln, err := net.FileListener(f)
	tcp, _ := ln.(*net.TCPListener) // unless there is an error
	return tcp, err
}
