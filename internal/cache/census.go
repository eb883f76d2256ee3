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
	missing, _ := c.survey(n)
	return missing
}

// survey is missing, and a copy of the delegation on the way.
func (c *Cache) survey(n dnsname.Name) (missing kinds, cut []byte) {
	s, prefix := c.current(), nameKey(n)
	if s == nil || len(prefix) > maxKey {
		return allKinds, nil
	}
	seen, found := 0, kinds(0)
	s.Range(prefix, func(key, val []byte) bool {
		if seen++; seen > censusMost {
			found = allKinds
			return false
		}
		kind := kindOf(key[len(prefix):])
		if found |= kind; kind == aCut && len(val) <= limits.MaxCacheEntryBytes {
			cut = bytes.Clone(val)
		}
		return true
	})
	return allKinds &^ found, cut
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
