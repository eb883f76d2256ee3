package cache

import (
	"bytes"
	"encoding/binary"

	"kresd/internal/dnsname"
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

	allKinds kinds = 1<<iota - 1
)

// censusMost is how many entries of a name are looked at.
const censusMost = 24

// missing tells which kinds of entries a name does not have. Most look-ups of a
// resolution find nothing, and the keys of a name stand side by side: one walk
// over them tells which of the look-ups need not be made. A name with many
// entries is taken to have all kinds.
func (c *Cache) missing(n dnsname.Name) kinds {
	return c.survey(n).missing
}

// A census is what a walk over the entries of one name found.
type census struct {
	missing kinds
	cut     []byte // a copy of the delegation; nil: none was seen
	clears  uint64 // the clear number of what was read
	ok      bool   // something could be read
}

// survey makes the census of a name.
func (c *Cache) survey(n dnsname.Name) census {
	s := c.current()
	if s == nil {
		return census{missing: allKinds}
	}
	w, _ := c.walks.Get().(*walk)
	if w == nil {
		w = new(walk)
		w.fn = w.see
	}
	defer c.walks.Put(w)
	w.prefix, w.seen, w.found, w.cut = append(n.AppendKey(w.prefix[:0]), 0), 0, 0, nil
	if len(w.prefix) > maxKey {
		return census{missing: allKinds, clears: s.ClearNumber(), ok: true}
	}
	clears, ok := s.Range(w.prefix, w.fn)
	return census{missing: allKinds &^ w.found, cut: w.cut, clears: clears, ok: ok}
}

// A walk is a survey under way. It is used again and again, because almost every
// question that is not in the cache needs one and Range would have it allocated.
type walk struct {
	prefix []byte
	seen   int
	found  kinds
	cut    []byte
	fn     func(key, val []byte) bool // see
}

func (w *walk) see(key, val []byte) bool {
	if w.seen++; w.seen > censusMost {
		w.found = allKinds
		return false
	}
	kind := kindOf(key[len(w.prefix):])
	if w.found |= kind; kind == aCut && len(val) <= limits.MaxCacheEntryBytes {
		w.cut = bytes.Clone(val)
	}
	return true
}

// kindOf tells what a key is of; rest is what follows the name in it.
func kindOf(rest []byte) kinds {
	if len(rest) == 0 {
		return 0
	}
	switch rest[0] {
	case familyAnswer:
		return anAnswer
	case familyCut:
		return aCut
	case familyFailure:
		return aFailure
	case familyNXDomain:
		return anNXDomain
	case familyRRset:
		if len(rest) >= 3 && binary.BigEndian.Uint16(rest[1:]) == wire.TypeDNAME {
			return anRRset | aDNAME
		}
		return anRRset
	}
	return 0
}
