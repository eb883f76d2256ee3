package lualayer

import (
	"errors"

	"kresd/internal/dnslua/records"
	"kresd/internal/dnslua/requests"
	"kresd/internal/rank"
	"kresd/internal/resolve"
	"kresd/internal/script"
	"kresd/internal/wire"
)

// layer has the hooks that the script has functions for; nil when it has none.
func (m *mod) layer() *resolve.Layer {
	h := &m.hooks
	if !h.any() {
		return nil
	}
	l := &resolve.Layer{Name: m.name, Begin: m.begin, Decided: m.decided}
	if h.reset != nil {
		l.Reset = m.reset
	}
	if h.produce != nil {
		l.Produce = m.produce
	}
	if h.checkout != nil {
		l.Checkout = m.checkout
	}
	if h.consume != nil {
		l.Consume = m.consume
	}
	if h.finalize != nil {
		l.Finalize = func(r *resolve.Request) { m.ended(r, "answer_finalize", h.finalize, nil) }
	}
	if h.finish != nil {
		l.Finish = func(r *resolve.Request) {
			m.ended(r, "finish", h.finish, func(v *requests.View) []any { return []any{m.loader.Views.Answer(v)} })
		}
	}
	return l
}

// begin calls the hook begin, and keeps the request from sharing the resolution of an equal
// one if other hooks take part in it. If the hook does not answer the request, all that it
// has put into the answer is dropped, but for an extended error.
func (m *mod) begin(r *resolve.Request) resolve.State {
	r.Alone = r.Alone || m.hooks.takePart()
	// Every query of it is shown to these; whether one is to produce is not known yet.
	r.Scripted = r.Scripted || m.hooks.reset != nil || m.hooks.consume != nil
	m.meet(r)
	if m.hooks.begin == nil {
		return 0
	}
	out, err := (&call{m: m, hook: "begin", fn: m.hooks.begin, req: r, state: resolve.Produce}).do()
	switch {
	case err != nil:
		return r.Fail(err)
	case out&resolve.Fail != 0:
		return resolve.Fail
	case out&resolve.Done != 0:
		return resolve.Done
	}
	r.Result = resolve.Result{EDE: r.Result.EDE, EDEText: r.Result.EDEText}
	return 0
}

// met is the key of what tells that the request was shown to the module when it began: the
// hooks for its end are for those.
type met struct{ m *mod }

// meet takes note of a request. Look-ups beside it inherit its view, and no more.
func (m *mod) meet(r *resolve.Request) {
	m.loader.Views.Of(r)
	r.Vars[met{m}] = true
}

// decided is begin for a request about which a layer before has decided.
func (m *mod) decided(r *resolve.Request, state resolve.State) resolve.State {
	if m.meet(r); m.hooks.begin == nil {
		return 0
	}
	out, err := (&call{m: m, hook: "begin", fn: m.hooks.begin, req: r, state: state}).do()
	switch {
	case err != nil:
		return r.Fail(err)
	case out == state:
		return 0
	case out&resolve.Fail != 0:
		return resolve.Fail
	case out&resolve.Done != 0:
		return resolve.Done
	}
	return 0
}

func (m *mod) reset(r *resolve.Request, q *resolve.Query) resolve.State {
	out, err := (&call{m: m, hook: "reset", fn: m.hooks.reset, req: r, q: q, state: resolve.Produce}).do()
	return ifFailed(r, out, err)
}

// ifFailed is the state of a hook that may only fail.
func ifFailed(r *resolve.Request, out resolve.State, err error) resolve.State {
	switch {
	case err != nil:
		return r.Fail(err)
	case out&resolve.Fail != 0:
		return resolve.Fail
	}
	return resolve.Produce
}

// produce takes what the hook has put into the packet, or into the answer for the client,
// for the outcome when it says that it is done.
func (m *mod) produce(r *resolve.Request, q *resolve.Query) resolve.State {
	var p *records.Packet
	r.Scripted = true
	c := call{m: m, hook: "produce", fn: m.hooks.produce, req: r, q: q, state: m.yielded(r, q, resolve.Produce)}
	c.more = func(v *requests.View) []any {
		p = requests.QueryPacket(v, q.Name, q.Type, q.Class)
		return []any{m.loader.Views.Packet(p)}
	}
	out, answered, err := m.watched(&c)
	switch {
	case err != nil:
		return r.Fail(err)
	case out&resolve.Fail != 0:
		return resolve.Fail
	case out&resolve.Yield != 0 && c.waits():
		return m.yield(&c)
	case out&resolve.Done == 0:
		return resolve.Produce
	case answered && isClients(q):
		r.Settle()
		q.Outcome = resolve.Outcome{Kind: resolve.NoData, Own: true}
		return resolve.Done
	}
	if err := put(q, p); err != nil {
		return r.Fail(c.failed(err.Error()))
	}
	return resolve.Done
}

func (m *mod) checkout(r *resolve.Request, q *resolve.Query) resolve.State {
	c := call{m: m, hook: "checkout", fn: m.hooks.checkout, req: r, q: q, state: resolve.Consume}
	c.more = func(v *requests.View) []any {
		p := requests.QueryPacket(v, q.Asked.Name, q.Asked.Type, q.Asked.Class)
		return []any{m.loader.Views.Packet(p), m.loader.Views.Address(q.Server.Addr), q.Server.TCP}
	}
	out, err := c.do()
	return ifFailed(r, out, err)
}

// consume shows an answer. The answer for the client that the hook finds is what it would
// be if the query ended with its outcome; if the hook changes it, it counts.
func (m *mod) consume(r *resolve.Request, q *resolve.Query, msg *wire.Msg) resolve.State {
	before := r.Result
	coming, final := r.Coming(q)
	if final {
		r.Result = coming
	}
	in := m.yielded(r, q, stateOf(q))
	var p *records.Packet
	c := call{m: m, hook: "consume", fn: m.hooks.consume, req: r, q: q, state: in}
	c.more = func(v *requests.View) []any {
		p = packetOf(v, q, msg)
		return []any{m.loader.Views.Packet(p)}
	}
	out, answered, err := m.watched(&c)
	if err != nil {
		return r.Fail(err)
	}
	if final {
		settle(r, before, answered)
	}
	switch {
	case out&resolve.Fail != 0:
		return resolve.Fail
	case out&resolve.Yield != 0 && c.waits():
		return m.yield(&c)
	case out&resolve.Produce != 0 && out != in:
		return q.AskServers()
	case answered && !final && ends(out, q): // whatever else would be asked
		r.Settle()
		q.Outcome = resolve.Outcome{Kind: resolve.NoData, Own: true}
		q.Replace(nil)
	case p != nil && p.Changed():
		if err := replace(q, p); err != nil {
			return r.Fail(c.failed(err.Error()))
		}
	}
	return resolve.Consume
}

// ends tells whether a state that a script returns ends the client's question.
func ends(out resolve.State, q *resolve.Query) bool { return out&resolve.Done != 0 && isClients(q) }

// settle is the end of a hook that saw what the client is to be told: it stays if the
// script has made it the answer; else the result is what it was before, with the extended
// error that the hook may have set.
func settle(r *resolve.Request, before resolve.Result, answered bool) {
	if answered {
		r.Settle()
		return
	}
	before.EDE, before.EDEText = r.Result.EDE, r.Result.EDEText
	r.Result = before
}

// watched calls a hook and tells whether it has changed the answer for the client. A
// changed answer does not count as proven any more.
func (m *mod) watched(c *call) (out resolve.State, answered bool, err error) {
	res := &c.req.Result
	before := res.NoCache
	res.NoCache = false // what changes the Result sets it
	out, err = c.do()
	if answered = res.NoCache; answered {
		res.Rank = min(res.Rank, rank.Auth|rank.Insecure)
	}
	res.NoCache = before || answered
	return out, answered, err
}

// errEnds is why a request fails that a hook fails at its end.
var errEnds = errors.New("a module ends it")

// ended calls a hook that sees the answer to a request.
func (m *mod) ended(r *resolve.Request, hook string, fn *script.Ref, more func(v *requests.View) []any) {
	if r.Vars[met{m}] == nil {
		return
	}
	in := resolve.Done
	if r.Result.Failure != nil {
		in = resolve.Fail
	}
	out, _, err := m.watched(&call{m: m, hook: hook, fn: fn, req: r, post: true, state: in, more: more})
	switch {
	case err != nil:
		r.Result.Fail(err)
	case out&resolve.Fail != 0 && in != resolve.Fail:
		r.Result.Fail(errEnds)
	}
}

// stateOf is the state of a query with an answer: of one that iterate has not looked at,
// one that leads to further questions, and one that it understands.
func stateOf(q *resolve.Query) resolve.State {
	switch q.Outcome.Kind {
	case resolve.Pending, resolve.Lame:
		return resolve.Consume
	case resolve.Referral:
		return resolve.Produce
	}
	return resolve.Done
}

// isClients tells whether a query is for the client's question, or for what its aliases
// lead to.
func isClients(q *resolve.Query) bool {
	for ; q.Parent != nil; q = q.Parent {
		if !q.IsTarget() {
			return false
		}
	}
	return true
}

// waiting is the key of the query at which a hook of the module has returned YIELD.
type waiting struct{ m *mod }

// waits tells whether YIELD means that the hook waits. One that was called with that
// state and returns it has only left it as it is, unless it has pushed a query again.
func (k *call) waits() bool { return k.state != resolve.Yield || k.req.Plan.Current() != k.q }

// yield makes the hook be called again when what it has pushed is solved.
func (m *mod) yield(c *call) resolve.State {
	if c.req.Plan.Current() == c.q {
		return c.req.Fail(c.failed("it returned YIELD and has pushed no query"))
	}
	c.req.Vars[waiting{m}] = c.q
	return resolve.Yield
}

// yielded is the state that a hook is called with: YIELD after it has waited.
func (m *mod) yielded(r *resolve.Request, q *resolve.Query, otherwise resolve.State) resolve.State {
	if r.Vars[waiting{m}] == q && q != nil {
		delete(r.Vars, waiting{m})
		return resolve.Yield
	}
	return otherwise
}
