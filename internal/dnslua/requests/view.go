package requests

import (
	"context"
	"time"

	"kresd/internal/dnslua/records"
	"kresd/internal/dnslua/terms"
	"kresd/internal/resolve"
	"kresd/internal/script"
)

// Views shows requests to scripts: what is called req, query and answer there.
type Views struct {
	*records.Objects
	vm *script.VM
	// The classes of what scripts hold of requests.
	request, query, plan, selected, qsource, upstream, server, timestamp, cut, flags, pool, callback *script.Class
	// Refused is the name that a script gave last and that is none.
	Refused terms.RefusedName
	// Mono is the time of a clock that is never set; nil: it stands still.
	Mono func() time.Duration
}

// NewViews makes it for one machine.
func NewViews(vm *script.VM) *Views {
	v := &Views{Objects: records.NewObjects(), vm: vm}
	v.selected = v.selectedClass()
	v.flags = flagsClass()
	v.qsource = v.qsourceClass()
	v.pool = poolClass()
	v.upstream = v.upstreamClass()
	v.server, v.timestamp = serverClass(), timestampClass()
	v.cut = v.cutClass()
	v.query = v.queryClass()
	v.plan = v.planClass()
	v.callback = callbackClass()
	v.request = v.requestClass()
	return v
}

// Types are the classes by the names that C has for them.
func (v *Views) Types() map[string]*script.Class {
	types := v.Objects.Types()
	types["struct kr_request"], types["struct kr_query"], types["struct kr_qflags"] = v.request, v.query, v.flags
	return types
}

// Describe says what help() calls the classes.
func (v *Views) Describe() {
	v.Objects.Describe(v.vm)
	v.vm.Describe(v.request, "request", "req")
	v.vm.Describe(v.query, "query", "qry")
	v.vm.Describe(v.callback, "callback")
}

// A View is a request while a script may look at it. A script that keeps it
// longer finds it closed.
type View struct {
	Req    *resolve.Request
	loan   records.Loan
	began  time.Duration // when it was shown first, by Mono
	Post   bool          // the Result is an answer
	answer *records.Packet
	common *common
	// current is the query that a layer's hook is called about; nil elsewhere.
	current *resolve.Query
	// state is what a script reads as req.state where a layer says it; 0: StateOf.
	state resolve.State
	// forward are the flags that scripts have set for what a query forwards.
	forward map[*resolve.Query]*resolve.Options
	// trace is what the script wants to hear of the request; nil where it cannot.
	trace *traceLog
}

// common is what a request and the look-ups beside it have for scripts together. It
// belongs to the machine.
type common struct{ vars *script.Ref }

// Heir implements resolve.Heir: a look-up beside a request is shown as a request of its
// own with the same vars().
func (r *View) Heir(of *resolve.Request) any {
	of.Plan.Remember = true
	return &View{Req: of, began: r.began, common: r.common}
}

// At makes a query the one that the script finds worked on.
func (r *View) At(q *resolve.Query) { r.current = q }

// A traceLog is what a script wants to hear of its own request: it has assigned functions to
// req.trace_log, which is told each step, and req.trace_finish, which is told the end. They are called
// when the request has ended, since it cannot wait for the machine at every step.
type traceLog struct {
	each, end *script.Ref
	lines     []string
	octets    int
}

type viewKey struct{}

// Show runs fn on the machine's owner goroutine with a handle to req. The
// request's own goroutine waits, so that the two never touch it together.
func (v *Views) Show(req *resolve.Request, post bool, fn func(c *script.Call, h *script.Handle) error) error {
	req.WillWait() // for the machine
	view := v.Of(req)
	base := req.Context()
	if base == nil || post { // the resolution is over, and its context with it
		base = context.Background()
	}
	return v.vm.Hook(base, func(c *script.Call) error {
		return view.During(post, func() error { return fn(c, v.Handle(view)) })
	})
}

// Of is the view of a request; one request has one.
func (v *Views) Of(req *resolve.Request) *View {
	view, _ := req.Vars[viewKey{}].(*View)
	if view == nil {
		if req.Vars == nil {
			req.Vars = map[any]any{}
		}
		view = &View{Req: req, began: v.Now(), common: &common{}}
		req.Vars[viewKey{}] = view
		req.Plan.Remember = true
	}
	return view
}

// Now is the time of that clock.
func (v *Views) Now() time.Duration {
	if v.Mono == nil {
		return 0
	}
	return v.Mono()
}

// Handle is what scripts know as the request.
func (v *Views) Handle(r *View) *script.Handle { return &script.Handle{Class: v.request, Value: r} }

// During runs fn while the script may look at the request.
func (r *View) During(post bool, fn func() error) error {
	r.Post = post
	return r.loan.During(fn)
}

// State is what the script reads as req.state, and assigns.
func (r *View) State() resolve.State {
	if r.state == 0 {
		return StateOf(r.Post)
	}
	return r.state
}

// SetState makes the script read a layer's state as req.state.
func (r *View) SetState(s resolve.State) { r.state = s }

// must raises an error in the script when it may not look at the request any more, and
// returns the request.
func (r *View) must(c *script.Call) *resolve.Request {
	r.loan.Must(c)
	return r.Req
}

// Arg is the request in argument i.
func (v *Views) Arg(c *script.Call, i int) *View {
	r := c.Handle(i, v.request).(*View)
	r.must(c)
	return r
}

// StateOf is the state that hooks are called with: before resolution there is
// an answer to be found, afterwards there is one.
func StateOf(post bool) resolve.State {
	if post {
		return resolve.Done
	}
	return resolve.Consume
}
