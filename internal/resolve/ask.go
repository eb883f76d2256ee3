package resolve

import (
	"encoding/binary"
	"net/netip"
	"time"

	"kresd/internal/limits"
	"kresd/internal/selection"
)

// ask sends the question to one server and waits for its answer.
func (s *solver) ask(q *Query) error {
	if !q.run.ns.filled {
		s.fill(q)
	}
	if r, ok := q.run.late.poll(); ok { // while something else was looked up
		return s.answered(q, r.attempt, r.reply)
	}
	s.hear(q)
	if q.run.ns.fetch != nil { // the look-up that was pushed has ended
		return s.moreServers(q)
	}
	if !s.leased(q) {
		return nil
	}
	if q.run.sends >= limits.MaxUpstreamPerFetch {
		s.cfg.Counters.Hit(limits.UpstreamPerFetch)
		return s.gaveUp(q)
	}
	again := q.run.retry.again
	c, ok := s.choose(q)
	if q.run.beside.open > 0 && (!ok || c.Resort || c.Tries > 1) {
		return s.awaitBeside(q)
	}
	if ok && c.Resort && s.lookBeside(q) {
		return s.awaitBeside(q)
	}
	if !ok {
		return s.moreServers(q)
	}
	if s.isHurried(q) {
		c.Timeout = min(c.Timeout, limits.UDPHurry)
	}
	waited, err := s.queue(q)
	if err != nil {
		return err
	}
	defer s.zones.Leave(q.Cut.Name)
	if waited { // the server may be known to be dead by now
		q.run.retry.again = again
		if c, ok = s.choose(q); !ok {
			return nil
		}
	}
	s.aim(q, c)
	if err := s.checkout(q); err != nil {
		return err
	}
	return s.exchange(q, c)
}

// choose picks the server to ask, or the one that a layer wants to ask again.
func (s *solver) choose(q *Query) (selection.Choice, bool) {
	if again := q.run.retry.again; again.IsValid() {
		q.run.retry.again = netip.AddrPort{}
		if again == q.Server.Addr {
			return s.cfg.Servers.Again(q.run.ns.asked, q.Server.Endpoint), true
		}
	}
	return s.cfg.Servers.Choose(s.want(q))
}

// leased tells whether q may ask servers. If not, enough others ask the same: q has
// waited a little, and is looked up once more, for the cache may have their answer.
// That ends after limits.LeaseLife at most, be it that they are dead, or slow. It
// is for clients' own questions, which a worker asks once (resolve.go).
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
	key := make([]byte, 0, len(q.Name)+13)
	key = append(key, q.Name...)
	key = binary.BigEndian.AppendUint16(key, q.Type)
	key = binary.BigEndian.AppendUint16(key, q.Class)
	if q.Forwards() {
		key = q.Cut.AppendEndpoints(append(key, q.Cut.Name...))
	}
	key = binary.BigEndian.AppendUint64(key, uint64(q.Partition))
	if cd {
		key = append(key, 1)
	}
	return key
}
