package cache

import (
	"bytes"
	"testing"

	"kresd/internal/rank"
	"kresd/internal/reply"
	"kresd/internal/resolve"
	"kresd/internal/wire"
)

// Whether clients want proofs and whether they check for themselves makes four answers.
func TestAnswersOfFourKinds(t *testing.T) {
	seen := map[byte]bool{}
	for _, do := range []bool{false, true} {
		for _, cd := range []bool{false, true} {
			bits := variant(do, cd)
			if seen[bits] || bits&bitDO != 0 != do || bits&bitCD != 0 != cd {
				t.Errorf("DO %v, CD %v: %d", do, cd, bits)
			}
			seen[bits] = true
		}
	}
	w := newWorld(t)
	q := question(t, "www.example.", wire.TypeA)
	w.answered(q, resultOf(secure, sign(rrset(t, secure, "www.example.", wire.TypeA, 60, "\x01\x02\x03\x04"), 2)), withDO)
	if _, ok := w.ask(q, client{}); ok {
		t.Error("an answer with signatures for a client that asked for none")
	}
	if m, ok := w.ask(q, client{size: 1232, do: true}); !ok || len(m.Answer) != 2 {
		t.Errorf("%+v, %v", m, ok)
	}
}

// An answer is read as it was written, and its rank decides whether it was validated.
func TestAnAnswerIsReadAsItWasWritten(t *testing.T) {
	for bits := range 8 {
		want := reply.Body{Octets: []byte("octets"), TTLs: []byte("tt"), Runs: []byte("runs"), Options: []byte("opt"), Additional: 300, Rcode: 3,
			AA: bits&1 != 0, Secure: bits&2 != 0, Steady: bits&4 != 0}
		for _, r := range []rank.Rank{secure, insecure} {
			entry := encodeAnswer(header{rank: r}, 1<<40+5, &want, 0)
			if clearsOf(entry) != 1<<40+5 {
				t.Errorf("clear number %d", clearsOf(entry))
			}
			var got reply.Body
			clears, ok := decodeAnswer(parseHeader(entry), entry[headerLen:], &got)
			if !ok || clears != 1<<40+5 || got.AA != want.AA || got.Steady != want.Steady || got.Secure != (want.Secure && r == secure) || got.TC ||
				got.Additional != 300 || got.Rcode != 3 || string(got.Octets)+string(got.TTLs)+string(got.Runs)+string(got.Options) != "octetsttrunsopt" {
				t.Errorf("%+v of rank %d: %+v, %d, %v", want, r, got, clears, ok)
			}
			for n := range entry[headerLen:] {
				if _, ok := decodeAnswer(parseHeader(entry), entry[headerLen:headerLen+n], &got); ok {
					t.Errorf("%d octets of %d are an answer", n, len(entry)-headerLen)
				}
			}
			h := parseHeader(entry)
			h.kind = kindGap
			if _, ok := decodeAnswer(h, entry[headerLen:], &got); ok {
				t.Error("an entry of another kind is an answer")
			}
		}
	}
}

// A delegation that says more than it holds is none.
func TestADelegationThatHoldsLessThanItSays(t *testing.T) {
	at := name(t, "example.")
	server := func(addresses int, more ...byte) []byte {
		b := append([]byte(name(t, "ns.example.")), 0, 53)
		return append(append(b, byte(addresses)), more...)
	}
	end := make([]byte, 1+8+1) // no DS set, no zone that costs too much
	body := func(parts ...[]byte) []byte { return bytes.Join(parts, nil) }
	for what, c := range map[string]struct {
		body []byte
		ok   bool
	}{
		"a server without addresses":     {body([]byte{1}, server(0), end), true},
		"a server with one":              {body([]byte{1}, server(1, 4, 192, 0, 2, 1), end), true},
		"no server":                      {body([]byte{0}, end), false},
		"more servers":                   {body([]byte{2}, server(0), end), false},
		"many more":                      {body([]byte{200}, server(0), end), false},
		"more addresses than octets":     {body([]byte{1}, server(3), end), false},
		"an address of five octets":      {body([]byte{1}, server(1, 5, 1, 2, 3, 4, 5), end), false},
		"an address of none":             {body([]byte{1}, server(1, 0), end), false},
		"a bad address behind a good":    {body([]byte{1}, server(2, 4, 192, 0, 2, 1, 3, 1, 2, 3), end), false},
		"a good address behind a bad":    {body([]byte{1}, server(2, 3, 1, 2, 3, 4, 192, 0, 2, 1), end), false},
		"an octet more":                  {body([]byte{1}, server(0), end, []byte{0}), false},
		"an octet less":                  {body([]byte{1}, server(0), end[1:]), false},
		"a zone below":                   {body([]byte{1}, server(0), end[1:], []byte{2}), false},
		"the root, which costs too much": {body([]byte{1}, server(0), end[1:], []byte{1}), true},
		"a set that is none":             {body([]byte{1}, server(0), end, []byte{1}), false},
		"two sets": {body([]byte{1}, server(0), end, appendSets(nil, []resolve.Set{
			rrset(t, secure, "example.", wire.TypeDS, 60, "x"), rrset(t, secure, "example.", wire.TypeDS, 60, "x")})), false},
		"a set": {body([]byte{1}, server(0), end, appendSets(nil, []resolve.Set{rrset(t, secure, "example.", wire.TypeDS, 60, "x")})), true},
	} {
		cut, ok := decodeCut(at, c.body, 7)
		if ok != c.ok || ok && (cut.Name != at || len(cut.NS) != 1 || cut.NS[0].Port != 53) {
			t.Errorf("%s: %+v, %v", what, cut, ok)
		}
		if what == "a set" && (cut.DS == nil || cut.DS.TTL != 53) {
			t.Errorf("%s: %+v", what, cut.DS)
		}
	}
}

// Sets without records, or with signatures that are cut off, show that an entry is damaged.
func TestSetsThatCannotBe(t *testing.T) {
	whole := sign(rrset(t, secure, "www.example.", wire.TypeA, 60, "\x01\x02\x03\x04"), 2)
	for what, c := range map[string]struct {
		change func(s *resolve.Set)
		ok     bool
	}{
		"as it was":                {func(*resolve.Set) {}, true},
		"no records":               {func(s *resolve.Set) { s.Data = nil }, false},
		"a record of no octets":    {func(s *resolve.Set) { s.Data = [][]byte{{}} }, true},
		"no signature":             {func(s *resolve.Set) { s.Sigs = nil }, true},
		"a signature's fixed part": {func(s *resolve.Set) { s.Sigs = [][]byte{s.Sigs[0][:wire.SigFixed]} }, true},
		"less of it":               {func(s *resolve.Set) { s.Sigs = [][]byte{s.Sigs[0][:wire.SigFixed-1]} }, false},
		"less of the second":       {func(s *resolve.Set) { s.Sigs = [][]byte{s.Sigs[0], s.Sigs[0][:wire.SigFixed-1]} }, false},
	} {
		s := whole
		c.change(&s)
		for _, sets := range [][]resolve.Set{{s}, {whole, s}, {s, whole}} {
			cur := cursor{b: appendSets(nil, sets)}
			got := cur.sets(70)
			if cur.end() != c.ok || c.ok && (len(got) != len(sets) || got[0].TTL != 0 || !got[0].Cached || got[0].Rank != secure) {
				t.Errorf("%s: %+v, %v", what, got, cur.end())
			}
		}
	}
	one := appendSets(nil, []resolve.Set{whole})
	for n := range one {
		cur := cursor{b: one[:n]}
		if cur.sets(0); cur.end() {
			t.Errorf("%d octets of %d are sets", n, len(one))
		}
	}
	many := append([]byte{2}, one[1:]...)
	cur := cursor{b: many}
	if cur.sets(0); cur.end() {
		t.Error("one set is two")
	}
}

// What a look-up found is not said to the next one that finds nothing.
func TestNothingIsSaidOfTheQuestionBefore(t *testing.T) {
	w := newWorld(t)
	a := rrset(t, insecure, "www.example.", wire.TypeA, 60, "\x01\x02\x03\x04")
	q := question(t, "www.example.", wire.TypeA)
	w.answered(q, resultOf(insecure, a))
	ended := question(t, "ended.example.", wire.TypeA)
	w.answered(ended, resultOf(insecure, rrset(t, insecure, "ended.example.", wire.TypeA, 5, "\x01\x02\x03\x04")))
	broken := question(t, "broken.example.", wire.TypeA)
	w.mem.m[string(node{0, broken.Name}.answer(wire.TypeA, wire.ClassIN, 0))] = []byte("broken")
	w.pass(6)
	f := w.NewFast()
	f.Begin(w.now())
	say := func(q *wire.Question, how func(resolve.Partition, *wire.Question, []byte, reply.Shape) ([]byte, bool)) bool {
		_, ok := how(0, q, make([]byte, 500), reply.Shape{})
		return ok
	}
	good := client{}.parse(t, string(q.Name), q.Type)
	chaos := *good
	chaos.Class = wire.ClassCH
	for what, q := range map[string]*wire.Question{
		"another name":   client{}.parse(t, string(name(t, "other.example.")), wire.TypeA),
		"another type":   client{}.parse(t, string(q.Name), wire.TypeTXT),
		"type ANY":       client{}.parse(t, string(q.Name), wire.TypeANY),
		"class CH":       &chaos,
		"one that ended": client{}.parse(t, string(ended.Name), wire.TypeA),
		"a broken one":   client{}.parse(t, string(broken.Name), wire.TypeA),
		"the root":       client{}.parse(t, "\x00", wire.TypeA),
	} {
		for how, answer := range map[string]func(resolve.Partition, *wire.Question, []byte, reply.Shape) ([]byte, bool){"Answer": f.Answer, "Exact": f.Exact} {
			if !say(good, answer) {
				t.Fatalf("%s: no answer", how)
			}
			if say(q, answer) {
				t.Errorf("%s to %s: the answer before", how, what)
			}
		}
	}
	long := client{}.parse(t, string(longName(t, maxKey-14)), wire.TypeA)
	if !say(good, f.Answer) || say(long, func(_ resolve.Partition, q *wire.Question, out []byte, shape reply.Shape) ([]byte, bool) {
		return f.Answer(7, q, out, shape)
	}) {
		t.Error("to a name whose key is too long: the answer before")
	}
	if n := w.Stats(); n.AnswerHit != 15 || n.AnswerMiss != 15 || n.Damaged != 1 {
		t.Errorf("%+v", n)
	}
	f.End()
	if f.Close(); w.mem.open != 0 {
		t.Errorf("%d readers are left", w.mem.open)
	}
	f.Close() // which does nothing more
	if n := w.Stats(); n.AnswerHit != 15 || n.AnswerMiss != 15 || n.Damaged != 1 {
		t.Errorf("after it was closed: %+v", n)
	}
}

// All sets of a denial last as long as the denial.
func TestADenialLastsAsOne(t *testing.T) {
	sets := []resolve.Set{soa(t, secure, "example.", 60, 60), rrset(t, secure, "a.example.", wire.TypeNSEC, 3, "x")}
	f := negative(resolve.NXDomain, entry{left: 5}, sets)
	if f.Authority[0].TTL != 5 || f.Authority[1].TTL != 3 || f.Rcode != wire.RcodeNXDomain || f.Zone != name(t, "example.") {
		t.Errorf("%+v", f)
	}
	if f = negative(resolve.NoData, entry{left: 1}, sets); f.Authority[0].TTL != 1 || f.Authority[1].TTL != 1 || f.Rcode != wire.RcodeNoError {
		t.Errorf("%+v", f)
	}
}

// Where nothing is known, nobody is asked whether it may be told; and what is no address
// leads nowhere.
func TestWhatIsNotKnownIsNotJudged(t *testing.T) {
	w := newWorld(t)
	allow := func(q resolve.Question, over uint32) (uint32, bool) { t.Errorf("judged %v", q); return 1, true }
	if o, stale := w.Stale(w.request(question(t, "www.example.", wire.TypeA)), aDay, allow, nil); o.Kind != resolve.Pending || stale || o.Cached {
		t.Errorf("%+v, %v", o, stale)
	}
	ns := name(t, "ns.example.")
	w.learn(question(t, "ns.example.", wire.TypeA), positive(rrset(t, insecure, "ns.example.", wire.TypeA, 60, "\x01\x02\x03", "\x01\x02\x03\x04")))
	w.learn(question(t, "ns.example.", wire.TypeAAAA), resolve.Outcome{Kind: resolve.NoData, Authority: []resolve.Set{soa(t, insecure, "example.", 30, 30)}})
	if addrs, known4, known6 := w.Addrs(ns, w.now()); len(addrs) != 1 || !known4 || !known6 {
		t.Errorf("%v, %v, %v", addrs, known4, known6)
	}
	if addrs := w.staleAddrs(node{0, ns}, when{w.now() + 100, 1000}); len(addrs) != 1 || addrs[0].String() != "1.2.3.4" {
		t.Errorf("%v", addrs)
	}
	told := name(t, "told.example.")
	w.learn(question(t, "told.example.", wire.TypeA), positive(rrset(t, rank.Try, "told.example.", wire.TypeA, 60, "\x01\x02\x03\x04")))
	if addrs := w.staleAddrs(node{0, told}, when{w.now() + 100, 1000}); len(addrs) != 0 {
		t.Errorf("%v, which nobody may be asked at", addrs)
	}
	if addrs := w.staleAddrs(node{0, ns}, when{w.now() + 100, 0}); len(addrs) != 0 {
		t.Errorf("%v, whose time is over", addrs)
	}
}

// A delegation that cannot be read is passed over for the one above.
func TestADelegationThatCannotBeRead(t *testing.T) {
	w := newWorld(t)
	w.Keep(cut(t, "example.", w.now()+10), w.now())
	key := node{0, name(t, "a.example.")}.cut()
	w.mem.m[string(key)] = seal(key, append(newEntry(header{kind: kindCut, made: w.now(), ttl: 10}, 1), 0))
	other := node{0, name(t, "b.a.example.")}.cut()
	w.mem.m[string(other)] = seal(other, append(newEntry(header{kind: kindRRset, made: w.now(), ttl: 10}, 1), 0))
	w.pass(20)
	got := w.StaleCut(0, name(t, "c.b.a.example."), w.now(), 100)
	if got == nil || got.Name != name(t, "example.") || got.Expires != w.now() {
		t.Errorf("%+v", got)
	}
	if got := w.StaleCut(0, name(t, "c.b.a.example."), w.now(), 10); got != nil {
		t.Errorf("behind its grace: %+v", got)
	}
}

// A part of a zone's denials is there already if it is the same, but for its TTL, and has
// three quarters of its time.
func TestWhetherAPartIsThereAlready(t *testing.T) {
	w := newWorld(t)
	s := rrset(t, secure, "a.example.", wire.TypeNSEC, 100, "\x01b\x07example\x00\x00\x01\x40")
	key := node{0, name(t, "example.")}.nsec(s.Owner)
	entry := func(ttl uint32, data string) []byte {
		s := s
		s.TTL, s.Data = ttl, [][]byte{[]byte(data)}
		return seal(key, appendSets(newEntry(header{kind: kindDenial, rank: secure, made: w.now(), ttl: ttl}, 100), []resolve.Set{s}))
	}
	data := string(s.Data[0])
	t0 := w.now()
	for _, c := range []struct {
		what   string
		stored []byte
		age    int64
		want   bool
	}{
		{"the same", entry(100, data), 0, true}, {"a quarter older", entry(100, data), 25, true}, {"more than that", entry(100, data), 26, false},
		{"one that lasts less", entry(75, data), 0, true}, {"one that lasts much less", entry(74, data), 0, false}, {"one that lasts longer", entry(200, data), 120, true},
		{"other types", entry(100, data[:len(data)-1]+"\x41"), 0, false}, {"a type more", entry(100, data+"\x01"), 0, false}, {"nothing", nil, 0, false},
		{"a damaged one", append(bytes.Clone(entry(100, data)[:20]), make([]byte, len(entry(100, data))-20)...), 0, false},
	} {
		delete(w.mem.m, string(key))
		if c.stored != nil {
			w.mem.m[string(key)] = c.stored
		}
		st := &stash{c: w.Cache, s: w.mem, now: t0 + c.age, scope: name(t, ".")}
		if got := st.holds(key, entry(100, data), len(s.Owner)); got != c.want {
			t.Errorf("%s: %v", c.what, got)
		}
	}
}

// What is around a name is counted by what it is.
func TestWhatIsAroundAName(t *testing.T) {
	at := node{0, name(t, "example.")}
	w := newWorld(t)
	for family, want := range map[byte]surroundings{
		familyRRset: {rrsets: 1}, familyAnswer: {answers: 1}, familyNXDomain: {denied: true}, familyCut: {}, familyFailure: {},
	} {
		s := w.scanOf(at)
		s.key = at.rrset(wire.TypeA, wire.ClassIN)
		if more := s.countOne(at.key(family), nil); !more || s.around != want {
			t.Errorf("family %c: %+v, goes on %v", family, s.around, more)
		}
	}
	for _, family := range []byte{familyDenier, familyNSEC, familyNSEC3, familyGap, markPartition} {
		s := w.scanOf(at)
		if more := s.countOne(at.key(family), nil); more || s.around != (surroundings{}) {
			t.Errorf("family %c: %+v, goes on %v", family, s.around, more)
		}
	}
	s := w.scanOf(at)
	s.key = at.rrset(wire.TypeA, wire.ClassIN)
	s.countOne(s.key, nil)
	s.countOne(at.rrset(wire.TypeTXT, wire.ClassIN), nil)
	if s.around != (surroundings{rrsets: 2, known: true}) {
		t.Errorf("%+v", s.around)
	}
	for n, want := range map[int]kinds{inventoryMost: aCut, inventoryMost + 1: allKinds} {
		s := w.scanOf(at)
		more := true
		for range n {
			more = s.takeStock(at.cut(), nil)
		}
		if s.found != want || more != (n == inventoryMost) {
			t.Errorf("%d entries: %b, goes on %v", n, s.found, more)
		}
	}
	if s = w.scanOf(at); s.takeStock(at.nsec(at.name), nil) || s.found != aDenial {
		t.Errorf("%b", s.found)
	}
}

// Servers that a forwarder or nobody vouches for are not asked.
func TestWhichRanksLeadToServers(t *testing.T) {
	for r, want := range map[rank.Rank]bool{
		rank.Omit: false, rank.Omit | rank.Auth: false, rank.Try: false, rank.Try | rank.Auth: false, bogus: false, rank.Bogus: false,
		secure: true, rank.Secure: true, insecure: true, rank.Insecure: true, rank.Indet: true,
	} {
		if addressRank(r) != want {
			t.Errorf("rank %d: %v", r, !want)
		}
	}
	for r, want := range map[rank.Rank][2]bool{ // without and with CD
		rank.Omit: {false, false}, rank.Omit | rank.Auth: {false, false}, rank.Insecure: {false, false}, rank.Secure: {true, true}, secure: {true, true},
		insecure: {true, true}, bogus: {false, true}, rank.Bogus: {false, false}, rank.Try | rank.Auth: {true, true}, rank.Indet | rank.Auth: {true, true},
	} {
		if got := [2]bool{mayAnswer(r, false), mayAnswer(r, true)}; got != want {
			t.Errorf("rank %d: %v, want %v", r, got, want)
		}
	}
}
