package resolve

import (
	"errors"
	"net/netip"

	"kresd/internal/limits"
	"kresd/internal/selection"
)

// ask sends the question to one server and waits for its answer.
func (s *solver) ask(q *Query) error {
	if !q.run.ns.filled {
		s.fill(q)
	}
	if q.run.ns.fetch != nil { // the look-up that was pushed has ended
		return s.moreServers(q)
	}
	if q.run.sends >= limits.MaxUpstreamPerFetch {
		s.cfg.Counters.Hit(limits.UpstreamPerFetch)
		return ErrNoServer
	}
	c, ok := s.choose(q)
	if !ok {
		return s.moreServers(q)
	}
	s.address(q, c)
	if err := s.checkout(q); err != nil {
		return err
	}
	return s.exchange(q, c)
}

// choose picks the server to ask, or the one that a layer wants to ask again.
func (s *solver) choose(q *Query) (selection.Choice, bool) {
	if again := q.Iter.Again; again.IsValid() {
		q.Iter.Again = netip.AddrPort{}
		if again == q.Server.Addr {
			h := s.cfg.Servers.Host(again)
			return selection.Choice{NS: q.run.ns.asked, Addr: again, Timeout: h.Timeout(0), Cannot: h.Cannot}, true
		}
	}
	return s.cfg.Servers.Choose(selection.Want{
		Cut: q.Cut, Tried: &q.run.tried,
		NoIPv4: q.Flags&NoIPv4 != 0, NoIPv6: q.Flags&NoIPv6 != 0,
		AnyAddress: q.Flags&AllowLocal != 0, AskDead: q.Flags&NoThrottle != 0,
	})
}

// address fills in whom q asks, and how.
func (s *solver) address(q *Query, c selection.Choice) {
	q.run.ns.asked = c.NS
	q.Server = Server{
		Addr:   c.Addr,
		TCP:    q.Flags&TCP != 0 || c.Cannot&selection.NeedTCP != 0,
		NoEDNS: q.Flags&SafeMode != 0 || c.Cannot&selection.NoEDNS != 0 || q.Iter.Plain == c.Addr,
		NoCase: q.Flags&No0x20 != 0 || c.Cannot&selection.NoCase != 0,
	}
	q.Asked = q.Question
}

func (s *solver) checkout(q *Query) error {
	for _, l := range s.layers {
		if l.Checkout != nil && l.Checkout(s.r, q) == Fail {
			return errLayer
		}
	}
	return nil
}

// exchange sends the question. What fails here is the server's or the network's
// doing; the query goes on with another attempt.
func (s *solver) exchange(q *Query, c selection.Choice) error {
	q.run.sends++
	s.r.trace(q, "resl", "=> %s of %s: %s %d, waiting %v", c.Addr, q.Cut.Name, q.Asked.Name, q.Asked.Type, c.Timeout)
	reply, err := s.cfg.Exchanger.Exchange(s.r.ctx, Exchange{
		Server: q.Server, Question: q.Asked, CD: s.r.CD && q.Forwards(), RD: q.Forwards(),
		Timeout: c.Timeout, Budget: s.r.Budget,
	})
	if err != nil {
		return s.unanswered(q, c, err)
	}
	s.cfg.Servers.Answered(c.Addr, reply.RTT)
	s.r.trace(q, "resl", "<= %s: rcode %d, %d octets in %v", c.Addr, reply.Msg.Rcode, reply.Size, reply.RTT)
	q.run.msg, q.RTT = reply.Msg, reply.RTT
	q.Outcome = Outcome{}
	q.enter(phaseConsume)
	return nil
}

// unanswered judges a failed attempt.
func (s *solver) unanswered(q *Query, c selection.Choice, err error) error {
	s.r.trace(q, "resl", "<= %s: %v", c.Addr, err)
	q.run.lastErr = err
	switch {
	case errors.Is(err, ErrBudget):
		return err
	case s.r.ctx.Err() != nil:
		return nil // the loop says why it ends
	case errors.Is(err, ErrLocal):
		return s.noSocket(q)
	case errors.Is(err, ErrTimeout):
		q.Iter.Timeouts++
		s.cfg.Servers.TimedOut(c.Addr)
		q.run.tried.TimedOut(c.NS, c.Addr)
	case errors.Is(err, ErrUnreachable):
		s.cfg.Servers.Unreachable(c.Addr)
		q.run.tried.Reject(c.NS, c.Addr)
	default:
		q.run.tried.Reject(c.NS, c.Addr)
	}
	return nil
}

// noSocket tries once more: what was lacking may be there again.
func (s *solver) noSocket(q *Query) error {
	if q.run.noSocket {
		return ErrLocal
	}
	q.run.noSocket = true
	return nil
}
