package dnssec

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/miekg/dns"

	"kresd/internal/limits"
	"kresd/internal/wire"
)

// judged plays a claim in short: "nx NAME", "nodata NAME TYPE", "expanded NAME
// ENCLOSER", "cut NAME".
func judged(t *testing.T, d *Denials, claim string) string {
	t.Helper()
	w := strings.Fields(claim)
	name := mustName(t, w[1])
	var p Proof
	var err error
	cut := false
	switch w[0] {
	case "nx":
		p, err = d.NameError(name)
	case "nodata":
		p, err = d.NoData(name, dns.StringToType[w[2]])
	case "expanded":
		p, err = d.Expanded(name, mustName(t, w[2]))
	case "cut":
		p, cut, err = d.Cut(name)
	default:
		t.Fatalf("claim %q", claim)
	}
	if err != nil {
		return err.Error()
	}
	text := [...]string{"unproven", "proven", "unsigned"}[p]
	if cut {
		text += ", a cut"
	}
	return text
}

// The zone example.: names a, b.c (so c is empty), d (delegated, no DS), s
// (delegated, with DS), r (DNAME), w with *.w, z.
func chain(t *testing.T) []*wire.RRset {
	return []*wire.RRset{
		nsecSet(t, "example.", "a.example.", dns.TypeSOA, dns.TypeNS, dns.TypeDNSKEY, dns.TypeNSEC),
		nsecSet(t, "a.example.", "b.c.example.", dns.TypeA, dns.TypeNSEC),
		nsecSet(t, "b.c.example.", "d.example.", dns.TypeA, dns.TypeNSEC),
		nsecSet(t, "d.example.", "r.example.", dns.TypeNS, dns.TypeNSEC),
		nsecSet(t, "r.example.", "s.example.", dns.TypeDNAME, dns.TypeNSEC),
		nsecSet(t, "s.example.", "w.example.", dns.TypeNS, dns.TypeDS, dns.TypeNSEC),
		nsecSet(t, "w.example.", "*.w.example.", dns.TypeA, dns.TypeNSEC),
		nsecSet(t, "*.w.example.", "z.example.", dns.TypeTXT, dns.TypeNSEC),
		nsecSet(t, "z.example.", "example.", dns.TypeCNAME, dns.TypeNSEC),
	}
}

// A denial whose list of types is malformed proves nothing: neither that the types are
// missing which nobody can read nor anything about other names.
func TestADamagedListOfTypesProvesNothing(t *testing.T) {
	p := parameters{1, "ab"}
	zone := mustName(t, "example.")
	for claim, sets := range map[string][]*wire.RRset{
		"nodata a.example. AAAA": {nsecSet(t, "a.example.", "b.example.", dns.TypeA, dns.TypeNSEC)},
		"nx aa.example.":         {nsecSet(t, "example.", "b.example.", dns.TypeSOA, dns.TypeNS, dns.TypeNSEC)},
		"cut d.example.":         {nsecSet(t, "d.example.", "e.example.", dns.TypeNS, dns.TypeNSEC)},
		"nodata h.example. AAAA": {atHash(t, "example.", "h.example.", p, dns.TypeA)},
	} {
		for damage, change := range map[string]func([]byte) []byte{
			"nothing":            func(b []byte) []byte { return b },
			"an octet too many":  func(b []byte) []byte { return append(b, 0) },
			"an octet too few":   func(b []byte) []byte { return b[:len(b)-1] },
			"a block once more":  func(b []byte) []byte { return append(b, 0, 1, 0x40) },
			"a block of nothing": func(b []byte) []byte { return append(b, 1, 0) },
		} {
			var damaged []*wire.RRset
			for _, s := range sets {
				other := *s
				other.Data = [][]byte{change(append([]byte(nil), s.Data[0]...))}
				damaged = append(damaged, &other)
			}
			got := judged(t, NewDenials(zone, damaged, endless()), claim)
			if want := damage == "nothing"; strings.HasPrefix(got, "proven") != want || Damaged(damaged[0]) == want {
				t.Errorf("%s, with %s: %s, damaged %t", claim, damage, got, Damaged(damaged[0]))
			}
			if _, ok := NewLink(zone, damaged[0]); ok != (damage == "nothing") {
				t.Errorf("%s, with %s: a link %t", claim, damage, ok)
			}
		}
	}
	for _, s := range []*wire.RRset{{Type: wire.TypeNSEC, Data: [][]byte{{5}}}, {Type: wire.TypeNSEC3, Data: [][]byte{{1, 0, 0, 0}}}, {Type: wire.TypeNSEC3, Data: [][]byte{{1, 0, 0, 0, 2, 1}}}, {Type: wire.TypeNSEC3, Data: [][]byte{{1, 0, 0, 0, 0, 9, 1}}}, {Type: wire.TypeA, Data: [][]byte{{}}}} {
		if !Damaged(s) {
			t.Errorf("%d %x is read", s.Type, s.Data)
		}
	}
}

func TestNSEC(t *testing.T) {
	d := NewDenials(mustName(t, "example."), chain(t), endless())
	for claim, want := range map[string]string{
		"nx aa.example.":                     "proven",
		"nx x.aa.example.":                   "proven",
		"nx a.example.":                      "unproven", // it is there
		"nx c.example.":                      "unproven", // and has names below it
		"nx x.c.example.":                    "proven",
		"nx x.d.example.":                    "unproven", // the child's to say (RFC 6840, section 4.1)
		"nx x.r.example.":                    "unproven", // redirected
		"nx x.w.example.":                    "unproven", // the wildcard stands for it
		"nx zz.example.":                     "proven",   // behind the last
		"nx aa.other.":                       "unproven",
		"expanded aa.other. .":               "unproven", // though the last range would cover it
		"nodata aa.other. A":                 "unproven",
		"nx example.":                        "unproven",
		"nodata a.example. AAAA":             "proven",
		"nodata a.example. A":                "unproven",
		"nodata c.example. A":                "proven",
		"nodata z.example. A":                "unproven", // its CNAME would be the answer
		"nodata d.example. A":                "unproven", // the child's to say
		"nodata d.example. DS":               "proven",
		"nodata s.example. DS":               "unproven",
		"nodata example. DS":                 "unproven", // the parent's to say
		"nodata example. A":                  "proven",
		"nodata x.w.example. A":              "proven",
		"nodata x.w.example. TXT":            "unproven",
		"nodata aa.example. A":               "unproven", // no wildcard stands for it
		"nodata a.other. A":                  "unproven",
		"expanded x.w.example. w.example.":   "proven",
		"expanded y.x.w.example. w.example.": "proven",
		"expanded x.w.example. example.":     "unproven", // w is closer
		"expanded a.example. example.":       "unproven", // it is there
		"expanded w.example. w.example.":     "unproven",
		"cut d.example.":                     "proven, a cut",
		"cut s.example.":                     "unproven, a cut",
		"cut a.example.":                     "proven",
		"cut c.example.":                     "proven",
		"cut aa.example.":                    "proven",
		"cut x.d.example.":                   "unproven",
	} {
		if got := judged(t, d, claim); got != want {
			t.Errorf("%s: got %s, want %s", claim, got, want)
		}
	}
}

// Compact denials say of a name that is not there that it has no types but NXNAME: to restore
// NXDOMAIN from that is right (RFC 9824, section 5), and of no other name.
func TestACompactDenialProvesNXDOMAIN(t *testing.T) {
	sets := []*wire.RRset{
		nsecSet(t, "none.example.", "\\000.none.example.", dns.TypeNSEC, wire.TypeNXNAME), nsecSet(t, "there.example.", "\\000.there.example.", dns.TypeNSEC),
		nsecSet(t, "cut.example.", "\\000.cut.example.", dns.TypeNS, dns.TypeNSEC, wire.TypeNXNAME),
	}
	d := NewDenials(mustName(t, "example."), sets, endless())
	for claim, want := range map[string]string{
		"nx none.example.": "proven", "nodata none.example. A": "proven", "nx there.example.": "unproven", "nodata there.example. A": "proven",
		"nx x.none.example.": "unproven", "nx cut.example.": "unproven", "cut none.example.": "proven",
	} {
		if got := judged(t, d, claim); got != want {
			t.Errorf("%s: got %s, want %s", claim, got, want)
		}
	}
}

// A wildcard without records, but with names below it, stands for a name that is not
// there, which has nothing then (RFC 4592, section 4.9).
func TestAWildcardWithoutRecordsHasNoData(t *testing.T) {
	below := nsecSet(t, "a.example.", "x.*.e.example.", dns.TypeA)
	behind := nsecSet(t, "x.*.e.example.", "z.e.example.", dns.TypeA)
	zone := mustName(t, "example.")
	if got := judged(t, NewDenials(zone, []*wire.RRset{below, behind}, endless()), "nodata y.e.example. A"); got != "proven" {
		t.Error(got)
	}
	for _, alone := range []*wire.RRset{below, behind, nsecSet(t, "a.example.", "z.example.")} {
		if got := judged(t, NewDenials(zone, []*wire.RRset{alone}, endless()), "nodata y.e.example. A"); got != "unproven" {
			t.Errorf("%s alone: %s", alone.Owner, got)
		}
	}
}

// A proof needs each of its parts.
func TestNSECProofsNeedAllTheirParts(t *testing.T) {
	all := chain(t)
	zone := mustName(t, "example.")
	for _, tt := range []struct {
		claim string
		parts []int
	}{
		{"nx aa.example.", []int{0, 1}}, {"nx zz.example.", []int{0, 8}}, {"nodata x.w.example. A", []int{7}}, {"nodata c.example. A", []int{1}},
		{"nx a.c.example.", []int{1}}, // c.example. is its closest encloser by the next name, and *.c.example. denied too
	} {
		parts := func(without int) (sets []*wire.RRset) {
			for k, i := range tt.parts {
				if k != without {
					sets = append(sets, all[i])
				}
			}
			return sets
		}
		if got := judged(t, NewDenials(zone, parts(-1), endless()), tt.claim); got != "proven" {
			t.Errorf("%s: got %s with all parts", tt.claim, got)
		}
		for i := range tt.parts {
			if got := judged(t, NewDenials(zone, parts(i), endless()), tt.claim); got != "unproven" {
				t.Errorf("%s: got %s without part %d", tt.claim, got, i)
			}
		}
	}
}

// A denial that leads out of its zone, or backwards, denies nothing (HARDENING A2).
func TestNSECThatAreNone(t *testing.T) {
	two := nsecSet(t, "a.example.", "c.example.")
	two.Data = append(two.Data, two.Data[0])
	for name, set := range map[string]*wire.RRset{
		"next outside the zone": nsecSet(t, "a.example.", "other."),
		"owner outside":         nsecSet(t, "a.other.", "c.example."),
		"backwards":             nsecSet(t, "c.example.", "a.example."),
		"to itself":             nsecSet(t, "a.example.", "a.example."),
		"two records":           two,
		"malformed":             {Owner: mustName(t, "a.example."), Type: wire.TypeNSEC, Data: [][]byte{{3, 'c'}}},
	} {
		d := NewDenials(mustName(t, "example."), []*wire.RRset{set, nsecSet(t, "example.", "a.example.")}, endless())
		if len(d.plain) != 1 || judged(t, d, "nx b.example.") != "unproven" {
			t.Errorf("%s: it proves something", name)
		}
	}
	only := NewDenials(mustName(t, "example."), []*wire.RRset{nsecSet(t, "example.", "example.", dns.TypeSOA)}, endless())
	if got := judged(t, only, "nx b.example."); got != "proven" {
		t.Errorf("a zone of one name: %s", got)
	}
}

// The hashes of RFC 5155, appendix A.
func TestHashesOfTheRFC(t *testing.T) {
	p := parameters{12, "\xaa\xbb\xcc\xdd"}
	for name, want := range map[string]string{
		"example.": "0p9mhaveqvm6t7vbl5lop2u3t2rp3tom", "a.example.": "35mthgpgcu1qg68fab165klnsnk3dpvl",
		"ai.example.": "gjeqe526plbf1g8mklp59enfd789njgi", "x.w.example.": "b4um86eghhds6nea196smvmlo4ors995",
		"*.w.example.": "r53bq7cc2uvmubfu5ocmm6pers9tk9en",
	} {
		if got := hashLabel(p.hash(mustName(t, name))); got != want {
			t.Errorf("%s: got %s, want %s", name, got, want)
		}
	}
	h, ok := unhashLabel("0p9mhaveqvm6t7vbl5lop2u3t2rp3tom")
	if !ok || h != p.hash(mustName(t, "example.")) {
		t.Error("the label does not read back")
	}
	for _, bad := range []string{"", "0p9m", strings.Repeat("z", 32), strings.Repeat("=", 32), "0p9mhaveqvm6t7vbl5lop2u3t2rp3to"} {
		if _, ok := unhashLabel(bad); ok {
			t.Errorf("%q is taken for a hash", bad)
		}
	}
}

func TestNSEC3(t *testing.T) {
	p := parameters{1, "ab"}
	at := func(name string, types ...uint16) *wire.RRset { return atHash(t, "example.", name, p, types...) }
	over := func(name string) *wire.RRset { return around(t, "example.", name, p, 0) }
	optOut := func(name string) *wire.RRset { return around(t, "example.", name, p, nsec3OptOut) }
	apex := at("example.", dns.TypeSOA, dns.TypeNS, dns.TypeDNSKEY)
	w := at("w.example.", dns.TypeA)
	for _, tt := range []struct {
		claim string
		want  string
		sets  []*wire.RRset
	}{
		{"nx x.example.", "proven", []*wire.RRset{apex, over("x.example."), over("*.example.")}},
		{"nx x.example.", "unsigned", []*wire.RRset{apex, optOut("x.example."), over("*.example.")}},
		{"nx x.example.", "unproven", []*wire.RRset{apex, over("x.example.")}},
		{"nx x.example.", "unproven", []*wire.RRset{apex, over("*.example.")}},
		{"nx x.example.", "unproven", []*wire.RRset{over("x.example."), over("*.example.")}},
		{"nx x.example.", "unproven", []*wire.RRset{apex, over("x.example."), at("*.example.", dns.TypeA)}},
		{"nx x.example.", "unproven", []*wire.RRset{apex, at("x.example."), over("*.example."), over("x.example.")}},
		{"nx y.x.w.example.", "proven", []*wire.RRset{w, over("x.w.example."), over("*.w.example.")}},
		{"nx y.x.w.example.", "unproven", []*wire.RRset{w, over("y.x.w.example."), over("*.w.example.")}}, // not the next closer
		{"nx x.w.example.", "unproven", []*wire.RRset{at("w.example.", dns.TypeNS), over("x.w.example."), over("*.w.example.")}},
		{"nx x.w.example.", "unproven", []*wire.RRset{at("w.example.", dns.TypeDNAME), over("x.w.example."), over("*.w.example.")}},
		{"nx x.other.", "unproven", []*wire.RRset{apex, over("x.other."), over("*.other.")}},
		{"nodata w.example. AAAA", "proven", []*wire.RRset{w}},
		{"nodata w.example. A", "unproven", []*wire.RRset{w}},
		{"nodata w.example. A", "unproven", []*wire.RRset{at("w.example.", dns.TypeCNAME)}},
		{"nodata w.example. A", "unproven", []*wire.RRset{at("w.example.", dns.TypeNS)}},
		{"nodata w.example. DS", "proven", []*wire.RRset{at("w.example.", dns.TypeNS)}},
		{"nodata example. DS", "unproven", []*wire.RRset{apex}},
		{"nodata w.example. A", "unproven", []*wire.RRset{over("w.example.")}}, // a hash that is covered is no match
		{"nodata x.example. A", "proven", []*wire.RRset{apex, over("x.example."), at("*.example.", dns.TypeTXT)}},
		{"nodata x.example. TXT", "unproven", []*wire.RRset{apex, over("x.example."), at("*.example.", dns.TypeTXT)}},
		{"nodata x.example. A", "unsigned", []*wire.RRset{apex, optOut("x.example."), at("*.example.", dns.TypeTXT)}},
		{"nodata x.example. DS", "unsigned", []*wire.RRset{apex, optOut("x.example.")}},
		{"nodata x.example. DS", "unproven", []*wire.RRset{apex, over("x.example.")}},
		{"expanded x.w.example. w.example.", "proven", []*wire.RRset{over("x.w.example.")}},
		{"expanded y.x.w.example. w.example.", "proven", []*wire.RRset{over("x.w.example.")}},
		{"expanded y.x.w.example. w.example.", "unproven", []*wire.RRset{over("y.x.w.example.")}},
		{"expanded x.w.example. w.example.", "unsigned", []*wire.RRset{optOut("x.w.example.")}},
		{"expanded x.w.example. w.example.", "unproven", []*wire.RRset{at("x.w.example.")}},
		{"expanded x.w.example. other.", "unproven", []*wire.RRset{over("x.w.example.")}},
		{"cut w.example.", "proven, a cut", []*wire.RRset{at("w.example.", dns.TypeNS)}},
		{"cut w.example.", "unproven, a cut", []*wire.RRset{at("w.example.", dns.TypeNS, dns.TypeDS)}},
		{"cut w.example.", "proven", []*wire.RRset{w}},
		{"cut x.example.", "unsigned, a cut", []*wire.RRset{apex, optOut("x.example.")}},
		{"cut x.example.", "proven", []*wire.RRset{apex, over("x.example.")}},
		{"cut x.example.", "unproven", []*wire.RRset{optOut("x.example.")}},
	} {
		if got := judged(t, NewDenials(mustName(t, "example."), tt.sets, endless()), tt.claim); got != tt.want {
			t.Errorf("%s with %d records: got %s, want %s", tt.claim, len(tt.sets), got, tt.want)
		}
	}
}

// The range over a delegation without DS may begin at a wildcard's hash by chance: then the
// wildcard's types made nothing of a denial that opt-out leaves open (RFC 5155, section 8.6).
func TestAnOptOutRangeThatBeginsAtAWildcard(t *testing.T) {
	p := parameters{1, "ab"}
	apex, wildcard := atHash(t, "example.", "example.", p, dns.TypeSOA, dns.TypeNS), p.hash(mustName(t, "*.example."))
	for _, tt := range []struct {
		claim, optOut, without string
		types                  []uint16
	}{
		{"nodata x.example. DS", "unsigned", "unproven", []uint16{dns.TypeCNAME}},
		{"nodata x.example. DS", "unsigned", "proven", []uint16{dns.TypeA}},
		{"nodata x.example. A", "unsigned", "unproven", []uint16{dns.TypeA}},
		{"nodata x.example. A", "unsigned", "proven", []uint16{dns.TypeTXT}},
	} {
		for flags, want := range map[byte]string{nsec3OptOut: tt.optOut, 0: tt.without} {
			sets := []*wire.RRset{apex, hashedSet(t, "example.", p, flags, wildcard, wildcard, tt.types...)} // a chain's only range
			if got := judged(t, NewDenials(mustName(t, "example."), sets, endless()), tt.claim); got != want {
				t.Errorf("%s, the wildcard has %v, flags %d: got %s, want %s", tt.claim, tt.types, flags, got, want)
			}
		}
	}
}

// A zone that goes over from NSEC to NSEC3 may show some of both (RFC 5155, section 10.4):
// one NSEC3 record made nothing of the NSEC records beside it.
func TestEitherKindOfDenialProves(t *testing.T) {
	p := parameters{1, "ab"}
	apex := atHash(t, "example.", "example.", p, dns.TypeSOA, dns.TypeNS)
	for _, tt := range []struct{ claim, want string }{
		{"nx x.example.", "proven"}, {"nodata a.example. TXT", "proven"}, {"expanded x.w.example. w.example.", "proven"}, {"cut d.example.", "proven, a cut"}, {"cut a.example.", "proven"},
		{"nodata a.example. A", "unproven"}, {"nx a.example.", "unproven"}, {"nodata example. A", "proven"},
	} {
		for _, sets := range [][]*wire.RRset{append(chain(t), apex), append([]*wire.RRset{apex}, chain(t)...)} {
			if got := judged(t, NewDenials(mustName(t, "example."), sets, endless()), tt.claim); got != tt.want {
				t.Errorf("%s: got %s, want %s", tt.claim, got, tt.want)
			}
		}
	}
	whole := []*wire.RRset{apex, around(t, "example.", "x.example.", p, 0), around(t, "example.", "*.example.", p, 0), chain(t)[1]}
	if got := judged(t, NewDenials(mustName(t, "example."), whole, endless()), "nx x.example."); got != "proven" {
		t.Errorf("by NSEC3 beside a part of the NSEC records: %s", got)
	}
}

// Records of another chain, algorithm, flag or zone prove nothing (RFC 5155,
// sections 8.1 and 8.2; HARDENING A2).
func TestNSEC3ThatAreNone(t *testing.T) {
	p := parameters{1, "ab"}
	zone := mustName(t, "example.")
	good := func() *wire.RRset { return atHash(t, "example.", "w.example.", p, dns.TypeA) }
	change := func(fn func(*wire.RRset)) *wire.RRset { s := good(); fn(s); return s }
	for name, set := range map[string]*wire.RRset{
		"another algorithm":     change(func(s *wire.RRset) { s.Data[0][0] = 2 }),
		"an unknown flag":       change(func(s *wire.RRset) { s.Data[0][1] = 2 }),
		"a hash of 19 octets":   change(func(s *wire.RRset) { s.Data[0][nsec3Fixed+2] = 19 }),
		"cut short":             change(func(s *wire.RRset) { s.Data[0] = s.Data[0][:20] }),
		"a salt beyond its end": change(func(s *wire.RRset) { s.Data[0][4] = 255 }),
		"no hash as owner":      change(func(s *wire.RRset) { s.Owner = mustName(t, "w.example.") }),
		"two labels below":      change(func(s *wire.RRset) { s.Owner = mustName(t, s.Owner.Label()+".w.example.") }),
		"the child's":           atHash(t, "w.example.", "w.example.", p, dns.TypeA),
		"two records":           change(func(s *wire.RRset) { s.Data = append(s.Data, s.Data[0]) }),
	} {
		if got := judged(t, NewDenials(zone, []*wire.RRset{set}, endless()), "nodata w.example. AAAA"); got != "unproven" {
			t.Errorf("%s: %s", name, got)
		}
	}
	first := around(t, "example.", "x.example.", parameters{1, "cd"}, 0)
	if got := judged(t, NewDenials(zone, []*wire.RRset{first, good()}, endless()), "nodata w.example. AAAA"); got != "unproven" {
		t.Errorf("of two chains: %s", got)
	}
}

// Hashing is asked for before it is done, each name is hashed once, and a zone that
// asks for many rounds is insecure without any (CVE-2023-50868).
func TestHashingIsBounded(t *testing.T) {
	zone := mustName(t, "example.")
	costly := NewDenials(zone, []*wire.RRset{atHash(t, "example.", "w.example.", parameters{limits.NSEC3Iterations + 1, ""}, dns.TypeA)}, &purse{})
	for _, claim := range []string{"nx x.example.", "nodata w.example. A", "expanded x.w.example. w.example.", "cut w.example."} {
		if got := judged(t, costly, claim); !costly.Costly() || !strings.HasPrefix(got, "unsigned") {
			t.Errorf("%s: %s", claim, got)
		}
	}
	p := parameters{limits.NSEC3Iterations, ""}
	sets := []*wire.RRset{atHash(t, "example.", "example.", p, dns.TypeSOA)}
	name := mustName(t, strings.Repeat("a.", 100)+"example.")
	m := &purse{0, 0, 1 << 20}
	d := NewDenials(zone, sets, m)
	for range 3 {
		if _, err := d.NameError(name); err != nil {
			t.Fatal(err)
		}
	}
	// 101 names, of which those above 55 octets take two blocks and more.
	if spent := 1<<20 - m.hash; spent > 102*(limits.NSEC3Iterations+5) || spent < 101*(limits.NSEC3Iterations+1) {
		t.Errorf("%d blocks", spent)
	}
	m.hash = 10
	if _, err := NewDenials(zone, sets, m).NameError(name); !errors.Is(err, errSpent) {
		t.Errorf("got %v", err)
	}
	var many []*wire.RRset
	for i := range 50 {
		many = append(many, around(t, "example.", fmt.Sprintf("n%d.example.", i), p, 0))
	}
	if n := len(NewDenials(zone, many, endless()).hash.list); n != limits.NSEC3PerResponse {
		t.Errorf("%d records are looked at", n)
	}
}

// remembering is a purse that remembers hashes.
type remembering struct {
	purse
	hashes map[HashedName][20]byte
}

func (r *remembering) Hashed(n HashedName) (h [20]byte, ok bool) { h, ok = r.hashes[n]; return }

func (r *remembering) LearnHash(n HashedName, h [20]byte) { r.hashes[n] = h }

// What was hashed for one question is not hashed for the next one, unless it cost nothing
// worth a memory. Another chain has other hashes.
func TestHashesAreRememberedAcrossQuestions(t *testing.T) {
	m := &remembering{purse: *endless(), hashes: map[HashedName][20]byte{}}
	for _, c := range []struct {
		chain  Chain
		name   string
		blocks int
	}{
		{Chain{2, "ab"}, "a.example.", 3}, {Chain{2, "ab"}, "a.example.", 0}, {Chain{2, "ab"}, "b.example.", 3}, {Chain{2, "cd"}, "a.example.", 3},
		{Chain{1, "ab"}, "a.example.", 2}, {Chain{0, "ab"}, "a.example.", 1}, {Chain{0, "ab"}, "a.example.", 1},
	} {
		m.purse.hash = 100
		got, err := NewHasher(m).Hash(c.chain, mustName(t, c.name))
		want, _ := NewHasher(endless()).Hash(c.chain, mustName(t, c.name))
		if spent := 100 - m.purse.hash; err != nil || got != want || spent != c.blocks {
			t.Errorf("%+v: %v, %x want %x, %d blocks", c, err, got, want, spent)
		}
	}
}

// Where hashing is refused in the midst of a proof there is no verdict, at whichever
// hash that is.
func TestNoVerdictIsGivenOnAPartOfTheHashes(t *testing.T) {
	p := parameters{1, "ab"}
	at := func(name string, types ...uint16) *wire.RRset { return atHash(t, "example.", name, p, types...) }
	over := func(name string) *wire.RRset { return around(t, "example.", name, p, 0) }
	apex := at("example.", dns.TypeSOA, dns.TypeNS, dns.TypeDNSKEY)
	for _, tt := range []struct {
		claim string
		want  string
		sets  []*wire.RRset
	}{
		{"nx x.example.", "proven", []*wire.RRset{apex, over("x.example."), over("*.example.")}},
		{"nx y.x.example.", "proven", []*wire.RRset{apex, over("x.example."), over("*.example.")}},
		{"nodata w.example. AAAA", "proven", []*wire.RRset{at("w.example.", dns.TypeA)}},
		{"nodata x.example. A", "proven", []*wire.RRset{apex, over("x.example."), at("*.example.", dns.TypeTXT)}},
		{"expanded x.w.example. w.example.", "proven", []*wire.RRset{over("x.w.example.")}},
		{"cut x.example.", "proven", []*wire.RRset{apex, over("x.example.")}},
	} {
		zone := mustName(t, "example.")
		m := &purse{0, 0, 1 << 20}
		if got := judged(t, NewDenials(zone, tt.sets, m), tt.claim); got != tt.want {
			t.Errorf("%s: got %s, want %s", tt.claim, got, tt.want)
		}
		spent := 1<<20 - m.hash
		for budget := range max(spent, 1) {
			if got := judged(t, NewDenials(zone, tt.sets, &purse{0, 0, budget}), tt.claim); got != errSpent.Error() {
				t.Errorf("%s with %d of %d blocks: got %s", tt.claim, budget, spent, got)
			}
		}
	}
}

// What hashing costs is counted in whole blocks of SHA-1: 64 octets, of which 9 are for
// its end.
func TestHashBlocks(t *testing.T) {
	for _, c := range []struct {
		octets     int
		iterations uint16
		salt, want int
	}{{1, 0, 0, 1}, {55, 0, 0, 1}, {56, 0, 0, 2}, {47, 0, 8, 1}, {48, 0, 8, 2}, {119, 0, 0, 2}, {120, 0, 0, 3}, {1, 10, 0, 11}, {1, 10, 35, 11}, {1, 10, 36, 21}, {55, 1, 255, 5 + 5}} {
		if got := HashBlocks(c.octets, c.iterations, c.salt); got != c.want {
			t.Errorf("%+v: %d", c, got)
		}
	}
}

// An NSEC3 record that is none stands in nobody's way: the chain is that of the first one
// which is.
func TestABrokenRecordDoesNotHideTheOthers(t *testing.T) {
	p, zone := parameters{1, "ab"}, mustName(t, "example.")
	good := atHash(t, "example.", "h.example.", p, dns.TypeA)
	for what, change := range map[string]func(*wire.RRset){
		"an owner that is no hash":  func(s *wire.RRset) { s.Owner = mustName(t, "h.example.") },
		"an owner with other signs": func(s *wire.RRset) { s.Owner = mustName(t, strings.Repeat("z", hashedLabel)+".example.") },
		"another algorithm":         func(s *wire.RRset) { s.Data[0][0] = 2 },
		"an unknown flag":           func(s *wire.RRset) { s.Data[0][1] = 2 },
		"a short hash":              func(s *wire.RRset) { s.Data = [][]byte{append([]byte{1, 0, 0, 9, 0, 19}, make([]byte, 19)...)} },
		"a long hash":               func(s *wire.RRset) { s.Data = [][]byte{append([]byte{1, 0, 0, 9, 0, 21}, make([]byte, 21)...)} },
		"two records":               func(s *wire.RRset) { s.Data = append(s.Data, s.Data[0]) },
		"another zone":              func(s *wire.RRset) { s.Owner = mustName(t, s.Owner.String()[:hashedLabel]+".other.") },
		"the root":                  func(s *wire.RRset) { s.Owner = mustName(t, ".") },
	} {
		bad := atHash(t, "example.", "h.example.", parameters{9, "cd"}, dns.TypeNS)
		change(bad)
		if got := judged(t, NewDenials(zone, []*wire.RRset{bad, good}, endless()), "nodata h.example. AAAA"); got != "proven" {
			t.Errorf("behind %s: %s", what, got)
		}
		if _, ok := NewLink(zone, bad); ok {
			t.Errorf("%s is a link", what)
		}
	}
}
