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

// progress is what the layer remembers about a request, in Request.Vars.
type progress struct {
	// clears is the clear number when the request began: what it reads from the
	// cache may be as old as that.
	clears uint64
	// fingerprint is that of the configuration when the request began.
	fingerprint uint64
	// asked tells that the resolution was begun in earnest, so that its failure
	// says something about the DNS and not about a policy.
	asked bool
	// blank is the last name that was looked for, if nothing at all was stored under
	// it, so that this need not be found out again when something is to be stored.
	blank dnsname.Name
}

type progressKey struct{}

func progressOf(req *resolve.Request) *progress {
	p, _ := req.Vars[progressKey{}].(*progress)
	return p
}

// noCache tells whether a query is to be answered from the network, and nothing
// of it to be kept.
func noCache(req *resolve.Request, q *resolve.Query) bool {
	f := req.Flags
	if q != nil {
		f |= q.Flags
	}
	return f&resolve.NoCache != 0
}

// wantsCD tells whether data that failed validation may be used.
func wantsCD(req *resolve.Request, q *resolve.Query) bool {
	return req.CD || (req.Flags|q.Flags)&resolve.DNSSECCD != 0
}

func (c *Cache) begin(req *resolve.Request) resolve.State {
	s := c.current()
	if s == nil {
		return resolve.Produce
	}
	if req.Vars == nil {
		req.Vars = map[any]any{}
	}
	req.Vars[progressKey{}] = &progress{clears: s.ClearNumber(), fingerprint: c.fingerprint.Load()}
	return resolve.Produce
}

func (c *Cache) produce(req *resolve.Request, q *resolve.Query) resolve.State {
	// Not in begin: what the operator decides about a name comes before what is
	// remembered of it.
	missing, entry := c.survey(q.Name)
	if q.Parent == nil && !noCache(req, q) && c.failedBefore(req, missing) {
		return resolve.Fail
	}
	if p := progressOf(req); p != nil {
		p.asked = true
		if p.blank = ""; missing == allKinds {
			p.blank = q.Name
		}
	}
	if noCache(req, q) || c.current() == nil {
		return resolve.Produce
	}
	var cut *zonecut.Cut
	o := look{c: c, q: q.Question, now: req.Now, cd: wantsCD(req, q), missing: missing, entry: entry, cut: &cut}.find()
	if o.Kind == resolve.Alias && q.Forwards() && q.Flags&resolve.Stub != 0 { // a chain whose end the server tells
		o, _ = c.Stale(q.Question, req.Now, wantsCD(req, q), 0, nil)
	}
	if o.Kind == resolve.Pending {
		c.n.miss.Add(1)
		if req.Tracef != nil {
			req.Tracef(q, "cache", "=> not in the cache: %s", q.Question)
		}
		if q.Cut == nil && cut != nil { // the driver would look for it next
			c.addChildServers(cut, req.Now)
			q.Cut = cut
		}
		return resolve.Produce
	}
	c.n.hit.Add(1)
	if q.Cut == nil && (req.Flags|q.Flags)&resolve.AlwaysCut != 0 { // for scripts: nobody is asked
		if q.Cut = cut; cut == nil {
			q.Cut = c.Closest(q.Name, req.Now)
		}
	}
	q.Outcome = o
	q.Flags |= resolve.Cached
	if req.Tracef != nil {
		req.Tracef(q, "cache", "=> satisfied from the cache: %s", o.String())
	}
	return resolve.Done
}

func (c *Cache) consume(req *resolve.Request, q *resolve.Query, msg *wire.Msg) resolve.State {
	// Without a message it is what a layer knew or made up, unless iterate had held
	// it back in the hope of something better.
	if msg == nil && q.Iter.Fallback == nil || q.Outcome.Cached {
		return resolve.Consume
	}
	if k := q.Outcome.Kind; k == resolve.Pending || k == resolve.Lame {
		return resolve.Consume
	}
	c.adjust(&q.Outcome)
	s, p := c.current(), progressOf(req)
	if s == nil || p == nil || noCache(req, q) || q.Type == wire.TypeANY {
		return resolve.Consume
	}
	t := stash{c: c, s: s, now: req.Now, seen: p.clears, scope: scope(req, q), blank: p.blank}
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
	s, p := c.current(), progressOf(req)
	if s == nil || p == nil || noCache(req, nil) || req.Result.Drop || !cacheable(req.Question) {
		return
	}
	t := stash{c: c, s: s, now: req.Now, seen: p.clears, blank: p.blank}
	if res := &req.Result; res.Rcode == wire.RcodeServFail || res.Stale {
		if p.asked && !errors.Is(res.Failure, resolve.ErrPatience) {
			t.failure(req)
		}
		return
	}
	t.answer(req, p)
}

// cacheable tells whether anything about a question is ever kept.
func cacheable(q resolve.Question) bool {
	return q.Class == wire.ClassIN && !wire.IsMetaType(q.Type)
}
