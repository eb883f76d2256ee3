package lmdbcache

import "bytes"

// A vacancy is a stretch of keys of one snapshot under which nothing is stored. Whoever
// resolves a new question looks for several things under one name, whose keys would stand
// side by side, and finds none of them: the first walk that finds nothing tells what the
// others would find, each of which would have to go down the whole tree. The zero value is
// none.
type vacancy struct {
	m   *mapping // nil: none
	txn uint64   // of the snapshot
	// The keys from low on, low itself among them, and below high, which is stored.
	low, high []byte
}

// holds tells whether nothing is stored under prefix nor any key that starts with it.
func (v *vacancy) holds(r *Reader, prefix []byte) bool {
	return v.m != nil && v.m == r.m && v.txn == r.snap.txn &&
		bytes.Compare(v.low, prefix) <= 0 && bytes.Compare(prefix, v.high) < 0 && !bytes.HasPrefix(v.high, prefix)
}

// note takes note of what is vacant around prefix, if the cursor of r, which was sent there,
// found no such key but a greater one.
func (v *vacancy) note(r *Reader, prefix []byte) {
	high, _, ok := r.cur.entry()
	if !ok || len(high) > maxKey || bytes.HasPrefix(high, prefix) {
		return
	}
	v.m = nil
	v.low, v.high = append(v.low[:0], prefix...), append(v.high[:0], high...)
	if before := r.cur.before(); before != nil && len(before) < maxKey {
		v.low = append(append(v.low[:0], before...), 0)
	}
	r.state.Swap(readerReading) // as in readClears: the copies are complete before the next look
	if !r.overtaken() {
		v.m, v.txn = r.m, r.snap.txn
	}
}

// before is the key of the entry before the one that the cursor stands on, if both are on
// one page; nil: it is elsewhere.
func (c *cursor) before() []byte {
	l := &c.level[c.depth-1]
	if l.i == 0 {
		return nil
	}
	_, key, _ := node(l.page, l.i-1)
	return key
}
