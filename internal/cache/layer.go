package cache

import (
	"errors"

	"kresd/internal/dnsname"
	"kresd/internal/resolve"
	"kresd/internal/wire"
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

func (c *Cache) begin(req *resolve.Request) resolve.State {
	req.Cache = resolve.CacheState{}
	return resolve.Produce
}

// produce answers a query with what is known. It is here and not in begin that the
// cache is looked into: what the operator decides about a name comes before what is
// remembered of it.
func (c *Cache) produce(req *resolve.Request, q *resolve.Query) resolve.State {
	has := c.inventory(node{q.Partition, q.Name})
	if !req.Cache.Looked { // what the request reads from now on may be as old as this
		req.Cache.Looked, req.Cache.Clears = has.ok, has.clears
	}
	if noCache(req, q) || q.Anew || !has.ok {
		return resolve.Produce
	}
	f := c.find(asked(req, q), has)
	if !f.nothing() {
		return c.satisfied(req, q, f)
	}
	if before := c.failedBefore(req, q, has); before != nil {
		return req.Fail(before)
	}
	c.n.miss.Add(1)
	if req.Tell != nil {
		req.Tell(q, resolve.CacheMiss{Question: q.Question})
	}
	if q.Cut == nil { // the driver would look for it next
		q.Cut = f.cut
	}
	return resolve.Produce
}

// asked is what a query looks for.
func asked(req *resolve.Request, q *resolve.Query) wanted {
	return wanted{
		Question: q.Question, in: q.Partition, when: when{now: req.Now}, budget: req.Budget,
		cd: req.CD || req.Options.AsksCD || q.Options.AsksCD || q.Depth > 0, // addresses of servers are not judged
	}
}

// satisfied ends a query with what was found.
func (c *Cache) satisfied(req *resolve.Request, q *resolve.Query, f found) resolve.State {
	c.n.hit.Add(1)
	if q.Cut == nil && (req.Options.FindCut || q.Options.FindCut) { // for scripts: nobody is asked
		if q.Cut = f.cut; f.cut == nil {
			q.Cut = c.Closest(q.Partition, q.Name, req.Now)
		}
	}
	q.Outcome = f.Outcome
	q.Options.FromCache = true
	if req.Tell != nil {
		req.Tell(q, resolve.CacheHit{Outcome: &q.Outcome, Denier: f.denier})
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
	if s == nil || !p.Looked || noCache(req, q) || q.Type == wire.TypeANY || !req.InForce() {
		return resolve.Consume
	}
	t := stash{c: c, s: s, in: q.Partition, now: req.Now, seen: p.Clears, scope: scope(q)}
	if q.Name.IsSubdomainOf(t.scope) {
		t.keep(q)
	}
	return resolve.Consume
}

// scope is the name at and below which the answer to a query may be kept. The
// servers of a zone cut have been held to their zone by iterate; forwarders, whose
// cut is the root, are held to what they were configured for: of what they say
// about a name beyond that, nothing is kept.
func scope(q *resolve.Query) dnsname.Name {
	switch {
	case !q.Forwards():
		return dnsname.Root
	case q.Scope == "":
		return q.Name
	}
	return q.Scope
}

func (c *Cache) finalize(req *resolve.Request) {
	// An answer for which the cache was not looked at is none of the DNS: a rule made it.
	// Or it is that of another request, which keeps it.
	s, p := c.current(), &req.Cache
	if s == nil || !p.Looked || noCache(req, nil) || req.Result.Drop || !cacheable(req.Question) || !req.InForce() {
		return
	}
	t := stash{c: c, s: s, in: req.Partition.Answers, now: req.Now, seen: p.Clears}
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
