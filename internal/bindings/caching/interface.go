package caching

import (
	"context"
	"time"

	"kresd/internal/cache"
	"kresd/internal/dnsname"
	"kresd/internal/resolve"
)

// Cache is the worker's cache as an operator handles it. TTLs are in seconds,
// sizes in octets.
type Cache interface {
	// Open closes an open cache, then opens the one in dir, which uri named.
	Open(size int64, uri, dir string) error
	// Close tells whether a cache was open.
	Close() bool
	// IsOpen and Size tell of the open cache; Size is 0 when none is. URI is that
	// of the cache opened last, "" before the first.
	IsOpen() bool
	Size() int64
	URI() string
	// ToChown names what of the open cache is to be given to a user who could not open it
	// otherwise, as words for a message; "": nothing.
	ToChown(uid int) string
	Count() (int, error)
	TTLs() (lo, hi uint32)
	SetTTLs(lo, hi uint32)
	// Clear forgets everything, the knowledge of servers included.
	Clear() (int, error)
	// Remove forgets at most limit entries at a name and, unless exact, below it;
	// of one type when rrtype is not nil.
	Remove(name dnsname.Name, exact bool, rrtype *uint16, limit int) (int, error)
	// Apex is the closest zone apex at or above name that the cache knows.
	Apex(name dnsname.Name) dnsname.Name
	// Prune forgets what has expired, at most limit entries (0: all).
	Prune(limit int) (int, error)
	// Show lists what is known about a name.
	Show(name dnsname.Name) ([]cache.Shown, error)
	// Insert stores a set that was told at a time in wall seconds; 0 stands for now.
	Insert(set resolve.Set, told int64) error
	// Sync waits until what was stored is in the file.
	Sync(ctx context.Context) error
	// Export writes all entries to a new file of that path, which another cache can begin
	// with, and returns how many there are.
	Export(ctx context.Context, path string) (int, error)
	// Checkpoint is when the cache was last opened or cleared as a whole in this process,
	// or Mark was called, on the clock's monotonic scale and by wall.
	Checkpoint() (mono time.Duration, wall time.Time)
	Mark()
	// FileSystem is how many octets the file system of dir has.
	FileSystem(dir string) (uint64, error)
}
