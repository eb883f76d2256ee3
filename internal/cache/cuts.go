package cache

import (
	"net/netip"

	"kresd/internal/dnsname"
	"kresd/internal/limits"
	"kresd/internal/resolve"
	"kresd/internal/wire"
	"kresd/internal/zonecut"
)

var _ resolve.Cuts = (*Cache)(nil)

// Closest is the closest live delegation at or above name; the root hints when
// none is known.
func (c *Cache) Closest(in resolve.Partition, name dnsname.Name, now int64) *zonecut.Cut {
	for n := name; ; n = n.Parent() {
		if cut := c.loadCut(place{in, n}, now); cut != nil {
			c.addChildServers(in, cut, now)
			return cut
		}
		if n.IsRoot() {
			return c.hints.Load()
		}
	}
}

func (c *Cache) loadCut(at place, now int64) *zonecut.Cut {
	key := at.cut()
	e, ok := c.load(key, when{now: now})
	if !ok {
		return nil
	}
	return c.cutOf(at.name, key, &e, now)
}

// openCut is loadCut for a copy of the entry.
func (c *Cache) openCut(at place, raw []byte, now int64) *zonecut.Cut {
	key := at.cut()
	e, ok := c.check(key, raw)
	if ok {
		e.age, e.left, ok = e.header.age(now)
	}
	if !ok {
		return nil
	}
	return c.cutOf(at.name, key, &e, now)
}

func (c *Cache) cutOf(n dnsname.Name, key []byte, e *entry, now int64) *zonecut.Cut {
	cut, ok := decodeCut(n, e.body, e.age)
	if !ok || e.kind != kindCut {
		c.drop(key)
		return nil
	}
	cut.Expires = now + int64(e.left)
	return cut
}

// addChildServers adds the name servers that the child itself named when it was
// asked for them, which its parent may not know (RFC 2181, section 5.4.1). They
// serve while the parent's delegation lives, and their addresses have to be known
// or looked up: what stood beside their names is not believed.
func (c *Cache) addChildServers(in resolve.Partition, cut *zonecut.Cut, now int64) {
	e, sets, ok := c.loadRRset(place{in, cut.Name}, wire.TypeNS, wire.ClassIN, when{now: now})
	if !ok || e.kind != kindRRset || !addressRank(e.rank) || !e.rank.IsAuth() {
		return
	}
	for _, d := range sets[0].Data {
		if len(cut.NS) >= limits.MaxNSPerDelegation {
			return
		}
		if name := wire.Target(d); name != "" && !name.IsRoot() && cut.Find(name) == nil {
			cut.NS = append(cut.NS, zonecut.NameServer{Name: name})
		}
	}
}

// Keep stores a delegation that the parent's servers told. It lives no longer
// than the closest delegation above it, or a name that was withdrawn there could
// keep itself alive by renewing what hangs below it. Delegations that the
// operator configured are not stored.
func (c *Cache) Keep(in resolve.Partition, cut *zonecut.Cut, now int64) {
	s := c.current()
	if s == nil || cut.Hints || !cut.Plain() || len(cut.NS) == 0 {
		return
	}
	expires := min(cut.Expires, c.deadlineAbove(place{in, cut.Name}, now), now+int64(c.MaxTTL()))
	if expires <= now {
		return
	}
	at := place{in, cut.Name}
	key := at.cut()
	h := header{kind: kindCut, rank: cut.DSRank, made: now, ttl: uint32(expires - now)}
	entry := seal(key, encodeCut(h, cut))
	if entry == nil || len(key) > maxKey {
		c.counters.Hit(limits.CacheEntryBytes)
		return
	}
	c.n.stashed.Add(1)
	s.PutSince(s.ClearNumber(), key, entry, nil)
	c.cuts.forget(at)
}

// deadlineAbove is when the closest delegation above a place ends. One that has
// just ended counts too: the referral may be its last words.
func (c *Cache) deadlineAbove(at place, now int64) int64 {
	const justEnded = int64(limits.RequestDeadline / 1e9)
	for !at.name.IsRoot() {
		at.name = at.name.Parent()
		e, ok := c.read(at.cut())
		if !ok || e.kind != kindCut {
			continue
		}
		if _, left, alive := e.header.age(now); alive {
			return now + int64(left)
		}
		if end := e.made + int64(e.ttl); end <= now && end > now-justEnded {
			return end
		}
	}
	return 1<<63 - 1
}

// Addrs are the addresses of a name server, and whether something is known for
// each family.
func (c *Cache) Addrs(in resolve.Partition, ns dnsname.Name, now int64) (addrs []netip.Addr, known4, known6 bool) {
	at, t := place{in, ns}, when{now: now}
	if _, _, denied := c.loadNXDomain(at, wire.ClassIN, t); denied {
		known4, known6 = true, true
	}
	var more []netip.Addr
	addrs, found4 := c.addresses(at, wire.TypeA, t)
	more, found6 := c.addresses(at, wire.TypeAAAA, t)
	return append(addrs, more...), known4 || found4, known6 || found6
}

func (c *Cache) addresses(at place, rrtype uint16, t when) (addrs []netip.Addr, known bool) {
	e, sets, ok := c.loadRRset(at, rrtype, wire.ClassIN, t)
	if !ok || !addressRank(e.rank) {
		return nil, false
	}
	if e.kind != kindRRset {
		return nil, true
	}
	for _, d := range sets[0].Data {
		if a, ok := netip.AddrFromSlice(d); ok {
			addrs = append(addrs, a)
		}
	}
	return addrs, true
}
