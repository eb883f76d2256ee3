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
// how many entries there were. What any process queued before it is dropped.
func (s *Store) Clear() (n int, err error) {
	ctx, cancel := context.WithTimeout(context.Background(), clearWait)
	defer cancel()
	var had int
	err = s.do(ctx, func(txn *lmdb.Txn) (bool, error) {
		rec, err := s.readRecord(txn)
		if err != nil {
			return true, err
		}
		st, err := txn.Stat(s.dbi)
		if err != nil {
			return true, err
		}
		rec = rec.cleared(nil)
		if err := txn.Drop(s.dbi, false); err != nil {
			return true, err
		}
		had = max(0, int(st.Entries)-1) // without the record
		return true, s.writeRecord(txn, rec)
	})
	if err != nil {
		return 0, err
	}
	s.stats.clear.Add(1)
	s.health.recovered()
	return had, nil
}

// RemoveRange removes, in key order, at most limit entries whose keys start with
// prefix and satisfy match (nil: all), and returns how many. In the first of its
// transactions it counts as a clear of the range: what other processes queued
// for it before is dropped. Others can write between its transactions.
func (s *Store) RemoveRange(prefix []byte, limit int, match func(key []byte) bool) (n int, err error) {
	ctx, cancel := context.WithTimeout(context.Background(), clearWait)
	defer cancel()
	run := &removal{s: s, prefix: bytes.Clone(prefix), next: bytes.Clone(prefix), limit: limit, match: match}
	if err := s.do(ctx, run.step); err != nil {
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
}

// step is one transaction. As for any write, others wait for it: it ends after
// limits.WriteBatchEntries removals or limits.WriteBatchTime.
func (r *removal) step(txn *lmdb.Txn) (complete bool, err error) {
	txn.RawRead = true
	if !r.counted {
		rec, err := r.s.readRecord(txn)
		if err != nil {
			return true, err
		}
		if err := r.s.writeRecord(txn, rec.cleared(r.prefix)); err != nil {
			return true, err
		}
	}
	cur, err := txn.OpenCursor(r.s.dbi)
	if err != nil {
		return true, err
	}
	defer cur.Close()
	n, complete, err := r.walk(cur)
	if err == nil {
		r.removed += n
		r.counted = true
	}
	return complete, err
}

func (r *removal) walk(cur *lmdb.Cursor) (n int, complete bool, err error) {
	began := time.Now()
	most := r.s.batchSize()
	for seen := 1; ; seen++ {
		k, err := r.position(cur, seen == 1)
		if lmdb.IsNotFound(err) || err == nil && !bytes.HasPrefix(k, r.prefix) || r.removed+n >= r.limit {
			return n, true, nil
		}
		if err != nil {
			return n, true, err
		}
		if n >= most || seen&7 == 0 && time.Since(began) > limits.WriteBatchTime {
			r.next = bytes.Clone(k)
			return n, false, nil
		}
		if isOwn(k) || r.match != nil && !r.match(k) {
			continue
		}
		if err := cur.Del(0); err != nil {
			return n, true, err
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
