package module

import (
	"kresd/internal/reply"
	"kresd/internal/resolve"
	"kresd/internal/rules"
	"kresd/internal/wire"
)

// Fast is what a module does with a question on the thread that received it,
// before any request is made of it: the same as its Layer would do, or less. The
// hooks are called in the order of modules as those of layers are, all Begin
// hooks before the first Own hook. Any may be nil: not interested.
//
// A hook must not allocate, wait, log or take a lock that another query holds.
// What it answers its Layer must answer too.
type Fast struct {
	// Begin speaks for the hook Layer.Begin.
	Begin func(*Query) Disposition
	// Own speaks for the hook Layer.Own, and is asked before the cache, too. What it
	// answers to a question of type ANY reaches no client, because no layer answers one.
	Own func(*Query) Disposition
}

// Disposition is what becomes of a question on the thread that received it.
type Disposition uint8

// Dispositions.
const (
	// Pass: the next module is asked, and after the last the cache.
	Pass Disposition = iota
	// Driver: the question must take the driver's way.
	Driver
	// Drop: no answer at all.
	Drop
	// Answer: the client gets what Query.Answer was given.
	Answer
)

// A Query is a client's question as modules see it on the thread that received
// it. Each thread has one, for one question at a time.
type Query struct {
	// Question is the message as it came.
	Question *wire.Question
	// Subject is its name in canonical form, and the client.
	Subject rules.Subject
	// Partition is the one that the cached answer is looked for in: that of the
	// configuration, unless a Begin hook puts another in its place, as its Layer does
	// with the request's (a view with forwarders of its own).
	Partition resolve.Partition
	// Ruled is what Request.Ruled is on the driver's way.
	Ruled bool
	// Elsewhere tells that the question goes to servers that a rule names. What other servers
	// have proven of zones above its name is not for it.
	Elsewhere bool

	// Own are the hooks Fast.Own of the modules.
	Own []func(*Query) Disposition

	answer  *reply.Prepared
	counter Counter
	room    reply.Prepared
}

// A Counter counts what came of a Disposition.
type Counter interface{ Hit() }

// Reset forgets the question before. in is the partition of the configuration.
func (q *Query) Reset(in resolve.Partition) {
	q.answer, q.counter, q.Partition, q.Ruled, q.Elsewhere = nil, nil, in, false, false
}

// Owned tells whether a module answers the question on the operator's word.
func (q *Query) Owned() bool { return q.AskOwners() != Pass }

// AskOwners asks the Own hooks in their order what becomes of the question.
func (q *Query) AskOwners() Disposition {
	for _, own := range q.Own {
		if d := own(q); d != Pass {
			return d
		}
	}
	return Pass
}

// Answer answers the question. by, unless it is nil, is told if the client gets
// this answer: where it does not fit, the driver has to word it.
func (q *Query) Answer(a *reply.Prepared, by Counter) Disposition {
	q.answer, q.counter = a, by
	return Answer
}

// Drop gives the client no answer. by, unless it is nil, is told.
func (q *Query) Drop(by Counter) Disposition {
	q.counter = by
	return Drop
}

// Room is an answer that a hook may fill and give to Answer, in the thread's
// memory.
func (q *Query) Room() *reply.Prepared { return &q.room }

// Answered is what Answer was given.
func (q *Query) Answered() *reply.Prepared { return q.answer }

// Hit counts that the Disposition was carried out.
func (q *Query) Hit() {
	if q.counter != nil {
		q.counter.Hit()
	}
}
