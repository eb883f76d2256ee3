package supervisor

import (
	"errors"
	"net/netip"
	"slices"
	"strconv"

	"golang.org/x/sys/unix"

	"kresd/internal/ipc"
)

// Ports below 1024. The supervisor passes the capability that its unit gives it
// (CAP_NET_BIND_SERVICE) to no other process: workers, which read what strangers send, have
// no capabilities from their first instruction on. Instead it binds the sockets of a worker
// that starts. For a worker that serves it binds only addresses that the worker has said to
// wait for, on interfaces that were not there.

// bind binds a worker's socket, and returns what the system says.
func (w *worker) bind(m ipc.Message) unix.Errno {
	addr, err := netip.ParseAddrPort(m.Addr)
	if err != nil || len(m.FDs) != 1 {
		return unix.EINVAL
	}
	if w.state != starting && !slices.Contains(w.awaited, withoutZone(addr)) {
		return unix.EACCES
	}
	var errno unix.Errno
	if err := unix.Bind(m.FDs[0], socketAddress(addr)); err != nil && !errors.As(err, &errno) {
		return unix.EINVAL
	}
	return errno
}

// withoutZone is how a worker names an address that it waits for.
func withoutZone(addr netip.AddrPort) string {
	return netip.AddrPortFrom(addr.Addr().WithZone(""), addr.Port()).String()
}

// socketAddress is an address as the system takes it; its zone is a number.
func socketAddress(addr netip.AddrPort) unix.Sockaddr {
	if addr.Addr().Is4() {
		return &unix.SockaddrInet4{Addr: addr.Addr().As4(), Port: int(addr.Port())}
	}
	zone, _ := strconv.ParseUint(addr.Addr().Zone(), 10, 32)
	return &unix.SockaddrInet6{Addr: addr.Addr().As16(), Port: int(addr.Port()), ZoneId: uint32(zone)}
}
