package cache

import (
	"bytes"
	"crypto/sha1"
	"iter"

	"kresd/internal/dnsname"
	"kresd/internal/dnssec"
	"kresd/internal/limits"
	"kresd/internal/resolve"
	"kresd/internal/wire"
)

// denials stores the links of a zone's chain among the proofs of an outcome, and the
// SOA that goes with them, for questions that they answer as well (RFC 8198). Only
// what was validated is: a range speaks of names that nobody asked for.
func (t *stash) denials(authority []resolve.Set) {
	var zone dnsname.Name
	for i := range authority {
		if s := &authority[i]; wire.IsDenial(s.Type) {
			if of := t.link(s); of != "" {
				zone = of
			}
		}
	}
	for i := range authority {
		s := &authority[i]
		if zone != "" && s.Type == wire.TypeSOA && s.Owner == zone && t.signer(s) == zone {
			t.once(t.at(zone).soa(), s)
		}
	}
}

// link stores one NSEC or NSEC3 set under the apex of the zone that signed it, which it
// returns; "" where it is not stored. Ranges that were made for one question answer no
// other.
func (t *stash) link(s *resolve.Set) (zone dnsname.Name) {
	if zone = t.signer(s); zone == "" {
		return ""
	}
	l, ok := dnssec.NewLink(zone, &s.RRset)
	if !ok || l.Minimal || t.c.tooMuchProof([]resolve.Set{*s}) {
		return ""
	}
	t.once(t.at(zone).appendLink(make([]byte, 0, usualKey), &l), s)
	t.c.cuts.denies(t.at(zone))
	return zone
}

// signer is the zone that signed a set which is fresh, validated and may be kept; ""
// for others, and for those that a wildcard made.
func (t *stash) signer(s *resolve.Set) dnsname.Name {
	if !s.Rank.IsSecure() || s.Cached || s.TTL == 0 || s.Class != wire.ClassIN || len(s.Sigs) == 0 || s.Expanded() {
		return ""
	}
	if zone := wire.Signer(s.Sigs[0]); zone != "" && zone.IsSubdomainOf(t.scope) {
		return zone
	}
	return ""
}

// once stores a part of a zone's denials under key, unless it is there already:
// every answer to a flood brings the same ones along.
func (t *stash) once(key []byte, s *resolve.Set) {
	h := header{kind: kindDenial, rank: s.Rank, made: t.now, ttl: s.TTL}
	entry := seal(key, appendSets(newEntry(h, 1+setSize(&s.RRset)), []resolve.Set{*s}))
	if entry == nil || len(key) > maxKey || t.holds(key, entry, len(s.Owner)) {
		return
	}
	t.c.n.stashed.Add(1)
	t.s.PutUnlessCleared(t.seen, key, entry, nil)
}

// holds tells whether an entry of one set, whose owner has so many octets, is stored
// already and three quarters of its time are still to come.
func (t *stash) holds(key, entry []byte, owner int) (same bool) {
	now := t.now // for what is handed to the Store, so that t need not outlive its caller
	t.s.Get(key, func(old []byte) {
		h, _, ok := open(key, old)
		if !ok || len(old) != len(entry) {
			return
		}
		_, left, _ := h.age(now)
		ttl := headerLen + 1 + owner + 4 // where the set's own stands (appendSet)
		same = uint64(left)*4 >= uint64(parseHeader(entry).ttl)*3 &&
			bytes.Equal(old[headerLen:ttl], entry[headerLen:ttl]) && bytes.Equal(old[ttl+4:], entry[ttl+4:])
	})
	return same
}

// appendLink appends the key of a link, in the zone whose apex is the node.
func (p node) appendLink(dst []byte, l *dnssec.Link) []byte {
	dst = p.appendPrefix(dst)
	if l.Owner != "" {
		return p.appendNSEC(dst, l.Owner)
	}
	return append(appendChain(append(dst, familyNSEC3), l.Chain), l.Hash[:]...)
}

// A chain is one chain of a zone's links, as far as one partition knows it: that of
// its NSEC sets, or one of its NSEC3 sets.
type chain struct {
	c      *Cache
	at     node // the apex
	now    int64
	prefix []byte // begins the keys of its links
	hasher *dnssec.Hasher
	// end is the last link of a chain of NSEC3 sets, which also covers what stands
	// before the first one; nil for NSEC.
	end *storedLink
}

// chainsAtMost is how many NSEC3 chains of a zone are looked at. A zone has one, and
// two while its salt is changed.
const chainsAtMost = 2

// chains are those of the zone whose apex is a node.
func (c *Cache) chains(at node, now int64, h *dnssec.Hasher) iter.Seq[*chain] {
	return func(yield func(*chain) bool) {
		if !yield(&chain{c: c, at: at, now: now, prefix: at.key(familyNSEC)}) {
			return
		}
		all := at.key(familyNSEC3)
		behind := append(bytes.Clone(all), 0xff)
		for range chainsAtMost {
			end, ok := c.lastLink(at, all, behind, now)
			if !ok {
				return
			}
			ch := &chain{c: c, at: at, now: now, prefix: at.chain(end.Chain), hasher: h, end: &end}
			if !yield(ch) {
				return
			}
			behind = ch.prefix
		}
	}
}

// link is the link of the chain whose owner is the name, or whose range the name lies in;
// nil when none is known. Package dnssec decides what the link proves. The hasher's meter
// is asked before the name is hashed.
func (ch *chain) link(name dnsname.Name) *storedLink {
	if !name.IsSubdomainOf(ch.at.name) {
		return nil
	}
	if ch.end == nil {
		if k, ok := ch.c.lastLink(ch.at, ch.prefix, ch.at.nsec(name), ch.now); ok && k.alive && k.Spans(name) {
			return &k
		}
		return nil
	}
	h, err := ch.hasher.Hash(ch.end.Chain, name)
	if err != nil {
		return nil
	}
	var room [usualKey]byte
	k, ok := ch.c.lastLink(ch.at, ch.prefix, append(append(room[:0], ch.prefix...), h[:]...), ch.now)
	if !ok {
		k = *ch.end
	}
	if k.alive && k.SpansHash(h) {
		return &k
	}
	return nil
}

// A hashing is the meter of one look-up in the chains of a zone (HARDENING B2): few
// names, within what is left to the request.
type hashing struct {
	names int
	proof resolve.Proof
	cache *Cache
}

// Verify implements dnssec.Meter. It allows all: sets in the cache were verified before.
func (h *hashing) Verify() error { return nil }

// Failed implements dnssec.Meter.
func (h *hashing) Failed() error { return nil }

// Hash implements dnssec.Meter.
func (h *hashing) Hash(blocks int) error {
	if h.names++; h.names > limits.AggressiveHashes {
		h.cache.counters.Hit(limits.HashedNames)
		return resolve.Over(limits.HashedNames, resolve.ErrProof)
	}
	return h.proof.Hash(blocks)
}

// Hashed implements dnssec.HashMemory: what a flood of names has in common, the names
// above them and their wildcards, is hashed once.
func (h *hashing) Hashed(n dnssec.HashedName) ([sha1.Size]byte, bool) { return h.cache.hashes.Get(n) }

// LearnHash implements dnssec.HashMemory.
func (h *hashing) LearnHash(n dnssec.HashedName, sum [sha1.Size]byte) {
	h.cache.hashes.Put(n, sum, limits.HashesRemembered)
}

// A storedLink is a link of a zone's chain as it was found.
type storedLink struct {
	dnssec.Link
	key   []byte
	set   resolve.Set
	age   uint32 // in seconds
	alive bool
}

// lastLink is the stored link with the greatest key that begins with prefix and is
// not above key. One that is damaged, or is not what belongs under its key, is
// deleted.
func (c *Cache) lastLink(at node, prefix, key []byte, now int64) (k storedLink, ok bool) {
	s := c.current()
	if s == nil {
		return k, false
	}
	w := c.scan()
	defer c.scans.Put(w)
	w.prefix, w.key = append(w.prefix[:0], prefix...), append(w.key[:0], key...)
	if !s.Floor(w.prefix, w.key, w.copyBoth) {
		return k, false
	}
	k.key = w.under
	if ok = k.read(at, w.raw, now); !ok {
		c.dropSeen(k.key, w.raw)
	}
	return k, ok
}

// read takes in the entry under k's key.
func (k *storedLink) read(at node, raw []byte, now int64) bool {
	h, body, ok := open(k.key, raw)
	if !ok || h.kind != kindDenial || !h.rank.IsSecure() {
		return false
	}
	k.age, _, k.alive = h.age(now)
	cur := cursor{b: body}
	sets := cur.sets(k.age)
	if !cur.end() || len(sets) != 1 {
		return false
	}
	k.set = sets[0]
	k.Link, ok = dnssec.NewLink(at.name, &k.set.RRset)
	var room [usualKey]byte
	return ok && k.set.Rank.IsSecure() && bytes.Equal(at.appendLink(room[:0], &k.Link), k.key)
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
			if err := d.in(node{in, zone}); err != nil {
				return err
			}
		}
	}
	return nil
}

// in cuts the chains of the zone whose apex is a node: the NSEC sets of the name
// and of those below it, the one before them if its range reaches them, and all
// NSEC3 sets, since a hash tells of no subtree.
func (d *denialCut) in(at node) error {
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
	prefix := append(node{0, name}.prefix(), markPartition)
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
