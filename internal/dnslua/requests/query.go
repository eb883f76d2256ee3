package requests

import (
	"fmt"
	"time"

	"kresd/internal/dnsname"
	"kresd/internal/resolve"
	"kresd/internal/script"
	"kresd/internal/wire"
	"kresd/internal/zonecut"
)

// queryView is one query of a request; q is nil before the resolution began,
// when there is only the request's own question.
type queryView struct {
	r *View
	q *resolve.Query
}

func (v queryView) question() resolve.Question {
	if v.q == nil {
		return v.r.Req.Question
	}
	return v.q.Question
}

func (v queryView) options() *resolve.Options {
	if v.q == nil {
		return &v.r.Req.Options
	}
	return &v.q.Options
}

// forward are the flags that a script keeps for what the query forwards. Here a rule says
// that, so they change nothing; but they are others than the query's own.
func (v queryView) forward() *resolve.Options {
	if v.r.forward == nil {
		v.r.forward = make(map[*resolve.Query]*resolve.Options)
	}
	o := v.r.forward[v.q]
	if o == nil {
		o = &resolve.Options{}
		v.r.forward[v.q] = o
	}
	return o
}

// id counts the queries of a request from 1; 0 for the question that is on no plan.
func (v queryView) id() uint32 {
	if v.q == nil {
		return 0
	}
	return v.q.ID
}

// parent is the query that waits for this one, or nil. The parent of a query for an alias's
// target is that of the query with the alias, as scripts written for Knot Resolver expect.
func (v queryView) parent() *resolve.Query {
	q := v.q
	for q != nil && q.IsTarget() {
		q = q.Parent
	}
	if q == nil {
		return nil
	}
	return q.Parent
}

// aliasParent is the query an alias of which led to this one, or nil.
func (v queryView) aliasParent() *resolve.Query {
	if v.q != nil && v.q.IsTarget() {
		return v.q.Parent
	}
	return nil
}

func (v queryView) timeouts() int {
	if v.q == nil {
		return 0
	}
	return v.q.Timeouts()
}

// Query is what scripts know as a query of a request; nil stands for the question of the
// client before it is on the plan.
func (v *Views) Query(r *View, q *resolve.Query) *script.Handle {
	return &script.Handle{Class: v.query, Value: queryView{r, q}}
}

// queryOrNil is a query that may be missing.
func (v *Views) queryOrNil(r *View, q *resolve.Query) any {
	if q == nil {
		return nil
	}
	return v.Query(r, q)
}

// QueryName is the name of the query in argument i.
func (v *Views) QueryName(c *script.Call, i int) dnsname.Name {
	return v.queryArg(c, i).question().Name
}

// queryArg is the query in argument i.
func (v *Views) queryArg(c *script.Call, i int) queryView {
	q := c.Handle(i, v.query).(queryView)
	q.r.must(c)
	return q
}

func (v *Views) queryClass() *script.Class {
	class := &script.Class{Name: "query", CData: true}
	class.Methods = []script.Func{
		{Name: "name", Min: 1, Max: 1, Fn: func(c *script.Call) error {
			return c.Return(string(v.queryArg(c, 1).question().Name))
		}},
		{Name: "write", Args: "packet", Min: 2, Max: 2, Fn: func(c *script.Call) error {
			q := v.queryArg(c, 1).question()
			if err := v.Ask(c, v.PacketArg(c, 2), 2, string(q.Name), q.Class, q.Type); err != nil {
				return c.Return(nil, v.Failure(err))
			}
			return c.Return(true)
		}},
	}
	fields := v.queryFields()
	class.Get = func(c *script.Call, value any, key any) (any, error) {
		q := value.(queryView)
		q.r.must(c)
		name, _ := key.(string)
		field := fields[name]
		if field == nil {
			return nil, script.NoMember(class, key, "sname", "stype", "sclass", "id", "uid", "flags", "forward_flags", "parent", "cname_parent", "fails",
				"timestamp", "timestamp_mono", "creation_time_mono", "request", "ns", "zone_cut", "stale_cb")
		}
		return field(q), nil
	}
	class.Set = func(c *script.Call, value any, key any) error {
		q := value.(queryView)
		q.r.must(c)
		switch key {
		case "flags":
			*q.options() = v.FlagArg(c, 1)
		case "forward_flags":
			*q.forward() = v.FlagArg(c, 1)
		case "stale_cb":
			return script.Usage("stale_cb is not assigned for a query; serve_stale.callback decides about stale records")
		default:
			return script.Usage("of a query only flags and forward_flags can be assigned")
		}
		return nil
	}
	class.Text = func(value any) string {
		q := value.(queryView)
		if q.r.loan.Over() {
			return "query"
		}
		return fmt.Sprintf("query %s type %d", q.question().Name, q.question().Type)
	}
	return class
}

// queryFields are the fields of a query.
func (v *Views) queryFields() map[string]func(q queryView) any {
	flags := func(q queryView) any {
		return &script.Handle{Class: v.flags, Value: flagSet{r: q.r, options: q.options(), query: q.q}}
	}
	part := func(class *script.Class) func(q queryView) any {
		return func(q queryView) any { return &script.Handle{Class: class, Value: q} }
	}
	milliseconds := func(d time.Duration) any { return float64(d.Milliseconds()) }
	return map[string]func(q queryView) any{
		"sname":  func(q queryView) any { return string(q.question().Name) },
		"stype":  func(q queryView) any { return q.question().Type },
		"sclass": func(q queryView) any { return q.question().Class },
		"id":     func(q queryView) any { return q.id() },
		"uid":    func(q queryView) any { return q.id() },
		"flags":  flags,
		"forward_flags": func(q queryView) any {
			return &script.Handle{Class: v.flags, Value: flagSet{r: q.r, options: q.forward()}}
		},
		"stale_cb":           func(queryView) any { return nil }, // that of serve_stale is everybody's
		"parent":             func(q queryView) any { return v.queryOrNil(q.r, q.parent()) },
		"cname_parent":       func(q queryView) any { return v.queryOrNil(q.r, q.aliasParent()) },
		"fails":              func(q queryView) any { return q.timeouts() },
		"timestamp":          part(v.timestamp),
		"timestamp_mono":     func(q queryView) any { return milliseconds(v.sent(q)) },
		"creation_time_mono": func(q queryView) any { return milliseconds(v.begun(q)) },
		"request":            func(q queryView) any { return v.Handle(q.r) },
		"ns":                 part(v.server),
		"zone_cut":           part(v.cut),
	}
}

// begun is when a query's turn came, and before it the request was shown first, by Mono.
func (v *Views) begun(q queryView) time.Duration {
	if q.q == nil || q.q.Begun.IsZero() {
		return q.r.began
	}
	return v.Now() - time.Since(q.q.Begun)
}

// sent is when a question was sent for a query last; begun where none was.
func (v *Views) sent(q queryView) time.Duration {
	if q.q == nil || q.q.Sent.IsZero() {
		return v.begun(q)
	}
	return v.Now() - time.Since(q.q.Sent)
}

// timestampClass is when a request was accepted.
func timestampClass() *script.Class {
	class := &script.Class{Name: "timestamp", CData: true}
	class.Get = func(c *script.Call, value any, key any) (any, error) {
		req := value.(queryView).r.must(c)
		switch key {
		case "tv_sec":
			return req.Now, nil
		case "tv_usec":
			return 0, nil
		}
		return nil, script.NoMember(class, key, "tv_sec", "tv_usec")
	}
	return class
}

// serverClass is the server that a query asks.
func serverClass() *script.Class {
	class := &script.Class{Name: "name server", CData: true}
	class.Get = func(c *script.Call, value any, key any) (any, error) {
		q := value.(queryView)
		q.r.must(c)
		switch key {
		case "name":
			if ns := serverOf(q.q); ns != nil {
				return string(ns.Name), nil
			}
			return nil, nil
		case "score":
			if q.q != nil {
				return float64(q.q.RTT.Milliseconds()), nil
			}
			return 0, nil
		case "reputation":
			return 0, nil
		}
		return nil, script.NoMember(class, key, "name", "score", "reputation")
	}
	return class
}

// serverOf is the name server whose address a query asks, nil where that is not known.
func serverOf(q *resolve.Query) *zonecut.NameServer {
	if q == nil || q.Cut == nil {
		return nil
	}
	for i := range q.Cut.NS {
		for _, a := range q.Cut.NS[i].Addrs {
			if a == q.Server.Addr.Addr() {
				return &q.Cut.NS[i]
			}
		}
	}
	return nil
}

// cutClass is the zone whose servers a query asks, or that its answer came from.
func (v *Views) cutClass() *script.Class {
	class := &script.Class{Name: "zone cut", CData: true}
	class.Get = func(c *script.Call, value any, key any) (any, error) {
		q := value.(queryView)
		q.r.must(c)
		switch key {
		case "name":
			return zoneOf(q.q), nil
		case "trust_anchor":
			if q.q != nil && q.q.Cut != nil && q.q.Cut.DS != nil && q.q.Cut.DS.Owner == q.q.Cut.Name {
				return v.RRSet(&q.r.loan, wire.RRset{Owner: q.q.Cut.Name, Type: wire.TypeDS, Class: wire.ClassIN, TTL: q.q.Cut.DS.TTL, Data: q.q.Cut.DS.Data}), nil
			}
			return nil, nil
		case "key", "parent":
			return nil, nil // validation keeps them to itself
		}
		return nil, script.NoMember(class, key, "name", "key", "trust_anchor", "parent")
	}
	return class
}

// zoneOf is the apex of a query's zone in wire form, nil where it is not known.
func zoneOf(q *resolve.Query) any {
	switch {
	case q == nil:
		return nil
	case q.Cut != nil:
		return string(q.Cut.Name)
	case q.Outcome.Zone != "":
		return string(q.Outcome.Zone)
	}
	return nil
}
