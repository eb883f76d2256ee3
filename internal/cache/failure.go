package cache

import (
	"errors"

	"kresd/internal/limits"
	"kresd/internal/resolve"
	"kresd/internal/wire"
)

// Extended errors (RFC 8914, section 4): of a failure that is told again, and of
// a resolver that cannot work yet.
const (
	cachedError = 13
	notReady    = 14
)

// failure keeps that a question could not be resolved (RFC 9520): for a few
// seconds, and twice as long each time it fails again soon after.
func (t *stash) failure(req *resolve.Request) {
	code := req.Result.EDE
	if req.Result.Stale {
		code, _ = resolve.Explain(req.Result.Failure)
	}
	if code == notReady || errors.Is(req.Result.Failure, resolve.ErrLocal) {
		return // that is about us
	}
	key := failureKey(req.Name, req.Type, req.Class, req.CD)
	ttl := uint32(limits.ServfailTTL)
	if old, ok := t.c.read(key); ok && old.kind == kindFailure {
		if _, _, alive := old.header.age(t.now); alive {
			return // another request failed at the same time
		}
		if since := t.now - old.made; since >= 0 && since <= int64(old.ttl)+limits.ServfailMax {
			ttl = min(2*old.ttl, limits.ServfailMax)
		}
	}
	h := header{kind: kindFailure, made: t.now, ttl: ttl, code: code}
	t.store(key, h, newEntry(h, 0))
}

// failedBefore answers a question that has just failed, unless there is
// something to answer it from now. missing is what its name does not have.
func (c *Cache) failedBefore(req *resolve.Request, missing kinds) bool {
	if missing&aFailure != 0 || !cacheable(req.Question) {
		return false
	}
	e, ok := c.load(failureKey(req.Name, req.Type, req.Class, req.CD), req.Now)
	if !ok || e.kind != kindFailure {
		return false
	}
	if o := (look{c: c, q: req.Question, now: req.Now, cd: req.CD, missing: missing}).find(); o.Kind != resolve.Pending {
		return false
	}
	req.Result = resolve.Result{Rcode: wire.RcodeServFail, EDE: e.code, EDEText: "it failed a moment ago", NoCache: true}
	if e.code == resolve.NoEDE {
		req.Result.EDE = cachedError
	}
	c.n.hit.Add(1)
	return true
}
