package bindings

import (
	"errors"
	"fmt"

	"kresd/internal/dnslua"
	"kresd/internal/dnsname"
	"kresd/internal/ede"
	"kresd/internal/luavalue"
	"kresd/internal/modules/policy"
	"kresd/internal/rules"
	"kresd/internal/script"
)

func newPolicies(d *Daemon, v *dnslua.Views) *policies {
	p := &policies{d: d, views: v}
	p.action = &script.Class{Name: "policy action", Call: p.callAction,
		Text: func(v any) string { return "policy." + v.(*rules.Action).String() }}
	p.rule = &script.Class{Name: "policy rule", Call: p.callRule,
		Text: func(v any) string {
			r := v.(*rules.Rule)
			return fmt.Sprintf("policy.%s(policy.%s)", &r.Filter, r.Action)
		}}
	p.entry = p.entryClass()
	return p
}

// object is the global policy.
func (p *policies) object() script.Object {
	constant := func(a *rules.Action) script.Field {
		h := &script.Handle{Class: p.action, Value: a}
		return script.Field{Name: a.String(), Get: func(*script.Call) (any, error) { return h, nil }}
	}
	list := func(name string, of func() []*rules.Entry) script.Field {
		return script.Field{Name: name, Get: func(*script.Call) (any, error) { return p.entries(of()), nil }}
	}
	pol := p.d.Policy
	fields := []script.Field{
		constant(rules.Pass()),
		constant(rules.Deny()),
		constant(rules.Drop()),
		constant(rules.Refuse()),
		constant(rules.Truncate()),
		constant(rules.NoAnswer()),
		constant(policy.QueryTrace()),
		constant(pol.RequestTrace("REQTRACE", false)),
		constant(pol.RequestTrace("IPTRACE", true)),
		constant(policy.Debug("DEBUG_ALWAYS", policy.Always)),
		constant(policy.Debug("DEBUG_CACHE_MISS", policy.CacheMiss)),
		list("rules", pol.Rules),
		list("postrules", pol.Postrules),
		list("special_names", pol.Special),
	}
	o := script.Object{Name: "policy", Protected: true,
		Fields: fields, Funcs: p.functions()}
	for i := range o.Funcs {
		o.Funcs[i].Fn = withoutSelf(o.Funcs[i])
		o.Funcs[i].Max++ // the object itself in policy:add(…)
	}
	return o
}

// withoutSelf lets a function be called with a colon, too: the object itself, which
// is then argument 1, is dropped before the arguments are counted.
func withoutSelf(f script.Func) func(c *script.Call) error {
	return func(c *script.Call) error {
		if c.ObjectName(1) == "policy" {
			c.Shift()
		}
		if c.NArgs() < f.Min || c.NArgs() > f.Max {
			return script.Usage(fmt.Sprintf("wrong number of arguments; usage: policy.%s(%s)", f.Name, f.Args))
		}
		return f.Fn(c)
	}
}

func (p *policies) functions() []script.Func {
	return funcs(
		script.Func{Name: "add", Args: "rule[, postrule]", Min: 1, Max: 2, Fn: p.add},
		script.Func{Name: "del", Args: "id", Min: 1, Max: 1, Fn: p.del},
		script.Func{Name: "all", Args: "action", Min: 1, Max: 1,
			Fn: func(c *script.Call) error { return p.newRule(c, rules.All()) }},
		script.Func{Name: "suffix", Args: "action, { name }", Min: 2, Max: 2,
			Fn: func(c *script.Call) error { return p.newRule(c, rules.Suffix(names(c, 2), "")) }},
		script.Func{Name: "suffix_common", Args: "action, { name }[, common]", Min: 2, Max: 3,
			Fn: func(c *script.Call) error { return p.newRule(c, rules.Suffix(names(c, 2), optName(c, 3))) }},
		script.Func{Name: "domains", Args: "action, { name }", Min: 2, Max: 2,
			Fn: func(c *script.Call) error { return p.newRule(c, rules.Domains(names(c, 2))) }},
		script.Func{Name: "pattern", Args: "action, pattern", Min: 2, Max: 2, Fn: p.pattern},
		script.Func{Name: "todnames", Args: "{ name }", Min: 1, Max: 1, Fn: todnames},
		script.Func{Name: "DENY_MSG", Args: "text[, extended error]", Min: 1, Max: 2, Fn: p.denyMessage},
		script.Func{Name: "FORWARD", Args: "'address[@port]' | 'URL' | { servers }", Min: 1, Max: 1, Fn: p.elsewhere("FORWARD", rules.Forward)},
		script.Func{Name: "TLS_FORWARD", Args: "{ { 'address[@port]', pin_sha256 = pins | hostname = names[, ca_file = files] } }", Min: 1, Max: 1, Fn: p.elsewhere("TLS_FORWARD", rules.ForwardTLS)},
		script.Func{Name: "STUB", Args: "'address[@port]' | 'URL' | { servers }", Min: 1, Max: 1, Fn: p.elsewhere("STUB", rules.Stub)},
		script.Func{Name: "FLAGS", Args: "names[, names to clear]", Min: 1, Max: 2, Fn: p.flags},
		script.Func{Name: "ANSWER", Args: "{ [type] = { rdata = wire, ttl = seconds } }[, nodata]", Min: 1, Max: 2, Fn: p.answer},
		script.Func{Name: "DEBUG_IF", Args: "function(req)", Min: 1, Max: 1, Fn: p.debugIf},
	)
}

func (p *policies) newRule(c *script.Call, f rules.Filter) error {
	return c.Return(&script.Handle{Class: p.rule, Value: &rules.Rule{Filter: f, Action: p.actionArg(c, 1)}})
}

func (p *policies) pattern(c *script.Call) error {
	f, err := rules.Pattern(c.Text(2))
	if err != nil {
		c.ArgError(2, "%v", err)
	}
	return p.newRule(c, f)
}

// names reads a list of names in wire form.
func names(c *script.Call, i int) []dnsname.Name {
	t := c.Table(i)
	list := make([]dnsname.Name, 0, len(t.Pairs))
	for _, v := range t.Values() {
		text, ok := v.(string)
		if !ok {
			c.ArgError(i, "a list of names in wire form expected")
		}
		n, err := dnslua.WireName(text)
		if err != nil {
			c.ArgError(i, "entry %d: %v", len(list)+1, err)
		}
		list = append(list, n)
	}
	return list
}

func optName(c *script.Call, i int) dnsname.Name {
	if c.IsNil(i) {
		return ""
	}
	n, err := dnslua.WireName(c.Text(i))
	if err != nil {
		c.ArgError(i, "%v", err)
	}
	return n
}

func todnames(c *script.Call) error {
	i := 0
	err := c.Rewrite(1, func(v any) (any, error) {
		i++
		text, ok := v.(string)
		if !ok {
			return nil, fmt.Errorf("policy.todnames: entry %d is no name", i)
		}
		n, err := dnsname.Parse(text)
		if err != nil {
			return nil, fmt.Errorf("policy.todnames: '%s': %w", text, err)
		}
		return string(n), nil
	})
	if err != nil {
		return err
	}
	return c.Return(c.Ref(1))
}

func (p *policies) denyMessage(c *script.Call) error {
	c.NotNil(2, "an extended error expected, such as kres.extended_error.BLOCKED")
	a, err := rules.DenyMessage(c.Text(1), ede.Code(c.OptInt(2, 0, int(ede.None), int(ede.Blocked))))
	if err != nil {
		c.ArgError(1, "%v", err)
	}
	return p.returnAction(c, a)
}

func (p *policies) elsewhere(name string, kind func([]rules.Server, *rules.Peers) (*rules.Action, error)) func(c *script.Call) error {
	return func(c *script.Call) error {
		switch c.Type(1) {
		case "string", "table":
		default:
			c.ArgError(1, "an address or a list of addresses expected")
		}
		servers, err := serverReader{p.d.Encryption.UseAuthorities}.list(c.Arg(1))
		if err != nil {
			return fmt.Errorf("policy.%s: %w", name, err)
		}
		a, err := kind(servers, &p.d.Policy.Peers)
		if err != nil {
			return err
		}
		return p.returnAction(c, a)
	}
}

func (p *policies) flags(c *script.Call) error {
	set, clear := p.views.FlagArg(c, 1), p.views.FlagArg(c, 2)
	return p.returnAction(c, rules.SetOptions(set, clear))
}

func (p *policies) answer(c *script.Call) error {
	types := map[uint16]rules.Data{}
	for _, pair := range c.Table(1).Pairs {
		t, ok := pair.Key.(float64)
		if !ok || t < 1 || t > 0xffff || t != float64(uint16(t)) {
			c.ArgError(1, "'%v' is no type; write [kres.type.A] = …", pair.Key)
		}
		data, err := answerData(pair.Value)
		if err != nil {
			c.ArgError(1, "type %d: %v", int(t), err)
		}
		types[uint16(t)] = data
	}
	return p.returnAction(c, rules.Answer(types, c.OptBool(2, false)))
}

func answerData(v any) (d rules.Data, err error) {
	t, ok := v.(*luavalue.Table)
	if !ok {
		return d, errors.New("{ rdata = wire, ttl = seconds } expected")
	}
	var ttl *uint32
	if v := t.Get("ttl"); v != nil {
		n, ok := v.(float64)
		if !ok || !(n >= 0 && n <= 1<<31-1) || n != float64(uint32(n)) {
			return d, errors.New("ttl must be a whole number of seconds")
		}
		s := uint32(n)
		ttl = &s
	}
	list, err := dnslua.TextList(t.Get("rdata"))
	if err != nil || len(list) == 0 {
		return d, errors.New("rdata must be octets or a list of them")
	}
	var data [][]byte
	for _, text := range list {
		if len(text) > 0xffff {
			return d, errors.New("rdata is longer than 65535 octets")
		}
		data = append(data, []byte(text))
	}
	return rules.NewData(data, ttl), nil
}

// add puts a rule in force: one that policy.suffix and the like have made, or a
// function of a script.
func (p *policies) add(c *script.Call) error {
	post := c.OptBool(2, false)
	var r *rules.Rule
	switch c.Arg(1).(type) {
	case *script.Handle:
		r = c.Handle(1, p.rule).(*rules.Rule)
	case *script.Ref:
		r = p.scripted(c.Function(1), post)
	default:
		c.TypeError(1, "policy rule or function")
	}
	return c.Return(p.entryHandle(p.d.Policy.Add(r, post)))
}

func (p *policies) del(c *script.Call) error {
	id := -1
	if v, ok := c.HandleOf(1, p.entry); ok {
		id = v.(*rules.Entry).ID
	} else {
		id = c.Int(1, 0, 1<<31)
	}
	return c.Return(p.d.Policy.Delete(id))
}

func (p *policies) entryHandle(e *rules.Entry) *script.Handle {
	return &script.Handle{Class: p.entry, Value: e}
}

func (p *policies) entries(list []*rules.Entry) any {
	out := make([]any, len(list))
	for i, e := range list {
		out[i] = p.entryHandle(e)
	}
	return out
}

// entryClass is the class of what policy.add returns: a rule in force, whose count a
// script may read and which it may suspend.
func (p *policies) entryClass() *script.Class {
	class := &script.Class{Name: "rule in force"}
	rule := func(e *rules.Entry) any {
		if e.Rule.Pick != nil {
			return nil
		}
		return &script.Handle{Class: p.rule, Value: e.Rule}
	}
	class.Get = func(_ *script.Call, v any, key any) (any, error) {
		e := v.(*rules.Entry)
		switch key {
		case "id":
			return e.ID, nil
		case "count":
			return e.Count(), nil
		case "suspended":
			if e.Suspended() {
				return true, nil
			}
			return nil, nil
		case "cb":
			return rule(e), nil
		}
		return nil, script.NoMember(class, key, "id", "count", "cb", "suspended")
	}
	class.Set = func(c *script.Call, v any, key any) error {
		if key != "suspended" {
			return script.Usage(fmt.Sprintf("'%v' of a rule cannot be assigned; suspended can", key))
		}
		v.(*rules.Entry).Suspend(!c.IsNil(1) && c.Bool(1))
		return nil
	}
	class.Entries = func(v any) []script.Entry {
		e := v.(*rules.Entry)
		list := []script.Entry{{Key: "id", Value: e.ID}, {Key: "count", Value: e.Count()}, {Key: "cb", Value: rule(e)}}
		if e.Suspended() {
			list = append(list, script.Entry{Key: "suspended", Value: true})
		}
		return list
	}
	return class
}
