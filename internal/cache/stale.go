package cache

import (
	"kresd/internal/limits"
	"kresd/internal/resolve"
)

// Allow judges whether what is known about a question may be told although it
// ended over seconds ago, and with which TTL.
type Allow func(q resolve.Question, over uint32) (ttl uint32, ok bool)

// Stale is the whole answer to a question from what is known and from what was
// known less than grace seconds ago (RFC 8767). stale tells whether it needed the
// latter. The outcome's Kind is Pending when there is no answer, or when allow
// lets a part of it not be told.
func (c *Cache) Stale(q resolve.Question, now int64, cd bool, grace int64, allow Allow) (o resolve.Outcome, stale bool) {
	if c.current() == nil {
		return resolve.Outcome{}, false
	}
	var before resolve.Outcome
	for range limits.MaxCNAMEChain + 1 {
		l := look{c: c, q: q, now: now, cd: cd}
		if o = l.find(); o.Kind == resolve.Pending {
			if o = l.expired(grace, allow); o.Kind == resolve.Pending {
				break
			}
			stale = true
		}
		o.Answer = append(before.Answer, o.Answer...)
		o.Authority = append(before.Authority, o.Authority...)
		if o.Kind != resolve.Alias {
			return o, stale
		}
		q.Name, before = o.Target, o
	}
	return resolve.Outcome{}, false
}

// expired is find among entries that have ended. What was learnt last counts,
// wherever it stands: what was found for a name may have been denied since.
func (l look) expired(grace int64, allow Allow) (o resolve.Outcome) {
	if !cacheable(l.q) {
		return o
	}
	var used, last header
	l.grace, l.used = grace, &used
	for _, step := range l.steps() {
		if found, ok := step(); ok && (o.Kind == resolve.Pending || used.made > last.made) {
			o, last = found, used
		}
	}
	if o.Kind == resolve.Pending {
		return o
	}
	over := max(l.now-last.made-int64(last.ttl), 0)
	ttl, ok := allow(l.q, uint32(min(over, 1<<32-1)))
	if !ok {
		return resolve.Outcome{}
	}
	o.Cached = true
	for _, sets := range [][]resolve.Set{o.Answer, o.Authority} {
		for i := range sets {
			sets[i].TTL = ttl
		}
	}
	return o
}
