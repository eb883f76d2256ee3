package cache

import (
	"bytes"

	"kresd/internal/limits"
)

// A scan is one look into the Store: a walk over the entries of a node, or a copy of one
// entry. It is used again and again, because almost every question that is not in the
// cache needs several, and what a Store is handed would have to be allocated each time.
type scan struct {
	prefix []byte // of the keys that are walked over
	node   int    // octets of prefix that are the node's
	key    []byte // the one that is looked for

	// What an inventory finds.
	seen  int
	found kinds
	cut   []byte
	// What somebody finds who is about to store something.
	around surroundings
	// What stood under one key, and that key where another was looked for.
	raw, under []byte

	// The methods, as values.
	take, count func(key, val []byte) bool
	copy        func(val []byte)
	copyBoth    func(key, val []byte)
}

// scan is a scan that is to be put back into c.scans.
func (c *Cache) scan() *scan {
	w, _ := c.scans.Get().(*scan)
	if w == nil {
		w = new(scan)
		w.take, w.count, w.copy, w.copyBoth = w.takeStock, w.countOne, w.copyOne, w.copyWithKey
	}
	w.seen, w.found, w.cut, w.around, w.raw, w.under = 0, 0, nil, surroundings{}, nil, nil
	return w
}

// scanOf is scan for the entries of a node, with whose prefix the key begins.
func (c *Cache) scanOf(at node) *scan {
	w := c.scan()
	w.prefix = at.appendPrefix(w.prefix[:0])
	w.node, w.key = len(w.prefix), append(w.key[:0], w.prefix...)
	return w
}

// surroundings is what was stored under a name when something is to be added.
type surroundings struct {
	rrsets  int  // sets and denials of single types
	answers int  // whole answers
	known   bool // the one to be added is among them
	denied  bool // the name is said not to exist
}

// takeStock takes note of one entry for an inventory.
func (w *scan) takeStock(key, val []byte) bool {
	kind, ours := kindOf(key[w.node:])
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

// countOne takes note of one entry for the surroundings of what is to be added.
func (w *scan) countOne(key, _ []byte) bool {
	kind, ours := kindOf(key[w.node:])
	switch {
	case kind&anRRset != 0:
		w.around.rrsets++
	case kind&anAnswer != 0:
		w.around.answers++
	case kind&anNXDomain != 0:
		w.around.denied = true
	}
	w.around.known = w.around.known || bytes.Equal(key, w.key)
	return ours
}

// copyOne copies one entry that is not too large for one.
func (w *scan) copyOne(val []byte) {
	if len(val) <= limits.MaxCacheEntryBytes { // a copy is checked, never the map
		w.raw = bytes.Clone(val)
	}
}

// copyWithKey copies one entry, unless it is too large for one, and its key.
func (w *scan) copyWithKey(key, val []byte) {
	if len(val) > limits.MaxCacheEntryBytes {
		val = nil
	}
	both := append(append(make([]byte, 0, len(key)+len(val)), key...), val...)
	w.under, w.raw = both[:len(key):len(key)], both[len(key):]
}
