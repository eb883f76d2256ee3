package dnslua

import (
	"fmt"
	"net/netip"

	"kresd/internal/dnsname"
	"kresd/internal/resolve"
	"kresd/internal/script"
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

func (v *Views) queryClass() *script.Class {
	class := &script.Class{Name: "query"}
	class.Methods = []script.Func{{Name: "name", Min: 1, Max: 1, Fn: func(c *script.Call) error {
		q := c.Handle(1, class).(queryView)
		q.r.must(c)
		return c.Return(string(q.question().Name))
	}}}
	class.Get = func(c *script.Call, value any, key any) (any, error) {
		q := value.(queryView)
		q.r.must(c)
		switch key {
		case "sname":
			return string(q.question().Name), nil
		case "stype":
			return q.question().Type, nil
		case "sclass":
			return q.question().Class, nil
		case "flags":
			return &script.Handle{Class: v.flags, Value: flagSet{q.r, q.options()}}, nil
		case "id", "uid":
			if q.q == nil {
				return 0, nil
			}
			return q.q.ID, nil
		case "parent":
			if q.q == nil || q.q.Parent == nil {
				return nil, nil
			}
			return &script.Handle{Class: class, Value: queryView{q.r, q.q.Parent}}, nil
		case "request":
			return &script.Handle{Class: v.request, Value: q.r}, nil
		case "zone_cut":
			if q.q == nil || q.q.Cut == nil {
				return nil, nil
			}
			return &script.Handle{Class: v.cut, Value: q.q.Cut.Name}, nil
		}
		return nil, script.NoMember(class, key, "sname", "stype", "sclass", "flags", "id", "uid", "parent", "request", "zone_cut")
	}
	class.Text = func(value any) string {
		q := value.(queryView)
		if !q.r.open {
			return "query"
		}
		return fmt.Sprintf("query %s type %d", q.question().Name, q.question().Type)
	}
	return class
}

func cutClass() *script.Class {
	class := &script.Class{Name: "zone cut"}
	class.Get = func(_ *script.Call, value any, key any) (any, error) {
		if key == "name" {
			return string(value.(dnsname.Name)), nil
		}
		return nil, script.NoMember(class, key, "name")
	}
	return class
}

// flagSet is a set of flags that a script reads and changes by name.
type flagSet struct {
	r       *View // nil for a set that belongs to no request
	options *resolve.Options
}

func flagsClass() *script.Class {
	class := &script.Class{Name: "flag set"}
	flag := func(c *script.Call, value any, key any) (flagSet, resolve.Options) {
		v := value.(flagSet)
		if v.r != nil {
			v.r.must(c)
		}
		name, _ := key.(string)
		o, ok := OptionByName(name)
		if !ok {
			c.Raise(script.Usage(fmt.Sprintf("unknown flag '%v'", key)))
		}
		return v, o
	}
	class.Get = func(c *script.Call, value any, key any) (any, error) {
		v, o := flag(c, value, key)
		return o.Within(*v.options), nil
	}
	class.Set = func(c *script.Call, value any, key any) error {
		v, o := flag(c, value, key)
		Turn(v.options, o, c.Bool(1))
		return nil
	}
	return class
}

// addrClass is an address with a port.
func addrClass() *script.Class {
	class := &script.Class{Name: "address"}
	method := func(name string, fn func(netip.AddrPort) any) script.Func {
		return script.Func{Name: name, Min: 1, Max: 1, Fn: func(c *script.Call) error {
			return c.Return(fn(c.Handle(1, class).(netip.AddrPort)))
		}}
	}
	// The numbers of families and lengths are Linux's AF_INET and AF_INET6.
	class.Methods = []script.Func{
		method("ip", func(a netip.AddrPort) any { return string(a.Addr().AsSlice()) }),
		method("port", func(a netip.AddrPort) any { return a.Port() }),
		method("len", func(a netip.AddrPort) any { return len(a.Addr().AsSlice()) }),
		method("family", func(a netip.AddrPort) any {
			if a.Addr().Is4() {
				return 2
			}
			return 10
		}),
	}
	class.Text = func(value any) string {
		a := value.(netip.AddrPort)
		return fmt.Sprintf("%s#%d", a.Addr(), a.Port())
	}
	return class
}
