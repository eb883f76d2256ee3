package upstream

import (
	"sync"
	"syscall"

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

// keep goes on waiting for the answer to a question whose time is over, if the
// caller wants that (x.Late) and not too many are waited for. a then belongs to the
// goroutine that waits. What is accepted does not change with time: the answer must
// still come from the server that was asked, to the port, with the ID and the letter
// case of this one question.
func (e *Exchanger) keep(a *udpQuery, x *resolve.Exchange, must requirements) bool {
	if x.Late == nil || e.closed.Load() {
		return false
	}
	k := keyOf(x)
	if !e.late.enter(k) {
		return false
	}
	ctx, limit, done := x.Late.Overdue()
	asked, sent := *x, a.sent
	asked.Late = nil // what has to be asked after a late answer is waited for by this goroutine
	e.group.Go("late answer", func() {
		reply, err := resolve.Reply{}, error(ErrClosed) // what a panic leaves
		defer func() { done(reply, err) }()
		defer e.late.leave(k)
		var v match
		func() {
			defer e.poller.give(a)
			a.timer.Reset(limit)
			end := e.clock.Mono() + limit
			reply, v, err = e.await(ctx, a, asked.Budget, sent)
			if v.suspicious() {
				reply, v, err = e.confirm(ctx, a, &asked, must, reply, v, end)
			}
			a.stay = false
		}()
		reply, err = e.settle(ctx, &asked, must, reply, v, err)
		reply.CaseLost = reply.CaseLost || err == nil && !must.mixedCase && !asked.NoCase
	})
	return true
}
