package cache

import (
	"net/netip"

	"kresd/internal/dnsname"
	"kresd/internal/limits"
	"kresd/internal/resolve"
	"kresd/internal/wire"
	"kresd/internal/zonecut"
)

// Allow judges whether what is known about a question may be told although it
// ended over seconds ago, and with which TTL.
type Allow func(q resolve.Question, over uint32) (ttl uint32, ok bool)

// Stale is the whole answer to a question from what is known and from what was
// known less than grace seconds ago (RFC 8767). stale tells whether it needed the
// latter. The outcome's Kind is Pending when there is no answer, or when allow
// lets a part of it not be told. With a grace of 0 it is what is alive.
func (c *Cache) Stale(q resolve.Question, now int64, cd bool, grace int64, allow Allow) (o resolve.Outcome, stale bool) {
	if c.current() == nil {
		return resolve.Outcome{}, false
	}
	var before resolve.Outcome
	for range limits.MaxCNAMEChain + 1 {
		l := look{c: c, q: q, now: now, cd: cd}
		if o = l.find(); o.Kind == resolve.Pending && grace > 0 {
			o = l.expired(grace, allow)
			stale = stale || o.Kind != resolve.Pending
		}
		if o.Kind == resolve.Pending {
			break
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
	o.Origin, o.Cached = resolve.FromCache, true
	for _, sets := range [][]resolve.Set{o.Answer, o.Authority} {
		for i := range sets {
			sets[i].TTL = ttl
		}
	}
	return o
}

// StaleCut is the closest delegation at or above name that ended less than grace
// seconds ago, with the addresses that were known then; nil when one that is alive
// is as close, or there is none. It is for use at once: its life is over.
func (c *Cache) StaleCut(name dnsname.Name, now, grace int64) *zonecut.Cut {
	for n := name; !n.IsRoot(); n = n.Parent() {
		e, ok := c.loadAt(cutKey(n), moment{now, grace})
		if !ok || e.kind != kindCut {
			continue
		}
		if _, _, alive := e.header.age(now); alive {
			return nil
		}
		cut, ok := decodeCut(n, e.body, e.age)
		if !ok {
			continue
		}
		cut.Expires = now
		for i := range cut.NS {
			if ns := &cut.NS[i]; len(ns.Addrs) == 0 {
				ns.Addrs = c.staleAddrs(ns.Name, moment{now, grace})
			}
		}
		return cut
	}
	return nil
}

func (c *Cache) staleAddrs(ns dnsname.Name, m moment) (addrs []netip.Addr) {
	for _, t := range []uint16{wire.TypeA, wire.TypeAAAA} {
		e, sets, ok := c.loadRRsetAt(ns, t, wire.ClassIN, m)
		if !ok || e.kind != kindRRset || !addressRank(e.rank) {
			continue
		}
		for _, d := range sets[0].Data {
			if a, ok := netip.AddrFromSlice(d); ok {
				addrs = append(addrs, a)
			}
		}
	}
	return addrs
}
