// Package upstream asks servers: it is the resolver's resolve.Exchanger.
//
// One Exchange is one question to one server. Behind it hide the source port and
// ID drawn for each question, the letter case of its name (0x20), what is accepted
// as its answer, TCP after truncation or after a forgery was seen, the reuse of
// connections, and the joining of equal questions.
//
// The rule of acceptance is that what is not positively expected is ignored and
// never acted upon: a wrong datagram ends no wait, an ICMP error ends no wait, an
// RCODE or a TC bit counts only after the ID and the whole question matched (RFC
// 5452, section 9). A wrong datagram has one effect: the question is asked over TCP
// too, where an answer cannot be forged from off the path, and while TCP may still
// answer, nothing over UDP counts (confirm.go). Three kinds of datagram count as
// wrong although ID and question match or are absent: an answer without our cookie
// from a server that knows cookies (cookie.go), an answer in another letter case,
// and an error without a question, as some servers send it. Over TCP the same is
// believed. Datagrams that cannot be read at all also make the question go over TCP,
// but only when the time for its answer is over: a flood of them may have pushed the
// answer out of the socket's buffer.
//
// UDP costs most of a cache miss, so it is done with raw non-blocking system calls
// and one epoll set, and a socket may carry a few questions to one server.
// Measured on loopback, all of an exchange takes less than half of the CPU of a bare
// net.Dial, Write and Read (BenchmarkExchange, BenchmarkDial). TCP is rare and uses
// package net.
//
// A server whose zonecut.Peer demands another protocol than plain DNS is asked in
// that one only, and not at all while no dialer for it exists (ErrNoTransport). A
// transport is added by one more link and dialer (link.go) in the pool's list.
//
// Reading this package, in the order in which a question meets the files:
//
//   - exchange.go: the Exchanger and the ways in which it asks
//   - join.go: equal questions are joined, and further ones wait for a place
//   - udp.go: one question over UDP, from its port to the datagram that decides it
//   - letter_case.go, cookie.go: what an answer has to repeat (0x20, RFC 7873)
//   - accept.go: whether a message is the answer to a question
//   - confirm.go: what follows a suspicious datagram
//   - late_answer.go: answers that come after their time (resolve.Late)
//   - aside.go: questions over connections that nobody waits for at length
//   - connection.go, pool.go: questions over connections, many on each
//   - link.go: what a connection needs of a protocol; TCP
//   - keepalive.go: how long a server keeps a connection (RFC 7828)
//   - tls.go: DNS over TLS
//   - multiplex.go: links on which each question has a stream of its own; https.go,
//     quic.go: DNS over HTTPS and over QUIC
//   - authenticate.go: whether a server is the one that its peer means; sessions.go:
//     sessions that are resumed; padding.go: how long encrypted questions are
//   - source.go: the address that questions leave from, and what follows when the
//     machine does not have it
//   - send.go: the one place from where questions leave
//   - udp_socket.go, poller.go, syscalls.go: sockets for UDP, why and how they carry
//     several questions, and how their readers are woken
//   - descriptors.go: what happens when the process may open nothing more
//   - tell.go, stats.go: steps for people who read along, counters
//   - random.go: ports, IDs and letter case that nobody can guess
//
// The package chooses no server, knows no RTT but the last, remembers no server's
// properties beyond an open connection and a cookie, and never retransmits over
// UDP: those are decided by its callers.
package upstream
