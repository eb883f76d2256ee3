package upstream

import (
	"context"
	"sync"
	"syscall"
	"time"

	"kresd/internal/limits"
	"kresd/internal/resolve"
)

// lateAnswers counts the questions over UDP whose time is over and whose answer is
// still waited for (resolve.Late). Each has a socket and a goroutine, so that only
// lost and slow questions cost that much.
type lateAnswers struct {
	mu    sync.Mutex
	n     int
	max   int
	equal map[exchangeKey]int // how many of them ask one server the same
}

// newLateAnswers leaves most of the process's descriptors to questions in time.
func newLateAnswers() *lateAnswers {
	const share = 4
	most := uint64(limits.LateAnswers)
	var files syscall.Rlimit
	if syscall.Getrlimit(syscall.RLIMIT_NOFILE, &files) == nil {
		most = min(most, files.Cur/share)
	}
	return &lateAnswers{max: int(most), equal: map[exchangeKey]int{}}
}

// enter counts one more, if there may be one more. Of equal questions only as many
// are waited for as a single query of the driver may send: each is one more port and
// ID that a forger may hit, and callers that joined an exchange ask again when its
// time is over (HARDENING A8).
func (l *lateAnswers) enter(k exchangeKey) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.n >= l.max || l.equal[k] > limits.RetriesPerServer {
		return false
	}
	l.n++
	l.equal[k]++
	return true
}

func (l *lateAnswers) leave(k exchangeKey) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.n--
	if l.equal[k]--; l.equal[k] <= 0 {
		delete(l.equal, k)
	}
}

// handOver makes another goroutine wait on for the answer to a question, if the caller
// wants that (x.Late) and not too many late answers are waited for. That goroutine calls
// wait, which returns when its context ends or the limit is reached. l, unless it is nil,
// ends with that context from then on, because the caller's may end at once.
func (e *Exchanger) handOver(x *resolve.Exchange, l *rebindable, wait func(ctx context.Context, limit time.Duration) (resolve.Reply, error)) bool {
	if x.Late == nil || e.closed.Load() {
		return false
	}
	k := keyOf(x)
	if !e.late.enter(k) {
		return false
	}
	ctx, limit, done := x.Late.Overdue()
	if l != nil {
		l.rebind(ctx)
	}
	e.group.Go("late answer", func() {
		reply, err := resolve.Reply{}, error(ErrClosed) // what a panic leaves
		defer func() { done(reply, err) }()
		defer e.late.leave(k)
		reply, err = wait(ctx, limit)
	})
	return true
}

// keep hands over a question over UDP whose time is over: a then belongs to the
// goroutine that waits. d is its confirmation, if there is one, and v tells of flooded.
// What is accepted does not change with time: the answer must still come from the server
// that was asked, to the port, with the ID and the letter case of this one question.
func (e *Exchanger) keep(a *udpQuery, x *resolve.Exchange, must requirements, d *confirmation, v match) bool {
	asked := *x
	asked.Late, asked.Reception = nil, nil // what has to be asked after a late answer is waited for by that goroutine
	var l *rebindable
	if d != nil {
		l = d.tcpCtx
	}
	return e.handOver(x, l, func(ctx context.Context, limit time.Duration) (resolve.Reply, error) {
		reply, v, err := e.awaitLate(ctx, a, &asked, must, d, v, limit)
		reply, err = e.settle(ctx, &asked, must, reply, v, err)
		reply.CaseLost = reply.CaseLost || err == nil && !must.mixedCase && !asked.NoCase
		return reply, err
	})
}

// awaitLate waits on at the socket of a, and with what d waits for.
func (e *Exchanger) awaitLate(ctx context.Context, a *udpQuery, x *resolve.Exchange, must requirements, d *confirmation, v match, limit time.Duration) (reply resolve.Reply, _ match, err error) {
	defer e.poller.give(a)
	defer func() { a.stay = false }()
	end := e.clock.Mono() + limit
	if d == nil && v == ignored {
		if reply, v, err = e.await(ctx, a, x, end); !v.suspicious() {
			return reply, v, err
		}
	}
	if d == nil {
		d = e.confirm(ctx, a, x, must, reply, v, end)
	}
	defer d.close()
	return d.goOn(ctx, max(end-e.clock.Mono(), 0))
}
