// Package validate is the layer that decides how much an answer may be trusted
// (RFC 4035, section 4.3).
//
// Without trust anchors nothing can be Secure or Bogus: what the zone's own
// servers said is Insecure, and AD is never set. The layer stands between
// iterate, which says where a record stood, and cache, which keeps the rank; it
// is the only one that may raise a rank. A proof goes here: a set's signatures,
// the delegation's DS set and the denial's NSEC records are in the Outcome
// already, and keys are fetched by Request.Push and Yield.
//
// It never sends a message and never reads the clock.
package validate

import (
	"kresd/internal/rank"
	"kresd/internal/resolve"
	"kresd/internal/wire"
)

// Layer is the validate layer.
func Layer() *resolve.Layer {
	return &resolve.Layer{Name: "validate", Consume: consume}
}

// consume judges a fresh answer. What the cache held was judged when it came,
// what a module made up is the module's to vouch for. What a forwarder was asked
// for with CD=1 it has not judged, and would perhaps not have told otherwise: it
// stays as it is and is for clients that set CD too (RFC 4035, section 3.2.2).
func consume(r *resolve.Request, q *resolve.Query, _ *wire.Msg) resolve.State {
	if !q.Outcome.Origin.Fresh() || q.Forwards() && r.CD {
		return resolve.Consume
	}
	o := &q.Outcome
	for _, sets := range [2][]resolve.Set{o.Answer, o.Authority} {
		for i := range sets {
			sets[i].Rank = judged(sets[i].Rank, q.Forwards())
		}
	}
	if o.Cut != nil && o.Cut.DS != nil {
		o.Cut.DSRank = judged(o.Cut.DSRank, q.Forwards())
	}
	return resolve.Consume
}

// judged is the rank of records that nothing can prove. A forwarder's are as good
// for a client, but replace none that were learnt from the zone's own servers, and
// lead to no server (HARDENING A5).
func judged(r rank.Rank, forwarded bool) rank.Rank {
	switch {
	case r != rank.Initial|rank.Auth:
		return r
	case forwarded:
		return rank.Try | rank.Auth
	}
	return rank.Insecure | rank.Auth
}
