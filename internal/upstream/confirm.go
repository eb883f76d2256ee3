package upstream

import (
	"context"
	"errors"
	"time"

	"kresd/internal/limits"
	"kresd/internal/resolve"
)

// requirements is what an answer over UDP must show before it is believed. Where
// the server cannot show one of them, the question is asked again without that one.
type requirements struct {
	// mixedCase: the answer repeats the letter case that was drawn for the name of
	// this question (0x20).
	mixedCase bool
	// cookie: the answer of a server that has shown cookies before has our cookie.
	cookie bool
	// newCookie: the server has asked once already for the question to be repeated
	// with the cookie that it gave (BADCOOKIE). It is not obeyed a second time.
	newCookie bool
	// udpOnly: TCP was tried and did not help, so that a suspicious datagram does not
	// make the question go over TCP again.
	udpOnly bool
	// guessedPorts are the ports that the question has left because of guesses.
	guessedPorts int
}

// strict is what is required when a question is sent for the first time.
func strict(x *resolve.Exchange) requirements {
	return requirements{mixedCase: !x.NoCase, cookie: true}
}

// A confirmation begins when a question over UDP has received a datagram that may be
// forged. The datagram is ignored, and the question is asked over TCP as well, where
// an answer cannot be forged by guessing. The UDP socket stays open meanwhile:
// there are servers without TCP, and one wrong datagram must not deprive clients of
// their answers (HARDENING A3, A7). So
//
//   - a good answer over TCP ends the confirmation;
//   - a good answer over UDP is kept until TCP fails or takes too long, which is twice
//     as long as the answer over UDP is waited for: TCP needs two round trips;
//   - when TCP has failed, the question over UDP has the rest of its time;
//   - who sends many different wrong answers tries one ID after the other: beyond
//     limits.GuessesPerPort nothing counts at that port, and when TCP has failed the
//     question goes to another port under another ID;
//   - when the time is over, all that has not answered yet may be waited for as a late
//     answer (keep), but not for as long as silence: nonsense promises little.
type confirmation struct {
	e *Exchanger
	a *udpQuery
	x *resolve.Exchange

	end    time.Duration // when the wait for UDP ends
	tcp    chan tcpReply // nil: TCP was not asked, or has failed
	tcpCtx *rebindable   // which the question over TCP ends with; nil: TCP was not asked
	failed tcpReply      // how TCP failed
	until  time.Duration // when the wait ends as things stand
	last   time.Duration // when TCP is given up that alone has the whole answer; 0: its own limits end that

	late bool // others have been asked meanwhile

	guesses guesses

	good  resolve.Reply // the good answer over UDP; without Msg: there is none yet
	lost  match         // caseLost, cookieLost or badCookie, if such an answer came
	whole bool          // UDP said that only TCP has the whole answer
}

// confirm begins a confirmation: it asks over TCP too, after a datagram of match v. The
// question over UDP has its time until end. The caller closes what it gets.
func (e *Exchanger) confirm(ctx context.Context, a *udpQuery, x *resolve.Exchange, must requirements, first resolve.Reply, v match, end time.Duration) *confirmation {
	x.WillWait()
	asked := *x // a copy for the heap; the questions that need no confirmation keep x on the stack
	end = min(end, a.sent+limits.NonsenseTime)
	d := &confirmation{e: e, a: a, x: &asked, end: end, until: end}
	d.note(first, v)
	if asked.Tell != nil {
		d.tellFirst(v, must)
	}
	if !must.udpOnly {
		d.askTCP(ctx, must.mixedCase)
	}
	_ = e.poller.watch(a) // without it the time for the answer ends the wait, or TCP
	growBuffer(a.fd)
	a.junk = 0
	a.wake() // there may be more to read already
	return d
}

// close ends what is still asked over TCP.
func (d *confirmation) close() {
	if d.tcpCtx != nil {
		d.tcpCtx.close()
	}
}

// run waits for the result. With caseLost, cookieLost or badCookie, there was no better
// answer than one of that kind.
func (d *confirmation) run(ctx context.Context) (resolve.Reply, match, error) {
	a, e := d.a, d.e
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
		if d.tcp == nil && (d.good.Msg != nil || d.whole || d.guessed()) {
			return d.over()
		}
	}
}

// goOn is run for a late answer, where others have been asked meanwhile.
func (d *confirmation) goOn(ctx context.Context, limit time.Duration) (resolve.Reply, match, error) {
	now := d.e.clock.Mono()
	d.late = true
	d.end = max(d.a.sent+limits.NonsenseLate, now+limits.UDPFirstTimeout) // TCP may have been asked just now
	d.until, d.last = d.end, now+limit
	return d.run(ctx)
}

// askTCP begins to ask over TCP.
func (d *confirmation) askTCP(ctx context.Context, mixedCase bool) {
	d.tcpCtx = newRebindable(ctx)
	most := limits.NonsenseLate
	if d.mayBeLate() {
		most = limits.NonsenseTime
	}
	d.until = max(min(d.e.clock.Mono()+2*waitTime(d.x.Timeout), d.a.sent+most), d.end)
	d.tcp = d.e.askAside(d.tcpCtx, d.x, mixedCase)
}

// mayBeLate tells whether others may be asked while this one is waited for.
func (d *confirmation) mayBeLate() bool { return d.x.Late != nil && !d.late }

// wait sets the timer for what is left of the wait.
func (d *confirmation) wait() {
	until := d.until
	switch {
	case d.whole && d.tcp != nil && !d.mayBeLate():
		if until = d.last; until == 0 {
			d.a.timer.Stop()
			return
		}
	case d.x.Hurry && d.mayBeLate() && d.good.Msg == nil:
		until = d.end
	}
	d.a.timer.Reset(max(until-d.e.clock.Mono(), 0))
}

// read looks at what came over UDP.
func (d *confirmation) read() {
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

// note remembers what a datagram was. The first good answer counts, and no later
// datagram takes its place.
func (d *confirmation) note(reply resolve.Reply, v match) {
	if d.good.Msg != nil || d.whole || d.guessed() {
		return
	}
	switch v {
	case nearMiss:
		d.guesses.note(d.a)
	case answer:
		d.good = reply
		d.tellGood(v)
		d.wait()
	case truncated:
		d.whole = true
		d.tellGood(v)
		d.wait()
	case caseLost, cookieLost, badCookie:
		d.lost = v
	}
}

// guessed tells that somebody tries IDs at this port.
func (d *confirmation) guessed() bool { return len(d.guesses) > limits.GuessesPerPort }

// withoutTCP goes on where TCP has failed.
func (d *confirmation) withoutTCP(r tcpReply) {
	d.tcp, d.failed, d.until = nil, r, d.end
	d.wait()
}

// over is the result when nothing more is waited for.
func (d *confirmation) over() (resolve.Reply, match, error) {
	if d.tcp != nil && d.x.Tell != nil {
		d.x.Tell(resolve.TCPOverdue{Within: 2 * waitTime(d.x.Timeout)})
	}
	switch {
	case d.good.Msg != nil:
		return d.good, answer, nil
	case d.whole && d.failed.err != nil:
		return d.failed.reply, ignored, d.failed.err
	case d.whole && d.tcp != nil:
		return resolve.Reply{TCP: true}, ignored, resolve.ErrTimeout
	case d.whole: // TCP was not asked again
		return resolve.Reply{RTT: d.e.clock.Mono() - d.a.sent}, truncated, nil
	case d.guessed():
		return resolve.Reply{Nonsense: d.nonsense()}, guessed, nil
	case d.lost != ignored:
		return resolve.Reply{}, d.lost, nil
	}
	return resolve.Reply{Nonsense: d.nonsense()}, ignored, resolve.ErrTimeout
}

// nonsense tells whose it is, where nothing better has come.
func (d *confirmation) nonsense() resolve.Nonsense {
	if errors.Is(d.failed.err, ErrMalformed) {
		return resolve.NonsenseByTCP
	}
	return resolve.NonsenseByUDP
}

// settle decides how to go on after a question over UDP has ended with match v: with
// its reply, over UDP again with fewer requirements, or over TCP.
func (e *Exchanger) settle(ctx context.Context, x *resolve.Exchange, must requirements, reply resolve.Reply, v match, err error) (resolve.Reply, error) {
	switch {
	case err != nil, v == answer:
		return reply, err
	case v == caseLost:
		must.mixedCase, must.udpOnly = false, true
		reply, err = e.again(ctx, x, must)
		reply.CaseLost = reply.CaseLost || err == nil && !reply.TCP
		return reply, err
	case v == cookieLost:
		must.cookie, must.udpOnly = false, true
		return e.again(ctx, x, must)
	case v == guessed && must.guessedPorts < limits.GuessedPorts:
		must.guessedPorts++
		must.udpOnly = true
		return e.again(ctx, x, must)
	case v == guessed:
		return reply, resolve.ErrTimeout
	case v == badCookie && !must.newCookie:
		must.newCookie = true
		return e.again(ctx, x, must)
	}
	if x.Tell != nil {
		x.Tell(resolve.DatagramSeen{What: v.seen(), After: reply.RTT, Then: resolve.AsksTCP})
	}
	return e.askConnectedInTime(ctx, x, reply.RTT)
}

// again asks once more over UDP, with other requirements.
func (e *Exchanger) again(ctx context.Context, x *resolve.Exchange, must requirements) (resolve.Reply, error) {
	if x.Tell != nil {
		x.Tell(resolve.AskedAgain{Change: must.change()})
	}
	reply, v, err := e.askUDP(ctx, x, must)
	return e.settle(ctx, x, must, reply, v, err)
}
