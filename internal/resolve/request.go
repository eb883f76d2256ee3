package resolve

import (
	"context"
	"net/netip"

	"kresd/internal/zonecut"
)

// Request is one client's question on its way. One goroutine carries it, so it
// needs no lock.
type Request struct {
	Question
	// Client is where the question came from; invalid for an internal one.
	Client netip.AddrPort
	// RD, CD and DO are the client's bits (RFC 1035, RFC 4035).
	RD, CD, DO bool
	// Flags are in force for every query of the request.
	Flags Flags
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
	// Tracef is nil unless someone reads along: a step of query q, indented by its
	// depth.
	Tracef func(q *Query, component, format string, args ...any)

	ctx context.Context
}

// Context is cancelled when the request's time is over.
func (r *Request) Context() context.Context { return r.ctx }

// Query is one question on the plan of a request.
type Query struct {
	Question
	ID     uint32
	Parent *Query
	Flags  Flags
	// Cut is the zone whose servers are asked; nil until it is looked up.
	Cut *zonecut.Cut
	// Asked is the question that goes upstream: the query's own, or a minimised one
	// (RFC 9156).
	Asked Question
	// Server is the one that is asked now.
	Server Server
	// Outcome is what is known so far.
	Outcome Outcome
	// Depth counts the name-server addresses that wait for each other above this
	// query.
	Depth int

	iter IterState
}

// Server is one address of a name server and how to speak to it.
type Server struct {
	Addr netip.AddrPort
	TCP  bool
	// NoEDNS and NoCase are set for servers that cannot EDNS or destroy the letter
	// case of questions.
	NoEDNS, NoCase bool
}
