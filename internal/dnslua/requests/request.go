package requests

import (
	"errors"
	"fmt"

	"kresd/internal/dnslua/message"
	"kresd/internal/dnslua/records"
	"kresd/internal/ede"
	"kresd/internal/luavalue"
	"kresd/internal/resolve"
	"kresd/internal/script"
	"kresd/internal/transport"
	"kresd/internal/wire"
)

// Initial is what scripts know as the query for the question of the client.
func (v *Views) Initial(r *View) *script.Handle { return v.Query(r, r.Req.Root()) }

// current is the query that is worked on, and that for the client's question while there is
// none.
func (v *Views) current(r *View) *script.Handle {
	if r.current != nil {
		return v.Query(r, r.current)
	}
	if q := r.Req.Plan.Current(); q != nil {
		return v.Query(r, q)
	}
	return v.Initial(r)
}

// toCome tells whether the resolution has not begun. To scripts the client's question waits on
// the plan already then.
func (r *View) toCome() bool { return !r.Post && r.Req.Root() == nil }

func (v *Views) requestClass() *script.Class {
	class := &script.Class{Name: "request", CData: true}
	class.Methods = v.requestMethods()
	fields := v.requestFields()
	class.Get = func(c *script.Call, value any, key any) (any, error) {
		r := value.(*View)
		req := r.must(c)
		name, _ := key.(string)
		field := fields[name]
		if field == nil {
			return nil, script.NoMember(class, key, "answer", "current_query", "state", "options", "rank", "uid", "qsource", "upstream", "has_tls", "rplan",
				"answ_selected", "auth_selected", "add_selected", "pool")
		}
		return field(r, req), nil
	}
	class.Set = func(c *script.Call, value any, key any) error {
		r := value.(*View)
		r.must(c)
		switch key {
		case "trace_log", "trace_finish":
			return v.setTrace(c, r, key)
		case "state":
		default:
			return script.Usage("of a request only state, trace_log and trace_finish can be assigned")
		}
		r.state = resolve.State(c.Int(1, 0, 31))
		return nil
	}
	class.Text = func(value any) string {
		r := value.(*View)
		if r.loan.Over() {
			return "request"
		}
		return fmt.Sprintf("request %05d %s type %d", r.Req.ID, r.Req.Name, r.Req.Type)
	}
	return class
}

// requestFields are the fields of a request.
func (v *Views) requestFields() map[string]func(r *View, req *resolve.Request) any {
	return map[string]func(r *View, req *resolve.Request) any{
		"answer":        func(r *View, _ *resolve.Request) any { return v.Answer(r) },
		"current_query": func(r *View, _ *resolve.Request) any { return v.current(r) },
		"options": func(r *View, req *resolve.Request) any {
			return &script.Handle{Class: v.flags, Value: flagSet{r: r, options: &req.Options}}
		},
		"trace_log":     func(*View, *resolve.Request) any { return nil }, // they are only assigned
		"trace_finish":  func(*View, *resolve.Request) any { return nil },
		"pool":          func(*View, *resolve.Request) any { return &script.Handle{Class: v.pool} },
		"qsource":       func(r *View, _ *resolve.Request) any { return &script.Handle{Class: v.qsource, Value: r} },
		"upstream":      func(r *View, _ *resolve.Request) any { return &script.Handle{Class: v.upstream, Value: r} },
		"rplan":         func(r *View, _ *resolve.Request) any { return &script.Handle{Class: v.plan, Value: r} },
		"rank":          func(_ *View, req *resolve.Request) any { return int(req.Result.Rank) },
		"state":         func(r *View, _ *resolve.Request) any { return int(r.State()) },
		"uid":           func(_ *View, req *resolve.Request) any { return req.ID },
		"has_tls":       func(_ *View, req *resolve.Request) any { return secured(req) },
		"answ_selected": func(r *View, _ *resolve.Request) any { return v.selectedArray(r, 0) },
		"auth_selected": func(r *View, _ *resolve.Request) any { return v.selectedArray(r, 1) },
		"add_selected":  func(r *View, _ *resolve.Request) any { return v.selectedArray(r, 2) },
	}
}

// secured tells whether a question came to us encrypted.
func secured(req *resolve.Request) bool { return req.Transport.Kind.Secured() }

// byHTTP tells whether a question came by HTTP.
func byHTTP(req *resolve.Request) bool {
	return req.Transport.Kind == transport.HTTPS || req.Transport.Kind == transport.HTTP
}

// headers are those of a request by HTTP that the operator wants to see, an array
// of tables with name and value.
func (v *Views) headers(r *View) *script.Handle {
	items := make([]any, len(r.Req.Headers))
	for i, h := range r.Req.Headers {
		items[i] = (&luavalue.Table{}).Add("name", h.Name).Add("value", h.Value)
	}
	return v.Array(&r.loan, items)
}

func (v *Views) requestMethods() []script.Func {
	method := func(name, args string, least, most int, fn func(c *script.Call, r *View) any) script.Func {
		return script.Func{Name: name, Args: args, Min: least + 1, Max: most + 1, Fn: func(c *script.Call) error {
			return c.Return(fn(c, v.Arg(c, 1)))
		}}
	}
	solved := func(r *View) []*resolve.Query { return r.Req.Plan.Solved() }
	return []script.Func{
		method("current", "", 0, 0, func(_ *script.Call, r *View) any { return v.current(r) }),
		method("initial", "", 0, 0, func(_ *script.Call, r *View) any { return v.Initial(r) }),
		method("resolved", "", 0, 0, func(_ *script.Call, r *View) any { return v.queryOrNil(r, lastSolved(r.Req)) }),
		method("first_resolved", "", 0, 0, func(_ *script.Call, r *View) any {
			if list := solved(r); len(list) > 0 {
				return v.Query(r, list[0])
			}
			return v.queryOrNil(r, lastSolved(r.Req))
		}),
		method("last", "", 0, 0, func(_ *script.Call, r *View) any {
			if q := r.Req.Plan.Current(); q != nil || r.toCome() {
				return v.Query(r, q)
			}
			return v.queryOrNil(r, lastSolved(r.Req))
		}),
		method("push", "name, type, class[, flags[, parent]]", 3, 5, v.push),
		method("pop", "query", 1, 1, v.pop),
		method("vars", "", 0, 0, func(c *script.Call, r *View) any {
			if r.common.vars == nil {
				r.common.vars = c.NewTable()
			}
			return r.common.vars
		}),
		method("ensure_answer", "", 0, 0, func(_ *script.Call, r *View) any { return v.Answer(r) }),
		method("selected_tostring", "", 0, 0, func(_ *script.Call, r *View) any { return selectedText(r) }),
		method("set_extended_error", "code[, text]", 1, 2, func(c *script.Call, r *View) any {
			r.Req.Result.EDE, r.Req.Result.EDEText = ede.Code(c.Int(2, 0, 0xffff)), c.OptString(3, "")
			return nil
		}),
	}
}

// push is req:push().
func (v *Views) push(c *script.Call, r *View) any {
	name := v.NameArg(c, 2)
	question := resolve.Question{Name: name, Type: uint16(c.Int(3, 1, 0xffff)), Class: uint16(c.Int(4, 1, 0xffff))}
	options := r.Req.Options
	if !c.IsNil(5) {
		options = options.With(v.FlagArg(c, 5))
	}
	parent := r.current
	if parent == nil {
		parent = r.Req.Plan.Current()
	}
	if !c.IsNil(6) {
		parent = v.queryArg(c, 6).q
	}
	if r.Post {
		c.Raise(script.Usage("nothing can be pushed any more: the request has its answer"))
	}
	q, err := r.Req.Push(parent, question, options)
	if err != nil {
		c.Raise(script.Usage(fmt.Sprintf("%s cannot be asked: %v", question, err)))
	}
	return v.Query(r, q)
}

// errPopped is why a query comes to nothing that a script has taken off the plan.
var errPopped = errors.New("a script has given it up")

// pop is req:pop().
func (v *Views) pop(c *script.Call, r *View) any {
	q := v.queryArg(c, 2)
	if q.r != r {
		c.ArgError(2, "a query of this request expected")
	}
	if q.q == nil || q.q == r.Req.Root() {
		c.ArgError(2, "the client's own question cannot be given up; return kres.FAIL, or make an answer and return kres.DONE")
	}
	r.Req.Plan.Withdraw(q.q, errPopped)
	return nil
}

// lastSolved is the query that was solved last: the request's own once it has an answer.
func lastSolved(req *resolve.Request) *resolve.Query {
	if q := req.Root(); q != nil && q.Solved {
		return q
	}
	if list := req.Plan.Solved(); len(list) > 0 {
		return list[len(list)-1]
	}
	return nil
}

// planClass is req.rplan.
func (v *Views) planClass() *script.Class {
	class := &script.Class{Name: "plan", CData: true}
	queries := func(r *View, list []*resolve.Query) *script.Handle {
		var items []any
		for _, q := range list {
			items = append(items, v.Query(r, q))
		}
		return v.Array(&r.loan, items)
	}
	class.Get = func(c *script.Call, value any, key any) (any, error) {
		r := value.(*View)
		req := r.must(c)
		switch key {
		case "pending":
			if r.toCome() {
				return queries(r, []*resolve.Query{nil}), nil
			}
			return queries(r, req.Plan.Pending()), nil
		case "resolved":
			return queries(r, req.Plan.Solved()), nil
		case "initial":
			return v.Initial(r), nil
		}
		return nil, script.NoMember(class, key, "pending", "resolved", "initial")
	}
	return class
}

// qsourceClass is where a request came from.
func (v *Views) qsourceClass() *script.Class {
	class := &script.Class{Name: "qsource", CData: true}
	class.Get = func(c *script.Call, value any, key any) (any, error) {
		r := value.(*View)
		req := r.must(c)
		switch key {
		case "addr":
			return v.Address(req.Client), nil
		case "dst_addr":
			return v.Address(req.Local), nil
		case "tcp":
			return req.Transport.Kind.Stream(), nil
		case "tls":
			return secured(req), nil
		case "http":
			return byHTTP(req), nil
		case "headers":
			return v.headers(r), nil
		case "flags":
			return &script.Handle{Class: class, Value: r}, nil
		case "packet":
			if p := sourcePacket(r); p != nil {
				return v.Packet(p), nil
			}
			return nil, nil
		case "opt":
			if p := sourcePacket(r); p != nil {
				return v.OPT(p), nil
			}
			return nil, nil
		case "size":
			return len(req.Message), nil
		case "key":
			return nil, nil // TSIG is not served
		}
		return nil, script.NoMember(class, key, "addr", "dst_addr", "packet", "opt", "key", "size", "tcp", "headers", "flags.tcp", "flags.tls", "flags.http")
	}
	return class
}

// poolClass is the memory of a request, which scripts hand to functions of C. Here all
// memory is the machine's: it can be passed on, and does nothing.
func poolClass() *script.Class {
	return &script.Class{Name: "memory pool", CData: true, Get: func(_ *script.Call, _ any, key any) (any, error) {
		return nil, script.Usage(fmt.Sprintf("memory pool: '%v': Lua looks after memory here", key))
	}}
}

// sourcePacket is the message in which the client asked, nil where none did.
func sourcePacket(r *View) *records.Packet {
	if len(r.Req.Message) < wire.HeaderLen {
		return nil
	}
	m := message.Unparsed(r.Req.Message, 0)
	_ = m.Parse() // it was read before
	return records.NewPacket(m, &r.loan)
}

// upstreamClass is the server whose answer a layer sees.
func (v *Views) upstreamClass() *script.Class {
	class := &script.Class{Name: "upstream", CData: true}
	class.Get = func(c *script.Call, value any, key any) (any, error) {
		r := value.(*View)
		q := r.must(c).Plan.Current()
		heard := q != nil && q.Server.Addr.IsValid() && q.RTT > 0
		switch key {
		case "addr":
			if heard {
				return v.Address(q.Server.Addr), nil
			}
			return nil, nil
		case "rtt":
			if heard {
				return float64(q.RTT.Milliseconds()), nil
			}
			return 0, nil
		}
		return nil, script.NoMember(class, key, "addr", "rtt")
	}
	return class
}
