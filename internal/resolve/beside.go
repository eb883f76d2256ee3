package resolve

import (
	"context"
	"slices"

	"kresd/internal/dnsname"
	"kresd/internal/limits"
	"kresd/internal/wire"
)

// A query that meets trouble with the servers it knows does not ask on until they are
// used up: it has the next unknown address of a name server looked up beside, and
// goes on meanwhile. So does each query above it that waits for such a look-up on the
// plan, for the look-up is what meets trouble then.
//
// A look-up beside is a request of its own, with its own plan, on a goroutine of its
// own. All that bounds work is shared with the request that it belongs to (Budget,
// work), which waits for its end before it ends itself.

// trouble begins look-ups because a server of q could not be asked or is silent: for those
// above it that wait for it, and for q where these have nobody else to look up. (One that
// answers uselessly costs no time.)
func (s *solver) trouble(q *Query) {
	s.r.work.inVain.troubled(q.Cut.Name)
	began := false
	for _, above := range s.r.Plan.stack {
		if above != q && above.run.ns.fetch != nil {
			began = s.lookBeside(above) || began
		}
	}
	if !began {
		s.lookBeside(q)
	}
}

// lookBeside begins the next look-up of an address for q, if there is one and as
// many as may be under way are not.
func (s *solver) lookBeside(q *Query) bool { return s.lookBesideFor(q, "") }

// lookBesideFor is lookBeside where one name server comes before others.
func (s *solver) lookBesideFor(q *Query, first dnsname.Name) bool {
	if q.Cut == nil || q.Cut.Hints || q.Depth >= limits.MaxRecursionDepth {
		return false
	}
	s.refill(q)
	if s.r.work.beside.Load() >= limits.LookupsBeside {
		return false
	}
	name, t, ok := s.nextLookup(q, first)
	if !ok {
		return false
	}
	ns, l := &q.run.ns, &q.run.beside
	if s.waitsFor(q, name) {
		ns.looked = append(ns.looked, lookup{name, wire.TypeA}, lookup{name, wire.TypeAAAA})
		return false
	}
	if !ns.began(name) {
		ns.fetches++
		s.r.work.nsFetches.Add(1)
	}
	ns.looked = append(ns.looked, lookup{name, t})
	if l.end == nil {
		l.ctx, l.end = context.WithCancel(s.r.ctx)
		l.got = make(chan *Query, 2*limits.MaxNSPerDelegation)
	}
	l.open++
	l.names = append(l.names, name)
	s.begin(l, s.beside(q, Question{name, t, q.Class}))
	return true
}

// waitsFor tells whether q is needed for the address of name.
func (s *solver) waitsFor(q *Query, name dnsname.Name) bool {
	for a := q; a != nil; a = a.Parent {
		if a.Name == name && isAddress(a.Type) {
			return true
		}
	}
	return false
}

// refill takes what the cache knows by now of addresses that the delegation did not
// tell, once. more tells that it knows some.
func (s *solver) refill(q *Query) (more bool) {
	if q.run.ns.refilled {
		return false
	}
	before := q.Cut.Addresses()
	q.run.ns.refilled = true
	for i := range q.Cut.NS {
		name := q.Cut.NS[i].Name
		addrs, _, _ := s.cfg.Cuts.Addrs(s.r.Partition.Data, name, s.r.Now)
		s.addExtras(q, name, addrs)
	}
	return q.Cut.Addresses() > before
}

// nextLookup is the look-up that promises most: of a name server without an address, where
// there is one (lookable), of the one that is to be the first, and of the family that was
// not in trouble just now.
func (s *solver) nextLookup(q *Query, first dnsname.Name) (name dnsname.Name, t uint16, ok bool) {
	var best []lookup
	most := -1
	for _, one := range s.lookable(q) {
		for _, f := range one.types {
			value := 0
			if q.Server.Addr.IsValid() && q.Server.Addr.Addr().Is4() == (f == wire.TypeAAAA) {
				value++
			}
			if one.name == first {
				value += 2
			}
			if value > most {
				best, most = best[:0], value
			}
			if value == most {
				best = append(best, lookup{one.name, f})
			}
		}
	}
	if len(best) == 0 {
		return "", 0, false
	}
	next := best[s.cfg.Servers.Intn(len(best))]
	return next.name, next.family, true
}

// beside makes the request that looks up an address for q. Its query has q and the
// queries above that for ancestors, so that it never waits for one of them.
func (s *solver) beside(q *Query, question Question) *Request {
	r := s.r
	own := &Request{
		Question: question, Client: r.Client, Local: r.Local, Transport: r.Transport, RD: true, CD: r.CD, DO: r.DO,
		Options: r.Options.withoutRule(), Now: r.Now, ID: r.ID, Budget: r.Budget, Tell: r.Tell, Alone: true,
		Partition: r.Partition, inForce: r.inForce, began: r.began, work: r.work, layers: r.layers, ByName: true,
	}
	own.For(r)
	own.Plan.counters, own.Plan.work = r.Plan.counters, r.work
	own.inherit(r)
	own.root = &Query{Question: question, Parent: still(q), Options: own.Options, Partition: r.Partition.Data, Depth: q.Depth + 1}
	own.root.run.behindBad = r.work.inVain.anyBad()
	own.root.run.beneath = !slices.Contains(q.run.ns.glued, question.Name)
	return own
}

// still copies q and the queries above it as they are at this moment: another goroutine
// reads them while these go on to change.
func still(q *Query) *Query {
	if q == nil {
		return nil
	}
	return &Query{
		Question: q.Question, ID: q.ID, Parent: still(q.Parent), Options: q.Options, Partition: q.Partition,
		Cut: q.Cut, Depth: q.Depth, Steps: q.Steps,
	}
}

// begin runs a look-up on a goroutine of its own. l hears how it ended.
func (s *solver) begin(l *lookups, own *Request) {
	s.r.WillWait() // for its end, if not before
	own.ctx = l.ctx
	s.r.work.beside.Add(1)
	s.running.Add(1)
	got, root, work := l.got, own.root, s.r.work
	root.Err = errJoined // what a panic leaves
	side := &solver{Driver: s.Driver, layers: s.layers, r: own}
	s.panics.Go("look-up beside", func() {
		defer s.running.Done()
		defer func() {
			work.beside.Add(-1)
			got <- root // there is room for all that a query may begin
		}()
		defer side.close()
		root.Err = side.solve(root)
	})
}

// hear takes what look-ups beside q have come to so far. found tells whether q has an
// address more.
func (s *solver) hear(q *Query) (found bool) {
	for {
		select {
		case sub := <-q.run.beside.got: // which is nil where none is under way
			found = s.heard(q, sub) || found
		default:
			return found
		}
	}
}

// heard takes the outcome of one look-up beside q, and tells whether q has an address
// more.
func (s *solver) heard(q *Query, sub *Query) bool {
	q.run.beside.ended(sub.Name)
	if sub.run.byGlue {
		q.run.ns.byGlue(sub.Name)
	}
	f := &fetch{name: sub.Name, sub: sub, pushed: true}
	if s.collect(q, f) {
		return true
	}
	if ns := q.Cut.Find(sub.Name); ns != nil && len(ns.Addrs) == 0 && len(s.families(q, sub.Name)) == 0 {
		if !slices.Contains(q.run.beside.names, sub.Name) { // the other family may be under way
			s.unresolvable(q, f)
		}
	} else if f.denied { // its zone answers, and may have an address of the other family
		s.lookBesideFor(q, sub.Name)
	}
	return false
}

// overtaken tells whether a query on the plan that waits for the look-up of an address
// there has got an address from a look-up beside it. The look-up on the plan is given up
// then.
func (s *solver) overtaken() bool {
	for _, q := range s.r.Plan.stack {
		if q.run.ns.fetch == nil || !s.hear(q) {
			continue
		}
		s.giveUp(q)
		return true
	}
	return false
}

// giveUp takes the look-up that q waits for off the plan. It may be begun again.
func (s *solver) giveUp(q *Query) {
	ns := &q.run.ns
	sub := ns.fetch.sub
	for p := s.r.Plan.Current(); p != nil && p != q; p = s.r.Plan.Current() {
		p.run.quit()
		s.r.Plan.Pop(p)
	}
	if sub != nil {
		ns.looked = slices.DeleteFunc(ns.looked, func(l lookup) bool { return l == lookup{sub.Name, sub.Type} })
	}
	ns.fetch = nil
}

// isHurried tells whether a look-up is under way beside q, or beside a query that waits
// for q on the plan. Then an address may be known soon, and no server is waited for at
// length.
func (s *solver) isHurried(q *Query) bool {
	if q != nil && q.run.beside.open > 0 {
		return true
	}
	for _, above := range s.r.Plan.stack {
		if above.run.ns.fetch != nil && above.run.beside.open > 0 {
			return true
		}
	}
	return false
}
