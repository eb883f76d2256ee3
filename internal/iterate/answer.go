package iterate

import (
	"kresd/internal/dnsname"
	"kresd/internal/rank"
	"kresd/internal/resolve"
	"kresd/internal/wire"
)

// answer is one message on its way to an outcome.
type answer struct {
	r   *resolve.Request
	q   *resolve.Query
	msg *wire.Msg
	// The sections within bailiwick, as sets.
	ans, auth, add []wire.RRset
	// Authority held NS or SOA records of zones above or beside the cut.
	upward, stray bool
}

// cut is the name of the zone whose server answered.
func (a *answer) cut() dnsname.Name { return a.q.Cut.Name }

var lame = resolve.Outcome{Kind: resolve.Lame}

// judge says what the message amounts to for the question that was asked.
func (a *answer) judge() resolve.Outcome {
	if a.msg.TC() { // over TCP too, or upstream would not show it
		return lame
	}
	switch a.msg.Rcode {
	case wire.RcodeNoError, wire.RcodeNXDomain, wire.RcodeYXDomain:
	default:
		return a.refused()
	}
	a.scrub()
	if o := a.chain(); o.Kind != resolve.Pending {
		if o.Kind == resolve.Positive && a.childsDS() {
			return lame
		}
		return a.hearsay(o)
	}
	if a.msg.Rcode == wire.RcodeYXDomain {
		return lame // no DNAME explains it
	}
	return a.without()
}

// childsDS tells whether a zone was asked for its own DS set, as is done where the
// parent does not know DS. It may say that there is none; the set itself belongs to
// the parent (RFC 4035, section 3.1.4.1).
func (a *answer) childsDS() bool {
	return a.q.Asked.Type == wire.TypeDS && a.q.Asked.Name == a.cut() && !a.cut().IsRoot() && !a.q.Forwards()
}

// without judges a message that does not answer: a referral, a denial, or
// neither.
func (a *answer) without() resolve.Outcome {
	if a.q.Forwards() {
		return a.denial()
	}
	soa := a.soa()
	if o := a.referral(); o.Kind != resolve.Pending && a.refers(&o, soa) {
		if ds := a.referredDS(&o); ds.Kind != resolve.Pending {
			return ds
		}
		if a.fromTheChildsSide(&o) {
			return a.keep(o)
		}
		return o
	}
	if soa != nil || a.proofs() != nil {
		return a.denial()
	}
	return a.unsupported()
}

// authoritative is a set with the rank of what the zone's own servers say. Servers that
// forget AA are believed about what was asked of them: their parent named them, and nobody
// else will tell.
func authoritative(s wire.RRset) resolve.Set {
	return resolve.Set{RRset: s, Rank: rank.Initial | rank.Auth}
}
