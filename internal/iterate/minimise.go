package iterate

import (
	"kresd/internal/dnsname"
	"kresd/internal/limits"
	"kresd/internal/resolve"
	"kresd/internal/wire"
)

// minimised is the question that the servers of q's cut need to see (RFC 9156):
// one label more than is known not to be a cut, and, after the first few, more
// at a time, so that long names do not cost many questions.
//
// NS is asked for. RFC 9156 leaves the type open; a type that every zone cut has
// makes referrals and denials plainest.
func minimised(r *resolve.Request, q *resolve.Query) resolve.Question {
	if zone := q.Below(); zone != "" {
		return resolve.Question{Name: zone, Type: wire.TypeNS, Class: q.Class}
	}
	it := knownOf(q)
	if it.whole || q.Timeouts() > 1 || q.Options.WholeName || q.Forwards() || it.probes >= limits.QnameMinSteps {
		return q.Question
	}
	known := q.Cut.Name.Labels()
	all := q.Name.Labels()
	more := stride(it.probes, all-known)
	if more > 1 {
		r.Hit(limits.QnameSteps)
	}
	labels := known + more
	// A label with an underscore is never an apex; do not stop there.
	for labels < all && underscored(q.Name.Suffix(labels)) {
		labels++
	}
	if labels >= all {
		return q.Question
	}
	part := q.Name.Suffix(labels)
	if r.NoCutAt(q.Cut.Name, part) {
		stateOf(q).whole = true
		return q.Question
	}
	stateOf(q).probes++
	return resolve.Question{Name: part, Type: wire.TypeNS, Class: q.Class}
}

// stride is how many labels to add at once, with left of them unseen.
func stride(probes, left int) int {
	if probes < limits.QnameMinOneLabelSteps {
		return 1
	}
	steps := limits.QnameMinSteps - probes
	return max(1, (left+steps-1)/steps)
}

func underscored(n dnsname.Name) bool {
	l := n.Label()
	return l != "" && l[0] == '_'
}

// probed goes on after the answer to a minimised question. Only a referral is
// an outcome for the query; anything else means to ask the whole question: many
// servers know their names better than the nodes between them, and below a node
// that is no zone cut the same servers nearly always know the rest (RFC 9156,
// section 2.3, leaves the number of steps to the resolver).
func (a *answer) probed(o resolve.Outcome) resolve.State {
	q := a.q
	if o.Kind == resolve.Positive {
		o = a.servedHere(o)
	}
	switch o.Kind {
	case resolve.Referral:
		q.Outcome = o
		q.Outcome.Origin = resolve.FromServer
		return resolve.Consume
	case resolve.Pending: // the same again, without EDNS
		a.tell(resolve.EDNSDoubted)
		return resolve.Produce
	}
	why := inconclusion(o, a.msg)
	if o.Kind == resolve.NoData {
		a.r.NoteNoCut(q.Cut.Name, q.Asked.Name)
	}
	a.tell(why)
	stateOf(q).whole = true
	return resolve.Produce
}

// inconclusion is why the answer to a minimised question, judged to be o, leads to
// the whole one.
func inconclusion(o resolve.Outcome, msg *wire.Msg) resolve.Inconclusion {
	switch {
	case o.Kind == resolve.Lame:
		return resolve.PartUseless
	case msg.Rcode == wire.RcodeNXDomain:
		return resolve.DenialDoubted
	}
	return resolve.NoCutHere
}

// servedHere makes a referral of the NS set of a child zone whose parent's
// server serves it too. It must name servers whose address is at hand; otherwise
// the present ones, which do answer, are asked on, unless they are not believed.
func (a *answer) servedHere(o resolve.Outcome) resolve.Outcome {
	ns := find(a.ans, a.q.Asked.Name, wire.TypeNS)
	if ns == nil || !ns.Owner.IsStrictlyBelow(a.cut()) {
		return o
	}
	cut, reachable := a.delegation(ns), false
	for i := range cut.NS {
		s := &cut.NS[i]
		if same := a.q.Cut.Find(s.Name); same != nil && len(s.Addrs) == 0 {
			s.Addrs, s.Port, s.Peer = same.Addrs, same.Port, same.Peer
		}
		reachable = reachable || len(s.Addrs) > 0
	}
	if !reachable && a.q.Below() == "" {
		return o
	}
	return resolve.Outcome{Kind: resolve.Referral, Cut: cut, Zone: a.cut()}
}
