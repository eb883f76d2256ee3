package module

import (
	"net/netip"
	"time"

	"kresd/internal/ede"
	"kresd/internal/resolve"
	"kresd/internal/transport"
	"kresd/internal/wire"
)

// Answered is one question of a client that has been dealt with. Who is shown one keeps
// nothing of it.
type Answered struct {
	Question *wire.Question
	// Msg is the answer in wire form, empty when the client gets none.
	Msg       []byte
	Transport transport.Transport
	// Client is where the question came from; of an IPv4 address perhaps in IPv6's clothes.
	Client netip.AddrPort
	// Request is nil on the cached answer's way.
	Request *resolve.Request
	// Decided tells that a module decided about the question on that way before
	// anybody looked for an answer (Fast.Begin).
	Decided bool
	// EDE is the extended error (RFC 8914) of what a module decided on that way, or whose
	// silence stands for it, whether the client can be told or not; else ede.None. On the
	// driver's way it is in the Result.
	EDE ede.Code
	// Took is the time since the question was received. On the cached answer's way
	// nothing is waited for and nothing measured: it is 0.
	Took time.Duration
}

// A Tally is told of what one listener's thread does with questions by itself. It
// belongs to that thread. Answered must not allocate, wait, log, take a lock that
// another query holds, or keep what it is shown.
type Tally interface {
	Answered(*Answered)
	// Close ends it: the thread ends, or modules were loaded or unloaded.
	Close()
}
