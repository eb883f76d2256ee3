package limits

import (
	"fmt"
	"sync/atomic"
	"time"
)

// ID names a limit whose hits are counted.
type ID uint8

// The counted limits.
const (
	None ID = iota // no limit at all: counted, and shown nowhere
	UpstreamPerRequest
	UpstreamPerFetch
	UpstreamBytes
	TCPConnsRequest
	SignatureChecks
	FailedChecks
	HashUnits
	HashedNames
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
	RRsFromClient
	NameBytes
	EDNSOptions
	CompressedNames
	TypesPerName
	CacheEntryBytes
	ProofBytes
	Pending
	WaitersClient
	LateReply
	Paced
	TCPConns
	TCPCrowd
	Offences
	TCPPipeline
	TCPTime
	TLSTime
	Proxy
	QUIC
	TLSTurns
	HTTPSize
	HTTPRequest
	HTTPStream
	HTTPFlood
	Formerr
	OutstandingServer
	OutstandingZone
	UpstreamSocket
	UpstreamTCP
	Console
	Events
	ids // how many there are
)

// text is what a counted limit is called on the console and what raises its
// counter.
type text struct{ name, means string }

// counted words a limit; the numbers in it are the constants themselves.
func counted(name, means string, numbers ...any) text {
	return text{name, fmt.Sprintf(means, numbers...)}
}

func seconds(d time.Duration) int { return int(d / time.Second) }

// known are the texts of all counted limits.
var known = [ids]text{
	None:               counted("none", "no limit"),
	UpstreamPerRequest: counted("upstream_per_request", "a client's question ended because it had caused %d questions to servers", MaxUpstreamPerRequest),
	UpstreamPerFetch:   counted("upstream_per_fetch", "a look-up of one name and type ended after %d questions to servers", MaxUpstreamPerFetch),
	UpstreamBytes:      counted("upstream_bytes", "a client's question ended because its answers from servers exceeded %d KiB", MaxUpstreamBytesPerRequest>>10),
	TCPConnsRequest:    counted("tcp_conns_per_request", "a client's question wanted more than %d connections to servers", MaxTCPConnsPerRequest),
	SignatureChecks:    counted("signature_checks", "a proof ended after %d signature checks of a response, or %d of a client's question", MaxVerifyPerResponse, MaxVerifyPerRequest),
	FailedChecks:       counted("failed_checks", "a proof ended after %d wrong signatures of a response, or %d of a client's question", MaxFailedPerResponse, MaxFailedPerRequest),
	HashUnits:          counted("hash_units", "a proof wanted more than %d blocks hashed for a response, or %d for a client's question", MaxHashPerResponse, MaxHashPerRequest),
	HashedNames:        counted("hashed_names", "a name was not looked for further among known NSEC3 sets after %d hashes", AggressiveHashes),
	RecursionDepth:     counted("recursion_depth", "an address of a name server depended on more than %d others", MaxRecursionDepth),
	CNAMEChain:         counted("cname_chain", "a chain of aliases had more than %d steps", MaxCNAMEChain),
	PlanQueries:        counted("plan_queries", "a client's question led to more than %d others", MaxQueriesPerPlan),
	Iterations:         counted("iterations", "a client's question ended after %d steps", MaxIterationsPerRequest),
	QnameSteps:         counted("qname_min_steps", "a name was too long for %d minimised questions to add each label alone", QnameMinSteps),
	NSPerDelegation:    counted("ns_per_delegation", "name servers of a delegation beyond %d were left out of a question", MaxNSPerDelegation),
	AddrsPerNS:         counted("addrs_per_ns", "addresses of a name server, or of all of a delegation, were left out of a question"),
	NSAddrFetch:        counted("ns_addr_fetch", "no further name server was looked up for a referral or a client's question"),
	UnresolvableNS:     counted("unresolvable_ns", "a name server was not looked up: its zone's servers fail, or its client's question has met %d without address, %d zones whose servers answer with errors or %d whose servers are silent", UnresolvableNSPerRequest, BadNSZonesTried, SilentZonesTried),
	Throttled:          counted("throttled_ns", "a name server was left alone that could not be looked up within the last %d seconds", seconds(UnresolvableNSThrottle)),
	UselessServers:     counted("useless_servers", "a zone was given up after %d servers whose answers do not help, up to %d addresses where it has few name servers, or fewer that refuse though they know it", UselessPerZone, UselessAnswers(1)),
	Cycle:              counted("cycle", "a look-up waited for itself"),
	Deadline:           counted("deadline", "a client's question ended after %d seconds", seconds(RequestDeadline)),
	RRsFromClient:      counted("rrs_from_client", "a client's message had more than %d records beside its question: FORMERR", MaxRRsFromClient),
	NameBytes:          counted("name_bytes", "an answer whose names follow too many pointers or expand to too much was not read"),
	EDNSOptions:        counted("edns_options", "a message with more than %d EDNS options: FORMERR to a client, ignored from a server", EDNSOptionsPerMessage),
	CompressedNames:    counted("compressed_names", "names of an answer were written in full after %d KiB were compared to shorten them", CompressionOctets>>10),
	TypesPerName:       counted("types_per_name", "a further type of a name with %d types was not cached", MaxTypesPerName),
	CacheEntryBytes:    counted("cache_entry_bytes", "what exceeds %d KiB was not cached", MaxCacheEntryBytes>>10),
	ProofBytes:         counted("proof_bytes", "a denial with more than %d KiB of proof was not cached", MaxProofBytes>>10),
	Pending:            counted("pending", "a question was not taken, or an old one given up, because as many waited as may (net.limits; %d unless set, fewer where memory is short), or too many of more than %d KiB (%d in all, or its client's, who has a quarter as many as are free at most; net.forwarders)", PendingPerWorker, UDPQuery>>10, LargeQuestions),
	WaitersClient:      counted("waiters_per_client", "a question was dropped because as many of its client waited as may (net.limits, net.forwarders; %d unless set)", WaitersPerClient),
	LateReply:          counted("late_reply", "an answer after %v was not sent to a client with more questions waiting than late_waiters (net.limits, net.forwarders; %d unless set)", LateUDPReply, LateUDPWaiters),
	Paced:              counted("paced_reply", "an answer left later, because more than %d questions of its client waited and they were answered at more than %d %% of the pace at which it had asked (net.forwarders)", PaceWaiters, PacePercent),
	TCPConns:           counted("tcp_conns", "a client's connection was refused, or ended for another one (net.limits, net.forwarders; %d, or %d of a client, unless set, who may have %d a second take the places of its own; %d by HTTP, more where net.limits allows more of all)", TCPConnsPerWorker, TCPConnsPerClient, OwnPerSecond, HTTPConns),
	TCPCrowd:           counted("tcp_crowd", "clients' connections were left in the system's queue for a moment, because each costs another its place, or is refused, and more than %d a second came (net.limits), or more than %d at all while clients by UDP ask much (%d a second)", CrowdPerSecond, ComingPerSecond, UDPBusy),
	Offences:           counted("client_offences", "a client's connection was refused because its connections of the last %d seconds came to nothing, broke the protocol or gave up requests more than %d times, and more than half as often as it asked (net.forwarders)", seconds(SourcePeriod), SourceOffences),
	TCPPipeline:        counted("tcp_pipeline", "a client's connection was not read on because so many of its questions waited"),
	TCPTime:            counted("tcp_time", "a client's connection, or its request by HTTP, ended because its message or its reading took too long"),
	TLSTime:            counted("tls_handshake", "a client's handshake took longer than it may (net.tls_handshake_timeout; %d seconds unless set)", seconds(TLSHandshake)),
	Proxy:              counted("proxy_header", "a listed proxy (net.proxy_allowed) sent no header, a wrong one or one above %d octets, or came over QUIC, where it can send none", ProxyHeader),
	QUIC:               counted("quic", "a client over QUIC was refused because too many were connecting (%d), or its question because too many were incomplete (%d), in all, or its client's, who has a quarter as many as are free at most (net.forwarders)", QUICHandshakes, QUICSlowStreams),
	TLSTurns:           counted("tls_turns", "a client's handshake waited because %d was computed at the time, or all have taken %d %% of a processor while clients by UDP ask much (%d a second)", TLSHandshakes, TLSPercent, UDPBusy),
	HTTPSize:           counted("http_size", "a client's message by HTTP was longer than %d octets, or than %d by GET, or the head of its request by HTTP/2 than %d", HTTPBody, HTTPQuestion, HTTPHeaders),
	HTTPRequest:        counted("http_requests", "a client's request by HTTP got 503 because too many were in hand, all (%d), coming (%d), with more than %d KiB (%d), or its client's, who has a quarter as many as are free at most (net.forwarders)", HTTPRequests, HTTPBodies, HTTPSmallBody>>10, HTTPLargeBodies),
	HTTPStream:         counted("http_streams", "a client wanted more than %d streams of one connection by HTTP/2", HTTPStreams),
	HTTPFlood:          counted("http_flood", "a client's connection by HTTP ended because it gave up %d requests and half of all, or sent %d frames or %d KiB that belong to none", HTTPOffences, HTTPFrames, HTTPUnasked>>10),
	Formerr:            counted("formerr", "what is no question got silence because %d in that second were answered", FormerrPerSecond),
	OutstandingServer:  counted("outstanding_per_server", "a question found as many under way to its server as may be (net.limits; %d unless set, %d for the root, top levels and servers that a rule names)", MaxOutstandingPerServer, MaxOutstandingPerServer*OutstandingInfrastructure),
	OutstandingZone:    counted("outstanding_per_zone", "a question found as many under way to its zone's servers as may be (net.limits; %d unless set, %d for the root, top levels and servers that a rule names)", MaxOutstandingPerZone, MaxOutstandingPerZone*OutstandingInfrastructure),
	UpstreamSocket:     counted("upstream_sockets", "a question to a server waited because no descriptor was left for it, or failed because %d UDP sockets were in use", UpstreamSockets),
	UpstreamTCP:        counted("upstream_tcp_conns", "no connection to a server was left for a question"),
	Console:            counted("console", "a console's connection was refused, or its command or output was too long"),
	Events:             counted("events", "a script wanted more than %d timers and watched descriptors", LuaEvents),
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
