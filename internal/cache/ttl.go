package cache

import (
	"kresd/internal/limits"
	"kresd/internal/resolve"
	"kresd/internal/wire"
	"kresd/internal/zonecut"
)

// adjust brings the TTLs of a fresh outcome into the limits. It changes the
// outcome itself, so that the first client sees what the next ones will.
func (c *Cache) adjust(q *resolve.Query, now int64) {
	o := &q.Outcome
	for _, sets := range [2][]resolve.Set{o.Answer, o.Authority} {
		for i := range sets {
			if s := &sets[i]; !s.Cached {
				s.TTL = min(c.boundSet(s), lifeBelow(q.Cut, s, now))
			}
		}
	}
	if !isNegative(o.Kind) {
		return
	}
	// A denial is as good as its weakest proof; all its sets say how long.
	ttl := min(c.negativeTTL(o), shortest(o.Authority))
	for i := range o.Authority {
		if s := &o.Authority[i]; !s.Cached {
			s.TTL = min(s.TTL, ttl)
		}
	}
}

// lifeBelow is how long what a child says of its own name servers may count: as
// long as the delegation by which it was asked. Else a zone's former servers would
// join those of a new delegation (addChildServers), and renew themselves there
// (HARDENING A6).
func lifeBelow(cut *zonecut.Cut, s *resolve.Set, now int64) uint32 {
	const noEnd = ^uint32(0)
	if s.Type != wire.TypeNS || cut == nil || cut.Hints || cut.Name.IsRoot() || !s.Owner.IsSubdomainOf(cut.Name) {
		return noEnd
	}
	return uint32(max(0, min(cut.Expires-now, int64(noEnd))))
}

func isNegative(k resolve.Kind) bool { return k == resolve.NoData || k == resolve.NXDomain }

func (c *Cache) boundSet(s *resolve.Set) uint32 {
	ttl := c.bound(s.TTL)
	if s.Rank.IsBogus() {
		ttl = min(ttl, limits.BogusTTL)
	}
	return ttl
}

// negativeTTL is how long a denial holds: the smaller of the SOA's TTL and its
// MINIMUM (RFC 2308, section 5), within the limits. 0 without an SOA.
func (c *Cache) negativeTTL(o *resolve.Outcome) uint32 {
	soa := soaOf(o)
	if soa == nil {
		return 0
	}
	ttl := min(soa.TTL, wire.SOAMinimum(soa.Data[0]), limits.MaxNegTTL)
	return c.bound(ttl)
}

// soaOf is the SOA of a denial, or nil.
func soaOf(o *resolve.Outcome) *resolve.Set {
	for i := range o.Authority {
		if s := &o.Authority[i]; s.Type == wire.TypeSOA && len(s.Data) == 1 {
			return s
		}
	}
	return nil
}
