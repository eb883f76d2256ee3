package workarounds

import (
	"slices"
	"testing"

	"kresd/internal/dnsname"
	"kresd/internal/luavalue"
	"kresd/internal/module"
	"kresd/internal/resolve"
)

func open(t *testing.T) *module.Instance {
	t.Helper()
	inst, err := Open()
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

// produced are the flags of a question after the layer saw it.
func produced(t *testing.T, inst *module.Instance, qname string, req resolve.Flags, parent *resolve.Query) *resolve.Query {
	t.Helper()
	q := &resolve.Query{Parent: parent, Flags: req}
	if parent != nil {
		q.Flags = parent.Flags
	}
	q.Name = name(t, qname)
	if s := inst.Layer.Produce(&resolve.Request{Flags: req}, q); s != resolve.Produce {
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
	inst := open(t)
	if _, err := call(t, inst, "add", "broken.example", luavalue.List("NO_EDNS", "no_minimize")); err != nil {
		t.Fatal(err)
	}
	if _, err := call(t, inst, "add", "fine.broken.example.", "TCP"); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		name string
		want resolve.Flags
	}{
		{"a.b.avqs.mcafee.com.", resolve.No0x20},
		{"AVQS.mcafee.COM.", resolve.No0x20},
		{"mcafee.com.", 0},
		{"xavqs.mcafee.com.", 0},
		{"broken.example.", resolve.SafeMode | resolve.NoMinimize},
		{"www.broken.example.", resolve.SafeMode | resolve.NoMinimize},
		{"www.fine.broken.example.", resolve.TCP},
		{"example.", 0},
		{".", 0},
	} {
		if got := produced(t, inst, tt.name, 0, nil).Flags; got != tt.want {
			t.Errorf("%s is asked with %v, want %v", tt.name, got.Names(), tt.want.Names())
		}
	}
	if gone, _ := call(t, inst, "del", "broken.example."); gone != true {
		t.Error("the rule was not there")
	}
	if gone, _ := call(t, inst, "del", "broken.example."); gone != false {
		t.Error("the rule is still there")
	}
	if got := produced(t, inst, "broken.example.", 0, nil).Flags; got != 0 {
		t.Errorf("without its rule broken.example. is asked with %v", got.Names())
	}
}

// An alias that leads out of a rule's subtree leads out of the rule, but keeps
// what the request itself wants.
func TestAnAliasDoesNotCarryARuleAlong(t *testing.T) {
	inst := open(t)
	alias := produced(t, inst, "www.avqs.mcafee.com.", resolve.NoIPv6, nil)
	if got := produced(t, inst, "cdn.example.", resolve.NoIPv6, alias).Flags; got != resolve.NoIPv6 {
		t.Errorf("the target is asked with %v", got.Names())
	}
	alias = produced(t, inst, "www.avqs.mcafee.com.", resolve.No0x20, nil)
	if got := produced(t, inst, "cdn.example.", resolve.No0x20, alias).Flags; got != resolve.No0x20 {
		t.Errorf("the target is asked with %v, the request wants NO_0X20", got.Names())
	}
}

func TestOptionsAreTakenWholeOrNot(t *testing.T) {
	inst := open(t)
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
