package resolve

import (
	"slices"

	"kresd/internal/dnsname"
	"kresd/internal/limits"
	"kresd/internal/wire"
	"kresd/internal/zonecut"
)

// findCut looks up whose servers are asked. The DS set of a name belongs to its
// parent (RFC 4035, section 3.1.4.1). Who does not desire recursion is told what is
// known: no server is asked (RFC 1034, section 4.3.1).
func (s *solver) findCut(q *Query) error {
	if !s.r.RD {
		return ErrNotDesired
	}
	if q.Cut == nil {
		q.Cut = s.cfg.Cuts.Closest(s.r.Partition.Data, above(q.Question), s.r.Now)
	}
	if q.Cut == nil || q.Cut.Hints && len(q.Cut.NS) == 0 {
		return ErrNotReady
	}
	s.tellCut(q)
	s.moveTo(q)
	return nil
}

// above is the closest name whose zone can answer the question.
func above(q Question) dnsname.Name {
	if q.Type == wire.TypeDS {
		return q.Name.Parent()
	}
	return q.Name
}

// moveTo starts anew with the servers of q.Cut.
func (s *solver) moveTo(q *Query) {
	if !q.run.reparented { // servers of the old delegation may come back: not again
		q.run.tried.Reset()
	}
	q.run.quit()
	q.run.ns, q.run.queue = servers{}, false
	q.run.lame = false
	q.run.retry.timeouts, q.run.retry.reserve = 0, nil
	q.Outcome = Outcome{}
	q.enter(phaseAsk)
}

// descend follows a referral. It must lead closer to the name than the cut that
// was asked; anything else is a loop or an attack (RFC 1034, section 5.3.3,
// step 4b).
func (s *solver) descend(q *Query) error {
	cut := q.Outcome.Cut
	if cut == nil || q.Cut != nil && !cut.Name.IsStrictlyBelow(q.Cut.Name) || !q.Name.IsSubdomainOf(cut.Name) {
		q.Outcome.Kind = Lame
		return s.useless(q)
	}
	if s.r.InForce() {
		s.cfg.Cuts.Keep(s.r.Partition.Data, cut, s.r.Now)
	}
	s.tellReferral(q, cut)
	if s.gluedHere(q, cut) {
		return s.solved(q)
	}
	q.Cut, q.run.fresh, q.run.useless, q.run.refusals = cut, true, 0, 0
	s.moveTo(q)
	return nil
}

// useless takes note of a server whose answer does not help and goes on to
// another one.
func (s *solver) useless(q *Query) error {
	if q.run.msg == nil {
		return &layerError{name: "that answered"} // of its own data
	}
	if s.r.Tell != nil {
		s.r.Tell(q, Useless{q.Server.Addr, q.Cut.Name, q.run.msg.Rcode})
	}
	q.run.lame = true
	q.run.faults.useless(q.Server.Addr, q.run.msg.Rcode)
	q.run.tried.Reject(q.run.ns.asked, q.Server.Endpoint)
	if !q.HoldsBack() {
		s.cfg.Servers.Lame(q.Cut.Name, q.Server.Endpoint)
	}
	q.Outcome = Outcome{}
	q.run.useless++
	if q.run.msg.Rcode == wire.RcodeRefused {
		q.run.refusals++
	}
	if q.run.useless >= limits.UselessPerZone || q.run.refusals >= limits.RefusalsPerZone {
		s.cfg.Counters.Hit(limits.UselessServers)
		if s.r.Tell != nil {
			s.r.Tell(q, EnoughUseless{q.Cut.Name, q.run.useless})
		}
		return s.exhausted(q)
	}
	q.enter(phaseAsk)
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
	if s.askParent(q) {
		return nil
	}
	return s.gaveUp(q)
}

// askOnceMore asks a server of the operator's again that has answered SERVFAIL, once for
// a query: there is no other, and a resolver fails now and then where its next try
// does not.
func (s *solver) askOnceMore(q *Query) bool {
	if !q.Forwards() || q.run.retry.insisted || q.HoldsBack() || !q.run.faults.failing(q.Server.Addr) {
		return false
	}
	q.run.retry.insisted, q.run.retry.again = true, q.Server.Addr
	q.enter(phaseAsk)
	return true
}

// askParent goes one cut up, once for a query and seldom for a zone.
func (s *solver) askParent(q *Query) bool {
	zone := q.Cut.Name
	if q.run.fresh || q.run.reparented || !q.run.lame || q.Cut.Hints || zone.IsRoot() || s.failed.has(s.place(zone), s.r.Now) {
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
	q.Cut = cut
	s.moveTo(q)
	return true
}

// gluedHere ends the look-up of a name server's address at a referral that
// already tells it, in the way of glued. The address is for asking only: no layer
// sees it.
func (s *solver) gluedHere(q *Query, cut *zonecut.Cut) bool {
	p := q.Parent
	onPlan := p != nil && p.run.ns.fetch != nil && p.run.ns.fetch.sub == q && !slices.Contains(p.run.ns.glued, q.Name)
	if q.Options.Strict || !onPlan && !q.run.beneath {
		return false
	}
	ns := cut.Find(q.Name)
	if ns == nil {
		return false
	}
	set := wire.RRset{Owner: q.Name, Type: q.Type, Class: q.Class}
	for _, a := range ns.Addrs {
		if a.Is4() == (q.Type == wire.TypeA) {
			set.Data = append(set.Data, a.AsSlice())
		}
	}
	if len(set.Data) == 0 {
		return false
	}
	q.Outcome = Outcome{Kind: Positive, Origin: FromServer, Answer: []Set{{RRset: set}}}
	if q.run.byGlue = true; onPlan {
		p.run.ns.byGlue(q.Name)
	}
	if s.r.Tell != nil {
		s.r.Tell(q, AddressReferred{q.Name})
	}
	return true
}

// tellReferral tells where a referral leads.
func (s *solver) tellReferral(q *Query, cut *zonecut.Cut) {
	if s.r.Tell != nil {
		s.r.Tell(q, Referred{cut, q.authority()})
	}
}

// tellCut tells whose servers will be asked, and since when that is known.
func (s *solver) tellCut(q *Query) {
	if s.r.Tell == nil {
		return
	}
	s.r.Tell(q, CutFound{Cut: q.Cut, By: q.authority(), Scope: q.Scope, Now: s.r.Now})
}
