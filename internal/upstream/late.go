package upstream

import (
	"sync"
	"syscall"

	"kresd/internal/limits"
	"kresd/internal/resolve"
)

// lates are the attempts that are over time and still wait for their answer, each
// with its socket and a goroutine. Only lost and slow questions cost that.
type lates struct {
	mu    sync.Mutex
	n     int
	max   int
	equal map[flightKey]int // how many ask the same of one server
}

// newLates leaves most of the process's descriptors to questions in time.
func newLates() *lates {
	const share = 4
	most := uint64(limits.LateAnswers)
	var files syscall.Rlimit
	if syscall.Getrlimit(syscall.RLIMIT_NOFILE, &files) == nil {
		most = min(most, files.Cur/share)
	}
	return &lates{max: int(most), equal: map[flightKey]int{}}
}

// enter takes a place for one more. Of equal ones only so many are waited for as a
// single query may cause: each is a port and an ID that a forger may hit, and those
// who joined an exchange ask anew when its time is over (HARDENING A8).
func (l *lates) enter(k flightKey) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.n >= l.max || l.equal[k] > limits.RetriesPerServer {
		return false
	}
	l.n++
	l.equal[k]++
	return true
}

func (l *lates) leave(k flightKey) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.n--
	if l.equal[k]--; l.equal[k] <= 0 {
		delete(l.equal, k)
	}
}

// keep goes on waiting for the answer to an attempt whose time is over, if
// somebody wants it and there are not too many. The attempt then belongs to the
// goroutine that waits. What is accepted does not change with time: still from the
// server asked, to the port, ID and letters of this one question.
func (e *Exchanger) keep(a *attempt, x *resolve.Exchange, m manner) bool {
	if x.Late == nil || e.closed.Load() {
		return false
	}
	k := keyOf(x)
	if !e.lates.enter(k) {
		return false
	}
	ctx, limit, done := x.Late.Overdue()
	asked, sent := *x, a.sent
	asked.Late = nil // what follows a late answer is waited for here
	e.group.Go("late answer", func() {
		reply, err := resolve.Reply{}, error(ErrClosed) // what a panic leaves
		defer func() { done(reply, err) }()
		defer e.lates.leave(k)
		var v verdict
		func() {
			defer e.poller.give(a)
			a.timer.Reset(limit)
			end := e.clock.Mono() + limit
			reply, v, err = e.await(ctx, a, asked.Budget, sent)
			if v.doubtful() {
				reply, v, err = e.doubt(ctx, a, &asked, m, reply, v, end)
			}
			a.stay = false
		}()
		reply, err = e.settle(ctx, &asked, m, reply, v, err)
		reply.CaseLost = reply.CaseLost || err == nil && !m.mixed && !asked.NoCase
	})
	return true
}
