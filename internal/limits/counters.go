package limits

import "sync/atomic"

// ID names a limit whose hits are counted.
type ID uint8

// The counted limits.
const (
	None ID = iota // no limit at all: counted, and shown nowhere
	UpstreamPerRequest
	UpstreamPerFetch
	UpstreamBytes
	TCPConnsRequest
	RecursionDepth
	CNAMEChain
	PlanQueries
	Iterations
	QnameSteps
	NSPerDelegation
	AddrsPerNS
	NSAddrFetch
	UnresolvableNS
	Throttled
	UselessServers
	Cycle
	Deadline
	RRsPerMessage
	RRsFromClient
	RRsPerRRset
	NameBytes
	EDNSOptions
	CompressedNames
	TypesPerName
	CacheEntryBytes
	ProofBytes
	Pending
	WaitersClient
	WaitersQuestion
	LateReply
	TCPConns
	TCPPipeline
	TCPTime
	Formerr
	OutstandingServer
	OutstandingZone
	UpstreamSocket
	UpstreamTCP
	Console
	ids // how many there are
)

// known is what the counted limits are called on the console and what raises
// their counters.
var known = [ids]struct{ name, means string }{
	None:               {"none", "no limit"},
	UpstreamPerRequest: {"upstream_per_request", "a client's question ended because it had caused 100 questions to servers"},
	UpstreamPerFetch:   {"upstream_per_fetch", "a look-up of one name and type ended after 32 questions to servers"},
	UpstreamBytes:      {"upstream_bytes", "a client's question ended because its answers from servers exceeded 128 KiB"},
	TCPConnsRequest:    {"tcp_conns_per_request", "a client's question wanted a ninth connection to a server"},
	RecursionDepth:     {"recursion_depth", "an address of a name server depended on more than 6 others"},
	CNAMEChain:         {"cname_chain", "a chain of aliases had more than 12 steps"},
	PlanQueries:        {"plan_queries", "a client's question led to more than 64 others"},
	Iterations:         {"iterations", "a client's question ended after 400 steps"},
	QnameSteps:         {"qname_min_steps", "a name was too long for 10 minimised questions to add each label alone"},
	NSPerDelegation:    {"ns_per_delegation", "name servers of a delegation beyond 13 were left out"},
	AddrsPerNS:         {"addrs_per_ns", "addresses of a name server, or of all of a delegation, were left out"},
	NSAddrFetch:        {"ns_addr_fetch", "no further name server was looked up for a referral or a client's question"},
	UnresolvableNS:     {"unresolvable_ns", "a client's question met 5 name servers without address and looked up no more"},
	Throttled:          {"throttled_ns", "a name server was left alone that could not be looked up within the last minute"},
	UselessServers:     {"useless_servers", "a zone was given up after so many servers whose answers do not help"},
	Cycle:              {"cycle", "a look-up waited for itself"},
	Deadline:           {"deadline", "a client's question ended after 10 seconds"},
	RRsPerMessage:      {"rrs_per_message", "an answer of more than 1,000 records was not read"},
	RRsFromClient:      {"rrs_from_client", "a client's message had more than 4 records beside its question: FORMERR"},
	RRsPerRRset:        {"rrs_per_rrset", "an answer with a set of more than 256 records was not used"},
	NameBytes:          {"name_bytes", "an answer whose names follow too many pointers or expand to too much was not read"},
	EDNSOptions:        {"edns_options", "a message with more than 32 EDNS options: FORMERR to a client, ignored from a server"},
	CompressedNames:    {"compressed_names", "names of an answer beyond 120 were written in full"},
	TypesPerName:       {"types_per_name", "a further type of a name with 100 types was not cached"},
	CacheEntryBytes:    {"cache_entry_bytes", "what exceeds 64 KiB was not cached"},
	ProofBytes:         {"proof_bytes", "a denial with more than 8 KiB of proof was not cached"},
	Pending:            {"pending", "a question was not taken, or an old one given up, because 4,096 waited"},
	WaitersClient:      {"waiters_per_client", "a question was dropped because 300 of its client waited"},
	WaitersQuestion:    {"waiters_per_question", "a question was dropped because 100 equal ones waited"},
	LateReply:          {"late_reply", "an answer after 1.9 s was not sent to a client with more than 50 questions waiting"},
	TCPConns:           {"tcp_conns", "a client's connection was refused, or ended for another one"},
	TCPPipeline:        {"tcp_pipeline", "a client's connection was not read on because so many of its questions waited"},
	TCPTime:            {"tcp_time", "a client's connection ended because its message or its reading took too long"},
	Formerr:            {"formerr", "what is no question got silence because 50 in that second were answered"},
	OutstandingServer:  {"outstanding_per_server", "a question found as many under way to its server as may be"},
	OutstandingZone:    {"outstanding_per_zone", "a question found as many under way to its zone's servers as may be"},
	UpstreamSocket:     {"upstream_sockets", "no UDP socket was left for a question to a server"},
	UpstreamTCP:        {"upstream_tcp_conns", "no connection to a server was left for a question"},
	Console:            {"console", "a console's connection was refused, or its command or output was too long"},
}

// String is the limit's name in statistics.
func (id ID) String() string { return known[id].name }

// Means says in a line what raises the limit's counter.
func (id ID) Means() string { return known[id].means }

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
func Each(fn func(ID)) {
	for id := None + 1; id < ids; id++ {
		fn(id)
	}
}
