package upstream

import (
	"sync/atomic"
	"syscall"

	"kresd/internal/limits"
	"kresd/internal/resolve"
)

// lates are the attempts that are over time and still wait for their answer, each
// with its socket and a goroutine. Only lost and slow questions cost that.
type lates struct {
	n   atomic.Int32
	max int32
}

// newLates leaves most of the process's descriptors to questions in time.
func newLates() *lates {
	const share = 4
	most := uint64(limits.LateAnswers)
	var files syscall.Rlimit
	if syscall.Getrlimit(syscall.RLIMIT_NOFILE, &files) == nil {
		most = min(most, files.Cur/share)
	}
	return &lates{max: int32(most)}
}

// keep goes on waiting for the answer to an attempt whose time is over, if
// somebody wants it and there are not too many. The attempt then belongs to the
// goroutine that waits. What is accepted does not change with time: still from the
// server asked, to the port, ID and letters of this one question.
func (e *Exchanger) keep(a *attempt, x *resolve.Exchange, m manner) bool {
	if x.Late == nil || e.closed.Load() {
		return false
	}
	if e.lates.n.Add(1) > e.lates.max {
		e.lates.n.Add(-1)
		return false
	}
	ctx, limit, done := x.Late.Overdue()
	asked, sent := *x, a.sent
	asked.Late = nil // what follows a late answer is waited for here
	e.group.Go("late answer", func() {
		reply, err := resolve.Reply{}, error(ErrClosed) // what a panic leaves
		defer func() { done(reply, err) }()
		defer e.lates.n.Add(-1)
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
