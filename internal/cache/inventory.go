package cache

import (
	"encoding/binary"

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
	aDenial // of a name in the zone whose apex the node is

	allKinds kinds = 1<<iota - 1
)

// inventoryMost is how many entries of a node are looked at.
const inventoryMost = 24

// An inventory tells which kinds of entries a node does not have. Most look-ups of
// a resolution find nothing, and the keys of a node stand side by side: one scan
// of them tells which of the look-ups need not be made. A node with many entries
// is taken to have all kinds.
type inventory struct {
	missing kinds
	cut     []byte // a copy of the delegation; nil: none was seen
	clears  uint64 // the clear number of what was read
	mark    uint64 // of cuts, from before it was read
	ok      bool   // something could be read
}

// lacks tells whether the node has no entry of any of some kinds.
func (i *inventory) lacks(k kinds) bool { return i.missing&k == k }

// inventory makes the inventory of a node.
func (c *Cache) inventory(at node) inventory {
	s := c.current()
	if s == nil {
		return inventory{missing: allKinds}
	}
	w := c.scanOf(at)
	defer c.scans.Put(w)
	if len(w.prefix) > maxKey {
		return inventory{missing: allKinds, clears: s.ClearNumber(), ok: true}
	}
	mark := c.cuts.mark()
	clears, ok := s.Range(w.prefix, w.take)
	return inventory{missing: allKinds &^ w.found, cut: w.cut, clears: clears, mark: mark, ok: ok}
}

// kindOf tells what a key is of; rest is what follows the prefix of its node.
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
