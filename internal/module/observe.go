package module

import (
	"time"

	"kresd/internal/resolve"
	"kresd/internal/transport"
	"kresd/internal/wire"
)

// Answered is one question of a client that has been dealt with.
type Answered struct {
	Question *wire.Question
	// Msg is the answer in wire form, empty when the client gets none.
	Msg       []byte
	Transport transport.Transport
	// Request is nil on the cached answer's way.
	Request *resolve.Request
	// Decided tells that a module decided about the question on that way before
	// anybody looked for an answer (Fast.Begin).
	Decided bool
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
