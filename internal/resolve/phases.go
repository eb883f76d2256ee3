package resolve

import (
	"slices"
	"time"

	"kresd/internal/dnsname"
	"kresd/internal/limits"
	"kresd/internal/selection"
	"kresd/internal/wire"
	"kresd/internal/zonecut"
)

// run solves the request's question.
func (s *solver) run() error {
	r := s.r
	r.root, r.Plan.stack = &s.root, s.stack[:0]
	s.root = Query{Question: r.Question, Options: r.Options, Partition: r.PartitionOf(r.Question), Cut: r.Cut, Scope: r.scope()}
	return s.solve(r.root)
}

// solve solves root, which becomes the first query of the plan.
func (s *solver) solve(root *Query) error {
	r := s.r
	if err := r.Plan.Push(root); err != nil {
		return err
	}
	s.pushEarly(root)
	for q := r.Plan.Current(); q != nil; q = r.Plan.Current() {
		if err := s.mayGoOn(); err != nil {
			err = s.inTime(q, err)
			if r.Tell != nil {
				r.Tell(q, Failed{err})
			}
			return err
		}
		if s.overtaken() {
			continue
		}
		if err := s.step(q); err != nil {
			if r.Tell != nil {
				r.Tell(q, Failed{err})
			}
			q.run.quit()
			if q.Err = err; fatal(err) {
				return err
			}
			r.Plan.Pop(q)
		}
	}
	return root.Err
}

// pushEarly puts what Begin hooks have pushed on the plan.
func (s *solver) pushEarly(root *Query) {
	for _, sub := range s.r.early {
		*sub = *s.r.below(root, sub.Question, sub.Options)
		sub.Err = s.r.Plan.Push(sub)
	}
	s.r.early = nil
}

// mayGoOn tells whether time and work are left.
func (s *solver) mayGoOn() error {
	if s.r.ctx.Err() != nil {
		return s.timeUp(s.r)
	}
	if s.r.work.iterations.Add(1) > limits.MaxIterationsPerRequest {
		s.cfg.Counters.Hit(limits.Iterations)
		return Over(limits.Iterations, ErrBudget)
	}
	return nil
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

// owned takes what a module answers on the operator's word.
func (s *solver) owned(q *Query) bool {
	o, l := s.r.ownedBy(q.Question, q.Parent != nil)
	if l == nil {
		return false
	}
	q.Outcome, q.run.msg = o, nil
	s.tellAnswered(q, l)
	q.enter(phaseConsume)
	return true
}

// reset tells the layers that a query is about to be worked on.
func (s *solver) reset(q *Query) error {
	q.run.begun = true
	if s.r.Plan.Remember {
		q.Begun = time.Now()
	}
	for _, l := range s.layers {
		if l.Reset != nil && l.Reset(s.r, q) == Fail {
			return s.r.failedIn(l)
		}
	}
	return nil
}

// produce asks the layers for an answer without the network.
func (s *solver) produce(q *Query) error {
	if !q.run.begun {
		if err := s.reset(q); err != nil {
			return err
		}
	}
	if q.run.hook == 0 && s.owned(q) {
		return nil
	}
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

// findCut looks up the zone cut whose servers are asked. The DS set of a name belongs to
// its parent (RFC 4035, section 3.1.4.1). For a client that does not desire recursion no
// server is asked: it is told what is known (RFC 1034, section 4.3.1).
func (s *solver) findCut(q *Query) error {
	if !s.r.RD {
		return ErrNotDesired
	}
	if q.Cut == nil {
		q.Cut = s.cfg.Cuts.Closest(s.r.Partition.Data, above(q.Question), s.r.Now)
	}
	if q.Cut == nil || q.Cut.Hints && len(q.Cut.NS) == 0 {
		return ErrNotReady
	}
	s.tellCut(q)
	s.moveTo(q, q.Cut)
	return nil
}

// above is the closest name whose zone can answer the question.
func above(q Question) dnsname.Name {
	if q.Type == wire.TypeDS {
		return q.Name.Parent()
	}
	return q.Name
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
			q.run.hook = len(s.layers)
		}
	}
	if s.r.Plan.Current() != q { // a layer has pushed a question
		return nil
	}
	return s.decide(q)
}

// decide goes on from an outcome.
func (s *solver) decide(q *Query) error {
	s.tellOutcome(q)
	s.r.withhold(q)
	q.run.below = ""                                    // it was asked for once, whatever the answer
	if k := q.Outcome.Kind; k != Lame && k != Pending { // what else was asked may still be answered
		q.run.quit()
	}
	s.caseMattered(q)
	switch q.Outcome.Kind {
	case Positive, NoData, NXDomain:
		if q.Type != wire.TypeCNAME && q.Type != wire.TypeANY && q.Steps+aliases(q.Outcome.Answer) > limits.MaxCNAMEChain {
			return s.tooLong(q)
		}
		s.solved(q)
		return nil
	case Alias:
		if q.Literal {
			s.solved(q)
			return nil
		}
		return s.follow(q)
	case Referral:
		return s.descend(q)
	case Lame:
		return s.useless(q)
	}
	q.Outcome = Outcome{}
	if q.enter(phaseAsk); q.run.msg == nil && !q.HoldsBack() { // what a layer vouched for another does not want
		q.enter(phaseCut)
	}
	return nil
}

// caseMattered takes note of a server that has, or knows of, what it denied when it was
// asked in mixed letter case, and of one that denies it again. A late answer to a question
// in mixed case says nothing of that.
func (s *solver) caseMattered(q *Query) {
	if q.run.msg == nil || !q.run.retry.lower.IsValid() || q.run.retry.lower != q.Server.Addr || !q.Server.NoCase {
		return
	}
	switch q.Outcome.Kind {
	case Positive, Alias, Referral:
		s.cfg.Servers.Learn(q.Server.Endpoint, selection.NoCase)
	case NoData, NXDomain, Lame:
		if rcode := q.run.msg.Rcode; rcode == wire.RcodeNoError || rcode == wire.RcodeNXDomain {
			s.caseless.note(q.denial(), s.r.Wall())
		}
	}
}

// descend follows a referral. It must lead closer to the name than the cut that
// was asked; anything else is a loop or an attack (RFC 1034, section 5.3.3,
// step 4b).
func (s *solver) descend(q *Query) error {
	cut := q.Outcome.Cut
	if cut == nil || q.Cut != nil && !cut.Name.IsStrictlyBelow(q.Cut.Name) || !q.Name.IsSubdomainOf(cut.Name) {
		return s.useless(q)
	}
	if s.r.InForce() {
		s.cfg.Cuts.Keep(s.r.Partition.Data, cut, s.r.Now)
	}
	s.tellReferral(q, cut)
	if s.gluedHere(q, cut) {
		s.solved(q)
		return nil
	}
	if q.run.reparented && q.run.refusedBy > 0 && q.Cut != nil { // what is believed of them may be another
		q.run.tried.Reset()
	}
	q.run.fresh, q.run.useless, q.run.refusals, q.run.refusedBy = true, 0, 0, 0
	s.moveTo(q, cut)
	return nil
}

// useless takes note of a server whose answer does not help and goes on to
// another one.
func (s *solver) useless(q *Query) error {
	why := q.run.retry.refused
	switch {
	case q.run.msg == nil && why != nil: // what was held back is not believed either
		return why
	case q.run.msg == nil:
		return &layerError{name: "that answered"} // of its own data
	case why != nil:
		return s.refused(q, why)
	}
	if s.r.Tell != nil {
		s.r.Tell(q, Useless{q.Server.Addr, q.Cut.Name, q.run.msg.Rcode})
	}
	q.run.faults.useless(q.Server.Addr, q.run.msg.Rcode)
	if cannotAnswer(q.run.msg.Rcode) {
		q.run.retry.erred = erred{q.run.ns.asked, q.Server.Endpoint}
	}
	if q.run.retry.plain == q.Server.Addr {
		q.run.retry.vain++
	}
	if s.wilful(q) {
		q.run.refusals++
	}
	if !q.HoldsBack() {
		s.cfg.Servers.Lame(q.Cut.Name, q.Server.Endpoint)
	}
	s.reject(q)
	if q.run.useless >= limits.UselessAnswers(len(q.Cut.NS)) || q.run.refusals >= limits.RefusalsPerZone {
		s.cfg.Counters.Hit(limits.UselessServers)
		if s.r.Tell != nil {
			s.r.Tell(q, EnoughUseless{q.Cut.Name, q.run.useless})
		}
		return s.exhausted(q)
	}
	q.enter(phaseAsk)
	return nil
}

// reject goes without the server that answered.
func (s *solver) reject(q *Query) {
	q.run.lame = true
	q.run.tried.Useless(q.run.ns.asked, q.Server.Endpoint)
	q.Outcome = Outcome{}
	q.run.useless++
}

// refused takes note of a server whose answer is not believed, and goes on to another:
// one that lies, or has old data, does not take the zone down. Nothing is learnt about
// the server, since anybody may have forged its answer.
func (s *solver) refused(q *Query, why *Failure) error {
	if s.r.Tell != nil {
		s.r.Tell(q, Refused{q.Server.Addr, why})
	}
	q.run.faults.refused(q.Server.Addr, why)
	s.reject(q)
	if q.run.refusedBy++; q.run.refusedBy >= limits.RefusedPerZone {
		s.cfg.Counters.Hit(limits.UselessServers)
		return s.exhausted(q)
	}
	q.enter(phaseAsk)
	return nil
}

// wilful tells whether the answer is a refusal that makes it futile to ask many others:
// of a server that calls itself an authority for the name, for the zone's others have
// the same policy, or of one that was known to be of no use. Other refusals come from
// servers that were never told of the zone.
func (s *solver) wilful(q *Query) bool {
	return q.run.msg.Rcode == wire.RcodeRefused && (q.run.msg.AA() || s.cfg.Servers.KnownLame(q.Cut.Name, q.Server.Endpoint))
}

// gluedHere ends the look-up of a name server's address at a referral that
// already tells it, in the way of glued. The address is for asking only: no layer
// sees it.
func (s *solver) gluedHere(q *Query, cut *zonecut.Cut) bool {
	p := q.Parent
	onPlan := p != nil && p.run.ns.fetch != nil && p.run.ns.fetch.sub == q && !slices.Contains(p.run.ns.glued, q.Name)
	if q.Options.Strict || !onPlan && !q.run.beneath {
		return false
	}
	ns := cut.Find(q.Name)
	if ns == nil {
		return false
	}
	set := wire.RRset{Owner: q.Name, Type: q.Type, Class: q.Class}
	for _, a := range ns.Addrs {
		if a.Is4() == (q.Type == wire.TypeA) {
			set.Data = append(set.Data, a.AsSlice())
		}
	}
	if len(set.Data) == 0 {
		return false
	}
	q.Outcome = Outcome{Kind: Positive, Origin: FromServer, Answer: []Set{{RRset: set}}}
	if q.run.byGlue = true; onPlan {
		p.run.ns.byGlue(q.Name)
	}
	if s.r.Tell != nil {
		s.r.Tell(q, AddressReferred{q.Name})
	}
	return true
}

// follow pushes a query for the target of an alias. Its servers are chosen by the target's
// name.
func (s *solver) follow(q *Query) error {
	steps := q.Steps + aliases(q.Outcome.Answer)
	if steps > limits.MaxCNAMEChain {
		return s.tooLong(q)
	}
	target := Question{q.Outcome.Target, q.Type, q.Class}
	route := s.r.RouteOf(target)
	sub := &Query{
		Question: target, Parent: q, Options: route.options(q.Options), Depth: q.Depth, Steps: steps,
		Cut: route.Cut, Scope: route.Scope, Partition: s.r.partition(&route),
	}
	sub.Options.FromCache = false
	if err := s.r.Plan.Push(sub); err != nil {
		return err
	}
	if s.r.Tell != nil {
		s.r.Tell(q, AliasFollowed{sub.Name})
	}
	q.run.alias = sub
	q.enter(phaseAlias)
	return nil
}

// aliased joins what the target came to with the chain that led to it.
func (s *solver) aliased(q *Query) error {
	sub, o := q.run.alias, &q.Outcome
	o.Answer = append(o.Answer[:len(o.Answer):len(o.Answer)], sub.Outcome.Answer...)
	if sub.Err != nil {
		return sub.Err
	}
	o.Kind, o.Rcode, o.Zone = sub.Outcome.Kind, sub.Outcome.Rcode, sub.Outcome.Zone
	o.Authority = append(o.Authority[:len(o.Authority):len(o.Authority)], sub.Outcome.Authority...)
	o.Cached = o.Cached && sub.Outcome.Cached
	o.Own = o.Own || sub.Outcome.Own
	s.solved(q)
	return nil
}

// tooLong ends a chain with the steps that were seen, the one too many included.
func (s *solver) tooLong(q *Query) error {
	s.cfg.Counters.Hit(limits.CNAMEChain)
	left := limits.MaxCNAMEChain + 1 - q.Steps
	for i := range q.Outcome.Answer {
		if q.Outcome.Answer[i].Type != wire.TypeCNAME {
			continue
		}
		if left--; left <= 0 {
			q.Outcome.Answer = q.Outcome.Answer[:i+1]
			break
		}
	}
	return Over(limits.CNAMEChain, ErrChain)
}

// tellAnswered tells which layer answers without the network; the cache has said
// so itself.
func (s *solver) tellAnswered(q *Query, l *Layer) {
	if s.r.Tell != nil && (!q.Outcome.Cached || l.Name != "cache") {
		s.r.Tell(q, ModuleAnswered{l.Name, &q.Outcome})
	}
}

// tellOutcome tells what a query came to. Why an answer concludes nothing is told by
// the layer that finds it so.
func (s *solver) tellOutcome(q *Query) {
	if s.r.Tell == nil || q.Outcome.Cached {
		return
	}
	if k := q.Outcome.Kind; k == Positive || k == Alias || k == NoData || k == NXDomain {
		s.r.Tell(q, Concluded{&q.Outcome})
	}
}

// tellReferral tells where a referral leads.
func (s *solver) tellReferral(q *Query, cut *zonecut.Cut) {
	if s.r.Tell != nil {
		s.r.Tell(q, Referred{cut, q.authority()})
	}
}

// tellCut tells whose servers will be asked, and since when that is known.
func (s *solver) tellCut(q *Query) {
	if s.r.Tell == nil {
		return
	}
	s.r.Tell(q, CutFound{Cut: q.Cut, By: q.authority(), Scope: q.Scope, Now: s.r.Now})
}
