package listen

import (
	"context"
	"errors"
	"net/netip"
	"slices"
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

// Present tells whether this machine has an address. An address with a zone must be on the
// interface that the zone names.
func Present(a netip.Addr) bool {
	return !lacksInterface(a) && binder(nil).probeTCP(netip.AddrPortFrom(a, 0), Flags{}) == nil
}

// try binds a group before Open for a try, and after it for good. Its caller has s.binding.
func (s *Server) try(group []*endpoint, flags Flags) error {
	if !s.isOpen() {
		return s.bind.probe(group[0].Addr, flags)
	}
	err := s.start(group)
	if err == nil {
		s.changed()
	}
	return err
}

// await is try for an address that the machine does not have.
func (s *Server) await(group []*endpoint, flags Flags) error {
	flags.FreeBind = true
	s.mu.Lock()
	for _, e := range group {
		e.FreeBind, e.Awaited = true, true
	}
	s.mu.Unlock()
	if !lacksInterface(group[0].Addr.Addr()) {
		if err := s.try(group, flags); err != nil {
			return err
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
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

// look tells of the awaited addresses that are there, and whether others are left. One for
// which the supervisor does not bind a socket in time is awaited further.
func (s *Server) look() (more bool) {
	s.binding.Lock()
	defer s.binding.Unlock()
	for _, group := range s.awaited() {
		addr := group[0].Addr
		if !s.present(addr.Addr()) {
			continue
		}
		err := s.startLate(addr)
		if errors.Is(err, context.DeadlineExceeded) {
			continue
		}
		s.mu.Lock()
		for _, e := range group {
			e.Awaited = false
		}
		s.mu.Unlock()
		s.appeared(addr, err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.watching = slices.ContainsFunc(s.endpoints, func(e *endpoint) bool { return e.Awaited })
	return s.watching
}

// startLate binds what could not be bound before its interface was there. Its caller has
// s.binding.
func (s *Server) startLate(addr netip.AddrPort) error {
	if !s.isOpen() {
		return nil
	}
	group := s.planned(addr)
	if len(group) == 0 {
		return nil
	}
	defer s.changed()
	return s.start(group)
}

// awaited are the endpoints that are awaited, those of one address together.
func (s *Server) awaited() (groups [][]*endpoint) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, e := range s.endpoints {
		switch last := len(groups) - 1; {
		case !e.Awaited:
		case last >= 0 && groups[last][0].Addr == e.Addr:
			groups[last] = append(groups[last], e)
		default:
			groups = append(groups, []*endpoint{e})
		}
	}
	return groups
}

// Awaits tells whether an address is listened on as soon as the machine has it.
func (s *Server) Awaits(addr netip.AddrPort) bool {
	addr = canonical(addr)
	return s.Any(func(e Endpoint) bool { return e.Awaited && e.Addr == addr })
}
