// Package selection decides which address of a zone's name servers is asked
// next, and how long its answer is waited for.
//
// What it knows of an address is a Host: the smoothed round-trip time (RFC
// 6298), timeouts in a row, abilities. Everything fades: a server that was slow,
// dead or unable gets another chance. Hosts live behind the Memory interface, in
// a table that all workers share (shared.go) or, failing that, in a map.
// How long an answer is waited for is how long until another try is made: what
// comes later is taken all the same (resolve.Late), so the wait may be short. A
// server counts as dead only after it was silent for limits.SilentTime, and at first only for
// questions of the sorts that it left unanswered (sort.go).
//
// A server is an endpoint (zonecut.Endpoint): an address, and how it must be spoken
// to. What one endpoint of an address did is not held against another.
//
// Reading this package:
//
//   - choose.go: which server is asked, and which one is explored beside it
//   - tried.go: what the present query did with the servers so far
//   - selector.go: what callers report, lame servers, address families
//   - host.go, ability.go: what is known of one server, and what it implies
//   - sort.go: sorts of questions, some of which a server may leave unanswered
//   - event.go: how a report changes what is known
//   - memory.go, shared.go: where that is kept, here or for all workers
//   - encrypted.go: servers that are asked over TLS though nobody demands it
//   - first_answers.go: what to expect of servers of which nothing is known
//   - target.go: addresses that nobody but the operator may name
//   - explain.go, list.go: for people
//
// Whether an answer was useful is iterate's judgement; the driver reports it.
//
// Nothing is sent from here, and no name is resolved.
package selection
