package cache

import (
	"bytes"

	"kresd/internal/limits"
	"kresd/internal/rank"
	"kresd/internal/resolve"
)

// when is the time for which something is looked for, in wall seconds, and how
// long before it an entry may have ended.
type when struct{ now, grace int64 }

// entry is a checked copy of what stands under a key.
type entry struct {
	header
	age  uint32
	left uint32
	body []byte
}

// load finds an entry that may be used. One that is damaged is deleted.
func (c *Cache) load(key []byte, t when) (e entry, ok bool) {
	e, ok = c.read(key)
	if ok {
		e.age, e.left, ok = e.header.ageWithin(t.now, t.grace)
	}
	return e, ok
}

// read finds an entry, whatever its age. What it hands on is a copy of the key, so that the
// key itself may lie on the caller's stack.
func (c *Cache) read(key []byte) (e entry, ok bool) {
	s := c.current()
	if s == nil || len(key) > maxKey {
		return e, false
	}
	w := c.scan()
	defer c.scans.Put(w)
	w.key = append(w.key[:0], key...)
	if !s.Get(w.key, w.copy) {
		return e, false
	}
	return c.check(w.key, w.raw)
}

// check opens a copy of an entry. One that is damaged is deleted. The key is not kept.
func (c *Cache) check(key, raw []byte) (e entry, ok bool) {
	if e.header, e.body, ok = open(key, raw); !ok {
		c.dropSeen(bytes.Clone(key), raw)
	}
	return e, ok
}

// drop forgets an entry that is whole and yet cannot be believed.
func (c *Cache) drop(key []byte) {
	c.n.damaged.Add(1)
	if s := c.current(); s != nil {
		s.Delete(bytes.Clone(key))
	}
}

// dropSeen forgets an entry that cannot be believed as it was seen.
func (c *Cache) dropSeen(key, seen []byte) {
	c.n.damaged.Add(1)
	if s := c.current(); s != nil {
		deleteSeen(s, key, seen)
	}
}

// deleteSeen removes what stands under key if it is what was seen there, nil for
// what is too large for an entry: who read while a writer was at it may have seen
// what never stood there.
func deleteSeen(s Store, key, seen []byte) {
	s.DeleteIf(key, func(old []byte) bool {
		return bytes.Equal(old, seen) || len(old) > limits.MaxCacheEntryBytes
	})
}

// loadSets is load for entries that hold sets.
func (c *Cache) loadSets(key []byte, t when) (e entry, sets []resolve.Set, ok bool) {
	if e, ok = c.load(key, t); !ok {
		return e, nil, false
	}
	cur := cursor{b: e.body}
	sets = cur.sets(e.age)
	if !cur.end() {
		c.drop(key)
		return e, nil, false
	}
	sets[0].Odd = oddityOf(e.code)
	return e, sets, true
}

// loadRRset finds what is known about a type at a node: its set, or that there is
// none.
func (c *Cache) loadRRset(at node, rrtype, class uint16, t when) (e entry, sets []resolve.Set, ok bool) {
	key := appendRRset(at.prefix(), rrtype, class)
	e, sets, ok = c.loadSets(key, t)
	if !ok {
		return e, nil, false
	}
	s := &sets[0]
	switch {
	case e.kind == kindRRset && s.Owner == at.name && s.Type == rrtype && s.Class == class:
	case e.kind == kindNoData && at.name.IsSubdomainOf(s.Owner):
	default:
		c.drop(key)
		return e, nil, false
	}
	return e, sets, true
}

// loadNXDomain finds the denial of a name.
func (c *Cache) loadNXDomain(at node, class uint16, t when) (e entry, sets []resolve.Set, ok bool) {
	e, sets, ok = c.loadSets(at.nxdomain(class), t)
	ok = ok && e.kind == kindNXDomain && at.name.IsSubdomainOf(sets[0].Owner)
	return e, sets, ok
}

// mayAnswer tells whether data of rank r may be told to a client. With CD=1 it
// is told what failed validation or was never judged; without, only what was
// judged (RFC 4035, section 3.2.2).
func mayAnswer(r rank.Rank, cd bool) bool {
	if r.IsSecure() {
		return true
	}
	base := r &^ rank.Auth
	if !r.IsAuth() || base == rank.Omit {
		return false
	}
	return cd || base == rank.Try || base == rank.Indet || base >= rank.Insecure
}
