package cache

import (
	"errors"

	"kresd/internal/dnsname"
	"kresd/internal/resolve"
	"kresd/internal/wire"
	"kresd/internal/zonecut"
)

// Layer is the cache as a step of a resolution: it answers what it knows, keeps
// what comes back, and at the end keeps the client's whole answer.
func (c *Cache) Layer() *resolve.Layer {
	return &resolve.Layer{
		Name:     "cache",
		Begin:    c.begin,
		Produce:  c.produce,
		Consume:  c.consume,
		Finalize: c.finalize,
	}
}

// noCache tells whether a query is to be answered from the network, and nothing
// of it to be kept.
func noCache(req *resolve.Request, q *resolve.Query) bool {
	return req.Options.BypassCache || q != nil && q.Options.BypassCache
}

// wantsCD tells whether data that failed validation may be used.
func wantsCD(req *resolve.Request, q *resolve.Query) bool {
	return req.CD || req.Options.AsksCD || q.Options.AsksCD
}

func (c *Cache) begin(req *resolve.Request) resolve.State {
	req.Cache = resolve.CacheState{Fingerprint: c.fingerprint.Load()}
	return resolve.Produce
}

func (c *Cache) produce(req *resolve.Request, q *resolve.Query) resolve.State {
	// Not in begin: what the operator decides about a name comes before what is
	// remembered of it.
	found := c.survey(q.Name)
	if !req.Cache.Looked { // what it reads from now on may be as old as this
		req.Cache.Looked, req.Cache.Clears = found.ok, found.clears
	}
	if q.Parent == nil && !noCache(req, q) {
		if before := c.failedBefore(req, found.missing); before != nil {
			return req.Fail(before)
		}
	}
	if noCache(req, q) || c.current() == nil {
		return resolve.Produce
	}
	var cut *zonecut.Cut
	o := look{c: c, q: q.Question, now: req.Now, cd: wantsCD(req, q), census: found, cut: &cut}.find()
	if o.Kind == resolve.Alias && q.Forwards() && q.Options.Stub { // a chain whose end the server tells
		o, _ = c.Stale(q.Question, req.Now, wantsCD(req, q), 0, nil)
	}
	if o.Kind == resolve.Pending {
		c.n.miss.Add(1)
		if req.Tell != nil {
			req.Tell(q, resolve.CacheMiss{Question: q.Question})
		}
		if q.Cut == nil && cut != nil { // the driver would look for it next
			q.Cut = cut
		}
		return resolve.Produce
	}
	c.n.hit.Add(1)
	if q.Cut == nil && (req.Options.FindCut || q.Options.FindCut) { // for scripts: nobody is asked
		if q.Cut = cut; cut == nil {
			q.Cut = c.Closest(q.Name, req.Now)
		}
	}
	q.Outcome = o
	q.Options.FromCache = true
	if req.Tell != nil {
		req.Tell(q, resolve.CacheHit{Outcome: &q.Outcome})
	}
	return resolve.Done
}

func (c *Cache) consume(req *resolve.Request, q *resolve.Query, _ *wire.Msg) resolve.State {
	if !q.Outcome.Origin.Fresh() {
		return resolve.Consume
	}
	if k := q.Outcome.Kind; k == resolve.Pending || k == resolve.Lame {
		return resolve.Consume
	}
	c.adjust(q, req.Now)
	s, p := c.current(), &req.Cache
	if s == nil || !p.Looked || noCache(req, q) || q.Type == wire.TypeANY {
		return resolve.Consume
	}
	t := stash{c: c, s: s, now: req.Now, seen: p.Clears, scope: scope(req, q)}
	t.keep(q)
	return resolve.Consume
}

// scope is the name at and below which the answer to a query may be kept. The
// servers of a zone cut have been held to their zone by iterate; forwarders, whose
// cut is the root, are held to what they were configured for.
func scope(req *resolve.Request, q *resolve.Query) dnsname.Name {
	switch {
	case !q.Forwards():
		return dnsname.Root
	case req.Scope == "":
		return req.Name
	}
	return req.Scope
}

func (c *Cache) finalize(req *resolve.Request) {
	// What was answered without a look says nothing about the DNS: it is a policy's,
	// or another request's, which keeps it.
	s, p := c.current(), &req.Cache
	if s == nil || !p.Looked || noCache(req, nil) || req.Result.Drop || !cacheable(req.Question) {
		return
	}
	t := stash{c: c, s: s, now: req.Now, seen: p.Clears}
	if res := &req.Result; res.Rcode == wire.RcodeServFail || res.Stale {
		if !errors.Is(res.Failure, resolve.ErrPatience) {
			t.failure(req)
		}
		return
	}
	t.answer(req)
}

// cacheable tells whether anything about a question is ever kept.
func cacheable(q resolve.Question) bool {
	return q.Class == wire.ClassIN && !wire.IsMetaType(q.Type)
}
