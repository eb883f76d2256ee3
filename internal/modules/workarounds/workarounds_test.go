package workarounds

import (
	"slices"
	"testing"

	"kresd/internal/dnslua"
	"kresd/internal/dnsname"
	"kresd/internal/luavalue"
	"kresd/internal/module"
	"kresd/internal/resolve"
)

func load(t *testing.T) *module.Instance {
	t.Helper()
	inst, err := Module(Names{Option: dnslua.OptionByName, Of: dnslua.OptionNames}).Open(nil)
	if err != nil {
		t.Fatal(err)
	}
	return inst
}

func name(t *testing.T, text string) dnsname.Name {
	t.Helper()
	n, err := dnsname.Parse(text)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// produced are the options of a question after the layer saw it.
func produced(t *testing.T, inst *module.Instance, qname string, req resolve.Options, parent *resolve.Query) *resolve.Query {
	t.Helper()
	q := &resolve.Query{Parent: parent, Options: req}
	if parent != nil {
		q.Options = parent.Options
	}
	q.Name = name(t, qname)
	if s := inst.Layer.Produce(&resolve.Request{Options: req}, q); s != resolve.Produce {
		t.Errorf("%s: state %d", qname, s)
	}
	return q
}

func call(t *testing.T, inst *module.Instance, fn string, args ...any) (any, error) {
	t.Helper()
	i := slices.IndexFunc(inst.Functions, func(f module.Function) bool { return f.Name == fn })
	out, err := inst.Functions[i].Fn(args)
	if err != nil {
		return nil, err
	}
	return out[0], nil
}

func TestRulesHoldForTheirSubtree(t *testing.T) {
	inst := load(t)
	if _, err := call(t, inst, "add", "broken.example", luavalue.List("NO_EDNS", "no_minimize")); err != nil {
		t.Fatal(err)
	}
	if _, err := call(t, inst, "add", "fine.broken.example.", "TCP"); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		name string
		want resolve.Options
	}{
		{"a.b.avqs.mcafee.com.", resolve.Options{KeepCase: true}},
		{"AVQS.mcafee.COM.", resolve.Options{KeepCase: true}},
		{"mcafee.com.", resolve.Options{}},
		{"xavqs.mcafee.com.", resolve.Options{}},
		{"broken.example.", resolve.Options{NoEDNS: true, WholeName: true}},
		{"www.broken.example.", resolve.Options{NoEDNS: true, WholeName: true}},
		{"www.fine.broken.example.", resolve.Options{TCPOnly: true}},
		{"example.", resolve.Options{}},
		{".", resolve.Options{}},
	} {
		if got := produced(t, inst, tt.name, resolve.Options{}, nil).Options; got != tt.want {
			t.Errorf("%s is asked with %+v, want %+v", tt.name, got, tt.want)
		}
	}
	if gone, _ := call(t, inst, "del", "broken.example."); gone != true {
		t.Error("the rule was not there")
	}
	if gone, _ := call(t, inst, "del", "broken.example."); gone != false {
		t.Error("the rule is still there")
	}
	if got := produced(t, inst, "broken.example.", resolve.Options{}, nil).Options; got != (resolve.Options{}) {
		t.Errorf("without its rule broken.example. is asked with %+v", got)
	}
}

// An alias that leads out of a rule's subtree leads out of the rule, but keeps
// what the request itself wants.
func TestAnAliasDoesNotCarryARuleAlong(t *testing.T) {
	inst := load(t)
	alias := produced(t, inst, "www.avqs.mcafee.com.", resolve.Options{NoIPv6: true}, nil)
	if got := produced(t, inst, "cdn.example.", resolve.Options{NoIPv6: true}, alias).Options; got != (resolve.Options{NoIPv6: true}) {
		t.Errorf("the target is asked with %+v", got)
	}
	alias = produced(t, inst, "www.avqs.mcafee.com.", resolve.Options{KeepCase: true}, nil)
	if got := produced(t, inst, "cdn.example.", resolve.Options{KeepCase: true}, alias).Options; got != (resolve.Options{KeepCase: true}) {
		t.Errorf("the target is asked with %+v, the request wants KeepCase", got)
	}
}

func TestOptionsAreTakenWholeOrNot(t *testing.T) {
	inst := load(t)
	good := new(luavalue.Table).Add("a.example", "NO_0X20")
	if err := inst.Config(good); err != nil {
		t.Fatal(err)
	}
	for _, bad := range []any{
		"a.example", 1.0,
		new(luavalue.Table).Add("b.example", "TCP").Add("c.example", "CACHED"),
		new(luavalue.Table).Add("b.example", "NO_SUCH_FLAG"),
		new(luavalue.Table).Add("b.example", luavalue.List()),
		new(luavalue.Table).Add("b..example", "TCP"),
		new(luavalue.Table).Add(1.0, "TCP"),
	} {
		if err := inst.Config(bad); err == nil {
			t.Errorf("%v was taken", bad)
		}
	}
	list, err := call(t, inst, "list")
	if err != nil {
		t.Fatal(err)
	}
	rules := list.(*luavalue.Table)
	if len(rules.Pairs) != len(builtin)+1 || rules.Get("a.example.") != "NO_0X20" {
		t.Errorf("rules are %v", rules.Pairs)
	}
}
