package cache

import (
	"context"

	"kresd/internal/lmdbcache"
)

// Store is what the cache needs of package lmdbcache, whose documentation says
// what each method promises. All of them may be called on a closed Store, which
// finds and keeps nothing.
type Store interface {
	Get(key []byte, fn func(val []byte)) bool
	Floor(prefix, key []byte, fn func(key, val []byte)) bool
	Range(prefix []byte, fn func(key, val []byte) bool) (clears uint64, ok bool)
	PutSince(seen uint64, key, val []byte, replace lmdbcache.Replace)
	PutUnlessCleared(seen uint64, key, val []byte, replace lmdbcache.Replace)
	Delete(key []byte)
	DeleteIf(key []byte, remove func(old []byte) bool)
	RemoveRange(prefix []byte, limit int, match func(key []byte) bool) (int, error)
	Prune(ctx context.Context, judge func(key, val []byte) lmdbcache.Worth) (int, error)
	Clear() (int, error)
	Count() (int, error)
	ClearNumber() uint64
	NewReader() (Reader, error)
}

// Reader is one thread's door to a Store.
type Reader interface {
	Begin() error
	Get(key []byte) (val []byte, ok bool)
	Floor(prefix, key []byte) (k, val []byte, ok bool)
	ClearNumber() uint64
	End()
	Close()
}

// Disk is a Store in a memory-mapped file.
type Disk struct{ *lmdbcache.Store }

// NewReader is that of lmdbcache.
func (d Disk) NewReader() (Reader, error) { return d.Store.NewReader() }
