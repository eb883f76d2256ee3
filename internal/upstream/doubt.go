package upstream

import (
	"context"
	"time"

	"kresd/internal/resolve"
)

// manner is what an attempt over UDP insists on.
type manner struct {
	mixed  bool // the letters have a case drawn for this question (0x20)
	cookie bool // a server that showed cookies must go on to do so
	anew   bool // it was asked with an old server cookie before
	last   bool // TCP did not help: who doubts merely waits
}

// strict is the manner of a first attempt.
func strict(x *resolve.Exchange) manner { return manner{mixed: !x.NoCase, cookie: true} }

// A doubt is an attempt over UDP that got a datagram which somebody may have
// guessed. The datagram is ignored, but the question goes over TCP as well, where
// no guess helps; the socket stays open beside it, because there are servers
// without TCP, and one wrong datagram must not take their answers from anybody
// (HARDENING A3, A7). So
//
//   - a good answer over TCP ends it;
//   - a good one over UDP waits for TCP to fail, or to take too long: twice the time
//     of an attempt, for TCP needs two round trips;
//   - when TCP has failed, UDP has the rest of its time.
type doubt struct {
	e *Exchanger
	a *attempt
	x *resolve.Exchange

	end    time.Duration // of the attempt over UDP
	tcp    chan tcpReply // nil: not asked, or failed
	failed tcpReply      // how it failed
	until  time.Duration // of the wait as it stands

	good  resolve.Reply // over UDP; without Msg: none yet
	lost  verdict       // caseLost or cookieLost, where such an answer came
	whole bool          // UDP said that only TCP has the whole answer
}

// tcpReply is what came of TCP.
type tcpReply struct {
	reply resolve.Reply
	err   error
}

// doubt waits on after verdict v, until end over UDP. Of its verdicts, caseLost,
// cookieLost and badCookie tell that there was no better answer than that.
func (e *Exchanger) doubt(ctx context.Context, a *attempt, x *resolve.Exchange, m manner, first resolve.Reply, v verdict, end time.Duration) (resolve.Reply, verdict, error) {
	asked := *x // so that no other question needs it on the heap
	d := &doubt{e: e, a: a, x: &asked, end: end, until: end}
	d.note(first, v)
	if asked.Tell != nil {
		d.tellFirst(v, m)
	}
	if !m.last {
		ctx, stop := context.WithCancel(ctx)
		defer stop()
		d.askTCP(ctx, m.mixed)
	}
	growBuffer(a.fd)
	a.junk = 0
	a.wake() // there may be more to read already
	d.wait()
	for {
		if e.closed.Load() {
			return resolve.Reply{}, ignored, ErrClosed
		}
		select {
		case <-a.ready:
			d.read()
		case r := <-d.tcp:
			if r.err == nil {
				return r.reply, answer, nil
			}
			d.withoutTCP(r)
		case <-a.timer.C:
			return d.over()
		case <-ctx.Done():
			return resolve.Reply{}, ignored, ctx.Err()
		}
		if d.tcp == nil && (d.good.Msg != nil || d.whole) {
			return d.over()
		}
	}
}

// askTCP begins to ask over TCP.
func (d *doubt) askTCP(ctx context.Context, mixed bool) {
	got := make(chan tcpReply, 1)
	d.tcp, d.until = got, d.e.clock.Mono()+2*attemptTime(d.x.Timeout)
	d.e.group.Go("tcp beside udp", func() {
		r := tcpReply{err: ErrClosed} // what a panic leaves
		defer func() { got <- r }()
		r.reply, r.err = d.e.askConnected(ctx, d.x, mixed)
	})
}

// wait sets how long the attempt still waits.
func (d *doubt) wait() { d.a.timer.Reset(max(d.until-d.e.clock.Mono(), 0)) }

// read looks at what came over UDP.
func (d *doubt) read() {
	msg, size, v := d.e.drain(d.a)
	if v == ignored {
		return
	}
	d.a.wake() // drain stopped at something: there may be more
	reply := resolve.Reply{Msg: msg, Size: size, RTT: d.e.clock.Mono() - d.a.sent}
	if v == answer || v == truncated {
		d.x.Budget.Received(size)
	}
	d.note(reply, v)
}

// note keeps what a datagram is worth. The first good answer counts; after it,
// none is better.
func (d *doubt) note(reply resolve.Reply, v verdict) {
	if d.good.Msg != nil || d.whole {
		return
	}
	switch v {
	case answer:
		d.good = reply
		d.tellGood(v)
	case truncated:
		d.whole = true
		d.tellGood(v)
		if d.tcp != nil { // its own limits end that
			d.a.timer.Stop()
		}
	case caseLost, cookieLost, badCookie:
		d.lost = v
	}
}

// withoutTCP goes on where TCP has failed.
func (d *doubt) withoutTCP(r tcpReply) {
	d.tcp, d.failed, d.until = nil, r, d.end
	d.wait()
}

// over is what it all came to.
func (d *doubt) over() (resolve.Reply, verdict, error) {
	if d.tcp != nil && d.x.Tell != nil {
		d.x.Tell(resolve.TCPOverdue{Within: 2 * attemptTime(d.x.Timeout)})
	}
	switch {
	case d.good.Msg != nil:
		return d.good, answer, nil
	case d.whole && d.failed.err != nil:
		return d.failed.reply, ignored, d.failed.err
	case d.whole: // TCP was not asked again
		return resolve.Reply{RTT: d.e.clock.Mono() - d.a.sent}, truncated, nil
	case d.lost != ignored:
		return resolve.Reply{}, d.lost, nil
	}
	return resolve.Reply{}, ignored, resolve.ErrTimeout
}

// settle goes on after an attempt over UDP as its verdict demands.
func (e *Exchanger) settle(ctx context.Context, x *resolve.Exchange, m manner, reply resolve.Reply, v verdict, err error) (resolve.Reply, error) {
	switch {
	case err != nil, v == answer:
		return reply, err
	case v == caseLost:
		m.mixed, m.last = false, true
		reply, err = e.again(ctx, x, m)
		reply.CaseLost = reply.CaseLost || err == nil && !reply.TCP
		return reply, err
	case v == cookieLost:
		m.cookie, m.last = false, true
		return e.again(ctx, x, m)
	case v == badCookie && !m.anew:
		m.anew = true
		return e.again(ctx, x, m)
	}
	if x.Tell != nil {
		x.Tell(resolve.DatagramSeen{What: v.seen(), After: reply.RTT, Then: resolve.AsksTCP})
	}
	return e.askConnected(ctx, x, false)
}

// again asks once more over UDP, in another manner.
func (e *Exchanger) again(ctx context.Context, x *resolve.Exchange, m manner) (resolve.Reply, error) {
	if x.Tell != nil {
		x.Tell(resolve.AskedAgain{Change: m.change()})
	}
	reply, v, err := e.askUDP(ctx, x, m)
	return e.settle(ctx, x, m, reply, v, err)
}
