package resolve

import (
	"context"
	"sync"

	"kresd/internal/ede"
	"kresd/internal/wire"
)

// Resolve resolves r on the calling goroutine and fills its Result. It always
// returns with one. ctx ends the wait of this caller only: work that others
// share goes on without it.
//
// Sets in the Result may be shared with other requests: a hook that changes
// records must put a new slice in their place.
func (d *Driver) Resolve(ctx context.Context, r *Request) {
	layers := d.cfg.Layers()
	r.Options = r.Options.With(d.cfg.Options())
	r.Plan.counters = d.cfg.Counters
	r.work = &work{budget: Budget{counters: d.cfg.Counters}, caseless: &d.caseless}
	r.Plan.work = r.work
	if r.Budget == nil {
		r.Budget = &r.work.budget
	}
	r.telling()
	r.join(d.cfg.Partitions)
	r.Result = Result{EDE: ede.None}
	r.ctx, r.layers = ctx, layers
	d.contain(r, func() {
		resolved := !begin(layers, r)
		if resolved {
			accept(layers, r)
			d.answer(ctx, layers, r)
		}
		r.Result.Authority = Shown(r.Result.Authority, r.DO)
		finalize(layers, r, resolved)
	})
	for _, l := range layers {
		if l.Finish != nil {
			d.contain(r, func() { l.Finish(r) })
		}
	}
}

// finalize has the layers judge the Result, if the request was resolved, and finish it.
func finalize(layers []*Layer, r *Request, resolved bool) {
	resolved = resolved && !r.Part
	if resolved {
		judge(layers, r)
	}
	for _, l := range layers {
		if l.Finalize == nil {
			continue
		}
		before, failed := r.snapshot(), r.Result.Rcode == wire.RcodeServFail
		l.Finalize(r)
		if r.Tell != nil {
			r.Tell(nil, ModuleFinalized{l.Name, before, &r.Result})
		}
		if failed && resolved && r.Result.Rcode != wire.RcodeServFail && !r.Result.Judged {
			judge(layers, r)
		}
	}
}

// judge runs the Judge hooks.
func judge(layers []*Layer, r *Request) {
	for _, l := range layers {
		if l.Judge == nil {
			continue
		}
		before := r.snapshot()
		l.Judge(r)
		if r.Tell != nil {
			r.Tell(nil, ModuleFinalized{l.Name, before, &r.Result})
		}
	}
}

// answer resolves r. A question of type ANY may be answered without (Config.Everything).
func (d *Driver) answer(ctx context.Context, layers []*Layer, r *Request) {
	if r.Type == wire.TypeANY && d.cfg.Everything != nil {
		d.cfg.Everything(r)
		return
	}
	d.shared(ctx, layers, r)
}

// begin runs the Begin hooks and tells whether the request is answered.
func begin(layers []*Layer, r *Request) bool {
	if r.Judged {
		return false
	}
	if r.Inner {
		r.take(r.ruled(r.Question))
		return false
	}
	decided := State(0)
	for _, l := range layers {
		now := beginIn(l, r, decided)
		if now != Done && now != Fail || now == decided && r.failure == nil {
			continue
		}
		if decided = now; now == Fail {
			r.Result.Fail(r.failedIn(l))
		}
		r.tellDecided(l)
	}
	return decided != 0
}

// beginIn is what a layer says to the request, about which those before it have decided
// or have not (0).
func beginIn(l *Layer, r *Request, decided State) State {
	switch {
	case decided != 0 && l.Decided != nil:
		return l.Decided(r, decided)
	case decided == 0 && l.Begin != nil:
		return l.Begin(r)
	}
	return 0
}

// accept tells the layers that what the Begin hooks decided is final.
func accept(layers []*Layer, r *Request) {
	r.settle()
	for _, l := range layers {
		if l.Accept != nil {
			l.Accept(r)
		}
	}
}

// resolve resolves r by itself and fills its Result.
func (d *Driver) resolve(layers []*Layer, r *Request) {
	ctx := d.deadlines.next(d.cfg.Context)
	if r.impatient() {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(d.cfg.Context, r.patience())
		defer cancel()
	}
	r.ctx = ctx
	s := &solver{Driver: d, layers: layers, r: r}
	defer s.close()
	if err := s.run(); err != nil {
		r.Result.failWith(r.root, err)
		r.Result.Took = r.took()
		return
	}
	if !r.settled {
		r.Result.take(&r.root.Outcome)
	}
}

// contain runs fn and answers SERVFAIL when it panics, so that a bug costs one
// answer and not the process.
func (d *Driver) contain(r *Request, fn func()) {
	p := d.panics.Run("request", fn)
	if p == nil {
		return
	}
	r.Result.Fail(p)
	if d.cfg.OnPanic != nil {
		d.cfg.OnPanic(r, p)
	}
}

// shared resolves r, or waits for an equal request that is being resolved.
func (d *Driver) shared(ctx context.Context, layers []*Layer, r *Request) {
	if r.Alone {
		d.resolve(layers, r)
		return
	}
	key := resolutionOf(r)
	if one, leads := d.resolutions.join(key); leads {
		d.lead(layers, r, key, one)
	} else {
		d.wait(ctx, one, r)
	}
}

// resolutionOf is the key of the resolution that r may share.
func resolutionOf(r *Request) resolutionKey {
	return resolutionKey{r.Question, r.CD, r.RD, r.Options, r.Cut, r.Join, r.Partition, r.impatient()}
}

// lead resolves r for itself and for all who join meanwhile. These get a result even
// when it panics.
func (d *Driver) lead(layers []*Layer, r *Request, key resolutionKey, one *resolution) {
	ended := false
	defer func() {
		if d.resolutions.end(key); one.done == nil {
			return // nobody waits
		}
		res := Result{EDE: ede.None}
		if res.Fail(errJoined); ended {
			res, one.do = r.Result.clone(), r.DO
		}
		one.result = &res
		close(one.done)
	}()
	d.resolve(layers, r)
	ended = true
}

// wait waits for a leader, at most as long as r would have taken by itself.
func (d *Driver) wait(ctx context.Context, one *resolution, r *Request) {
	r.WillWait()
	patience, cancel := context.WithTimeout(ctx, r.patience())
	defer cancel()
	if r.Tell != nil {
		r.Tell(nil, JoinedRequest{})
	}
	select {
	case <-one.done:
		r.Result = one.result.clone()
		// The leader's answer is kept. Another is kept of those who waited only if they
		// see another one, which DO decides.
		r.Result.NoCache = r.Result.NoCache || r.DO == one.do
	case <-patience.Done():
		err := context.Cause(ctx)
		if err == nil {
			err = d.timeUp(r)
		}
		r.Result.Fail(err)
	}
}

// snapshot is the result as it is, for a reader; nil when nobody reads.
func (r *Request) snapshot() *Result {
	if r.Tell == nil {
		return nil
	}
	res := r.Result.clone()
	return &res
}

// tellDecided tells which module made the result before anything was resolved.
func (r *Request) tellDecided(l *Layer) {
	if r.Tell != nil {
		r.Tell(nil, ModuleDecided{l.Name, &r.Result})
	}
}

// telling makes one goroutine at a time tell the steps of r.
func (r *Request) telling() {
	if r.Tell == nil {
		return
	}
	var mu sync.Mutex
	tell := r.Tell
	r.Tell = func(q *Query, step Step) {
		mu.Lock()
		defer mu.Unlock()
		tell(q, step)
	}
}
