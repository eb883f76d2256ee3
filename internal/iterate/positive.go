package iterate

import (
	"slices"

	"kresd/internal/resolve"
	"kresd/internal/wire"
)

// positive adds to an answer with data or an alias the one thing that may stand beside
// it: the proof that a wildcard was expanded rightly. All else in authority and
// additional is dropped; even the apex's own NS set is believed only when it was
// asked for (CVE-2025-11411).
func (a *answer) positive(o resolve.Outcome) resolve.Outcome {
	if expanded(o.Answer) {
		o.Authority = a.proofs()
	}
	return o
}

// expanded tells whether a set of the answer was made from a wildcard.
func expanded(sets []resolve.Set) bool {
	return slices.ContainsFunc(sets, func(s resolve.Set) bool { return s.Expanded() })
}

// hearsay sorts out answers of a server that recursed instead of knowing: they
// are taken when no other server of the zone does better.
func (a *answer) hearsay(o resolve.Outcome) resolve.Outcome {
	if a.msg.AA() || a.msg.Flags&wire.FlagRA == 0 || a.q.Forwards() || o.Kind == resolve.Lame {
		return o
	}
	return a.keep(o)
}

// keep holds back an outcome that another server may better. The answer to a
// minimised question says nothing about the whole one.
func (a *answer) keep(o resolve.Outcome) resolve.Outcome {
	if a.q.Asked == a.q.Question {
		a.q.HoldBack(o)
	}
	return lame
}
