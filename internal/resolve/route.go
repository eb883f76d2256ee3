package resolve

import (
	"slices"

	"kresd/internal/dnsname"
	"kresd/internal/limits"
)

// options are those of a query that takes the route.
func (t *Route) options(o Options) Options {
	o = o.withoutRule()
	if t.Cut != nil {
		o.Forward, o.Stub = !t.Stub, t.Stub
	}
	return o
}

// own is the route of the request's own question, which its Begin hooks chose.
func (r *Request) own() Route {
	if !r.Options.Forward && !r.Options.Stub || r.Cut == nil || !r.Cut.Hints {
		return Route{}
	}
	return Route{r.Cut, r.scope(), r.Options.Stub}
}

// take makes t the route of the request's own question; nil: iteration.
func (r *Request) take(t *Route) {
	if t == nil {
		t = &Route{}
	}
	r.Options = t.options(r.Options)
	r.Cut, r.Scope, r.ByName = t.Cut, t.Scope, true
}

// RouteOf is the route of a question to which the request's own has led, be it by
// aliases: the layers choose it by the name, at each step of a chain.
func (r *Request) RouteOf(q Question) Route {
	if q.Name == r.Name {
		return r.own()
	}
	if t := r.ruled(q); t != nil {
		return *t
	}
	if r.ByName {
		return Route{}
	}
	return r.own()
}

// ruled is what the operator says about the route of a question; nil: nothing. As in the
// Begin hooks, the last layer that names servers has the last word.
func (r *Request) ruled(q Question) (said *Route) {
	for _, l := range r.layers {
		if l.Route == nil {
			continue
		}
		if t := l.Route(r, q); t != nil && (said == nil || t.Cut != nil) {
			said = t
		}
	}
	return said
}

// Push makes question a sub-query of q and returns it. A layer that pushes
// returns Yield, and finds Solved or Err set in the sub-query when its hook is
// called again. options replace those of q. The servers are chosen by the question's name.
// In a Begin hook, where q is nil, it becomes a sub-query of the request's own question, if
// that is resolved.
func (r *Request) Push(q *Query, question Question, options Options) (*Query, error) {
	if q == nil {
		if len(r.early) >= limits.MaxQueriesPerPlan {
			r.Plan.counters.Hit(limits.PlanQueries)
			return nil, Over(limits.PlanQueries, ErrBudget)
		}
		sub := &Query{Question: question, Options: options}
		r.early = append(r.early, sub)
		return sub, nil
	}
	sub := r.below(q, question, options)
	if err := r.Plan.Push(sub); err != nil {
		return nil, err
	}
	return sub, nil
}

// Inquire is Push, with the options of q, for what a layer needs to know about the zones
// around q: an alias is not followed. anew: what is remembered does not answer it.
func (r *Request) Inquire(q *Query, question Question, anew bool) (*Query, error) {
	sub := r.below(q, question, q.Options)
	sub.Anew, sub.Literal, sub.Options.FromCache = anew, true, false
	if err := r.Plan.Push(sub); err != nil {
		return nil, err
	}
	return sub, nil
}

// below makes a sub-query of q.
func (r *Request) below(q *Query, question Question, options Options) *Query {
	route := r.RouteOf(question)
	return &Query{
		Question: question, Parent: q, Options: route.options(options), Depth: q.Depth, Steps: q.Steps,
		Cut: route.Cut, Scope: route.Scope, Partition: r.partition(&route),
	}
}

// SameRoute tells whether the servers that answered q are heard about another question,
// too: no rule of the operator's sends that one elsewhere, and where a rule has sent q to
// them by its name, the same rule is for the other name.
func (r *Request) SameRoute(q *Query, other Question) bool {
	if q.Forwards() {
		return r.RouteOf(other).Cut == q.Cut
	}
	t := r.ruled(other)
	return t == nil || t.Cut == nil
}

// withhold leaves out of an outcome what servers that the operator named say of names that
// they are not asked about, such as the SOA of a zone above their rule's name: clients are
// not told that on their word. It stays if it has been proven, if the client proves it by
// itself (RFC 4035, section 3.2.2), and if it came from a module and not from servers.
func (r *Request) withhold(q *Query) {
	if !q.Forwards() || q.Outcome.Origin == FromModule {
		return
	}
	for _, sets := range []*[]Set{&q.Outcome.Answer, &q.Outcome.Authority} {
		if foreign := func(s Set) bool { return r.foreign(q, &s) }; slices.ContainsFunc(*sets, foreign) {
			*sets = slices.DeleteFunc(slices.Clone(*sets), foreign) // a clone: the cache may have the same ones
		}
	}
}

// foreign tells whether a set speaks of a name that the servers that q was sent to are not
// asked about, and only they vouch for it.
func (r *Request) foreign(q *Query, s *Set) bool {
	switch {
	case s.Owner.IsSubdomainOf(q.Scope), s.Rank.IsSecure(), r.CD && len(s.Sigs) > 0:
		return false
	}
	return !r.SameRoute(q, Question{s.Owner, s.Type, s.Class})
}

// Owned is what a module answers to a question on the operator's word; ok is false
// where none does. sub tells that it is not the client's own question.
func (r *Request) Owned(q Question, sub bool) (o Outcome, ok bool) {
	o, l := r.ownedBy(q, sub)
	return o, l != nil
}

// ownedBy is Owned with the layer that answers; nil: none does.
func (r *Request) ownedBy(q Question, sub bool) (Outcome, *Layer) {
	for _, l := range r.layers {
		if l.Own == nil {
			continue
		}
		if o, ok := l.Own(r, q, sub); ok {
			o.Own = true
			return o, l
		}
	}
	return Outcome{}, nil
}

// join puts a request that begins into the partitions of the configuration.
func (r *Request) join(current func() Partitions) {
	r.inForce, r.Partition = current, Partitions{}
	if current != nil {
		r.Partition = current()
	}
	r.began = r.Partition
	for _, by := range r.apart.by {
		r.Partition.Answers = r.Partition.Answers.With(by)
	}
}

// KeepApart keeps the answer to the request for those clients only for whom a module has the
// same number; 0 stands for nothing that the module treats differently. A Begin hook calls it.
// still tells whether the number is the same by now; nil: it cannot change.
func (r *Request) KeepApart(by uint64, still func() bool) {
	if by == 0 {
		return
	}
	r.apart.by = append(r.apart.by[:len(r.apart.by):len(r.apart.by)], by)
	r.Partition.Answers = r.Partition.Answers.With(by)
	if still != nil {
		r.apart.still = append(r.apart.still[:len(r.apart.still):len(r.apart.still)], still)
	}
}

// settle takes into account what the Begin hooks decided: the options of the request,
// and who is asked.
func (r *Request) settle() {
	r.Partition.Data = r.Partition.Data.With(r.Options.shaping())
	if own := r.own(); own.Cut != nil {
		r.forwarded = r.partition(&own)
	}
}

// partition is where data that a route leads to are looked for and kept. Data from the
// servers of a forwarding rule are for requests that ask the same servers in the same way
// about the same names.
func (r *Request) partition(t *Route) Partition {
	if t.Cut == nil {
		return r.Partition.Data
	}
	return r.Partition.Data.With(Servers(t.Cut)).WithText(string(t.Scope)).With(bits("rule", !t.Stub, t.Stub))
}

// scope is the name at and below which the servers of Cut may be believed.
func (r *Request) scope() dnsname.Name {
	if r.Scope == "" {
		return r.Name
	}
	return r.Scope
}

// PartitionOf is where data are looked for about a question to which the request's
// own leads: those of the servers of its route, else what iteration learnt.
func (r *Request) PartitionOf(q Question) Partition {
	route := r.RouteOf(q)
	return r.partition(&route)
}

// Failures is the partition in which it is remembered that the request failed.
func (r *Request) Failures() Partition {
	return r.Partition.Answers.With(r.Options.reaching()).With(uint64(r.forwarded))
}

// InForce tells whether the configuration is still the one with which the request
// began: else nobody can tell which of the two shaped what it learnt.
func (r *Request) InForce() bool {
	for _, still := range r.apart.still {
		if !still() {
			return false
		}
	}
	return r.inForce == nil || r.inForce() == r.began
}
