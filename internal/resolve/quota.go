package resolve

import (
	"kresd/internal/limits"
	"kresd/internal/zonecut"
)

// One zone may have only so many questions that wait for its servers: names made
// up below a zone whose servers are slow or silent would otherwise take the room
// of everybody's questions (HARDENING B6). More wait in order for a place, for on
// a busy machine there may be more for a moment though the servers are quick; only
// where many wait already a question fails.

// enter takes one of the zone's places if one is free.
func (d *Driver) enter(cut *zonecut.Cut) bool { return d.zones.Try(cut.Name, mayWait(cut)) }

// queue takes one of the zone's places for q, and waits for it if it must.
func (s *solver) queue(q *Query) (waited bool, err error) {
	waited, ok := s.zones.Enter(s.r.ctx, q.Cut.Name, mayWait(q.Cut), limits.QueuedPerZone)
	switch {
	case ok:
		return waited, nil
	case waited:
		return true, s.timeUp(s.r)
	}
	s.cfg.Counters.Hit(limits.OutstandingZone)
	return false, &zoneError{zone: q.Cut.Name, err: ErrBusy}
}

// mayWait is how many questions may wait for a zone's answers at a time.
func mayWait(cut *zonecut.Cut) int {
	if infrastructure(cut) {
		return limits.MaxOutstandingPerZone * limits.OutstandingInfrastructure
	}
	return limits.MaxOutstandingPerZone
}

// infrastructure tells whether everybody's questions pass a zone's servers: the
// root's, a top level's, or those that the operator named.
func infrastructure(cut *zonecut.Cut) bool { return cut.Hints || cut.Name.Labels() <= 1 }
