package validate

import (
	"crypto/sha256"
	"sync"

	"kresd/internal/dnsname"
	"kresd/internal/dnssec"
	"kresd/internal/limits"
	"kresd/internal/resolve"
)

// memory are the keys of zones, decoded, so that this is done once for each DNSKEY
// set. What is here was read from the cache, or has just been proven.
type memory struct {
	mu sync.Mutex
	m  map[place]remembered
}

// place is a zone as those of one partition know it, since the last clear of the cache.
type place struct {
	in     resolve.Partition
	clears uint64
	zone   dnsname.Name
}

// remembered are keys and when they must be asked for again, in wall seconds. A clock
// that goes back does not make them live longer than their TTL.
type remembered struct {
	keys        *dnssec.Keys
	from, until int64
}

// at are the keys of a zone; nil when they have to be asked for.
func (m *memory) at(p place, now int64) *dnssec.Keys {
	m.mu.Lock()
	defer m.mu.Unlock()
	if k, ok := m.m[p]; ok && k.from <= now && now < k.until {
		return k.keys
	}
	return nil
}

// put keeps keys for ttl seconds. When there are too many, some are forgotten that Go's
// maps draw at random.
func (m *memory) put(p place, keys *dnssec.Keys, now int64, ttl uint32) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.m == nil {
		m.m = make(map[place]remembered)
	}
	forget := 0
	if len(m.m) >= limits.KeySetsAtHand {
		forget = limits.KeySetsAtHand / 8
	}
	for old := range m.m {
		if forget--; forget < 0 {
			break
		}
		delete(m.m, old)
	}
	m.m[p] = remembered{keys, now, now + int64(ttl)}
}

// forget makes the keys of a zone be asked for again.
func (m *memory) forget(p place) {
	m.mu.Lock()
	defer m.mu.Unlock()
	delete(m.m, p)
}

// checks are the numbers of checks of signatures that succeeded (dnssec.Memory). The
// records of a denial, above all, come again with each name that they deny.
type checks struct {
	mu sync.Mutex
	// older holds those of before newer was begun, which is when it was full.
	newer, older map[[sha256.Size]byte]struct{}
}

func (c *checks) known(number [sha256.Size]byte) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if _, ok := c.newer[number]; ok {
		return true
	}
	if _, ok := c.older[number]; ok {
		c.add(number)
		return true
	}
	return false
}

func (c *checks) learn(number [sha256.Size]byte) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.add(number)
}

func (c *checks) add(number [sha256.Size]byte) {
	if c.newer == nil || len(c.newer) >= limits.ChecksRemembered/2 {
		c.older, c.newer = c.newer, make(map[[sha256.Size]byte]struct{})
	}
	c.newer[number] = struct{}{}
}
