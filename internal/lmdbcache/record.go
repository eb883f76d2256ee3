package lmdbcache

import (
	"bytes"
	"encoding/binary"
	"fmt"

	"github.com/PowerDNS/lmdb-go/lmdb"
)

// ownPrefix marks the keys that are the store's own.
const ownPrefix = "\x00\x00"

// recordKey holds the one entry of the store itself: whose entries these are and
// what was cleared. It is there as soon as anything else is.
const recordKey = ownPrefix + "store"

const recordMagic = "krc1"

// A record is that entry. Its number counts the clears; a write that was queued
// at an older number is judged by dropped().
type record struct {
	schema uint32
	clears uint64
	// All clears after number base removed (parts of) the range prefix only.
	base   uint64
	prefix []byte
}

func (r record) encode() []byte {
	b := append(make([]byte, 0, 24+len(r.prefix)), recordMagic...)
	b = binary.BigEndian.AppendUint32(b, r.schema)
	b = binary.BigEndian.AppendUint64(b, r.clears)
	b = binary.BigEndian.AppendUint64(b, r.base)
	return append(b, r.prefix...)
}

func parseRecord(b []byte) (r record, ok bool) {
	if len(b) < 24 || string(b[:4]) != recordMagic {
		return r, false
	}
	return record{
		schema: binary.BigEndian.Uint32(b[4:]),
		clears: binary.BigEndian.Uint64(b[8:]),
		base:   binary.BigEndian.Uint64(b[16:]),
		prefix: b[24:],
	}, true
}

// cleared returns the record after one more clear of the range prefix; an empty
// prefix is everything.
func (r record) cleared(prefix []byte) record {
	next := record{schema: r.schema, clears: r.clears + 1, base: r.base, prefix: prefix}
	if !bytes.Equal(prefix, r.prefix) || r.base == 0 {
		next.base = r.clears
	}
	return next
}

// drops tells whether a write must not appear any more.
func (r record) drops(o *op) bool {
	return o.wide && o.seen < r.clears || r.dropped(o.key, o.seen)
}

// dropped tells whether a write of key that was queued at clear number seen must
// not appear any more. Nothing cleared may come back, so where the record does
// not tell what the clears since then removed, it is dropped: a cache may
// forget.
func (r record) dropped(key []byte, seen uint64) bool {
	switch {
	case seen >= r.clears:
		return false
	case seen < r.base:
		return true
	}
	return bytes.HasPrefix(key, r.prefix)
}

// readRecord reads the record inside a write transaction. The bytes of its
// prefix are valid until the next write.
func (s *Store) readRecord(txn *lmdb.Txn) (record, error) {
	b, err := txn.Get(s.dbi, []byte(recordKey))
	if err != nil && !lmdb.IsNotFound(err) {
		return record{}, err
	}
	r, ok := parseRecord(b)
	if !ok {
		r = record{schema: s.opts.Schema}
	}
	return r, nil
}

func (s *Store) writeRecord(txn *lmdb.Txn, r record) error {
	return txn.Put(s.dbi, []byte(recordKey), r.encode(), 0)
}

// adopt makes the file ours: one of another schema, or of another program, is
// emptied in one transaction. A file that fits is not written to, so opening
// never waits for another process's transaction.
func (s *Store) adopt() error {
	err := s.env.View(func(txn *lmdb.Txn) (err error) {
		s.dbi, err = txn.OpenRoot(0)
		return err
	})
	if err != nil {
		return err
	}
	fits := false
	s.withReader(func(r *Reader) {
		b, _ := r.Get([]byte(recordKey))
		rec, ok := parseRecord(b)
		fits = ok && rec.schema == s.opts.Schema
	})
	if fits {
		return nil
	}
	if s.opts.Keep {
		return ErrSchema
	}
	if err := s.lockSoon(); err != nil {
		return err
	}
	defer s.lock.unlock()
	return s.env.Update(s.adoptTxn)
}

func (s *Store) adoptTxn(txn *lmdb.Txn) error {
	st, err := txn.Stat(s.dbi)
	if err != nil {
		return err
	}
	b, err := txn.Get(s.dbi, []byte(recordKey))
	if err != nil && !lmdb.IsNotFound(err) {
		return err
	}
	r, ours := parseRecord(b)
	if ours && r.schema == s.opts.Schema {
		return nil // another process was faster
	}
	if st.Entries > 0 {
		what := "of an unknown kind"
		if ours {
			what = fmt.Sprintf("of version %d instead of %d", r.schema, s.opts.Schema)
		}
		s.opts.Warn(fmt.Sprintf("%d entries %s were dropped from the cache in %s", st.Entries, what, s.dir))
		if err := txn.Drop(s.dbi, false); err != nil {
			return err
		}
	}
	r.schema = s.opts.Schema
	return s.writeRecord(txn, r.cleared(nil))
}
