package cache

import (
	"testing"

	"kresd/internal/wire"
)

// Of two entries of one kind that one stays which lives longer, and of two that
// live as long the smaller.
func TestWorthFollowsLifetimeAndSize(t *testing.T) {
	const now = 1_700_000_000
	key := node{0, name(t, "www.example.")}.rrset(wire.TypeA, wire.ClassIN)
	worth := func(ttl uint32, size int) int {
		h := header{kind: kindRRset, rank: secure, made: now, ttl: ttl}
		return int(Worth(key, seal(key, append(newEntry(h, size), make([]byte, size)...)), now))
	}
	for _, longer := range []uint32{60, 3600, 86400} {
		if a, b := worth(longer, 100), worth(longer/30, 100); a <= b {
			t.Errorf("an entry that lives %d seconds is worth %d, one that lives a thirtieth %d", longer, a, b)
		}
	}
	for _, larger := range []int{1000, 4000, 16000} {
		if a, b := worth(3600, larger/4), worth(3600, larger); a <= b {
			t.Errorf("an entry of %d octets is worth %d, one of a quarter %d", larger, b, a)
		}
	}
	if one, whole := worth(1, 100), worth(3600, 40000); one == 0 || whole == 0 {
		t.Errorf("what is alive is worth %d and %d: it must not count as over", one, whole)
	}
}
