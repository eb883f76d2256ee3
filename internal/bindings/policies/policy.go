// Package policies is the global policy. Its filters and actions are Go values (package
// rules), so that rules are judged without Lua; functions of scripts become rules and
// actions, too, and only requests that meet those wait for the machine.
package policies

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"kresd/internal/bindings/servers"
	"kresd/internal/dnslua/message"
	"kresd/internal/dnslua/requests"
	"kresd/internal/dnslua/terms"
	"kresd/internal/dnsname"
	"kresd/internal/ede"
	"kresd/internal/limits"
	"kresd/internal/logging"
	"kresd/internal/luavalue"
	"kresd/internal/modules/policy"
	"kresd/internal/modules/view"
	"kresd/internal/resolve"
	"kresd/internal/rules"
	"kresd/internal/script"
	"kresd/internal/wire"
)

// A Host is what the globals control: the modules, whose rules hold functions of scripts.
type Host struct {
	Policy *policy.Policy
	View   *view.View
	Log    *logging.Logger
	// Now is the date.
	Now func() time.Time
	// UseAuthorities takes a file of certificates of authorities into use.
	UseAuthorities func(file string) error
}

// Objects are the globals by the names of their modules: policy, and view, whose rules and
// actions are those of policy.
func Objects(d *Host, v *requests.Views) map[string]func() script.Object {
	p := newPolicies(d, v)
	return map[string]func() script.Object{"policy": p.object, "view": views{p}.object}
}

func newPolicies(d *Host, v *requests.Views) *policies {
	p := &policies{d: d, views: v, reader: servers.Reader{Use: d.UseAuthorities}}
	p.action = &script.Class{Name: "policy action", Call: p.callAction,
		Text: func(v any) string { return v.(*rules.Action).Text() }}
	p.rule = &script.Class{Name: "policy rule", Call: p.callRule,
		Text: func(v any) string { return v.(*rules.Rule).Text() }}
	p.slicer = &script.Class{Name: "slicing function", Call: p.callSlicer}
	p.entry = p.entryClass()
	return p
}

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
	return withColon(script.Object{Name: "policy", Protected: true, Fields: fields, Funcs: p.functions()})
}

// withColon lets the functions of an object be called with a colon, too, as policy:add(…).
func withColon(o script.Object) script.Object {
	for i := range o.Funcs {
		o.Funcs[i].Fn = withoutSelf(o.Name, o.Funcs[i])
		if o.Funcs[i].Max >= 0 {
			o.Funcs[i].Max++ // the object itself
		}
	}
	return o
}

// withoutSelf lets a function be called with a colon, too: the object itself, which
// is then argument 1, is dropped before the arguments are counted.
func withoutSelf(object string, f script.Func) func(c *script.Call) error {
	return func(c *script.Call) error {
		if c.ObjectName(1) == object {
			c.Shift()
		}
		if c.NArgs() < f.Min || f.Max >= 0 && c.NArgs() > f.Max {
			return script.Usage(fmt.Sprintf("wrong number of arguments; usage: %s.%s(%s)", object, f.Name, f.Args))
		}
		return f.Fn(c)
	}
}

func (p *policies) functions() []script.Func {
	return []script.Func{
		{Name: "add", Args: "rule[, postrule]", Min: 1, Max: 2, Fn: p.add},
		{Name: "del", Args: "id", Min: 1, Max: 1, Fn: p.del},
		{Name: "all", Args: "action", Min: 1, Max: 1,
			Fn: func(c *script.Call) error { return p.newRule(c, rules.All()) }},
		{Name: "suffix", Args: "action, { name }", Min: 2, Max: 2,
			Fn: func(c *script.Call) error { return p.newRule(c, rules.Suffix(p.names(c, 2), "")) }},
		{Name: "suffix_common", Args: "action, { name }[, common]", Min: 2, Max: 3,
			Fn: func(c *script.Call) error { return p.newRule(c, rules.Suffix(p.names(c, 2), p.optName(c, 3))) }},
		{Name: "domains", Args: "action, { name }", Min: 2, Max: 2,
			Fn: func(c *script.Call) error { return p.newRule(c, rules.Domains(p.names(c, 2))) }},
		{Name: "pattern", Args: "action, pattern", Min: 2, Max: 2, Fn: p.pattern},
		{Name: "rpz", Args: "action, path[, watch | { watch = boolean, nodata = boolean }]", Min: 2, Max: 3, Fn: p.rpz},
		{Name: "slice", Args: "function(query, count), action, …", Min: 2, Max: -1, Fn: p.slice},
		{Name: "slice_randomize_psl", Args: "[seed]", Max: 1, Fn: p.sliceByDomain},
		{Name: "todnames", Args: "{ name }", Min: 1, Max: 1, Fn: todnames},
		{Name: "DENY_MSG", Args: "text[, extended error]", Min: 1, Max: 2, Fn: p.denyMessage},
		{Name: "FORWARD", Args: "'address[@port]' | 'URL' | { servers }", Min: 1, Max: 1, Fn: p.elsewhere("FORWARD", rules.Forward)},
		{Name: "TLS_FORWARD", Args: "{ { 'address[@port]', pin_sha256 = pins | hostname = names[, ca_file = files] } }", Min: 1, Max: 1, Fn: p.elsewhere("TLS_FORWARD", rules.ForwardTLS)},
		{Name: "STUB", Args: "'address[@port]' | 'URL' | { servers }", Min: 1, Max: 1, Fn: p.elsewhere("STUB", rules.Stub)},
		{Name: "MIRROR", Args: "'address[@port]'", Min: 1, Max: 1, Fn: p.mirror},
		{Name: "REROUTE", Args: "{ [subnet] = target }", Min: 1, Max: 1, Fn: p.reroute},
		{Name: "FLAGS", Args: "names[, names to clear]", Min: 1, Max: 2, Fn: p.flags},
		{Name: "ANSWER", Args: "{ [type] = { rdata = wire, ttl = seconds } }[, nodata]", Min: 1, Max: 2, Fn: p.answer},
		{Name: "DEBUG_IF", Args: "function(req)", Min: 1, Max: 1, Fn: p.debugIf},
	}
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

// names reads a list of names in wire form. A rule would be for fewer names than the list
// was written for where todname has given nil.
func (p *policies) names(c *script.Call, i int) []dnsname.Name {
	t := c.Table(i)
	if why := p.views.Refused.In(c); why != "" && c.Nils(i) > 0 {
		c.ArgError(i, "%s", why)
	}
	list := make([]dnsname.Name, 0, len(t.Pairs))
	for _, v := range t.Values() {
		text, ok := v.(string)
		if !ok {
			c.ArgError(i, "a list of names in wire form expected")
		}
		n, err := terms.WireName(text)
		if err != nil {
			c.ArgError(i, "entry %d: %v", len(list)+1, err)
		}
		list = append(list, n)
	}
	return list
}

func (p *policies) optName(c *script.Call, i int) dnsname.Name {
	if c.IsNil(i) {
		if why := p.views.Refused.In(c); why != "" && c.NArgs() >= i {
			c.ArgError(i, "%s", why)
		}
		return ""
	}
	n, err := terms.WireName(c.Text(i))
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
		servers, err := p.reader.List(c.Arg(1))
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
	text := flagNames(set)
	if clear != (resolve.Options{}) {
		text += ", " + flagNames(clear)
	}
	return p.returnAction(c, rules.SetOptions(set, clear).WithArgs(text))
}

func (p *policies) mirror(c *script.Call) error {
	a, err := policy.Mirror(c.Text(1))
	if err != nil {
		return err
	}
	return p.returnAction(c, a)
}

// reroute takes { [subnet] = target } or a list of { subnet, target }.
func (p *policies) reroute(c *script.Call) error {
	var list rules.Rewrites
	var words []string
	for _, pair := range c.Table(1).Pairs {
		from, to := pair.Key, pair.Value
		if t, ok := to.(*luavalue.Table); ok {
			from, to = t.Get(1.0), t.Get(2.0)
		}
		network, ok := from.(string)
		target, is := to.(string)
		if !ok || !is {
			c.ArgError(1, "networks and their targets expected, as { ['192.0.2.0/24'] = '198.51.100.0' }")
		}
		one, err := rules.NewRewrite(network, target)
		if err != nil {
			c.ArgError(1, "%v", err)
		}
		list = append(list, one)
		words = append(words, fmt.Sprintf("{ %s, %s }", rules.Quoted(network), rules.Quoted(target)))
	}
	return p.returnAction(c, rules.Reroute(list).WithArgs("{ "+strings.Join(words, ", ")+" }"))
}

// flagNames is a list of flags as a configuration has it.
func flagNames(o resolve.Options) string {
	names := terms.OptionNames(o)
	for i := range names {
		names[i] = rules.Quoted(names[i])
	}
	return "{ " + strings.Join(names, ", ") + " }"
}

func (p *policies) answer(c *script.Call) error {
	types := map[uint16]rules.Data{}
	for _, pair := range c.Table(1).Pairs {
		t, ok := pair.Key.(float64)
		if !ok || t < 1 || t > 0xffff || t != float64(uint16(t)) {
			c.ArgError(1, "'%v' is no type; write [kres.type.A] = …", pair.Key)
		}
		data, err := answerData(uint16(t), pair.Value)
		if err != nil {
			c.ArgError(1, "type %d: %v", int(t), err)
		}
		types[uint16(t)] = data
	}
	nodata := c.OptBool(2, false)
	text := answerText(types)
	if nodata {
		text += ", true"
	}
	return p.returnAction(c, rules.Answer(types, nodata).WithArgs(text))
}

// answerText is the data of an answer as a configuration has it, by types, of each the
// first.
func answerText(types map[uint16]rules.Data) string {
	var parts []string
	for _, t := range slices.Sorted(maps.Keys(types)) {
		var words []string
		for i, data := range types[t].Data {
			if i == limits.RuleTextNames {
				words = append(words, fmt.Sprintf("… %d more", len(types[t].Data)-i))
				break
			}
			text := message.DataText(t, data)
			if len(text) > limits.LogValue {
				text = text[:limits.LogValue] + "…"
			}
			words = append(words, rules.Quoted(text))
		}
		key := "kres.type." + terms.TypeText(t)
		if strings.HasPrefix(terms.TypeText(t), "TYPE") {
			key = strconv.Itoa(int(t))
		}
		parts = append(parts, fmt.Sprintf("[%s] = { rdata = kres.parse_rdata({ %s }), ttl = %d }", key, strings.Join(words, ", "), types[t].TTL))
	}
	if len(parts) == 0 {
		return "{}"
	}
	return "{ " + strings.Join(parts, ", ") + " }"
}

func answerData(qtype uint16, v any) (d rules.Data, err error) {
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
	list, err := terms.TextList(t.Get("rdata"))
	if err != nil || len(list) == 0 {
		return d, errors.New("rdata must be octets or a list of them")
	}
	var data [][]byte
	for _, text := range list {
		if len(text) > 0xffff {
			return d, errors.New("rdata is longer than 65535 octets")
		}
		if !wire.Fits(qtype, []byte(text)) {
			return d, fmt.Errorf("the rdata is not laid out as that of %s%s", wire.TypeText(qtype), wireForm(qtype))
		}
		data = append(data, []byte(text))
	}
	return rules.NewData(data, ttl), nil
}

// wireForm is how a script makes the RDATA of a common type.
func wireForm(qtype uint16) string {
	switch qtype {
	case wire.TypeA:
		return "; kres.str2ip('192.0.2.1') makes it"
	case wire.TypeAAAA:
		return "; kres.str2ip('2001:db8::1') makes it"
	case wire.TypeCNAME, wire.TypeNS, wire.TypePTR, wire.TypeDNAME:
		return "; todname('example.com') makes it"
	case wire.TypeTXT:
		return "; each text stands behind an octet that tells its length"
	}
	return "; kres.parse_rdata makes it"
}

// add puts a rule in force.
func (p *policies) add(c *script.Call) error {
	post := c.OptBool(2, false)
	return c.Return(p.entryHandle(p.d.Policy.Add(p.ruleArg(c, 1, post), post)))
}

// ruleArg is the rule in argument i: one that policy.suffix and the like have made, or a
// function of a script.
func (p *policies) ruleArg(c *script.Call, i int, post bool) *rules.Rule {
	switch c.Arg(i).(type) {
	case *script.Handle:
		if v, ok := c.HandleOf(i, p.action); ok {
			c.ArgError(i, "an action says not for which names; policy.all(policy.%s) is a rule for all", v.(*rules.Action))
		}
		return c.Handle(i, p.rule).(*rules.Rule)
	case *script.Ref:
		return p.scripted(c.Function(i), post)
	}
	c.TypeError(i, "policy rule or function")
	return nil
}

// del takes out a rule, of whichever module it is: no two have one ID.
func (p *policies) del(c *script.Call) error {
	id := p.idArg(c, 1)
	return c.Return(p.d.Policy.Delete(id) || p.d.View.Delete(id))
}

// idArg is the ID in argument i, which may be that of a rule in force.
func (p *policies) idArg(c *script.Call, i int) int {
	if v, ok := c.HandleOf(i, p.entry); ok {
		return v.(*rules.Entry).ID
	}
	return c.Int(i, 0, 1<<31)
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
