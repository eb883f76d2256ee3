package resolve

import (
	"errors"
	"net/netip"

	"kresd/internal/limits"
	"kresd/internal/selection"
	"kresd/internal/wire"
)

// ask sends the question to one server and waits for its answer.
func (s *solver) ask(q *Query) error {
	if !q.run.ns.filled {
		s.fill(q)
	}
	if r, ok := q.run.late.poll(); ok { // while something else was looked up
		return s.answered(q, r.attempt, r.reply)
	}
	if q.run.ns.fetch != nil { // the look-up that was pushed has ended
		return s.moreServers(q)
	}
	if !s.leased(q) {
		return nil
	}
	if q.run.sends >= limits.MaxUpstreamPerFetch {
		s.cfg.Counters.Hit(limits.UpstreamPerFetch)
		return s.gaveUp(q)
	}
	again := q.run.retry.again
	c, ok := s.choose(q)
	if !ok {
		return s.moreServers(q)
	}
	waited, err := s.queue(q)
	if err != nil {
		return err
	}
	defer s.zones.Leave(q.Cut.Name)
	if waited { // the server may be known to be dead by now
		q.run.retry.again = again
		if c, ok = s.choose(q); !ok {
			return nil
		}
	}
	s.aim(q, c)
	if err := s.checkout(q); err != nil {
		return err
	}
	return s.exchange(q, c)
}

// choose picks the server to ask, or the one that a layer wants to ask again.
func (s *solver) choose(q *Query) (selection.Choice, bool) {
	if again := q.run.retry.again; again.IsValid() {
		q.run.retry.again = netip.AddrPort{}
		if again == q.Server.Addr {
			return s.cfg.Servers.Again(q.run.ns.asked, again), true
		}
	}
	return s.cfg.Servers.Choose(want(q))
}

// want says among which servers to choose for q.
func want(q *Query) selection.Want {
	return selection.Want{
		Cut: q.Cut, Tried: &q.run.tried,
		NoIPv4: q.Options.NoIPv4, NoIPv6: q.Options.NoIPv6,
		AnyAddress: q.Options.AnyAddress, AskDead: q.Options.AskSilent,
	}
}

// aim fills in whom q asks, and how.
func (s *solver) aim(q *Query, c selection.Choice) {
	q.run.ns.asked = c.NS
	if c.Resort {
		q.run.tried.Resorted()
	}
	q.Server = serverOf(q, c)
	q.Asked = q.Question
}

// serverOf is how the chosen server is asked.
func serverOf(q *Query, c selection.Choice) Server {
	return Server{
		Addr:   c.Addr,
		TCP:    q.Options.TCPOnly || c.Cannot&selection.NeedTCP != 0 || c.Confirm || c.Resort,
		NoEDNS: q.Options.NoEDNS || c.Cannot&selection.NoEDNS != 0 && !signed(q) || q.run.retry.plain == c.Addr,
		NoCase: q.Options.KeepCase || c.Cannot&selection.NoCase != 0,
	}
}

// signed tells whether the parent said that the zone has keys. What was learnt of
// its servers does not keep EDNS, and with it signatures, from such a zone.
func signed(q *Query) bool { return q.Cut.DS != nil && q.Cut.DS.Type == wire.TypeDS }

func (s *solver) checkout(q *Query) error {
	for _, l := range s.layers {
		if l.Checkout != nil && l.Checkout(s.r, q) == Fail {
			return s.r.failedIn(l)
		}
	}
	return nil
}

// exchange sends the question. What fails here is the server's or the network's
// doing; the query goes on with another attempt.
func (s *solver) exchange(q *Query, c selection.Choice) error {
	q.run.sends++
	s.tellAsking(q, c)
	s.explore(q, c)
	a := attempt{q.Server, q.Asked, c}
	x := s.exchangeOf(q, q.Server, c)
	x.Tell = s.teller(q)
	if x.Queue = q.run.queue; !c.Silent { // a dead server's answer is not worth a longer wait
		x.Late = &q.run.late
	}
	reply, err := s.cfg.Exchanger.Exchange(q.run.late.begin(s.r.ctx, a), x)
	earlier, ok := q.run.late.finish()
	switch {
	case err == nil:
		return s.answered(q, a, reply)
	case ok:
		return s.answered(q, earlier.attempt, earlier.reply)
	}
	return s.unanswered(q, c, reply, err)
}

// teller is who tells the steps within an exchange of q; nil when nobody reads.
func (s *solver) teller(q *Query) func(Step) {
	if s.r.Tell == nil {
		return nil
	}
	return func(step Step) { s.r.Tell(q, step) }
}

// answered takes the answer to an attempt, be it the last one or one before.
func (s *solver) answered(q *Query, a attempt, reply Reply) error {
	q.Server, q.Asked, q.run.ns.asked = a.server, a.asked, a.choice.NS
	s.cfg.Servers.Answered(a.server.Addr, learnt(a.server, a.choice, reply))
	q.run.tried.Answered(a.choice.NS, a.server.Addr)
	if s.r.Tell != nil {
		s.r.Tell(q, Replied{q.Server.Addr, reply})
	}
	q.run.msg, q.RTT = reply.Msg, reply.RTT
	q.Outcome = Outcome{}
	q.enter(phaseConsume)
	return nil
}

// exchangeOf is q as a question to a server.
func (s *solver) exchangeOf(q *Query, to Server, c selection.Choice) Exchange {
	return Exchange{
		Server: to, Question: q.Asked, CD: s.r.CD && q.Forwards(), RD: q.Forwards(),
		Timeout: c.Timeout, Budget: s.r.Budget, Infrastructure: infrastructure(q.Cut),
	}
}

// learnt is what an answer tells about its server, which was asked like this.
func learnt(to Server, c selection.Choice, reply Reply) selection.Answer {
	a := selection.Answer{RTT: reply.RTT, First: !c.Known, TCP: reply.TCP, Resort: c.Resort && reply.TCP, CaseLost: reply.CaseLost}
	switch {
	case reply.Msg.HasEDNS:
		a.EDNS = selection.EDNSWorks
	case reply.Msg.Rcode == wire.RcodeFormErr && !to.NoEDNS:
		a.EDNS = selection.EDNSRefused
	}
	return a
}

// unanswered judges a failed attempt.
func (s *solver) unanswered(q *Query, c selection.Choice, reply Reply, err error) error {
	if s.r.Tell != nil {
		s.r.Tell(q, Silent{c.Addr, reply.TCP, err})
	}
	q.run.blame.failed(c.Addr, err)
	switch {
	case errors.Is(err, ErrBudget):
		return err
	case s.r.ctx.Err() != nil:
		return nil // the loop says why it ends
	case errors.Is(err, ErrBusy) && !q.run.queue: // another server may have room
		q.run.tried.Busy(c.Addr)
	case errors.Is(err, ErrLocal):
		return s.noSocket(q)
	case reply.TCP:
		s.withoutTCP(q, c)
	case errors.Is(err, ErrTimeout):
		s.timedOut(q, c)
	case errors.Is(err, ErrUnreachable):
		s.cfg.Servers.Unreachable(c.Addr)
		q.run.tried.Reject(c.NS, c.Addr)
	default:
		q.run.tried.Reject(c.NS, c.Addr)
	}
	return nil
}

func (s *solver) timedOut(q *Query, c selection.Choice) {
	q.run.retry.timeouts++
	s.cfg.Servers.TimedOut(c.Addr)
	q.run.tried.TimedOut(c.NS, c.Addr)
}

// withoutTCP judges an attempt that failed over TCP. That says little about the
// server's UDP, which is asked next where TCP was our choice.
func (s *solver) withoutTCP(q *Query, c selection.Choice) {
	s.cfg.Servers.TCPFailed(c.Addr)
	switch {
	case c.Confirm && !c.Resort && !q.Options.TCPOnly:
	case c.Resort, c.Cannot&selection.NeedTCP != 0 && !q.Options.TCPOnly:
		s.timedOut(q, c)
	default:
		q.run.tried.Reject(c.NS, c.Addr)
	}
}

// noSocket tries once more: what was lacking may be there again.
func (s *solver) noSocket(q *Query) error {
	if q.run.noSocket {
		return ErrLocal
	}
	q.run.noSocket = true
	return nil
}
