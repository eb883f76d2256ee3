package policy

import (
	"fmt"
	"net/netip"
	"strings"
	"testing"

	"kresd/internal/dnsname"
	"kresd/internal/ede"
	"kresd/internal/module"
	"kresd/internal/rank"
	"kresd/internal/resolve"
	"kresd/internal/rules"
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

// loaded is a loaded module with what it logged and the fingerprints it told.
type loaded struct {
	*Policy
	t      testing.TB
	inst   *module.Instance
	logged []string
	prints []uint64
}

func newRules(t testing.TB) *loaded {
	r := &loaded{t: t}
	r.Policy = New(func(s string) { r.logged = append(r.logged, s) }, func(f uint64) { r.prints = append(r.prints, f) })
	var err error
	if r.inst, err = r.Open(); err != nil {
		t.Fatal(err)
	}
	return r
}

func (r *loaded) on(f rules.Filter, a *rules.Action) *rules.Entry {
	return r.Add(&rules.Rule{Filter: f, Action: a}, false)
}

func (r *loaded) ask(text string, qtype uint16) (*resolve.Request, resolve.State) {
	req := &resolve.Request{Question: resolve.Question{Name: name(r.t, text), Type: qtype, Class: wire.ClassIN},
		Client: netip.MustParseAddrPort("192.0.2.9:5353"), Result: resolve.Result{EDE: ede.None}}
	return req, r.inst.Layer.Begin(req)
}

// fast is what becomes of a question by UDP on the listener's thread.
func (r *loaded) fast(text string) module.Disposition {
	return r.inst.Fast.Begin(r.query(text, wire.TypeA))
}

func (r *loaded) query(text string, qtype uint16) *module.Query {
	q := &module.Query{Question: &wire.Question{Name: []byte(name(r.t, text)), Type: qtype, Class: wire.ClassIN, UDPSize: 512}}
	q.Subject.Type, q.Subject.Client = qtype, netip.MustParseAddrPort("192.0.2.9:5353")
	q.Subject.SetName(q.Question.Name)
	return q
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

func (r *loaded) expect(text string, qtype uint16, want string) {
	r.t.Helper()
	if got := told(r.ask(text, qtype)); got != want {
		r.t.Errorf("%s type %d: got %q, want %q", text, qtype, got, want)
	}
}

func TestActionsWithoutParameters(t *testing.T) {
	for _, c := range []struct {
		action *rules.Action
		want   string
		fast   module.Disposition
	}{
		{rules.Pass(), "resolve", module.Pass},
		{rules.Deny(), "rcode 3, 0/1/0 aa", module.Answer},
		{rules.Drop(), "fail", module.Driver},
		{rules.Refuse(), "rcode 5, 0/0/0", module.Answer},
		{rules.Truncate(), "rcode 0, 0/0/0 tc", module.Answer},
		{rules.NoAnswer(), "rcode 0, 0/0/0 silent", module.Drop},
	} {
		r := newRules(t)
		r.on(rules.All(), c.action)
		if got := told(r.ask("www.example.com", wire.TypeA)); got != c.want {
			t.Errorf("%s: got %q, want %q", c.action, got, c.want)
		}
		if got := r.fast("www.example.com"); got != c.fast {
			t.Errorf("%s: the disposition is %d, want %d", c.action, got, c.fast)
		}
	}
}

func TestTruncationIsForDatagrams(t *testing.T) {
	r := newRules(t)
	r.on(rules.All(), rules.Truncate())
	req := &resolve.Request{Question: resolve.Question{Name: name(t, "a.b"), Type: wire.TypeA, Class: wire.ClassIN},
		Client: netip.MustParseAddrPort("192.0.2.9:5353"), Transport: transport.Transport{Kind: transport.TCP}}
	if s := r.inst.Layer.Begin(req); s != resolve.Produce || req.Result.TC {
		t.Errorf("a client by TCP was truncated: state %d", s)
	}
}

func TestFilters(t *testing.T) {
	pat, err := rules.Pattern("^\x05dummy\x07example\x02cz")
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		filter rules.Filter
		yes    string
		no     string
	}{
		{rules.All(), ". a.b", ""},
		{rules.Suffix(names(t, "example.com", "net."), ""), "example.com www.EXAMPLE.com a.b.net net", "com badexample.com . example.org"},
		{rules.Suffix(names(t, "."), ""), ". com a.b", ""},
		{rules.Suffix(names(t, "example.cz", "nic.cz", "x.org"), name(t, "cz")), "nic.cz www.example.cz", "cz a.x.org x.org"},
		{rules.Domains(names(t, "example.com")), "example.com", "www.example.com com ."},
		{pat, "dummy.example.cz", "www.example.cz a.dummy.example.cz"},
		{rules.Suffix(nil, ""), "", ". com"},
	} {
		r := newRules(t)
		r.on(c.filter, rules.Deny())
		for _, text := range strings.Fields(c.yes) {
			r.expect(text, wire.TypeA, "rcode 3, 0/1/0 aa")
			if r.fast(text) != module.Answer {
				t.Errorf("%s: %s is not answered by the listener's thread", &c.filter, text)
			}
		}
		for _, text := range strings.Fields(c.no) {
			r.expect(text, wire.TypeA, "resolve")
			if r.fast(text) != module.Pass {
				t.Errorf("%s: %s does not pass the listener's thread", &c.filter, text)
			}
		}
	}
}

// A name that a pattern cannot be decided for in few steps does not slip through.
func TestAnExhaustedPatternFails(t *testing.T) {
	pat, err := rules.Pattern("^.-.-.-x$")
	if err != nil {
		t.Fatal(err)
	}
	r := newRules(t)
	r.on(pat, rules.Deny())
	long := strings.Repeat("abcdefg.", 30) + "org"
	if got := r.fast(long); got != module.Driver {
		t.Errorf("the disposition is %d", got)
	}
	r.expect(long, wire.TypeA, "fail")
}

func TestABrokenPatternIsRefused(t *testing.T) {
	if _, err := rules.Pattern("["); err == nil {
		t.Error("rules.Pattern([) has no error")
	}
}

func TestTheFirstRuleThatDecidesEndsTheSearch(t *testing.T) {
	r := newRules(t)
	flags := r.on(rules.All(), rules.SetOptions(resolve.Options{BypassCache: true}, resolve.Options{WholeName: true}))
	pass := r.on(rules.Suffix(names(t, "good.example"), ""), rules.Pass())
	deny := r.on(rules.Suffix(names(t, "example"), ""), rules.Deny())
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
	if flags.ID != 0 || pass.ID != 1 || r.Add(&rules.Rule{Action: rules.Pass()}, true).ID != 3 {
		t.Error("IDs do not count over both lists")
	}
	if !r.Delete(deny.ID) || r.Delete(deny.ID) {
		t.Error("a rule is deleted once")
	}
	r.expect("bad.example", wire.TypeA, "resolve")
}

func TestDenialsExplainThemselves(t *testing.T) {
	r := newRules(t)
	a, err := rules.DenyMessage("go away", 15)
	if err != nil {
		t.Fatal(err)
	}
	r.on(rules.All(), a)
	req, _ := r.ask("www.example.com", wire.TypeMX)
	res := &req.Result
	if len(res.Additional) != 1 || string(res.Additional[0].Data[0]) != "\x07go away" || res.Additional[0].Owner != name(t, "explanation.invalid") || res.EDE != 15 {
		t.Errorf("the text is missing: %+v", res)
	}
	soa := res.Authority[0]
	if soa.Owner != req.Name || soa.TTL != 10800 || !strings.HasPrefix(string(soa.Data[0]), string(req.Name)+"\x06nobody\x07invalid\x00\x00\x00\x00\x01") {
		t.Errorf("SOA of %s: %x", soa.Owner, soa.Data)
	}
	if _, err := rules.DenyMessage(strings.Repeat("x", 256), 0); err == nil {
		t.Error("a text of 256 octets was taken")
	}
}

func TestAnswerGivesData(t *testing.T) {
	data := map[uint16]rules.Data{wire.TypeA: {TTL: 7, Data: [][]byte{{192, 0, 2, 1}, {192, 0, 2, 2}}}}
	r := newRules(t)
	r.on(rules.Suffix(names(t, "open.example"), ""), rules.Answer(data, false))
	r.on(rules.Suffix(names(t, "shut.example"), ""), rules.Answer(data, true))
	r.expect("open.example", wire.TypeA, "rcode 0, 1/0/0 aa")
	r.expect("open.example", wire.TypeAAAA, "resolve")
	r.expect("shut.example", wire.TypeAAAA, "rcode 0, 0/1/0 aa")
}

func TestSpecialNames(t *testing.T) {
	r := newRules(t)
	denied := "rcode 3, 0/1/1 aa"
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
		if got := r.fast(c.name); got != module.Answer {
			t.Errorf("%s: disposition %d", c.name, got)
		}
	}
	for _, public := range []string{"www.example.com", "testing", "15.172.in-addr.arpa", "128.100.in-addr.arpa", "8.8.8.8.in-addr.arpa", "c.e.f.ip6.arpa", "2.ip6.arpa"} {
		r.expect(public, wire.TypeA, "resolve")
	}
	req, _ := r.ask("www.lab.test", wire.TypeA)
	if soa := req.Result.Authority[0]; soa.Owner != req.Name || soa.TTL != rules.MadeUpTTL {
		t.Errorf("the SOA is of %s with TTL %d", soa.Owner, soa.TTL)
	}
	req, _ = r.ask("2.0.0.127.in-addr.arpa", wire.TypePTR)
	if soa := req.Result.Authority[0]; soa.Owner != name(t, "127.in-addr.arpa") || wire.Target(soa.Data[0]) != name(t, "localhost") {
		t.Errorf("a local zone has the SOA %v", soa)
	}
	r.on(rules.Suffix(names(t, "test"), ""), rules.Pass())
	r.expect("a.test", wire.TypeA, "resolve")
	if r.fast("a.test") != module.Pass {
		t.Error("an opened name takes the driver's way")
	}
}

// plainly are servers that are asked in plain DNS.
func plainly(texts ...string) (list []rules.Server) {
	for _, text := range texts {
		list = append(list, rules.Server{Text: text})
	}
	return list
}

func TestForwardingSetsTheServers(t *testing.T) {
	r := newRules(t)
	fwd, err := rules.Forward(plainly("192.0.2.1", "2001:db8::1@5353"), nil)
	if err != nil {
		t.Fatal(err)
	}
	r.on(rules.All(), fwd)
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
		_, err := rules.Stub(plainly(strings.Fields(c.targets)...), nil)
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%q: %v, want %q in it", c.targets, err, c.want)
		}
	}
}

// Workers with the same rules use each other's answers, others do not.
func TestFingerprintFollowsForwarding(t *testing.T) {
	make := func(build func(r *loaded)) uint64 {
		r := newRules(t)
		build(r)
		return r.Fingerprint()
	}
	forward := func(r *loaded, f rules.Filter, addr string) *rules.Entry {
		a, err := rules.Forward(plainly(addr), nil)
		if err != nil {
			t.Fatal(err)
		}
		return r.on(f, a)
	}
	one := make(func(r *loaded) { forward(r, rules.Suffix(names(t, "a", "b"), ""), "192.0.2.1") })
	for what, other := range map[string]uint64{
		"no rule":        make(func(*loaded) {}),
		"another server": make(func(r *loaded) { forward(r, rules.Suffix(names(t, "a", "b"), ""), "192.0.2.2") }),
		"other names":    make(func(r *loaded) { forward(r, rules.Suffix(names(t, "a"), ""), "192.0.2.1") }),
		"a rule before": make(func(r *loaded) {
			r.on(rules.Suffix(names(t, "x.a"), ""), rules.Pass())
			forward(r, rules.Suffix(names(t, "a", "b"), ""), "192.0.2.1")
		}),
		"suspended": make(func(r *loaded) { forward(r, rules.Suffix(names(t, "a", "b"), ""), "192.0.2.1").Suspend(true) }),
		"unloaded": make(func(r *loaded) {
			forward(r, rules.Suffix(names(t, "a", "b"), ""), "192.0.2.1")
			r.inst.Close()
		}),
	} {
		if other == one {
			t.Errorf("%s: the fingerprint is the same", what)
		}
	}
	if again := make(func(r *loaded) {
		forward(r, rules.Suffix(names(t, "b", "a"), ""), "192.0.2.1")
		r.on(rules.All(), rules.Deny())
	}); again != one {
		t.Error("the same forwarding has another fingerprint")
	}
	if make(func(r *loaded) { r.on(rules.All(), rules.Deny()) }) != 0 {
		t.Error("rules that forward nothing have a fingerprint")
	}
}

func TestPostrulesSeeTheAnswer(t *testing.T) {
	r := newRules(t)
	r.Add(&rules.Rule{Filter: rules.Suffix(names(t, "example"), ""), Action: rules.Deny()}, true)
	if r.fast("www.example") != module.Driver || r.fast("example.com") != module.Pass {
		t.Error("names with a postrule must take the driver's way, others not")
	}
	req, s := r.ask("www.example", wire.TypeA)
	if s != resolve.Produce {
		t.Fatalf("a postrule was tried before there is an answer")
	}
	req.Result.Answer = []resolve.Set{rules.Record(req.Name, wire.TypeA, 60, []byte{192, 0, 2, 1})}
	r.inst.Layer.Finalize(req)
	if got := told(req, resolve.Done); got != "rcode 3, 0/1/0 aa" {
		t.Errorf("after the postrule: %s", got)
	}
}

// A failure is not proven, however well the answer was that a postrule fails on.
func TestAPostruleThatFailsLeavesNothingProven(t *testing.T) {
	r := newRules(t)
	r.Add(&rules.Rule{Filter: rules.All(), Action: rules.Run("function", nil, func(*rules.Hit) rules.Decision { return rules.Failed })}, true)
	req, _ := r.ask("www.example", wire.TypeA)
	req.Result.Answer = []resolve.Set{rules.Record(req.Name, wire.TypeA, 60, []byte{192, 0, 2, 1})}
	req.Result.Rank = rank.Secure | rank.Auth
	r.inst.Layer.Finalize(req)
	if res := &req.Result; res.Rcode != wire.RcodeServFail || len(res.Answer) != 0 || res.Rank.IsSecure() {
		t.Errorf("%+v", res)
	}
}

func TestDebugRulesWriteATranscript(t *testing.T) {
	r := newRules(t)
	r.on(rules.Suffix(names(t, "loud.example"), ""), Debug("DEBUG_ALWAYS", Always))
	r.on(rules.Suffix(names(t, "miss.example"), ""), Debug("DEBUG_CACHE_MISS", CacheMiss))
	r.on(rules.Suffix(names(t, "asked.example"), ""), r.RequestTrace("IPTRACE", true))
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

// The listener's thread asks this for every question.
func TestTheListenersThreadAllocatesNothing(t *testing.T) {
	r := newRules(t)
	pat, err := rules.Pattern("^\x05dummy.*\x02cz")
	if err != nil {
		t.Fatal(err)
	}
	fwd, err := rules.Forward(plainly("192.0.2.1"), nil)
	if err != nil {
		t.Fatal(err)
	}
	r.on(pat, rules.Deny())
	r.on(rules.Suffix(names(t, "a.example", "b.c.d.example"), name(t, "example")), rules.Deny())
	r.on(rules.Domains(names(t, "a.example", "b.c.d.example")), rules.Deny())
	r.Add(&rules.Rule{Filter: rules.Suffix(names(t, "post.example"), ""), Action: rules.Deny()}, true)
	r.on(rules.Suffix(names(t, "fwd.example"), ""), fwd)
	for _, text := range []string{"www.example.com", strings.Repeat("abcdefg.", 30) + "org", "dummy.x.cz", "x.fwd.example", "x.localhost", "x.test", "a.example"} {
		q := r.query(text, wire.TypeA)
		if n := testing.AllocsPerRun(200, func() {
			q.Subject.SetName(q.Question.Name)
			r.inst.Fast.Begin(q)
		}); n != 0 {
			t.Errorf("%s: %v allocations", text, n)
		}
	}
}

// Rules that change a request, or that only a script can judge, are the driver's,
// and so is all that stands behind them.
func TestWhatNeedsARequestTakesTheDriversWay(t *testing.T) {
	deny := rules.Suffix(names(t, "example"), "")
	none := rules.Answer(map[uint16]rules.Data{wire.TypeTXT: {Data: [][]byte{{0}}}}, false)
	for what, first := range map[string]*rules.Rule{
		"flags":               {Action: rules.SetOptions(resolve.Options{BypassCache: true}, resolve.Options{})},
		"a transcript":        {Action: Debug("DEBUG_ALWAYS", Always)},
		"messages":            {Action: QueryTrace()},
		"a function":          {Pick: func(*resolve.Request) *rules.Action { return nil }},
		"a function's action": {Action: rules.Run("function", nil, func(*rules.Hit) rules.Decision { return rules.GoOn })},
		"data of other types": {Action: none},
	} {
		r := newRules(t)
		r.Add(first, false)
		denied := r.on(deny, rules.Deny())
		if got := r.fast("www.example"); got != module.Driver {
			t.Errorf("%s before a denial: disposition %d", what, got)
		}
		r.expect("www.example", wire.TypeA, "rcode 3, 0/1/0 aa")
		if denied.Count() != 1 {
			t.Errorf("%s: the denial counts %d", what, denied.Count())
		}
	}
	r := newRules(t)
	r.Add(&rules.Rule{Action: none}, false)
	if got := r.fast("www.example"); got != module.Pass {
		t.Errorf("ANSWER without the type, and nothing behind it: disposition %d", got)
	}
	if got := r.fast("www.test"); got != module.Driver {
		t.Errorf("ANSWER without the type before a special name: disposition %d", got)
	}
}

// The order of rules decides, on the listener's thread as well.
func TestOrderMattersOnTheListenersThread(t *testing.T) {
	for what, want := range map[string]module.Disposition{"pass deny": module.Pass, "deny pass": module.Answer, "silence deny": module.Drop, "deny silence": module.Answer} {
		r := newRules(t)
		for _, word := range strings.Fields(what) {
			r.on(rules.Suffix(names(t, "example"), ""), map[string]*rules.Action{"pass": rules.Pass(), "deny": rules.Deny(), "silence": rules.NoAnswer()}[word])
		}
		if got := r.fast("www.example"); got != want {
			t.Errorf("%s: disposition %d, want %d", what, got, want)
		}
	}
}

// A rule counts when its answer was given, not when it was foreseen.
func TestARuleCountsAnAnswerThatWasGiven(t *testing.T) {
	r := newRules(t)
	for _, a := range []*rules.Action{rules.Deny(), rules.NoAnswer()} {
		e := r.on(rules.All(), a)
		q := r.query("www.example", wire.TypeA)
		r.inst.Fast.Begin(q)
		if e.Count() != 0 {
			t.Errorf("%s: %d before it was given", a, e.Count())
		}
		if q.Hit(); e.Count() != 1 {
			t.Errorf("%s: %d when it was given", a, e.Count())
		}
		r.Delete(e.ID)
	}
}

func BenchmarkListenersThread(b *testing.B) {
	r := newRules(b)
	r.on(rules.Suffix(names(b, "a.example", "b.c.d.example"), ""), rules.Deny())
	q := r.query("www.some.example.com", wire.TypeA)
	b.ReportAllocs()
	for b.Loop() {
		q.Subject.SetName(q.Question.Name)
		r.inst.Fast.Begin(q)
	}
}
