package iterate

import (
	"bytes"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"github.com/miekg/dns"

	"kresd/internal/dnsname"
	"kresd/internal/limits"
	"kresd/internal/rank"
	"kresd/internal/resolve"
	"kresd/internal/wire"
	"kresd/internal/zonecut"
)

func name(text string) dnsname.Name {
	n, err := dnsname.Parse(text)
	if err != nil {
		panic(err)
	}
	return n
}

// message is an answer written as text: flags, then "an", "ns" or "ar" before
// each record.
func message(t *testing.T, q resolve.Question, flags string, records ...string) *wire.Msg {
	t.Helper()
	m := new(dns.Msg)
	m.SetQuestion(q.Name.String(), q.Type)
	m.Response = true
	for _, f := range strings.Fields(flags) {
		switch f {
		case "aa":
			m.Authoritative = true
		case "ra":
			m.RecursionAvailable = true
		case "tc":
			m.Truncated = true
		case "opt":
			m.SetEdns0(1232, true)
		default:
			m.Rcode = dns.StringToRcode[f]
		}
	}
	for _, text := range records {
		rr, err := dns.NewRR(text[3:])
		if err != nil {
			t.Fatalf("%q: %v", text, err)
		}
		switch text[:2] {
		case "an":
			m.Answer = append(m.Answer, rr)
		case "ns":
			m.Ns = append(m.Ns, rr)
		case "ar":
			m.Extra = append(m.Extra, rr)
		}
	}
	pkt, err := m.Pack()
	if err != nil {
		t.Fatal(err)
	}
	w, err := wire.Parse(pkt)
	if err != nil {
		t.Fatal(err)
	}
	return w
}

func query(qname string, qtype uint16, cut string) (*resolve.Request, *resolve.Query) {
	r := &resolve.Request{Now: 1000}
	q := &resolve.Query{Question: resolve.Question{Name: name(qname), Type: qtype, Class: wire.ClassIN}}
	q.Cut = &zonecut.Cut{Name: name(cut), Expires: 5000}
	q.Server.Addr = netip.MustParseAddrPort("192.0.2.1:53")
	q.Server.NoCase = true // nothing hangs on letter case
	q.Asked = q.Question
	return r, q
}

func kind(k resolve.Kind) string {
	return [...]string{"pending", "positive", "alias", "nodata", "nxdomain", "referral", "lame"}[k]
}

func TestWhatAnAnswerMeans(t *testing.T) {
	const soa, upSOA = "ns example.com. 60 SOA ns. host. 1 2 3 4 5", "ns com. 60 SOA ns. host. 1 2 3 4 5"
	const sealed = "ns sub.example.com. 60 RRSIG NSEC 8 3 60 20300101000000 20200101000000 1 example.com. AAAA"
	tests := []struct {
		name     string
		qname    string
		qtype    uint16
		flags    string
		records  []string
		want     string
		fallback bool
	}{
		{"data", "www.example.com.", wire.TypeA, "aa NOERROR", []string{"an www.example.com. 60 A 192.0.2.9"}, "positive", false},
		{"data of a server that forgets AA", "www.example.com.", wire.TypeA, "NOERROR", []string{"an www.example.com. 60 A 192.0.2.9"}, "positive", false},
		{"data of a server that recursed", "www.example.com.", wire.TypeA, "ra NOERROR", []string{"an www.example.com. 60 A 192.0.2.9"}, "lame", true},
		{"data for another name", "www.example.com.", wire.TypeA, "aa NOERROR", []string{"an ww.example.com. 60 A 192.0.2.9"}, "lame", true},
		{"alias within", "www.example.com.", wire.TypeA, "aa NOERROR", []string{"an www.example.com. 60 CNAME w.example.com."}, "alias", false},
		{"alias beyond, with its data", "www.example.com.", wire.TypeA, "aa NOERROR", []string{"an www.example.com. 60 CNAME w.net.", "an w.net. 60 A 192.0.2.9"}, "alias", false},
		{"two aliases at one name", "www.example.com.", wire.TypeA, "aa NOERROR", []string{"an www.example.com. 60 CNAME a.net.", "an www.example.com. 60 CNAME b.net."}, "lame", false},
		{"alias and NXDOMAIN", "www.example.com.", wire.TypeA, "aa NXDOMAIN", []string{"an www.example.com. 60 CNAME w.example.com.", soa}, "alias", false},
		{"all types", "www.example.com.", wire.TypeANY, "aa NOERROR", []string{"an www.example.com. 60 A 192.0.2.9", "an www.example.com. 60 TXT x"}, "positive", false},
		{"YXDOMAIN without reason", "www.example.com.", wire.TypeA, "aa YXDOMAIN", nil, "lame", false},
		{"no such type", "www.example.com.", wire.TypeA, "aa NOERROR", []string{soa}, "nodata", false},
		{"no such type, without AA", "www.example.com.", wire.TypeA, "NOERROR", []string{soa}, "nodata", false},
		{"no such type, SOA of the parent", "www.example.com.", wire.TypeA, "aa NOERROR", []string{upSOA}, "lame", true},
		{"no such type, SOA of the parent, without AA", "www.example.com.", wire.TypeA, "NOERROR", []string{upSOA}, "lame", false},
		{"NXDOMAIN, SOA of the root", "www.example.com.", wire.TypeA, "aa NXDOMAIN", []string{"ns . 60 SOA ns. host. 1 2 3 4 5"}, "lame", true},
		{"no such type, SOA of another zone below", "www.example.com.", wire.TypeA, "NOERROR", []string{"ns x.example.com. 60 SOA ns. host. 1 2 3 4 5"}, "lame", false},
		{"no such type, SOA of the child on the same server", "www.sub.example.com.", wire.TypeA, "aa NOERROR", []string{"ns sub.example.com. 60 SOA ns. host. 1 2 3 4 5"}, "nodata", false},
		{"no such type, no SOA", "www.example.com.", wire.TypeA, "aa NOERROR", nil, "nodata", false},
		{"no such type, only the zone's own NS", "www.example.com.", wire.TypeA, "aa NOERROR", []string{"ns example.com. 60 NS ns.example.com."}, "nodata", false},
		{"an empty answer of a server that knows nothing", "www.example.com.", wire.TypeA, "NOERROR", nil, "lame", true},
		{"a referral to where we are", "www.example.com.", wire.TypeA, "NOERROR", []string{"ns example.com. 60 NS ns.example.com."}, "lame", false},
		{"a referral upwards", "www.example.com.", wire.TypeA, "NOERROR", []string{"ns com. 60 NS ns.com."}, "lame", false},
		{"a referral to the root, with AA", "www.example.com.", wire.TypeA, "aa NOERROR", []string{"ns . 60 NS a.root."}, "lame", false},
		{"a referral aside", "www.example.com.", wire.TypeA, "NOERROR", []string{"ns other.example.com. 60 NS ns.other.example.com."}, "lame", false},
		{"a referral", "www.sub.example.com.", wire.TypeA, "NOERROR", []string{"ns sub.example.com. 60 NS ns.sub.example.com."}, "referral", false},
		{"a referral with AA", "www.sub.example.com.", wire.TypeA, "aa NOERROR", []string{"ns sub.example.com. 60 NS ns.sub.example.com."}, "referral", false},
		{"a referral with SOA is none", "www.sub.example.com.", wire.TypeA, "aa NOERROR", []string{"ns sub.example.com. 60 NS ns.sub.example.com.", soa}, "nodata", false},
		{"a referral with the parent's SOA, without AA", "www.sub.example.com.", wire.TypeA, "NOERROR", []string{"ns sub.example.com. 60 NS ns.sub.example.com.", soa}, "referral", false},
		{"a referral with the child's SOA is none", "www.sub.example.com.", wire.TypeA, "NOERROR", []string{"ns sub.example.com. 60 NS ns.sub.example.com.", "ns sub.example.com. 60 SOA ns. host. 1 2 3 4 5"}, "nodata", false},
		{"a referral with NXDOMAIN, without AA", "www.sub.example.com.", wire.TypeA, "NXDOMAIN", []string{"ns sub.example.com. 60 NS ns.sub.example.com."}, "referral", false},
		{"a referral with NXDOMAIN and AA is none", "www.sub.example.com.", wire.TypeA, "aa NXDOMAIN", []string{"ns sub.example.com. 60 NS ns.sub.example.com."}, "nxdomain", false},
		{"an empty answer at the zone's own name, without AA", "example.com.", wire.TypeA, "NOERROR", nil, "lame", true},
		{"a referral in answer to DS", "sub.example.com.", wire.TypeDS, "NOERROR", []string{"ns sub.example.com. 60 NS ns.sub.example.com."}, "lame", true},
		{"a referral in answer to DS that has the set", "sub.example.com.", wire.TypeDS, "NOERROR", []string{"ns sub.example.com. 60 NS ns.sub.example.com.", "ns sub.example.com. 60 DS 1 8 2 AA"}, "positive", false},
		{"a referral in answer to DS that proves that there is none", "sub.example.com.", wire.TypeDS, "NOERROR", []string{"ns sub.example.com. 60 NS ns.sub.example.com.", "ns sub.example.com. 60 NSEC t.example.com. NS RRSIG NSEC", sealed}, "nodata", false},
		{"a referral in answer to DS further down", "a.sub.example.com.", wire.TypeDS, "NOERROR", []string{"ns sub.example.com. 60 NS ns.sub.example.com.", "ns sub.example.com. 60 DS 1 8 2 AA"}, "referral", false},
		{"a referral with a proof in answer to another type", "sub.example.com.", wire.TypeA, "NOERROR", []string{"ns sub.example.com. 60 NS ns.sub.example.com.", "ns sub.example.com. 60 NSEC t.example.com. NS RRSIG NSEC", sealed}, "referral", false},
		{"NXDOMAIN", "www.example.com.", wire.TypeA, "aa NXDOMAIN", []string{soa}, "nxdomain", false},
		{"NXDOMAIN, bare", "www.example.com.", wire.TypeA, "aa NXDOMAIN", nil, "nxdomain", false},
		{"NXDOMAIN, without AA and SOA", "www.example.com.", wire.TypeA, "NXDOMAIN", nil, "lame", false},
		{"REFUSED", "www.example.com.", wire.TypeA, "REFUSED", nil, "lame", false},
		{"FORMERR of a server without EDNS", "www.example.com.", wire.TypeA, "FORMERR", nil, "pending", false},
		{"FORMERR of a server with EDNS", "www.example.com.", wire.TypeA, "opt FORMERR", nil, "pending", false},
		{"NOTIMP of a server without EDNS", "www.example.com.", wire.TypeA, "NOTIMP", nil, "pending", false},
		{"BADVERS", "www.example.com.", wire.TypeA, "opt BADSIG", nil, "pending", false},
		{"BADCOOKIE", "www.example.com.", wire.TypeA, "opt BADCOOKIE", nil, "lame", false},
		{"truncated over TCP too", "www.example.com.", wire.TypeA, "aa tc NOERROR", []string{"an www.example.com. 60 A 192.0.2.9"}, "lame", false},
		{"class CHAOS, of the type that was asked for", "www.example.com.", wire.TypeTXT, "NOERROR", []string{"an www.example.com. 60 CH TXT x"}, "lame", false},
		{"class CHAOS", "www.example.com.", wire.TypeA, "NOERROR", []string{"an www.example.com. 60 CH TXT x"}, "lame", false},
		{"DS set of its own zone", "example.com.", wire.TypeDS, "aa NOERROR", []string{"an example.com. 60 DS 1 8 2 AA"}, "lame", false},
		{"two DNAMEs at one name", "x.old.example.com.", wire.TypeA, "aa NOERROR", []string{"an old.example.com. 60 DNAME new.example.com.", "an old.example.com. 60 DNAME other.example.com."}, "lame", false},
		{"signatures were asked for", "www.example.com.", wire.TypeRRSIG, "aa NOERROR", []string{"an www.example.com. 60 RRSIG A 8 3 60 20300101000000 20200101000000 1 example.com. AAAA"}, "positive", false},
		{"a DNAME made the CNAME that was asked for", "x.old.example.com.", wire.TypeCNAME, "aa NOERROR", []string{"an old.example.com. 60 DNAME new.example.com."}, "positive", false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			r, q := query(tt.qname, tt.qtype, "example.com.")
			consume(r, q, message(t, q.Asked, tt.flags, tt.records...))
			if got := kind(q.Outcome.Kind); got != tt.want {
				t.Errorf("got %s, want %s", got, tt.want)
			}
			if got := q.HoldsBack(); got != tt.fallback {
				t.Errorf("kept in reserve: got %v, want %v", got, tt.fallback)
			}
			for _, s := range q.Outcome.Answer {
				if !s.Owner.IsSubdomainOf(q.Cut.Name) || s.Rank != rank.Initial|rank.Auth {
					t.Errorf("%s with rank %d in the answer", s.Owner, s.Rank)
				}
			}
		})
	}
}

func TestReferralLimits(t *testing.T) {
	r, q := query("www.sub.example.com.", wire.TypeA, "example.com.")
	var records []string
	for i := range 80 {
		records = append(records, fmt.Sprintf("ns sub.example.com. 86400 NS ns%d.sub.example.com.", i))
		for j := range 20 {
			if i >= 20 {
				records = append(records, fmt.Sprintf("ar ns%d.sub.example.com. 60 A 192.0.%d.%d", i, i, j))
			}
		}
	}
	consume(r, q, message(t, q.Asked, "NOERROR", records...))
	cut := q.Outcome.Cut
	if cut == nil || len(cut.NS) != limits.NSKeptPerDelegation {
		t.Fatalf("got %+v", cut)
	}
	addrs := 0
	for _, ns := range cut.NS {
		if len(ns.Addrs) == 0 {
			t.Errorf("%s has no address; those with glue come first", ns.Name)
		}
		addrs += len(ns.Addrs)
	}
	if most := 2*limits.NSKeptPerDelegation + limits.ExtraAddrsKept; addrs != most {
		t.Errorf("got %d addresses, want %d", addrs, most)
	}
	if cut.Expires != 5000 {
		t.Errorf("expires at %d, want the parent's end 5000", cut.Expires)
	}
}

func TestWildcardProofIsKept(t *testing.T) {
	r, q := query("a.example.com.", wire.TypeA, "example.com.")
	consume(r, q, message(t, q.Asked, "aa NOERROR",
		"an a.example.com. 60 A 192.0.2.9", "an a.example.com. 60 RRSIG A 8 2 60 20300101000000 20200101000000 1 example.com. AAAA",
		"ns example.com. 60 NS ns.example.com.", "ns z.example.com. 60 NSEC b.example.com. A",
		"ns z.example.com. 60 RRSIG NSEC 8 3 60 20300101000000 20200101000000 1 example.com. AAAA"))
	if a := q.Outcome.Authority; len(a) != 1 || a[0].Type != wire.TypeNSEC {
		t.Errorf("got %+v, want the NSEC set", a)
	}
	r, q = query("a.example.com.", wire.TypeA, "example.com.")
	consume(r, q, message(t, q.Asked, "aa NOERROR", "an a.example.com. 60 A 192.0.2.9", "ns z.example.com. 60 NSEC b.example.com. A",
		"ns z.example.com. 60 RRSIG NSEC 8 3 60 20300101000000 20200101000000 1 example.com. AAAA"))
	if a := q.Outcome.Authority; len(a) != 0 {
		t.Errorf("without expansion: got %+v", a)
	}
}

// Signatures stand beside the sets that they cover, and are a set of their own only
// where they were asked for.
func TestSignaturesAreNoSetOfTheirOwn(t *testing.T) {
	r, q := query("www.example.com.", wire.TypeANY, "example.com.")
	consume(r, q, message(t, q.Asked, "aa NOERROR", "an www.example.com. 60 A 192.0.2.9",
		"an www.example.com. 60 RRSIG A 8 3 60 20300101000000 20200101000000 1 example.com. AAAA"))
	if a := q.Outcome.Answer; len(a) != 1 || a[0].Type != wire.TypeA || len(a[0].Sigs) != 1 {
		t.Errorf("got %+v", a)
	}
}

// A referral's glue is of both families.
func TestGlueOfBothFamilies(t *testing.T) {
	r, q := query("www.sub.example.com.", wire.TypeA, "example.com.")
	consume(r, q, message(t, q.Asked, "NOERROR", "ns sub.example.com. 60 NS ns.sub.example.com.",
		"ar ns.sub.example.com. 60 AAAA 2001:db8::1", "ar ns.sub.example.com. 60 A 192.0.2.8", "ar ns.sub.example.com. 60 TXT none"))
	want := []netip.Addr{netip.MustParseAddr("192.0.2.8"), netip.MustParseAddr("2001:db8::1")}
	if cut := q.Outcome.Cut; cut == nil || len(cut.NS) != 1 || !slices.Equal(cut.NS[0].Addrs, want) {
		t.Errorf("got %+v, want the addresses %v", cut, want)
	}
}

// What concludes something goes on to the layers behind; only what leads to the same
// question once more is kept from them.
func TestWhatTheLayersBehindSee(t *testing.T) {
	for flags, want := range map[string]resolve.State{"aa NOERROR": resolve.Consume, "aa NXDOMAIN": resolve.Consume, "REFUSED": resolve.Consume, "FORMERR": resolve.Produce} {
		r, q := query("www.example.com.", wire.TypeA, "example.com.")
		if got := consume(r, q, message(t, q.Asked, flags, "ns example.com. 60 SOA ns. host. 1 2 3 4 5")); got != want {
			t.Errorf("%s: got %d, want %d", flags, got, want)
		}
	}
}

// TestMinimisation walks down long names at servers that serve a zone at every
// node and counts the questions (RFC 9156, section 2.3).
func TestMinimisation(t *testing.T) {
	tests := []struct {
		qname   string
		options resolve.Options
		want    string // the names shown, up to the whole one
	}{
		{"www.example.com.", resolve.Options{}, "com. example.com. www.example.com."},
		{"com.", resolve.Options{}, "com."},
		{".", resolve.Options{}, "."},
		{"www.example.com.", resolve.Options{WholeName: true}, "www.example.com."},
		{"_443._tcp.www.example.com.", resolve.Options{}, "com. example.com. www.example.com. _443._tcp.www.example.com."},
		{"a.b.c.d.e.f.g.h.i.j.k.l.m.n.example.com.", resolve.Options{}, "com. example.com. n.example.com. m.n.example.com. k.l.m.n.example.com. i.j.k.l.m.n.example.com. g.h.i.j.k.l.m.n.example.com. e.f.g.h.i.j.k.l.m.n.example.com. c.d.e.f.g.h.i.j.k.l.m.n.example.com. a.b.c.d.e.f.g.h.i.j.k.l.m.n.example.com."},
	}
	for _, tt := range tests {
		r, q := query(tt.qname, wire.TypeA, ".")
		q.Options = tt.options
		var shown []string
		for range 30 {
			checkout(r, q)
			shown = append(shown, q.Asked.Name.String())
			if q.Asked == q.Question {
				break
			}
			if q.Asked.Type != wire.TypeNS {
				t.Errorf("a probe of type %d", q.Asked.Type)
			}
			served(t, r, q)
		}
		if got := strings.Join(shown, " "); got != tt.want {
			t.Errorf("%s: got  %s\nwant %s", tt.qname, got, tt.want)
		}
	}
	r, q := query(strings.Repeat("a.", 120)+"com.", wire.TypeA, ".")
	n := 0
	for n = 1; n < 100; n++ {
		if checkout(r, q); q.Asked == q.Question {
			break
		}
		served(t, r, q)
	}
	if n > limits.QnameMinSteps+1 {
		t.Errorf("121 labels: got %d questions, want at most %d", n, limits.QnameMinSteps+1)
	}
}

// served answers a minimised question with the apex of a zone that the same
// server serves, and goes there.
func served(t *testing.T, r *resolve.Request, q *resolve.Query) {
	t.Helper()
	apex := q.Asked.Name.String()
	consume(r, q, message(t, q.Asked, "aa NOERROR", "an "+apex+" 60 NS a."+apex, "ar a."+apex+" 60 A 192.0.2.8"))
	if q.Outcome.Kind != resolve.Referral {
		t.Fatalf("%s: got %s, want a referral", apex, kind(q.Outcome.Kind))
	}
	q.Cut = q.Outcome.Cut
}

func TestProbes(t *testing.T) {
	tests := []struct {
		name    string
		flags   string
		records []string
		whole   bool
		outcome resolve.Kind
	}{
		{"denied type", "aa NOERROR", []string{"ns example.com. 60 SOA ns. host. 1 2 3 4 5"}, true, resolve.Pending},
		{"an alias is no cut", "aa NOERROR", []string{"an b.example.com. 60 CNAME x.net."}, true, resolve.Pending},
		{"denied name", "aa NXDOMAIN", []string{"ns example.com. 60 SOA ns. host. 1 2 3 4 5"}, true, resolve.Pending},
		{"refused", "REFUSED", nil, true, resolve.Pending},
		{"upward", "NOERROR", []string{"ns . 60 NS a."}, true, resolve.Pending},
		{"empty", "NOERROR", nil, true, resolve.Pending},
		{"hearsay", "ra NOERROR", []string{"an b.example.com. 60 NS ns.net."}, true, resolve.Pending},
		{"SERVFAIL of a server without EDNS", "SERVFAIL", nil, true, resolve.Pending},
		{"FORMERR of a server without EDNS", "FORMERR", nil, false, resolve.Pending},
		{"a referral", "NOERROR", []string{"ns b.example.com. 60 NS ns.b.example.com."}, false, resolve.Referral},
		{"the child is served here, at hand", "aa NOERROR", []string{"an b.example.com. 60 NS ns.b.example.com.", "ar ns.b.example.com. 60 A 192.0.2.8"}, false, resolve.Referral},
		{"the child is served here, by names unknown", "aa NOERROR", []string{"an b.example.com. 60 NS ns.net."}, true, resolve.Pending},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			r, q := query("a.b.example.com.", wire.TypeA, "example.com.")
			checkout(r, q)
			if q.Asked.Name != name("b.example.com.") {
				t.Fatalf("asked for %s", q.Asked.Name)
			}
			consume(r, q, message(t, q.Asked, tt.flags, tt.records...))
			if stateOf(q).whole != tt.whole || q.Outcome.Kind != tt.outcome || q.HoldsBack() {
				t.Errorf("got whole %v and %s, held back %v", stateOf(q).whole, kind(q.Outcome.Kind), q.HoldsBack())
			}
		})
	}
}

// A chain within one message is followed as far as no delegation can lie between.
func TestChainInOneMessage(t *testing.T) {
	for _, tt := range []struct{ from, to, cut, want string }{
		{"www.example.com.", "a.example.com.", "example.com.", "positive"},
		{"a.b.c.example.com.", "x.b.c.example.com.", "example.com.", "positive"},
		{"a.b.c.example.com.", "x.c.example.com.", "example.com.", "positive"},
		{"www.example.com.", "example.com.", "example.com.", "positive"},
		{"www.example.com.", "a.sub.example.com.", "example.com.", "alias"},
		{"www.old.example.com.", "www.new.example.com.", "example.com.", "alias"},
		{"example.com.", "www.example.com.", "example.com.", "alias"},
		{"www.example.com.", "www.example.net.", "example.com.", "alias"},
	} {
		r, q := query(tt.from, wire.TypeA, tt.cut)
		records := []string{"an " + tt.from + " 60 CNAME " + tt.to, "an " + tt.to + " 60 A 192.0.2.9"}
		consume(r, q, message(t, q.Asked, "aa NOERROR", records...))
		if got := kind(q.Outcome.Kind); got != tt.want {
			t.Errorf("%s to %s: got %s, want %s", tt.from, tt.to, got, tt.want)
		}
		q.Outcome, q.Cut.Hints, q.Options = resolve.Outcome{}, true, resolve.Options{Forward: true}
		q.Cut.Name = name(".")
		r.Options, r.Cut = q.Options, q.Cut
		consume(r, q, message(t, q.Asked, "ra NOERROR", records...))
		if got := kind(q.Outcome.Kind); got != "positive" {
			t.Errorf("%s to %s, from a forwarder: got %s, want positive", tt.from, tt.to, got)
		}
	}
}

// FuzzConsume feeds the layer any message that parses. It must keep to the zone
// that was asked.
func FuzzConsume(f *testing.F) {
	seed := new(dns.Msg)
	seed.SetQuestion("www.example.com.", dns.TypeA)
	seed.Response = true
	for _, text := range []string{"www.example.com. 60 CNAME a.example.com.", "example.com. 60 DNAME example.net.", "a.example.com. 60 A 192.0.2.1"} {
		rr, _ := dns.NewRR(text)
		seed.Answer = append(seed.Answer, rr)
	}
	pkt, _ := seed.Pack()
	f.Add(pkt, uint16(1), "www.example.com.")
	referral := new(dns.Msg)
	referral.SetQuestion("www.a.example.com.", dns.TypeA)
	referral.Response = true
	for text, section := range map[string]*[]dns.RR{
		"a.example.com. 60 NS ns.a.example.com.": &referral.Ns, "a.example.com. 60 NS ns.b.example.com. ": &referral.Ns, "a.example.com. 60 NS ns.example.net.": &referral.Ns,
		"ns.a.example.com. 60 A 192.0.2.1": &referral.Extra, "ns.b.example.com. 60 A 192.0.2.2": &referral.Extra, "ns.example.net. 60 A 192.0.2.3": &referral.Extra,
		"ns.c.example.com. 60 A 192.0.2.4": &referral.Extra, "ns.a.example.com. 60 AAAA 2001:db8::1": &referral.Extra,
	} {
		rr, _ := dns.NewRR(text)
		*section = append(*section, rr)
	}
	pkt, _ = referral.Pack()
	f.Add(pkt, uint16(1), "www.a.example.com.")
	f.Fuzz(func(t *testing.T, pkt []byte, qtype uint16, qname string) {
		m, err := wire.Parse(pkt)
		n, err2 := dnsname.Parse(qname)
		if err != nil || err2 != nil {
			return
		}
		for _, mode := range []resolve.Options{{}, {Strict: true}, {Permissive: true}} {
			r, q := query("www.example.com.", qtype, "example.com.")
			if n.IsSubdomainOf(q.Cut.Name) {
				q.Name = n
			}
			q.Options = mode
			keepsToItsZone(t, r, q, m)
		}
	})
}

// keepsToItsZone tries one message as the answer to q.
func keepsToItsZone(t *testing.T, r *resolve.Request, q *resolve.Query, m *wire.Msg) {
	checkout(r, q)
	consume(r, q, m)
	for _, sets := range [][]resolve.Set{q.Outcome.Answer, q.Outcome.Authority} {
		for _, s := range sets {
			if !s.Owner.IsSubdomainOf(q.Cut.Name) {
				t.Errorf("%s is not in %s", s.Owner, q.Cut.Name)
			}
		}
	}
	if c := q.Outcome.Cut; c != nil && (!c.Name.IsStrictlyBelow(q.Cut.Name) || !q.Name.IsSubdomainOf(c.Name)) {
		t.Errorf("referral from %s to %s for %s", q.Cut.Name, c.Name, q.Name)
	}
	if c := q.Outcome.Cut; c != nil {
		glueBelongs(t, q, c, m)
	}
}

// glueBelongs checks that each address of a delegation's servers was told by the
// message, for that server, by one who may know in the query's mode.
func glueBelongs(t *testing.T, q *resolve.Query, c *zonecut.Cut, m *wire.Msg) {
	if len(c.NS) > limits.NSKeptPerDelegation {
		t.Errorf("%d name servers", len(c.NS))
	}
	for _, ns := range c.NS {
		may := ns.Name.IsSubdomainOf(q.Cut.Name)
		switch {
		case q.Options.Strict:
			may = ns.Name.IsSubdomainOf(c.Name)
		case q.Options.Permissive:
			may = true
		}
		if !may && len(ns.Addrs) > 0 || len(ns.Addrs) > 2+limits.ExtraAddrsKept {
			t.Errorf("%s told %v of %s, a server of %s", q.Cut.Name, ns.Addrs, ns.Name, c.Name)
		}
		for _, a := range ns.Addrs {
			if !slices.ContainsFunc(m.Additional, func(rr wire.RR) bool {
				return rr.Owner == ns.Name && rr.Class == q.Class && isAddress(rr.Type) && bytes.Equal(rr.RData, a.AsSlice())
			}) {
				t.Errorf("nobody said that %s has %s", ns.Name, a)
			}
		}
	}
}

func isAddress(t uint16) bool { return t == wire.TypeA || t == wire.TypeAAAA }

// Readers are told why an answer concludes nothing, and which question it was to.
func TestWhyAnAnswerConcludesNothing(t *testing.T) {
	for _, c := range []struct {
		flags string
		whole bool // the whole question was asked
		want  resolve.Inconclusive
	}{
		{"FORMERR", false, resolve.Inconclusive{Rcode: wire.RcodeFormErr, Why: resolve.EDNSDoubted}},
		{"FORMERR", true, resolve.Inconclusive{Rcode: wire.RcodeFormErr, Why: resolve.EDNSDoubted}},
		{"REFUSED", false, resolve.Inconclusive{Rcode: wire.RcodeRefused, Why: resolve.PartUseless}},
		{"aa NXDOMAIN", false, resolve.Inconclusive{Rcode: wire.RcodeNXDomain, Why: resolve.DenialDoubted}},
		{"aa NOERROR", false, resolve.Inconclusive{Why: resolve.NoCutHere}},
	} {
		r, q := query("a.b.example.com.", wire.TypeA, "example.com.")
		var told []resolve.Step
		r.Tell = func(of *resolve.Query, step resolve.Step) {
			if of == q {
				told = append(told, step)
			}
		}
		if checkout(r, q); c.whole {
			q.Asked = q.Question
		}
		c.want.Asked = q.Asked
		consume(r, q, message(t, q.Asked, c.flags, "ns example.com. 60 SOA ns. host. 1 2 3 4 5"))
		if len(told) != 1 || told[0] != c.want {
			t.Errorf("%s: told %+v, want %+v", c.flags, told, c.want)
		}
	}
}

// What is not signed proves nothing, and is not kept beside a denial.
func TestUnsignedProofsAreDropped(t *testing.T) {
	r, q := query("no.example.com.", wire.TypeA, "example.com.")
	consume(r, q, message(t, q.Asked, "aa NXDOMAIN", "ns example.com. 60 SOA ns. host. 1 2 3 4 5", "ns example.com. 60 NSEC www.example.com. A"))
	if a := q.Outcome.Authority; len(a) != 1 || a[0].Type != wire.TypeSOA {
		t.Errorf("got %+v", a)
	}
}

// The CNAME that a server makes of a DNAME has no signature, and is worth what the DNAME
// is, which therefore comes with it.
func TestACNAMEOfADNAMEComesBehindIt(t *testing.T) {
	for _, qtype := range []uint16{wire.TypeCNAME, wire.TypeANY} {
		r, q := query("x.old.example.com.", qtype, "example.com.")
		consume(r, q, message(t, q.Asked, "aa NOERROR", "an old.example.com. 60 DNAME new.example.com.", "an x.old.example.com. 60 CNAME x.new.example.com."))
		a := q.Outcome.Answer
		if q.Outcome.Kind != resolve.Positive || len(a) != 2 || a[0].Type != wire.TypeDNAME || a[1].Type != wire.TypeCNAME {
			t.Errorf("type %d: %s %+v", qtype, kind(q.Outcome.Kind), a)
		}
	}
}
