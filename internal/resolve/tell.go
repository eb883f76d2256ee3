package resolve

import (
	"kresd/internal/selection"
	"kresd/internal/zonecut"
)

// Where steps hold more than the place knows where they happen. Nothing is put
// together unless somebody reads along.

// snapshot is the result as it is, for a reader; nil when nobody reads.
func (r *Request) snapshot() *Result {
	if r.Tell == nil {
		return nil
	}
	res := r.Result.clone()
	return &res
}

// tellDecided tells which module made the result before anything was resolved.
func (r *Request) tellDecided(l *Layer) {
	if r.Tell != nil {
		r.Tell(nil, ModuleDecided{l.Name, &r.Result})
	}
}

// authority says who named the servers of q.
func (q *Query) authority() Authority {
	switch {
	case !q.Forwards():
		return ByDelegation
	case q.Options.Stub:
		return ByStubRule
	}
	return ByForwardRule
}

// peer is the server of a choice for q.
func peer(q *Query, c selection.Choice) Peer {
	return Peer{By: q.authority(), NS: c.NS, Zone: q.Cut.Name, Addr: c.Addr}
}

// tellAnswered tells which layer answers without the network; the cache has said
// so itself.
func (s *solver) tellAnswered(q *Query, l *Layer) {
	if s.r.Tell != nil && (!q.Outcome.Cached || l.Name != "cache") {
		s.r.Tell(q, ModuleAnswered{l.Name, &q.Outcome})
	}
}

// tellAsking tells which server is asked what, how, and why this one.
func (s *solver) tellAsking(q *Query, c selection.Choice) {
	if s.r.Tell != nil {
		why, left := s.cfg.Servers.Explain(want(q), c)
		s.r.Tell(q, Asking{To: peer(q, c), How: q.Server, Question: q.Asked, Timeout: c.Timeout})
		s.r.Tell(q, Chosen{why})
		if left != "" {
			s.r.Tell(q, Left{left})
		}
	}
}

// tellOutcome tells what a query came to. Why an answer concludes nothing is told by
// the layer that finds it so.
func (s *solver) tellOutcome(q *Query) {
	if s.r.Tell == nil || q.Outcome.Cached {
		return
	}
	if k := q.Outcome.Kind; k == Positive || k == Alias || k == NoData || k == NXDomain {
		s.r.Tell(q, Concluded{&q.Outcome})
	}
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
	scope := s.r.Scope
	if scope == "" {
		scope = s.r.Name
	}
	s.r.Tell(q, CutFound{Cut: q.Cut, By: q.authority(), Scope: scope, Now: s.r.Now})
}
