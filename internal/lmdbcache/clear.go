package lmdbcache

import (
	"bytes"
	"context"
	"time"

	"kresd/internal/limits"

	"github.com/PowerDNS/lmdb-go/lmdb"
)

// clearWait is how long a clear waits for its turn. The turn comes late only
// when another process is frozen inside a transaction.
const clearWait = 5 * time.Second

// Clear forgets everything, in every process that shares the map, and returns
// how many entries there were. Entries that any process queued before it are dropped.
func (s *Store) Clear() (n int, err error) {
	ctx, cancel := context.WithTimeout(context.Background(), clearWait)
	defer cancel()
	err = s.do(ctx, func(txn *lmdb.Txn) (err error) {
		n, err = s.clearAll(txn)
		return err
	})
	if err != nil {
		return 0, err
	}
	s.stats.clear.Add(1)
	s.health.recovered()
	return n, nil
}

// clearAll is the transaction of a Clear.
func (s *Store) clearAll(txn *lmdb.Txn) (had int, err error) {
	rec, err := s.readRecord(txn)
	if err != nil {
		return 0, err
	}
	st, err := txn.Stat(s.dbi)
	if err != nil {
		return 0, err
	}
	rec = rec.cleared(nil)
	if err := txn.Drop(s.dbi, false); err != nil {
		return 0, err
	}
	return max(0, int(st.Entries)-1), s.writeRecord(txn, rec) // without the record
}

// RemoveRange removes, in key order, at most limit entries whose keys start with
// prefix and satisfy match (nil: all), and returns how many. In the first of its
// transactions it counts as a clear of the range: what other processes queued
// for it before is dropped. Others can write between its transactions.
func (s *Store) RemoveRange(prefix []byte, limit int, match func(key []byte) bool) (n int, err error) {
	ctx, cancel := context.WithTimeout(context.Background(), clearWait)
	defer cancel()
	run := &removal{s: s, prefix: bytes.Clone(prefix), next: bytes.Clone(prefix), limit: limit, match: match}
	more := func() bool { return !run.complete }
	if err := s.await(ctx, &job{step: run.step, more: more, ended: make(chan error, 1)}); err != nil {
		return 0, err
	}
	s.stats.clear.Add(1)
	s.health.recovered()
	return run.removed, nil
}

// A removal is a RemoveRange in progress.
type removal struct {
	s       *Store
	prefix  []byte
	next    []byte // where to go on
	limit   int
	match   func(key []byte) bool
	removed int
	counted bool // as a clear

	complete bool
}

// step is one transaction. As for any write, others wait for it: it ends after
// limits.WriteBatchEntries removals or limits.WriteBatchTime.
func (r *removal) step(txn *lmdb.Txn) error {
	if !r.counted {
		rec, err := r.s.readRecord(txn)
		if err != nil {
			return err
		}
		if err := r.s.writeRecord(txn, rec.cleared(r.prefix)); err != nil {
			return err
		}
	}
	cur, err := txn.OpenCursor(r.s.dbi)
	if err != nil {
		return err
	}
	defer cur.Close()
	n, err := r.walk(cur)
	r.removed += n
	r.counted = true
	return err
}

// walk removes what it comes by and says whether that was all.
func (r *removal) walk(cur *lmdb.Cursor) (n int, err error) {
	began := time.Now()
	most := r.s.batchSize()
	for seen := 1; ; seen++ {
		k, err := r.position(cur, seen == 1)
		if lmdb.IsNotFound(err) || err == nil && !bytes.HasPrefix(k, r.prefix) || r.removed+n >= r.limit {
			r.complete = true
			return n, nil
		}
		if err != nil {
			return n, err
		}
		if n >= most || seen&7 == 0 && time.Since(began) > limits.WriteBatchTime {
			r.next = bytes.Clone(k)
			return n, nil
		}
		if isOwn(k) || r.match != nil && !r.match(k) {
			continue
		}
		if err := cur.Del(0); err != nil {
			return n, err
		}
		r.s.stats.remove.Add(1)
		n++
	}
}

// position moves to the next key, or to the one to begin with.
func (r *removal) position(cur *lmdb.Cursor, first bool) (k []byte, err error) {
	switch {
	case !first:
		k, _, err = cur.Get(nil, nil, lmdb.Next)
	case len(r.next) == 0:
		k, _, err = cur.Get(nil, nil, lmdb.First)
	default:
		k, _, err = cur.Get(r.next, nil, lmdb.SetRange)
	}
	return k, err
}
