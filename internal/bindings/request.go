package bindings

import (
	"fmt"

	"kresd/internal/ede"
	"kresd/internal/resolve"
	"kresd/internal/script"
)

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
