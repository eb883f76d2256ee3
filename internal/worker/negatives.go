package worker

import (
	"context"
	"fmt"
	"sync"
	"time"

	"kresd/internal/clock"
	"kresd/internal/ede"
	"kresd/internal/limits"
	"kresd/internal/logging"
	"kresd/internal/rank"
	"kresd/internal/resolve"
	"kresd/internal/safe"
	"kresd/internal/trustanchor"
	"kresd/internal/validate"
	"kresd/internal/wire"
)

// negatives looks after those negative anchors (RFC 7646) that are there for a time
// or for as long as they are needed.
type negatives struct {
	store *trustanchor.Store
	clock *clock.Clock
	log   *logging.Logger
	tasks *safe.Group
	// sound tells whether the zone of a negative anchor is resolved and validated
	// without it.
	sound func(n *trustanchor.Negative) bool

	mu       sync.Mutex
	looking  *clock.Timer // while there are any with an end
	trying   *clock.Timer // while there are any that are tried
	underway bool
}

// start begins to look after them.
func (n *negatives) start() {
	n.store.OnChange(n.arm)
	n.arm()
}

// arm has what there is looked at in a second, and tried after a while.
func (n *negatives) arm() {
	ends, trials := false, false
	for _, a := range n.store.Snapshot().Insecure {
		ends, trials = ends || a.Expires != 0, trials || a.Trial
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	if ends && n.looking == nil {
		n.looking = n.clock.AfterFunc(time.Second, func() { n.tasks.Go("negative anchors", n.expire) })
	}
	if trials && n.trying == nil && !n.underway {
		n.trying = n.clock.AfterFunc(limits.NegativeTrial, func() { n.tasks.Go("negative anchors", n.try) })
	}
}

// expire ends those whose time is over.
func (n *negatives) expire() {
	n.mu.Lock()
	n.looking = nil
	n.mu.Unlock()
	for _, a := range n.store.Expire(n.clock.Unix()) {
		n.log.Notice(fmt.Sprintf("the negative trust anchor %s has ended: %s is validated again", a.Name, a.Name))
	}
	n.arm()
}

// try ends those without which their zones are validated.
func (n *negatives) try() {
	n.mu.Lock()
	n.trying, n.underway = nil, true
	n.mu.Unlock()
	for _, a := range n.store.Snapshot().Negatives() {
		if a.Trial && n.sound(a) && n.store.Lift(a) {
			n.log.Notice(fmt.Sprintf("the negative trust anchor %s is not needed any more: the zone can be validated", a.Name))
		}
	}
	n.mu.Lock()
	n.underway = false
	n.mu.Unlock()
	n.arm()
}

// sound resolves the SOA record at a negative anchor, without what is cached, as it would
// be judged without that anchor. What it brings is cached in the partition of
// configurations that have no such anchor.
func (w *Worker) sound(n *trustanchor.Negative) bool {
	without := func() *trustanchor.Snapshot { return w.rules.anchors.Snapshot().Without(n.Name) }
	judge := validate.Layer(validate.Config{Anchors: without, Counts: &w.proofs})
	cfg := w.driverConfig(false)
	cfg.Partitions = func() resolve.Partitions { return w.partitionsBy(without()) }
	layers := cfg.Layers
	cfg.Layers = func() (list []*resolve.Layer) {
		for _, l := range layers() {
			if l.Name == judge.Name {
				l = judge
			}
			list = append(list, l)
		}
		return list
	}
	ctx, cancel := context.WithTimeout(w.ctx, 2*limits.RequestDeadline)
	defer cancel()
	req := &resolve.Request{
		Question: resolve.Question{Name: n.Name, Type: wire.TypeSOA, Class: wire.ClassIN}, RD: true, DO: true,
		Options: resolve.Options{BypassCache: true}, Result: resolve.Result{EDE: ede.None},
	}
	w.requests.enter(req)
	resolve.NewDriver(cfg).Resolve(ctx, req)
	res := &req.Result
	proven := res.Rank.IsSecure() || res.Rank == rank.Insecure|rank.Auth // provably not signed
	return proven && (res.Rcode == wire.RcodeNoError || res.Rcode == wire.RcodeNXDomain) && ctx.Err() == nil
}
