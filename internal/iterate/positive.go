package iterate

import (
	"kresd/internal/resolve"
	"kresd/internal/wire"
)

// positive adds to an answer with data the little that may stand beside it: the
// proof that a wildcard was expanded rightly, and the apex's own NS set. All else
// in authority and additional is dropped.
func (a *answer) positive(o resolve.Outcome) resolve.Outcome {
	if a.q.Forwards() {
		return o
	}
	if expanded(o.Answer) {
		o.Authority = a.proofs()
	}
	if ns := find(a.auth, a.cut(), wire.TypeNS); ns != nil && a.msg.AA() {
		extra := authoritative(*ns)
		extra.TTL = a.bounded(extra.TTL)
		o.Extra = append(o.Extra, extra)
	}
	return o
}

// bounded keeps a TTL within the life of the delegation, which nothing that the
// child says may extend.
func (a *answer) bounded(ttl uint32) uint32 {
	if a.q.Cut.Hints || a.cut().IsRoot() {
		return ttl
	}
	left := a.q.Cut.Expires - a.r.Now
	return uint32(max(0, min(int64(ttl), left)))
}

// expanded tells whether a signature in the answer covers fewer labels than its
// owner has: the set was made from a wildcard (RFC 4035, section 5.3.4).
func expanded(sets []resolve.Set) bool {
	for i := range sets {
		for _, sig := range sets[i].Sigs {
			if int(sig[3]) < sets[i].Owner.Labels() {
				return true
			}
		}
	}
	return false
}

// hearsay sorts out answers of a server that recursed instead of knowing: they
// are taken when no other server of the zone does better.
func (a *answer) hearsay(o resolve.Outcome) resolve.Outcome {
	if a.msg.AA() || a.msg.Flags&wire.FlagRA == 0 || a.q.Forwards() || o.Kind == resolve.Lame {
		return o
	}
	return a.keep(o)
}

// keep remembers an outcome that another server may better.
func (a *answer) keep(o resolve.Outcome) resolve.Outcome {
	if a.q.Iter.Fallback == nil {
		a.q.Iter.Fallback = &o
	}
	return lame
}
