package selection

import (
	"cmp"
	"net/netip"
	"slices"
	"time"
)

// Known is one address and what is known of it.
type Known struct {
	Addr netip.AddrPort
	Host
	Dead   bool
	Cannot Ability
}

// touched is when something was last learnt.
func (h *Host) touched() time.Duration { return max(h.Seen, h.Counted) }

// Latest are the addresses that something was last learnt of, at most n, the
// newest first.
func (s *Selector) Latest(n int) []Known {
	var all []Known
	now := s.now()
	s.known().Each(func(addr netip.AddrPort, h Host) bool {
		h = h.faded(now)
		all = append(all, Known{addr, h, now < h.DeadUntil, h.Cannot(now)})
		return true
	})
	slices.SortFunc(all, func(a, b Known) int {
		return cmp.Or(cmp.Compare(b.touched(), a.touched()), a.Addr.Compare(b.Addr))
	})
	return all[:min(n, len(all))]
}
