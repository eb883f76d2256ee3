package cache

import (
	"bytes"
	"context"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"kresd/internal/clock"
	"kresd/internal/dnsname"
	"kresd/internal/dnssec"
	"kresd/internal/ede"
	"kresd/internal/limits"
	"kresd/internal/rank"
	"kresd/internal/reply"
	"kresd/internal/resolve"
	"kresd/internal/wire"
)

// resolved is a whole request that only the cache and, behind it, servers answer; nil:
// they know nothing.
func (w *world) resolved(q resolve.Question, servers func(resolve.Question) resolve.Outcome, qmod ...func(*resolve.Request)) *resolve.Request {
	produce := func(_ *resolve.Request, q *resolve.Query) resolve.State {
		if servers == nil {
			return resolve.Fail
		}
		q.Outcome = servers(q.Question)
		q.Outcome.Origin, q.Asked = resolve.FromServer, q.Question
		return resolve.Done
	}
	d := resolve.NewDriver(resolve.Config{
		Layers:     func() []*resolve.Layer { return []*resolve.Layer{w.layer, {Name: "servers", Produce: produce}} },
		Cuts:       w.Cache,
		Counters:   w.count,
		Partitions: func() resolve.Partitions { return resolve.Partitions{Data: w.in, Answers: w.in} },
	})
	req := w.request(q, qmod...)
	d.Resolve(context.Background(), req)
	return req
}

// denies is what the servers of the example zone say to whatever they are asked: the
// whole chain.
func (z *signedZone) denies(t testing.TB) func(resolve.Question) resolve.Outcome {
	return func(resolve.Question) resolve.Outcome {
		return denial(resolve.NXDomain, append([]resolve.Set{signedBy(t, z.apex, soa(t, secure, z.apex, 300, 300))}, z.chain(t)...)...)
	}
}

// gapsStored are the keys of the answers for gaps.
func (w *world) gapsStored() (keys []string) {
	for _, k := range w.mem.keys() {
		if _, family, _, ok := splitKey([]byte(k)); ok && family == familyGap {
			keys = append(keys, k)
		}
	}
	return keys
}

// A gap has the names that one link covers and that have one closest encloser, and no
// others.
func TestTheNamesOfAGap(t *testing.T) {
	random := rand.New(rand.NewPCG(9, 9))
	labels := []string{"a", "b", "*", `\000`, `\001`, `\255`, "aa", `a\000`, `a\001`, "z"}
	some := func() dnsname.Name {
		n := name(t, "example.")
		for range random.IntN(5) {
			n, _ = n.Prepend(string(mustLabel(t, labels[random.IntN(len(labels))])))
		}
		return n
	}
	in, out := 0, 0
	for _, apex := range []string{"example.", "."} {
		zone := name(t, apex)
		above := len(zone.AppendKey(nil))
		for range 30000 {
			owner, next := some(), some()
			if random.IntN(4) == 0 {
				next = zone
			}
			set := nsec(t, secure, apex, "x.example.", "y.example.")
			set.Owner, set.Data[0] = owner, []byte(string(next)+bitmapA)
			l, ok := dnssec.NewLink(zone, &set.RRset)
			n := some()
			if !ok || !l.Spans(n) || n == owner || next.IsSubdomainOf(n) {
				continue
			}
			e := l.Encloser(n)
			g := gapBetween(zone, e, &l)
			m := some()
			want := l.Spans(m) && m != owner && !next.IsSubdomainOf(m) && l.Encloser(m) == e
			key := m.AppendKey(nil)
			if got := m.IsSubdomainOf(zone) && g.has(key[above:]); got != want {
				t.Fatalf("%s in the gap around %s from %s to %s in %s: %v, want %v", m, n, owner, next, apex, got, want)
			}
			if !want {
				out++
				continue
			}
			in++
			if closer := m.Suffix(e.Labels() + 1).AppendKey(nil); !bytes.Equal(key[:above+g.closer(key[above:])], closer) {
				t.Fatalf("%s right below %s: the next closer name is %q", m, e, closer)
			}
			if !g.has(n.AppendKey(nil)[above:]) {
				t.Fatalf("%s is not in the gap that was made around it", n)
			}
		}
	}
	if in < 500 || out < 500 {
		t.Errorf("only %d names in a gap and %d outside", in, out)
	}
}

func mustLabel(t testing.TB, text string) string { return name(t, text+".").Label() }

// What the listener says for a name in a gap is what the driver says for it, whatever
// the client: the same records and flags. The listener says it without anything that
// was stored for the name itself.
func TestBothWaysDenyTheSame(t *testing.T) {
	for _, apex := range []string{"example.", ".", "hashes"} {
		z := exampleZone()
		switch apex {
		case "hashes":
			z.hashed = true
		case ".":
			z = &signedZone{apex: ".", types: map[string][]uint16{".": {wire.TypeSOA, wire.TypeNS}, "com.": {wire.TypeNS}, "net.": {wire.TypeNS}}}
		}
		w := z.taught(t, z.chain(t))
		if apex == "." {
			w.resolved(question(t, "org.", wire.TypeA), z.denies(t))
		}
		by := map[bool]int{}
		for round := range 2 {
			for i, text := range asks {
				for k, c := range []client{{}, {size: 1232}, {size: 4096, do: true}, {flags: wire.FlagRD | wire.FlagCD, size: 4096, do: true}, {flags: wire.FlagAD, tcp: true}} {
					q := question(t, text, askedTypes[(i+k)%len(askedTypes)])
					asked := c.parse(t, gen{t, rand.New(rand.NewPCG(uint64(i), 3))}.spelling(q.Name), q.Type)
					got, ok := w.fast(asked, c.kind())
					req := w.resolved(q, nil, func(r *resolve.Request) { r.DO, r.CD = c.do, c.flags&wire.FlagCD != 0 })
					if !ok {
						continue
					}
					if req.Result.Rcode == wire.RcodeNXDomain {
						by[true]++
					}
					want := reply.Build(nil, asked, &req.Result, reply.Shape{Kind: c.kind(), Bufsize: 4096})
					if d := differs(t, got, want); d != "" {
						t.Fatalf("round %d: %s: %s\n%x\nfrom the cache, and by the driver\n%x", round, q, d, got, want)
					}
				}
			}
		}
		if by[true] < 50 && apex != "." || by[true] < 5 {
			t.Errorf("%s: only %d names were denied by the listener", apex, by[true])
		}
		for _, k := range w.mem.keys() {
			if at, family, _, _ := splitKey([]byte(k)); family == familyAnswer && w.mem.m[k][14+1] == wire.RcodeNXDomain && (apex != "hashes" || at.name.Labels() == 2) {
				t.Errorf("%s: the denial of %s is stored for itself", apex, at.name)
			}
		}
	}
}

// differs compares two messages apart from compression.
func differs(t testing.TB, a, b []byte) string {
	t.Helper()
	x, err := wire.Parse(a)
	if err != nil {
		return err.Error()
	}
	y, err := wire.Parse(b)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(a[:12], b[:12]) || !bytes.Equal(x.RawName, y.RawName) || x.QType != y.QType || x.DO != y.DO || x.UDPSize != y.UDPSize {
		return "headers differ"
	}
	text := func(rrs []wire.RR) (out []string) {
		for _, rr := range rrs {
			out = append(out, fmt.Sprintf("%+v", rr))
		}
		slices.Sort(out)
		return out
	}
	for i, s := range [][2][]wire.RR{{x.Answer, y.Answer}, {x.Authority, y.Authority}, {x.Additional, y.Additional}} {
		if u, v := text(s[0]), text(s[1]); !slices.Equal(u, v) {
			return fmt.Sprintf("section %d: %v and %v", i, u, v)
		}
	}
	return ""
}

// asksFast asks the listener for a name.
func (w *world) asksFast(text string) bool {
	_, ok := w.ask(question(w, text, wire.TypeA), client{size: 4096, do: true})
	return ok
}

// The answer for a gap ends when an answer to one question would: with its time, with
// a clear, with another partition, and for a name about which something is known.
func TestWhenAGapAnswers(t *testing.T) {
	for _, hashed := range []bool{false, true} {
		t.Run(fmt.Sprintf("hashed %v", hashed), func(t *testing.T) { gapAnswers(t, hashed) })
	}
}

func gapAnswers(t *testing.T, hashed bool) {
	z := exampleZone()
	z.hashed = hashed
	start := func() *world {
		w := z.taught(t, z.chain(t))
		if w.resolved(question(t, "zz.example.", wire.TypeA), nil); hashed {
			for i := range 200 { // until all gaps are known
				w.resolved(question(t, fmt.Sprintf("n%d.example.", i), wire.TypeA), nil)
			}
		}
		made := w.Stats().Aggressive
		if !w.asksFast("zy.example.") || !w.asksFast("q.q.zx.example.") || !w.asksFast("zz.example.") {
			t.Fatal("not answered by the gap")
		}
		if n := w.Stats().Aggressive - made; n != 3 {
			t.Errorf("%d answers are counted", n)
		}
		return w
	}
	for what, do := range map[string]func(*world){
		"its time is over":     func(w *world) { w.pass(300) },
		"anything is cleared":  func(w *world) { w.Remove(name(t, "elsewhere."), false, 10) },
		"in another partition": func(w *world) { w.in = 5 },
		"a set is known": func(w *world) {
			w.learn(question(t, "zy.example.", wire.TypeTXT), positive(rrset(t, insecure, "zy.example.", wire.TypeTXT, 9, "\x01a")))
		},
		"a name below is known": func(w *world) {
			w.learn(question(t, "a.zy.example.", wire.TypeTXT), positive(rrset(t, insecure, `\255.zy.example.`, wire.TypeTXT, 9, "\x01a")))
		},
		"a delegation is known": func(w *world) { w.Keep(cut(t, "zy.example.", w.now()+9), w.now()) },
		"it is damaged": func(w *world) {
			for _, k := range w.gapsStored() {
				w.mem.m[k][40] ^= 1
			}
		},
		"the zone is forgotten":   func(w *world) { w.gaps = [2]*gapZones{newGapZones(), newGapZones()} },
		"the store is another":    func(w *world) { w.Swap(newMemStore()) },
		"the closest zone is new": func(w *world) { w.gaps[0].add(0, name(t, "zy.example.").AppendKey(nil)) },
	} {
		w := start()
		do(w)
		probe := "zy.example."
		if what == "the closest zone is new" {
			probe = "q.zy.example."
		}
		if w.asksFast(probe) {
			t.Errorf("%s: answered", what)
		}
		if what == "it is damaged" && !hashed && len(w.gapsStored()) != 0 {
			t.Error("a damaged answer stays")
		}
	}
	w := start()
	w.pass(299)
	m, ok := w.ask(question(t, "zy.example.", wire.TypeA), client{size: 4096, do: true})
	if !ok || len(m.Authority) < 3 {
		t.Fatalf("before its end: %v %+v", ok, m)
	}
	for _, rr := range m.Authority {
		if rr.TTL != 1 {
			t.Errorf("TTL %d a second before the end", rr.TTL)
		}
	}
}

// What is no whole, validated denial by a chain makes no answer for others.
func TestWhatMakesNoGap(t *testing.T) {
	z := exampleZone()
	q := question(t, "zz.example.", wire.TypeA)
	for what, c := range map[string]struct {
		outcome func(*resolve.Outcome)
		request func(*resolve.Request)
		gap     bool
	}{
		"a whole one":            {gap: true},
		"to a client without DO": {request: func(r *resolve.Request) { r.DO = false }, gap: true},
		"to a client with CD":    {request: withCD, gap: true},
		"an unsigned SOA":        {outcome: func(o *resolve.Outcome) { o.Authority[0].Sigs = nil }},
		"insecure":               {outcome: func(o *resolve.Outcome) { o.Authority[0].Rank = insecure }},
		"an insecure proof":      {outcome: func(o *resolve.Outcome) { o.Authority[1].Rank = insecure }},
		"no proof":               {outcome: func(o *resolve.Outcome) { o.Authority = o.Authority[:1] }},
		"half a proof":           {outcome: func(o *resolve.Outcome) { o.Authority = o.Authority[:2] }},
		"NODATA":                 {outcome: func(o *resolve.Outcome) { o.Kind, o.Rcode = resolve.NoData, 0 }},
		"no cache":               {request: func(r *resolve.Request) { r.Options.BypassCache = true }},
		"scripted":               {request: func(r *resolve.Request) { r.Scripted = true }},
		"in a way of its own":    {request: func(r *resolve.Request) { r.Join = "x" }},
		"on the operator's word": {outcome: func(o *resolve.Outcome) { o.Own = true }},
		"a wildcard's proof":     {outcome: func(o *resolve.Outcome) { o.Authority[1].Sigs[0][3]-- }},
		"another zone's proof":   {outcome: func(o *resolve.Outcome) { o.Authority[1].Owner = name(t, "example.net.") }},
		"a range for one question": {outcome: func(o *resolve.Outcome) {
			o.Authority = append(o.Authority, nsec(t, secure, "example.", "y.example.", `y\000.example.`))
		}},
		"proofs of two kinds": {outcome: func(o *resolve.Outcome) { o.Authority = append(o.Authority[:1], bothKinds(t)...) }},
		"another SOA":         {outcome: func(o *resolve.Outcome) { o.Authority[0].Owner = dnsname.Root }},
		"too many hashed proofs": {outcome: func(o *resolve.Outcome) {
			h := *z
			h.hashed = true
			o.Authority = append(o.Authority[:1], h.chain(t)...)
		}},
	} {
		w := newWorld(t)
		chain := z.chain(t)
		denied := func(resolve.Question) resolve.Outcome {
			o := denial(resolve.NXDomain, signedBy(t, z.apex, soa(t, secure, z.apex, 300, 300)), chain[0], chain[len(chain)-1])
			if c.outcome != nil {
				c.outcome(&o)
			}
			return o
		}
		w.resolved(q, denied, func(r *resolve.Request) {
			r.DO = true
			if c.request != nil {
				c.request(r)
			}
		})
		if got := len(w.gapsStored()); got != 0 != c.gap {
			t.Errorf("%s: %d answers for gaps", what, got)
		}
	}
	// What a module has to say to one client is not for others.
	w := newWorld(t)
	for what, change := range map[string]func(*resolve.Result){
		"an extended error": func(res *resolve.Result) { res.EDE = ede.Other }, "authority of its own": func(res *resolve.Result) { res.AA = true },
		"more records": func(res *resolve.Result) {
			res.Additional = []resolve.Set{rrset(t, secure, "a.example.", wire.TypeA, 60, "\x01\x02\x03\x04")}
		},
		"another rank": func(res *resolve.Result) { res.Rank = rank.Insecure | rank.Auth }, "another RCODE": func(res *resolve.Result) { res.Rcode = 0 },
	} {
		req := w.resolved(q, z.denies(t), withDO)
		if _, ok := deniedBy(req); !ok {
			t.Fatalf("%+v", req.Result)
		}
		if change(&req.Result); req.Root() == nil {
			t.Fatal("no query")
		}
		if _, ok := deniedBy(req); ok {
			t.Errorf("%s is for all", what)
		}
	}
	if _, ok := deniedBy(w.request(q)); ok {
		t.Error("a request that resolved nothing")
	}
}

// bothKinds is a link of names that covers zz.example., and a whole proof by hashes that
// it does not exist.
func bothKinds(t testing.TB) []resolve.Set {
	z := exampleZone()
	plain := z.chain(t)
	sets := plain[len(plain)-1:]
	z.hashed = true
	m := meter(1000)
	h := dnssec.NewHasher(&m)
	for _, s := range z.chain(t) {
		l, _ := dnssec.NewLink(name(t, z.apex), &s.RRset)
		if l.Owns(name(t, z.apex), h) || l.Covers(name(t, "zz.example."), h) || l.Covers(name(t, "*.example."), h) {
			sets = append(sets, s)
		}
	}
	return sets
}

// A gap of hashes is made of one chain that does not opt out and costs a listener
// little.
func TestWhatMakesAGapOfHashes(t *testing.T) {
	q := question(t, "zz.example.", wire.TypeA)
	for what, c := range map[string]struct {
		change func(*signedZone)
		name   string
		gap    bool
	}{
		"a whole denial":     {gap: true},
		"with a long salt":   {change: func(z *signedZone) { z.of.Salt = strings.Repeat("s", 100) }, gap: true},
		"of a deep name":     {name: "a.b.c.zz.example.", gap: true},
		"dear for listeners": {change: func(z *signedZone) { z.of.Iterations = limits.ListenerHash }},
		"opting out":         {change: func(z *signedZone) { z.optOut = true }},
		"below another name": {name: "q.a.example."},
	} {
		z := exampleZone()
		z.hashed = true
		if c.change != nil {
			c.change(z)
		}
		w := z.taught(t, z.chain(t))
		asked := q
		if c.name != "" {
			asked.Name = name(t, c.name)
		}
		w.resolved(asked, func(resolve.Question) resolve.Outcome { return resolve.Outcome{Kind: resolve.NoData} }, withDO)
		if got := w.gapsStored(); len(got) != 0 != c.gap {
			t.Errorf("%s: %q", what, got)
		}
		if _, ok := w.ask(question(t, "q."+asked.Name.String(), wire.TypeTXT), client{size: 4096, do: true}); ok != c.gap {
			t.Errorf("%s: a name below it is answered: %v", what, ok)
		}
	}
}

// Who writes a chain into the file that costs without end makes no listener hash.
func TestADearChainInTheFile(t *testing.T) {
	z := exampleZone()
	z.hashed = true
	w := z.taught(t, z.chain(t))
	w.gaps[1].add(0, name(t, "example.").AppendKey(nil))
	at := node{0, name(t, "example.")}
	for what, low := range map[string][]byte{
		"many rounds": append(appendChain(nil, dnssec.Chain{Iterations: 0xffff}), make([]byte, 20)...), "no chain": {9, 9, 9}, "half a chain": {hashSHA1, 0, 0, 9},
		"no hash": appendChain(nil, dnssec.Chain{}),
	} {
		key := append(at.gaps(true), low...)
		g := gap{hashed: true, high: make([]byte, 20)}
		w.mem.m[string(key)] = seal(key, encodeGap(header{rank: secure, made: w.now(), ttl: 60}, w.mem.ClearNumber(), &g, &reply.Denial{}))
		if w.asksFast("zz.example.") {
			t.Errorf("%s: answered", what)
		}
		delete(w.mem.m, string(key))
	}
}

// The driver's way writes the answer for a gap once, and nothing for each name.
func TestAGapIsWrittenOnce(t *testing.T) {
	z := exampleZone()
	w := z.taught(t, z.chain(t))
	ask := func(text string) int {
		before := w.mem.writes
		w.resolved(question(t, text, wire.TypeA), nil, withDO)
		return w.mem.writes - before
	}
	if n := ask("zz.example."); n != 1 {
		t.Errorf("%d writes for the first name of a gap", n)
	}
	if n := ask("zy.example."); n != 0 {
		t.Errorf("%d writes for another name of it", n)
	}
	if n := ask("aa.example."); n != 1 {
		t.Errorf("%d writes for another gap", n)
	}
	w.pass(100)                          // a third of its time
	if n := ask("zx.example."); n != 0 { // the links it is made of are as old
		t.Errorf("%d writes for what would end at the same time", n)
	}
	// A name about which something is stored is answered for itself.
	w.learn(question(t, "zw.example.", wire.TypeTXT), positive(rrset(t, insecure, "zw.example.", wire.TypeTXT, 5, "\x01a")))
	w.pass(6)
	if n := ask("zw.example."); n != 1 || !w.asksFast("zw.example.") {
		t.Errorf("%d writes for a name that was there", n)
	}
}

// When the zone has changed, so does the answer for the gap.
func TestAGapThatBecameSmaller(t *testing.T) {
	z := exampleZone()
	w := newWorld(t)
	q := question(t, "mm.example.", wire.TypeA)
	w.resolved(q, z.denies(t), withDO)
	if !w.asksFast("n.example.") {
		t.Fatal("not answered by the gap")
	}
	z.types["n.example."] = []uint16{wire.TypeA}
	q.Name = name(t, "ml.example.")
	w.resolved(q, z.denies(t), withDO) // another one's answer, which was on its way
	before := len(w.gapsStored())
	w.mem.Delete(node{0, q.Name}.nxdomain(wire.ClassIN))
	w.learn(question(t, "elsewhere.", wire.TypeA), z.denies(t)(q))
	q.Name = name(t, "mk.example.")
	w.resolved(q, z.denies(t), withDO)
	if w.asksFast("n.example.") || !w.asksFast("mi.example.") || len(w.gapsStored()) != before {
		t.Errorf("%q", w.gapsStored())
	}
}

// The listener denies nothing of another class, and no type that is none.
func TestWhatTheListenerDoesNotDeny(t *testing.T) {
	z := exampleZone()
	w := z.taught(t, z.chain(t))
	w.resolved(question(t, "zz.example.", wire.TypeA), nil)
	for what, change := range map[string]func(*wire.Question){
		"a name of the gap": func(*wire.Question) {}, "another class": func(q *wire.Question) { q.Class = 3 }, "all types": func(q *wire.Question) { q.Type = wire.TypeANY },
		"no name": func(q *wire.Question) { q.Name = []byte{0} },
	} {
		q := client{}.parse(t, string(name(t, "zy.example.")), wire.TypeA)
		change(q)
		if _, ok := w.fast(q, client{}.kind()); ok != (what == "a name of the gap") {
			t.Errorf("%s: answered %v", what, ok)
		}
	}
	// Nor what it denied before, of names that are in no gap or about which something is known.
	known := node{0, name(t, "zk.example.")}.rrset(wire.TypeTXT, wire.ClassIN)
	w.mem.m[string(known)] = []byte("x")
	w.gaps[0].add(0, name(t, "none.").AppendKey(nil))
	w.gaps[1].add(0, name(t, "hashed.").AppendKey(nil))
	broken := node{0, name(t, "broken.")}
	w.gaps[0].add(0, broken.name.AppendKey(nil))
	w.mem.m[string(append(broken.gaps(false), "a\x00"...))] = []byte("broken")
	f := w.NewFast()
	defer f.Close()
	f.Begin(w.now())
	defer f.End()
	for owner, want := range map[string]bool{
		"zy.example.": true, "zk.example.": false, "a.zk.example.": false, "example.": false, "x.none.": false, "x.hashed.": false, "x.broken.": false, "x.y.z.": false,
	} {
		for _, c := range []struct {
			owner string
			want  bool
		}{{"zz.example.", true}, {owner, want}} {
			if _, ok := f.Answer(0, client{}.parse(t, string(name(t, c.owner)), wire.TypeA), make([]byte, 500), reply.Shape{Bufsize: 500}); ok != c.want {
				t.Errorf("%s: answered %v", c.owner, ok)
			}
		}
		if _, ok := f.Exact(0, client{}.parse(t, string(name(t, owner)), wire.TypeA), make([]byte, 500), reply.Shape{Bufsize: 500}); ok {
			t.Errorf("%s: denied although exactly that was asked for", owner)
		}
	}
}

// What is asked below zones without gaps costs the listener no search.
func TestHints(t *testing.T) {
	h := newGapZones()
	zones := func(yield func(resolve.Partition, []byte) bool) {
		for i := range 400 {
			if !yield(resolve.Partition(i%3), name(t, fmt.Sprintf("z%d.example.", i)).AppendKey(nil)) {
				return
			}
		}
	}
	falsely := 0
	for in, zone := range zones {
		if h.has(in, zone) {
			falsely++
		}
	}
	for in, zone := range zones {
		if h.add(in, zone); !h.has(in, zone) || h.has(in+1, zone) {
			t.Errorf("%q in partition %d", zone, in)
		}
	}
	kept := 0
	for in, zone := range zones {
		if h.has(in, zone) {
			kept++
		}
	}
	if falsely > 0 || kept < 300 {
		t.Errorf("%d zones falsely, %d of 400 kept in %d places", falsely, kept, limits.GapZones)
	}
}

func TestTheListenerDeniesWithoutAllocation(t *testing.T) {
	for _, hashed := range []bool{false, true} {
		w, f, asked := gapOnDisk(t, hashed)
		out, i := make([]byte, 4096), 0
		if n := testing.AllocsPerRun(100, func() {
			f.Begin(w.now())
			defer f.End()
			i++
			if _, ok := f.Answer(0, asked[i%len(asked)], out, reply.Shape{Bufsize: 1232}); !ok {
				t.Fatalf("hashed %v: not answered", hashed)
			}
		}); n != 0 {
			t.Errorf("hashed %v: %v allocations", hashed, n)
		}
	}
}

// gapOnDisk is a cache in a file that knows a zone's chain and the answers for gaps, and
// questions for names in them.
func gapOnDisk(t testing.TB, hashed bool) (*onDisk, *Fast, []*wire.Question) {
	z := exampleZone()
	z.hashed = hashed
	w := openDisk(t, t.TempDir())
	mem := &world{T: &testing.T{}, Cache: w.Cache, clk: clock.NewFake(w.clk.Now()), layer: w.layer, count: &limits.Counters{}}
	mem.learn(question(t, "elsewhere.", wire.TypeA), z.denies(t)(resolve.Question{}))
	mem.resolved(question(t, "zz.example.", wire.TypeA), nil)
	for i := 0; hashed && i < 200; i++ {
		mem.resolved(question(t, fmt.Sprintf("n%d.example.", i), wire.TypeA), nil)
	}
	w.flush()
	var asked []*wire.Question
	for i := range 64 {
		asked = append(asked, client{size: 1232, do: true}.parse(t, string(name(t, fmt.Sprintf("z%dx.example.", i))), wire.TypeA))
	}
	f := w.NewFast()
	t.Cleanup(f.Close)
	return w, f, asked
}

func BenchmarkListenerDenies(b *testing.B) {
	for _, hashed := range []bool{false, true} {
		b.Run(fmt.Sprintf("hashed=%v", hashed), func(b *testing.B) {
			w, f, asked := gapOnDisk(b, hashed)
			out := make([]byte, 4096)
			b.ReportAllocs()
			f.Begin(w.now())
			defer f.End()
			for i := 0; b.Loop(); i++ {
				if _, ok := f.Answer(0, asked[i%len(asked)], out, reply.Shape{Bufsize: 1232}); !ok {
					b.Fatal("not answered")
				}
			}
		})
	}
}

// FuzzGap: answers for gaps that bear a right checksum, but hold anything. What the
// listener says is a message, or nothing.
func FuzzGap(f *testing.F) {
	z, hashed := exampleZone(), exampleZone()
	hashed.hashed = true
	fixture := z.taught(&testing.T{}, z.chain(f))
	for _, text := range []string{"zz.example.", "aa.example.", "q.a.example."} {
		fixture.resolved(question(f, text, wire.TypeA), nil)
	}
	for k, v := range func() map[string][]byte {
		w := hashed.taught(&testing.T{}, hashed.chain(f))
		w.resolved(question(f, "zz.example.", wire.TypeA), nil)
		return w.mem.m
	}() {
		fixture.mem.m[k] = v
	}
	keys := fixture.gapsStored()
	for i, k := range keys {
		f.Add(uint8(i), fixture.mem.m[k], "\x02zy\x07example\x00", true)
	}
	clk := clock.NewFake(fixture.clk.Now())
	all := maps.Clone(fixture.mem.m)
	f.Fuzz(func(t *testing.T, which uint8, entry []byte, asked string, do bool) {
		n, err := dnsname.FromWire([]byte(asked))
		if len(entry) < headerLen || err != nil || strings.Contains(asked, "\x00\x00") {
			return
		}
		w := newWorld(t)
		w.clk = clk
		w.gaps[which%2].add(0, name(t, "example.").AppendKey(nil))
		w.mem.m = maps.Clone(all)
		key := keys[int(which)%len(keys)]
		w.mem.m[key] = seal([]byte(key), entry)
		msg, ok := w.fast(client{size: 4096, do: do}.parse(t, string(n), wire.TypeA), client{}.kind())
		if ok && (len(msg) < wire.HeaderLen+n.Len()+4 || msg[3]&15 != wire.RcodeNXDomain) {
			t.Errorf("%x", msg)
		}
	})
}
