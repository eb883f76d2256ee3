package resolve

import (
	"sync"

	"kresd/internal/dnsname"
	"kresd/internal/limits"
	"kresd/internal/zonecut"
)

// quota counts the questions that wait for servers of each zone. One zone may
// have only so many: names made up below a zone whose servers are slow or silent
// would otherwise take the room of everybody's questions (HARDENING B6).
type quota struct {
	mu      sync.Mutex
	waiting map[dnsname.Name]int
}

// enter takes a place for one more question; false when there is none.
func (z *quota) enter(cut *zonecut.Cut) bool {
	z.mu.Lock()
	defer z.mu.Unlock()
	if z.waiting == nil {
		z.waiting = make(map[dnsname.Name]int)
	}
	if z.waiting[cut.Name] >= mayWait(cut) {
		return false
	}
	z.waiting[cut.Name]++
	return true
}

// leave gives the place back.
func (z *quota) leave(cut *zonecut.Cut) {
	z.mu.Lock()
	defer z.mu.Unlock()
	if z.waiting[cut.Name]--; z.waiting[cut.Name] <= 0 {
		delete(z.waiting, cut.Name)
	}
}

// mayWait is how many questions may wait for a zone at a time.
func mayWait(cut *zonecut.Cut) int {
	if infrastructure(cut) {
		return limits.MaxOutstandingPerZone * limits.OutstandingInfrastructure
	}
	return limits.MaxOutstandingPerZone
}

// infrastructure tells whether everybody's questions pass a zone's servers: the
// root's, a top level's, or those that the operator named.
func infrastructure(cut *zonecut.Cut) bool { return cut.Hints || cut.Name.Labels() <= 1 }
