package validate

import (
	"bytes"
	"crypto/sha1"
	"crypto/sha256"
	"sync"

	"kresd/internal/dnsname"
	"kresd/internal/dnssec"
	"kresd/internal/limits"
	"kresd/internal/resolve"
)

// memory holds the keys of zones decoded, so that each DNSKEY set is decoded once. The sets
// were read from the cache as proven, or have just been proven.
type memory struct {
	mu     sync.Mutex
	m      map[place]remembered
	octets int // of all these keys
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
	octets      int
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

// put keeps the keys of a DNSKEY set for ttl seconds, and returns them. When there are
// too many keys, some are forgotten that Go's maps draw at random.
func (m *memory) put(p place, data [][]byte, now int64, ttl uint32) *dnssec.Keys {
	keys := dnssec.ParseKeys(p.zone, alone(data))
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.m == nil {
		m.m = make(map[place]remembered)
	}
	m.drop(p)
	octets := keys.Octets()
	if len(m.m) >= limits.KeySetsAtHand || m.octets+octets > limits.KeyOctetsAtHand {
		m.shrink(limits.KeySetsAtHand*7/8, limits.KeyOctetsAtHand*7/8-octets)
	}
	m.m[p] = remembered{keys, octets, now, now + int64(ttl)}
	m.octets += octets
	return keys
}

// alone is a copy of RDATA: keys that are kept must not keep the whole message in which
// they came, or whatever else the set has beyond limits.MaxKeysPerSet.
func alone(data [][]byte) [][]byte {
	out := make([][]byte, min(len(data), limits.MaxKeysPerSet))
	for i := range out {
		out[i] = bytes.Clone(data[i])
	}
	return out
}

// shrink forgets until no more than so many sets, of so many octets, are left.
func (m *memory) shrink(sets, octets int) {
	for p := range m.m {
		if len(m.m) <= sets && m.octets <= octets {
			return
		}
		m.drop(p)
	}
}

// drop forgets the keys of a zone; the caller has the lock.
func (m *memory) drop(p place) {
	m.octets -= m.m[p].octets
	delete(m.m, p)
}

// forget makes the keys of a zone be asked for again.
func (m *memory) forget(p place) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.drop(p)
}

// work is what a worker need not do once more, since what it comes to never changes.
type work struct {
	// checks are the numbers of checks of signatures that succeeded (dnssec.Memory). The
	// records of a denial, above all, come again with each name that they deny.
	checks limits.Recent[[sha256.Size]byte, struct{}]
	// hashes are those of names in NSEC3 chains (dnssec.HashMemory). The names above the one
	// that is denied come again.
	hashes limits.Recent[dnssec.HashedName, [sha1.Size]byte]
}
