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
// none is known. It must not be changed.
func (c *Cache) Closest(in resolve.Partition, name dnsname.Name, now int64) *zonecut.Cut {
	at := node{in, name}
	for has := c.inventory(at); ; has = c.inventory(at) {
		if cut := c.delegation(at, has, now); cut != nil {
			return cut
		}
		if at.name.IsRoot() {
			return c.hints.Load()
		}
		at.name = at.name.Parent()
		if hand := c.cuts.at(at, snapshot{now, has.clears}); hand.cut != nil {
			return hand.cut
		}
	}
}

// delegation is that of a node, whose inventory has is; nil when none is alive. It is
// remembered for this second, unless the node has entries that atHand would pass over.
func (c *Cache) delegation(at node, has inventory, now int64) *zonecut.Cut {
	if has.lacks(aCut) {
		return nil
	}
	var cut *zonecut.Cut
	if has.cut != nil {
		cut = c.openCut(at, has.cut, now)
	} else {
		cut = c.loadCut(at, now)
	}
	if cut == nil {
		return nil
	}
	c.addChildServers(at.in, cut, now)
	if has.lacks(saysOfBelow) {
		c.cuts.put(at, atHand{cut, !has.lacks(aDenial)}, snapshot{now, has.clears}, has.mark)
	}
	return cut
}

func (c *Cache) loadCut(at node, now int64) *zonecut.Cut {
	key := at.cut()
	e, ok := c.load(key, when{now: now})
	if !ok {
		return nil
	}
	return c.cutOf(at.name, key, &e, now)
}

// openCut is loadCut for the octets of an entry.
func (c *Cache) openCut(at node, raw []byte, now int64) *zonecut.Cut {
	w := c.scanOf(at)
	defer c.scans.Put(w)
	w.key = append(w.key, familyCut)
	e, ok := c.check(w.key, raw)
	if ok {
		e.age, e.left, ok = e.header.age(now)
	}
	if !ok {
		return nil
	}
	return c.cutOf(at.name, w.key, &e, now)
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
// serve while the parent's delegation lives. Their addresses have to be known or looked
// up: those that came in the additional section beside the names are not believed.
func (c *Cache) addChildServers(in resolve.Partition, cut *zonecut.Cut, now int64) {
	e, sets, ok := c.loadRRset(node{in, cut.Name}, wire.TypeNS, wire.ClassIN, when{now: now})
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

// Keep stores a delegation that the parent's servers told. It lives no longer than the
// closest delegation above it: otherwise the owner of a domain that its parent has
// withdrawn could keep names below it alive by renewing their delegations. Delegations that
// the operator configured are not stored.
func (c *Cache) Keep(in resolve.Partition, cut *zonecut.Cut, now int64) {
	s := c.current()
	if s == nil || cut.Hints || !cut.Plain() || len(cut.NS) == 0 {
		return
	}
	at, clears := node{in, cut.Name}, s.ClearNumber()
	expires := min(cut.Expires, c.deadlineAbove(at, snapshot{now, clears}), now+int64(c.MaxTTL()))
	if expires <= now {
		return
	}
	h := header{kind: kindCut, rank: cut.DSRank, made: now, ttl: uint32(expires - now)}
	key, entry := together(at.cut(), encodeCut(h, cut))
	if seal(key, entry) == nil || len(key) > maxKey {
		c.counters.Hit(limits.CacheEntryBytes)
		return
	}
	c.n.stashed.Add(1)
	s.PutSince(clears, key, entry, nil)
	c.cuts.forget(at)
}

// deadlineAbove is when the closest delegation above a node ends. One that has just ended
// counts too: the referral may have come from its servers shortly before.
func (c *Cache) deadlineAbove(at node, s snapshot) int64 {
	const justEnded = int64(limits.RequestDeadline / 1e9)
	now := s.now
	for !at.name.IsRoot() {
		at.name = at.name.Parent()
		if hand := c.cuts.at(at, s); hand.cut != nil {
			return hand.cut.Expires
		}
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

// Addrs are the addresses of a name server. known4 and known6 tell whether the cache has an
// address or its denial for the family.
func (c *Cache) Addrs(in resolve.Partition, ns dnsname.Name, now int64) (addrs []netip.Addr, known4, known6 bool) {
	at, t := node{in, ns}, when{now: now}
	has := c.inventory(at)
	if !has.lacks(anNXDomain) {
		_, _, denied := c.loadNXDomain(at, wire.ClassIN, t)
		known4, known6 = denied, denied
	}
	if has.lacks(anRRset) {
		return nil, known4, known6
	}
	var more []netip.Addr
	addrs, found4 := c.addresses(at, wire.TypeA, t)
	more, found6 := c.addresses(at, wire.TypeAAAA, t)
	return append(addrs, more...), known4 || found4, known6 || found6
}

func (c *Cache) addresses(at node, rrtype uint16, t when) (addrs []netip.Addr, known bool) {
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
