package cache

import (
	"bytes"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"kresd/internal/dnsname"
	"kresd/internal/dnssec"
	"kresd/internal/limits"
	"kresd/internal/resolve"
	"kresd/internal/wire"
)

// signedZone is a zone whose chain a test puts into the cache.
type signedZone struct {
	apex   string
	types  map[string][]uint16 // of the names that own records, wildcards among them
	hashed bool                // NSEC3
	optOut bool
	of     dnssec.Chain
}

// exampleZone has one of each kind of name: c.b makes b an empty non-terminal, u and s
// are delegations without and with DS, r is redirected, w and cw have wildcards.
func exampleZone() *signedZone {
	return &signedZone{apex: "example.", of: dnssec.Chain{Iterations: 1, Salt: "s"}, types: map[string][]uint16{
		"example.": {wire.TypeSOA, wire.TypeNS, wire.TypeDNSKEY, wire.TypeA}, "a.example.": {wire.TypeA}, "c.b.example.": {wire.TypeA},
		"u.example.": {wire.TypeNS}, "s.example.": {wire.TypeNS, wire.TypeDS}, "r.example.": {wire.TypeDNAME}, "alias.example.": {wire.TypeCNAME},
		"*.w.example.": {wire.TypeTXT}, "x.w.example.": {wire.TypeA}, "*.cw.example.": {wire.TypeCNAME}, "z.example.": {wire.TypeA},
	}}
}

// asks are the names that are asked for, with all types.
var asks = []string{
	"example.", "a.example.", "aa.example.", "q.aa.example.", "q.a.example.", "b.example.", "c.b.example.", "d.b.example.", "q.c.b.example.",
	"u.example.", "q.u.example.", "ua.example.", "s.example.", "q.s.example.", "r.example.", "q.r.example.", "ra.example.", "alias.example.", "q.alias.example.",
	"w.example.", "*.w.example.", "x.w.example.", "y.w.example.", "q.y.w.example.", "q.x.w.example.", "q.*.w.example.", "cw.example.", "y.cw.example.",
	"*.example.", "zz.example.", "q.q.zz.example.", `\000.example.`, `\255.example.`,
}

var askedTypes = []uint16{wire.TypeA, wire.TypeTXT, wire.TypeDS, wire.TypeNS, wire.TypeCNAME, wire.TypeMX}

// expected is what the zone's server says: "data", "referral", "redirected", "alias",
// "nodata", "nxdomain", or with "wild " before it what a wildcard makes of the name.
func (z *signedZone) expected(t testing.TB, text string, qtype uint16) string {
	n := name(t, text)
	has := func(n dnsname.Name, t uint16) bool { return slices.Contains(z.types[n.String()], t) }
	for up := n; up != name(t, z.apex); up = up.Parent() {
		if has(up, wire.TypeNS) && (up != n || qtype != wire.TypeDS) {
			return "referral"
		}
		if has(up, wire.TypeDNAME) && up != n {
			return "redirected"
		}
	}
	at := func(n dnsname.Name) string {
		switch {
		case has(n, qtype):
			return "data"
		case has(n, wire.TypeCNAME):
			return "alias"
		}
		return "nodata"
	}
	if z.exists(t, n) {
		return at(n)
	}
	encloser := n.Parent()
	for !z.exists(t, encloser) {
		encloser = encloser.Parent()
	}
	if w := dnssec.Wildcard(encloser); z.types[w.String()] != nil {
		return "wild " + at(w)
	}
	return "nxdomain"
}

// exists tells whether a name owns records or has names below it that do.
func (z *signedZone) exists(t testing.TB, n dnsname.Name) bool {
	for owner := range z.types {
		if name(t, owner).IsSubdomainOf(n) {
			return true
		}
	}
	return false
}

// bitmap is the type bit map of some types below 256, and RRSIG.
func bitmap(types []uint16, more ...uint16) string {
	b := make([]byte, 32)
	for _, t := range append(slices.Clone(types), append(more, wire.TypeRRSIG)...) {
		b[t/8] |= 0x80 >> (t % 8)
	}
	b = bytes.TrimRight(b, "\x00")
	return string(append([]byte{0, byte(len(b))}, b...))
}

// chain is the whole chain of the zone.
func (z *signedZone) chain(t testing.TB) (sets []resolve.Set) {
	if z.hashed {
		return z.hashChain(t)
	}
	owners := slices.SortedFunc(maps.Keys(z.types), func(a, b string) int { return dnsname.Compare(name(t, a), name(t, b)) })
	for i, o := range owners {
		next := owners[(i+1)%len(owners)]
		rdata := string(name(t, next)) + bitmap(z.types[o], wire.TypeNSEC)
		sets = append(sets, signedBy(t, z.apex, rrset(t, secure, o, wire.TypeNSEC, 300, rdata)))
		sets[i].Sigs[0][3] = byte(labelsOf(name(t, o)))
	}
	return sets
}

// labelsOf is the number of labels of an owner that a signature tells.
func labelsOf(n dnsname.Name) int {
	if n.IsWildcard() {
		return n.Labels() - 1
	}
	return n.Labels()
}

// hashChain is the chain of NSEC3 sets: empty non-terminals have theirs; delegations
// without DS have none where opt-out covers them (RFC 5155, section 7.1).
func (z *signedZone) hashChain(t testing.TB) (sets []resolve.Set) {
	types := map[dnsname.Name][]uint16{}
	for o, list := range z.types {
		if z.optOut && slices.Equal(list, []uint16{wire.TypeNS}) {
			continue
		}
		types[name(t, o)] = list
		for n := name(t, o); n != name(t, z.apex); n = n.Parent() {
			if _, ok := types[n]; !ok {
				types[n] = z.types[n.String()]
			}
		}
	}
	m := meter(1000)
	h := dnssec.NewHasher(&m)
	byHash, hashes := map[string][]uint16{}, []string{}
	for n, list := range types {
		sum, err := h.Hash(z.of, n)
		if err != nil {
			t.Fatal(err)
		}
		byHash[string(sum[:])] = list
		hashes = append(hashes, string(sum[:]))
	}
	slices.Sort(hashes)
	for i, from := range hashes {
		s := nsec3(t, secure, z.apex, z.of, [20]byte([]byte(from)), [20]byte([]byte(hashes[(i+1)%len(hashes)])))
		rdata := bytes.TrimSuffix(s.Data[0], []byte(bitmapA))
		if z.optOut {
			rdata[1] = 1
		}
		if list := byHash[from]; len(list) > 0 {
			rdata = append(rdata, bitmap(list)...)
		}
		s.Data[0] = rdata
		sets = append(sets, s)
	}
	return sets
}

// wildcards are the sets that the zone's wildcards make for some name, with the whole
// chain for proof.
func (z *signedZone) learnWildcards(w *world) {
	proofs := z.chain(w)
	for owner, rdata := range map[string]string{"made.w.example.": "\x04text", "made.cw.example.": string(name(w, "a.example."))} {
		rtype := wire.TypeTXT
		if strings.Contains(owner, ".cw.") {
			rtype = wire.TypeCNAME
		}
		s := signedBy(w, z.apex, rrset(w, secure, owner, rtype, 200, rdata))
		s.Sigs[0][3]--
		o := positive(s)
		if rtype == wire.TypeCNAME {
			o.Kind, o.Target = resolve.Alias, name(w, "a.example.")
		}
		o.Authority = slices.Clone(proofs[:2])
		w.learn(question(w, owner, rtype), o)
	}
}

// taught is a cache that knows some links of a zone's chain.
func (z *signedZone) taught(t *testing.T, links []resolve.Set) *world {
	w := newWorld(t)
	soa := signedBy(t, z.apex, soa(t, secure, z.apex, 300, 300))
	for part := range slices.Chunk(links, 5) {
		// Somebody else's question, which leaves nothing that says more than the links.
		w.learn(question(t, "elsewhere.", wire.TypeA), denial(resolve.NXDomain, append([]resolve.Set{soa}, part...)...))
	}
	return w
}

// outcomeOf is an outcome in the words of expected.
func outcomeOf(o resolve.Outcome) string {
	switch o.Kind {
	case resolve.NXDomain:
		return "nxdomain"
	case resolve.NoData:
		return "nodata"
	case resolve.Positive:
		return "data"
	case resolve.Alias:
		return "alias"
	}
	return ""
}

// checkProofs judges an outcome as a validator judges what the zone's server says.
func (z *signedZone) checkProofs(t *testing.T, q resolve.Question, o resolve.Outcome) {
	t.Helper()
	var sets []*wire.RRset
	for i := range o.Authority {
		if s := &o.Authority[i]; wire.IsDenial(s.Type) {
			sets = append(sets, &s.RRset)
		}
		if s := &o.Authority[i]; !s.Rank.IsSecure() || len(s.Sigs) != 1 || s.TTL == 0 || s.TTL > 300 || !s.Cached {
			t.Errorf("%s: %+v", q, s)
		}
	}
	m := meter(1000)
	d := dnssec.NewDenials(name(t, z.apex), sets, &m)
	p, err := dnssec.Unproven, error(nil)
	switch o.Kind {
	case resolve.NXDomain:
		p, err = d.NameError(q.Name)
	case resolve.NoData:
		p, err = d.NoData(q.Name, q.Type)
	default:
		s := &o.Answer[0]
		if s.TTL > 200 || s.Owner != q.Name || len(o.Answer) != 1 || !s.Expanded() || !s.Rank.IsSecure() || s.TTL != o.Authority[0].TTL {
			t.Errorf("%s: %+v", q, s)
		}
		p, err = d.Expanded(q.Name, q.Name.Suffix(wire.SigLabels(s.Sigs[0])))
	}
	if p != dnssec.Proven || err != nil {
		t.Errorf("%s: %s is not proven (%v, %v) by %v", q, outcomeOf(o), p, err, owners(o.Authority))
	}
	if negative := isNegative(o.Kind); negative != (o.Authority[0].Type == wire.TypeSOA) || negative && o.Zone != name(t, z.apex) || (o.Rcode == wire.RcodeNXDomain) != (o.Kind == resolve.NXDomain) {
		t.Errorf("%s: %+v", q, o)
	}
}

func owners(sets []resolve.Set) (out []string) {
	for _, s := range sets {
		out = append(out, s.Owner.String()+" "+wire.TypeText(s.Type))
	}
	return out
}

// zones are the kinds of chains.
func zones() map[string]*signedZone {
	plain, hashed, optOut := exampleZone(), exampleZone(), exampleZone()
	hashed.hashed = true
	optOut.hashed, optOut.optOut = true, true
	return map[string]*signedZone{"NSEC": plain, "NSEC3": hashed, "opt-out": optOut}
}

// What is made of the whole chain is what the zone's server would have said, with
// proofs that a validator accepts; what the chain leaves open is asked for.
func TestWhatAChainProves(t *testing.T) {
	for kind, z := range zones() {
		w := z.taught(t, z.chain(t))
		z.learnWildcards(w)
		for _, text := range asks {
			for _, qtype := range askedTypes {
				q := question(t, text, qtype)
				want := z.expected(t, text, qtype)
				switch wild, is := strings.CutPrefix(want, "wild "); {
				case text == "*.w.example." && qtype == wire.TypeTXT: // the source of synthesis itself
					want = "data"
				case text == z.apex && qtype == wire.TypeDS: // the parent's to say
					want = ""
				case is && z.optOut: // an insecure delegation may be there
					want = ""
				case is:
					want = wild
				case want == "nxdomain" && z.optOut, want == "referral", want == "redirected", want == "data", want == "alias":
					want = ""
				case z.optOut && text == "u.example.":
					want = ""
				}
				o := w.peek(q)
				if got := outcomeOf(o); got != want {
					t.Errorf("%s: %s is %q, want %q (%s)", kind, q, got, want, z.expected(t, text, qtype))
				} else if got != "" && text != "*.w.example." {
					z.checkProofs(t, q, o)
				}
			}
		}
	}
}

// Whichever links are known, nothing is made of them that the zone's server would not
// have said.
func TestWhatPartsOfAChainProve(t *testing.T) {
	random := rand.New(rand.NewPCG(8, 198))
	made := map[string]int{}
	for kind, z := range zones() {
		all := z.chain(t)
		for range 60 {
			random.Shuffle(len(all), func(i, j int) { all[i], all[j] = all[j], all[i] })
			w := z.taught(t, all[:1+random.IntN(len(all))])
			if random.IntN(2) == 0 {
				z.learnWildcards(w)
			}
			for _, text := range asks {
				q := question(t, text, askedTypes[random.IntN(len(askedTypes))])
				o := w.peek(q)
				got, want := outcomeOf(o), z.expected(t, text, q.Type)
				if got == "" || text == "*.w.example." {
					continue
				}
				if made[kind+" "+want]++; got != strings.TrimPrefix(want, "wild ") {
					t.Fatalf("%s: %s is %q, want %q", kind, q, got, want)
				}
				z.checkProofs(t, q, o)
			}
		}
	}
	for _, must := range []string{"NSEC nxdomain", "NSEC wild data", "NSEC wild nodata", "NSEC nodata", "NSEC3 nxdomain", "NSEC3 wild data", "NSEC3 wild nodata", "NSEC3 wild alias", "opt-out nodata"} {
		if made[must] == 0 {
			t.Errorf("%s was never made: %v", must, made)
		}
	}
}

// A denial lasts as long as the part that ends first (RFC 8198, section 5.4; RFC
// 9077), and is gone then.
func TestHowLongWhatIsProvenLasts(t *testing.T) {
	z := exampleZone()
	w := newWorld(t)
	chain := z.chain(t)
	for i := range chain {
		chain[i].TTL = 100
	}
	w.learn(question(t, "elsewhere.", wire.TypeA), denial(resolve.NXDomain, append([]resolve.Set{signedBy(t, "example.", soa(t, secure, "example.", 600, 600))}, chain...)...))
	q := question(t, "aa.example.", wire.TypeA)
	w.pass(40)
	for _, s := range w.peek(q).Authority {
		if s.TTL != 60 {
			t.Errorf("%s %s: TTL %d after 40 of 100 seconds", s.Owner, wire.TypeText(s.Type), s.TTL)
		}
	}
	w.pass(60)
	if o := w.peek(q); o.Kind != resolve.Pending {
		t.Errorf("after its TTL: %+v", o)
	}
	// The SOA ends before the links.
	w = newWorld(t)
	w.learn(question(t, "elsewhere.", wire.TypeA), denial(resolve.NXDomain, append([]resolve.Set{signedBy(t, "example.", soa(t, secure, "example.", 600, 600))}, z.chain(t)...)...))
	w.mem.Delete(node{0, name(t, "example.")}.soa())
	if o := w.peek(q); o.Kind != resolve.Pending {
		t.Errorf("without SOA: %+v", o)
	}
}

// A proof that came without SOA, beside a referral or what a wildcard made, may live
// longer than denials of its zone: it denies no longer than these (RFC 9077).
func TestAProofDeniesNoLongerThanItsZone(t *testing.T) {
	z := exampleZone()
	w := newWorld(t)
	chain := z.chain(t)
	for i := range chain {
		chain[i].TTL = 5000
	}
	referral := resolve.Outcome{Kind: resolve.Referral, Cut: cut(t, "u.example.", w.now()+60), Authority: chain}
	w.learn(question(t, "q.u.example.", wire.TypeA), referral)
	q := question(t, "aa.example.", wire.TypeA)
	for _, c := range []struct {
		wait int
		ttl  uint32 // 0: it is asked for
	}{{0, 300}, {100, 200}, {199, 1}, {1, 0}} {
		w.pass(c.wait)
		soa := signedBy(t, "example.", soa(t, secure, "example.", 600, 300))
		w.learn(question(t, "zzz.example.", wire.TypeA), denial(resolve.NXDomain, soa, signedBy(t, "example.", rrset(t, secure, "zz.example.", wire.TypeNSEC, 300, string(name(t, "example."))+bitmapA))))
		o := w.peek(q)
		if c.ttl == 0 && o.Kind == resolve.Pending {
			continue
		}
		if o.Kind != resolve.NXDomain || o.Authority[0].TTL != c.ttl {
			t.Errorf("after %d seconds more: %+v, want TTL %d", c.wait, o, c.ttl)
		}
	}
}

// A stored SOA that is none, or not the zone's, ends no denial.
func TestTheStoredSOAHasToBeTheZones(t *testing.T) {
	z := exampleZone()
	w := z.taught(t, z.chain(t))
	q := question(t, "aa.example.", wire.TypeA)
	key := node{0, name(t, "example.")}.soa()
	good := soa(t, secure, "example.", 300, 300)
	for what, sets := range map[string][]resolve.Set{
		"two sets": {good, good}, "no SOA": {rrset(t, secure, "example.", wire.TypeTXT, 300, "\x04text")},
		"another zone's": {soa(t, secure, "example.net.", 300, 300)}, "not validated": {soa(t, insecure, "example.", 300, 300)}, "right": {good},
	} {
		w.mem.m[string(key)] = seal(key, appendSets(newEntry(header{kind: kindDenial, rank: secure, made: w.now(), ttl: 300}, 0), sets))
		if o := w.peek(q); (o.Kind == resolve.NXDomain) != (what == "right") {
			t.Errorf("%s: %+v", what, o)
		}
	}
}

// What was asked for and told comes before what a chain proves, as does a delegation:
// they may be newer.
func TestWhatIsKnownComesBeforeTheChain(t *testing.T) {
	z := exampleZone()
	w := z.taught(t, z.chain(t))
	w.learn(question(t, "aa.example.", wire.TypeA), positive(signedBy(t, "example.", rrset(t, secure, "aa.example.", wire.TypeA, 60, "\x01\x02\x03\x04"))))
	if o := w.peek(question(t, "aa.example.", wire.TypeA)); o.Kind != resolve.Positive {
		t.Errorf("a set that is known: %+v", o)
	}
	w.Keep(cut(t, "ab.example.", w.now()+60), w.now())
	for _, text := range []string{"ab.example.", "q.ab.example."} {
		if o := w.peek(question(t, text, wire.TypeA)); o.Kind != resolve.Pending {
			t.Errorf("%s below a delegation that is alive: %+v", text, o)
		}
	}
	if o := w.peek(question(t, "ab.example.", wire.TypeDS)); o.Kind != resolve.Pending {
		t.Errorf("the parent delegates what it denies by an older proof: %+v", o)
	}
	w.Keep(cut(t, "u.example.", w.now()+60), w.now())
	if o := w.peek(question(t, "u.example.", wire.TypeDS)); o.Kind != resolve.NoData {
		t.Errorf("DS of a delegation is the parent's: %+v", o)
	}
	w.Keep(cut(t, "example.", w.now()+60), w.now())
	for range 2 { // read, and at hand
		if o := w.peek(question(t, "ac.example.", wire.TypeA)); o.Kind != resolve.NXDomain {
			t.Errorf("below the zone's own delegation: %+v", o)
		}
	}
}

// A delegation of the zone that is at hand without links is seen to have some as soon
// as one is stored.
func TestLinksThatComeWhileTheDelegationIsAtHand(t *testing.T) {
	z := exampleZone()
	w := newWorld(t)
	w.Keep(cut(t, "example.", w.now()+60), w.now())
	q := question(t, "aa.example.", wire.TypeA)
	if o := w.peek(q); o.Kind != resolve.Pending {
		t.Fatalf("%+v", o)
	}
	soa := signedBy(t, "example.", soa(t, secure, "example.", 300, 300))
	w.learn(question(t, "elsewhere.", wire.TypeA), denial(resolve.NXDomain, append([]resolve.Set{soa}, z.chain(t)...)...))
	if o := w.peek(q); o.Kind != resolve.NXDomain {
		t.Errorf("%+v", o)
	}
}

// The child's apex and what lies below it are the child's to deny, its DS set the
// parent's (HARDENING A2).
func TestParentsAndChildrensDenials(t *testing.T) {
	child := &signedZone{apex: "s.example.", of: dnssec.Chain{Salt: "t"}, types: map[string][]uint16{"s.example.": {wire.TypeSOA, wire.TypeNS, wire.TypeDNSKEY}, "m.s.example.": {wire.TypeA}}}
	for kind, parent := range zones() {
		child.hashed = parent.hashed
		w := parent.taught(t, append(parent.chain(t), child.chain(t)...))
		soa := signedBy(t, child.apex, soa(t, secure, child.apex, 300, 300))
		w.learn(question(t, "elsewhere.", wire.TypeA), denial(resolve.NXDomain, append([]resolve.Set{soa}, child.chain(t)...)...))
		for _, c := range []struct {
			name string
			t    uint16
			want string
			zone string
		}{
			{"s.example.", wire.TypeMX, "nodata", "s.example."}, {"q.s.example.", wire.TypeA, "nxdomain", "s.example."},
			{"q.s.example.", wire.TypeDS, "nxdomain", "s.example."}, {"m.s.example.", wire.TypeDS, "nodata", "s.example."},
			{"s.example.", wire.TypeDS, "", ""}, {"a.example.", wire.TypeDS, "nodata", "example."},
		} {
			o := w.peek(question(t, c.name, c.t))
			if got := outcomeOf(o); got != c.want || o.Zone.String() != c.zone {
				t.Errorf("%s: %s %s: %q of %q, want %q of %q", kind, c.name, wire.TypeText(c.t), got, o.Zone, c.want, c.zone)
			}
		}
	}
}

// Wrong proofs that are stored all the same prove nothing (HARDENING A2): each says of
// the name what it would if a part of its check were missing.
func TestWrongProofsInTheCache(t *testing.T) {
	apex := func(types ...uint16) resolve.Set { // up to a.example.
		return signedBy(t, "example.", rrset(t, secure, "example.", wire.TypeNSEC, 300, string(name(t, "a.example."))+bitmap(append(types, wire.TypeSOA, wire.TypeNS), wire.TypeNSEC)))
	}
	plain := func(owner, next string, types ...uint16) resolve.Set {
		return signedBy(t, "example.", rrset(t, secure, owner, wire.TypeNSEC, 300, string(name(t, next))+bitmap(types, wire.TypeNSEC)))
	}
	less := func(s resolve.Set) resolve.Set { s.Sigs[0][3]--; return s }
	lower := func(s resolve.Set) resolve.Set { s.Rank = insecure; return s }
	of := func(zone string, s resolve.Set) resolve.Set {
		s.Sigs = nil
		return signedBy(t, zone, s)
	}
	ask := func(text string, qtype uint16) resolve.Question { return question(t, text, qtype) }
	nx := ask("m.example.", wire.TypeA)
	for what, c := range map[string]struct {
		q    resolve.Question
		sets []resolve.Set
		says string // after the forgery is made good
		good []resolve.Set
	}{
		"the next name is another zone's": {nx, []resolve.Set{apex(), plain("k.example.", "p.example.net.", wire.TypeA)}, "nxdomain", []resolve.Set{plain("k.example.", "p.example.", wire.TypeA)}},
		"the signer is another zone":      {nx, []resolve.Set{apex(), of("net.", plain("k.example.", "p.example.", wire.TypeA))}, "nxdomain", []resolve.Set{plain("k.example.", "p.example.", wire.TypeA)}},
		"the signer is the parent":        {nx, []resolve.Set{apex(), of(".", plain("k.example.", "p.example.", wire.TypeA))}, "nxdomain", []resolve.Set{plain("k.example.", "p.example.", wire.TypeA)}},
		"it leads backwards":              {nx, []resolve.Set{apex(), plain("k.example.", "c.example.", wire.TypeA)}, "nxdomain", []resolve.Set{plain("k.example.", "p.example.", wire.TypeA)}},
		"a wildcard made it":              {nx, []resolve.Set{apex(), less(plain("k.example.", "p.example.", wire.TypeA))}, "nxdomain", []resolve.Set{plain("k.example.", "p.example.", wire.TypeA)}},
		"it is not validated":             {nx, []resolve.Set{apex(), lower(plain("k.example.", "p.example.", wire.TypeA))}, "nxdomain", []resolve.Set{plain("k.example.", "p.example.", wire.TypeA)}},
		"the wildcard is not denied":      {nx, []resolve.Set{plain("k.example.", "p.example.", wire.TypeA)}, "nxdomain", []resolve.Set{apex()}},
		"an ancestor is delegated":        {ask("q.k.example.", wire.TypeA), []resolve.Set{apex(), plain("k.example.", "p.example.", wire.TypeNS)}, "nxdomain", []resolve.Set{plain("k.example.", "p.example.", wire.TypeA)}},
		"an ancestor is redirected":       {ask("q.k.example.", wire.TypeA), []resolve.Set{apex(), plain("k.example.", "p.example.", wire.TypeDNAME)}, "nxdomain", []resolve.Set{plain("k.example.", "p.example.", wire.TypeA)}},
		"the parent's for the child":      {ask("k.example.", wire.TypeA), []resolve.Set{plain("k.example.", "p.example.", wire.TypeNS)}, "nodata", []resolve.Set{plain("k.example.", "p.example.", wire.TypeTXT)}},
		"the child's for DS":              {ask("k.example.", wire.TypeDS), []resolve.Set{plain("k.example.", "p.example.", wire.TypeNS, wire.TypeSOA)}, "nodata", []resolve.Set{plain("k.example.", "p.example.", wire.TypeNS)}},
		"an alias is there":               {ask("k.example.", wire.TypeA), []resolve.Set{plain("k.example.", "p.example.", wire.TypeCNAME)}, "nodata", []resolve.Set{plain("k.example.", "p.example.", wire.TypeTXT)}},
		"an alias is at the wildcard":     {nx, []resolve.Set{plain("*.example.", "a.example.", wire.TypeCNAME), plain("k.example.", "p.example.", wire.TypeA)}, "nodata", []resolve.Set{plain("*.example.", "a.example.", wire.TypeTXT)}},
		"the type is there":               {ask("k.example.", wire.TypeA), []resolve.Set{plain("k.example.", "p.example.", wire.TypeA)}, "nodata", []resolve.Set{plain("k.example.", "p.example.", wire.TypeTXT)}},
		"a range for one question":        {nx, []resolve.Set{apex(), plain("k.example.", `k\000.example.`, wire.TypeA), plain("m.example.", `\000.m.example.`)}, "nxdomain", []resolve.Set{plain("k.example.", "p.example.", wire.TypeA)}},
	} {
		w := newWorld(t)
		soa := signedBy(t, "example.", soa(t, secure, "example.", 300, 300))
		give := func(sets []resolve.Set) {
			for i := range sets {
				if sets[i].Owner.IsWildcard() {
					sets[i].Sigs[0][3] = byte(labelsOf(sets[i].Owner))
				}
			}
			w.learn(ask("elsewhere.", wire.TypeA), denial(resolve.NXDomain, append([]resolve.Set{soa}, sets...)...))
		}
		give(append(c.sets, plain("y.example.", "z.example.", wire.TypeA))) // so that the zone has links at all
		if o := w.peek(c.q); o.Kind != resolve.Pending {
			t.Errorf("%s: %s by %v", what, outcomeOf(o), owners(o.Authority))
		}
		give(c.good)
		if got := outcomeOf(w.peek(c.q)); got != c.says {
			t.Errorf("%s: the right proof says %q, want %q", what, got, c.says)
		}
	}
}

// NSEC3 sets of one chain prove nothing together with those of another, or of another
// zone: which of them are missing cannot be told.
func TestHashesOfTwoChains(t *testing.T) {
	z := exampleZone()
	z.hashed = true
	first, second := z.chain(t), []resolve.Set(nil)
	z.of = dnssec.Chain{Iterations: 2, Salt: "other"}
	second = z.chain(t)
	q := question(t, "aa.example.", wire.TypeA)
	both := z.taught(t, append(slices.Clone(first), second...))
	if got := outcomeOf(both.peek(q)); got != "nxdomain" {
		t.Errorf("with two whole chains: %q", got)
	}
	// The parts of the proof are spread over both: the encloser's is the other chain's.
	m := meter(100)
	h := dnssec.NewHasher(&m)
	part := func(sets []resolve.Set, names ...string) (out []resolve.Set, encloser bool) {
		for i := range sets {
			l, _ := dnssec.NewLink(name(t, "example."), &sets[i].RRset)
			for _, n := range names {
				if sum, err := h.Hash(l.Chain, name(t, n)); err == nil && l.SpansHash(sum) {
					out = append(out, sets[i])
					encloser = encloser || l.Owns(name(t, "example."), h)
					break
				}
			}
		}
		return out, encloser
	}
	for i := 0; ; i++ {
		q := question(t, fmt.Sprintf("n%d.example.", i), wire.TypeA)
		covers, known := part(first, q.Name.String(), "*.example.")
		if known {
			continue
		}
		for _, c := range []struct {
			chain []resolve.Set
			want  string
		}{{second, ""}, {first, "nxdomain"}} {
			encloser, _ := part(c.chain, "example.")
			if got := outcomeOf(z.taught(t, append(slices.Clone(covers), encloser...)).peek(q)); got != c.want {
				t.Errorf("%s: %q, want %q", q, got, c.want)
			}
		}
		break
	}
}

// What a wildcard makes needs no more of a chain of hashes than that the name does not
// exist: the wildcard's parent exists, since the wildcard does.
func TestAWildcardWhoseParentIsNotKnown(t *testing.T) {
	z := exampleZone()
	z.hashed = true
	m := meter(1000)
	h := dnssec.NewHasher(&m)
	var covers []resolve.Set
	for _, s := range z.chain(t) {
		if l, ok := dnssec.NewLink(name(t, z.apex), &s.RRset); ok && l.Covers(name(t, "y.w.example."), h) {
			covers = append(covers, s)
		}
	}
	q := question(t, "q.y.w.example.", wire.TypeTXT)
	w := z.taught(t, covers)
	if o := w.peek(q); o.Kind != resolve.Pending {
		t.Errorf("without the wildcard: %+v", o)
	}
	s := signedBy(t, z.apex, rrset(t, secure, "*.w.example.", wire.TypeTXT, 200, "\x04text"))
	s.Sigs[0][3] = 2
	w.learn(question(t, "*.w.example.", wire.TypeTXT), positive(s))
	o := w.peek(q)
	if o.Kind != resolve.Positive {
		t.Fatalf("%+v", o)
	}
	z.checkProofs(t, q, o)
	for what, change := range map[string]func(*resolve.Set){
		"not validated": func(s *resolve.Set) { s.Rank = insecure }, "made from another wildcard": func(s *resolve.Set) { s.Sigs[0][3] = 1 }, "not signed": func(s *resolve.Set) { s.Sigs = nil },
	} {
		other := s
		other.Sigs = [][]byte{bytes.Clone(s.Sigs[0])}
		change(&other)
		key := node{0, name(t, "*.w.example.")}.rrset(wire.TypeTXT, wire.ClassIN)
		w.mem.m[string(key)] = seal(key, appendSets(newEntry(header{kind: kindRRset, rank: other.Rank, made: w.now(), ttl: 200}, 0), []resolve.Set{other}))
		if o := w.peek(q); o.Kind != resolve.Pending {
			t.Errorf("a source that is %s: %+v", what, o)
		}
	}
}

// A wildcard's alias is no answer to what stands beside aliases.
func TestWhatAWildcardsAliasDoesNotAnswer(t *testing.T) {
	z := exampleZone()
	w := z.taught(t, z.chain(t))
	z.learnWildcards(w)
	for qtype, want := range map[uint16]resolve.Kind{wire.TypeA: resolve.Alias, wire.TypeCNAME: resolve.Positive, wire.TypeNSEC: resolve.Pending, wire.TypeRRSIG: resolve.Pending} {
		if o := w.peek(question(t, "y.cw.example.", qtype)); o.Kind != want {
			t.Errorf("%s: kind %d, want %d", wire.TypeText(qtype), o.Kind, want)
		}
	}
}

// Who looks for what nobody will be asked for gets nothing that a delegation on the way
// could make void.
func TestAFinalSearchProvesNothing(t *testing.T) {
	z := exampleZone()
	w := z.taught(t, z.chain(t))
	for _, final := range []bool{false, true} {
		q := question(t, "aa.example.", wire.TypeA)
		f := w.find(wanted{Question: q, when: when{now: w.now()}, final: final}, w.inventory(node{0, q.Name}))
		if f.nothing() != final {
			t.Errorf("final %v: %+v", final, f.Outcome)
		}
	}
}

// Only the SOA of the zone whose links come with it is kept for its denials.
func TestWhichSOAIsKept(t *testing.T) {
	for what, c := range map[string]struct {
		soa  resolve.Set
		kept bool
	}{
		"the zone's":      {signedBy(t, "example.", soa(t, secure, "example.", 300, 300)), true},
		"of a name below": {signedBy(t, "example.", soa(t, secure, "a.example.", 300, 300)), false}, "another signer": {signedBy(t, ".", soa(t, secure, "example.", 300, 300)), false},
		"not validated": {signedBy(t, "example.", soa(t, insecure, "example.", 300, 300)), false},
	} {
		w := newWorld(t)
		w.learn(question(t, "elsewhere.", wire.TypeA), denial(resolve.NXDomain, c.soa, nsec(t, secure, "example.", "b.example.", "d.example.")))
		if kept := hasAny(w.mem, node{0, name(t, "example.")}.soa()); kept != c.kept || len(w.links()) != 1 {
			t.Errorf("%s: kept %v, %d links", what, kept, len(w.links()))
		}
	}
}

// What one partition has validated, another does not believe.
func TestNoPartitionProvesForAnother(t *testing.T) {
	z := exampleZone()
	w := z.taught(t, z.chain(t))
	w.in = 5
	if o := w.peek(question(t, "aa.example.", wire.TypeA)); o.Kind != resolve.Pending {
		t.Errorf("%+v", o)
	}
}

// A clear of a subtree takes what was proven about it along.
func TestNothingIsProvenAfterAClear(t *testing.T) {
	for kind, z := range zones() {
		w := z.taught(t, z.chain(t))
		if _, err := w.Remove(name(t, "aa.example."), false, 100); err != nil {
			t.Fatal(err)
		}
		if o := w.peek(question(t, "aa.example.", wire.TypeA)); o.Kind != resolve.Pending {
			t.Errorf("%s: %+v", kind, o)
		}
	}
}

// A name with many labels, or a chain with many rounds, costs no more than a few
// hashes, within what is left to the request (HARDENING B2).
func TestWhatALookUpHashes(t *testing.T) {
	deep := &signedZone{apex: "example.", hashed: true, types: map[string][]uint16{"example.": {wire.TypeSOA}, strings.Repeat("d.", 40) + "example.": {wire.TypeA}}}
	w := deep.taught(t, deep.chain(t))
	if o := w.peek(question(t, "q."+strings.Repeat("d.", 30)+"example.", wire.TypeA)); o.Kind != resolve.Pending || w.count.Get(limits.HashedNames) == 0 {
		t.Errorf("%s, refused %d", outcomeOf(o), w.count.Get(limits.HashedNames))
	}
	if o := w.peek(question(t, "q.d.d.example.", wire.TypeA)); o.Kind != resolve.NXDomain {
		t.Errorf("a name with few labels: %+v", o)
	}
	if o := w.peek(question(t, strings.Repeat("q.", 60)+"d.example.", wire.TypeA)); o.Kind != resolve.NXDomain {
		t.Errorf("many labels that do not exist: %+v", o)
	}
	budget := resolve.NewBudget(w.count)
	paid := func(r *resolve.Request) { r.Budget = budget }
	for range limits.MaxHashPerRequest {
		if w.peek(question(t, "q.d.d.example.", wire.TypeA), paid).Kind != resolve.NXDomain {
			break
		}
	}
	if o := w.peek(question(t, "q.d.d.example.", wire.TypeA), paid); o.Kind != resolve.Pending || w.count.Get(limits.HashUnits) == 0 {
		t.Errorf("hashed without end: %+v", o)
	}
}

// The wildcard's own set is stored by the name of the wildcard, as the zone has it.
func TestTheWildcardsOwnSet(t *testing.T) {
	z := exampleZone()
	w := newWorld(t)
	z.learnWildcards(w)
	o := w.peek(question(t, "*.w.example.", wire.TypeTXT))
	if o.Kind != resolve.Positive || o.Answer[0].Expanded() || len(o.Authority) != 0 || string(o.Answer[0].Data[0]) != "\x04text" || o.Answer[0].TTL != 200 {
		t.Errorf("%+v", o)
	}
	writes := w.mem.writes
	z.learnWildcards(w)
	if again := w.mem.writes - writes; again != 2 { // the expanded sets
		t.Errorf("%d writes for what is known", again)
	}
	for what, change := range map[string]func(*resolve.Set){
		"not validated": func(s *resolve.Set) { s.Rank = insecure },
		"signatures disagree": func(s *resolve.Set) {
			s.Sigs = append(s.Sigs, append(bytes.Clone(s.Sigs[0][:3:3]), append([]byte{3}, s.Sigs[0][4:]...)...))
		},
		"no wildcard made it":  func(s *resolve.Set) { s.Sigs[0][3] = 3 },
		"outside of its scope": func(s *resolve.Set) { s.Sigs[0][3] = 0 },
	} {
		w := newWorld(t)
		s := signedBy(t, "example.", rrset(t, secure, "made.w.example.", wire.TypeTXT, 200, "\x04text"))
		s.Sigs[0][3] = 2
		change(&s)
		req := w.request(question(t, "made.w.example.", wire.TypeTXT))
		w.looked(req)
		q := &resolve.Query{Question: req.Question, Outcome: positive(s)}
		q.Outcome.Origin = resolve.FromServer
		if what == "outside of its scope" {
			q.Scope, q.Options.Forward, q.Cut = name(t, "example."), true, cut(t, ".", w.now()+60)
			q.Cut.Hints = true
		}
		w.layer.Consume(req, q, &wire.Msg{})
		for _, k := range w.mem.keys() {
			if at, _, _, ok := splitKey([]byte(k)); ok && at.name.IsWildcard() {
				t.Errorf("%s: %s is stored", what, at.name)
			}
		}
	}
}

// What every answer to a flood brings along is written once, and again when it has
// changed or aged.
func TestPartsOfDenialsAreWrittenOnce(t *testing.T) {
	w := newWorld(t)
	tell := func(next string) int {
		before := w.mem.writes
		soa := signedBy(t, "example.", soa(t, secure, "example.", 300, 300))
		w.learn(question(t, "elsewhere.", wire.TypeA), denial(resolve.NXDomain, soa, nsec(t, secure, "example.", "b.example.", next)))
		return w.mem.writes - before
	}
	for _, c := range []struct {
		wait   int
		next   string
		writes int
	}{{0, "d.example.", 2}, {0, "d.example.", 0}, {75, "d.example.", 0}, {1, "d.example.", 2}, {0, "c.example.", 1}, {0, "dd.example.", 1}} {
		w.pass(c.wait)
		if n := tell(c.next); n != c.writes {
			t.Errorf("after %d seconds, up to %s: %d writes, want %d", c.wait, c.next, n, c.writes)
		}
	}
}

func TestAggressiveUseIsCounted(t *testing.T) {
	z := exampleZone()
	w := z.taught(t, z.chain(t))
	w.peek(question(t, "aa.example.", wire.TypeA))
	w.peek(question(t, "a.example.", wire.TypeA))
	if n := w.Stats().Aggressive; n != 1 {
		t.Errorf("%d, want 1", n)
	}
}

// BenchmarkAggressive is what a look-up costs that finds a proof.
func BenchmarkAggressive(b *testing.B) {
	for kind, z := range zones() {
		if z.optOut {
			continue
		}
		b.Run(kind, func(b *testing.B) {
			w := newWorld(&testing.T{})
			soa := signedBy(b, z.apex, soa(b, secure, z.apex, 300, 300))
			w.learn(question(b, "elsewhere.", wire.TypeA), denial(resolve.NXDomain, append([]resolve.Set{soa}, z.chain(b)...)...))
			b.ReportAllocs()
			for i := 0; b.Loop(); i++ {
				at := node{0, name(b, fmt.Sprintf("n%d.example.", i))}
				f := w.find(wanted{Question: resolve.Question{Name: at.name, Type: wire.TypeA, Class: wire.ClassIN}, when: when{now: w.now()}}, w.inventory(at))
				if f.Kind != resolve.NXDomain {
					b.Fatalf("%s: %+v", at.name, f)
				}
			}
		})
	}
}

// The names that the look-ups of a flood have in common were hashed for each of them.
func TestHashesAreRememberedAcrossLookUps(t *testing.T) {
	w := newWorld(t)
	chain := dnssec.Chain{Iterations: 50, Salt: "salt"}
	for _, want := range []int{1, 0} {
		h := &hashing{proof: resolve.NewBudget(w.count).Proof(), cache: w.Cache}
		if _, err := dnssec.NewHasher(h).Hash(chain, name(t, "example.com.")); err != nil || h.names != want {
			t.Errorf("%v, %d names hashed, want %d", err, h.names, want)
		}
	}
}
