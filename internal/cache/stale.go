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

// Ask resolves what an alias that has ended leads to; ok is false when servers do not
// tell.
type Ask func(q resolve.Question) (o resolve.Outcome, ok bool)

// Stale is the whole answer to a request from what is known and from what was
// known less than grace seconds ago (RFC 8767), aliases followed. stale tells whether
// it needed the latter. The outcome's Kind is Pending when there is no answer, or when
// allow lets a part of it not be told. ask may be nil: nobody is asked.
func (c *Cache) Stale(req *resolve.Request, grace int64, allow Allow, ask Ask) (o resolve.Outcome, stale bool) {
	if c.current() == nil {
		return o, false
	}
	q := req.Question
	for range limits.MaxCNAMEChain + 1 {
		var next resolve.Outcome
		next, ended := c.link(req, q, stale, grace, allow, ask)
		stale = stale || ended
		if next.Kind == resolve.Pending {
			break
		}
		next.Answer = append(o.Answer, next.Answer...)
		next.Authority = append(o.Authority, next.Authority...)
		if next.Kind != resolve.Alias {
			return next, stale
		}
		q.Name, o = next.Target, next
	}
	return resolve.Outcome{}, false
}

// link is one step of a chain: what the operator says, what is known, what those tell
// who are asked, or what has ended, in this order. The servers of what stands before
// the first link that has ended were not in reach, so that nobody has been asked yet for
// what comes behind it (RFC 8767, section 5).
func (c *Cache) link(req *resolve.Request, q resolve.Question, behind bool, grace int64, allow Allow, ask Ask) (o resolve.Outcome, ended bool) {
	if o, ok := req.Owned(q, q != req.Question); ok {
		return o, false
	}
	w := wanted{Question: q, in: req.PartitionOf(q), cd: req.CD || req.Options.AsksCD, when: when{now: req.Now}, final: true}
	if f := c.find(w, inventory{}); !f.nothing() {
		return f.Outcome, false
	}
	if behind && ask != nil {
		if o, ok := ask(q); ok {
			return o, false
		}
	}
	w.grace = grace
	f := c.expired(w, allow)
	return f.Outcome, !f.nothing()
}

// expired is find among entries that have expired. The youngest entry counts, be it of the
// name or of an ancestor: the name may have been denied since its own entry was stored.
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
		e, ok := c.load(node{in, n}.cut(), t)
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
				ns.Addrs = c.staleAddrs(node{in, ns.Name}, t)
			}
		}
		return cut
	}
	return nil
}

func (c *Cache) staleAddrs(ns node, t when) (addrs []netip.Addr) {
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
