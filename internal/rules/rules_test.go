package rules

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"testing"

	"kresd/internal/digest"
	"kresd/internal/dnsname"
	"kresd/internal/ede"
	"kresd/internal/resolve"
	"kresd/internal/wire"
)

func name(t testing.TB, text string) dnsname.Name {
	t.Helper()
	n, err := dnsname.Parse(text)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

func list(t testing.TB, texts ...string) (out []dnsname.Name) {
	for _, text := range texts {
		out = append(out, name(t, text))
	}
	return out
}

func subject(t testing.TB, text string) *Subject {
	s := &Subject{Type: wire.TypeA, Client: netip.MustParseAddrPort("192.0.2.9:5353")}
	if !s.SetName([]byte(name(t, text))) {
		t.Fatalf("%s is no name", text)
	}
	return s
}

// met are the IDs of the rules that a walk meets, and what part of the name each
// means.
func met(st *state, s *Subject) (out []string) {
	for w := st.walk(s); ; {
		m := w.next()
		if m.entry == nil {
			return out
		}
		out = append(out, fmt.Sprintf("%d@%d", m.entry.ID, m.at))
	}
}

// plain is what a rule is for, found without an index: the longest of its names
// that the subject's name is or lies below.
func plain(f *Filter, n dnsname.Name) (at int, yes bool) {
	if f.common != "" && !n.IsSubdomainOf(f.common) {
		return 0, false
	}
	switch f.kind {
	case all:
		return len(n) - 1, true
	case pattern:
		return 0, strings.Contains(string(n), f.pattern)
	}
	for at, zone := 0, n; ; at, zone = at+1+int(zone[0]), zone.Parent() {
		for off := 0; off < len(f.names.octets); off += 1 + int(f.names.octets[off]) {
			if string(f.names.at(uint32(off))) != string(zone) {
				continue
			}
			if f.kind == suffix || f.kind == domains && at == 0 || f.kind == below && at > 0 {
				return at, true
			}
		}
		if zone.IsRoot() {
			return 0, false
		}
	}
}

// The index finds the rules that a look at each of them would find, in their
// order, whatever was added, deleted and switched off before.
func TestTheIndexFindsWhatAWalkFinds(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	labels := []string{"a", "b", "c", "d"}
	random := func() dnsname.Name {
		text := "."
		for range r.IntN(5) {
			text = labels[r.IntN(len(labels))] + "." + strings.TrimPrefix(text, ".")
		}
		return name(t, text)
	}
	filter := func() Filter {
		names := make([]dnsname.Name, 1+r.IntN(4))
		for i := range names {
			names[i] = random()
		}
		switch r.IntN(12) {
		case 0:
			return All()
		case 1:
			f, err := Pattern("a\x01b")
			if err != nil {
				t.Fatal(err)
			}
			return f
		case 2, 3, 4:
			return Domains(names)
		case 5, 6:
			return Below(names)
		case 7:
			return Suffix(names, random())
		}
		return Suffix(names, "")
	}
	for range 30 {
		table := NewTable(nil, nil)
		for id := range 120 {
			e := table.Add(id, &Rule{Filter: filter(), Action: Deny()})
			e.Suspend(r.IntN(8) == 0)
			if r.IntN(5) == 0 {
				table.Delete(r.IntN(id + 1))
			}
			n := random()
			var want []string
			for _, e := range table.Entries() {
				if at, yes := plain(&e.Rule.Filter, n); yes && !e.Suspended() {
					want = append(want, fmt.Sprintf("%d@%d", e.ID, at))
				}
			}
			if got := met(table.state.Load(), subject(t, n.String())); !slices.Equal(got, want) {
				t.Fatalf("%s meets %v, want %v", n, got, want)
			}
		}
	}
}

// A reader keeps the table that it began with.
func TestAnOlderStateDoesNotChange(t *testing.T) {
	table := NewTable(nil, nil)
	table.Add(0, &Rule{Filter: Suffix(list(t, "example"), ""), Action: Deny()})
	old := table.state.Load()
	for id := 1; id < 100; id++ {
		table.Add(id, &Rule{Filter: Suffix(list(t, "example", "www.example", fmt.Sprintf("x%d.example", id)), ""), Action: Deny()})
		if got := met(old, subject(t, "www.example")); !slices.Equal(got, []string{"0@4"}) {
			t.Fatalf("after %d more rules it meets %v", id, got)
		}
	}
	if got := met(table.state.Load(), subject(t, "www.example")); len(got) != 100 || got[1] != "1@0" {
		t.Errorf("the latest meets %v", got)
	}
}

func TestReadersAndAWriter(t *testing.T) {
	table := NewTable(nil, nil)
	done := make(chan struct{})
	var readers sync.WaitGroup
	for range 3 {
		readers.Go(func() {
			s := subject(t, "www.example")
			for n := 0; ; {
				select {
				case <-done:
					return
				default:
				}
				got := len(met(table.state.Load(), s))
				if got < n {
					t.Errorf("%d rules where there were %d", got, n)
				}
				n = got
			}
		})
	}
	for id := range 800 {
		table.Add(id, &Rule{Filter: Suffix(list(t, "example", fmt.Sprintf("n%d.example", id)), ""), Action: Pass()})
	}
	close(done)
	readers.Wait()
}

// many makes a table of n rules, each for a name of its own, as blocklists that
// are read line by line do.
func many(t testing.TB, n int, f func(i int) *Rule) *Table {
	table := NewTable(nil, nil)
	for i := range n {
		table.Add(i, f(i))
	}
	return table
}

func numbered(i int) []dnsname.Name {
	return []dnsname.Name{dnsname.Name(fmt.Sprintf("\x07%07d\x07example\x00", i))}
}

// Twice as many rules cost twice as much, not four times.
func TestAddingIsLinear(t *testing.T) {
	forward, err := Forward([]Server{{Text: "192.0.2.1"}}, nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, n := range []int{1000, 2000, 4000, 8000} {
		table := many(t, n, func(i int) *Rule { return &Rule{Filter: Suffix(numbered(i), ""), Action: forward} })
		s := table.state.Load()
		if cost := s.index.handled + table.sum.mixed; cost > 5*n {
			t.Errorf("%d rules cost %d steps", n, cost)
		}
		if len(s.index.slots) < 2*n {
			t.Errorf("%d names in %d slots: a look-up meets too many others", n, len(s.index.slots))
		}
		if table.Fingerprint() == 0 {
			t.Error("forwarding has no fingerprint")
		}
		sameName := many(t, n, func(int) *Rule { return &Rule{Filter: Suffix(numbered(0), ""), Action: forward} })
		if cost := sameName.state.Load().index.handled; cost > 2*n {
			t.Errorf("%d rules for one name cost %d steps", n, cost)
		}
		for i := range n {
			table.Delete(i)
		}
		if left := len(table.Entries()); left != 0 {
			t.Errorf("%d of %d rules are left", left, n)
		}
		if cost := table.state.Load().index.handled; cost > 8*n {
			t.Errorf("adding and deleting %d rules costs %d steps", n, cost)
		}
	}
}

// counted counts how often a filter is asked.
type counted struct{ asked *int }

func (c counted) Holds(*Subject) (bool, bool) { *c.asked++; return true, true }
func (c counted) Of(*Subject) (uint64, bool)  { return 0, true }
func (c counted) Digest() uint64              { return 7 }

// A question asks the rules that have its name, and no other.
func TestAQuestionLooksAtItsOwnRulesOnly(t *testing.T) {
	asked := 0
	table := many(t, 8000, func(i int) *Rule { return &Rule{Filter: Domains(numbered(i)).If(counted{&asked}), Action: Deny()} })
	for text, want := range map[string]int{"0004711.example": 1, "x.0004711.example": 0, "www.example.com": 0} {
		asked = 0
		if d := table.Decide(subject(t, text)); d.Decision == Answered != (want == 1) || asked != want {
			t.Errorf("%s: decision %d, %d filters were asked, want %d", text, d.Decision, asked, want)
		}
	}
}

// network is what a view says about its clients.
type network netip.Prefix

func (n network) Holds(s *Subject) (bool, bool) { return n.contains(s), true }
func (n network) contains(s *Subject) bool      { return netip.Prefix(n).Contains(s.Client.Addr()) }
func (n network) Of(s *Subject) (uint64, bool)  { return 1, n.contains(s) }
func (n network) Digest() uint64                { return digest.Of(netip.Prefix(n).String()) }

// holding is what rebinding says about answers.
type holding netip.Addr

func (h holding) Of(*Subject) (uint64, bool)    { return 0, true }
func (h holding) Digest() uint64                { return digest.Of(netip.Addr(h).String()) }
func (h holding) Holds(s *Subject) (bool, bool) { return h.isIn(s), true }
func (h holding) isIn(s *Subject) bool {
	if s.Result == nil {
		return true
	}
	for _, set := range s.Result.Answer {
		for _, data := range set.Data {
			if a, ok := netip.AddrFromSlice(data); ok && a == netip.Addr(h) {
				return true
			}
		}
	}
	return false
}

func TestConditionsOfOtherModules(t *testing.T) {
	table := NewTable(nil, nil)
	table.Add(0, &Rule{Filter: All().If(network(netip.MustParsePrefix("10.0.0.0/8"))), Action: Refuse()})
	table.Add(1, &Rule{Filter: Suffix(list(t, "example"), "").If(network(netip.MustParsePrefix("192.0.2.0/24"))), Action: Deny()})
	for client, want := range map[string]Decision{"10.1.2.3:1": Answered, "192.0.2.1:1": Answered, "198.51.100.1:1": GoOn} {
		s := subject(t, "www.example")
		s.Client = netip.MustParseAddrPort(client)
		if d := table.Decide(s); d.Decision != want || !d.Sure {
			t.Errorf("%s: %+v", client, d)
		}
	}
	post := NewTable(nil, nil)
	e := post.Add(0, &Rule{Filter: All().If(holding(netip.MustParseAddr("127.0.0.1"))), Action: Refuse()})
	if !post.Concerns(subject(t, "www.example")) {
		t.Error("a rule about answers that are not known yet is not for the question")
	}
	for addr, want := range map[byte]Decision{1: Answered, 2: GoOn} {
		req := &resolve.Request{Question: resolve.Question{Name: name(t, "www.example"), Type: wire.TypeA}}
		req.Result.Answer = []resolve.Set{Record(req.Name, wire.TypeA, 60, []byte{127, 0, 0, addr})}
		s := SubjectOf(req)
		s.Result = &req.Result
		if d := post.Try(req, s, true); d != want {
			t.Errorf("an answer with 127.0.0.%d: %d", addr, d)
		}
	}
	if e.Count() != 1 {
		t.Errorf("the rule counts %d", e.Count())
	}
}

func TestARuleWithAMillionNames(t *testing.T) {
	n := 1_000_000
	if testing.Short() {
		t.Log("with 100,000 names instead")
		n = 100_000
	}
	names := make([]dnsname.Name, n)
	for i := range names {
		names[i] = dnsname.Name(fmt.Sprintf("\x07%07d\x03com\x00", i))
	}
	table := NewTable(nil, nil)
	table.Add(0, &Rule{Filter: Suffix(names, ""), Action: Deny()})
	for _, c := range []struct{ text, want string }{{"0000000.com", "0@0"}, {"www.0000042.com", "0@4"}, {"com", ""}, {"x.9999999.com", ""}} {
		if got := strings.Join(met(table.state.Load(), subject(t, c.text)), " "); got != c.want {
			t.Errorf("%s: %q, want %q", c.text, got, c.want)
		}
	}
	if s := table.state.Load(); s.index.handled > 4*n {
		t.Errorf("%d names cost %d steps", n, s.index.handled)
	}
}

// Two tables with the same rules in force have one fingerprint, however they came
// to be; other servers, other names, another order make another one.
func TestTheFingerprintIsOfTheRulesInForce(t *testing.T) {
	forward := func(addr string) *Action {
		a, err := Forward([]Server{{Text: addr}}, nil)
		if err != nil {
			t.Fatal(err)
		}
		return a
	}
	a := &Rule{Filter: Suffix(list(t, "a"), ""), Action: forward("192.0.2.1")}
	b := &Rule{Filter: Suffix(list(t, "b"), ""), Action: Pass()}
	c := &Rule{Filter: Suffix(list(t, "c"), ""), Action: forward("192.0.2.3")}
	behind := &Rule{Filter: Suffix(list(t, "d"), ""), Action: Deny()}
	of := func(rules ...*Rule) uint64 {
		table := NewTable(nil, nil)
		for i, r := range rules {
			table.Add(i, r)
		}
		return table.Fingerprint()
	}
	want := of(a, b, c)
	table := NewTable(nil, nil)
	first := table.Add(0, behind)
	second := table.Add(1, a)
	table.Add(2, c)
	table.Delete(2)
	table.Add(3, b)
	table.Add(4, c)
	table.Add(5, behind)
	if table.Fingerprint() == want {
		t.Error("a rule before the others makes no difference")
	}
	if first.Suspend(true); table.Fingerprint() != want {
		t.Error("the rules in force are the same, the fingerprint is not")
	}
	if second.Suspend(true); table.Fingerprint() == want || table.Fingerprint() == 0 {
		t.Error("a rule that forwards no more makes no difference")
	}
	if second.Suspend(false); table.Fingerprint() != want {
		t.Error("the rule is back, the fingerprint is not")
	}
	for what, other := range map[string]uint64{"order": of(c, b, a), "order before": of(b, a, c), "a rule less": of(a, c), "none": of(b, behind),
		"servers":     of(&Rule{Filter: a.Filter, Action: forward("192.0.2.2")}, b, c),
		"a port":      of(&Rule{Filter: a.Filter, Action: forward("192.0.2.1@5353")}, b, c),
		"a condition": of(&Rule{Filter: a.Filter.If(network{}), Action: a.Action}, b, c)} {
		if other == want {
			t.Errorf("%s makes no difference", what)
		}
	}
	if of(b, behind) != 0 || of(a, b, c, behind) != want {
		t.Error("rules that forward nothing count")
	}
}

// A script may call a rule as a function.
func TestARuleIsAskedByItself(t *testing.T) {
	r := &Rule{Filter: Suffix(list(t, "example"), ""), Action: Deny()}
	for text, want := range map[string]*Action{"www.example": r.Action, "example": r.Action, "com": nil} {
		for range 2 {
			if got := r.Choose(&resolve.Request{Question: resolve.Question{Name: name(t, text)}}); got != want {
				t.Errorf("%s: %v", text, got)
			}
		}
	}
}

func TestDecideAllocatesNothing(t *testing.T) {
	a, err := DenyMessage("no", ede.Blocked)
	if err != nil {
		t.Fatal(err)
	}
	table := many(t, 1000, func(i int) *Rule { return &Rule{Filter: Suffix(numbered(i), ""), Action: a} })
	deep := subject(t, strings.Repeat("a.", 100)+"0000007.example")
	for id := range 90 { // more names above the subject than there are cursors
		table.Add(1000+id, &Rule{Filter: Suffix([]dnsname.Name{dnsname.Name(deep.Name()[2*id:])}, ""), Action: Answer(nil, false)})
	}
	table.Decide(deep)
	for _, s := range []*Subject{deep, subject(t, "0000007.example"), subject(t, "www.example.com")} {
		if n := testing.AllocsPerRun(100, func() { table.Decide(s) }); n != 0 {
			t.Errorf("%s: %v allocations", s.Name(), n)
		}
	}
}

func BenchmarkAdd8000(b *testing.B) {
	for b.Loop() {
		many(b, 8000, func(i int) *Rule { return &Rule{Filter: Suffix(numbered(i), ""), Action: Pass()} })
	}
}

func BenchmarkDecide(b *testing.B) {
	for _, n := range []int{10, 8000} {
		table := many(b, n, func(i int) *Rule { return &Rule{Filter: Suffix(numbered(i), ""), Action: Pass()} })
		for _, text := range []string{"www.0000007.example", "www.example.com"} {
			b.Run(fmt.Sprintf("%d rules, %s", n, text), func(b *testing.B) {
				s := subject(b, text)
				b.ReportAllocs()
				for b.Loop() {
					table.Decide(s)
				}
			})
		}
	}
}

// The route of a name to which an alias led is that of the first rule about it which
// says whose servers are asked.
func TestTheRouteOfAName(t *testing.T) {
	must := func(a *Action, err error) *Action {
		if err != nil {
			t.Fatal(err)
		}
		return a
	}
	stub, forward := must(Stub([]Server{{Text: "192.0.2.1"}}, nil)), must(Forward([]Server{{Text: "192.0.2.2"}}, nil))
	asks := func(*resolve.Request) *Action { t.Error("a script is asked about an alias's target"); return nil }
	table := NewTable(func(int, string) string { return "" }, nil)
	for i, r := range []*Rule{
		{Filter: Suffix(list(t, "deny.example."), ""), Action: Deny()},
		{Pick: asks},
		{Filter: Suffix(list(t, "pub.b.example."), ""), Action: Pass()},
		{Filter: Suffix(list(t, "a.example.", "deny.example."), ""), Action: stub},
		{Filter: Suffix(list(t, "b.example."), "").If(network(netip.MustParsePrefix("192.0.2.0/24"))), Action: forward},
		{Filter: Domains(list(t, "off.example.")), Action: forward},
	} {
		table.Add(i, r).Suspend(i == 5)
	}
	for text, want := range map[string]*resolve.Route{
		"x.a.example.":     {Cut: stub.to.cut(), Scope: name(t, "a.example."), Stub: true},
		"a.example.":       {Cut: stub.to.cut(), Scope: name(t, "a.example."), Stub: true},
		"deny.example.":    {Cut: stub.to.cut(), Scope: name(t, "deny.example."), Stub: true},
		"x.b.example.":     {Cut: forward.to.cut(), Scope: name(t, "b.example.")},
		"x.pub.b.example.": {},
		"off.example.":     nil,
		"other.example.":   nil,
	} {
		req := &resolve.Request{Client: netip.MustParseAddrPort("192.0.2.9:53")}
		got := table.Route(req, resolve.Question{Name: name(t, text), Type: wire.TypeA, Class: wire.ClassIN})
		if (got == nil) != (want == nil) || got != nil && *got != *want {
			t.Errorf("%s: %+v, want %+v", text, got, want)
		}
	}
	stranger := &resolve.Request{Client: netip.MustParseAddrPort("198.51.100.9:53")}
	if got := table.Route(stranger, resolve.Question{Name: name(t, "x.b.example."), Type: wire.TypeA, Class: wire.ClassIN}); got != nil {
		t.Errorf("a rule that is for other clients: %+v", got)
	}
}

// What a filter chose is chosen anew at each name; what a script chose is for the
// whole chain.
func TestWhatIsChosenByTheName(t *testing.T) {
	forward, err := Forward([]Server{{Text: "192.0.2.2"}}, nil)
	if err != nil {
		t.Fatal(err)
	}
	for want, r := range map[bool]*Rule{true: {Action: forward}, false: {Pick: func(*resolve.Request) *Action { return forward }}} {
		table := NewTable(func(int, string) string { return "" }, nil)
		table.Add(0, r)
		req := &resolve.Request{Question: resolve.Question{Name: name(t, "www.example."), Type: wire.TypeA, Class: wire.ClassIN}}
		if d := table.Try(req, SubjectOf(req), false); d != Stop || req.Cut != forward.to.cut() || req.ByName != want {
			t.Errorf("decision %d, by the name %v, want %v", d, req.ByName, want)
		}
	}
	req := &resolve.Request{Question: resolve.Question{Name: name(t, "www.example."), Type: wire.TypeA, Class: wire.ClassIN}}
	if forward.Do(&Hit{Req: req, Zone: dnsname.Root}); req.ByName {
		t.Error("an action that a script calls chooses by the name")
	}
}
