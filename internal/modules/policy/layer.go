package policy

import (
	"kresd/internal/dnsname"
	"kresd/internal/module"
	"kresd/internal/resolve"
	"kresd/internal/wire"
)

// begin tries the rules, then the special names.
func (p *Policy) begin(req *resolve.Request) resolve.State {
	s := p.snap.Load()
	d := try(s.rules, req, false)
	if d == GoOn {
		d = try(s.special, req, false)
	}
	switch d {
	case Answered:
		return resolve.Done
	case Failed:
		return resolve.Fail
	}
	return resolve.Produce
}

// finalize tries the postrules on the answer.
func (p *Policy) finalize(req *resolve.Request) {
	if post := p.snap.Load().post; len(post) > 0 && try(post, req, true) == Failed {
		req.Result.Rcode, req.Result.NoCache = wire.RcodeServFail, true
		req.Result.Answer, req.Result.Authority, req.Result.Additional = nil, nil, nil
	}
}

// try runs the first rules that are for a request, until one decides.
func try(rules []*Entry, req *resolve.Request, post bool) Decision {
	var probe probe
	var m *Meeting // one for all rules that are not for the request
	for _, e := range rules {
		if e.suspended.Load() {
			continue
		}
		if probe.len == 0 {
			probe.setName(req.Name)
		}
		if m == nil {
			m = new(Meeting)
		}
		*m = Meeting{Req: req, Zone: dnsname.Root, Post: post}
		a := e.Rule.choose(&probe, m)
		if a == nil {
			continue
		}
		e.hits.Add(1)
		d := a.run(m)
		if req.Tell != nil {
			req.Tell(nil, resolve.RuleMatched{Rule: e, Action: a, Then: d.then()})
		}
		if d != GoOn {
			return d
		}
		m = nil // an action may have kept it
	}
	return GoOn
}

// choose is the rule's action if it is for the request.
func (r *Rule) choose(p *probe, m *Meeting) *Action {
	if r.Pick != nil {
		m.Scope = m.Req.Name
		return r.Pick(m.Req)
	}
	at, sure := r.Filter.match(p)
	switch {
	case !sure: // a name made to exhaust the pattern must not slip through
		return Drop()
	case at < 0:
		return nil
	}
	m.Zone = m.Req.Name[at:]
	m.Scope = m.Zone
	return r.Action
}

// Choose is the action of a rule for a request, and nil when the rule is not for
// it, for a script that calls a rule as a function.
func (r *Rule) Choose(req *resolve.Request) (*Action, dnsname.Name) {
	var probe probe
	probe.setName(req.Name)
	m := Meeting{Req: req, Zone: dnsname.Root}
	return r.choose(&probe, &m), m.Zone
}

// fast tells the listener's thread whether a rule may do something to a question
// that is not done to its cached answer too.
func (p *Policy) fast(q *wire.Question) module.Verdict {
	s := p.snap.Load()
	var probe probe
	if !probe.set(q.Name) {
		return module.Driver
	}
	if v, sure := verdict(s.post, &probe); !sure || v != nil {
		return module.Driver
	}
	for _, rules := range [...][]*Entry{s.rules, s.special} {
		switch e, sure := verdict(rules, &probe); {
		case !sure:
			return module.Driver
		case e != nil:
			return e.counted()
		}
	}
	return module.Pass
}

// verdict is the first rule for a question; sure is false when only the driver's
// way can tell.
func verdict(rules []*Entry, p *probe) (first *Entry, sure bool) {
	for _, e := range rules {
		if e.suspended.Load() {
			continue
		}
		if e.Rule.Pick != nil {
			return nil, false
		}
		if at, sure := e.Rule.Filter.match(p); at >= 0 || !sure {
			return e, sure
		}
	}
	return nil, true
}

// counted is what the rule's action says to the listener's thread. A question
// that gets no answer meets its rule only there.
func (e *Entry) counted() module.Verdict {
	if e.Rule.Action.fast == module.Drop {
		e.hits.Add(1)
	}
	return e.Rule.Action.fast
}
