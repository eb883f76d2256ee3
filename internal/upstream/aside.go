package upstream

import (
	"context"
	"time"

	"kresd/internal/limits"
	"kresd/internal/resolve"
)

// tcpReply is how a question over a connection ended.
type tcpReply struct {
	reply resolve.Reply
	err   error
}

// askAside asks over a connection, on a goroutine of its own, and returns where its end
// will be told.
func (e *Exchanger) askAside(ctx context.Context, x *resolve.Exchange, mixedCase bool) chan tcpReply {
	got := make(chan tcpReply, 1)
	e.group.Go("question by tcp", func() {
		r := tcpReply{err: ErrClosed} // what a panic leaves
		defer func() { got <- r }()
		r.reply, r.err = e.askConnected(ctx, x, mixedCase)
	})
	return got
}

// askConnectedInTime asks over a connection. When the answer takes longer than patience
// allows, waiting for it is left to x.Late, so that a server whose TCP is dead costs no
// more time than one that is silent. rtt is the time that UDP took before.
func (e *Exchanger) askConnectedInTime(ctx context.Context, x *resolve.Exchange, rtt time.Duration) (resolve.Reply, error) {
	x.WillWait()
	if x.Late == nil {
		reply, err := e.askConnected(ctx, x, false)
		return reply, e.bySource(x, err)
	}
	asked := *x // for the heap
	l := newRebindable(ctx)
	got := e.askAside(l, &asked, false)
	timer := time.NewTimer(patience(x, rtt))
	defer timer.Stop()
	select {
	case r := <-got:
		l.close()
		return r.reply, e.bySource(x, r.err)
	case <-timer.C:
	}
	if err := e.bySource(x, resolve.ErrOverdue); err != resolve.ErrOverdue {
		l.close()
		return resolve.Reply{TCP: x.Peer.Plain()}, err
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
	return r.reply, e.bySource(x, r.err)
}

// patience is how long an answer over a connection is waited for before other servers are
// asked. Where no connection is open an answer takes two round trips over TCP, and three
// over TLS (RFC 8446) besides the time for the server's certificates.
func patience(x *resolve.Exchange, rtt time.Duration) time.Duration {
	switch {
	case !x.Peer.Plain():
		return min(4*waitTime(x.Timeout), limits.UDPMaxTimeout)
	case x.Hurry:
		return max(waitTime(x.Timeout)-rtt, 0)
	}
	return 2 * waitTime(x.Timeout)
}

// A rebindable is a context that ends when another one does: at first a caller's, and
// after rebind the one given there.
type rebindable struct {
	context.Context
	end    context.CancelFunc
	unbind func() bool // from the context that it ends with
}

func newRebindable(ctx context.Context) *rebindable {
	own, end := context.WithCancel(context.WithoutCancel(ctx))
	return &rebindable{own, end, context.AfterFunc(ctx, end)}
}

// rebind makes ctx the context that r ends with.
func (r *rebindable) rebind(ctx context.Context) {
	r.unbind()
	r.unbind = context.AfterFunc(ctx, r.end)
}

// close ends r.
func (r *rebindable) close() {
	r.unbind()
	r.end()
}
