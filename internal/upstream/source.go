package upstream

import (
	"errors"
	"net/netip"
	"os"
	"sync"
	"syscall"
	"time"

	"kresd/internal/limits"
	"kresd/internal/resolve"
)

// source is the address that questions to a server leave from, with the
// unspecified one standing for the system's choice.
func (e *Exchanger) source(to netip.Addr) netip.Addr {
	v4, v6 := e.outgoing()
	if to.Is4() {
		if v4.Is4() {
			return v4
		}
		return netip.IPv4Unspecified()
	}
	if v6.Is6() {
		return v6
	}
	return netip.IPv6Unspecified()
}

// missingSource keeps the log from being filled by an outgoing address that the
// machine does not have.
type missingSource struct {
	mu    sync.Mutex
	addr  netip.Addr // named last
	until time.Duration
}

// noSource is the failure of a question for which nothing can be bound to source. The
// log names it, too.
func (e *Exchanger) noSource(source netip.Addr) error {
	err := &resolve.NoSource{Addr: source}
	if e.missing.due(source, e.clock.Mono()) {
		e.warn(err.Error())
	}
	return err
}

// due tells whether an address is to be named.
func (m *missingSource) due(addr netip.Addr, now time.Duration) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.addr == addr && now < m.until {
		return false
	}
	m.addr, m.until = addr, now+limits.OutgoingSaid
	return true
}

// unbound tells whether what bind says of a port of source means that the machine
// does not have that address: the system answers EINVAL and ENODEV for a link-local
// one whose interface is gone.
func unbound(source netip.Addr, errno syscall.Errno) bool {
	switch errno {
	case syscall.EADDRNOTAVAIL, syscall.EINVAL, syscall.ENODEV:
		return !source.IsUnspecified()
	}
	return false
}

// unboundTCP is unbound for what package net says of a connection.
func unboundTCP(source netip.Addr, err error) bool {
	var call *os.SyscallError
	var errno syscall.Errno
	return errors.As(err, &call) && call.Syscall == "bind" && errors.As(err, &errno) && unbound(source, errno)
}

// vanished tells whether a bound socket cannot connect or send because the machine
// does not have the address of the socket any more. The same EINVAL has other reasons
// too, so it is tried to bind another.
func vanished(source netip.Addr, errno syscall.Errno) bool {
	if errno != syscall.EINVAL || source.IsUnspecified() {
		return false
	}
	var local sockaddr
	local.set(netip.AddrPortFrom(source, 0))
	fd, errno := newSocket(&local)
	if errno != 0 {
		return false
	}
	defer closeSocket(fd)
	return unbound(source, bindSocket(fd, &local))
}
