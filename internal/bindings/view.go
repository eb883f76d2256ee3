package bindings

import (
	"context"

	"kresd/internal/limits"
	"kresd/internal/resolve"
	"kresd/internal/script"
)

// views shows requests to scripts: what is called req, query and answer there.
type views struct {
	vm                                                *script.VM
	request, query, packet, flags, qsource, addr, cut *script.Class
	missed                                            missedConstant // what a script read last
}

// reqView is a request while a script may look at it. A script that keeps it
// longer finds it closed.
type reqView struct {
	req     *resolve.Request
	open    bool
	post    bool // the Result is an answer
	section int  // of the answer, that records are put into
	vars    *script.Ref
}

type viewKey struct{}

// show runs fn on the machine's owner goroutine with a handle to req. The
// request's own goroutine waits, so that the two never touch it together.
func (v *views) show(req *resolve.Request, post bool, fn func(c *script.Call, h *script.Handle) error) error {
	view := v.of(req)
	base := req.Context()
	if base == nil || post { // the resolution is over, and its context with it
		base = context.Background()
	}
	ctx, cancel := context.WithTimeout(base, limits.LuaHookTime)
	defer cancel()
	return v.vm.Hook(ctx, func(c *script.Call) error {
		return view.during(post, func() error { return fn(c, v.handle(view)) })
	})
}

// of is the view of a request; one request has one.
func (v *views) of(req *resolve.Request) *reqView {
	view, _ := req.Vars[viewKey{}].(*reqView)
	if view == nil {
		if req.Vars == nil {
			req.Vars = map[any]any{}
		}
		view = &reqView{req: req}
		req.Vars[viewKey{}] = view
	}
	return view
}

func (v *views) handle(r *reqView) *script.Handle { return &script.Handle{Class: v.request, Value: r} }

// during runs fn while the script may look at the request.
func (r *reqView) during(post bool, fn func() error) error {
	r.open, r.post = true, post
	defer func() { r.open = false }()
	return fn()
}

// must returns the request while the script may look at it, and raises an error in the
// script afterwards.
func (r *reqView) must(c *script.Call) *resolve.Request {
	if !r.open {
		c.Raise(script.Usage("this request is over: a request must not be kept beyond the call that gave it"))
	}
	return r.req
}

// arg is the request in argument i.
func (v *views) arg(c *script.Call, i int) *reqView {
	r := c.Handle(i, v.request).(*reqView)
	r.must(c)
	return r
}
