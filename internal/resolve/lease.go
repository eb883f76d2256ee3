package resolve

import (
	"encoding/binary"
	"time"

	"kresd/internal/limits"
)

// Leases bound how many workers ask the same question at once. Each worker joins
// its own equal questions; many workers would still ask one question many times,
// which is as many chances for who guesses answers (HARDENING A8).
type Leases interface {
	// Take takes a lease for what key names, unless most workers have one already.
	Take(key []byte, most int) bool
	// Return gives it back.
	Return(key []byte)
}

// Share makes the driver respect the leases of other workers.
func (d *Driver) Share(l Leases) { d.leases.Store(&l) }

// lease is what a query has to do with those who ask the same.
type lease struct {
	asked bool      // it may ask, with a lease or after a wait
	began time.Time // the wait
}

// leased tells whether q may ask servers. If not, enough others ask the same: q has
// waited a little, and is looked up once more, for the cache may have their answer.
// That ends after limits.LeaseLife at most, be it that they are dead, or slow. It
// is for clients' own questions, which a worker asks once (join.go).
func (s *solver) leased(q *Query) bool {
	l := &q.run.lease
	leases := s.leases.Load()
	if leases == nil || l.asked || q.Parent != nil || q.Options.BypassCache {
		return true
	}
	if l.began.IsZero() {
		key := leaseKey(q, s.r.CD)
		if (*leases).Take(key, limits.AskAtOnce) {
			l.asked = true
			s.held = append(s.held, key)
			return true
		}
		l.began = time.Now()
		if s.r.Tell != nil {
			s.r.Tell(q, WaitsForWorkers{})
		}
	}
	if time.Since(l.began) >= limits.LeaseLife {
		l.asked = true
		return true
	}
	select {
	case <-time.After(limits.LeasePoll):
	case <-s.r.ctx.Done():
	}
	q.enter(phaseProduce)
	return false
}

// returnLeases ends what the request holds.
func (s *solver) returnLeases() {
	for _, key := range s.held {
		(*s.leases.Load()).Return(key)
	}
}

// leaseKey names all that the answer of servers depends on.
func leaseKey(q *Query, cd bool) []byte {
	key := make([]byte, 0, len(q.Name)+len(q.Cut.Name)+6)
	key = append(key, q.Name...)
	key = binary.BigEndian.AppendUint16(key, q.Type)
	key = binary.BigEndian.AppendUint16(key, q.Class)
	if q.Forwards() {
		key = append(key, q.Cut.Name...)
	}
	if cd {
		key = append(key, 1)
	}
	return key
}
