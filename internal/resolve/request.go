package resolve

import (
	"context"
	"net/netip"
	"time"

	"kresd/internal/dnsname"
	"kresd/internal/limits"
	"kresd/internal/transport"
	"kresd/internal/zonecut"
)

// Request is one client's question on its way. One goroutine carries it, so it
// needs no lock.
type Request struct {
	Question
	// Client is where the question came from; invalid for an internal one.
	Client netip.AddrPort
	// Transport is how the question came.
	Transport transport.Transport
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
	// Scope is the name at and below which the servers of Cut may be believed by
	// others too: what they say about other names is told to this client and not
	// kept (MaginotDNS, CVE-2021-25220). "": the question's own name.
	Scope dnsname.Name
	// Join tells requests apart that ask the same but are treated differently by a
	// module: only those with equal Join share one resolution.
	Join string
	// Alone keeps the request from being joined with others at all.
	Alone bool
	// Patience is how long the request may take until it fails with ErrPatience. A
	// Begin hook sets it that has something to tell the client then. 0: as long as
	// any request may take.
	Patience time.Duration

	ctx          context.Context
	failure      error // why the last hook failed; see Fail
	root         *Query
	iterations   int
	nsFetches    int // name servers whose addresses were looked up
	unresolvable int // of these, without success
}

// Context is cancelled when the request's time is over.
func (r *Request) Context() context.Context { return r.ctx }

// patience is how long the resolution may take.
func (r *Request) patience() time.Duration {
	if r.impatient() {
		return r.Patience
	}
	return limits.RequestDeadline
}

// impatient tells whether the request ends before its time.
func (r *Request) impatient() bool { return r.Patience > 0 && r.Patience < limits.RequestDeadline }

// Query is one question on the plan of a request.
type Query struct {
	Question
	ID      uint32
	Parent  *Query
	Options Options
	// Cut is the zone whose servers are asked; nil until it is looked up.
	Cut *zonecut.Cut
	// Asked is the question that goes upstream: the query's own, or a minimised one
	// (RFC 9156).
	Asked Question
	// Server is the one that is asked now, and RTT how long the answer that layers
	// look at was under way.
	Server Server
	RTT    time.Duration
	// Outcome is what is known so far.
	Outcome Outcome
	// Depth counts the name-server addresses that wait for each other above this
	// query.
	Depth int
	// Steps counts the aliases between the request's question and this one.
	Steps int
	// Solved tells that the query has left the plan with an Outcome that includes
	// what its aliases led to; Err why it left the plan without one.
	Solved bool
	Err    error
	// Iterate is the iterate layer's own, which alone knows its type.
	Iterate any

	run progress
}

// Forwards tells whether the query's servers were chosen by the operator, so
// that what they say is final: nothing is iterated from there.
func (q *Query) Forwards() bool {
	return (q.Options.Stub || q.Options.Forward) && q.Cut != nil && q.Cut.Hints
}

// Server is one address of a name server and how to speak to it.
type Server struct {
	Addr netip.AddrPort
	TCP  bool
	// NoEDNS and NoCase are set for servers that cannot EDNS or destroy the letter
	// case of questions.
	NoEDNS, NoCase bool
}

// Root is the query for the request's own question; nil before resolution.
func (r *Request) Root() *Query { return r.root }

// Push makes question a sub-query of q and returns it. A layer that pushes
// returns Yield, and finds Solved or Err set in the sub-query when its hook is
// called again. options replace those of q.
func (r *Request) Push(q *Query, question Question, options Options) (*Query, error) {
	sub := &Query{Question: question, Parent: q, Options: options, Depth: q.Depth, Steps: q.Steps}
	if err := r.Plan.Push(sub); err != nil {
		return nil, err
	}
	return sub, nil
}

// Hit counts a limit that a layer has met.
func (r *Request) Hit(id limits.ID) { r.Plan.counters.Hit(id) }

// pushAddress makes the address of a name server a sub-query of q.
func (r *Request) pushAddress(q *Query, question Question, options Options) (*Query, error) {
	if q.Depth >= limits.MaxRecursionDepth {
		r.Plan.counters.Hit(limits.RecursionDepth)
		return nil, ErrDepth
	}
	for a := q; a != nil; a = a.Parent {
		if a.Name == question.Name && isAddress(a.Type) {
			r.Plan.counters.Hit(limits.Cycle)
			return nil, ErrCycle
		}
	}
	sub := &Query{Question: question, Parent: q, Options: options, Depth: q.Depth + 1}
	if err := r.Plan.Push(sub); err != nil {
		return nil, err
	}
	return sub, nil
}
