package workarounds

import (
	"slices"
	"strings"
	"testing"

	"kresd/internal/dnslua/terms"
	"kresd/internal/dnsname"
	"kresd/internal/luavalue"
	"kresd/internal/module"
	"kresd/internal/resolve"
)

func load(t *testing.T) *module.Instance {
	t.Helper()
	inst, err := Module(Names{Option: terms.OptionByName, Of: terms.OptionNames}).Open(nil)
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

// A rule may give each option about how servers are asked, and no other.
func TestWhichOptionsARuleMayGive(t *testing.T) {
	inst := load(t)
	for flag, want := range map[string]resolve.Options{
		"NO_0X20": {KeepCase: true}, "NO_EDNS": {NoEDNS: true}, "NO_MINIMIZE": {WholeName: true}, "TCP": {TCPOnly: true}, "NO_IPV4": {NoIPv4: true}, "NO_IPV6": {NoIPv6: true},
		"NO_THROTTLE": {AskSilent: true},
		"CACHED":      {}, "NO_CACHE": {}, "STRICT": {}, "FORWARD": {}, "": {},
	} {
		out, err := call(t, inst, "add", "a.example", flag)
		if (err == nil) != (want != resolve.Options{}) || err == nil && out != true {
			t.Errorf("%s: %v, %v", flag, out, err)
		}
		if got := produced(t, inst, "www.a.example.", resolve.Options{}, nil).Options; err == nil && got != want {
			t.Errorf("%s: asked with %+v", flag, got)
		}
		if err != nil && !strings.Contains(err.Error(), "is no flag for this; there are ") {
			t.Errorf("%s: %v", flag, err)
		}
	}
	if _, err := call(t, inst, "add", "a.example", luavalue.List("TCP", 5.0)); err == nil {
		t.Error("a number is taken for a flag")
	}
}

// Whoever follows a request is told what a rule changed, and nothing where none did.
func TestWhatARuleChangedIsTold(t *testing.T) {
	inst := load(t)
	for name_, want := range map[string]int{"www.avqs.mcafee.com.": 1, "www.example.": 0} {
		told := 0
		req := &resolve.Request{Tell: func(_ *resolve.Query, s resolve.Step) {
			if o, ok := s.(resolve.OptionsSet); !ok || !slices.Equal(o.Names, []string{"NO_0X20"}) {
				t.Errorf("told %+v", s)
			}
			told++
		}}
		if inst.Layer.Produce(req, &resolve.Query{Question: resolve.Question{Name: name(t, name_)}}); told != want {
			t.Errorf("%s: told %d times", name_, told)
		}
	}
}

// The rules of one instance are not those of the next, and are listed in order.
func TestBuiltinRulesStayAsTheyAre(t *testing.T) {
	inst := load(t)
	for _, n := range []string{"z.example", "b.example", "a.example"} {
		if _, err := call(t, inst, "add", n, "TCP"); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := call(t, inst, "del", "avqs.mcafee.com"); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		inst *module.Instance
		want []string
	}{{inst, []string{"a.example.", "avts.mcafee.com.", "b.example.", "z.example."}}, {load(t), []string{"avqs.mcafee.com.", "avts.mcafee.com."}}} {
		list, err := call(t, c.inst, "list")
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, p := range list.(*luavalue.Table).Pairs {
			got = append(got, p.Key.(string))
		}
		if !slices.Equal(got, c.want) {
			t.Errorf("listed %q, want %q", got, c.want)
		}
	}
}
