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

// Stale is the whole answer to a request from what is known and from what was
// known less than grace seconds ago (RFC 8767). stale tells whether it needed the
// latter. The outcome's Kind is Pending when there is no answer, or when allow
// lets a part of it not be told.
func (c *Cache) Stale(req *resolve.Request, grace int64, allow Allow) (o resolve.Outcome, stale bool) {
	if c.current() == nil {
		return o, false
	}
	f := c.chain(req, req.Question, when{req.Now, grace}, allow)
	return f.Outcome, f.stale
}

// chain is what a question of a request leads to in the end, aliases followed, or
// nothing: nobody is asked for what lacks. Where t has a grace, what ended within it
// is taken for what is not known otherwise.
func (c *Cache) chain(req *resolve.Request, q resolve.Question, t when, allow Allow) found {
	stale := false
	var before resolve.Outcome
	for range limits.MaxCNAMEChain + 1 {
		w := wanted{Question: q, in: req.PartitionOf(q.Name), cd: req.CD || req.Options.AsksCD, when: when{now: t.now}, final: true}
		f := c.find(w, inventory{})
		if f.nothing() && t.grace > 0 {
			w.when = t
			f = c.expired(w, allow)
			stale = stale || !f.nothing()
		}
		if f.nothing() {
			break
		}
		f.Answer = append(before.Answer, f.Answer...)
		f.Authority = append(before.Authority, f.Authority...)
		if f.Kind != resolve.Alias {
			f.stale = stale
			return f
		}
		q.Name, before = f.Target, f.Outcome
	}
	return found{}
}

// expired is find among entries that have ended. What was learnt last counts,
// wherever it stands: what was found for a name may have been denied since.
func (c *Cache) expired(w wanted, allow Allow) (last found) {
	if !cacheable(w.Question) {
		return last
	}
	s := search{c: c, wanted: w}
	for _, f := range [...]found{s.exact(), s.alias(), s.denied(), s.ancestors()} {
		if !f.nothing() && (last.nothing() || f.from.made > last.from.made) {
			last = f
		}
	}
	if last.nothing() {
		return last
	}
	over := max(w.now-last.from.made-int64(last.from.ttl), 0)
	ttl, ok := allow(w.Question, uint32(min(over, 1<<32-1)))
	if !ok {
		return found{}
	}
	last.Origin, last.Cached = resolve.FromCache, true
	for _, sets := range [][]resolve.Set{last.Answer, last.Authority} {
		for i := range sets {
			sets[i].TTL = ttl
		}
	}
	return last
}

// StaleCut is the closest delegation at or above name that ended less than grace
// seconds ago, with the addresses that were known then; nil when one that is alive
// is as close, or there is none. It is for use at once: its life is over.
func (c *Cache) StaleCut(in resolve.Partition, name dnsname.Name, now, grace int64) *zonecut.Cut {
	t := when{now, grace}
	for n := name; !n.IsRoot(); n = n.Parent() {
		e, ok := c.load(place{in, n}.cut(), t)
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
				ns.Addrs = c.staleAddrs(place{in, ns.Name}, t)
			}
		}
		return cut
	}
	return nil
}

func (c *Cache) staleAddrs(ns place, t when) (addrs []netip.Addr) {
	for _, rrtype := range []uint16{wire.TypeA, wire.TypeAAAA} {
		e, sets, ok := c.loadRRset(ns, rrtype, wire.ClassIN, t)
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
