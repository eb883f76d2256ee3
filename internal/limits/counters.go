package limits

import "sync/atomic"

// ID names a limit whose hits are counted.
type ID uint8

// The counted limits.
const (
	UpstreamPerRequest ID = iota
	UpstreamPerFetch
	UpstreamBytes
	TCPConnsRequest
	RecursionDepth
	CNAMEChain
	PlanQueries
	Iterations
	NSAddrFetch
	UnresolvableNS
	Cycle
	Deadline
	RRsPerMessage
	RRsPerRRset
	NameBytes
	CacheEntryBytes
	Pending
	Waiters
	TCPConns
	TCPPipeline
	Formerr
	OutstandingServer
	OutstandingZone
	UpstreamSocket
	UpstreamTCP
	ids // how many there are
)

var names = [ids]string{
	"upstream_per_request", "upstream_per_fetch", "upstream_bytes", "tcp_conns_per_request", "recursion_depth",
	"cname_chain", "plan_queries", "iterations", "ns_addr_fetch", "unresolvable_ns", "cycle", "deadline",
	"rrs_per_message", "rrs_per_rrset", "name_bytes", "cache_entry_bytes", "pending", "waiters", "tcp_conns",
	"tcp_pipeline", "formerr", "outstanding_per_server", "outstanding_per_zone", "upstream_sockets", "upstream_tcp_conns",
}

// String is the limit's name in statistics.
func (id ID) String() string { return names[id] }

// Counters counts how often each limit was hit. One belongs to each worker; a
// nil *Counters counts nothing.
type Counters struct{ n [ids]atomic.Uint64 }

// Hit counts one hit of a limit.
func (c *Counters) Hit(id ID) {
	if c != nil {
		c.n[id].Add(1)
	}
}

// Get returns the hits of one limit.
func (c *Counters) Get(id ID) uint64 {
	if c == nil {
		return 0
	}
	return c.n[id].Load()
}

// Each calls fn for every limit in a fixed order.
func (c *Counters) Each(fn func(name string, hits uint64)) {
	for id := range ids {
		fn(id.String(), c.Get(id))
	}
}
