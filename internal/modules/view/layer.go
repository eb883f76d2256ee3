package view

import (
	"kresd/internal/module"
	"kresd/internal/resolve"
	"kresd/internal/rules"
)

// begin tries the views. Requests that no client made have none.
func (v *View) begin(req *resolve.Request) resolve.State {
	if !req.Client.IsValid() {
		return resolve.Produce
	}
	if !v.admit(req) {
		return resolve.Done
	}
	if v.rules.Empty() {
		return resolve.Produce
	}
	s, _ := v.subjects.Get().(*rules.Subject)
	if s == nil {
		s = new(rules.Subject)
	}
	s.Become(req)
	v.rules.KeepApart(req, s)
	d := v.rules.Try(req, s, false)
	if !s.Shown() {
		v.subjects.Put(s)
	}
	switch d {
	case rules.Answered:
		return resolve.Done
	case rules.Failed:
		return resolve.Fail
	case rules.Stop:
		req.Ruled = true
	}
	return resolve.Produce
}

// decided has the answer of a module before this one signed, or the question refused.
func (v *View) decided(req *resolve.Request, before resolve.State) resolve.State {
	if req.Client.IsValid() && !v.admit(req) {
		return resolve.Done
	}
	return before
}

// fast does what begin would do, where that can be told without a request. A question that
// is signed does not come here where signatures matter.
func (v *View) fast(q *module.Query) module.Disposition {
	s := &q.Subject
	q.Partition = q.Partition.With(v.rules.Apart(s))
	d := v.rules.Decide(s)
	q.Elsewhere = q.Elsewhere || d.Elsewhere
	switch {
	case !d.Sure:
		return module.Driver
	case d.Decision == rules.Stop:
		q.Ruled = true
		return module.Pass
	case d.Decision != rules.Answered:
		return module.Pass
	case d.Passed: // the rules that let it pass count it, too
		return module.Driver
	case d.Answer == nil:
		return q.Drop(d.Entry)
	}
	return q.Answer(d.Answer, d.Entry)
}
