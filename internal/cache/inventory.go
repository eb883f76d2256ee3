package cache

import (
	"bytes"
	"encoding/binary"

	"kresd/internal/limits"
	"kresd/internal/wire"
)

// kinds is a set of kinds of entries, whatever they hold and whether they are
// alive.
type kinds uint8

const (
	aCut kinds = 1 << iota
	aFailure
	anRRset
	aDNAME // also anRRset
	anNXDomain
	anAnswer
	aDenial // of a name in the zone whose apex the place is

	allKinds kinds = 1<<iota - 1
)

// inventoryMost is how many entries of a place are looked at.
const inventoryMost = 24

// An inventory tells which kinds of entries a place does not have. Most look-ups of
// a resolution find nothing, and the keys of a place stand side by side: one scan
// of them tells which of the look-ups need not be made. A place with many entries
// is taken to have all kinds.
type inventory struct {
	missing kinds
	cut     []byte // a copy of the delegation; nil: none was seen
	clears  uint64 // the clear number of what was read
	ok      bool   // something could be read
}

// lacks tells whether the place has no entry of any of some kinds.
func (i *inventory) lacks(k kinds) bool { return i.missing&k == k }

// inventory makes the inventory of a place.
func (c *Cache) inventory(at place) inventory {
	s := c.current()
	if s == nil {
		return inventory{missing: allKinds}
	}
	w, _ := c.scans.Get().(*scan)
	if w == nil {
		w = new(scan)
		w.fn = w.see
	}
	defer c.scans.Put(w)
	w.prefix, w.seen, w.found, w.cut = at.appendPrefix(w.prefix[:0]), 0, 0, nil
	if len(w.prefix) > maxKey {
		return inventory{missing: allKinds, clears: s.ClearNumber(), ok: true}
	}
	clears, ok := s.Range(w.prefix, w.fn)
	return inventory{missing: allKinds &^ w.found, cut: w.cut, clears: clears, ok: ok}
}

// A scan is an inventory that is being made. It is used again and again, because
// almost every question that is not in the cache needs one and Range would have it
// allocated.
type scan struct {
	prefix []byte
	seen   int
	found  kinds
	cut    []byte
	fn     func(key, val []byte) bool // see
}

func (w *scan) see(key, val []byte) bool {
	kind, ours := kindOf(key[len(w.prefix):])
	if !ours {
		w.found |= kind
		return false
	}
	if w.seen++; w.seen > inventoryMost {
		w.found = allKinds
		return false
	}
	if w.found |= kind; kind == aCut && len(val) <= limits.MaxCacheEntryBytes {
		w.cut = bytes.Clone(val)
	}
	return true
}

// kindOf tells what a key is of; rest is what follows the prefix of its place.
// ours is false where the denials of a zone or the entries of another partition
// begin.
func kindOf(rest []byte) (k kinds, ours bool) {
	if len(rest) == 0 {
		return 0, true
	}
	switch rest[0] {
	case familyAnswer:
		k = anAnswer
	case familyCut:
		k = aCut
	case familyFailure:
		k = aFailure
	case familyNXDomain:
		k = anNXDomain
	case familyRRset:
		k = anRRset
		if len(rest) >= 3 && binary.BigEndian.Uint16(rest[1:]) == wire.TypeDNAME {
			k |= aDNAME
		}
	case familyDenier, familyNSEC3, familyNSEC:
		return aDenial, false
	case familyGap, markPartition:
		return 0, false
	}
	return k, true
}
