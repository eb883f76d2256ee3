package listen

import (
	"errors"
	"net/netip"
	"time"

	"golang.org/x/sys/unix"

	"kresd/internal/limits"
)

// Addresses that the machine does not have yet. An interface may come up after
// the daemon, an IPv6 address is tentative for a second or two (RFC 4862, section
// 5.4), and a link-local address lacks its interface as well.
//
// Such an address is bound all the same (IP_FREEBIND), as soon as its interface is
// known: what comes to it is answered from the moment that it appears, no
// privilege is needed then that the process may have given up meanwhile, and a
// port that is taken is found at once. What is left is to notice the appearance,
// for the log, and interfaces to which nothing can be bound before they exist. Both
// are looked for once a second, and only while something is awaited. Netlink would
// say it sooner, but it tells of addresses and not of what can be bound, may lose
// messages, and is closed to services whose address families are restricted.

// notHere tells whether an address could not be bound because this machine does
// not have it.
func notHere(addr netip.AddrPort, err error) bool {
	return errors.Is(err, unix.EADDRNOTAVAIL) || lacksInterface(addr.Addr())
}

// lacksInterface tells whether the zone of an address names no interface.
func lacksInterface(a netip.Addr) bool { return a.Zone() != "" && zoneIndex(a) == 0 }

// Present tells whether this machine has an address. One that is good on a link only
// needs its zone.
func Present(a netip.Addr) bool {
	return !lacksInterface(a) && binder(nil).probeTCP(netip.AddrPortFrom(a, 0), Flags{}) == nil
}

// tryLocked binds a group before Open for a try, and after it for good.
func (s *Server) tryLocked(group []*endpoint, flags Flags) error {
	if !s.open {
		return s.bind.probe(group[0].Addr, flags)
	}
	err := s.start(group)
	if err == nil {
		s.changed()
	}
	return err
}

// awaitLocked is tryLocked for an address that the machine does not have.
func (s *Server) awaitLocked(group []*endpoint, flags Flags) error {
	flags.FreeBind = true
	for _, e := range group {
		e.FreeBind, e.Awaited = true, true
	}
	if !lacksInterface(group[0].Addr.Addr()) {
		if err := s.tryLocked(group, flags); err != nil {
			return err
		}
	}
	if !s.watching {
		s.watching = true
		s.panics.Go("awaited addresses", s.watch)
	}
	return nil
}

// watch looks for awaited addresses until there are none.
func (s *Server) watch() {
	tick := time.NewTicker(limits.AwaitAddress)
	defer tick.Stop()
	for s.look() {
		<-tick.C
	}
}

// look tells of the awaited addresses that are there, and whether others are left.
func (s *Server) look() (more bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, addr := range s.awaitedLocked() {
		if !s.present(addr.Addr()) {
			continue
		}
		err := s.startLateLocked(addr)
		for _, e := range s.endpoints {
			if e.Addr == addr {
				e.Awaited = false
			}
		}
		s.appeared(addr, err)
	}
	s.watching = len(s.awaitedLocked()) > 0
	return s.watching
}

// startLateLocked binds what could not be bound before its interface was there.
func (s *Server) startLateLocked(addr netip.AddrPort) error {
	group := s.planned(addr)
	if !s.open || len(group) == 0 {
		return nil
	}
	defer s.changed()
	return s.start(group)
}

// awaitedLocked are the addresses that are awaited.
func (s *Server) awaitedLocked() (list []netip.AddrPort) {
	for _, e := range s.endpoints {
		if e.Awaited && (len(list) == 0 || list[len(list)-1] != e.Addr) {
			list = append(list, e.Addr)
		}
	}
	return list
}

// Awaits tells whether an address is listened on as soon as the machine has it.
func (s *Server) Awaits(addr netip.AddrPort) bool {
	addr = canonical(addr)
	return s.Any(func(e Endpoint) bool { return e.Awaited && e.Addr == addr })
}
