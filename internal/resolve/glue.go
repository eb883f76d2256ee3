package resolve

import (
	"slices"

	"kresd/internal/dnsname"
	"kresd/internal/wire"
	"kresd/internal/zonecut"
)

// glued takes the address of a name server that the cache knows as glue of the
// zone in which the name server lies, once. It saves a question to that zone and
// believes nobody but servers above the name; RFC 2181, section 5.4.1, keeps glue
// from answers, not from use. If nobody helpful is at that address, the name is
// looked up in earnest.
func (s *solver) glued(q *Query, name dnsname.Name) bool {
	if slices.Contains(q.run.ns.glued, name) || !s.parentSide(q, name) {
		return false
	}
	q.run.ns.byGlue(name)
	return true
}

// byGlue notes that name has been had from glue, and may still be looked up.
func (ns *servers) byGlue(name dnsname.Name) {
	ns.glued = append(ns.glued, name)
	ns.looked = slices.DeleteFunc(ns.looked, func(n dnsname.Name) bool { return n == name })
}

// gluedHere ends the look-up of a name server's address at a referral that
// already tells it, in the way of glued. The address is for asking only: no layer
// sees it.
func (s *solver) gluedHere(q *Query, cut *zonecut.Cut) bool {
	p := q.Parent
	if q.Options.Strict || p == nil || p.run.ns.fetch == nil || p.run.ns.fetch.sub != q || slices.Contains(p.run.ns.glued, q.Name) {
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
	p.run.ns.byGlue(q.Name)
	if s.r.Tell != nil {
		s.r.Tell(q, AddressReferred{q.Name})
	}
	return true
}
