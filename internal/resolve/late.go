package resolve

import (
	"context"
	"sync"
	"time"

	"kresd/internal/limits"
	"kresd/internal/selection"
)

// attempt is one question to one server.
type attempt struct {
	server Server
	asked  Question
	choice selection.Choice
}

// late is what a query still waits for of attempts whose time is over, while it
// makes others. The zero value waits for nothing.
type late struct {
	now  attempt         // the one under way
	all  context.Context // of the request
	ctx  context.Context // of those that are waited for
	end  context.CancelFunc
	open int // attempts that got has not heard of

	mu  sync.Mutex
	got chan lateReply
	// interrupt ends the exchange under way, because an earlier one was answered
	// that asked the same.
	interrupt context.CancelFunc
	asking    Question
}

// lateReply is how an attempt ended after its time.
type lateReply struct {
	attempt
	reply Reply
	err   error
}

// begin starts an attempt. The context it returns ends when an earlier attempt
// that asks the same is answered.
func (l *late) begin(ctx context.Context, a attempt) context.Context {
	l.now, l.all = a, ctx
	if l.open == 0 {
		return ctx
	}
	ctx, stop := context.WithCancel(ctx)
	l.mu.Lock()
	l.interrupt, l.asking = stop, a.asked
	l.mu.Unlock()
	return ctx
}

// finish ends what begin started, and returns the answer to an earlier attempt if
// one came.
func (l *late) finish() (r lateReply, ok bool) {
	if l.open == 0 {
		return r, false
	}
	l.mu.Lock()
	if l.interrupt != nil {
		l.interrupt()
		l.interrupt = nil
	}
	l.mu.Unlock()
	return l.poll()
}

// Overdue implements Late.
func (l *late) Overdue() (context.Context, time.Duration, func(Reply, error)) {
	if l.end == nil {
		l.ctx, l.end = context.WithCancel(l.all)
		l.mu.Lock()
		l.got = make(chan lateReply, limits.MaxUpstreamPerFetch)
		l.mu.Unlock()
	}
	l.open++
	a, got := l.now, l.got
	return l.ctx, limits.LateAnswer, func(reply Reply, err error) {
		l.tell(got, lateReply{a, reply, err})
	}
}

// tell hands over how an attempt ended, and ends the exchange under way if that
// asks the same. Both at once: an exchange that begins after the answer was taken
// is not meant.
func (l *late) tell(got chan lateReply, r lateReply) {
	l.mu.Lock()
	defer l.mu.Unlock()
	got <- r // a query has no more attempts than there is room
	if r.err == nil && l.interrupt != nil && l.got == got && l.asking == r.asked {
		l.interrupt()
	}
}

// poll returns an answer that has come late, if there is one.
func (l *late) poll() (r lateReply, ok bool) {
	for l.open > 0 {
		select {
		case r = <-l.got:
			l.open--
			if r.err == nil {
				return r, true
			}
		default:
			return r, false
		}
	}
	return r, false
}

// wait returns the next answer that comes late; none comes when ok is false.
func (l *late) wait(ctx context.Context) (r lateReply, ok bool) {
	for l.open > 0 {
		select {
		case r = <-l.got:
			l.open--
			if r.err == nil {
				return r, true
			}
		case <-ctx.Done():
			return r, false
		}
	}
	return r, false
}

// close waits for nothing more.
func (l *late) close() {
	if l.end != nil {
		l.end()
		l.end, l.open = nil, 0
	}
}

// await waits for late answers when there is nobody else to ask. While it waits,
// it has a place of the zone like any question that is not answered.
func (s *solver) await(q *Query) (answered bool) {
	if q.run.late.open == 0 || !s.enter(q.Cut) {
		return false
	}
	defer s.zones.Leave(q.Cut.Name)
	if s.r.Tell != nil {
		s.r.Tell(q, WaitsForLate{})
	}
	r, ok := q.run.late.wait(s.r.ctx)
	if ok {
		s.answered(q, r.attempt, r.reply)
	}
	return ok
}
