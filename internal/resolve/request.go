package resolve

import (
	"context"
	"net/netip"
	"time"

	"kresd/internal/dnsname"
	"kresd/internal/limits"
	"kresd/internal/transport"
	"kresd/internal/wire"
	"kresd/internal/zonecut"
)

// Request is one client's question on its way. One goroutine carries it, so it
// needs no lock.
type Request struct {
	Question
	// Client is where the question came from, and Local where it was received;
	// invalid for an internal one.
	Client, Local netip.AddrPort
	// Transport is how the question came.
	Transport transport.Transport
	// Headers are those of the request by HTTP that brought the question, as far as
	// the operator wants to see them.
	Headers []transport.Header
	// Reception is what the goroutine that carries the request does besides; nil: nothing.
	Reception Reception
	// Message is what the client sent, which nobody may change; nil for an internal one.
	Message []byte
	// Key is the name of the key that the client has signed its question with (RFC 8945),
	// where a module takes its word for that; "": none.
	Key dnsname.Name
	// Seal signs the answer; nil: it is not signed.
	Seal Seal
	// RD, CD and DO are the client's bits (RFC 1035, RFC 4035).
	RD, CD, DO bool
	// Options are in force for every query of the request.
	Options Options
	// Now is the wall time of acceptance in seconds since 1970; every TTL of the
	// request is judged by it.
	Now int64
	// ID numbers requests of a worker, for logs.
	ID uint32
	// Plan holds the queries that are still to be solved.
	Plan Plan
	// Budget bounds what the request may cost, sub-queries included.
	Budget *Budget
	// Result is what the client will be told.
	Result Result
	// Vars belong to modules, each with a key of its own type.
	Vars map[any]any
	// Cache is the cache layer's own.
	Cache CacheState
	// Tell is nil unless someone reads along, who is told each step; q is the query
	// that it belongs to, nil for the request itself. Nothing is put together for a
	// step that nobody is told.
	Tell func(q *Query, step Step)

	// Cut, when a Begin hook sets it together with Stub or Forward in Options, holds
	// the servers that the request's own question goes to. It is compared by
	// identity: one rule, one Cut.
	Cut *zonecut.Cut
	// Scope is the name at and below which the servers of Cut may be believed: what they
	// say about other names is not kept (MaginotDNS, CVE-2021-25220), and, if Cut was
	// chosen by the name, not told to clients. "": the question's own name.
	Scope dnsname.Name
	// ByName tells that Cut was chosen by the name in the question, so that for the names
	// its aliases lead to the Route hooks choose alone. Otherwise Cut is also for those of
	// these names for which the hooks choose nothing.
	ByName bool
	// Inner tells that an alias of another request led to the question, which has been
	// judged: no Begin hook is called, and who is asked is what the Route hooks say.
	Inner bool
	// Judged tells that the Begin hooks have judged the question as that of another request,
	// for which this one goes on (For), with its Options and its Cut: they are not called again.
	Judged bool
	// Part tells that what it comes to becomes part of the answer to another request, which is
	// judged: the Judge hooks are not called, and it is not kept as an answer.
	Part bool
	// Ruled tells that a rule of the operator's lets the question be resolved, so that it is
	// no matter whether the name is one of special use.
	Ruled bool
	// Join tells requests apart that ask the same but are treated differently by a
	// module: only those with equal Join share one resolution.
	Join string
	// Partition is who shares what is remembered of the DNS. The driver sets it to
	// that of the configuration; a Begin hook that treats some clients differently
	// adds to it (KeepApart).
	Partition Partitions
	// Alone keeps the request from being joined with others at all.
	Alone bool
	// Scripted tells that functions of scripts have had a part in what it comes to, which
	// is not kept as a whole for others.
	Scripted bool
	// Patience is how long the request may take until it fails with ErrPatience. An
	// Accept hook sets it that has something to tell the client then. 0: as long as
	// any request may take.
	Patience time.Duration

	apart     apart
	behalf    *Asker // for whom it goes on; nil: for who sent it
	layers    []*Layer
	inForce   func() Partitions
	began     Partitions // the configuration's then
	forwarded Partition  // of what the servers of a forwarding rule say; 0: no such rule

	ctx     context.Context
	failure error    // why the last hook failed; see Fail
	settled bool     // the Result is what a hook made of it; see Settle
	early   []*Query // that Begin hooks have pushed
	root    *Query
	work    *work
}

// WillWait says that the goroutine which carries the request is about to wait for something
// else than an answer over UDP, or to compute for long, so that it cannot receive questions
// meanwhile.
func (r *Request) WillWait() {
	if r.Reception != nil {
		r.Reception.Pass()
	}
}

// Context is cancelled when the request's time is over.
func (r *Request) Context() context.Context { return r.ctx }

// Wall is the wall second by now: Now, and the time that the resolution has taken.
func (r *Request) Wall() int64 { return r.Now + int64(r.took()/time.Second) }

// took is how long the resolution has taken so far; 0 for one without an end.
func (r *Request) took() time.Duration {
	if r.ctx == nil {
		return 0
	}
	deadline, ok := r.ctx.Deadline()
	if !ok {
		return 0
	}
	return r.patience() - time.Until(deadline)
}

// patience is how long the resolution may take.
func (r *Request) patience() time.Duration {
	if r.impatient() {
		return r.Patience
	}
	return limits.RequestDeadline
}

// impatient tells whether the request ends before its time.
func (r *Request) impatient() bool { return r.Patience > 0 && r.Patience < limits.RequestDeadline }

// Root is the query for the request's own question; nil before resolution.
func (r *Request) Root() *Query { return r.root }

// Hit counts a limit that a layer has met.
func (r *Request) Hit(id limits.ID) { r.Plan.counters.Hit(id) }

// An Heir is among the Vars of a request, and has an heir among those of each look-up
// beside it, which is a request on a goroutine of its own.
type Heir interface {
	// Heir makes it. of is the look-up.
	Heir(of *Request) any
}

// inherit gives the Vars of a look-up what it inherits.
func (r *Request) inherit(from *Request) {
	for key, v := range from.Vars {
		if h, ok := v.(Heir); ok {
			if r.Vars == nil {
				r.Vars = map[any]any{}
			}
			r.Vars[key] = h.Heir(r)
		}
	}
}

// Coming is what the client will be told if the request ends with the outcome of q as
// it is. ok is false where it does not: q is a sub-query, or has no final outcome.
func (r *Request) Coming(q *Query) (res Result, ok bool) {
	switch q.Outcome.Kind {
	case Positive, NoData, NXDomain:
	default:
		return res, false
	}
	o := q.Outcome
	for ; q.Parent != nil; q = q.Parent {
		if !q.IsTarget() {
			return res, false
		}
		before := q.Parent.Outcome.Answer
		o.Answer = append(before[:len(before):len(before)], o.Answer...)
	}
	res = r.Result
	res.take(&o)
	return res, true
}

// A Seal signs the answer to a question that was signed (RFC 8945).
type Seal interface {
	// Len is how many octets Sign appends at most.
	Len() int
	// Sign appends the signature to a message.
	Sign(msg []byte) []byte
}

// apart is what the answers of a request are kept apart by, from those of clients whom the
// modules treat otherwise.
type apart struct {
	by    []uint64
	still []func() bool
}

// An Asker is who sent a question.
type Asker struct {
	// Client is where it came from, and Local where it was received; invalid for an internal
	// one.
	Client, Local netip.AddrPort
	Transport     transport.Transport
	// Key is that of Request.
	Key dnsname.Name
}

// Asker is for whom the request is resolved, by whose address and key rules may judge it.
func (r *Request) Asker() Asker {
	if r.behalf != nil {
		return *r.behalf
	}
	return Asker{r.Client, r.Local, r.Transport, r.Key}
}

// For makes a request that begins one that goes on for another, or is made on account of it:
// it is resolved for the same client, though no client waits for it, and its answers are kept
// apart by the same.
func (r *Request) For(other *Request) {
	asker := other.Asker()
	r.behalf, r.apart = &asker, other.apart
}

// Settle makes the Result, as a hook has written it, the answer to the request, whatever
// its queries come to. It is for requests that are Alone: others that share the resolution
// would get the Result, too.
func (r *Request) Settle() { r.settled = true }

// pushAddress makes the address of a name server a sub-query of q.
func (r *Request) pushAddress(q *Query, question Question, options Options) (*Query, error) {
	if q.Depth >= limits.MaxRecursionDepth {
		r.Plan.counters.Hit(limits.RecursionDepth)
		return nil, Over(limits.RecursionDepth, ErrDepth)
	}
	for a := q; a != nil; a = a.Parent {
		if a.Name == question.Name && isAddress(a.Type) {
			r.Plan.counters.Hit(limits.Cycle)
			return nil, ErrCycle
		}
	}
	sub := &Query{Question: question, Parent: q, Options: options, Partition: r.Partition.Data, Depth: q.Depth + 1}
	sub.run.behindBad = r.work != nil && r.work.inVain.anyBad()
	if err := r.Plan.Push(sub); err != nil {
		return nil, err
	}
	return sub, nil
}

// State is what a hook says about the work at hand. The numbers are those that
// scripts see as kres.CONSUME and so on.
type State uint8

// States.
const (
	Consume State = 1 << iota // an answer is awaited or at hand
	Produce                   // a question must be sent
	Done                      // this query is solved
	Fail                      // this query has failed, or the request in Begin; Request.Fail says why
	Yield                     // a sub-query was pushed; call the hook again after it
)

// A Route says whose servers are asked for a name on the operator's word: those of
// a forwarding or stub rule, or, where Cut is nil, those that iteration finds.
type Route struct {
	Cut *zonecut.Cut
	// Scope is the name at and below which the servers may be believed by others
	// too.
	Scope dnsname.Name
	// Stub tells that the servers answer for themselves; else they are forwarders.
	Stub bool
}

// Refuse says, in a Consume hook, that the answer at hand is not believed, and why.
// Another server of the zone is asked; where none is believed the query fails with
// that reason. below, unless it is "", is a zone with keys in which the name lies, below
// the cut that was asked: servers that have data of it, instead of referring to it, may
// not be its own, and these are asked before the query fails.
func (q *Query) Refuse(why *Failure, below dnsname.Name) State {
	q.run.retry.refused, q.Outcome = why, Outcome{Kind: Lame}
	if below != "" {
		q.run.retry.below = below
	}
	return Consume
}

// AskServers says, in a Consume hook, that the answer at hand counts for nothing and
// that servers are to be asked.
func (q *Query) AskServers() State {
	q.Outcome = Outcome{}
	return Produce
}

// A Layer is a set of hooks into a resolution. Any hook may be nil: not
// interested. A hook never blocks; to learn more it pushes a query on the plan
// and returns Yield. A query that it pushes without returning Yield is solved, too, before
// the request ends, but later layers do not wait for it. Hooks of one request are called by one goroutine; hooks of
// different requests run at the same time.
type Layer struct {
	Name string
	// Begin is called once when a request is accepted. Done: the request's Result
	// is set and nothing needs to be resolved.
	Begin func(*Request) State
	// Decided is called instead of Begin where a layer before this one has answered the
	// request (Done) or failed it (Fail), and may decide otherwise about its Result: Done
	// and Fail count, any other state leaves it as it is.
	Decided func(*Request, State) State
	// Accept is called once when no Begin hook of any layer has answered the request:
	// its Options, its Cut and its Partition are final, and it will be resolved.
	Accept func(*Request)
	// Route says whose servers are asked for a question that an alias led to; nil:
	// nothing is said about it. It is called at every step of a chain of aliases, and not
	// for the client's question, which Begin judges.
	Route func(*Request, Question) *Route
	// Own answers a question on the operator's word, which comes before all that is
	// remembered or looked up: it is asked of all layers before any Produce hook, for
	// the aliases' targets and the resolver's own questions (sub), too. It changes
	// nothing.
	Own func(r *Request, q Question, sub bool) (o Outcome, ok bool)
	// Reset is called once for each query, before anything is done about it: for the
	// request's own question and for each that it leads to. Fail ends the query.
	Reset func(*Request, *Query) State
	// Produce may answer a query without the network by setting its Outcome and
	// returning Done; any other state lets the next layer try.
	Produce func(*Request, *Query) State
	// Checkout is the last look at an outgoing question; q.Server is chosen.
	Checkout func(*Request, *Query) State
	// Consume sees each answer: the message of a server, of which iterate makes the
	// Outcome and which later layers judge and keep, or an Outcome without a message.
	// Outcome.Origin says which; msg is nil unless it is FromServer.
	// Produce, or an Outcome that is Lame, means that another answer is wanted: the
	// layers behind do not see this one.
	Consume func(*Request, *Query, *wire.Msg) State
	// Judge looks at the Result of a request that was resolved before any Finalize hook
	// does, so before an answer is kept, and again where one has put another answer in a
	// failure's place. It may put a refusal in its place.
	Judge func(*Request)
	// Finalize is the last touch on the request's Result.
	Finalize func(*Request)
	// Finish is called once at the end, also after failure.
	Finish func(*Request)
}

// Cuts knows delegations and the addresses of name servers: the cache does, with
// the root hints below it.
type Cuts interface {
	// Closest is, in one partition, the closest live delegation at or above name, or nil when not
	// even the root's is known. The Cut may be shared: Clone it before changing it.
	Closest(in Partition, name dnsname.Name, now int64) *zonecut.Cut
	// Addrs are the addresses of a name server that may be used for asking it,
	// whatever their rank. known tells for each family whether the cache holds an
	// answer (which may be a negative one).
	Addrs(in Partition, ns dnsname.Name, now int64) (addrs []netip.Addr, known4, known6 bool)
	// Keep stores a delegation that a referral of its parent told.
	Keep(in Partition, cut *zonecut.Cut, now int64)
}

// NoteNoCut notes that the servers of zone know of no zone that begins at name, so that
// the further questions of the request need not show them name alone (RFC 9156): many may
// lie below it, as the name servers of one delegation do.
func (r *Request) NoteNoCut(zone, name dnsname.Name) {
	if r.work != nil { // it is being resolved
		r.work.noCuts.note(zone, name)
	}
}

// NoCutAt tells whether that was noted.
func (r *Request) NoCutAt(zone, name dnsname.Name) bool {
	return r.work != nil && r.work.noCuts.has(zone, name)
}

// RetryInLowerCase has the server that denied what q asked for asked once more, in the letter
// case that is not drawn but the name's own. It refuses where that has been done for the
// query, or was in vain a while ago, or the case was not drawn, as that of a name without
// letters.
func (r *Request) RetryInLowerCase(q *Query) bool {
	if q.Server.NoCase || q.Server.Encrypted || q.run.retry.lower.IsValid() || !hasLetters(q.Asked.Name) {
		return false
	}
	if r.work != nil && r.work.caseless != nil && r.work.caseless.has(q.denial(), r.Wall()) {
		return false
	}
	q.run.retry.again, q.run.retry.lower = q.Server.Addr, q.Server.Addr
	return true
}

// CacheState is what the cache layer remembers about one request between steps.
type CacheState struct {
	// Looked tells that the cache was looked into, and Clears is its clear number
	// then: what the request reads may be as old as that.
	Looked bool
	Clears uint64
}
