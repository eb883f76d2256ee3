package cache

import (
	"encoding/binary"
	"math/bits"

	"kresd/internal/lmdbcache"
	"kresd/internal/wire"
)

// Worth judges what an entry is worth keeping when the Store is full: nothing
// when it is over; else more the harder it is to get again and the more hangs on
// it, the longer it still lives, and the less room it takes. It looks at the
// header only, since it is called for every entry.
func Worth(key, val []byte, now int64) lmdbcache.Worth {
	_, family, rest, ok := splitKey(key)
	if !ok || len(val) < headerLen || binary.BigEndian.Uint16(val) != magic || val[2] != Schema ||
		binary.BigEndian.Uint32(val[4:]) != uint32(len(val)) {
		return lmdbcache.Worthless
	}
	h := parseHeader(val)
	_, left, alive := h.age(now)
	if !alive {
		return lmdbcache.Worthless
	}
	life := min(bits.Len32(left), 17) * 2      // 2 for a second, 34 for a day
	size := max(bits.Len(uint(len(val)))-8, 0) // 0 up to 255 octets, 9 for 64 KiB
	return lmdbcache.Worth(min(max(base(family, rest, h.kind)+life-6*size, 1), 255))
}

// base is the worth of a kind of entry. Delegations and keys are few and stand
// at the beginning of every resolution; answers are made again from RRsets
// without asking anybody; denials are what floods consist of.
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
	case familyNXDomain:
		return 60
	}
	return 10
}
