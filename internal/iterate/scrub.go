package iterate

import (
	"slices"

	"kresd/internal/dnsname"
	"kresd/internal/wire"
)

// scrub groups the records that the server may speak about: class IN, at or
// below its zone.
func (a *answer) scrub() {
	a.ans = append(wire.Group(a.within(a.msg.Answer, true)), a.signatures()...)
	a.auth = wire.Group(a.within(a.msg.Authority, false))
	a.add = wire.Group(a.addresses(a.msg.Additional))
}

// within are the records of a section that lie at or below the zone: the section itself
// where all do, which nobody changes.
func (a *answer) within(rrs []wire.RR, isAnswer bool) []wire.RR {
	foreign := func(rr wire.RR) bool { return !a.keeps(&rr, isAnswer) }
	if !slices.ContainsFunc(rrs, foreign) {
		return rrs
	}
	return slices.DeleteFunc(slices.Clone(rrs), foreign)
}

// keeps tells whether a record may be looked at, and takes note of those beside the zone.
func (a *answer) keeps(rr *wire.RR, isAnswer bool) bool {
	switch {
	case rr.Class != a.q.Class || wire.IsMetaType(rr.Type):
	case rr.Owner.IsSubdomainOf(a.cut()):
		return true
	case isAnswer:
	case rr.Type == wire.TypeNS:
		a.upward = true
	case rr.Type == wire.TypeSOA:
		a.stray = true
	}
	return false
}

// addresses are the additional records that may be glue. Whether they lie within
// bailiwick is decided where the mode is known (referral.go).
func (a *answer) addresses(rrs []wire.RR) []wire.RR {
	kept := make([]wire.RR, 0, len(rrs))
	for i := range rrs {
		if rr := &rrs[i]; rr.Class == a.q.Class && (rr.Type == wire.TypeA || rr.Type == wire.TypeAAAA) {
			kept = append(kept, *rr)
		}
	}
	return kept
}

// signatures is the set of RRSIG records when they are what was asked for:
// nowhere else are they a set of their own.
func (a *answer) signatures() []wire.RRset {
	if a.q.Asked.Type != wire.TypeRRSIG {
		return nil
	}
	set := wire.RRset{Owner: a.q.Asked.Name, Type: wire.TypeRRSIG, Class: a.q.Class}
	for i := range a.msg.Answer {
		rr := &a.msg.Answer[i]
		if rr.Type != wire.TypeRRSIG || rr.Owner != set.Owner || rr.Class != set.Class {
			continue
		}
		if len(set.Data) == 0 || rr.TTL < set.TTL {
			set.TTL = rr.TTL
		}
		set.Data = append(set.Data, rr.RData)
	}
	if len(set.Data) == 0 {
		return nil
	}
	return []wire.RRset{set}
}

// find is the set of an owner and type in a section.
func find(sets []wire.RRset, owner dnsname.Name, t uint16) *wire.RRset {
	for i := range sets {
		if sets[i].Type == t && sets[i].Owner == owner {
			return &sets[i]
		}
	}
	return nil
}
