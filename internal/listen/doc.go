// Package listen is where queries come in and answers go out: the sockets of one
// worker, shared with the other workers by SO_REUSEPORT.
//
// An endpoint is an address and a kind of transport. How a kind is served is its
// protocol, one file and one line in the list (kinds.go): for what lives in UDP
// sockets a thread or whatever else reads them; for what lives on connections,
// which one acceptor takes in for all (accept.go) and one registry keeps within
// the limits (connections.go), what is spoken on them, such as messages behind
// their length on a stream (framed.go) that may be encrypted (tls.go). Listening, closing,
// leaving and handing over know sockets and connections by what they can do.
//
// Two ways lead through it. The cached answer's way stays on the goroutine that
// received the query: one at a time a UDP socket, batches in, a [Session]
// asked for each query, batches out; nothing is allocated, no goroutine is
// started, no lock is shared (udp_batch.go). What a Session cannot answer goes
// the driver's way: the query is copied and resolved on a goroutine of its own,
// of which there is a bounded number (pending.go), or, where it came alone, by the
// one that received it, which receives on while it waits for a server
// (reception.go); the answers of many questions of one client leave no faster than
// it asked, or nearly so (pace.go).
//
// Who asks is whom a datagram or a connection comes from, or whom a proxy that is
// listed names in front of it (proxy.go).
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
// What packages net/http and http2 read and write is the exception (https.go): it has
// a goroutine for each request of HTTP/2, which asks a Session as a thread does, and
// waits for what goes the driver's way. Floods end before, where frames are counted
// (https_frames.go). What a request carries, and what becomes of
// one that carries no question, is package doh's to say.
//
// The package knows two facts of DNS: a message has a header of 12 octets, and
// its QR bit tells a response. It parses no question, makes no answer, keeps
// no configuration and never logs on the way of a query.
package listen
