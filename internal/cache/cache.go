package cache

import (
	"crypto/sha1"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"

	"kresd/internal/dnssec"
	"kresd/internal/limits"
	"kresd/internal/reply"
	"kresd/internal/zonecut"
)

// Cache is one worker's view of the Store. Its methods may be called from any
// goroutine.
type Cache struct {
	store    atomic.Pointer[Store] // to nil, or nil at first: closed, everything misses
	ttls     atomic.Uint64         // maximum above minimum, 32 bits each
	reorder  atomic.Bool
	rotation atomic.Uint32
	hints    atomic.Pointer[zonecut.Cut]
	counters *limits.Counters
	n        counts
	cuts     cuts
	gaps     [2]*gapZones // of zones with NSEC, with NSEC3
	scans    sync.Pool    // of *scan
	rooms    reply.Rooms
	hashes   limits.Recent[dnssec.HashedName, [sha1.Size]byte]

	mu    sync.Mutex
	fasts map[*Fast]struct{}
	gone  fastCounts // of those that were closed
}

// New is a closed cache; hits of limits are counted in c.
func New(c *limits.Counters) *Cache {
	cache := &Cache{counters: c, gaps: [2]*gapZones{newGapZones(), newGapZones()}, fasts: map[*Fast]struct{}{}}
	cache.resetTTLs()
	return cache
}

// ErrClosed is returned by what needs an open cache.
var ErrClosed = errors.New("no cache is open")

// Swap puts another Store in place of the current one under running listeners,
// nil to close the cache, and returns the old one, which nobody reads on the
// cached answer's way any more. TTL limits belong to the open cache and go back
// to their defaults.
func (c *Cache) Swap(s Store) (old Store) {
	if p := c.store.Swap(&s); p != nil {
		old = *p
	}
	c.resetTTLs()
	c.cuts.forgetAll()
	c.mu.Lock()
	defer c.mu.Unlock()
	for f := range c.fasts {
		f.detach()
	}
	return old
}

// current is the open Store or nil.
func (c *Cache) current() Store {
	if p := c.store.Load(); p != nil {
		return *p
	}
	return nil
}

func (c *Cache) resetTTLs() { c.ttls.Store(limits.DefaultMaxTTL<<32 | limits.DefaultMinTTL) }

// MinTTL and MaxTTL bound how long entries live, in seconds.
func (c *Cache) MinTTL() uint32 { return uint32(c.ttls.Load()) }

// MaxTTL is the upper bound.
func (c *Cache) MaxTTL() uint32 { return uint32(c.ttls.Load() >> 32) }

// SetMinTTL changes the lower bound. It must not be above the upper one.
func (c *Cache) SetMinTTL(s uint32) error {
	high := c.MaxTTL()
	if s > high {
		return fmt.Errorf("min_ttl must be from 0 to max_ttl, which is %d", high)
	}
	c.ttls.Store(uint64(high)<<32 | uint64(s))
	return nil
}

// SetMaxTTL changes the upper bound. It must not be below the lower one.
func (c *Cache) SetMaxTTL(s uint32) error {
	low := c.MinTTL()
	if s < low {
		return fmt.Errorf("max_ttl must be from min_ttl, which is %d, to 4294967295", low)
	}
	c.ttls.Store(uint64(s)<<32 | uint64(low))
	return nil
}

// SetHints gives the delegation of the root that is used while the cache knows
// none.
func (c *Cache) SetHints(root *zonecut.Cut) { c.hints.Store(root) }

// SetReorder switches the rotation of records within their sets (reorder_RR).
func (c *Cache) SetReorder(on bool) { c.reorder.Store(on) }

// Reorder tells whether records are rotated.
func (c *Cache) Reorder() bool { return c.reorder.Load() }

// Rotation is the number of places for the next answer on the driver's way, 0
// while records are not rotated.
func (c *Cache) Rotation() uint32 {
	if !c.Reorder() {
		return 0
	}
	return c.rotation.Add(1)
}

// bound forces a TTL into the limits. A TTL of 0 stays 0 if the lower limit
// lets it: it is not kept.
func (c *Cache) bound(ttl uint32) uint32 {
	both := c.ttls.Load()
	return min(max(ttl, uint32(both)), uint32(both>>32))
}
