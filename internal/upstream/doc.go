// Package upstream asks servers: it is the resolver's resolve.Exchanger.
//
// One Exchange is one question to one address. Behind it hide the source port
// and ID drawn for each question, the letter case of its name (0x20), what is
// accepted as its answer, TCP after truncation or after a forgery was seen, the
// reuse of TCP connections, and the joining of equal questions in flight.
//
// The rule of acceptance is that what is not positively expected is ignored and
// never acted upon: a wrong datagram ends no wait, an ICMP error ends no wait,
// an RCODE or a TC bit counts only after the ID and the whole question matched
// (RFC 5452, section 9). The one thing that a wrong datagram does is to have
// the question asked over TCP too, where the answer cannot be forged from off the
// path; while TCP may still answer, nothing over UDP counts (doubt.go). An answer
// without our cookie from a server that knows cookies (cookie.go), or a message of a
// bare header (FORMERR without a question, as old servers send it), is such a wrong
// datagram: over TCP the same is believed. One that cannot be
// read at all moves the question too, but only when the time for its answer is
// over: a flood of them may have pushed the answer out of the socket's buffer.
//
// UDP costs most of a cache miss, so it is done with raw non-blocking system
// calls and one epoll set (udp.go, poller.go), and a socket may carry a few
// questions to one server (reuse.go, which says why that gives a forger nothing).
// Measured on loopback, all of an exchange takes less than half of the CPU of a
// bare net.Dial, Write and Read (BenchmarkExchange, BenchmarkDial). TCP is rare and
// uses package net.
//
// An answer that comes after its time is still taken where the caller wants it
// (resolve.Late, late.go): by the rule above, at the socket of that one question,
// which stays open until the caller has what it needs.
//
// The package chooses no server, knows no RTT but the last, remembers no
// server's properties beyond an open connection, and never retransmits over
// UDP: those are decided by its callers. It has no TLS.
package upstream
