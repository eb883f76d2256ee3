// Package validate is the layer that decides how much an answer may be trusted
// (RFC 4035, section 4.3).
//
// Without trust anchors nothing can be Secure or Bogus: what the zone's own
// servers said is Insecure, and AD is never set. The layer stands between
// iterate, which says where a record stood, and cache, which keeps the rank; it
// is the only one that may raise a rank. A proof goes here: a set's signatures,
// the delegation's DS set and the denial's NSEC records are in the Outcome
// already, as is the signer's zone; keys are fetched by Request.Push and Yield, and
// what a proof costs is debited to Request.Budget (resolve.Proof).
//
// It never sends a message and never reads the clock: signatures are judged at the
// Request's Now, by the anchors that Layer was given, as they are when an answer
// comes.
package validate

import (
	"kresd/internal/dnsname"
	"kresd/internal/rank"
	"kresd/internal/resolve"
	"kresd/internal/trustanchor"
	"kresd/internal/wire"
)

// validator judges answers from the anchors that there are.
type validator struct {
	anchors func() *trustanchor.Snapshot
}

// Layer is the validate layer with the trust anchors that anchors returns.
func Layer(anchors func() *trustanchor.Snapshot) *resolve.Layer {
	v := &validator{anchors}
	return &resolve.Layer{Name: "validate", Consume: v.consume}
}

// consume judges a fresh answer. What the cache held was judged when it came,
// what a module made up is the module's to vouch for. What a forwarder was asked
// for with CD=1 it has not judged, and would perhaps not have told otherwise: it
// stays as it is and is for clients that set CD too (RFC 4035, section 3.2.2).
func (v *validator) consume(r *resolve.Request, q *resolve.Query, _ *wire.Msg) resolve.State {
	if !q.Outcome.Origin.Fresh() || q.Forwards() && r.CD {
		return resolve.Consume
	}
	if r.Tell != nil {
		if anchor := v.anchors().Closest(subject(q)); anchor != nil {
			r.Tell(q, resolve.NotProved{Anchor: anchor.Owner})
		}
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

// subject is the name whose closest anchor is where a proof of the answer begins: the
// zone that signed it, or else the name asked. The DS set of a name is its parent's.
func subject(q *resolve.Query) dnsname.Name {
	switch {
	case q.Outcome.Signer != "":
		return q.Outcome.Signer
	case q.Type == wire.TypeDS:
		return q.Name.Parent()
	}
	return q.Name
}

// judged is the rank of records that nothing has proved. A forwarder's are as good
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
