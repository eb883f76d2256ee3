package resolve

import (
	"encoding/binary"
	"net/netip"
	"slices"
	"time"

	"kresd/internal/limits"
	"kresd/internal/selection"
	"kresd/internal/wire"
)

// ask takes what has come meanwhile, or sends the question to one server and waits for
// its answer.
func (s *solver) ask(q *Query) error {
	if !q.run.ns.filled {
		s.fill(q)
	}
	if r, ok := s.answeredLate(q); ok { // while something else was looked up
		s.answered(q, r.attempt, r.reply)
		return nil
	}
	s.hear(q)
	if q.run.ns.fetch != nil { // the look-up that was pushed has ended
		return s.moreServers(q)
	}
	if !s.leased(q) {
		return nil
	}
	if q.run.sends >= limits.MaxUpstreamPerFetch {
		return s.spent(q)
	}
	again := q.run.retry.again
	c, ok := s.choose(q)
	switch {
	case s.waitsBeside(q, c, ok):
		return s.awaitBeside(q)
	case !ok:
		return s.moreServers(q)
	}
	return s.askInTurn(q, c, again)
}

// spent is where q has asked as often as it may: only what was asked may still be
// answered.
func (s *solver) spent(q *Query) error {
	if s.await(q) || s.r.ctx.Err() != nil {
		return nil
	}
	s.cfg.Counters.Hit(limits.UpstreamPerFetch)
	return s.gaveUp(q)
}

// waitsBeside tells whether a look-up beside q is waited for, because the server that
// was chosen, if one was (ok), is of little promise.
func (s *solver) waitsBeside(q *Query, c selection.Choice, ok bool) bool {
	if q.run.beside.open > 0 && (!ok || c.Resort || c.Tries > 1) {
		return true
	}
	return ok && c.Resort && s.lookBeside(q)
}

// askInTurn asks the server of a choice as soon as the zone has a place for q. again is
// the server that a layer had wanted to be asked once more, for a choice after a wait.
func (s *solver) askInTurn(q *Query, c selection.Choice, again netip.AddrPort) error {
	if s.isHurried(q) || c.Tries == 0 && q.run.retry.timeouts > 0 && s.lookBeside(q) {
		c.Timeout, c.Hurried = min(c.Timeout, hurry(q)), true
	}
	place, waited, err := s.queue(q)
	if err != nil {
		return err
	}
	defer func() { s.zones.Leave(place, q.run.phase == phaseConsume) }()
	if waited { // the server may be known to be dead by now
		q.run.retry.again = again
		var ok bool
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

// hurry is how long a server is waited for while addresses of others are looked up: where
// there are many, all are to have their turn soon.
func hurry(q *Query) time.Duration {
	return max(limits.UDPMinTimeout, min(limits.UDPHurry, limits.UDPRound/time.Duration(max(len(q.Cut.NS), 1))))
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

// moreServers looks up the address of one more name server, when no known
// address is left to ask.
func (s *solver) moreServers(q *Query) error {
	if q.run.tried.Pardon() { // it is not that they do not answer: wait for a place
		q.run.queue = true
		return nil
	}
	for {
		f := q.run.ns.fetch
		if f == nil {
			if f = s.nextFetch(q); f == nil {
				switch {
				case s.refill(q): // an address may have been looked up for another query
					return nil
				case q.run.beside.open > 0: // one that was begun beside may still find an address
					return s.awaitBeside(q)
				}
				return s.exhausted(q)
			}
			if s.glued(q, f.name) {
				return nil
			}
			q.run.ns.fetch = f
		}
		if f.sub != nil && s.collect(q, f) {
			q.run.ns.fetch = nil
			return nil
		}
		if s.look(q, f) {
			return nil
		}
		q.run.ns.fetch = nil
		if s.parentSide(q, f.name) {
			return nil
		}
		if slices.Contains(q.run.beside.names, f.name) { // another family is looked up beside
			continue
		}
		s.unresolvable(q, f)
	}
}

// awaitBeside waits until a look-up beside q has ended, or a late answer has come.
// When that takes long, the next look-up is begun. (The first one has passed the reception
// on.)
func (s *solver) awaitBeside(q *Query) error {
	wait := limits.UDPFirstTimeout
	if s.isHurried(q.Parent) {
		wait = limits.UDPHurry
	}
	timer := time.NewTimer(wait)
	defer timer.Stop()
	late := &q.run.late
	select {
	case sub := <-q.run.beside.got:
		s.heard(q, sub)
	case r := <-late.got:
		if late.open--; !s.failedLate(q, r) {
			s.answered(q, r.attempt, r.reply)
		}
	case <-timer.C:
		s.trouble(q)
	case <-s.r.ctx.Done():
	}
	return nil
}

// exhausted is where no server of the cut is left: a delegation that the cache
// held may have changed meanwhile, so the parent is asked once, if servers of
// the old delegation answered at all; then a poor answer is better than none.
func (s *solver) exhausted(q *Query) error {
	if s.await(q) || s.r.ctx.Err() != nil {
		return nil // the loop goes on, or says why it ends
	}
	if s.askOnceMore(q) {
		return nil
	}
	if q.HoldsBack() {
		q.Outcome = *q.run.retry.reserve
		q.Outcome.Origin = HeldBack
		q.run.msg = nil
		q.enter(phaseConsume)
		return nil
	}
	if s.askBelow(q) || s.askParent(q) {
		return nil
	}
	return s.gaveUp(q)
}

// askOnceMore asks a server again that has said it cannot answer, once for a query of a
// client's: there is no other, and a server fails now and then where its next try does
// not, or stumbles over mixed letter case or a cookie, which it is not shown again. Where
// many say so, or many name servers had to be looked up, the zone is to blame.
func (s *solver) askOnceMore(q *Query) bool {
	retry := &q.run.retry
	switch {
	case q.Depth > 0, retry.insisted, q.HoldsBack(), retry.erred == (erred{}):
		return false
	case q.run.useless >= limits.RefusalsPerZone, q.run.ns.fetches >= limits.NSAddrFetchPerReferral:
		return false
	}
	q.Server.Endpoint, q.run.ns.asked = retry.erred.server, retry.erred.ns
	retry.insisted, retry.again, retry.bare = true, q.Server.Addr, q.Server.Addr
	q.enter(phaseAsk)
	return true
}

// cannotAnswer tells whether a server says by an RCODE that it cannot answer, which may
// be another for the next question.
func cannotAnswer(rcode int) bool {
	switch rcode {
	case wire.RcodeServFail, wire.RcodeRefused, wire.RcodeFormErr, wire.RcodeNotImp, wire.RcodeBadCookie:
		return true
	}
	return false
}

// askBelow asks the server whose answer was not believed last for the name servers of a
// zone below the cut, once for a query: it has data of that zone, be they old or without
// signatures, and tells them instead of referring to the zone.
func (s *solver) askBelow(q *Query) bool {
	zone := q.run.retry.below
	if zone == "" || q.run.wentBelow {
		return false
	}
	q.run.wentBelow, q.run.below, q.run.retry.again = true, zone, q.Server.Addr
	if s.r.Tell != nil {
		s.r.Tell(q, ZoneBelowAsked{zone, q.Cut.Name})
	}
	q.enter(phaseAsk)
	return true
}

// askParent goes one cut up, once for a query and seldom for a zone.
func (s *solver) askParent(q *Query) bool {
	zone := q.Cut.Name
	if q.run.fresh || q.run.reparented || !q.run.lame || q.Cut.Hints || zone.IsRoot() || s.failed.has(s.place(zone), s.r.Now) || s.hopeless(q) {
		return false
	}
	q.run.reparented = true
	cut := s.cfg.Cuts.Closest(s.r.Partition.Data, zone.Parent(), s.r.Now)
	if cut == nil || len(cut.NS) == 0 || !zone.IsStrictlyBelow(cut.Name) {
		return false
	}
	s.failed.add(s.place(zone), s.r.Now)
	if s.r.Tell != nil {
		s.r.Tell(q, ParentAsked{zone, cut.Name})
	}
	s.moveTo(q, cut)
	return true
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
			s.held = key
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
	s.r.WillWait()
	select {
	case <-time.After(limits.LeasePoll):
	case <-s.r.ctx.Done():
	}
	q.enter(phaseProduce)
	return false
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
