package iterate

import (
	"kresd/internal/resolve"
	"kresd/internal/wire"
)

// soa is the SOA of a zone that the name lies in and the server may speak for
// (RFC 2308, section 2).
func (a *answer) soa() *wire.RRset {
	for i := range a.auth {
		if s := &a.auth[i]; s.Type == wire.TypeSOA && len(s.Data) == 1 && a.q.Asked.Name.IsSubdomainOf(s.Owner) {
			return s
		}
	}
	return nil
}

// proofs are the signed NSEC and NSEC3 sets of the authority section.
func (a *answer) proofs() (sets []resolve.Set) {
	for i := range a.auth {
		if s := &a.auth[i]; wire.IsDenial(s.Type) && len(s.Sigs) > 0 {
			sets = append(sets, authoritative(*s))
		}
	}
	return sets
}

// denial is the outcome of a message that says no.
func (a *answer) denial() resolve.Outcome {
	o := resolve.Outcome{Kind: resolve.NoData, Rcode: a.msg.Rcode, Zone: a.cut()}
	if a.msg.Rcode == wire.RcodeNXDomain {
		o.Kind = resolve.NXDomain
	}
	if soa := a.soa(); soa != nil {
		o.Zone = soa.Owner
		o.Authority = append(o.Authority, authoritative(*soa))
	} else if a.q.Forwards() { // a referral is for the client to see: nobody follows it
		for i := range a.auth {
			if a.auth[i].Type == wire.TypeNS {
				o.Authority = append(o.Authority, authoritative(a.auth[i]))
			}
		}
	}
	o.Authority = append(o.Authority, a.proofs()...)
	return o
}

// hangsOnCase tells whether a server may deny a name for its letter case alone, because it
// compares octets (against RFC 4343, section 3). Whoever does that mostly says nothing
// beside the denial, not even SOA, or denies a name of which its SOA, or the parent of its
// zone, says that it exists. Other denials are not doubted: that would cost each name that
// does not exist one more question.
func (a *answer) hangsOnCase(o *resolve.Outcome) bool {
	switch o.Kind {
	case resolve.NoData, resolve.NXDomain, resolve.Lame:
	default:
		return false
	}
	switch {
	case a.msg.TC() || len(a.msg.Answer) > 0:
		return false
	case a.msg.Rcode == wire.RcodeNXDomain:
		soa := a.soa()
		return len(a.msg.Authority) == 0 || a.q.Asked.Name == a.cut() || soa != nil && soa.Owner == a.q.Asked.Name
	}
	return a.msg.Rcode == wire.RcodeNoError && len(a.msg.Authority) == 0
}

// unsupported judges a denial without SOA: believed from a server that claims
// authority and says nothing else. Without AA, and when no other server does better,
// NOERROR with nothing beside it is taken for NODATA; a denial otherwise only at the zone's own name, where its parent
// vouches for the server.
func (a *answer) unsupported() resolve.Outcome {
	if a.upward || a.stray && !a.msg.AA() {
		return lame
	}
	switch {
	case a.stray, a.msg.AA() && len(a.msg.Answer) > 0: // it knows another zone or name, too
		return a.keep(a.denial())
	case a.msg.AA():
		return a.denial()
	case a.msg.Rcode == wire.RcodeNoError && len(a.msg.Authority) == 0 && (len(a.msg.Answer) == 0 || len(a.ans) > 0):
		return a.keep(a.denial())
	case !a.q.Options.Permissive && a.q.Asked.Name != a.cut():
		return lame
	case a.msg.Rcode == wire.RcodeNXDomain, find(a.auth, a.cut(), wire.TypeNS) == nil && len(a.msg.Answer) == 0:
		return a.keep(a.denial())
	}
	return lame
}
