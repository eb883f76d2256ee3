package worker

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/miekg/dns"

	"kresd/internal/authority"
	"kresd/internal/listen"
)

// The root and example., both signed, with a zone of each kind below example. All is
// served by one host, so that it counts every question.
const (
	signedRoot = `$TTL 3600
. SOA ns.root. host.root. 1 7200 3600 1209600 900
. NS ns.root.
ns.root. A 127.54.0.1
example. NS ns.example.
ns.example. A 127.54.0.1
`
	signedExample = `$TTL 3600
@ SOA ns host 1 7200 3600 1209600 900
@ NS ns
ns A 127.54.0.1
a A 192.0.2.1
c.b A 192.0.2.2
alias CNAME a
f DNAME a
*.w TXT "made"
x.w A 192.0.2.3
*.cw CNAME a
s NS ns.s
ns.s A 127.54.0.1
u NS ns.u
ns.u A 127.54.0.1
z A 192.0.2.4
`
	childOfExample = `$TTL 3600
@ SOA ns host 1 7200 3600 1209600 900
@ NS ns
ns A 127.54.0.1
m A 192.0.2.5
`
)

// signedInternet is those zones, whose denials are of one kind.
func signedInternet(t testing.TB, d authority.Denial) (n *authority.Internet, anchor string) {
	t.Helper()
	now := uint32(time.Now().Unix())
	n, err := authority.New(authority.MustParse(".", signedRoot), authority.MustParse("example.", signedExample),
		authority.MustParse("s.example.", childOfExample), authority.MustParse("u.example.", childOfExample))
	if err != nil {
		t.Fatal(err)
	}
	return n, n.Secure(authority.Security{From: now - 3600, Until: now + 86400, Denial: func(string) authority.Denial { return d }, Unsigned: []string{"u.example."}})
}

// told is an answer in words: RCODE, AD, and its records without what is made anew each
// time.
func told(t testing.TB, w *Worker, name string, qtype uint16) string {
	t.Helper()
	var m dns.Msg
	if err := m.Unpack(byDriver(t, w, shapes[2].message(name, qtype), someone)); err != nil {
		t.Fatal(err)
	}
	out := []string{fmt.Sprintf("%s AD=%v", dns.RcodeToString[m.Rcode], m.AuthenticatedData)}
	for _, rr := range m.Answer {
		out = append(out, withoutTTL(rr))
	}
	proofs := []string{}
	for _, rr := range m.Ns {
		proofs = append(proofs, withoutTTL(rr))
	}
	slices.Sort(proofs)
	return strings.Join(append(out, proofs...), "\n")
}

// What validated denials in the cache come to is what the zone's servers say, to the
// last record, and they are not asked for it.
func TestValidatedDenialsAnswerLikeTheirZone(t *testing.T) {
	lesson := []string{"a", "aa", "q.a", "aliasa", "ba", "d.b", "b", "fa", "za", "wa", "cwa", "sa", "ua", "y.w", "x.w", "y.cw", "q.x.w", "q.s", "m.s", "m.u"}
	asked := []string{"ab", "q.ab", "q.b.a", "q.q.a", "e.b", "b", "a", "z", "zz", "q.zz", "y2.w", "q.y2.w", "y2.cw", "x.w", "w", "r.s", "q.r.s", "r.u", "s", "u", "", "q.f", "f", "alias", "q.alias"}
	types := []uint16{dns.TypeA, dns.TypeTXT, dns.TypeDS}
	for kind, c := range map[string]struct {
		denial authority.Denial
		least  int // of the questions that are answered without a server
	}{
		"NSEC": {authority.Denial{}, 45}, "NSEC3": {authority.Denial{Kind: authority.NSEC3, Iterations: 3, Salt: "aabb"}, 45},
		"opt-out": {authority.Denial{Kind: authority.NSEC3, OptOut: true}, 0}, "minimal": {authority.Denial{Kind: authority.MinimalNSEC}, 0},
		"minimal hashes": {authority.Denial{Kind: authority.MinimalNSEC3}, 0}, "compact": {authority.Denial{Kind: authority.Compact}, 0},
	} {
		internet, anchor := signedInternet(t, c.denial)
		w := workerIn(t, internet)
		if err := w.rules.anchors.Add(anchor); err != nil {
			t.Fatal(err)
		}
		full := func(label string) string { return strings.TrimPrefix(label+".example.", ".") }
		for _, label := range lesson {
			for _, qtype := range types {
				told(t, w, full(label), qtype)
			}
		}
		flush(t, w)
		type answer struct {
			name  string
			qtype uint16
			text  string
		}
		about := func(name string) (asked []dns.Question) { // of a name and its ancestors in the zone
			for _, q := range internet.Host("127.54.0.1").Seen() {
				if n := dns.CanonicalName(q.Name); n != "." && dns.IsSubDomain(n, name) {
					asked = append(asked, q)
				}
			}
			return asked
		}
		var warm []answer
		alone := 0
		for _, label := range asked {
			for _, qtype := range types {
				before := len(about(full(label)))
				warm = append(warm, answer{full(label), qtype, told(t, w, full(label), qtype)})
				if len(about(full(label))) == before {
					alone++
				}
			}
		}
		if made := int(w.cache.Stats().Aggressive); alone < c.least || made < c.least*2/3 {
			t.Errorf("%s: %d of %d answers needed no server, %d were made of denials", kind, alone, len(warm), made)
		} else if (c.denial.Kind == authority.MinimalNSEC || c.denial.Kind == authority.Compact) && made > 0 {
			t.Errorf("%s: %d answers were made of denials that speak of one name", kind, made)
		}
		for _, a := range warm {
			if _, err := w.cache.Clear(); err != nil {
				t.Fatal(err)
			}
			cold := told(t, w, a.name, a.qtype)
			if c.denial.Kind == authority.MinimalNSEC3 { // the ranges of names that exist are those of its chain
				cold, _, _ = strings.Cut(cold, "\n")
				a.text, _, _ = strings.Cut(a.text, "\n")
			}
			if a.text != cold {
				t.Errorf("%s: %s %s is with a warm cache\n%s\nand with a cold one\n%s", kind, a.name, dns.TypeToString[a.qtype], a.text, cold)
			}
		}
	}
}

// A flood of random names below a signed zone is answered by the listener's thread,
// once their gaps are known.
func TestAFloodBelowASignedZone(t *testing.T) {
	for kind, d := range map[string]authority.Denial{"NSEC": {}, "NSEC3": {Kind: authority.NSEC3, Iterations: 2, Salt: "aabb"}} {
		t.Run(kind, func(t *testing.T) { flood(t, d) })
	}
}

func flood(t *testing.T, d authority.Denial) {
	internet, anchor := signedInternet(t, d)
	w := workerIn(t, internet)
	if err := w.rules.anchors.Add(anchor); err != nil {
		t.Fatal(err)
	}
	byDriver(t, w, shapes[2].message("m.example.", dns.TypeA), someone)
	for i := 0; d.Kind == authority.NSEC3 && i < 250; i++ { // until all gaps are known
		byDriver(t, w, shapes[2].message(fmt.Sprintf("l%d.example.", i), dns.TypeA), someone)
	}
	flush(t, w)
	s, err := w.newHandler().NewSession()
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	entries := count(t, w)
	for i := range 300 {
		pkt := shapes[i%len(shapes)].message(fmt.Sprintf("mn%d.example.", i), dns.TypeA)
		msg, handling := byCache(t, s, pkt, someone)
		if handling != listen.Reply {
			t.Fatalf("%d is not answered", i)
		}
		if d := difference(t, msg, byDriver(t, w, pkt, someone)); d != "" {
			t.Fatalf("%d: %s", i, d)
		}
	}
	flush(t, w)
	for _, q := range internet.Host("127.54.0.1").Seen() {
		if strings.HasPrefix(strings.ToLower(q.Name), "mn") {
			t.Errorf("a server is asked for %s", q.Name)
		}
	}
	if after := count(t, w); after > entries+4 { // of the root's name servers, which are asked for in the background
		t.Errorf("%d entries more", after-entries)
	}
}

func count(t testing.TB, w *Worker) int {
	t.Helper()
	n, err := w.cache.Count()
	if err != nil {
		t.Fatal(err)
	}
	return n
}
