package servertable

import (
	"runtime/debug"
	"sync/atomic"
	"time"

	"kresd/internal/limits"
)

// Leases are few words beside the records: how many processes do the same thing
// right now, for things that only some should do at once. A lease is a hint: it
// ends by itself after limits.LeaseLife, so that one who was killed keeps nobody
// for longer, and another thing in the same word takes the word over.
//
// A word holds a part of the thing's hash, how many hold a lease, and since when
// the first does, in milliseconds.
const (
	leaseCount = 32 // the bits from here to leaseTag: how many
	leaseTag   = 40 // the bits from here on: whose
)

const leaseBytes = limits.Leases * 8

// Take takes a lease for what key names, unless as many as most are taken already.
func (t *Table) Take(key []byte, most int) bool {
	defer t.faulted(debug.SetPanicOnFault(true))
	word, tag := t.lease(key)
	for range limits.ServersTries {
		old, now := word.Load(), t.clock.Boot()
		next := tag<<leaseTag | 1<<leaseCount | uint64(stamp(now))
		if n := holders(old, tag, now); n > 0 {
			if n >= most {
				return false
			}
			next = old + 1<<leaseCount
		}
		if word.CompareAndSwap(old, next) {
			return true
		}
	}
	return true // others change the word all the time: rather one process too many
}

// Return gives a lease back.
func (t *Table) Return(key []byte) {
	defer t.faulted(debug.SetPanicOnFault(true))
	word, tag := t.lease(key)
	for range limits.ServersTries {
		old := word.Load()
		if holders(old, tag, t.clock.Boot()) == 0 || word.CompareAndSwap(old, old-1<<leaseCount) {
			return
		}
	}
}

// holders is how many hold the leases in a word that belong to tag.
func holders(word, tag uint64, now time.Duration) int {
	if word>>leaseTag != tag || since(word, now) >= limits.LeaseLife {
		return 0
	}
	return int(word >> leaseCount & (1<<(leaseTag-leaseCount) - 1))
}

// lease is the word of a key and what tells the key from others there.
func (t *Table) lease(key []byte) (word *atomic.Uint64, tag uint64) {
	sum := mix(t.seed[1], uint64(len(key)))
	for i := 0; i < len(key); i += 8 {
		w := uint64(0)
		for j, c := range key[i:min(i+8, len(key))] {
			w |= uint64(c) << (8 * j)
		}
		sum = mix(sum, w)
	}
	sum = mix(sum, t.seed[0])
	return &t.leases[sum%limits.Leases], sum >> leaseTag
}
