package bindings

import (
	"context"
	"fmt"

	"kresd/internal/ede"
	"kresd/internal/limits"
	"kresd/internal/resolve"
	"kresd/internal/script"
)

// views shows requests to scripts: what is called req, query and answer there.
type views struct {
	vm                                                *script.VM
	request, query, packet, flags, qsource, addr, cut *script.Class
}

func newViews(vm *script.VM) *views {
	v := &views{vm: vm}
	v.flags = flagsClass()
	v.addr = addrClass()
	v.qsource = v.qsourceClass()
	v.cut = cutClass()
	v.query = v.queryClass()
	v.packet = packetClass()
	v.request = v.requestClass()
	return v
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
	if base == nil || post { // the resolution's context ends with it
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

// must returns the request while the script may still look at it.
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

func (v *views) initial(r *reqView) *script.Handle {
	return &script.Handle{Class: v.query, Value: queryView{r, r.req.Root()}}
}

func (v *views) requestClass() *script.Class {
	class := &script.Class{Name: "request"}
	self := func(fn func(c *script.Call, r *reqView) any) func(*script.Call) error {
		return func(c *script.Call) error { return c.Return(fn(c, v.arg(c, 1))) }
	}
	query := func(r *reqView, q *resolve.Query) any {
		if q == nil {
			return nil
		}
		return &script.Handle{Class: v.query, Value: queryView{r, q}}
	}
	class.Methods = []script.Func{
		{Name: "current", Min: 1, Max: 1, Fn: self(func(_ *script.Call, r *reqView) any { return v.initial(r) })},
		{Name: "initial", Min: 1, Max: 1, Fn: self(func(_ *script.Call, r *reqView) any { return v.initial(r) })},
		{Name: "resolved", Min: 1, Max: 1, Fn: self(func(_ *script.Call, r *reqView) any { return query(r, lastSolved(r.req)) })},
		{Name: "last", Min: 1, Max: 1, Fn: self(func(_ *script.Call, r *reqView) any { return query(r, lastSolved(r.req)) })},
		{Name: "vars", Min: 1, Max: 1, Fn: self(func(c *script.Call, r *reqView) any {
			if r.vars == nil {
				r.vars = c.NewTable()
			}
			return r.vars
		})},
		{Name: "ensure_answer", Min: 1, Max: 1, Fn: self(func(_ *script.Call, r *reqView) any { return &script.Handle{Class: v.packet, Value: r} })},
		{Name: "set_extended_error", Args: "code, text", Min: 2, Max: 3, Fn: self(func(c *script.Call, r *reqView) any {
			r.req.Result.EDE, r.req.Result.EDEText = ede.Code(c.Int(2, 0, 0xffff)), c.OptString(3, "")
			return nil
		})},
	}
	fields := []string{"answer", "current_query", "options", "qsource", "rank", "state", "uid"}
	class.Get = func(c *script.Call, value any, key any) (any, error) {
		r := value.(*reqView)
		req := r.must(c)
		switch key {
		case "answer":
			return &script.Handle{Class: v.packet, Value: r}, nil
		case "current_query":
			return v.initial(r), nil
		case "options":
			return &script.Handle{Class: v.flags, Value: flagsView{r, &req.Options}}, nil
		case "qsource":
			return &script.Handle{Class: v.qsource, Value: r}, nil
		case "rank":
			return int(req.Result.Rank), nil
		case "state":
			return int(stateOf(r.post)), nil
		case "uid":
			return req.ID, nil
		}
		return nil, script.NoMember(class, key, fields...)
	}
	class.Text = func(value any) string {
		r := value.(*reqView)
		if !r.open {
			return "request"
		}
		return fmt.Sprintf("request %05d %s type %d", r.req.ID, r.req.Name, r.req.Type)
	}
	return class
}

// stateOf is the state that hooks are called with: before resolution there is
// an answer to be found, afterwards there is one.
func stateOf(post bool) resolve.State {
	if post {
		return resolve.Done
	}
	return resolve.Consume
}

// lastSolved is the request's own query once it has an answer.
func lastSolved(req *resolve.Request) *resolve.Query {
	if q := req.Root(); q != nil && q.Solved {
		return q
	}
	return nil
}

// qsourceClass is where a request came from.
func (v *views) qsourceClass() *script.Class {
	class := &script.Class{Name: "qsource"}
	class.Get = func(c *script.Call, value any, key any) (any, error) {
		r := value.(*reqView)
		req := r.must(c)
		switch key {
		case "addr":
			if !req.Client.IsValid() {
				return nil, nil
			}
			return &script.Handle{Class: v.addr, Value: req.Client}, nil
		case "tcp":
			return req.Transport.Kind.Stream(), nil
		case "flags":
			return &script.Handle{Class: class, Value: r}, nil
		}
		return nil, script.NoMember(class, key, "addr", "tcp", "flags.tcp")
	}
	return class
}
