package cache

import (
	"sync"

	"kresd/internal/dnsname"
	"kresd/internal/limits"
	"kresd/internal/zonecut"
)

// cuts are the delegations that were read from the Store this very second, with
// the servers that their zones named. Questions for names that nobody asked for
// before come in swarms below few zones, and reading the same delegation for each
// of them was a tenth of their cost.
//
// What is here holds for one second of the clock and one clear number, so its TTLs
// are those of a fresh look, and what anybody cleared is gone. What this worker
// writes is forgotten here; what another one writes is seen a second later at most.
type cuts struct {
	mu     sync.Mutex
	of     view
	forgot uint64 // how often something was forgotten
	m      map[dnsname.Name]*zonecut.Cut
}

// A view is when the Store was read, in wall seconds, and its clear number then.
type view struct {
	now    int64
	clears uint64
}

// at is the delegation of n, nil when it has to be read. It must not be changed.
func (k *cuts) at(n dnsname.Name, v view) *zonecut.Cut {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.of != v {
		return nil
	}
	return k.m[n]
}

// mark tells what is read from now on apart from what was read before something
// was forgotten.
func (k *cuts) mark() uint64 {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.forgot
}

// put keeps a delegation that was read since mark. Requests that began some seconds
// ago do not push out what belongs to the present one.
func (k *cuts) put(cut *zonecut.Cut, v view, mark uint64) {
	const slow = int64(limits.RequestDeadline / 1e9)
	k.mu.Lock()
	defer k.mu.Unlock()
	if ago := k.of.now - v.now; k.forgot != mark || ago > 0 && ago <= slow || v.now == k.of.now && v.clears < k.of.clears {
		return
	}
	if k.of != v {
		k.of, k.m = v, make(map[dnsname.Name]*zonecut.Cut, len(k.m))
	}
	if len(k.m) < limits.CutsAtHand {
		k.m[cut.Name] = cut
	}
}

// forget makes what is known of n be read again.
func (k *cuts) forget(n dnsname.Name) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.forgot++
	delete(k.m, n)
}

// forgetAll is forget for every name.
func (k *cuts) forgetAll() {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.forgot++
	k.of, k.m = view{}, nil
}
