package dnslua

import (
	"context"

	"kresd/internal/limits"
	"kresd/internal/resolve"
	"kresd/internal/script"
)

// Views shows requests to scripts: what is called req, query and answer there.
type Views struct {
	vm                                                *script.VM
	request, query, packet, flags, qsource, addr, cut *script.Class
	Missed                                            MissedConstant // what a script read last
}

// A View is a request while a script may look at it. A script that keeps it
// longer finds it closed.
type View struct {
	Req     *resolve.Request
	open    bool
	Post    bool // the Result is an answer
	section int  // of the answer, that records are put into
	vars    *script.Ref
}

type viewKey struct{}

// Show runs fn on the machine's owner goroutine with a handle to req. The
// request's own goroutine waits, so that the two never touch it together.
func (v *Views) Show(req *resolve.Request, post bool, fn func(c *script.Call, h *script.Handle) error) error {
	view := v.Of(req)
	base := req.Context()
	if base == nil || post { // the resolution is over, and its context with it
		base = context.Background()
	}
	ctx, cancel := context.WithTimeout(base, limits.LuaHookWait)
	defer cancel()
	return v.vm.Hook(ctx, func(c *script.Call) error {
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
		view = &View{Req: req}
		req.Vars[viewKey{}] = view
	}
	return view
}

// Handle is what scripts know as the request.
func (v *Views) Handle(r *View) *script.Handle { return &script.Handle{Class: v.request, Value: r} }

// Answer is what scripts know as the answer of the request.
func (v *Views) Answer(r *View) *script.Handle { return &script.Handle{Class: v.packet, Value: r} }

// During runs fn while the script may look at the request.
func (r *View) During(post bool, fn func() error) error {
	r.open, r.Post = true, post
	defer func() { r.open = false }()
	return fn()
}

// must returns the request while the script may look at it, and raises an error in the
// script afterwards.
func (r *View) must(c *script.Call) *resolve.Request {
	if !r.open {
		c.Raise(script.Usage("this request is over: a request must not be kept beyond the call that gave it"))
	}
	return r.Req
}

// Arg is the request in argument i.
func (v *Views) Arg(c *script.Call, i int) *View {
	r := c.Handle(i, v.request).(*View)
	r.must(c)
	return r
}
