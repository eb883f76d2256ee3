package resolve

import (
	"kresd/internal/limits"
	"kresd/internal/selection"
	"kresd/internal/wire"
)

// phase is what a query on top of the plan needs next.
type phase uint8

const (
	phaseProduce phase = iota // can a layer answer without the network?
	phaseCut                  // which zone's servers?
	phaseAsk                  // choose a server and ask it
	phaseConsume              // let the layers see what came
	phaseAlias                // a sub-query for the alias's target was pushed
)

// progress is where the driver is with one query.
type progress struct {
	phase phase
	hook  int       // the layer whose hook is called next in this phase
	msg   *wire.Msg // what phaseConsume looks at; nil for a produced outcome
	// sends counts what was sent for the query, whatever the zone cut.
	sends int
	tried selection.Tried
	ns    servers
	alias *Query
	// fresh tells that the cut was learnt by this query; reparented that the parent
	// was asked for a newer one.
	fresh, reparented bool
	lame              bool  // some server of the cut answered, uselessly
	useless           int   // how many did
	noSocket          bool  // ErrLocal happened once
	blame             blame // of servers
	// late are attempts that may still be answered; queue tells to wait where many
	// wait for a server.
	late  late
	lease lease
	queue bool
	retry retry
}

// solver carries one request.
type solver struct {
	*Driver
	layers []*Layer
	r      *Request
	held   [][]byte // keys of leases
}

// run solves the request's question.
func (s *solver) run() error {
	defer s.returnLeases()
	r := s.r
	r.root = &Query{Question: r.Question, Options: r.Options, Cut: r.Cut}
	if err := r.Plan.Push(r.root); err != nil {
		return err
	}
	for q := r.Plan.Current(); q != nil; q = r.Plan.Current() {
		if err := s.mayGoOn(); err != nil {
			err = s.inTime(q, err)
			if r.Tell != nil {
				r.Tell(q, Failed{err})
			}
			return err
		}
		if err := s.step(q); err != nil {
			if r.Tell != nil {
				r.Tell(q, Failed{err})
			}
			q.run.late.close()
			if q.Err = err; fatal(err) {
				return err
			}
			r.Plan.Pop(q)
		}
	}
	return r.root.Err
}

// mayGoOn tells whether time and work are left.
func (s *solver) mayGoOn() error {
	if s.r.ctx.Err() != nil {
		return s.timeUp(s.r)
	}
	if s.r.iterations++; s.r.iterations > limits.MaxIterationsPerRequest {
		s.cfg.Counters.Hit(limits.Iterations)
		return ErrBudget
	}
	return nil
}

// timeUp is why a request ends whose time is over.
func (d *Driver) timeUp(r *Request) error {
	if r.impatient() {
		return ErrPatience
	}
	d.cfg.Counters.Hit(limits.Deadline)
	return ErrDeadline
}

func (s *solver) step(q *Query) error {
	switch q.run.phase {
	case phaseProduce:
		return s.produce(q)
	case phaseCut:
		return s.findCut(q)
	case phaseAsk:
		return s.ask(q)
	case phaseConsume:
		return s.consume(q)
	}
	return s.aliased(q)
}

// enter starts a phase with its first hook.
func (q *Query) enter(p phase) { q.run.phase, q.run.hook = p, 0 }

// solved takes q off the plan; whoever pushed it reads its Outcome.
func (s *solver) solved(q *Query) error {
	q.Solved = true
	s.r.Plan.Pop(q)
	return nil
}

// produce asks the layers for an answer without the network.
func (s *solver) produce(q *Query) error {
	for ; q.run.hook < len(s.layers); q.run.hook++ {
		hook := s.layers[q.run.hook].Produce
		if hook == nil {
			continue
		}
		switch hook(s.r, q) {
		case Yield:
			return s.yielded(q)
		case Fail:
			return s.r.failedIn(s.layers[q.run.hook])
		case Done:
			if q.Outcome.Kind != Pending {
				s.tellAnswered(q, s.layers[q.run.hook])
				q.run.msg = nil
				q.enter(phaseConsume)
				return nil
			}
		}
	}
	q.enter(phaseCut)
	return nil
}

// yielded checks that a layer that waits has pushed what it waits for.
func (s *solver) yielded(q *Query) error {
	if s.r.Plan.Current() == q {
		return errYield
	}
	return nil
}

// consume shows the layers what came. A layer that says Produce or Lame wants
// another answer: there is nothing to see for the layers behind it.
func (s *solver) consume(q *Query) error {
	for ; q.run.hook < len(s.layers); q.run.hook++ {
		hook := s.layers[q.run.hook].Consume
		if hook == nil {
			continue
		}
		switch hook(s.r, q, q.run.msg) {
		case Yield:
			return s.yielded(q)
		case Fail:
			return s.r.failedIn(s.layers[q.run.hook])
		case Produce:
			return s.decide(q)
		}
		if q.Outcome.Kind == Lame {
			break
		}
	}
	return s.decide(q)
}

// decide goes on from an outcome.
func (s *solver) decide(q *Query) error {
	s.tellOutcome(q)
	if k := q.Outcome.Kind; k != Lame && k != Pending { // what else was asked may still be answered
		q.run.late.close()
	}
	switch q.Outcome.Kind {
	case Positive, NoData, NXDomain:
		if q.Type != wire.TypeCNAME && q.Type != wire.TypeANY && q.Steps+aliases(q.Outcome.Answer) > limits.MaxCNAMEChain {
			return s.tooLong(q)
		}
		return s.solved(q)
	case Alias:
		return s.follow(q)
	case Referral:
		return s.descend(q)
	case Lame:
		return s.useless(q)
	}
	q.Outcome = Outcome{}
	q.enter(phaseAsk)
	return nil
}
