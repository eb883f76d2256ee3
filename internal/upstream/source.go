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
// does not have the address of the socket any more. What the system says of that has other
// reasons too.
func vanished(source netip.Addr, errno syscall.Errno) bool {
	switch errno {
	case syscall.EINVAL, syscall.ENETUNREACH, syscall.EADDRNOTAVAIL:
		return gone(source)
	}
	return false
}

// gone tries whether a socket can still be bound to an outgoing address. One that was bound
// while the machine had the address may say nothing: what it sends by IPv6 leaves as
// before, and no answer comes back.
func gone(source netip.Addr) bool {
	if source.IsUnspecified() {
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

// bySource is err, the failure of a question that a kept socket or connection may be the
// cause of: its address may be gone.
func (e *Exchanger) bySource(x *resolve.Exchange, err error) error {
	source := e.source(x.Addr.Addr())
	switch {
	case err == nil, errors.Is(err, resolve.ErrLocal), errors.Is(err, resolve.ErrBudget), !gone(source):
		return err
	}
	return e.noSource(source)
}
