package resolve

import (
	"errors"

	"kresd/internal/limits"
	"kresd/internal/selection"
)

// explore shows a question to one more server, of which little is known, besides
// the good one that is asked for the client. So nobody waits for a server that
// may be dead or far away in order that others learn about it. The answer is
// used for nothing else: who can forge it has gained nothing.
func (s *solver) explore(q *Query, asked selection.Choice) {
	if !s.cfg.Explore {
		return
	}
	c, ok := s.cfg.Servers.Beside(want(q), asked)
	if !ok || !s.enter(q.Cut) {
		return
	}
	if s.exploring.Add(1) > limits.ExploringAtOnce {
		s.exploring.Add(-1)
		s.zones.Leave(q.Cut.Name)
		return
	}
	if s.r.Tell != nil {
		s.r.Tell(q, Explored{peer(q, c)})
	}
	zone, x := q.Cut.Name, s.exchangeOf(q, serverOf(q, c), c)
	x.Timeout = limits.UDPMaxTimeout // nobody waits, and slow is not dead
	s.panics.Go("explore", func() {
		defer s.zones.Leave(zone)
		defer s.exploring.Add(-1)
		reply, err := s.cfg.Exchanger.Exchange(s.cfg.Context, x)
		s.found(x.Server, c, reply, err)
	})
}

// found takes note of what exploring showed.
func (d *Driver) found(to Server, c selection.Choice, reply Reply, err error) {
	switch {
	case err == nil:
		d.cfg.Servers.Answered(c.Addr, learnt(to, c, reply))
	case d.cfg.Context.Err() != nil, errors.Is(err, ErrBudget), errors.Is(err, ErrLocal):
	case reply.TCP:
		d.cfg.Servers.TCPFailed(c.Addr)
	case errors.Is(err, ErrTimeout):
		d.cfg.Servers.TimedOut(c.Addr)
	case errors.Is(err, ErrUnreachable):
		d.cfg.Servers.Unreachable(c.Addr)
	}
}
