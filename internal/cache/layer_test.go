package cache

import (
	"testing"

	"kresd/internal/dnsname"
	"kresd/internal/limits"
	"kresd/internal/rank"
	"kresd/internal/resolve"
	"kresd/internal/wire"
	"kresd/internal/zonecut"
)

func TestTTLCountsDown(t *testing.T) {
	w := newWorld(t)
	q := question(t, "www.example.", wire.TypeA)
	w.learn(q, positive(rrset(t, insecure, "www.example.", wire.TypeA, 100, "\x01\x02\x03\x04")))
	for _, c := range []struct {
		pass int
		ttl  uint32
	}{{0, 100}, {30, 70}, {69, 1}} {
		w.pass(c.pass)
		o := w.peek(q)
		if o.Kind != resolve.Positive || o.Answer[0].TTL != c.ttl || !o.Cached || !o.Answer[0].Cached {
			t.Errorf("after %d s more: %+v, want TTL %d", c.pass, o, c.ttl)
		}
	}
	w.pass(1)
	if o := w.peek(q); o.Kind != resolve.Pending {
		t.Errorf("found after its end: %+v", o)
	}
}

func TestClockThatJumps(t *testing.T) {
	q := question(t, "www.example.", wire.TypeA)
	for _, c := range []struct {
		jump int
		ttl  uint32 // 0: not found
	}{{-1, 100}, {-3600, 100}, {-86400, 100}, {-86401, 0}, {-365 * 86400, 0}, {365 * 86400, 0}, {40, 60}} {
		w := newWorld(t)
		w.learn(q, positive(rrset(t, insecure, "www.example.", wire.TypeA, 100, "\x01\x02\x03\x04")))
		w.answered(q, resultOf(insecure, rrset(t, insecure, "www.example.", wire.TypeA, 100, "\x01\x02\x03\x04")))
		w.Keep(cut(t, "example.", w.now()+100), w.now())
		w.pass(c.jump)
		var ttl, fast uint32
		if o := w.peek(q); o.Kind == resolve.Positive {
			ttl = o.Answer[0].TTL
		}
		if m, ok := w.ask(q, client{}); ok {
			fast = m.Answer[0].TTL
		}
		if ttl != c.ttl || fast != c.ttl {
			t.Errorf("clock moved by %d s: TTL %d and %d, want %d", c.jump, ttl, fast, c.ttl)
		}
		var left int64
		if cut := w.Closest(q.Name, w.now()); cut != nil {
			left = cut.Expires - w.now()
		}
		if left != int64(c.ttl) {
			t.Errorf("clock moved by %d s: delegation lives %d s, want %d", c.jump, left, c.ttl)
		}
	}
}

func TestTTLLimits(t *testing.T) {
	w := newWorld(t)
	if err := w.SetMaxTTL(600); err != nil {
		t.Fatal(err)
	}
	if err := w.SetMinTTL(300); err != nil {
		t.Fatal(err)
	}
	if w.SetMinTTL(601) == nil || w.SetMaxTTL(299) == nil {
		t.Error("limits may cross")
	}
	q := question(t, "www.example.", wire.TypeA)
	for _, c := range []struct{ ttl, want uint32 }{{0, 300}, {299, 300}, {400, 400}, {3600, 600}} {
		query := w.learn(q, positive(rrset(t, insecure, "www.example.", wire.TypeA, c.ttl, "\x01\x02\x03\x04")))
		if got := query.Outcome.Answer[0].TTL; got != c.want {
			t.Errorf("first answer with TTL %d: %d, want %d", c.ttl, got, c.want)
		}
		if o := w.peek(q); o.Kind != resolve.Positive || o.Answer[0].TTL != c.want {
			t.Errorf("cached answer with TTL %d: %+v, want %d", c.ttl, o, c.want)
		}
	}
	w.Swap(newMemStore())
	if w.MinTTL() != limits.DefaultMinTTL || w.MaxTTL() != limits.DefaultMaxTTL {
		t.Errorf("opening keeps limits %d and %d", w.MinTTL(), w.MaxTTL())
	}
}

func TestTTLZeroIsNotKept(t *testing.T) {
	w := newWorld(t)
	if err := w.SetMinTTL(0); err != nil {
		t.Fatal(err)
	}
	q := question(t, "www.example.", wire.TypeA)
	a := rrset(t, insecure, "www.example.", wire.TypeA, 0, "\x01\x02\x03\x04")
	w.learn(q, positive(a))
	w.answered(q, resultOf(insecure, a))
	if n, _ := w.Count(); n != 0 {
		t.Errorf("%d entries", n)
	}
}

func TestBogusIsShort(t *testing.T) {
	w := newWorld(t)
	q := question(t, "www.example.", wire.TypeA)
	w.learn(q, positive(rrset(t, bogus, "www.example.", wire.TypeA, 3600, "\x01\x02\x03\x04")), withCD)
	if o := w.peek(q, withCD); o.Kind != resolve.Positive || o.Answer[0].TTL != limits.BogusTTL {
		t.Errorf("%+v", o)
	}
}

// What may be read, by rank of the entry and CD of the client.
func TestRanksAndCD(t *testing.T) {
	for _, c := range []struct {
		rank   rank.Rank
		cd0    bool
		cd1    bool
		stored bool
	}{
		{rank.Initial, false, false, true},
		{rank.Initial | rank.Auth, false, true, true},
		{rank.Omit, false, false, false},
		{rank.Omit | rank.Auth, false, false, false},
		{rank.Try | rank.Auth, true, true, true},
		{rank.Indet | rank.Auth, true, true, true},
		{bogus, false, true, true},
		{rank.Mismatch | rank.Auth, false, true, true},
		{rank.Missing | rank.Auth, false, true, true},
		{rank.Insecure, false, false, true},
		{insecure, true, true, true},
		{rank.Secure, true, true, true},
		{secure, true, true, true},
	} {
		w := newWorld(t)
		q := question(t, "www.example.", wire.TypeA)
		a := rrset(t, c.rank, "www.example.", wire.TypeA, 60, "\x01\x02\x03\x04")
		w.learn(q, positive(a), withCD)
		n, _ := w.Count()
		if (n > 0) != c.stored {
			t.Errorf("rank %d: %d entries", c.rank, n)
		}
		for cd, want := range map[bool]bool{false: c.cd0, true: c.cd1} {
			mod := func(r *resolve.Request) { r.CD = cd }
			if got := w.peek(q, mod).Kind == resolve.Positive; got != want {
				t.Errorf("rank %d, CD %v: found %v, want %v", c.rank, cd, got, want)
			}
			w.answered(q, resultOf(c.rank, a), mod)
			cl := client{}
			if cd {
				cl.flags = wire.FlagCD
			}
			if _, got := w.ask(q, cl); got != want {
				t.Errorf("rank %d, CD %v: answered %v, want %v", c.rank, cd, got, want)
			}
		}
	}
}

func TestCDAnswersAreApart(t *testing.T) {
	w := newWorld(t)
	q := question(t, "www.example.", wire.TypeA)
	a := rrset(t, bogus, "www.example.", wire.TypeA, 60, "\x01\x02\x03\x04")
	w.answered(q, resultOf(bogus, a), withCD)
	if _, ok := w.ask(q, client{}); ok {
		t.Error("CD=0 reads what CD=1 kept")
	}
	if m, ok := w.ask(q, client{flags: wire.FlagCD | wire.FlagAD}); !ok || m.Flags&wire.FlagAD != 0 || m.Flags&wire.FlagCD == 0 {
		t.Errorf("CD=1: %v %+v", ok, m)
	}
	res := resultOf(secure, rrset(t, secure, "www.example.", wire.TypeA, 60, "\x01\x02\x03\x04"), a)
	w.answered(q, res) // a bogus part in an answer of high rank
	if _, ok := w.ask(q, client{}); ok {
		t.Error("a bogus part went to CD=0")
	}
}

func TestLowerRankDoesNotReplace(t *testing.T) {
	w := newWorld(t)
	q := question(t, "ns.example.", wire.TypeA)
	at := func(r rank.Rank, ttl uint32, addr string) {
		w.learn(q, positive(rrset(t, r, "ns.example.", wire.TypeA, ttl, addr)))
	}
	first := func() string { return string(w.peek(q).Answer[0].Data[0]) }
	at(insecure, 60, "good")
	at(rank.Insecure, 600, "glue")
	if got := first(); got != "good" {
		t.Errorf("glue replaced an answer: %q", got)
	}
	at(insecure, 60, "next")
	if got := first(); got != "next" {
		t.Errorf("equal rank does not replace: %q", got)
	}
	at(secure, 60, "sure")
	at(insecure, 60, "weak")
	if got := first(); got != "sure" {
		t.Errorf("insecure replaced secure: %q", got)
	}
	w.pass(60)
	at(insecure, 60, "weak")
	if got := first(); got != "weak" {
		t.Errorf("an expired entry of higher rank stays: %q", got)
	}
}

func TestNoCacheFlag(t *testing.T) {
	w := newWorld(t)
	no := func(r *resolve.Request) { r.Options.BypassCache = true }
	q := question(t, "www.example.", wire.TypeA)
	a := rrset(t, insecure, "www.example.", wire.TypeA, 60, "\x01\x02\x03\x04")
	w.learn(q, positive(a), no)
	w.answered(q, resultOf(insecure, a), no)
	if n, _ := w.Count(); n != 0 {
		t.Errorf("%d entries", n)
	}
	w.learn(q, positive(a))
	if o := w.peek(q, no); o.Kind != resolve.Pending {
		t.Error("NO_CACHE reads the cache")
	}
}

func TestWhatModulesMadeUpIsNotKept(t *testing.T) {
	w := newWorld(t)
	q := question(t, "www.example.", wire.TypeA)
	a := rrset(t, insecure, "www.example.", wire.TypeA, 1, "\x01\x02\x03\x04")
	req := w.request(q)
	w.looked(req)
	query := &resolve.Query{Question: q, Outcome: positive(a)}
	w.layer.Consume(req, query, nil)
	if n, _ := w.Count(); n != 0 || query.Outcome.Answer[0].TTL != 1 {
		t.Errorf("%d entries, TTL %d", n, query.Outcome.Answer[0].TTL)
	}
}

func TestUnfitResultsAreNotKept(t *testing.T) {
	q := question(t, "www.example.", wire.TypeA)
	a := rrset(t, insecure, "www.example.", wire.TypeA, 60, "\x01\x02\x03\x04")
	c := rrset(t, insecure, "www.example.", wire.TypeCNAME, 60, "\x01x\x00")
	for what, change := range map[string]func(*resolve.Result, *resolve.Request){
		"NoCache": func(r *resolve.Result, _ *resolve.Request) { r.NoCache = true },
		"Drop":    func(r *resolve.Result, _ *resolve.Request) { r.Drop = true },
		"TC":      func(r *resolve.Result, _ *resolve.Request) { r.TC = true },
		"REFUSED": func(r *resolve.Result, _ *resolve.Request) { r.Rcode = wire.RcodeRefused },
		"proof without SOA": func(r *resolve.Result, _ *resolve.Request) {
			r.Rcode, r.Answer, r.Authority = wire.RcodeNXDomain, nil, []resolve.Set{rrset(t, insecure, "a.example.", wire.TypeNSEC, 60, "\x00\x00\x01\x40")}
		},
		"no time left":       func(r *resolve.Result, _ *resolve.Request) { r.Answer[0].TTL = 0 },
		"denial without SOA": func(r *resolve.Result, _ *resolve.Request) { r.Rcode, r.Answer = wire.RcodeNXDomain, nil },
		"chain without end":  func(r *resolve.Result, _ *resolve.Request) { r.Answer = []resolve.Set{c} },
		"unjudged part":      func(r *resolve.Result, _ *resolve.Request) { r.Answer[0].Rank = rank.Omit },
		"a way of its own":   func(_ *resolve.Result, q *resolve.Request) { q.Join = "view" },
		"scripted":           func(_ *resolve.Result, q *resolve.Request) { q.Scripted = true },
	} {
		w := newWorld(t)
		res := resultOf(insecure, a)
		w.answered(q, res)
		if n, _ := w.Count(); n != 1 {
			t.Fatalf("a fit answer makes %d entries", n)
		}
		w = newWorld(t)
		res = resultOf(insecure, a)
		change(&res, &resolve.Request{})
		w.answered(q, res, func(r *resolve.Request) { change(&resolve.Result{Answer: make([]resolve.Set, 1)}, r) })
		if _, ok := w.ask(q, client{}); ok || w.mem.writes != 0 {
			t.Errorf("%s: kept, %d writes", what, w.mem.writes)
		}
	}
}

func TestTypesPerName(t *testing.T) {
	w := newWorld(t)
	for i := range uint16(6 * limits.MaxTypesPerName) {
		typ := 1000 + i
		q := question(t, "www.example.", typ)
		a := rrset(t, insecure, "www.example.", typ, 60, "x")
		w.learn(q, positive(a))
		w.answered(q, resultOf(insecure, a))
	}
	if n, _ := w.Count(); n != 5*limits.MaxTypesPerName { // sets, and answers with and without DO and CD
		t.Errorf("%d entries, want %d", n, 5*limits.MaxTypesPerName)
	}
	if n := w.count.Get(limits.TypesPerName); n != (5+2)*limits.MaxTypesPerName {
		t.Errorf("counted %d times, want %d", n, (5+2)*limits.MaxTypesPerName)
	}
	q := question(t, "www.example.", 1000)
	w.learn(q, positive(rrset(t, insecure, "www.example.", 1000, 600, "y")))
	if o := w.peek(q); string(o.Answer[0].Data[0]) != "y" {
		t.Error("a known type is not renewed")
	}
}

func TestEntrySize(t *testing.T) {
	w := newWorld(t)
	q := question(t, "www.example.", wire.TypeTXT)
	var big []string
	for i := range 256 {
		big = append(big, string(make([]byte, 256))+string(rune('a'+i%26)))
	}
	a := rrset(t, insecure, "www.example.", wire.TypeTXT, 60, big...)
	w.learn(q, positive(a))
	w.answered(q, resultOf(insecure, a))
	if n, _ := w.Count(); n != 0 || w.count.Get(limits.CacheEntryBytes) == 0 {
		t.Errorf("%d entries, %d counted", n, w.count.Get(limits.CacheEntryBytes))
	}
}

func TestClosedCacheMisses(t *testing.T) {
	w := newWorld(t)
	w.Swap(nil)
	q := question(t, "www.example.", wire.TypeA)
	a := rrset(t, insecure, "www.example.", wire.TypeA, 0, "\x01\x02\x03\x04")
	if query := w.learn(q, positive(a)); query.Outcome.Answer[0].TTL != limits.DefaultMinTTL {
		t.Error("TTL limits need an open cache")
	}
	w.answered(q, resultOf(insecure, a))
	if o := w.peek(q); o.Kind != resolve.Pending {
		t.Error("found")
	}
	if _, ok := w.ask(q, client{}); ok {
		t.Error("answered")
	}
	if _, err := w.Count(); err != ErrClosed {
		t.Error(err)
	}
	w.Keep(cut(t, "example.", w.now()+9), w.now())
	if w.Closest(q.Name, w.now()) != nil {
		t.Error("delegation found")
	}
}

// The apex of a zone owns more than its alias, however wrong that is.
func TestAnAliasAtAnApexSaysNothingAboutOtherTypes(t *testing.T) {
	w := newWorld(t)
	for _, owner := range []string{"example.", "www.example."} {
		alias := rrset(t, insecure, owner, wire.TypeCNAME, 100, string(name(t, "a.test.")))
		w.learn(question(t, owner, wire.TypeA), resolve.Outcome{Kind: resolve.Alias, Answer: []resolve.Set{alias}, Target: name(t, "a.test.")})
	}
	w.Keep(cut(t, "example.", w.now()+100), w.now())
	for qname, want := range map[string]resolve.Kind{"example.": resolve.Pending, "www.example.": resolve.Alias} {
		if o := w.peek(question(t, qname, wire.TypeSOA)); o.Kind != want {
			t.Errorf("%s SOA: %+v, want kind %d", qname, o, want)
		}
	}
	if o := w.peek(question(t, "example.", wire.TypeCNAME)); o.Kind != resolve.Positive {
		t.Errorf("the alias itself: %+v", o)
	}
}

// An alias that the server of a stub rule told is a step like any other: the driver
// follows it.
func TestAStubsAliasIsOneStep(t *testing.T) {
	w := newWorld(t)
	q := question(t, "www.example.", wire.TypeA)
	alias := rrset(t, insecure, "www.example.", wire.TypeCNAME, 100, string(name(t, "a.example.")))
	w.learn(q, resolve.Outcome{Kind: resolve.Alias, Answer: []resolve.Set{alias}, Target: name(t, "a.example.")})
	w.learn(question(t, "a.example.", wire.TypeA), positive(rrset(t, insecure, "a.example.", wire.TypeA, 100, "\x01\x02\x03\x04")))
	req := w.request(q, func(r *resolve.Request) { r.Options = resolve.Options{Stub: true} })
	w.layer.Begin(req)
	query := &resolve.Query{Question: q, Options: resolve.Options{Stub: true}, Cut: &zonecut.Cut{Name: dnsname.Root, Hints: true}}
	if s := w.layer.Produce(req, query); s != resolve.Done || query.Outcome.Kind != resolve.Alias || len(query.Outcome.Answer) != 1 {
		t.Errorf("state %d, %+v", s, query.Outcome)
	}
}

// ALWAYS_CUT names the zone of cached answers too.
func TestTheCutOfACachedAnswer(t *testing.T) {
	w := newWorld(t)
	q := question(t, "www.example.", wire.TypeA)
	w.learn(q, positive(rrset(t, insecure, "www.example.", wire.TypeA, 100, "\x01\x02\x03\x04")))
	w.Keep(cut(t, "example.", w.now()+100), w.now())
	for options, want := range map[resolve.Options]bool{{}: false, {FindCut: true}: true} {
		req := w.request(q, func(r *resolve.Request) { r.Options = options })
		w.layer.Begin(req)
		query := &resolve.Query{Question: q, Options: options}
		if w.layer.Produce(req, query) != resolve.Done {
			t.Fatal("not found")
		}
		if known := query.Cut != nil && query.Cut.Name == name(t, "example."); known != want {
			t.Errorf("options %+v: cut %+v", options, query.Cut)
		}
	}
}

// What is stored under a name while a question for it is under way counts when its
// answer comes, however many are under way together.
func TestQuestionsUnderWayTogether(t *testing.T) {
	w := newWorld(t)
	begin := func(qtype uint16) (*resolve.Request, *resolve.Query) {
		q := question(t, "many.example.", qtype)
		req := w.request(q)
		w.layer.Begin(req)
		query := &resolve.Query{Question: q, Asked: q}
		if got := w.layer.Produce(req, query); got != resolve.Produce {
			t.Fatalf("before anything is stored: %v", got)
		}
		return req, query
	}
	end := func(req *resolve.Request, q *resolve.Query) {
		q.Outcome = positive(rrset(t, insecure, "many.example.", q.Type, 100, "\x01\x02\x03\x04"))
		q.Outcome.Origin = resolve.FromServer
		w.layer.Consume(req, q, &wire.Msg{})
	}
	req, query := begin(wire.TypeA)
	w.learn(question(t, "many.example.", wire.TypeAAAA), denial(resolve.NXDomain, soa(t, insecure, "example.", 600, 600)))
	end(req, query)
	if o := w.peek(question(t, "many.example.", wire.TypeTXT)); o.Kind != resolve.Pending {
		t.Errorf("a name with data is denied: %+v", o)
	}
	var all []func()
	if _, err := w.Clear(); err != nil {
		t.Fatal(err)
	}
	for i := range 3 * limits.MaxTypesPerName {
		req, query := begin(uint16(1000 + i))
		all = append(all, func() { end(req, query) })
	}
	for _, fn := range all {
		fn()
	}
	if n, _ := w.mem.Count(); n > limits.MaxTypesPerName {
		t.Errorf("%d types of one name are stored", n)
	}
}

// The part of an answer, which nobody has judged, is not told to clients who ask for it.
func TestAPartOfAnAnswerIsNotKeptAsOne(t *testing.T) {
	for _, part := range []bool{false, true} {
		w := newWorld(t)
		q := question(t, "www.example.", wire.TypeA)
		w.resolved(q, func(resolve.Question) resolve.Outcome {
			return positive(rrset(t, insecure, "www.example.", wire.TypeA, 300, "\xc0\x00\x02\x01"))
		}, func(r *resolve.Request) { r.Part = part })
		if _, ok := w.ask(q, client{}); ok == part {
			t.Errorf("part %v: kept %v", part, ok)
		}
	}
}
