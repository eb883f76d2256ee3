package listen

import (
	"context"
	"net/netip"

	"kresd/internal/transport"
)

// A Client tells who asks and which of our addresses was asked. Neither
// address carries a zone.
type Client struct {
	Addr  netip.AddrPort
	Local netip.AddrPort
	Kind  transport.Kind
}

// Transport is how the client came.
func (c *Client) Transport() transport.Transport {
	return transport.Transport{Kind: c.Kind, Family: transport.FamilyOf(c.Addr.Addr())}
}

// A Handling is what becomes of a query, as its Session has decided.
type Handling uint8

// The handlings. Driver sends the query the driver's way: Handler.Resolve. Violation
// is Drop for what must not be said by this kind of transport: a connection ends by
// it.
const (
	Reply Handling = iota
	Drop
	Driver
	Violation
)

// A Session answers queries on the thread that received them. It is never used
// by two goroutines at once and must not block, nor keep what it is given.
type Session interface {
	// Begin is called when queries have been received, before the first
	// Answer: the time to renew a snapshot and to read the clock.
	Begin()
	// Answer answers one message of at least 12 octets without the QR bit. A
	// datagram that was too long for the listener comes as its header alone.
	// out has room for the longest message; with Reply the answer is a part of
	// it.
	Answer(query []byte, from *Client, out []byte) (reply []byte, h Handling)
	// End is called after the last Answer, before answers are sent and before
	// the thread sleeps.
	End()
	Close()
}

// A Handler is what a Server serves.
type Handler interface {
	// NewSession makes a session for one thread.
	NewSession() (Session, error)
	// Resolve answers q the driver's way, on a goroutine of its own: it calls
	// q.Reply or q.Drop and returns. Should it return, or panic, without
	// either, the listener answers with Fail. ctx ends when nobody waits for
	// the answer any more.
	Resolve(ctx context.Context, q *Query)
	// Fail builds SERVFAIL for a client's query in out and returns it; nil for a
	// query that deserves no answer. It may be called from any goroutine.
	Fail(query []byte, from *Client, out []byte) []byte
}
