package cache

import (
	"context"
	"encoding/binary"

	"kresd/internal/dnsname"
	"kresd/internal/lmdbcache"
	"kresd/internal/resolve"
	"kresd/internal/wire"
)

// Count is the number of entries.
func (c *Cache) Count() (int, error) {
	s := c.current()
	if s == nil {
		return 0, ErrClosed
	}
	return s.Count()
}

// Clear forgets everything, in every worker, and returns how many entries there
// were.
func (c *Cache) Clear() (int, error) {
	s := c.current()
	if s == nil {
		return 0, ErrClosed
	}
	return s.Clear()
}

// Remove forgets at most limit entries at name and, unless exact, below it, and
// returns how many. With a subtree go the denials in the zones above that speak of
// it; where only a name's own entries go, all denials stay. Answers that lead to what
// is forgotten by aliases are forgotten by all workers at the same moment, wherever they
// are stored.
func (c *Cache) Remove(name dnsname.Name, exact bool, limit int) (int, error) {
	s := c.current()
	if s == nil {
		return 0, ErrClosed
	}
	prefix := name.AppendKey(nil)
	if exact {
		return s.RemoveRange(append(prefix, 0), limit, func(key []byte) bool {
			_, family, _, ok := splitKey(key)
			return !ok || !isDenial(family)
		})
	}
	// Answers to questions from before the clear can be written only until here
	// (PutUnlessCleared), so that none is written after the denials were cut.
	n, err := s.RemoveRange(prefix, limit, nil)
	if err != nil {
		return n, err
	}
	cut := denialCut{c: c, s: s, name: name, left: limit - n}
	err = cut.above()
	return limit - cut.left, err
}

// RemoveType forgets the RRset of one type at name with all that was made of it.
func (c *Cache) RemoveType(name dnsname.Name, rrtype uint16) (int, error) {
	s := c.current()
	if s == nil {
		return 0, ErrClosed
	}
	const all = 1 << 20
	return s.RemoveRange(append(name.AppendKey(nil), 0), all, func(key []byte) bool {
		_, family, rest, ok := splitKey(key)
		switch family {
		case familyRRset, familyAnswer, familyFailure:
			return ok && len(rest) >= 2 && binary.BigEndian.Uint16(rest) == rrtype
		case familyCut:
			return ok && rrtype == wire.TypeNS
		}
		return false
	})
}

// ClosestApex is the closest name at or above the given one where one partition has
// seen the apex of a zone; the root if nowhere.
func (c *Cache) ClosestApex(in resolve.Partition, name dnsname.Name, now int64) dnsname.Name {
	for n := name; !n.IsRoot(); n = n.Parent() {
		at := node{in, n}
		if c.loadCut(at, now) != nil || c.hasSet(at, wire.TypeSOA, now) || c.hasSet(at, wire.TypeNS, now) {
			return n
		}
	}
	return dnsname.Root
}

func (c *Cache) hasSet(at node, rrtype uint16, now int64) bool {
	e, _, ok := c.loadRRset(at, rrtype, wire.ClassIN, when{now: now})
	return ok && e.kind == kindRRset
}

// Prune removes expired entries, at most limit of them if that is above 0, and
// returns how many.
func (c *Cache) Prune(ctx context.Context, now int64, limit int) (int, error) {
	s := c.current()
	if s == nil {
		return 0, ErrClosed
	}
	chosen := make(map[string]struct{})
	return s.Prune(ctx, func(key, val []byte) lmdbcache.Worth {
		if !isOver(key, val, now) {
			return 1
		}
		if limit <= 0 {
			return lmdbcache.Worthless
		}
		// An entry is judged again before it goes.
		if _, again := chosen[string(key)]; !again && len(chosen) >= limit {
			return 1
		}
		chosen[string(key)] = struct{}{}
		return lmdbcache.Worthless
	})
}
