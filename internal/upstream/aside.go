package upstream

import (
	"context"
	"time"

	"kresd/internal/limits"
	"kresd/internal/resolve"
)

// tcpReply is what came of TCP.
type tcpReply struct {
	reply resolve.Reply
	err   error
}

// askAside asks over a connection, on a goroutine of its own.
func (e *Exchanger) askAside(ctx context.Context, x *resolve.Exchange, mixedCase bool) chan tcpReply {
	got := make(chan tcpReply, 1)
	e.group.Go("question by tcp", func() {
		r := tcpReply{err: ErrClosed} // what a panic leaves
		defer func() { got <- r }()
		r.reply, r.err = e.askConnected(ctx, x, mixedCase)
	})
	return got
}

// askConnectedInTime asks over a connection and leaves the question to x.Late when that
// takes longer than TCP should, so that a dead TCP costs no more time than silence does.
// rtt is the time that UDP took.
func (e *Exchanger) askConnectedInTime(ctx context.Context, x *resolve.Exchange, rtt time.Duration) (resolve.Reply, error) {
	x.WillWait()
	if x.Late == nil {
		return e.askConnected(ctx, x, false)
	}
	asked := *x // for the heap
	l := newLeash(ctx)
	got := e.askAside(l, &asked, false)
	timer := time.NewTimer(patience(x, rtt))
	defer timer.Stop()
	select {
	case r := <-got:
		l.close()
		return r.reply, r.err
	case <-timer.C:
	}
	if e.handOver(x, l, func(_ context.Context, limit time.Duration) (resolve.Reply, error) {
		defer l.close()
		timer := time.NewTimer(limit)
		defer timer.Stop()
		select {
		case r := <-got:
			return r.reply, r.err
		case <-timer.C:
			return resolve.Reply{TCP: x.Peer.Plain()}, resolve.ErrTimeout
		}
	}) {
		return resolve.Reply{TCP: x.Peer.Plain()}, resolve.ErrOverdue
	}
	r := <-got
	l.close()
	return r.reply, r.err
}

// patience is how long an answer over a connection is waited for before others are asked.
// Where no connection is open it takes two round trips by TCP, three by TLS (RFC 8446)
// and what is shown by the server to prove who it is.
func patience(x *resolve.Exchange, rtt time.Duration) time.Duration {
	switch {
	case !x.Peer.Plain():
		return min(4*waitTime(x.Timeout), limits.UDPMaxTimeout)
	case x.Hurry:
		return max(waitTime(x.Timeout)-rtt, 0)
	}
	return 2 * waitTime(x.Timeout)
}

// A leash is a context that ends with that of a caller, until it is passed on and ends
// with another one.
type leash struct {
	context.Context
	end  context.CancelFunc
	free func() bool // of the context that it ends with
}

func newLeash(ctx context.Context) *leash {
	own, end := context.WithCancel(context.WithoutCancel(ctx))
	return &leash{own, end, context.AfterFunc(ctx, end)}
}

// pass makes ctx the context that l ends with.
func (l *leash) pass(ctx context.Context) {
	l.free()
	l.free = context.AfterFunc(ctx, l.end)
}

// close ends l.
func (l *leash) close() {
	l.free()
	l.end()
}
