package resolve

import (
	"sync"

	"kresd/internal/dnsname"
	"kresd/internal/limits"
)

// throttle remembers, across requests, names of name servers that could not be
// resolved and zones whose parent was asked again in vain, so that they are left
// alone for a while.
type throttle struct {
	mu sync.Mutex
	m  map[dnsname.Name]int64 // until when, wall seconds
}

// add leaves name alone from now on.
func (t *throttle) add(name dnsname.Name, now int64) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.m == nil {
		t.m = make(map[dnsname.Name]int64)
	}
	if len(t.m) >= limits.ThrottledNames {
		t.forget()
	}
	t.m[name] = now + int64(limits.UnresolvableNSThrottle.Seconds())
}

// forget makes room: the first names that come along, which Go's maps draw at
// random, expired or not.
func (t *throttle) forget() {
	n := 0
	for name := range t.m {
		delete(t.m, name)
		if n++; n >= limits.ThrottledNames/8 {
			return
		}
	}
}

// has tells whether name is to be left alone. A clock that went backwards
// cannot keep a name for ever.
func (t *throttle) has(name dnsname.Name, now int64) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	until, ok := t.m[name]
	return ok && now < until && until-now <= int64(limits.UnresolvableNSThrottle.Seconds())
}
