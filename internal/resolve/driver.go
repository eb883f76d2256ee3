package resolve

import (
	"context"
	"sync/atomic"
	"time"

	"kresd/internal/dnsname"
	"kresd/internal/ede"
	"kresd/internal/limits"
	"kresd/internal/rank"
	"kresd/internal/safe"
	"kresd/internal/selection"
	"kresd/internal/wire"
)

// Config is what a Driver works with. Layers, Exchanger, Cuts and Servers must
// be given.
type Config struct {
	// Layers is the list of layers in their order, as of now. The list it returns is
	// never changed.
	Layers    func() []*Layer
	Exchanger Exchanger
	Cuts      Cuts
	Servers   *selection.Selector
	Counters  *limits.Counters
	// Options are in force for every request (option(), mode(), net.ipv6). nil: none.
	Options func() Options
	// Everything answers questions of type ANY after the Begin hooks, instead of
	// resolving them; nil: they are resolved.
	Everything func(*Request)
	// OnPanic is told of a bug that one request ran into. It may be nil.
	OnPanic func(*Request, *safe.Panic)
	// Context ends all resolutions when the worker ends. nil: never.
	Context context.Context
	// Explore asks servers now and then only to learn about them.
	Explore bool
}

// Driver resolves requests. It is safe for concurrent use.
type Driver struct {
	cfg       Config
	flights   flights
	zones     limits.Gate[dnsname.Name]
	failed    throttle
	deadlines deadlines
	panics    safe.Group

	leases    atomic.Pointer[Leases]
	exploring atomic.Int32 // questions that are asked to learn only
}

// NewDriver makes a Driver.
func NewDriver(cfg Config) *Driver {
	if cfg.Options == nil {
		cfg.Options = func() Options { return Options{} }
	}
	if cfg.Context == nil {
		cfg.Context = context.Background()
	}
	d := &Driver{cfg: cfg}
	d.panics.OnPanic = func(*safe.Panic) {} // told with its request by guard
	return d
}

// Panics counts the bugs that requests ran into.
func (d *Driver) Panics() uint64 { return d.panics.Panics() }

// Resolve resolves r on the calling goroutine and fills its Result. It always
// returns with one. ctx ends the wait of this caller only: work that others
// share goes on without it.
//
// Sets in the Result may be shared with other requests: a hook that changes
// records must put a new slice in their place.
func (d *Driver) Resolve(ctx context.Context, r *Request) {
	layers := d.cfg.Layers()
	r.Options = r.Options.With(d.cfg.Options())
	if r.Budget == nil {
		r.Budget = NewBudget(d.cfg.Counters)
	}
	r.Plan.counters = d.cfg.Counters
	r.Result = Result{EDE: ede.None}
	r.ctx = ctx
	d.guard(r, func() {
		if !begin(layers, r) {
			d.answer(ctx, layers, r)
		}
		if !r.DO {
			r.Result.hideProofs()
		}
		for _, l := range layers {
			if l.Finalize != nil {
				before := r.snapshot()
				l.Finalize(r)
				if r.Tell != nil {
					r.Tell(nil, ModuleFinalized{l.Name, before, &r.Result})
				}
			}
		}
	})
	for _, l := range layers {
		if l.Finish != nil {
			d.guard(r, func() { l.Finish(r) })
		}
	}
}

// answer resolves r, or has a question for everything answered without.
func (d *Driver) answer(ctx context.Context, layers []*Layer, r *Request) {
	if r.Type == wire.TypeANY && d.cfg.Everything != nil {
		d.cfg.Everything(r)
		return
	}
	d.shared(ctx, layers, r)
}

// begin runs the Begin hooks and tells whether the request is answered.
func begin(layers []*Layer, r *Request) bool {
	for _, l := range layers {
		if l.Begin == nil {
			continue
		}
		switch l.Begin(r) {
		case Done:
			r.tellDecided(l)
			return true
		case Fail:
			r.Result.Fail(r.failedIn(l))
			r.tellDecided(l)
			return true
		}
	}
	return false
}

// resolve does the work of r.
func (d *Driver) resolve(layers []*Layer, r *Request) {
	ctx := d.deadlines.next(d.cfg.Context)
	if r.impatient() {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(d.cfg.Context, r.patience())
		defer cancel()
	}
	r.ctx = ctx
	defer r.Plan.abandon()
	s := solver{Driver: d, layers: layers, r: r}
	if err := s.run(); err != nil {
		r.Result.failWith(r.root, err)
		if deadline, ok := ctx.Deadline(); ok {
			r.Result.Took = r.patience() - time.Until(deadline)
		}
		return
	}
	r.Result.take(&r.root.Outcome)
}

// guard runs fn and answers SERVFAIL when it panics, so that a bug costs one
// answer and not the process.
func (d *Driver) guard(r *Request, fn func()) {
	p := d.panics.Run("request", fn)
	if p == nil {
		return
	}
	r.Result.Fail(p)
	if d.cfg.OnPanic != nil {
		d.cfg.OnPanic(r, p)
	}
}

// take makes the result of what the request's query came to. What a module put
// into the Result for the client's eyes (an extended error) stays.
func (res *Result) take(o *Outcome) {
	res.Rcode = o.Rcode
	res.Answer, res.Authority = once(o.Answer), once(o.Authority)
	res.Rank = lowestRank(o)
	res.Cached = o.Cached
}

// once leaves out sets that are there already: a chain can pass the same DNAME
// twice and end with proofs that an earlier step gave, but a message holds each
// RRset once (RFC 2181, section 5). sets itself is not changed.
func once(sets []Set) []Set {
	for i := range sets {
		if !among(sets[:i], &sets[i]) {
			continue
		}
		kept := append([]Set(nil), sets[:i]...)
		for k := i + 1; k < len(sets); k++ {
			if !among(kept, &sets[k]) {
				kept = append(kept, sets[k])
			}
		}
		return kept
	}
	return sets
}

func among(sets []Set, s *Set) bool {
	for i := range sets {
		if o := &sets[i]; o.Type == s.Type && o.Owner == s.Owner && o.Class == s.Class {
			return true
		}
	}
	return false
}

func lowestRank(o *Outcome) rank.Rank {
	low, any := rank.Rank(255), false
	for _, sets := range [2][]Set{o.Answer, o.Authority} {
		for i := range sets {
			low, any = min(low, sets[i].Rank), true
		}
	}
	if !any {
		return rank.Initial
	}
	return low
}
