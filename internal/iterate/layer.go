package iterate

import (
	"kresd/internal/resolve"
	"kresd/internal/wire"
)

// Layer is the iterate layer. It has no state of its own.
func Layer() *resolve.Layer {
	return &resolve.Layer{Name: "iterate", Checkout: checkout, Consume: consume}
}

// checkout decides what part of the question is shown to the server.
func checkout(r *resolve.Request, q *resolve.Query) resolve.State {
	q.Asked = minimised(r, q)
	return resolve.Produce
}

// consume makes the outcome of a message.
func consume(r *resolve.Request, q *resolve.Query, msg *wire.Msg) resolve.State {
	if msg == nil {
		return resolve.Consume
	}
	a := answer{r: r, q: q, msg: msg}
	o := a.judge()
	if q.Asked != q.Question || q.Below() != "" {
		return a.probed(o)
	}
	if a.hangsOnCase(&o) && r.RetryInLowerCase(q) {
		a.tell(resolve.CaseDoubted)
		if o.Kind != resolve.Lame { // it counts if the server says no more
			o.Origin = resolve.FromServer
			q.HoldBack(o)
		}
		return resolve.Produce
	}
	q.Outcome, q.Outcome.Origin = o, resolve.FromServer
	if o.Kind == resolve.Pending { // the same again, without EDNS
		a.tell(resolve.EDNSDoubted)
		return resolve.Produce
	}
	return resolve.Consume
}

// tell tells a reader why the answer leads to another question.
func (a *answer) tell(why resolve.Inconclusion) {
	if a.r.Tell != nil {
		a.r.Tell(a.q, resolve.Inconclusive{Rcode: a.msg.Rcode, Asked: a.q.Asked, Why: why})
	}
}
