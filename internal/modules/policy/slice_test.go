package policy

import (
	"fmt"
	"testing"

	"kresd/internal/module"
	"kresd/internal/rules"
	"kresd/internal/wire"
)

func TestNamesBelowOneRegistrableDomainAreInOneSlice(t *testing.T) {
	for text, want := range map[string]string{
		"www.example.com": "example.com.", "example.com": "example.com.", "com": "com.", "a.b.example.co.uk": "example.co.uk.", "co.uk": "co.uk.",
		"x.y.unknown-tld": "y.unknown-tld.", ".": ".", "a.b.github.io": "b.github.io.", `a\.com.example`: `a\.com.example.`, `x.a\.co.uk`: `a\.co.uk.`, `\000.\255.com`: `\255.com.`,
	} {
		n := name(t, text)
		if got := n[registrable([]byte(n)):].String(); got != want {
			t.Errorf("%s: %s, want %s", text, got, want)
		}
	}
}

func TestSlicesAreOfOneSizeAndOthersWithAnotherSeed(t *testing.T) {
	counts, moved := [3]int{}, 0
	one, two := NewByDomain(1), NewByDomain(2)
	var a, b rules.Subject
	for i := range 3000 {
		n := name(t, fmt.Sprintf("domain%d.example", i))
		a.SetName([]byte(n))
		b.SetName([]byte(name(t, fmt.Sprintf("www.x%d.domain%d.example", i, i))))
		slice, _ := one.Slice(&a, 3)
		if other, _ := one.Slice(&b, 3); other != slice {
			t.Fatalf("%s is in slice %d, and a name below it in %d", n, slice, other)
		}
		counts[slice]++
		if other, _ := two.Slice(&a, 3); other != slice {
			moved++
		}
	}
	for i, n := range counts {
		if n < 900 || n > 1100 {
			t.Errorf("slice %d has %d of 3000 names", i, n)
		}
	}
	if moved < 1800 || moved > 2200 {
		t.Errorf("with another seed %d of 3000 names are in other slices", moved)
	}
}

// The list of public suffixes allocates: on the way of cached answers nobody asks it. What is
// answered there was asked before.
func TestSlicesOfUnknownNamesAreNotChosenOnTheWayOfCachedAnswers(t *testing.T) {
	r := newRules(t)
	r.Add(&rules.Rule{Filter: rules.All(), Slices: &rules.Slices{By: NewByDomain(1), Actions: []*rules.Action{rules.Refuse(), rules.Refuse()}}}, false)
	table := r.Policy.rules
	var s rules.Subject
	s.SetName([]byte(name(t, "www.example.co.uk")))
	if n := testing.AllocsPerRun(100, func() { table.Decide(&s) }); n != 0 {
		t.Errorf("%v allocations for a name that is not known", n)
	}
	if d := table.Decide(&s); d.Sure {
		t.Errorf("of a name that is not known: %+v", d)
	}
	if !table.Concerns(&s) {
		t.Error("a name that is not known concerns no rule")
	}
	if got := r.fast("www.example.co.uk."); got != module.Driver {
		t.Errorf("a name that is not known: %v", got)
	}
	if req, _ := r.ask("www.example.co.uk.", wire.TypeA); req.Result.Rcode != wire.RcodeRefused {
		t.Errorf("on the driver's way: RCODE %d", req.Result.Rcode)
	}
	if n := testing.AllocsPerRun(100, func() { table.Decide(&s) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
	if d := table.Decide(&s); !d.Sure || d.Decision != rules.Answered {
		t.Errorf("of a name that is known: %+v", d)
	}
}

// Resolvers are asked for the names of their slices, on a client's question and on the way
// of an alias alike, and what they said is good for the same slices only.
func TestSlicesForward(t *testing.T) {
	forward := func(addr string) *rules.Action {
		a, err := rules.Forward([]rules.Server{{Text: addr}}, &rules.Peers{})
		if err != nil {
			t.Fatal(err)
		}
		return a
	}
	actions := []*rules.Action{forward("192.0.2.1"), forward("192.0.2.2")}
	prints := map[uint64]bool{}
	for seed := range uint64(3) {
		r := newRules(t)
		r.Add(&rules.Rule{Filter: rules.All(), Slices: &rules.Slices{By: NewByDomain(seed), Actions: actions}}, false)
		prints[r.Fingerprint()] = true
		asked := map[string]bool{}
		for i := range 20 {
			req, _ := r.ask(fmt.Sprintf("www.domain%d.com", i), wire.TypeA)
			route := r.inst.Layer.Route(req, req.Question)
			if req.Cut == nil || route == nil || route.Cut != req.Cut || req.Scope != name(t, fmt.Sprintf("domain%d.com", i)) || route.Scope != req.Scope {
				t.Fatalf("%v, scope %s, route %+v", req.Cut, req.Scope, route)
			}
			asked[req.Cut.NS[0].Addrs[0].String()] = true
		}
		if len(asked) != 2 {
			t.Errorf("asked were %v", asked)
		}
	}
	if len(prints) != 3 || prints[0] {
		t.Errorf("fingerprints of three seeds: %v", prints)
	}
}
