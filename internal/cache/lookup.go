package cache

import (
	"bytes"

	"kresd/internal/dnsname"
	"kresd/internal/limits"
	"kresd/internal/rank"
	"kresd/internal/resolve"
)

// entry is a checked copy of what stands under a key.
type entry struct {
	header
	age  uint32
	left uint32
	body []byte
}

// A moment is when something is looked for, in wall seconds, and how long before
// an entry may have ended.
type moment struct{ now, grace int64 }

// load finds a live entry. One that is damaged is deleted.
func (c *Cache) load(key []byte, now int64) (e entry, ok bool) {
	return c.loadAt(key, moment{now: now})
}

func (c *Cache) loadAt(key []byte, m moment) (e entry, ok bool) {
	e, ok = c.read(key)
	if ok {
		e.age, e.left, ok = e.header.ageWithin(m.now, m.grace)
	}
	return e, ok
}

// read finds an entry, whatever its age.
func (c *Cache) read(key []byte) (e entry, ok bool) {
	s := c.current()
	if s == nil || len(key) > maxKey {
		return e, false
	}
	var raw []byte
	found := s.Get(key, func(val []byte) {
		if len(val) <= limits.MaxCacheEntryBytes { // a copy is checked, never the map
			raw = bytes.Clone(val)
		}
	})
	if !found {
		return e, false
	}
	return c.check(key, raw)
}

// check opens a copy of an entry. One that is damaged is deleted.
func (c *Cache) check(key, raw []byte) (e entry, ok bool) {
	if e.header, e.body, ok = open(key, raw); !ok {
		c.drop(key)
	}
	return e, ok
}

// drop forgets an entry that cannot be believed.
func (c *Cache) drop(key []byte) {
	c.n.damaged.Add(1)
	if s := c.current(); s != nil {
		s.Delete(key)
	}
}

// loadSets is load for entries that hold sets.
func (c *Cache) loadSets(key []byte, m moment) (e entry, sets []resolve.Set, ok bool) {
	if e, ok = c.loadAt(key, m); !ok {
		return e, nil, false
	}
	cur := cursor{b: e.body}
	sets = cur.sets(e.age)
	if !cur.end() {
		c.drop(key)
		return e, nil, false
	}
	return e, sets, true
}

// loadRRset finds what is known about a name and type: its set, or that there is
// none.
func (c *Cache) loadRRset(n dnsname.Name, t, class uint16, now int64) (e entry, sets []resolve.Set, ok bool) {
	return c.loadRRsetAt(n, t, class, moment{now: now})
}

func (c *Cache) loadRRsetAt(n dnsname.Name, t, class uint16, m moment) (e entry, sets []resolve.Set, ok bool) {
	key := rrsetKey(n, t, class)
	e, sets, ok = c.loadSets(key, m)
	if !ok {
		return e, nil, false
	}
	s := &sets[0]
	switch {
	case e.kind == kindRRset && s.Owner == n && s.Type == t && s.Class == class:
	case e.kind == kindNoData && n.IsSubdomainOf(s.Owner):
	default:
		c.drop(key)
		return e, nil, false
	}
	return e, sets, true
}

// loadNXDomain finds the proof that a name does not exist.
func (c *Cache) loadNXDomain(n dnsname.Name, class uint16, now int64) (e entry, sets []resolve.Set, ok bool) {
	return c.loadNXDomainAt(n, class, moment{now: now})
}

func (c *Cache) loadNXDomainAt(n dnsname.Name, class uint16, m moment) (e entry, sets []resolve.Set, ok bool) {
	e, sets, ok = c.loadSets(nxdomainKey(n, class), m)
	ok = ok && e.kind == kindNXDomain && n.IsSubdomainOf(sets[0].Owner)
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
