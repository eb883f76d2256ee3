package cache

import (
	"errors"
	"time"

	"kresd/internal/ede"
	"kresd/internal/limits"
	"kresd/internal/resolve"
)

// maxReason bounds the text that is kept of a failure, in octets: as much as a
// client is told of it.
const maxReason = 255

// failure keeps that a question could not be resolved (RFC 9520): for a few
// seconds from when that was known, and twice as long each time it fails again soon after. Why is kept with
// it: the extended error is the header's code, its text the entry's body.
func (t *stash) failure(req *resolve.Request) {
	code, text := req.Result.EDE, req.Result.EDEText
	if req.Result.Stale {
		code, text = resolve.Explain(req.Result.Failure)
	}
	text = text[:min(len(text), maxReason)]
	failed := t.now + int64(req.Result.Took/time.Second)
	if code == ede.NotReady || errors.Is(req.Result.Failure, resolve.ErrLocal) {
		return // that is about us
	}
	key := failureKey(req.Name, req.Type, req.Class, req.CD)
	ttl := uint32(limits.ServfailTTL)
	if old, ok := t.c.read(key); ok && old.kind == kindFailure {
		if _, _, alive := old.header.age(failed); alive {
			return // another request failed at the same time
		}
		if since := failed - old.made; since >= 0 && since <= int64(old.ttl)+limits.ServfailMax {
			ttl = min(2*old.ttl, limits.ServfailMax)
		}
	}
	h := header{kind: kindFailure, made: failed, ttl: ttl, code: uint16(code)}
	t.store(key, h, append(newEntry(h, len(text)), text...))
}

// failedBefore is the failure of a question that has just failed, unless there is
// something to answer it from now; nil when it has not. missing is what its name
// does not have.
func (c *Cache) failedBefore(req *resolve.Request, missing kinds) error {
	if missing&aFailure != 0 || !cacheable(req.Question) {
		return nil
	}
	e, ok := c.load(failureKey(req.Name, req.Type, req.Class, req.CD), req.Now)
	if !ok || e.kind != kindFailure {
		return nil
	}
	if o := (look{c: c, q: req.Question, now: req.Now, cd: req.CD, census: census{missing: missing}}).find(); o.Kind != resolve.Pending {
		return nil
	}
	before := &resolve.Failure{EDE: ede.Code(e.code), Text: string(e.body[:min(len(e.body), maxReason)]), Remembered: true}
	if before.EDE == ede.None {
		before = &resolve.Failure{EDE: ede.CachedError, Text: "it failed a moment ago"}
	}
	if req.Tell != nil {
		req.Tell(req.Root(), resolve.FailureRemembered{Question: req.Question, Age: int64(e.age), Left: int64(e.left), Reason: before.Text})
	}
	c.n.hit.Add(1)
	return before
}
