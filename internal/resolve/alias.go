package resolve

import (
	"kresd/internal/limits"
	"kresd/internal/wire"
)

// aliases counts the steps of a chain. A DNAME counts by the CNAME that it
// synthesised.
func aliases(chain []Set) int {
	n := 0
	for i := range chain {
		if chain[i].Type == wire.TypeCNAME {
			n++
		}
	}
	return n
}

// follow pushes a query for the target of an alias. What the server of a stub
// rule told is final: it knows the chain as far as it is to be told.
func (s *solver) follow(q *Query) error {
	if q.Forwards() && q.Options.Stub && q.run.msg != nil {
		q.Outcome.Kind = Positive
		return s.solved(q)
	}
	steps := q.Steps + aliases(q.Outcome.Answer)
	if steps > limits.MaxCNAMEChain {
		return s.tooLong(q)
	}
	sub := &Query{
		Question: Question{q.Outcome.Target, q.Type, q.Class},
		Parent:   q, Options: q.Options, Depth: q.Depth, Steps: steps,
	}
	sub.Options.FromCache = false
	if q.Forwards() && sub.Name.IsSubdomainOf(q.Cut.Name) {
		sub.Cut = q.Cut
	} else {
		sub.Options = sub.Options.withoutRule()
	}
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
	o.Kind, o.Rcode, o.Zone, o.Signer = sub.Outcome.Kind, sub.Outcome.Rcode, sub.Outcome.Zone, sub.Outcome.Signer
	o.Authority = append(o.Authority[:len(o.Authority):len(o.Authority)], sub.Outcome.Authority...)
	o.Cached = o.Cached && sub.Outcome.Cached
	return s.solved(q)
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
	return ErrChain
}
