package authority

import (
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/miekg/dns"

	"kresd/internal/dnsname"
	"kresd/internal/dnssec"
	"kresd/internal/wire"
)

// now lies between the times of all signatures here.
const now = 1790000000

// free lets a proof cost what it likes.
type free struct{}

func (free) Verify() error  { return nil }
func (free) Failed() error  { return nil }
func (free) Hash(int) error { return nil }

const signedText1 = `$TTL 3600
@ SOA ns.example. host 1 2 3 4 300
@ NS ns
@ MX 10 MAIL.Example.
ns A 127.66.0.1
A A 192.0.2.1
b.c A 192.0.2.2
*.w TXT "w"
*.alias CNAME a
w A 192.0.2.3
cname CNAME a
r DNAME w
unsigned NS ns.unsigned
ns.unsigned A 127.66.0.9
deep.ent.unsigned2 NS ns.unsigned
many A 192.0.2.9
many A 192.0.2.8
secure NS ns
`

// signedZone is example. signed by keys of an algorithm.
func signedZone(algorithm uint8, d Denial, change func(*Signing)) *Zone {
	z := MustParse("example.", signedText1)
	z.Add(NewKey("secure.example.", KSK, dns.ED25519, "child").DS(dns.SHA256))
	s := Signing{From: now - 3600, Until: now + 3600, Denial: d,
		KSK: []*Key{NewKey("example.", KSK, algorithm, "ksk")}, ZSK: []*Key{NewKey("example.", ZSK, algorithm, "zsk")}}
	if change != nil {
		change(&s)
	}
	z.Sign(s)
	return z
}

// secured asks zones with DO and returns the answer as the resolver reads it.
func secured(t *testing.T, name string, qtype uint16, zones ...*Zone) *wire.Msg {
	t.Helper()
	q := ask(name, qtype)
	q.SetEdns0(serverPayload, true)
	pkt, err := answer(zones, q).Pack()
	if err != nil {
		t.Fatal(err)
	}
	m, err := wire.Parse(pkt)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// keysOf are the keys of a zone, checked by their own signature.
func keysOf(t *testing.T, z *Zone) *dnssec.Keys {
	t.Helper()
	name := mustName(t, z.Origin())
	sets := wire.Group(secured(t, z.Origin(), dns.TypeDNSKEY, z).Answer)
	if len(sets) == 0 {
		t.Fatalf("%s has no keys", z.Origin())
	}
	keys := dnssec.ParseKeys(name, sets[0].Data)
	if _, err := dnssec.Verify(&sets[0], keys, dnssec.Algorithms{}, now, free{}); err != nil {
		t.Errorf("%s: %v", z.Origin(), err)
	}
	return keys
}

func mustName(t *testing.T, text string) dnsname.Name {
	t.Helper()
	n, err := dnsname.Parse(text)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// proofs verifies all signed sets of a section and returns the denials among them.
// Sets without signatures are counted.
func proofs(t *testing.T, keys *dnssec.Keys, section []wire.RR) (denials []*wire.RRset, unsigned int) {
	t.Helper()
	for _, set := range wire.Group(section) {
		if len(set.Sigs) == 0 {
			unsigned++
			continue
		}
		if _, err := dnssec.Verify(&set, keys, dnssec.Algorithms{}, now, free{}); err != nil {
			t.Errorf("%s %d: %v", set.Owner, set.Type, err)
		}
		if set.Type == wire.TypeNSEC || set.Type == wire.TypeNSEC3 {
			denials = append(denials, &set)
		}
	}
	return denials, unsigned
}

var kinds = map[string]Denial{
	"NSEC": {}, "NSEC3": {Kind: NSEC3}, "NSEC3 salted": {Kind: NSEC3, Iterations: 7, Salt: "aabb"}, "opt-out": {Kind: NSEC3, OptOut: true},
	"minimal NSEC": {Kind: MinimalNSEC}, "minimal NSEC3": {Kind: MinimalNSEC3, Salt: "cc"}, "compact": {Kind: Compact},
}

// Every algorithm signs so that package dnssec, which shares nothing with this one,
// takes it, and a seed gives the same records again.
func TestEveryAlgorithmSigns(t *testing.T) {
	for _, algorithm := range []uint8{5, 7, 8, 10, 13, 14, 15, 16} {
		z := signedZone(algorithm, Denial{}, nil)
		keys := keysOf(t, z)
		for _, name := range []string{"example.", "a.example.", "many.example.", "cname.example.", "x.w.example."} {
			m := secured(t, name, dns.TypeANY, z)
			if _, unsigned := proofs(t, keys, m.Answer); unsigned > 0 || len(m.Answer) < 2 {
				t.Errorf("algorithm %d, %s: %d records, %d sets without signature", algorithm, name, len(m.Answer), unsigned)
			}
		}
		if again := signedZone(algorithm, Denial{}, nil); !reflect.DeepEqual(z.nodes, again.nodes) {
			t.Errorf("algorithm %d: a second time the records differ", algorithm)
		}
		for _, digest := range []uint8{1, 2, 4} {
			ds := NewKey("example.", KSK, algorithm, "ksk").DS(digest)
			d, ok := dnssec.ParseDS(canonicalData([]dns.RR{ds})[0])
			if trusted, err := keys.Trusted([]dnssec.DS{d}, free{}); !ok || err != nil || trusted.Len() != 1 {
				t.Errorf("algorithm %d: a DS of digest %d names no key (%v)", algorithm, digest, err)
			}
		}
	}
}

// Each answer of each kind of denial has the proof that the RFCs demand.
func TestDenialsProveWhatIsNotThere(t *testing.T) {
	for what, d := range kinds {
		z := signedZone(dns.ED25519, d, nil)
		keys := keysOf(t, z)
		for _, tc := range []struct {
			name  string
			qtype uint16
			claim string
		}{
			{"nothing.example.", dns.TypeA, "name"},
			{"x.y.nothing.example.", dns.TypeA, "name"},
			{"0.example.", dns.TypeA, "name"},
			{"zzz.example.", dns.TypeA, "name"},
			{"x.c.example.", dns.TypeA, "name"},
			{`a\000.example.`, dns.TypeA, "name"},
			{`\000.a.example.`, dns.TypeA, "name"},
			{"a.example.", dns.TypeTXT, "data"},
			{"example.", dns.TypeTXT, "data"},
			{"c.example.", dns.TypeA, "data"},
			{"x.w.example.", dns.TypeA, "data"},
			{"y.x.w.example.", dns.TypeA, "data"},
			{"x.w.example.", dns.TypeTXT, "expanded"},
			{"y.x.w.example.", dns.TypeTXT, "expanded"},
			{"unsigned.example.", dns.TypeA, "cut"},
			{"x.unsigned.example.", dns.TypeA, "cut"},
			{"unsigned.example.", dns.TypeDS, "cut"},
			{"deep.ent.unsigned2.example.", dns.TypeA, "cut"},
			{"secure.example.", dns.TypeMX, "delegated"},
		} {
			m := secured(t, tc.name, tc.qtype, z)
			denials, unsigned := proofs(t, keys, m.Authority)
			got := claimed(t, tc.claim, tc.name, tc.qtype, m, dnssec.NewDenials(mustName(t, "example."), denials, free{}))
			want := map[string]string{"name": "NXDOMAIN 1 0", "data": "NOERROR 1 0", "expanded": "NOERROR 1 0", "cut": "NOERROR 1 1", "delegated": "NOERROR 1 1"}[tc.claim]
			switch {
			case what == "compact" && tc.claim == "name":
				want = "NOERROR 1 0"
			case what == "opt-out" && (tc.claim == "expanded" || tc.claim == "name" || tc.claim == "data" && strings.HasSuffix(tc.name, ".w.example.")):
				want = strings.Replace(want, " 1 ", " 2 ", 1) // under opt-out it is insecure
			case what == "opt-out" && tc.claim == "cut":
				want = "NOERROR 2 1"
			}
			if tc.qtype == dns.TypeDS {
				want = strings.TrimSuffix(want, "1") + "0"
			}
			if got := fmt.Sprintf("%s %d", got, unsigned); got != want {
				t.Errorf("%s: %s %s: got %s, want %s\n%v", what, tc.name, dns.TypeToString[tc.qtype], got, want, answer([]*Zone{z}, ask(tc.name, tc.qtype)))
			}
		}
	}
}

// Below an empty non-terminal that opt-out leaves out, the closest encloser that can be
// proven is another name, whose wildcard is the one to be denied (RFC 5155, section 7.2.2).
func TestDenialsBelowWhatOptOutLeavesOut(t *testing.T) {
	for _, salt := range []string{"", "01", "02", "03", "04", "05", "06", "07"} { // one range may hold both wildcards by chance
		z := signedZone(dns.ED25519, Denial{Kind: NSEC3, OptOut: true, Salt: salt}, nil)
		m := secured(t, "x.ent.unsigned2.example.", dns.TypeA, z)
		denials, _ := proofs(t, keysOf(t, z), m.Authority)
		p, err := dnssec.NewDenials(mustName(t, "example."), denials, free{}).NameError(mustName(t, "x.ent.unsigned2.example."))
		if p != dnssec.Unsigned || err != nil {
			t.Errorf("salt %q: proof %d, %v", salt, p, err)
		}
	}
}

// claimed judges the denials of an answer: RCODE and proof.
func claimed(t *testing.T, claim, text string, qtype uint16, m *wire.Msg, d *dnssec.Denials) string {
	t.Helper()
	name := mustName(t, text)
	var p dnssec.Proof
	var err error
	switch claim {
	case "name":
		if p, err = d.NameError(name); m.Rcode == dns.RcodeSuccess {
			p, err = d.NoData(name, qtype) // compact denial
		}
	case "data":
		p, err = d.NoData(name, qtype)
	case "expanded":
		if p = dnssec.Proven; len(m.Authority) > 0 { // else signed as if it stood there
			p, err = d.Expanded(name, mustName(t, "w.example."))
		}
	case "cut":
		for !strings.HasPrefix(text, "unsigned.") && !strings.HasPrefix(text, "deep.") {
			text = parent(text)
		}
		p, _, err = d.Cut(mustName(t, text))
	case "delegated":
		if p = dnssec.Unproven; len(wire.Group(m.Authority)) == 2 {
			p = dnssec.Proven
		}
	}
	if err != nil {
		t.Error(err)
	}
	return fmt.Sprintf("%s %d", dns.RcodeToString[m.Rcode], p)
}

func TestAliasesAreSignedAndTheCNAMEOfADNAMEIsNot(t *testing.T) {
	for what, d := range kinds {
		z := signedZone(dns.ED25519, d, nil)
		keys := keysOf(t, z)
		for name, want := range map[string]int{"cname.example.": 0, "x.alias.example.": 0, "x.r.example.": 1} {
			m := secured(t, name, dns.TypeTXT, z)
			if _, unsigned := proofs(t, keys, m.Answer); unsigned != want || len(m.Answer) < 2 {
				t.Errorf("%s: %s: %d sets without signature in %d records, want %d", what, name, unsigned, len(m.Answer), want)
			}
			proofs(t, keys, m.Authority)
		}
	}
}

func TestWithoutDONothingIsProved(t *testing.T) {
	z := signedZone(dns.ED25519, Denial{Kind: NSEC3}, nil)
	for _, name := range []string{"a.example.", "nothing.example.", "unsigned.example.", "x.w.example."} {
		r := answer([]*Zone{z}, ask(name, dns.TypeTXT))
		for _, rr := range append(r.Answer, r.Ns...) {
			switch rr.(type) {
			case *dns.RRSIG, *dns.NSEC3:
				t.Errorf("%s: %v", name, rr)
			}
		}
	}
	compact := answer([]*Zone{signedZone(dns.ED25519, Denial{Kind: Compact}, nil)}, ask("nothing.example.", dns.TypeTXT))
	if compact.Rcode != dns.RcodeNameError {
		t.Error("compact denial without DO: no NXDOMAIN")
	}
}

// The hooks of a Signing change what they say and nothing else.
func TestAZoneGoesWrongAtThreePlaces(t *testing.T) {
	txt, _ := dns.NewRR(`a.example. 60 TXT "more"`)
	z := signedZone(dns.ED25519, Denial{}, func(s *Signing) {
		s.Before = func(set []dns.RR) []dns.RR {
			if set[0].Header().Name == "many.example." && set[0].Header().Rrtype == dns.TypeA {
				return set[:1]
			}
			return set
		}
		s.Seal = func(set []dns.RR, sig *dns.RRSIG) {
			if set[0].Header().Name == "w.example." {
				sig.Labels = 1
			}
		}
		s.After = func(set, sigs []dns.RR) ([]dns.RR, []dns.RR) {
			if set[0].Header().Name == "cname.example." {
				return append(set, txt), nil
			}
			return set, sigs
		}
	})
	if n := len(z.nodes["many.example."][dns.TypeA]); n != 1 {
		t.Errorf("Before: %d records", n)
	}
	if sig := covering(z.nodes["w.example."], dns.TypeA)[0].(*dns.RRSIG); sig.Labels != 1 {
		t.Errorf("Seal: %v", sig)
	}
	if n := z.nodes["cname.example."]; len(n[dns.TypeCNAME]) != 2 || len(n[dns.TypeRRSIG]) != 0 {
		t.Errorf("After: %v", n)
	}
	proofs(t, keysOf(t, z), secured(t, "a.example.", dns.TypeA, z).Answer)
}

func TestARuleOfAZoneHoldsForThatZoneOnly(t *testing.T) {
	child := MustParse("secure.example.", "@ 60 SOA ns host 1 2 3 4 5\n@ 60 A 192.0.2.7\n")
	h := &Host{zones: []*Zone{signedZone(dns.ED25519, Denial{}, nil), child}}
	child.Play(Rcode(dns.RcodeServerFailure))
	for name, want := range map[string]int{"a.example.": dns.RcodeSuccess, "secure.example.": dns.RcodeServerFailure} {
		if got := h.Ask(ask(name, dns.TypeA), false).Reply.Rcode; got != want {
			t.Errorf("%s: %s", name, dns.RcodeToString[got])
		}
	}
	if got := h.Ask(ask("secure.example.", dns.TypeDS), false).Reply.Rcode; got != dns.RcodeSuccess {
		t.Error("the DS set is the parent's, and the child's rule met it")
	}
}

// What hostile zones send has the tag of a key and the shape of the real thing.
func TestCollisionsCannotBeToldApart(t *testing.T) {
	set := []dns.RR{&dns.A{Hdr: dns.RR_Header{Name: "a.example.", Rrtype: dns.TypeA, Class: dns.ClassINET, Ttl: 60}, A: []byte{192, 0, 2, 1}}}
	for _, algorithm := range []uint8{dns.RSASHA256, dns.ED25519, dns.ED448} {
		k := NewKey("example.", ZSK, algorithm, "x")
		seen := map[string]bool{k.PublicKey: true}
		for _, twin := range k.Collisions(5) {
			if twin.KeyTag() != k.KeyTag() || twin.Flags != k.Flags || len(twin.PublicKey) != len(k.PublicKey) || seen[twin.PublicKey] {
				t.Errorf("algorithm %d: %v beside %v", algorithm, twin.Record(), k.Record())
			}
			seen[twin.PublicKey] = true
		}
		if n := len(k.WrongSignatures(set, 5, now-1, now+1)); n != 5 || len(k.WrongDigests(3, dns.SHA384)) != 3 {
			t.Errorf("algorithm %d: %d signatures instead of 5", algorithm, n)
		}
		for _, rr := range k.WrongSignatures(set, 5, now-1, now+1) {
			sig := rr.(*dns.RRSIG)
			if right := k.Sign(set, now-1, now+1, nil); sig.KeyTag != k.KeyTag() || len(sig.Signature) != len(right.Signature) || sig.Signature == right.Signature || seen[sig.Signature] {
				t.Errorf("algorithm %d: %v", algorithm, sig)
			}
			seen[sig.Signature] = true
		}
		for _, ds := range k.WrongDigests(3, dns.SHA384) {
			if d := ds.(*dns.DS); d.KeyTag != k.KeyTag() || len(d.Digest) != 96 || d.Digest == k.DS(dns.SHA384).Digest {
				t.Errorf("algorithm %d: %v", algorithm, d)
			}
		}
	}
}

// The chain of NSEC records links the names that have records, in canonical order, and
// lists what each has: of a delegation NS and DS alone (RFC 4034, section 4; RFC 4035,
// section 2.3).
func TestTheChainOfNSEC(t *testing.T) {
	z := signedZone(dns.ED25519, Denial{}, nil)
	var got []string
	for name := "example."; len(got) < 20; {
		rr := z.nodes[name][dns.TypeNSEC][0].(*dns.NSEC)
		var types []string
		for _, rrtype := range rr.TypeBitMap {
			types = append(types, dns.TypeToString[rrtype])
		}
		got = append(got, strings.TrimSuffix(name, "example.")+" "+strings.Join(types, ","))
		if name = rr.NextDomain; name == "example." {
			break
		}
	}
	want := []string{" NS,SOA,MX,RRSIG,NSEC,DNSKEY", "a. A,RRSIG,NSEC", "*.alias. CNAME,RRSIG,NSEC", "b.c. A,RRSIG,NSEC", "cname. CNAME,RRSIG,NSEC",
		"many. A,RRSIG,NSEC", "ns. A,RRSIG,NSEC", "r. DNAME,RRSIG,NSEC", "secure. NS,DS,RRSIG,NSEC", "unsigned. NS,RRSIG,NSEC", "deep.ent.unsigned2. NS,RRSIG,NSEC",
		"w. A,RRSIG,NSEC", "*.w. TXT,RRSIG,NSEC"}
	if !slices.Equal(got, want) {
		t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

// A chain of hashes has the empty non-terminals, too; opt-out leaves out unsigned
// delegations and what is only above these (RFC 5155, section 7.1).
func TestTheNamesInAChainOfHashes(t *testing.T) {
	for _, tc := range []struct {
		optOut bool
		want   string
	}{
		{false, "example. a. alias. *.alias. c. b.c. cname. many. ns. r. secure. unsigned. ent.unsigned2. deep.ent.unsigned2. unsigned2. w. *.w."},
		{true, "example. a. alias. *.alias. c. b.c. cname. many. ns. r. secure. w. *.w."},
	} {
		z := signedZone(dns.ED25519, Denial{Kind: NSEC3, OptOut: tc.optOut}, nil)
		c := z.denier.(*hashChain)
		names := strings.Fields(tc.want)
		for _, name := range names {
			full := strings.TrimSuffix(name, "example.") + "example."
			if c.match(full) == nil {
				t.Errorf("opt-out %t: %s is not in the chain", tc.optOut, full)
			}
		}
		if len(c.rows) != len(names) {
			t.Errorf("opt-out %t: %d records for %d names", tc.optOut, len(c.rows), len(names))
		}
	}
	z := signedZone(dns.ED25519, Denial{Kind: NSEC3}, nil)
	for name, want := range map[string][]uint16{
		"c.example.": nil, "unsigned.example.": {dns.TypeNS}, "secure.example.": {dns.TypeNS, dns.TypeDS, dns.TypeRRSIG}, "a.example.": {dns.TypeA, dns.TypeRRSIG},
	} {
		if got := z.NoType(name)[0].(*dns.NSEC3).TypeBitMap; !slices.Equal(got, want) {
			t.Errorf("%s has %v, want %v", name, got, want)
		}
	}
}
