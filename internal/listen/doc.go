// Package listen is where queries come in and answers go out: the sockets of one
// worker, shared with the other workers by SO_REUSEPORT.
//
// An endpoint is an address and a kind of transport. How a kind is served is its
// protocol, which has one file and one line in the list (kinds.go). For a kind of UDP it
// is what reads the sockets. For a kind of connections it is what is spoken on them, such
// as messages behind their length on a stream (framed.go), which may be encrypted
// (tls.go); the connections of all kinds are accepted by one acceptor a socket (accept.go)
// and kept within the limits by one registry (connections.go). Listening, closing, leaving
// and handing over use interfaces of sockets and connections, whatever their kind.
//
// Two ways lead through it. The cached answer's way stays on the goroutine that
// received the query: one at a time a UDP socket, batches in, a [Session]
// asked for each query, batches out; nothing is allocated, no goroutine is
// started, no lock is shared (udp_batch.go). A query that a Session cannot answer goes
// the driver's way: it is copied and resolved on a goroutine of its own, of which there is
// a bounded number (pending.go), or, if it came alone, by the goroutine that received it,
// which goes on receiving while it waits for a server (reception.go). The answers to many
// questions of one client leave hardly faster than the client asked (pace.go).
//
// The client is the source of a datagram or a connection, or the address that a listed
// proxy names in front of it (proxy.go).
//
// A UNIX socket has a path, which one worker of a group has at a time (unix.go).
//
// An address that the machine does not have yet is bound in advance, and watched
// for (await.go). Where this process may not bind a port, another one does it for
// it (binder.go).
//
// The other duty is to lose nothing: a worker that leaves the port group
// answers what the kernel gave it, and what the kernel would give it goes to
// the others (drain.go); a worker that joins is not bound before it can answer
// (probe.go, Server.Open).
//
// Connections by HTTP/2 are served like other streams: package h2 takes their frames apart,
// one goroutine reads, answers what a Session can, and has the rest go the driver's way
// (http2.go). Those by HTTP/1.1, which net/http reads and writes, are an exception: each has a
// goroutine of net/http's, which asks a Session as a thread does, and waits if the question
// goes the driver's way (https.go). Package doh knows how a request carries a question, and
// what is answered to one that carries none.
//
// The package knows two facts of DNS: a message has a header of 12 octets, and
// its QR bit tells a response. It parses no question, makes no answer, keeps
// no configuration and never logs on the way of a query.
package listen
