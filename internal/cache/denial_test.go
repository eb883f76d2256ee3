package cache

import (
	"encoding/base32"
	"encoding/binary"
	"errors"
	"slices"
	"strings"
	"testing"

	"kresd/internal/clock"
	"kresd/internal/dnsname"
	"kresd/internal/dnssec"
	"kresd/internal/limits"
	"kresd/internal/lmdbcache"
	"kresd/internal/rank"
	"kresd/internal/resolve"
	"kresd/internal/wire"
	"kresd/internal/zonecut"
)

// signedBy adds a signature of a zone, over all labels.
func signedBy(t testing.TB, zone string, s resolve.Set) resolve.Set {
	s = sign(s, s.Owner.Labels())
	s.Sigs[0] = append(append(s.Sigs[0][:wire.SigFixed:wire.SigFixed], name(t, zone)...), "signature"...)
	return s
}

// bitmapA says that there are A and RRSIG.
const bitmapA = "\x00\x06\x40\x00\x00\x00\x00\x02"

func nsec(t testing.TB, r rank.Rank, zone, owner, next string) resolve.Set {
	return signedBy(t, zone, rrset(t, r, owner, wire.TypeNSEC, 300, string(name(t, next))+bitmapA))
}

func nsec3(t testing.TB, r rank.Rank, zone string, c dnssec.Chain, from, to [20]byte) resolve.Set {
	label := strings.ToLower(base32.HexEncoding.EncodeToString(from[:]))
	rdata := binary.BigEndian.AppendUint16([]byte{hashSHA1, 0}, c.Iterations)
	rdata = append(append(rdata, byte(len(c.Salt))), c.Salt...)
	rdata = append(append(append(rdata, 20), to[:]...), bitmapA...)
	return signedBy(t, zone, rrset(t, r, label+"."+strings.TrimPrefix(zone, "."), wire.TypeNSEC3, 300, string(rdata)))
}

// meter allows so many hashes.
type meter int

func (m *meter) Verify() error { return nil }
func (m *meter) Failed() error { return nil }
func (m *meter) Hash(int) error {
	if *m--; *m < 0 {
		return errors.New("no more")
	}
	return nil
}

// told learns a denial of x.example. with some proofs.
func (w *world) told(proofs ...resolve.Set) {
	soa := signedBy(w, "example.", soa(w, secure, "example.", 600, 600))
	w.learn(question(w, "x.example.", wire.TypeA), denial(resolve.NXDomain, append([]resolve.Set{soa}, proofs...)...))
}

// links are the keys of the links that are stored.
func (w *world) links() (keys []string) {
	for _, k := range w.mem.keys() {
		if _, family, _, ok := splitKey([]byte(k)); ok && isDenial(family) && family != familyDenier {
			keys = append(keys, k)
		}
	}
	return keys
}

// linkOf is the link that speaks of a name, in whichever chain of the zone; nil if none
// is known.
func (w *world) linkOf(zone, text string, m dnssec.Meter) *storedLink {
	for ch := range w.chains(node{w.in, name(w, zone)}, w.now(), dnssec.NewHasher(m)) {
		if k := ch.link(name(w, text)); k != nil {
			return k
		}
	}
	return nil
}

// denialOf is the owner of the set that speaks of a name, "" if none is known.
func (w *world) denialOf(zone, text string) string {
	m := meter(4)
	if k := w.linkOf(zone, text, &m); k != nil {
		return k.set.Owner.String()
	}
	return ""
}

func TestADenialIsFoundForTheNamesInItsRange(t *testing.T) {
	w := newWorld(t)
	w.told(
		nsec(t, secure, "example.", "example.", "b.example."), nsec(t, secure, "example.", "b.example.", "d.example."),
		nsec(t, secure, "example.", "d.example.", `\000.f.example.`), nsec(t, secure, "example.", "y.example.", "example."),
		nsec(t, secure, "sub.example.", "sub.example.", "a.sub.example."),
	)
	for text, want := range map[string]string{
		"example.": "example.", "a.example.": "example.", "b.example.": "b.example.", "x.b.example.": "b.example.",
		"c.example.": "b.example.", "d.example.": "d.example.", "f.example.": "d.example.", "g.example.": "",
		"y.example.": "y.example.", "z.z.example.": "y.example.", "example.net.": "", ".": "",
	} {
		if got := w.denialOf("example.", text); got != want {
			t.Errorf("%s: %q, want %q", text, got, want)
		}
	}
	if got := w.denialOf("sub.example.", "0.sub.example."); got != "sub.example." {
		t.Errorf("in another zone: %q", got)
	}
	w.in = 7
	if got := w.denialOf("example.", "c.example."); got != "" {
		t.Errorf("in another partition: %q", got)
	}
	w.in = 0
	w.pass(100)
	m := meter(0)
	k := w.linkOf("example.", "c.example.", &m)
	if k == nil || k.set.TTL != 200 || k.set.Rank != secure || !k.set.Cached || len(k.set.Sigs) != 1 {
		t.Errorf("after 100 of 300 seconds: %+v", k)
	}
	w.pass(200)
	if got := w.denialOf("example.", "c.example."); got != "" {
		t.Errorf("after its TTL: %q", got)
	}
}

func TestAHashedDenialIsFound(t *testing.T) {
	w := newWorld(t)
	one, two := dnssec.Chain{Iterations: 1, Salt: "salt"}, dnssec.Chain{}
	hashed := func(c dnssec.Chain, text string, by int) (h [20]byte) {
		m := meter(1)
		h, _ = dnssec.NewHasher(&m).Hash(c, name(t, text))
		h[0] += byte(by)
		return h
	}
	at := hashed(one, "at.example.", 0)
	around := nsec3(t, secure, "example.", one, at, hashed(one, "at.example.", 1))
	w.told(around)
	if got := w.denialOf("example.", "at.example."); got != around.Owner.String() {
		t.Errorf("the owner: %q", got)
	}
	for _, last := range []bool{false, true} { // the link around the end is found from both sides
		w := newWorld(t)
		from, to := hashed(one, "in.example.", -1), hashed(one, "in.example.", 1)
		if last {
			from, to = hashed(one, "in.example.", 3), hashed(one, "in.example.", 2)
		}
		set := nsec3(t, secure, "example.", one, from, to)
		w.told(set)
		if got := w.denialOf("example.", "in.example."); got != set.Owner.String() {
			t.Errorf("in the range, last of the chain %v: %q", last, got)
		}
	}
	// Another chain does not hide it.
	for _, c := range []dnssec.Chain{two, {Iterations: 2, Salt: "zzzz"}} {
		w.told(nsec3(t, secure, "example.", c, [20]byte{1}, [20]byte{2}))
		if got := w.denialOf("example.", "at.example."); got != around.Owner.String() {
			t.Errorf("beside chain %+v: %q", c, got)
		}
		if _, err := w.Remove(name(t, "example."), false, 100); err != nil {
			t.Fatal(err)
		}
		w.told(around)
	}
	m := meter(0)
	if w.linkOf("example.", "at.example.", &m) != nil {
		t.Error("hashed without leave")
	}
	w.pass(300)
	if got := w.denialOf("example.", "at.example."); got != "" {
		t.Errorf("after its TTL: %q", got)
	}
}

// A zone with many chains does not make a question dear.
func TestANameIsHashedInFewChains(t *testing.T) {
	w := newWorld(t)
	for i := range chainsAtMost + 3 {
		w.told(nsec3(t, secure, "example.", dnssec.Chain{Iterations: uint16(i)}, [20]byte{1}, [20]byte{1, 1}))
	}
	m := meter(10)
	if k := w.linkOf("example.", "x.example.", &m); k != nil || m != 10-chainsAtMost {
		t.Errorf("found: %v, %d names hashed, want %d", k, 10-m, chainsAtMost)
	}
}

// Where nobody denies anything of a name its clear is one clear.
func TestAClearWithoutDenialsIsOne(t *testing.T) {
	w := newWorld(t)
	w.told(nsec(t, secure, "example.", "b.example.", "d.example."))
	before := w.mem.ClearNumber()
	if _, err := w.Remove(name(t, "x.example."), false, 10); err != nil || w.mem.ClearNumber() != before+1 {
		t.Errorf("%d clears, %v", w.mem.ClearNumber()-before, err)
	}
}

// Only what was validated, of the zone that signed it, and speaks of more than one
// question.
func TestOnlySecureDenialsAreStored(t *testing.T) {
	good := func() resolve.Set { return nsec(t, secure, "example.", "b.example.", "d.example.") }
	changed := func(fn func(s *resolve.Set)) resolve.Set {
		s := good()
		fn(&s)
		return s
	}
	w := newWorld(t)
	w.told(good())
	w.learn(question(t, "c.example.", wire.TypeA), resolve.Outcome{
		Kind: resolve.Positive, Answer: []resolve.Set{rrset(t, secure, "c.example.", wire.TypeA, 60, "\x01\x02\x03\x04")},
		Authority: []resolve.Set{nsec(t, secure, "example.", "e.example.", "g.example.")},
	})
	if got := w.links(); len(got) != 2 {
		t.Errorf("of a denial and a positive answer: %q", got)
	}
	for what, s := range map[string]resolve.Set{
		"insecure":             nsec(t, insecure, "example.", "b.example.", "d.example."),
		"bogus":                nsec(t, bogus, "example.", "b.example.", "d.example."),
		"not judged":           nsec(t, rank.Try|rank.Auth, "example.", "b.example.", "d.example."),
		"of the cache":         changed(func(s *resolve.Set) { s.Cached = true }),
		"over":                 changed(func(s *resolve.Set) { s.TTL = 0 }),
		"of another class":     changed(func(s *resolve.Set) { s.Class = 3 }),
		"unsigned":             changed(func(s *resolve.Set) { s.Sigs = nil }),
		"of a wildcard":        changed(func(s *resolve.Set) { s.Sigs[0][3]-- }),
		"of no signer":         changed(func(s *resolve.Set) { s.Sigs[0] = s.Sigs[0][:wire.SigFixed] }),
		"another zone's":       nsec(t, secure, "example.net.", "b.example.", "d.example."),
		"out of the zone":      nsec(t, secure, "b.example.", "b.example.", "d.example."),
		"for one question":     nsec(t, secure, "example.", "b.example.", `\000.b.example.`),
		"no denial":            signedBy(t, "example.", rrset(t, secure, "b.example.", wire.TypeTXT, 60, "\x00")),
		"hashed too often":     nsec3(t, secure, "example.", dnssec.Chain{Iterations: limits.NSEC3Iterations + 1}, [20]byte{1}, [20]byte{2}),
		"too large":            changed(func(s *resolve.Set) { s.Sigs[0] = append(s.Sigs[0], make([]byte, limits.MaxProofBytes)...) }),
		"under a key too long": {},
	} {
		w := newWorld(t)
		if what == "under a key too long" { // octets 0 take two each
			zone, chain := strings.Repeat(`\000`, 60)+"."+strings.Repeat(`\000`, 60)+".", dnssec.Chain{Salt: strings.Repeat("s", 255)}
			s = nsec3(t, secure, zone, chain, [20]byte{1}, [20]byte{2})
			if len(node{0, name(t, zone)}.chain(chain)) <= maxKey-20 {
				t.Fatal("the example is not what it says")
			}
		}
		if err := w.SetMinTTL(0); err != nil {
			t.Fatal(err)
		}
		w.told(s)
		if got := w.links(); len(got) != 0 {
			t.Errorf("%s: %q", what, got)
		}
	}
}

// What a forwarder says of a zone above the one that it serves is not kept.
func TestAForwardersDenialsEndAtItsZone(t *testing.T) {
	w := newWorld(t)
	req := w.request(question(t, "x.sub.example.", wire.TypeA))
	w.looked(req)
	q := &resolve.Query{Question: req.Question, Scope: name(t, "sub.example."), Cut: &zonecut.Cut{Name: dnsname.Root, Hints: true}, Outcome: denial(resolve.NXDomain,
		soa(t, secure, "sub.example.", 60, 60), nsec(t, secure, "example.", "b.example.", "d.example."),
		nsec(t, secure, "sub.example.", "a.sub.example.", "z.sub.example."))}
	q.Options.Forward, q.Outcome.Origin = true, resolve.FromServer
	w.layer.Consume(req, q, &wire.Msg{})
	if got := w.links(); len(got) != 1 || !strings.HasPrefix(got[0], string(node{0, name(t, "sub.example.")}.key(familyNSEC))) {
		t.Errorf("%q", got)
	}
}

func TestDamagedDenialsAreDropped(t *testing.T) {
	chain := dnssec.Chain{}
	for what, set := range map[string]resolve.Set{
		"NSEC": nsec(t, secure, "example.", "b.example.", "d.example."), "NSEC3": nsec3(t, secure, "example.", chain, [20]byte{1}, [20]byte{1}),
	} {
		w := newWorld(t)
		w.told(set)
		key := w.links()[0]
		good := string(w.mem.m[key])
		for i := range good {
			bad := []byte(good)
			bad[i] ^= 0x80
			w.mem.m[key] = bad
			if w.denialOf("example.", "c.example.") != "" || len(w.links()) != 0 {
				t.Fatalf("%s: octet %d", what, i)
			}
		}
		for n := range good {
			w.mem.m[key] = []byte(good[:n])
			if w.denialOf("example.", "c.example.") != "" || len(w.links()) != 0 {
				t.Fatalf("%s: cut off at %d", what, n)
			}
		}
		// A sound entry of something else: another rank, another kind, another node.
		forge := func(what string, r rank.Rank, kind byte, sets ...resolve.Set) {
			h := header{kind: kind, rank: r, made: w.now(), ttl: 60}
			w.mem.m[key] = seal([]byte(key), appendSets(newEntry(h, 0), sets))
			if w.denialOf("example.", "c.example.") != "" || len(w.links()) != 0 {
				t.Error(what)
			}
		}
		lower := set
		lower.Rank = insecure
		forge("an insecure entry", insecure, kindDenial, set)
		forge("an insecure set", secure, kindDenial, lower)
		forge("another kind", secure, kindRRset, set)
		forge("two sets", secure, kindDenial, set, set)
		forge("another owner", secure, kindDenial, nsec(t, secure, "example.", "bb.example.", "d.example."))
		forge("another zone", secure, kindDenial, nsec(t, secure, "example.net.", "b.example.net.", "d.example.net."))
	}
}

// The order of keys is the canonical order of names, the ones below a name are a
// range, and the apex itself ends before them.
func TestDenialsStandInCanonicalOrder(t *testing.T) {
	at := node{3, name(t, "example.")}
	names := []string{
		"example.", `\000.example.`, `\000\000.example.`, `\000\001.example.`, `\001.example.`, `\002.example.`, "a.example.", `\000.a.example.`, "b.a.example.",
		`a\000.example.`, "aa.example.", "z.example.", "*.z.example.", `\255.example.`, `\255\255.example.`,
	}
	for i := 1; i < len(names); i++ {
		a, b := name(t, names[i-1]), name(t, names[i])
		if dnsname.Compare(a, b) >= 0 {
			t.Fatalf("%s is not before %s", a, b)
		}
		if slices.Compare(at.nsec(a), at.nsec(b)) >= 0 {
			t.Errorf("%q is not before %q", at.nsec(a), at.nsec(b))
		}
	}
	last := max(string(at.rrset(0xffff, 0xffff)), string(at.nxdomain(0xffff)), string(at.answer(0xffff, 0xffff, 0xff)))
	if first := string(at.chain(dnssec.Chain{})); first <= last || string(at.nsec(at.name)) <= last {
		t.Error("denials do not stand behind what is known of the apex")
	}
	if everybodys := (node{0, at.name}); string(everybodys.nsec(name(t, `\255.example.`))) >= string(at.prefix()) {
		t.Error("everybody's denials stand behind another partition")
	}
}

// However many denials a zone has, what is known of its apex is seen at once.
func TestAnInventoryEndsBeforeTheDenials(t *testing.T) {
	w := newWorld(t)
	w.told(nsec3(t, secure, "example.", dnssec.Chain{}, [20]byte{1}, [20]byte{2}))
	for i := range inventoryMost + 2 {
		n := string(rune('a' + i))
		w.told(nsec(t, secure, "example.", n+".example.", n+"z.example."))
	}
	w.learn(question(t, "example.", wire.TypeA), positive(rrset(t, secure, "example.", wire.TypeA, 60, "\x01\x02\x03\x04")))
	if got := w.inventory(node{0, name(t, "example.")}).missing; got != allKinds&^(anRRset|aDenial) {
		t.Errorf("lacks %b", got)
	}
}

func TestClearingASubtreeCutsItsDenials(t *testing.T) {
	chain := dnssec.Chain{Iterations: 1, Salt: "s"}
	owners := []string{"example.", "f.example.", "m.example.", "x.example.", "a.x.example.", "y.example.", "z.example."}
	for _, c := range []struct {
		clear string
		exact bool
		gone  []string // of owners
		hash  bool     // NSEC3 of example. is left
		root  bool     // NSEC3 of the root is left
	}{
		{clear: "x.example.", gone: []string{"x.example.", "a.x.example."}}, // m.example. reaches only to its first name
		{clear: "w.example.", gone: []string{"m.example."}},
		{clear: "b.a.x.example.", gone: []string{"a.x.example."}},
		{clear: "h.example.", gone: nil}, // behind what f.example. reaches
		{clear: "example.", gone: owners},
		{clear: "net.", hash: true},
		{clear: "x.example.", exact: true, hash: true, root: true},
		{clear: "example.", exact: true, hash: true, root: true},
	} {
		w := newWorld(t)
		for _, in := range []resolve.Partition{0, 5, 1<<64 - 1} {
			w.in = in
			for i, o := range owners {
				next := owners[(i+1)%len(owners)]
				if o == "f.example." {
					next = "g.example."
				}
				w.told(nsec(t, secure, "example.", o, next))
			}
			w.told(nsec3(t, secure, "example.", chain, [20]byte{1}, [20]byte{2}), nsec3(t, secure, ".", chain, [20]byte{1}, [20]byte{2}))
		}
		clears := w.mem.ClearNumber()
		if _, err := w.Remove(name(t, c.clear), c.exact, 1000); err != nil {
			t.Fatal(err)
		}
		for _, in := range []resolve.Partition{0, 5, 1<<64 - 1} {
			w.in = in
			at := node{in, name(t, "example.")}
			for _, o := range owners {
				if _, left := w.mem.m[string(at.nsec(name(t, o)))]; left == slices.Contains(c.gone, o) {
					t.Errorf("clear %s, exact %v: %s of partition %x is left: %v", c.clear, c.exact, o, in, left)
				}
			}
			if left := hasAny(w.mem, at.key(familyNSEC3)); left != c.hash {
				t.Errorf("clear %s, exact %v: NSEC3 of partition %x is left: %v", c.clear, c.exact, in, left)
			}
			if left := hasAny(w.mem, node{in, dnsname.Root}.key(familyNSEC3)); left != c.root {
				t.Errorf("clear %s, exact %v: the root's NSEC3 of partition %x is left: %v", c.clear, c.exact, in, left)
			}
		}
		if c.exact && w.mem.ClearNumber() != clears+1 {
			t.Errorf("%d clears for one", w.mem.ClearNumber()-clears)
		}
	}
}

// Denials count in what a clear may remove at once.
func TestDenialsAreClearedInChunks(t *testing.T) {
	w := newWorld(t)
	for _, o := range []string{"m.example.", "x.example.", "a.x.example.", "b.x.example."} {
		w.told(nsec(t, secure, "example.", o, "zz.example."))
	}
	w.told(nsec3(t, secure, "example.", dnssec.Chain{}, [20]byte{1}, [20]byte{2}))
	var counts []int
	for len(counts) < 10 {
		n, err := w.Remove(name(t, "x.example."), false, 2)
		if err != nil {
			t.Fatal(err)
		}
		if counts = append(counts, n); n < 2 {
			break
		}
	}
	// Beside the five links there is the denial of x.example. itself.
	if !slices.Equal(counts, []int{2, 2, 2, 0}) || len(w.links()) != 0 {
		t.Errorf("removed %v, left %q", counts, w.links())
	}
}

// What was asked before a clear does not come back after it, although the clear was
// of other keys.
func TestNoDenialOfBeforeAClear(t *testing.T) {
	w := newWorld(t)
	req := w.request(question(t, "x.example.", wire.TypeA))
	w.looked(req)
	if _, err := w.Remove(name(t, "x.example."), false, 10); err != nil {
		t.Fatal(err)
	}
	q := &resolve.Query{Question: req.Question, Outcome: denial(resolve.NXDomain, soa(t, secure, "example.", 60, 60), nsec(t, secure, "example.", "m.example.", "z.example."))}
	q.Outcome.Origin = resolve.FromServer
	w.layer.Consume(req, q, &wire.Msg{})
	if got := w.links(); len(got) != 0 {
		t.Errorf("%q", got)
	}
}

func TestWorthOfDenials(t *testing.T) {
	w := newWorld(t)
	w.told(nsec(t, secure, "example.", "b.example.", "d.example."), nsec3(t, secure, "example.", dnssec.Chain{}, [20]byte{1}, [20]byte{2}))
	single := node{0, name(t, "x.example.")}.nxdomain(wire.ClassIN)
	least := Worth(single, w.mem.m[string(single)], w.now())
	for _, k := range w.links() {
		if got := Worth([]byte(k), w.mem.m[k], w.now()); got <= least {
			t.Errorf("%q is worth %d, the denial of one name %d", k, got, least)
		}
		if got := Worth([]byte(k), w.mem.m[k], w.now()+300); got != lmdbcache.Worthless {
			t.Errorf("%q is worth %d when it is over", k, got)
		}
	}
	w.pass(300)
	if n, err := w.Prune(t.Context(), w.now(), 0); n < 2 || err != nil || len(w.links()) != 0 {
		t.Errorf("%d pruned, %v, left %q", n, err, w.links())
	}
}

func TestDenialsOnDisk(t *testing.T) {
	w := openDisk(t, t.TempDir())
	kept := func(o resolve.Outcome) {
		req := &resolve.Request{Question: question(t, "x.example.", wire.TypeA), Now: w.now()}
		w.layer.Begin(req)
		w.layer.Produce(req, &resolve.Query{Question: req.Question})
		o.Origin = resolve.FromServer
		w.layer.Consume(req, &resolve.Query{Question: req.Question, Outcome: o}, &wire.Msg{})
	}
	find := func(text string) string {
		m := meter(2)
		for ch := range w.chains(node{0, name(t, "example.")}, w.now(), dnssec.NewHasher(&m)) {
			if k := ch.link(name(t, text)); k != nil {
				return k.set.Owner.String()
			}
		}
		return ""
	}
	kept(denial(resolve.NXDomain, soa(t, secure, "example.", 300, 300), nsec(t, secure, "example.", "b.example.", "d.example."),
		nsec(t, secure, "example.", "m.example.", "y.example."), nsec3(t, secure, "example.", dnssec.Chain{}, [20]byte{1}, [20]byte{1})))
	for _, where := range []string{"queued", "stored"} {
		if find("c.example.") != "b.example." || find("x.example.") != "m.example." || find("zz.example.") == "" {
			t.Errorf("%s: %q %q %q", where, find("c.example."), find("x.example."), find("zz.example."))
		}
		w.flush()
	}
	if n, err := w.Count(); n != 4 || err != nil {
		t.Errorf("%d entries, %v", n, err)
	}
	r, err := w.disk.NewReader()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	at := node{0, name(t, "example.")}
	prefix, key := at.key(familyNSEC), at.nsec(name(t, "c.example."))
	if n := testing.AllocsPerRun(100, func() {
		if r.Begin() != nil {
			t.Fatal("no snapshot")
		}
		if k, _, ok := r.Floor(prefix, key); !ok || string(k) >= string(key) {
			t.Fatal("not found by a listener")
		}
		r.End()
	}); n != 0 {
		t.Errorf("a listener's look allocates %v times", n)
	}
	if n, err := w.Remove(name(t, "x.example."), false, 100); n != 3 || err != nil {
		t.Errorf("%d removed, %v", n, err)
	}
	if find("c.example.") != "b.example." || find("x.example.") != "" || find("zz.example.") != "" {
		t.Errorf("after a clear: %q %q %q", find("c.example."), find("x.example."), find("zz.example."))
	}
}

// A clear that does not succeed says so, whichever of its parts fails.
func TestAClearThatFails(t *testing.T) {
	w := openDisk(t, t.TempDir())
	if err := w.disk.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := w.Remove(name(t, "x.example."), false, 10); err == nil {
		t.Error("a clear of a closed store succeeds")
	}
	mem := newWorld(t)
	mem.told(nsec3(t, secure, "example.", dnssec.Chain{}, [20]byte{1}, [20]byte{2}))
	mem.Swap(failing{mem.mem})
	if _, err := mem.Remove(name(t, "y.example."), false, 10); err == nil {
		t.Error("a clear that leaves denials succeeds")
	}
}

// failing is a Store that cannot remove denials.
type failing struct{ *memStore }

func (f failing) RemoveRange(prefix []byte, limit int, match func([]byte) bool) (int, error) {
	if _, family, _, ok := splitKey(prefix); ok && isDenial(family) {
		return 0, errors.New("not now")
	}
	return f.memStore.RemoveRange(prefix, limit, match)
}

// FuzzDenials: links that bear a right checksum, but hold anything. What is found is
// a secure set of the zone under the key where it belongs.
func FuzzDenials(f *testing.F) {
	fixture := newWorld(&testing.T{})
	fixture.told(nsec(f, secure, "example.", "b.example.", "d.example."), nsec3(f, secure, "example.", dnssec.Chain{}, [20]byte{1}, [20]byte{1}))
	keys := fixture.links()
	for i, k := range keys {
		f.Add(uint8(i), fixture.mem.m[k])
	}
	clk := clock.NewFake(fixture.clk.Now())
	f.Fuzz(func(t *testing.T, which uint8, entry []byte) {
		if len(entry) < headerLen {
			return
		}
		w := newWorld(t)
		w.clk = clk
		key := keys[int(which)%len(keys)]
		seal([]byte(key), entry)
		w.mem.m[key] = entry
		m := meter(4)
		if k := w.linkOf("example.", "c.example.", &m); k != nil && (!k.set.Rank.IsSecure() || !wire.IsDenial(k.set.Type) || !k.set.Owner.IsSubdomainOf(name(t, "example."))) {
			t.Errorf("%+v", k.set)
		}
		w.peek(question(t, "c.example.", wire.TypeA))
		if _, err := w.Remove(name(t, "c.example."), false, 10); err != nil {
			t.Error(err)
		}
	})
}

// FuzzSplitKey: what a key is taken apart into makes the same key again.
func FuzzSplitKey(f *testing.F) {
	at := node{7, name(f, "example.")}
	for _, k := range [][]byte{at.cut(), at.rrset(1, 1), at.nsec(name(f, "a.example.")), append(at.chain(dnssec.Chain{Salt: "s"}), make([]byte, 20)...)} {
		f.Add(k)
	}
	f.Fuzz(func(t *testing.T, key []byte) {
		at, family, rest, ok := splitKey(key)
		if !ok {
			return
		}
		again := append(at.key(family), rest...)
		whose, f2, rest2, ok := splitKey(again)
		if !ok || whose != at || f2 != family || string(rest2) != string(rest) {
			t.Errorf("%q became %q", key, again)
		}
	})
}
