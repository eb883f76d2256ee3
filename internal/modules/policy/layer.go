package policy

import (
	"kresd/internal/module"
	"kresd/internal/rank"
	"kresd/internal/resolve"
	"kresd/internal/rules"
	"kresd/internal/wire"
)

// begin tries the rules, then the special names: they are for what the operator says
// nothing about, neither by a rule nor by a module (RFC 6303, section 3).
func (p *Policy) begin(req *resolve.Request) resolve.State {
	s, _ := p.subjects.Get().(*rules.Subject)
	if s == nil {
		s = new(rules.Subject)
	}
	s.Become(req)
	p.rules.KeepApart(req, s)
	d := p.rules.Try(req, s, false)
	if d == rules.GoOn && !req.Ruled && !owned(req) {
		d = p.special.Try(req, s, false)
	}
	if !s.Shown() {
		p.subjects.Put(s)
	}
	switch d {
	case rules.Answered:
		return resolve.Done
	case rules.Failed:
		return resolve.Fail
	}
	return resolve.Produce
}

func owned(req *resolve.Request) bool {
	_, yes := req.Owned(req.Question, false)
	return yes
}

// finalize tries the postrules on the answer to a client's question.
func (p *Policy) finalize(req *resolve.Request) {
	if p.post.Empty() || req.Inner {
		return
	}
	s := rules.SubjectOf(req)
	s.Result = &req.Result
	if p.post.Try(req, s, true) == rules.Failed {
		req.Result.Rcode, req.Result.NoCache, req.Result.Rank = wire.RcodeServFail, true, rank.Initial
		req.Result.Answer, req.Result.Authority, req.Result.Additional = nil, nil, nil
	}
}

// fast does what begin would do, where that can be told without a request and the
// postrules have nothing to say about it.
func (p *Policy) fast(q *module.Query) module.Disposition {
	s := &q.Subject
	if !p.post.Empty() && p.post.Concerns(s) {
		return module.Driver
	}
	q.Partition = q.Partition.With(p.rules.Apart(s))
	d := p.rules.Decide(s)
	q.Elsewhere = q.Elsewhere || d.Elsewhere
	if d.Sure && d.Decision == rules.GoOn && !q.Ruled {
		if about := p.special.Decide(s); (!about.Sure || about.Decision != rules.GoOn) && !q.Owned() {
			about.Passed = about.Passed || d.Passed
			d = about
		}
	}
	switch {
	case !d.Sure:
		return module.Driver
	case d.Decision != rules.Answered:
		return module.Pass
	case d.Passed: // the rules that let it pass count it, too
		return module.Driver
	case d.Answer == nil:
		return q.Drop(d.Entry)
	}
	return q.Answer(d.Answer, d.Entry)
}
