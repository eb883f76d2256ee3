package dnslua

import (
	"fmt"

	"kresd/internal/ede"
	"kresd/internal/resolve"
	"kresd/internal/script"
)

// NewViews makes it for one machine.
func NewViews(vm *script.VM) *Views {
	v := &Views{vm: vm}
	v.flags = flagsClass()
	v.addr = addrClass()
	v.qsource = v.qsourceClass()
	v.cut = cutClass()
	v.query = v.queryClass()
	v.packet = packetClass()
	v.request = v.requestClass()
	return v
}

// Initial is what scripts know as the query for the question of the client.
func (v *Views) Initial(r *View) *script.Handle {
	return &script.Handle{Class: v.query, Value: queryView{r, r.Req.Root()}}
}

func (v *Views) requestClass() *script.Class {
	class := &script.Class{Name: "request"}
	self := func(fn func(c *script.Call, r *View) any) func(*script.Call) error {
		return func(c *script.Call) error { return c.Return(fn(c, v.Arg(c, 1))) }
	}
	query := func(r *View, q *resolve.Query) any {
		if q == nil {
			return nil
		}
		return &script.Handle{Class: v.query, Value: queryView{r, q}}
	}
	class.Methods = []script.Func{
		{Name: "current", Min: 1, Max: 1, Fn: self(func(_ *script.Call, r *View) any { return v.Initial(r) })},
		{Name: "initial", Min: 1, Max: 1, Fn: self(func(_ *script.Call, r *View) any { return v.Initial(r) })},
		{Name: "resolved", Min: 1, Max: 1, Fn: self(func(_ *script.Call, r *View) any { return query(r, lastSolved(r.Req)) })},
		{Name: "last", Min: 1, Max: 1, Fn: self(func(_ *script.Call, r *View) any { return query(r, lastSolved(r.Req)) })},
		{Name: "vars", Min: 1, Max: 1, Fn: self(func(c *script.Call, r *View) any {
			if r.vars == nil {
				r.vars = c.NewTable()
			}
			return r.vars
		})},
		{Name: "ensure_answer", Min: 1, Max: 1, Fn: self(func(_ *script.Call, r *View) any { return &script.Handle{Class: v.packet, Value: r} })},
		{Name: "set_extended_error", Args: "code, text", Min: 2, Max: 3, Fn: self(func(c *script.Call, r *View) any {
			r.Req.Result.EDE, r.Req.Result.EDEText = ede.Code(c.Int(2, 0, 0xffff)), c.OptString(3, "")
			return nil
		})},
	}
	fields := []string{"answer", "current_query", "options", "qsource", "rank", "state", "uid"}
	class.Get = func(c *script.Call, value any, key any) (any, error) {
		r := value.(*View)
		req := r.must(c)
		switch key {
		case "answer":
			return &script.Handle{Class: v.packet, Value: r}, nil
		case "current_query":
			return v.Initial(r), nil
		case "options":
			return &script.Handle{Class: v.flags, Value: flagSet{r, &req.Options}}, nil
		case "qsource":
			return &script.Handle{Class: v.qsource, Value: r}, nil
		case "rank":
			return int(req.Result.Rank), nil
		case "state":
			return int(StateOf(r.Post)), nil
		case "uid":
			return req.ID, nil
		}
		return nil, script.NoMember(class, key, fields...)
	}
	class.Text = func(value any) string {
		r := value.(*View)
		if !r.open {
			return "request"
		}
		return fmt.Sprintf("request %05d %s type %d", r.Req.ID, r.Req.Name, r.Req.Type)
	}
	return class
}

// StateOf is the state that hooks are called with: before resolution there is
// an answer to be found, afterwards there is one.
func StateOf(post bool) resolve.State {
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
func (v *Views) qsourceClass() *script.Class {
	class := &script.Class{Name: "qsource"}
	class.Get = func(c *script.Call, value any, key any) (any, error) {
		r := value.(*View)
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
