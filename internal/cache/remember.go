package cache

import (
	"sync"
	"sync/atomic"

	"kresd/internal/limits"
	"kresd/internal/zonecut"
)

// cuts are the delegations that were read from the Store this very second, with
// the servers that their zones named. Questions for names that nobody asked for
// before come in swarms below few zones, and reading the same delegation for each
// of them would be a tenth of their cost.
//
// A delegation is kept here for one second of the clock and one clear number, so its TTLs
// are those of a fresh look-up, and it is gone after any clear. It is forgotten when this
// worker writes another one; one that another worker writes is seen a second later at most.
type cuts struct {
	mu     sync.Mutex // of all but reading forgot
	of     snapshot
	forgot atomic.Uint64 // how often something was forgotten
	m      map[node]atHand
}

// atHand is a delegation, and whether the Store has links of the zone's chain.
type atHand struct {
	cut   *zonecut.Cut
	links bool
}

// A snapshot is when the Store was read, in wall seconds, and its clear number then.
type snapshot struct {
	now    int64
	clears uint64
}

// at is the delegation of a name, nil when it has to be read. It must not be
// changed.
func (k *cuts) at(p node, s snapshot) atHand {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.of != s {
		return atHand{}
	}
	return k.m[p]
}

// mark tells what is read from now on apart from what was read before something
// was forgotten.
func (k *cuts) mark() uint64 { return k.forgot.Load() }

// put keeps a delegation that was read since mark. Requests that began some seconds
// ago do not push out what belongs to the present one.
func (k *cuts) put(p node, cut atHand, s snapshot, mark uint64) {
	const slow = int64(limits.RequestDeadline / 1e9)
	k.mu.Lock()
	defer k.mu.Unlock()
	if ago := k.of.now - s.now; k.forgot.Load() != mark || ago > 0 && ago <= slow || s.now == k.of.now && s.clears < k.of.clears {
		return
	}
	if k.of != s {
		k.of, k.m = s, make(map[node]atHand, len(k.m))
	}
	if len(k.m) < limits.CutsAtHand {
		k.m[p] = cut
	}
}

// denies takes note that a link of the chain of the zone at a node was stored.
func (k *cuts) denies(p node) {
	k.mu.Lock()
	defer k.mu.Unlock()
	hand, ok := k.m[p]
	if hand.links {
		return
	}
	k.forgot.Add(1)
	if hand.links = true; ok {
		k.m[p] = hand
	}
}

// forget makes what is known of a node be read again.
func (k *cuts) forget(p node) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.forgot.Add(1)
	delete(k.m, p)
}

// forgetAll is forget for every node.
func (k *cuts) forgetAll() {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.forgot.Add(1)
	k.of, k.m = snapshot{}, nil
}
