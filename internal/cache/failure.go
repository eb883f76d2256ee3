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
	key := node{req.Failures(), req.Name}.failure(req.Question, req.CD)
	ttl := uint32(limits.ServfailTTL)
	if old, ok := t.c.read(key); ok && old.kind == kindFailure {
		if _, _, alive := old.header.age(failed); alive && !ahead(&old.header, failed) {
			return // another request failed at the same time
		}
		if since := failed - old.made; since >= 0 && since <= int64(old.ttl)+limits.ServfailMax {
			ttl = min(2*old.ttl, limits.ServfailMax)
		}
	}
	h := header{kind: kindFailure, made: failed, ttl: ttl, code: uint16(code)}
	t.store(key, append(newEntry(h, len(text)+len(key)), text...))
}

// ahead tells whether a failure was noted at a time that has yet to come: by a clock
// that was wrong then, which may be why it failed.
func ahead(h *header, now int64) bool { return h.made-now > int64(limits.RequestDeadline/time.Second) }

// failedBefore is the failure of a client's question that has just failed; nil when
// it has not. has is the inventory of q's node, which failures share where neither
// rules nor flags make a difference.
func (c *Cache) failedBefore(req *resolve.Request, q *resolve.Query, has inventory) error {
	if q.Parent != nil || !cacheable(req.Question) || q.Partition == req.Failures() && has.lacks(aFailure) {
		return nil
	}
	w := c.scanOf(node{req.Failures(), req.Name})
	defer c.scans.Put(w)
	w.key = appendFailure(w.key, req.Question, req.CD)
	e, ok := c.load(w.key, when{now: req.Now})
	if !ok || e.kind != kindFailure || ahead(&e.header, req.Now) {
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
