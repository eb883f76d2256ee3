package listen

import (
	"net/netip"
	"sync/atomic"
	"time"

	"kresd/internal/limits"
	"kresd/internal/transport"
)

// A Query waits for its answer on the driver's way. Exactly one of Reply and
// Drop takes effect, whichever comes first; all later calls do nothing, so a
// late answer can never reach another client. Queries are not recycled for the
// same reason.
type Query struct {
	// Wire is the client's message. It must not be changed.
	Wire []byte
	// Client is who asked.
	Client Client
	// Headers are those of the request that brought it, if the operator wants to
	// see any (Server.SetDoH).
	Headers []transport.Header
	// Received is when the query got its place on the driver's way, on the clock's
	// monotonic scale.
	Received time.Duration

	reception *Reception // of the goroutine that carries it; nil: it has none

	ctx   queryContext
	done  atomic.Bool
	table *pending
	path  answerPath

	// Fields of table (pending.go), under its lock.
	position[Query]
	old    bool       // marked as waiting longer than limits.PendingYoung
	large  bool       // one of limits.LargeQuestions
	source netip.Addr // the client whose pace its answer keeps (pace.go); the zero Addr: nobody's

	// A datagram's way back.
	name    sockaddr
	nameLen uint32
	control pktinfo

	small [160]byte // Wire, when it fits, as nearly all do
}

// An answerPath is the way back to a client.
type answerPath interface {
	// answer sends msg, or nothing when msg is nil, and gives back what the
	// query held of the path. It is called once for each query.
	answer(q *Query, msg []byte)
}

// Reception is the reception of clients' questions that the goroutine which carries q has
// to go on with while it waits; nil: it has none.
func (q *Query) Reception() *Reception { return q.reception }

// newQuery copies a message for the driver's way.
func newQuery(msg []byte, from *Client, path answerPath) *Query {
	q := &Query{Client: *from, path: path}
	q.Wire = append(q.small[:0:len(q.small)], msg...)
	return q
}

// Reply sends msg to the client, or has it sent soon. msg is free for reuse when Reply
// returns.
func (q *Query) Reply(msg []byte) {
	if !q.done.CompareAndSwap(false, true) {
		return
	}
	if q.table.late(q) {
		q.send(nil)
		return
	}
	if !q.table.delays(q, msg) {
		q.send(msg)
	}
}

// Drop ends the query without an answer.
func (q *Query) Drop() {
	if q.done.CompareAndSwap(false, true) {
		q.send(nil)
	}
}

// send frees the query's place and sends msg, if there is one.
func (q *Query) send(msg []byte) {
	q.table.leave(q)
	q.path.answer(q, msg)
}

// Waiting tells whether the query is still unanswered.
func (q *Query) Waiting() bool { return !q.done.Load() }

// fail answers SERVFAIL, if the query is still unanswered.
func (q *Query) fail(h Handler) {
	if q.Waiting() {
		var out [limits.MinBufsize]byte
		q.Reply(h.Fail(q.Wire, &q.Client, out[:]))
	}
}
