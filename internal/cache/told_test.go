package cache

import (
	"testing"

	"kresd/internal/limits"
	"kresd/internal/resolve"
	"kresd/internal/wire"
	"kresd/internal/zonecut"
)

// Whoever reads along is told which zone's chain a denial was made of; none where it was
// stored.
func TestAReaderIsToldWhoseChainDenies(t *testing.T) {
	z := exampleZone()
	w := z.taught(t, z.chain(t))
	stored := question(t, "stored.other.", wire.TypeA)
	w.learn(stored, denial(resolve.NXDomain, soa(t, insecure, "other.", 60, 60)))
	for q, want := range map[resolve.Question]string{question(t, "zz.example.", wire.TypeA): z.apex, stored: ""} {
		var told []resolve.CacheHit
		w.peek(q, func(r *resolve.Request) {
			r.Tell = func(_ *resolve.Query, s resolve.Step) {
				if hit, ok := s.(resolve.CacheHit); ok {
					told = append(told, hit)
				}
			}
		})
		if len(told) != 1 || want == "" && told[0].Denier != "" || want != "" && told[0].Denier != name(t, want) || told[0].Outcome.Kind != resolve.NXDomain {
			t.Errorf("%s: told %+v", q.Name, told)
		}
	}
}

// A chain of aliases brings the proofs of each of its links along, and one that does not
// end leads nowhere.
func TestAChainOfOldBringsAllItsProofs(t *testing.T) {
	w := newWorld(t)
	alias := func(from, to string) resolve.Set {
		return sign(rrset(t, secure, from, wire.TypeCNAME, 60, string(name(t, to))), 1)
	}
	first := positive(alias("www.example.", "web.example."))
	first.Kind, first.Target = resolve.Alias, name(t, "web.example.")
	first.Authority = []resolve.Set{sign(rrset(t, secure, "example.", wire.TypeNSEC, 60, "\x00\x00\x01\x40"), 1)}
	w.learn(question(t, "www.example.", wire.TypeCNAME), first)
	w.learn(question(t, "web.example.", wire.TypeA), denial(resolve.NoData, sign(soa(t, secure, "example.", 60, 60), 1)))
	for _, later := range []int{0, 100} {
		w.pass(later)
		o, stale, _ := w.stale(question(t, "www.example.", wire.TypeA), false)
		if o.Kind != resolve.NoData || stale != (later > 0) || len(o.Answer) != 1 || len(o.Authority) != 2 ||
			o.Authority[0].Type != wire.TypeNSEC || o.Authority[1].Type != wire.TypeSOA {
			t.Errorf("after %d seconds: %+v, stale %v", later, o, stale)
		}
	}
	circle := func(from, to string) {
		o := positive(rrset(t, insecure, from, wire.TypeCNAME, 60, string(name(t, to))))
		o.Kind, o.Target = resolve.Alias, name(t, to)
		w.learn(question(t, from, wire.TypeCNAME), o)
	}
	circle("lost.", "nowhere.")
	for _, later := range []int{0, 100} {
		w.pass(later)
		if o, stale, _ := w.stale(question(t, "lost.", wire.TypeA), false); o.Kind != resolve.Pending || stale || len(o.Answer) != 0 {
			t.Errorf("an alias to what is not known, after %d seconds: %+v, stale %v", later, o, stale)
		}
	}
	circle("a.circle.", "b.circle.")
	circle("b.circle.", "a.circle.")
	for _, later := range []int{0, 100} {
		w.pass(later)
		o, stale, judged := w.stale(question(t, "a.circle.", wire.TypeA), false)
		if o.Kind != resolve.Pending || stale || len(o.Answer) != 0 || later > 0 && len(judged) != limits.MaxCNAMEChain+1 {
			t.Errorf("a circle after %d seconds: %+v, stale %v, judged %d times", later, o, stale, len(judged))
		}
	}
}

// A delegation that a query has already stays, and a hit without need of one gets none.
func TestACutThatAQueryHasStays(t *testing.T) {
	w := newWorld(t)
	w.Keep(cut(t, "example.", w.now()+100), w.now())
	q := question(t, "www.example.", wire.TypeA)
	own := cut(t, "own.", w.now()+100)
	for _, known := range []bool{false, true} {
		if known {
			w.learn(q, positive(rrset(t, insecure, "www.example.", wire.TypeA, 100, "\x01\x02\x03\x04")))
		}
		for _, options := range []resolve.Options{{}, {FindCut: true}} {
			query := &resolve.Query{Question: q, Cut: own, Options: options}
			req := w.request(q, func(r *resolve.Request) { r.Options = options })
			if done := w.layer.Produce(req, query) == resolve.Done; done != known || query.Cut != own {
				t.Errorf("known %v, options %+v: done %v, cut %+v", known, options, done, query.Cut)
			}
		}
	}
	query := &resolve.Query{Question: question(t, "new.example.", wire.TypeA)}
	if w.layer.Produce(w.request(query.Question), query); query.Cut == nil || query.Cut.Name != name(t, "example.") {
		t.Errorf("a miss: cut %+v", query.Cut)
	}
}

// What a wildcard has made shows that the wildcard exists.
func TestAWildcardThatHasMadeASetExists(t *testing.T) {
	w := newWorld(t)
	w.learn(question(t, "*.example.", wire.TypeA), denial(resolve.NXDomain, sign(soa(t, secure, "example.", 600, 600), 1)))
	key := node{0, name(t, "*.example.")}.nxdomain(wire.ClassIN)
	if _, there := w.mem.m[string(key)]; !there {
		t.Fatal("the denial is not kept")
	}
	made := positive(sign(rrset(t, secure, "www.example.", wire.TypeA, 600, "\x01\x02\x03\x04"), 1))
	made.Authority = []resolve.Set{sign(rrset(t, secure, "example.", wire.TypeNSEC, 60, "\x00\x00\x01\x40"), 1)}
	w.learn(question(t, "www.example.", wire.TypeA), made)
	if _, there := w.mem.m[string(key)]; there {
		t.Error("the wildcard does not exist, it is said")
	}
	if _, sets, ok := w.loadRRset(node{0, name(t, "*.example.")}, wire.TypeA, wire.ClassIN, when{now: w.now()}); !ok || sets[0].Owner != name(t, "*.example.") {
		t.Errorf("the wildcard's set: %+v", sets)
	}
}

// Where only a denial of an apex's sets is known, there is no apex.
func TestADenialMakesNoApex(t *testing.T) {
	w := newWorld(t)
	for _, rrtype := range []uint16{wire.TypeSOA, wire.TypeNS} {
		w.learn(question(t, "www.example.", rrtype), denial(resolve.NoData, soa(t, insecure, "example.", 60, 60)))
	}
	if got := w.ClosestApex(0, name(t, "a.www.example."), w.now()); !got.IsRoot() {
		t.Errorf("apex %s", got)
	}
	for _, rrtype := range []uint16{wire.TypeSOA, wire.TypeNS} {
		w := newWorld(t)
		w.learn(question(t, "example.", rrtype), positive(rrset(t, insecure, "example.", rrtype, 60, "\x02ns\x00")))
		if got := w.ClosestApex(0, name(t, "a.www.example."), w.now()); got != name(t, "example.") {
			t.Errorf("type %d: apex %s", rrtype, got)
		}
	}
}

// Of what stands beside a delegation only its own DS set is kept.
func TestWhatIsKeptOfAReferral(t *testing.T) {
	w := newWorld(t)
	ds := rrset(t, secure, "example.", wire.TypeDS, 60, "\x00\x01\x0d\x02digest")
	other := rrset(t, secure, "other.", wire.TypeDS, 60, "\x00\x01\x0d\x02digest")
	txt := rrset(t, secure, "example.", wire.TypeTXT, 60, "\x01x")
	o := resolve.Outcome{Kind: resolve.Referral, Authority: []resolve.Set{other, txt, ds}}
	if w.learn(question(t, "www.example.", wire.TypeA), o); w.mem.writes != 0 {
		t.Errorf("without a delegation: %q", w.mem.keys())
	}
	o.Cut = cut(t, "example.", w.now()+60)
	w.learn(question(t, "www.example.", wire.TypeA), o)
	if _, there := w.mem.m[string(node{0, name(t, "example.")}.rrset(wire.TypeDS, wire.ClassIN))]; !there || len(w.mem.m) != 1 {
		t.Errorf("kept: %q", w.mem.keys())
	}
}

// An answer for a gap is there already if it is for the same names, has seen the same
// clears, and has three quarters of its time.
func TestWhetherAGapIsThereAlready(t *testing.T) {
	w := newWorld(t)
	z := exampleZone()
	authority := append([]resolve.Set{signedBy(t, z.apex, soa(t, secure, z.apex, 300, 300))}, z.chain(t)[:2]...)
	g := gap{zone: name(t, z.apex), low: []byte("c\x00"), high: []byte("f\x00")}
	key := append(node{0, g.zone}.gaps(false), g.low...)
	st := &stash{c: w.Cache, s: w.mem, now: w.now(), scope: name(t, ".")}
	h := header{rank: secure, made: w.now(), ttl: 100}
	if st.hasGap(key, h, &g) {
		t.Error("one that is not there is")
	}
	if !st.keepGap(&g, h, authority) || w.mem.writes != 1 {
		t.Fatal("it is not kept")
	}
	wider, encloser := g, g
	wider.high, encloser.encloser = []byte("g\x00"), 2
	later := func(seconds int64) header { h := h; h.made += seconds; return h }
	for what, c := range map[string]struct {
		h    header
		g    *gap
		seen uint64
		want bool
	}{
		"the same": {h, &g, 0, true}, "a quarter of its time later": {later(25), &g, 0, true}, "more": {later(26), &g, 0, false}, "long after": {later(200), &g, 0, false},
		"another end": {h, &wider, 0, false}, "another encloser": {h, &encloser, 0, false}, "after a clear": {h, &g, 1, false},
	} {
		st.seen = c.seen
		if got := st.hasGap(key, c.h, c.g); got != c.want {
			t.Errorf("%s: %v", what, got)
		}
	}
	st.seen = 0
	if !st.keepGap(&g, h, authority) || w.mem.writes != 1 {
		t.Errorf("%d writes of the same gap", w.mem.writes)
	}
	w.mem.m[string(key)][headerLen]++
	if st.hasGap(key, h, &g) {
		t.Error("a damaged one is there")
	}
	if !w.gaps[0].has(0, g.zone.AppendKey(nil)) || w.gaps[1].has(0, g.zone.AppendKey(nil)) {
		t.Error("listeners know of no gaps of the zone, or of another kind")
	}
}

// What a request came to is the answer for a gap if it is nothing but a validated denial.
func TestWhichRequestsAreDeniedByAZone(t *testing.T) {
	z := exampleZone()
	for what, c := range map[string]struct {
		change func(*resolve.Request)
		want   bool
	}{
		"as it was":             {func(*resolve.Request) {}, true},
		"another RCODE":         {func(r *resolve.Request) { r.Result.Rcode = wire.RcodeNoError }, false},
		"not validated":         {func(r *resolve.Request) { r.Result.Rank = insecure }, false},
		"an answer":             {func(r *resolve.Request) { r.Result.Answer = make([]resolve.Set, 1) }, false},
		"an additional set":     {func(r *resolve.Request) { r.Result.Additional = make([]resolve.Set, 1) }, false},
		"an extended error":     {func(r *resolve.Request) { r.Result.EDE = 3 }, false},
		"an operator's word":    {func(r *resolve.Request) { r.Result.AA = true }, false},
		"another outcome":       {func(r *resolve.Request) { r.Root().Outcome.Kind = resolve.NoData }, false},
		"an outcome's answer":   {func(r *resolve.Request) { r.Root().Outcome.Answer = make([]resolve.Set, 1) }, false},
		"no proof":              {func(r *resolve.Request) { r.Root().Outcome.Authority = r.Root().Outcome.Authority[:1] }, false},
		"no SOA":                {func(r *resolve.Request) { r.Root().Outcome.Authority[0].Type = wire.TypeTXT }, false},
		"an SOA that is plain":  {func(r *resolve.Request) { r.Root().Outcome.Authority[0].Sigs = nil }, false},
		"from a forwarder":      {func(r *resolve.Request) { forwarded(r.Root(), true) }, false},
		"from a zone's servers": {func(r *resolve.Request) { forwarded(r.Root(), false) }, true},
	} {
		w := z.taught(t, z.chain(t))
		req := w.resolved(question(t, "zz.example.", wire.TypeA), nil)
		c.change(req)
		if o, ok := deniedBy(req); ok != c.want || ok && o != &req.Root().Outcome {
			t.Errorf("%s: %v", what, ok)
		}
	}
	if _, ok := deniedBy(&resolve.Request{}); ok {
		t.Error("a request without a question of its own")
	}
}

// forwarded makes q's servers those that an operator named.
func forwarded(q *resolve.Query, yes bool) {
	q.Options.Forward, q.Cut = true, &zonecut.Cut{Hints: yes}
}

// One set among the proofs that is none is enough.
func TestWhatIsNoProofMakesNoGap(t *testing.T) {
	z := exampleZone()
	w := newWorld(t)
	proofs := z.chain(t)
	if _, ok := gapOf(name(t, z.apex), name(t, "zz.example."), proofs, w.hasher(nil)); !ok {
		t.Fatal("there is no gap")
	}
	none := proofs[0]
	none.Type = wire.TypeTXT
	for what, sets := range map[string][]resolve.Set{
		"what is no proof":  {none},
		"another's as well": append([]resolve.Set{none}, proofs...),
		"behind them":       append(append([]resolve.Set{}, proofs...), none),
	} {
		if g, ok := gapOf(name(t, z.apex), name(t, "zz.example."), sets, w.hasher(nil)); ok {
			t.Errorf("%s: %+v", what, g)
		}
	}
}
