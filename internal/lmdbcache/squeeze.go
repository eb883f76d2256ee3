package lmdbcache

import (
	"bytes"
	"context"

	"github.com/PowerDNS/lmdb-go/lmdb"
)

// LMDB joins a page with its neighbour only when it is filled by less than a
// quarter, so evicting half of all entries may free no page at all. Squeezing
// takes all entries off a page whose neighbour has room for them, which frees
// the page, and puts them back, which fills the neighbour.

// fullShare is how full a neighbour may become by squeezing: room is left, so that the next
// entry does not split the page again.
const fullShare = 0.9

// squeeze goes over all leaf pages once, until the goal is reached.
func (w *collection) squeeze(ctx context.Context) error {
	var at []byte
	for {
		if err := ctx.Err(); err != nil {
			return err
		}
		atEnd := false
		if !w.s.withReader(func(r *Reader) { at, atEnd = w.chooseMoves(r, at) }) {
			return ErrClosed
		}
		if len(w.keys) > 0 {
			err := w.s.do(ctx, w.moveChosen)
			if lmdb.IsMapFull(err) {
				return nil // no room to move things; evicting more makes some
			}
			if err != nil {
				return err
			}
			if w.reached(w.goal) {
				return nil
			}
		}
		if atEnd {
			return nil
		}
	}
}

// lookAheadLeaves is how many leaf pages are looked at in one snapshot at most.
const lookAheadLeaves = 500

// chooseMoves collects, from key at on, the keys of leaf pages to be emptied, and
// returns where to go on.
func (w *collection) chooseMoves(r *Reader, at []byte) (next []byte, atEnd bool) {
	defer r.fault()
	w.keys = w.keys[:0]
	most := w.s.batchSize()
	r.at = append(r.at[:0], at...)
	on := r.seek()
	room, parent := 0, -1 // octets that still fit into the leaf before, and that leaf's parent
	for n := 0; on; n++ {
		l := &r.cur.level[r.cur.depth-1]
		key, _, ok := r.cur.entry()
		if r.overtaken() || !ok {
			break
		}
		r.at = append(r.at[:0], key...)
		if len(w.keys)+l.n > most && len(w.keys) > 0 || n == lookAheadLeaves {
			return bytes.Clone(key), len(key) == 0
		}
		used := int(r.m.psize) - pageHeader - int(u16(l.page[14:])) + int(u16(l.page[12:]))
		if p := r.cur.parent(); p == parent && used <= room && l.n <= most { // this leaf is emptied into the one before
			w.keys = r.cur.appendKeys(w.keys)
			room -= used
		} else {
			room, parent = int(fullShare*float64(r.m.psize))-used, p
		}
		l.i = l.n - 1
		on = r.cur.step(1)
	}
	if r.overtaken() { // the walk goes on in the next snapshot
		return bytes.Clone(r.at), false
	}
	return nil, true
}

// parent is the number of the page above the current leaf; -1 if there is none. What was
// taken off a leaf goes to the leaf before only if both have the same parent.
func (c *cursor) parent() int {
	if c.depth < 2 {
		return -1
	}
	return int(u64(c.level[c.depth-2].page))
}

// appendKeys appends the keys of the current leaf.
func (c *cursor) appendKeys(keys [][]byte) [][]byte {
	l := &c.level[c.depth-1]
	for i := range l.n {
		if _, k, ok := node(l.page, i); ok {
			keys = append(keys, bytes.Clone(k))
		}
	}
	return keys
}

// moveChosen takes the chosen entries out and puts them in again.
func (w *collection) moveChosen(txn *lmdb.Txn) error {
	vals := make([][]byte, len(w.keys))
	for i, k := range w.keys {
		val, err := txn.Get(w.s.dbi, k)
		if lmdb.IsNotFound(err) {
			continue
		}
		if err == nil {
			vals[i] = append([]byte{}, val...)
			err = txn.Del(w.s.dbi, k, nil)
		}
		if err != nil {
			return err
		}
	}
	for i, k := range w.keys {
		if vals[i] == nil {
			continue
		}
		if err := txn.Put(w.s.dbi, k, vals[i], 0); err != nil {
			return err
		}
	}
	return nil
}
