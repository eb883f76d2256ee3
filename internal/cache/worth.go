package cache

import (
	"encoding/binary"
	"math/bits"
	"time"

	"kresd/internal/limits"
	"kresd/internal/lmdbcache"
	"kresd/internal/wire"
)

// Worth judges what an entry is worth keeping when the Store is full: nothing
// when it is of no use any more, little when it is over but may still be told
// where nobody can be reached (stale.go); else more the harder it is to get again
// and the more hangs on it, the longer it still lives, and the less room it takes.
// It looks at the header only, since it is called for every entry.
func Worth(key, val []byte, now int64) lmdbcache.Worth {
	_, family, rest, ok := splitKey(key)
	if !ok || !looksWhole(val) {
		return lmdbcache.Worthless
	}
	h := parseHeader(val)
	_, left, alive := h.age(now)
	if !alive {
		return staleWorth(family, &h, now)
	}
	life := min(bits.Len32(left), 17) * 2      // 2 for a second, 34 for a day
	size := max(bits.Len(uint(len(val)))-8, 0) // 0 up to 255 octets, 9 for 64 KiB
	return lmdbcache.Worth(min(max(base(family, rest, h.kind)+life-6*size, 1), 255))
}

// looksWhole tells whether val has the outline of an entry.
func looksWhole(val []byte) bool {
	return len(val) >= headerLen && binary.BigEndian.Uint16(val) == magic && val[2] == Schema &&
		binary.BigEndian.Uint32(val[4:]) == uint32(len(val))
}

// staleWorth is that of an entry that is over: below anything that is alive, and
// more if it is not over for long. Only what stale answers are made of counts, and
// the delegations that lead to them.
func staleWorth(family byte, h *header, now int64) lmdbcache.Worth {
	const age, most = int64(limits.StaleAge / time.Second), 9
	if _, _, ok := h.ageWithin(now, age); !ok || family != familyRRset && family != familyNXDomain && family != familyCut {
		return lmdbcache.Worthless
	}
	return lmdbcache.Worth(1 + (most-1)*(h.made+int64(h.ttl)+age-now)/age)
}

// isOver tells whether nothing but a stale answer can be made of an entry.
func isOver(key, val []byte, now int64) bool {
	if _, _, _, ok := splitKey(key); !ok || !looksWhole(val) {
		return true
	}
	h := parseHeader(val)
	_, _, alive := h.age(now)
	return !alive
}

// base is the worth of a kind of entry. Delegations and keys are few and stand
// at the beginning of every resolution; answers are made again from RRsets
// without asking anybody; denials are what floods consist of. One link
// of a zone's chain denies many names.
func base(family byte, rest []byte, kind byte) int {
	switch family {
	case familyCut:
		return 200
	case familyRRset:
		if kind == kindNoData || len(rest) < 2 {
			return 80
		}
		switch binary.BigEndian.Uint16(rest) {
		case wire.TypeDNSKEY, wire.TypeDS, wire.TypeNS, wire.TypeSOA:
			return 180
		}
		return 140
	case familyAnswer:
		return 110
	case familyNSEC, familyNSEC3, familyDenier, familyGap:
		return 90
	case familyNXDomain:
		return 60
	}
	return 10
}
