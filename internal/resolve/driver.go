package resolve

import (
	"context"
	"sync"
	"sync/atomic"
	"time"

	"kresd/internal/dnsname"
	"kresd/internal/limits"
	"kresd/internal/safe"
	"kresd/internal/selection"
	"kresd/internal/zonecut"
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
	// Limits are those that the operator has set; nil: the usual ones.
	Limits func() *limits.Clients
	// Partitions are those of the present configuration; nil: everybody's.
	Partitions func() Partitions
	// Everything answers questions of type ANY after the Begin hooks, instead of
	// resolving them; nil: they are resolved.
	Everything func(*Request)
	// OnPanic is told of a bug that one request ran into. It may be nil.
	OnPanic func(*Request, *safe.Panic)
	// Context ends all resolutions when the worker ends. nil: never.
	Context context.Context
	// Opportunistic tells whether authoritative servers are asked over TLS where they
	// listen for it (RFC 9539); nil: they are not.
	Opportunistic func() bool
	// Explore asks servers now and then only to learn about them.
	Explore bool
}

// Driver resolves requests. It is safe for concurrent use.
type Driver struct {
	cfg         Config
	resolutions resolutions
	zones       limits.Gate[dnsname.Name]
	failed      throttle
	deadlines   deadlines
	panics      safe.Group
	// strangers are servers that did not prove who they are, and how, since they were
	// asked last: they are left alone for a while, and whoever asks meanwhile hears why.
	strangers limits.Recent[zonecut.Endpoint, *Unauthenticated]
	// silent are servers that did not answer when they were asked last.
	silent   limits.Recent[zonecut.Endpoint, earlier]
	caseless caseless

	leases    atomic.Pointer[Leases]
	exploring atomic.Int32 // questions that are asked to learn only
}

// earlier is how an attempt to ask a server failed.
type earlier struct {
	err error
	at  time.Time
}

// NewDriver makes a Driver.
func NewDriver(cfg Config) *Driver {
	if cfg.Options == nil {
		cfg.Options = func() Options { return Options{} }
	}
	if cfg.Limits == nil {
		usual := limits.DefaultClients()
		cfg.Limits = func() *limits.Clients { return &usual }
	}
	if cfg.Context == nil {
		cfg.Context = context.Background()
	}
	d := &Driver{cfg: cfg}
	d.panics.OnPanic = func(*safe.Panic) {} // told with its request by contain
	return d
}

// Panics counts the bugs that requests ran into.
func (d *Driver) Panics() uint64 { return d.panics.Panics() }

// solver carries one request.
type solver struct {
	*Driver
	layers []*Layer
	r      *Request
	held   []byte // the key of the lease, which the request's own question took; nil: none
	// running are the look-ups beside.
	running sync.WaitGroup

	// The query for the request's own question, and the plan of nearly all requests.
	root  Query
	stack [2]*Query
}

// close ends what the request still waits for, and waits until it has ended.
func (s *solver) close() {
	s.r.Plan.abandon()
	s.running.Wait()
	if s.held != nil {
		(*s.leases.Load()).Return(s.held)
	}
}

// solved takes q off the plan; whoever pushed it reads its Outcome.
func (s *solver) solved(q *Query) {
	q.Solved, q.Err = true, nil
	if s.r.Plan.Remember {
		s.r.Plan.solved = append(s.r.Plan.solved, q)
	}
	s.r.Plan.Pop(q)
}

// resolutions are those under way that others may join.
type resolutions struct {
	mu sync.Mutex
	m  map[resolutionKey]*resolution
}

// resolutionKey holds all that one answer depends on.
type resolutionKey struct {
	Question
	cd, rd  bool
	options Options
	cut     *zonecut.Cut
	join    string
	in      Partitions
	// impatient: those who wait longer get nothing from one who gives up early.
	impatient bool
}

// resolution is the work for one request, whose result equal requests take over.
// result is valid when done is closed.
type resolution struct {
	done   chan struct{} // made by the first who waits
	do     bool          // what the leader's client wants to see
	result *Result
}

// join finds the resolution of key, for a request that waits for its result, or
// begins one (leads). To wait is cheap, and how many wait is bounded where questions
// are let in (limits.Clients).
func (rs *resolutions) join(key resolutionKey) (one *resolution, leads bool) {
	rs.mu.Lock()
	defer rs.mu.Unlock()
	if one = rs.m[key]; one == nil {
		if rs.m == nil {
			rs.m = make(map[resolutionKey]*resolution)
		}
		one = &resolution{}
		rs.m[key] = one
		return one, true
	}
	if one.done == nil {
		one.done = make(chan struct{})
	}
	return one, false
}

// end ends a resolution: nobody joins it any more.
func (rs *resolutions) end(key resolutionKey) {
	rs.mu.Lock()
	delete(rs.m, key)
	rs.mu.Unlock()
}

// deadlines are the contexts that end when the time of a request is over. Requests
// that begin together share one: a context of its own, with its timer and its
// place among the worker's, is dear for who is answered in a millisecond. It does not
// end with the request, so what a request leaves behind is ended by Plan.abandon.
type deadlines struct {
	mu   sync.Mutex
	last context.Context
	at   time.Time // when it ends
	// end is not needed: at comes by itself, or the worker ends before.
	end context.CancelFunc
}

// next is the context of a request that begins now. It ends when the time is over,
// at most limits.DeadlineStep before.
func (d *deadlines) next(worker context.Context) context.Context {
	at := time.Now().Add(limits.RequestDeadline)
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.last == nil || at.Sub(d.at) > limits.DeadlineStep {
		d.at = at
		d.last, d.end = context.WithDeadline(worker, at)
	}
	return d.last
}

// throttle remembers, across requests, names of name servers that could not be
// resolved and zones whose parent was asked again in vain, so that they are left
// alone for a while.
type throttle struct {
	mu sync.Mutex
	m  map[place]int64 // until when, wall seconds
}

// place is a name as those of one partition know it.
type place struct {
	in   Partition
	name dnsname.Name
}

// place is a name as the request's iteration knows it.
func (s *solver) place(name dnsname.Name) place { return place{s.r.Partition.Data, name} }

// add leaves name alone from now on.
func (t *throttle) add(name place, now int64) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.m == nil {
		t.m = make(map[place]int64)
	}
	if len(t.m) >= limits.ThrottledNames {
		t.forget()
	}
	t.m[name] = now + int64(limits.UnresolvableNSThrottle.Seconds())
}

// forget makes room: the first names that come along, which Go's maps draw at
// random, expired or not.
func (t *throttle) forget() {
	n := 0
	for name := range t.m {
		delete(t.m, name)
		if n++; n >= limits.ThrottledNames/8 {
			return
		}
	}
}

// has tells whether name is to be left alone. A clock that went backwards
// cannot keep a name for ever.
func (t *throttle) has(name place, now int64) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	until, ok := t.m[name]
	return ok && now < until && until-now <= int64(limits.UnresolvableNSThrottle.Seconds())
}

// Leases bound how many workers ask the same question at once. Each worker joins
// its own equal questions; many workers would still ask one question many times,
// which is as many chances for who guesses answers (HARDENING A8).
type Leases interface {
	// Take takes a lease for what key names, unless most workers have one already.
	Take(key []byte, most int) bool
	// Return gives it back.
	Return(key []byte)
}

// Share makes the driver respect the leases of other workers.
func (d *Driver) Share(l Leases) { d.leases.Store(&l) }
