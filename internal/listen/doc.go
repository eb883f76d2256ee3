// Package listen is where queries come in and answers go out: UDP and TCP
// sockets of one worker, shared with the other workers by SO_REUSEPORT.
//
// Two ways lead through it. The cached answer's way stays on the thread that
// received the query: one locked thread a UDP socket, batches in, a [Session]
// asked for each query, batches out; nothing is allocated, no goroutine is
// started, no lock is shared (udp_batch.go). What a Session cannot answer goes
// the driver's way: the query is copied and resolved on a goroutine of its own,
// of which there is a bounded number (pending.go).
//
// The other duty is to lose nothing: a worker that leaves the port group
// answers what the kernel gave it, and what the kernel would give it goes to
// the others (drain.go); a worker that joins is not bound before it can answer
// (probe.go, Server.Open).
//
// The package knows two facts of DNS: a message has a header of 12 octets, and
// its QR bit tells a response. It parses no question, makes no answer, keeps
// no configuration and never logs on the way of a query.
package listen
