package selection

import (
	"cmp"
	"net/netip"
	"slices"
	"time"

	"kresd/internal/servertable"
	"kresd/internal/zonecut"
)

// Known is one server and what is known of it.
type Known struct {
	Addr     netip.AddrPort
	Protocol zonecut.Protocol
	Host
	Dead   bool
	Cannot Ability
	now    time.Duration
}

// Age is how long ago something was last learnt of it.
func (k *Known) Age() time.Duration { return max(k.now-k.touched(), 0) }

// DeadFor is how much longer it is left alone.
func (k *Known) DeadFor() time.Duration { return max(k.DeadUntil-k.now, 0) }

// CannotFor is how much longer it is believed to lack an ability.
func (k *Known) CannotFor(a Ability) (left time.Duration) {
	for i, until := range k.cannot {
		if a&(1<<i) != 0 {
			left = max(left, until-k.now)
		}
	}
	return left
}

// Encrypts tells whether it answers over TLS though it need not be asked that way.
func (k *Known) Encrypts() bool { return k.encrypts(k.now) }

// touched is when something was last learnt.
func (h *Host) touched() time.Duration { return max(h.Seen, h.Counted) }

// Latest are the servers that something was last learnt of, at most n, the
// newest first.
func (s *Selector) Latest(n int) []Known {
	var all []Known
	now := s.now()
	s.known().Each(func(key servertable.Key, h Host) bool {
		h = h.faded(now)
		all = append(all, Known{key.Addr, zonecut.ProtocolOfKind(key.Kind), h, now < h.DeadUntil, h.Cannot(now), now})
		return true
	})
	slices.SortFunc(all, func(a, b Known) int {
		return cmp.Or(cmp.Compare(b.touched(), a.touched()), a.Addr.Compare(b.Addr), cmp.Compare(a.Protocol, b.Protocol))
	})
	return all[:min(n, len(all))]
}
