package policy

import (
	"fmt"
	"net/netip"
	"strings"
	"testing"

	"kresd/internal/dnsname"
	"kresd/internal/ede"
	"kresd/internal/module"
	"kresd/internal/resolve"
	"kresd/internal/transport"
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

func names(t testing.TB, texts ...string) (list []dnsname.Name) {
	for _, text := range texts {
		list = append(list, name(t, text))
	}
	return list
}

// rules is a loaded module with what it logged and the fingerprints it told.
type rules struct {
	*Policy
	t      testing.TB
	inst   *module.Instance
	logged []string
	prints []uint64
}

func newRules(t testing.TB) *rules {
	r := &rules{t: t}
	r.Policy = New(func(s string) { r.logged = append(r.logged, s) }, func(f uint64) { r.prints = append(r.prints, f) })
	var err error
	if r.inst, err = r.Open(); err != nil {
		t.Fatal(err)
	}
	return r
}

func (r *rules) on(f Filter, a *Action) *Entry { return r.Add(&Rule{Filter: f, Action: a}, false) }

func (r *rules) ask(text string, qtype uint16) (*resolve.Request, resolve.State) {
	req := &resolve.Request{Question: resolve.Question{Name: name(r.t, text), Type: qtype, Class: wire.ClassIN},
		Client: netip.MustParseAddrPort("192.0.2.9:5353"), Result: resolve.Result{EDE: ede.None}}
	return req, r.inst.Layer.Begin(req)
}

func (r *rules) fast(text string) module.Verdict {
	return r.inst.Fast(&wire.Question{Name: []byte(name(r.t, text)), Type: wire.TypeA, Class: wire.ClassIN})
}

// told is a result in short: rcode, flags and how many records.
func told(req *resolve.Request, s resolve.State) string {
	switch s {
	case resolve.Produce:
		return "resolve"
	case resolve.Fail:
		return "fail"
	}
	res := &req.Result
	text := fmt.Sprintf("rcode %d, %d/%d/%d", res.Rcode, len(res.Answer), len(res.Authority), len(res.Additional))
	for _, f := range []struct {
		on   bool
		name string
	}{{res.AA, "aa"}, {res.TC, "tc"}, {res.Drop, "silent"}} {
		if f.on {
			text += " " + f.name
		}
	}
	if !res.NoCache {
		text += " KEPT"
	}
	return text
}

func (r *rules) expect(text string, qtype uint16, want string) {
	r.t.Helper()
	if got := told(r.ask(text, qtype)); got != want {
		r.t.Errorf("%s type %d: got %q, want %q", text, qtype, got, want)
	}
}

func TestActionsWithoutParameters(t *testing.T) {
	for _, c := range []struct {
		action *Action
		want   string
		fast   module.Verdict
	}{
		{Pass(), "resolve", module.Pass},
		{Deny(), "rcode 3, 0/1/0 aa", module.Driver},
		{Drop(), "fail", module.Driver},
		{Refuse(), "rcode 5, 0/0/0", module.Driver},
		{Truncate(), "rcode 0, 0/0/0 tc", module.Driver},
		{NoAnswer(), "rcode 0, 0/0/0 silent", module.Drop},
	} {
		r := newRules(t)
		r.on(All(), c.action)
		if got := told(r.ask("www.example.com", wire.TypeA)); got != c.want {
			t.Errorf("%s: got %q, want %q", c.action, got, c.want)
		}
		if got := r.fast("www.example.com"); got != c.fast {
			t.Errorf("%s: the fast verdict is %d, want %d", c.action, got, c.fast)
		}
	}
}

func TestTruncationIsForDatagrams(t *testing.T) {
	r := newRules(t)
	r.on(All(), Truncate())
	req := &resolve.Request{Question: resolve.Question{Name: name(t, "a.b"), Type: wire.TypeA, Class: wire.ClassIN},
		Client: netip.MustParseAddrPort("192.0.2.9:5353"), Transport: transport.Transport{Kind: transport.TCP}}
	if s := r.inst.Layer.Begin(req); s != resolve.Produce || req.Result.TC {
		t.Errorf("a client by TCP was truncated: state %d", s)
	}
}

func TestFilters(t *testing.T) {
	pat, err := Pattern("^\x05dummy\x07example\x02cz")
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		filter Filter
		yes    string
		no     string
	}{
		{All(), ". a.b", ""},
		{Suffix(names(t, "example.com", "net."), ""), "example.com www.EXAMPLE.com a.b.net net", "com badexample.com . example.org"},
		{Suffix(names(t, "."), ""), ". com a.b", ""},
		{Suffix(names(t, "example.cz", "nic.cz", "x.org"), name(t, "cz")), "nic.cz www.example.cz", "cz a.x.org x.org"},
		{Domains(names(t, "example.com")), "example.com", "www.example.com com ."},
		{pat, "dummy.example.cz", "www.example.cz a.dummy.example.cz"},
		{Suffix(nil, ""), "", ". com"},
	} {
		r := newRules(t)
		r.on(c.filter, Deny())
		for _, text := range strings.Fields(c.yes) {
			r.expect(text, wire.TypeA, "rcode 3, 0/1/0 aa")
			if r.fast(text) != module.Driver {
				t.Errorf("%s: %s passed the fast verdict", &c.filter, text)
			}
		}
		for _, text := range strings.Fields(c.no) {
			r.expect(text, wire.TypeA, "resolve")
			if r.fast(text) != module.Pass {
				t.Errorf("%s: %s did not pass the fast verdict", &c.filter, text)
			}
		}
	}
}

// A name that a pattern cannot be decided for in few steps does not slip through.
func TestAnExhaustedPatternFails(t *testing.T) {
	pat, err := Pattern("^.-.-.-x$")
	if err != nil {
		t.Fatal(err)
	}
	r := newRules(t)
	r.on(pat, Deny())
	long := strings.Repeat("abcdefg.", 30) + "org"
	if got := r.fast(long); got != module.Driver {
		t.Errorf("the fast verdict is %d", got)
	}
	r.expect(long, wire.TypeA, "fail")
}

func TestABrokenPatternIsRefused(t *testing.T) {
	if _, err := Pattern("["); err == nil {
		t.Error("Pattern([) has no error")
	}
}

func TestTheFirstRuleThatDecidesEndsTheSearch(t *testing.T) {
	r := newRules(t)
	flags := r.on(All(), SetOptions(resolve.Options{BypassCache: true}, resolve.Options{WholeName: true}))
	pass := r.on(Suffix(names(t, "good.example"), ""), Pass())
	deny := r.on(Suffix(names(t, "example"), ""), Deny())
	req, s := r.ask("www.good.example", wire.TypeA)
	if told(req, s) != "resolve" || req.Options != (resolve.Options{BypassCache: true}) {
		t.Errorf("good.example: %s with options %+v", told(req, s), req.Options)
	}
	r.expect("bad.example", wire.TypeA, "rcode 3, 0/1/0 aa")
	deny.Suspend(true)
	r.expect("bad.example", wire.TypeA, "resolve")
	deny.Suspend(false)
	if flags.Count() != 3 || pass.Count() != 1 || deny.Count() != 1 {
		t.Errorf("counts are %d, %d, %d; want 3, 1, 1", flags.Count(), pass.Count(), deny.Count())
	}
	if flags.ID != 0 || pass.ID != 1 || r.Add(&Rule{Action: Pass()}, true).ID != 3 {
		t.Error("IDs do not count over both lists")
	}
	if !r.Delete(deny.ID) || r.Delete(deny.ID) {
		t.Error("a rule is deleted once")
	}
	r.expect("bad.example", wire.TypeA, "resolve")
}

func TestDenialsExplainThemselves(t *testing.T) {
	r := newRules(t)
	a, err := DenyMessage("go away", 15)
	if err != nil {
		t.Fatal(err)
	}
	r.on(All(), a)
	req, _ := r.ask("www.example.com", wire.TypeMX)
	res := &req.Result
	if len(res.Additional) != 1 || string(res.Additional[0].Data[0]) != "\x07go away" || res.Additional[0].Owner != explanation || res.EDE != 15 {
		t.Errorf("the text is missing: %+v", res)
	}
	soa := res.Authority[0]
	if soa.Owner != req.Name || soa.TTL != 10800 || !strings.HasPrefix(string(soa.Data[0]), string(req.Name)+"\x06nobody\x07invalid\x00\x00\x00\x00\x01") {
		t.Errorf("SOA of %s: %x", soa.Owner, soa.Data)
	}
	if _, err := DenyMessage(strings.Repeat("x", 256), 0); err == nil {
		t.Error("a text of 256 octets was taken")
	}
}

func TestAnswerGivesData(t *testing.T) {
	data := map[uint16]Data{wire.TypeA: {TTL: 7, Data: [][]byte{{192, 0, 2, 1}, {192, 0, 2, 2}}}}
	r := newRules(t)
	r.on(Suffix(names(t, "open.example"), ""), Answer(data, false))
	r.on(Suffix(names(t, "shut.example"), ""), Answer(data, true))
	r.expect("open.example", wire.TypeA, "rcode 0, 1/0/0 aa")
	r.expect("open.example", wire.TypeAAAA, "resolve")
	r.expect("shut.example", wire.TypeAAAA, "rcode 0, 0/1/0 aa")
}

func TestSpecialNames(t *testing.T) {
	r := newRules(t)
	denied, special := "rcode 3, 0/1/1 aa", module.Driver
	for _, c := range []struct {
		name  string
		qtype uint16
		want  string
	}{
		{"a.test", wire.TypeA, denied}, {"onion", wire.TypeA, denied}, {"x.home.arpa", wire.TypeA, denied}, {"printer.local", wire.TypeA, denied},
		{"1.0.0.10.in-addr.arpa", wire.TypePTR, denied}, {"1.1.16.172.in-addr.arpa", wire.TypePTR, denied},
		{"1.127.100.in-addr.arpa", wire.TypePTR, denied}, {"b.e.f.ip6.arpa", wire.TypePTR, denied},
		{"localhost", wire.TypeA, "rcode 0, 1/0/0 aa"}, {"a.localhost", wire.TypeAAAA, "rcode 0, 1/0/0 aa"},
		{"localhost", wire.TypeSOA, "rcode 0, 1/0/0 aa"}, {"localhost", wire.TypeNS, "rcode 0, 1/0/0 aa"},
		{"localhost", wire.TypeMX, "rcode 0, 0/1/0 aa"},
		{"1.0.0.127.in-addr.arpa", wire.TypePTR, "rcode 0, 1/0/0 aa"}, {"0.0.127.in-addr.arpa", wire.TypePTR, "rcode 0, 0/1/0 aa"},
		{"2.0.0.127.in-addr.arpa", wire.TypePTR, "rcode 3, 0/1/0 aa"}, {"127.in-addr.arpa", wire.TypeSOA, "rcode 0, 1/0/0 aa"},
		{loopback6, wire.TypePTR, "rcode 0, 1/0/0 aa"},
	} {
		r.expect(c.name, c.qtype, c.want)
		if got := r.fast(c.name); got != special {
			t.Errorf("%s: fast verdict %d", c.name, got)
		}
	}
	for _, public := range []string{"www.example.com", "testing", "15.172.in-addr.arpa", "128.100.in-addr.arpa", "8.8.8.8.in-addr.arpa", "c.e.f.ip6.arpa", "2.ip6.arpa"} {
		r.expect(public, wire.TypeA, "resolve")
	}
	req, _ := r.ask("www.lab.test", wire.TypeA)
	if soa := req.Result.Authority[0]; soa.Owner != req.Name || soa.TTL != madeUpTTL {
		t.Errorf("the SOA is of %s with TTL %d", soa.Owner, soa.TTL)
	}
	req, _ = r.ask("2.0.0.127.in-addr.arpa", wire.TypePTR)
	if soa := req.Result.Authority[0]; soa.Owner != name(t, "127.in-addr.arpa") || wire.Target(soa.Data[0]) != name(t, "localhost") {
		t.Errorf("a local zone has the SOA %v", soa)
	}
	r.on(Suffix(names(t, "test"), ""), Pass())
	r.expect("a.test", wire.TypeA, "resolve")
	if r.fast("a.test") != module.Pass {
		t.Error("an opened name takes the driver's way")
	}
}

func TestForwardingSetsTheServers(t *testing.T) {
	r := newRules(t)
	fwd, err := Forward([]string{"192.0.2.1", "2001:db8::1@5353"})
	if err != nil {
		t.Fatal(err)
	}
	r.on(All(), fwd)
	req, s := r.ask("www.example.com", wire.TypeA)
	if s != resolve.Produce || !(resolve.Options{Forward: true, WholeName: true}).Within(req.Options) || req.Cut == nil || !req.Cut.Hints || req.Cut.Name != dnsname.Root {
		t.Fatalf("not forwarded: state %d, options %+v, cut %v", s, req.Options, req.Cut)
	}
	if ns := req.Cut.NS; len(ns) != 2 || ns[0].Port != 0 || ns[1].Port != 5353 || ns[1].Addrs[0] != netip.MustParseAddr("2001:db8::1") {
		t.Errorf("servers are %v", req.Cut.NS)
	}
	if again, _ := r.ask("example.org", wire.TypeA); again.Cut != req.Cut {
		t.Error("one rule has two cuts")
	}
	if r.fast("www.example.com") != module.Pass {
		t.Error("a forwarded name must be served from the cache")
	}
}

func TestBadTargetsAreRefusedWithTheirPlace(t *testing.T) {
	for _, c := range []struct{ targets, want string }{
		{"", "no address"}, {"a a a a a", "5 addresses"}, {"192.0.2.1 example.com", "address 2: 'example.com'"}, {"192.0.2.1@0", "port"},
		{"192.0.2.1@65536", "port"}, {"192.0.2.1@", "port"}, {"192.0.2.1 192.0.2.1", "twice"}, {"0.0.0.0", "no server"},
	} {
		_, err := Stub(strings.Fields(c.targets))
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%q: %v, want %q in it", c.targets, err, c.want)
		}
	}
}

// Workers with the same rules use each other's answers, others do not.
func TestFingerprintFollowsForwarding(t *testing.T) {
	make := func(build func(r *rules)) uint64 {
		r := newRules(t)
		build(r)
		return r.Fingerprint()
	}
	forward := func(r *rules, f Filter, addr string) *Entry {
		a, err := Forward([]string{addr})
		if err != nil {
			t.Fatal(err)
		}
		return r.on(f, a)
	}
	one := make(func(r *rules) { forward(r, Suffix(names(t, "a", "b"), ""), "192.0.2.1") })
	for what, other := range map[string]uint64{
		"no rule":        make(func(*rules) {}),
		"another server": make(func(r *rules) { forward(r, Suffix(names(t, "a", "b"), ""), "192.0.2.2") }),
		"other names":    make(func(r *rules) { forward(r, Suffix(names(t, "a"), ""), "192.0.2.1") }),
		"a rule before": make(func(r *rules) {
			r.on(Suffix(names(t, "x.a"), ""), Pass())
			forward(r, Suffix(names(t, "a", "b"), ""), "192.0.2.1")
		}),
		"suspended": make(func(r *rules) { forward(r, Suffix(names(t, "a", "b"), ""), "192.0.2.1").Suspend(true) }),
		"unloaded": make(func(r *rules) {
			forward(r, Suffix(names(t, "a", "b"), ""), "192.0.2.1")
			r.inst.Close()
		}),
	} {
		if other == one {
			t.Errorf("%s: the fingerprint is the same", what)
		}
	}
	if again := make(func(r *rules) {
		forward(r, Suffix(names(t, "b", "a"), ""), "192.0.2.1")
		r.on(All(), Deny())
	}); again != one {
		t.Error("the same forwarding has another fingerprint")
	}
	if make(func(r *rules) { r.on(All(), Deny()) }) != 0 {
		t.Error("rules that forward nothing have a fingerprint")
	}
}

func TestPostrulesSeeTheAnswer(t *testing.T) {
	r := newRules(t)
	r.Add(&Rule{Filter: Suffix(names(t, "example"), ""), Action: Deny()}, true)
	if r.fast("www.example") != module.Driver || r.fast("example.com") != module.Pass {
		t.Error("names with a postrule must take the driver's way, others not")
	}
	req, s := r.ask("www.example", wire.TypeA)
	if s != resolve.Produce {
		t.Fatalf("a postrule was tried before there is an answer")
	}
	req.Result.Answer = []resolve.Set{record(req.Name, wire.TypeA, 60, []byte{192, 0, 2, 1})}
	r.inst.Layer.Finalize(req)
	if got := told(req, resolve.Done); got != "rcode 3, 0/1/0 aa" {
		t.Errorf("after the postrule: %s", got)
	}
}

func TestDebugRulesWriteTheStory(t *testing.T) {
	r := newRules(t)
	r.on(Suffix(names(t, "loud.example"), ""), Debug("DEBUG_ALWAYS", Always))
	r.on(Suffix(names(t, "miss.example"), ""), Debug("DEBUG_CACHE_MISS", CacheMiss))
	r.on(Suffix(names(t, "asked.example"), ""), r.RequestTrace("IPTRACE", true))
	for _, text := range []string{"loud.example", "miss.example", "quiet.example", "asked.example"} {
		req, _ := r.ask(text, wire.TypeA)
		if req.Tell != nil {
			req.Tell(nil, resolve.AliasFollowed{Target: name(t, text)})
		}
		r.inst.Layer.Finish(req)
	}
	if len(r.logged) != 2 || !strings.Contains(r.logged[0], "][iter]   following the alias to loud.example.\n") || !strings.Contains(r.logged[1], "192.0.2.9:5353") {
		t.Errorf("logged %q", r.logged)
	}
}

func TestASuffixSetOfAMillionNames(t *testing.T) {
	if testing.Short() {
		t.Log("with 100,000 names instead")
	}
	n := 1_000_000
	if testing.Short() {
		n = 100_000
	}
	list := make([]dnsname.Name, n)
	for i := range list {
		list[i] = dnsname.Name(fmt.Sprintf("\x07%07d\x03com\x00", i))
	}
	s := newSuffixSet(list)
	var p probe
	for _, c := range []struct {
		text string
		at   int
	}{{"0000000.com", 0}, {"www.0000042.com", 4}, {"com", -1}, {"x.9999999.com", -1}} {
		p.setName(name(t, c.text))
		if at := s.find(&p, false); at != c.at {
			t.Errorf("%s: at %d, want %d", c.text, at, c.at)
		}
	}
}

// The listener's thread asks this for every question.
func TestFastVerdictAllocatesNothing(t *testing.T) {
	r := newRules(t)
	pat, err := Pattern("^\x05dummy.*\x02cz")
	if err != nil {
		t.Fatal(err)
	}
	fwd, err := Forward([]string{"192.0.2.1"})
	if err != nil {
		t.Fatal(err)
	}
	r.on(pat, Deny())
	r.on(Suffix(names(t, "a.example", "b.c.d.example"), name(t, "example")), Deny())
	r.on(Domains(names(t, "a.example", "b.c.d.example")), Deny())
	r.Add(&Rule{Filter: Suffix(names(t, "post.example"), ""), Action: Deny()}, true)
	r.on(Suffix(names(t, "fwd.example"), ""), fwd)
	for _, text := range []string{"www.example.com", strings.Repeat("abcdefg.", 30) + "org", "dummy.x.cz", "x.fwd.example", "x.localhost"} {
		q := &wire.Question{Name: []byte(name(t, text))}
		if n := testing.AllocsPerRun(200, func() { r.inst.Fast(q) }); n != 0 {
			t.Errorf("%s: %v allocations", text, n)
		}
	}
}

func BenchmarkFastVerdict(b *testing.B) {
	r := newRules(b)
	r.on(Suffix(names(b, "a.example", "b.c.d.example"), ""), Deny())
	q := &wire.Question{Name: []byte(name(b, "www.some.example.com"))}
	b.ReportAllocs()
	for b.Loop() {
		r.inst.Fast(q)
	}
}
