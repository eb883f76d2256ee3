package cache

import (
	"bytes"

	"kresd/internal/dnsname"
	"kresd/internal/dnssec"
	"kresd/internal/limits"
	"kresd/internal/resolve"
	"kresd/internal/wire"
)

// denials stores the links of a zone's chain among the proofs of an outcome, for
// questions that they answer as well (RFC 8198). Only what was validated is: a range
// speaks of names that nobody asked for.
func (t *stash) denials(authority []resolve.Set) {
	for i := range authority {
		if s := &authority[i]; wire.IsDenial(s.Type) && s.Rank.IsSecure() {
			t.link(s)
		}
	}
}

// link stores one NSEC or NSEC3 set under the apex of the zone that signed it.
// Ranges that were made for one question answer no other.
func (t *stash) link(s *resolve.Set) {
	if s.Cached || s.TTL == 0 || s.Class != wire.ClassIN || len(s.Sigs) == 0 || s.Expanded() {
		return
	}
	zone := wire.Signer(s.Sigs[0])
	if zone == "" || !zone.IsSubdomainOf(t.scope) {
		return
	}
	l, ok := dnssec.NewLink(zone, &s.RRset)
	if !ok || l.Minimal || t.c.tooMuchProof([]resolve.Set{*s}) {
		return
	}
	key := t.at(zone).link(&l)
	h := header{kind: kindDenial, rank: s.Rank, made: t.now, ttl: s.TTL}
	entry := seal(key, appendSets(newEntry(h, 1+setSize(&s.RRset)), []resolve.Set{*s}))
	if entry == nil || len(key) > maxKey {
		return
	}
	t.c.n.stashed.Add(1)
	t.s.PutUnlessCleared(t.seen, key, entry, nil)
}

// link is the key of a link, in the zone whose apex is the place.
func (p place) link(l *dnssec.Link) []byte {
	if l.Owner != "" {
		return p.nsec(l.Owner)
	}
	return append(p.chain(l.Chain), l.Hash[:]...)
}

// Denial is the validated NSEC or NSEC3 set of a zone whose owner a name is, or
// whose range a name lies in, as far as one partition knows. What it proves is up to
// package dnssec. The meter is asked before the name is hashed.
func (c *Cache) Denial(in resolve.Partition, zone, name dnsname.Name, now int64, m dnssec.Meter) (set resolve.Set, ok bool) {
	if !name.IsSubdomainOf(zone) {
		return set, false
	}
	at := place{in, zone}
	k, ok := c.lastLink(at, at.key(familyNSEC), at.nsec(name), now)
	if ok && k.alive && k.Spans(name) {
		return k.set, true
	}
	return c.hashedDenial(at, name, now, m)
}

// chainsAtMost is in how many chains of a zone a name is looked for. A zone has one,
// and two while its salt is changed.
const chainsAtMost = 2

// hashedDenial looks for a name in the NSEC3 chains of a zone.
func (c *Cache) hashedDenial(at place, name dnsname.Name, now int64, m dnssec.Meter) (set resolve.Set, ok bool) {
	prefix := at.key(familyNSEC3)
	end := append(bytes.Clone(prefix), 0xff) // behind all chains
	for range chainsAtMost {
		last, ok := c.lastLink(at, prefix, end, now)
		if !ok {
			break
		}
		h, err := last.Chain.Hashed(name, m)
		if err != nil {
			break
		}
		chain := at.chain(last.Chain)
		k, ok := c.lastLink(at, chain, append(bytes.Clone(chain), h[:]...), now)
		if !ok { // what stands before the first hash is in the range of the last one
			k = last
		}
		if k.alive && k.SpansHash(h) {
			return k.set, true
		}
		end = chain
	}
	return set, false
}

// A storedLink is a link of a zone's chain as it was found.
type storedLink struct {
	dnssec.Link
	key   []byte
	set   resolve.Set
	alive bool
}

// lastLink is the stored link with the greatest key that begins with prefix and is
// not above key. One that is damaged, or is not what belongs under its key, is
// deleted.
func (c *Cache) lastLink(at place, prefix, key []byte, now int64) (k storedLink, ok bool) {
	s := c.current()
	if s == nil {
		return k, false
	}
	var raw []byte
	found := s.Floor(prefix, key, func(key, val []byte) {
		k.key = bytes.Clone(key)
		if len(val) <= limits.MaxCacheEntryBytes { // a copy is checked, never the map
			raw = bytes.Clone(val)
		}
	})
	if !found {
		return k, false
	}
	if ok = k.read(at, raw, now); !ok {
		c.drop(k.key)
	}
	return k, ok
}

// read takes in the entry under k's key.
func (k *storedLink) read(at place, raw []byte, now int64) bool {
	h, body, ok := open(k.key, raw)
	if !ok || h.kind != kindDenial || !h.rank.IsSecure() {
		return false
	}
	var age uint32
	age, _, k.alive = h.age(now)
	cur := cursor{b: body}
	sets := cur.sets(age)
	if !cur.end() || len(sets) != 1 {
		return false
	}
	k.set = sets[0]
	k.Link, ok = dnssec.NewLink(at.name, &k.set.RRset)
	return ok && k.set.Rank.IsSecure() && bytes.Equal(at.link(&k.Link), k.key)
}

// A denialCut forgets what zones above a name deny of it and of the names below it,
// in all partitions.
type denialCut struct {
	c    *Cache
	s    Store
	name dnsname.Name
	left int // how many entries may still be removed
}

// above goes through the zones from the closest one up.
func (d *denialCut) above() error {
	for zone := d.name; !zone.IsRoot(); {
		zone = zone.Parent()
		for _, in := range partitionsOf(d.s, zone) {
			if err := d.in(place{in, zone}); err != nil {
				return err
			}
		}
	}
	return nil
}

// in cuts the chains of the zone whose apex is a place: the NSEC sets of the name
// and of those below it, the one before them if its range reaches them, and all
// NSEC3 sets, since a hash tells of no subtree.
func (d *denialCut) in(at place) error {
	below := at.nsec(d.name)
	if err := d.remove(below, nil); err != nil {
		return err
	}
	if k, ok := d.c.lastLink(at, at.key(familyNSEC), below, 0); ok && k.Spans(d.name) {
		if err := d.remove(k.key, func(key []byte) bool { return bytes.Equal(key, k.key) }); err != nil {
			return err
		}
	}
	return d.remove(at.key(familyNSEC3), nil)
}

// remove removes entries whose keys begin with prefix. Where there are none nothing
// is written: each removal counts as a clear, which ends answers and writes of
// others.
func (d *denialCut) remove(prefix []byte, match func(key []byte) bool) error {
	if d.left == 0 || !hasAny(d.s, prefix) {
		return nil
	}
	most := d.left
	if match != nil {
		most = 1 // the first one, which is the prefix itself
	}
	n, err := d.s.RemoveRange(prefix, most, match)
	d.left -= n
	return err
}

func hasAny(s Store, prefix []byte) (any bool) {
	s.Range(prefix, func(_, _ []byte) bool {
		any = true
		return false
	})
	return any
}

// partitionsOf are those in which something may be known about a name, everybody's
// among them.
func partitionsOf(s Store, name dnsname.Name) []resolve.Partition {
	all := []resolve.Partition{0}
	prefix := append(place{0, name}.prefix(), markPartition)
	end := append(bytes.Clone(prefix), bytes.Repeat([]byte{0xff}, 9)...) // behind all of them
	for {
		var last []byte
		s.Floor(prefix, end, func(key, _ []byte) { last = bytes.Clone(key) })
		at, _, _, ok := splitKey(last)
		if !ok {
			return all
		}
		all = append(all, at.in)
		end = at.prefix()
	}
}
