package iterate

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"kresd/internal/dnsname"
	"kresd/internal/resolve"
	"kresd/internal/wire"
)

// The DS set of a zone is its parent's to tell, unless the zone is the root, which has no
// parent, or a forwarder tells, who asks the parent. Other sets are the zone's own, and so
// are the DS sets of its children.
func TestWhoTellsADSSet(t *testing.T) {
	for _, tt := range []struct {
		name, qname, cut string
		qtype            uint16
		options          resolve.Options
		want             string
	}{
		{"the zone's own", "example.com.", "example.com.", wire.TypeDS, resolve.Options{}, "lame"},
		{"a child's", "sub.example.com.", "example.com.", wire.TypeDS, resolve.Options{}, "positive"},
		{"the root's", ".", ".", wire.TypeDS, resolve.Options{}, "positive"},
		{"of a forwarder", "example.com.", "example.com.", wire.TypeDS, resolve.Options{Forward: true}, "positive"},
		{"another set of the zone", "example.com.", "example.com.", wire.TypeTXT, resolve.Options{}, "positive"},
	} {
		r, q := query(tt.qname, tt.qtype, tt.cut)
		q.Options, q.Cut.Hints = tt.options, tt.options.Forward
		data := "DS 1 8 2 AA"
		if tt.qtype == wire.TypeTXT {
			data = "TXT x"
		}
		consume(r, q, message(t, q.Asked, "aa NOERROR", "an "+tt.qname+" 60 "+data))
		if got := kind(q.Outcome.Kind); got != tt.want {
			t.Errorf("%s: got %s, want %s", tt.name, got, tt.want)
		}
	}
}

// A refusal of the operator's own server reaches the client if no other does better. One of
// a forwarder, or of a zone's server, is of no use. A server is asked once more without EDNS
// where that may be what it does not understand.
func TestWhatARefusalMeans(t *testing.T) {
	const data = "an www.example.com. 60 A 192.0.2.9"
	for _, tt := range []struct {
		name    string
		flags   string
		options resolve.Options
		noEDNS  bool
		want    string
		held    bool
	}{
		{"REFUSED by a stub's server", "REFUSED", resolve.Options{Stub: true}, false, "lame", true},
		{"REFUSED by a forwarder", "REFUSED", resolve.Options{Forward: true}, false, "lame", false},
		{"REFUSED by a zone's server", "REFUSED", resolve.Options{}, false, "lame", false},
		{"SERVFAIL without OPT", "SERVFAIL", resolve.Options{}, false, "pending", false},
		{"SERVFAIL with OPT", "opt SERVFAIL", resolve.Options{}, false, "lame", false},
		{"FORMERR to a question without EDNS", "FORMERR", resolve.Options{}, true, "lame", false},
		{"SERVFAIL to a question without EDNS", "SERVFAIL", resolve.Options{}, true, "lame", false},
		{"NOTIMP with OPT", "opt NOTIMP", resolve.Options{}, false, "lame", false},
	} {
		r, q := query("www.example.com.", wire.TypeA, "example.com.")
		q.Options, q.Server.NoEDNS = tt.options, tt.noEDNS
		q.Cut.Hints = tt.options.Stub || tt.options.Forward
		consume(r, q, message(t, q.Asked, tt.flags, data))
		if got := kind(q.Outcome.Kind); got != tt.want || q.HoldsBack() != tt.held {
			t.Errorf("%s: got %s, held back %v; want %s, %v", tt.name, got, q.HoldsBack(), tt.want, tt.held)
		}
	}
}

// Who asks for signatures gets those of the name, and they live as long as the shortest.
func TestSignaturesThatWereAskedFor(t *testing.T) {
	const of = " RRSIG A 8 3 60 20300101000000 20200101000000 "
	r, q := query("www.example.com.", wire.TypeRRSIG, "example.com.")
	consume(r, q, message(t, q.Asked, "aa NOERROR", "an www.example.com. 60 A 192.0.2.9",
		"an www.example.com. 50"+of+"1 example.com. AAAA", "an www.example.com. 30"+of+"2 example.com. AAAA",
		"an www.example.com. 40"+of+"3 example.com. AAAA", "an other.example.com. 10"+of+"4 example.com. AAAA",
		"an www.example.com. 10 CH RRSIG A 8 3 60 20300101000000 20200101000000 5 example.com. AAAA"))
	if a := q.Outcome.Answer; len(a) != 1 || len(a[0].Data) != 3 || a[0].TTL != 30 {
		t.Errorf("got %+v, want three signatures for 30 s", a)
	}
	r, q = query("www.example.com.", wire.TypeRRSIG, "example.com.")
	consume(r, q, message(t, q.Asked, "aa NOERROR", "an www.example.com. 60 A 192.0.2.9", "ns example.com. 60 SOA ns. host. 1 2 3 4 5"))
	if q.Outcome.Kind != resolve.NoData {
		t.Errorf("of a name without signatures: got %s, want nodata", kind(q.Outcome.Kind))
	}
}

// A chain within a message is told as far as it goes: to the data at its end, or to the
// first name that it has been at before.
func TestHowFarAChainIsTold(t *testing.T) {
	const a, b, c, d = "a.example.com.", "b.example.com.", "c.example.com.", "d.example.com."
	cname := func(from, to string) string { return "an " + from + " 60 CNAME " + to }
	for _, tt := range []struct {
		records []string
		want    string
		owners  []string
		target  dnsname.Name
	}{
		{[]string{cname(a, b), cname(b, c), cname(c, d), "an " + d + " 60 A 192.0.2.9"}, "positive", []string{a, b, c, d}, ""},
		{[]string{cname(a, b), cname(b, c)}, "alias", []string{a, b}, name(c)},
		{[]string{cname(a, b), cname(b, a)}, "alias", []string{a, b}, name(a)},
		{[]string{cname(a, b), cname(b, c), cname(c, b)}, "alias", []string{a, b, c}, name(b)},
	} {
		r, q := query(a, wire.TypeA, "example.com.")
		consume(r, q, message(t, q.Asked, "aa NOERROR", tt.records...))
		var owners []string
		for _, s := range q.Outcome.Answer {
			owners = append(owners, s.Owner.String())
		}
		if o := &q.Outcome; kind(o.Kind) != tt.want || !slices.Equal(owners, tt.owners) || o.Target != tt.target {
			t.Errorf("%v: got %s by %v to %s", tt.records, kind(o.Kind), owners, o.Target)
		}
	}
}

// A name that a DNAME makes too long exists nowhere: the client is told so, with the DNAME
// as the reason (RFC 6672, section 2.2).
func TestADNAMEThatMakesTooLongAName(t *testing.T) {
	long := strings.Repeat("a123456789012345678901234567890.", 5)
	r, q := query(long+"old.example.com.", wire.TypeA, "example.com.")
	consume(r, q, message(t, q.Asked, "aa YXDOMAIN", "an old.example.com. 60 DNAME "+long+"example.com."))
	o := &q.Outcome
	if o.Kind != resolve.Positive || o.Rcode != wire.RcodeYXDomain || len(o.Answer) != 1 || o.Answer[0].Type != wire.TypeDNAME {
		t.Errorf("got %s, RCODE %d, %+v", kind(o.Kind), o.Rcode, o.Answer)
	}
}

// What a denial says beside its RCODE: the SOA of the zone that denies, which is the child's
// where the same server has it, and the proofs. A zone's own server is believed about no
// delegation beside it; a forwarder's is shown to the client, who may follow it.
func TestWhatStandsBesideADenial(t *testing.T) {
	const sig = " 60 RRSIG NSEC 8 3 60 20300101000000 20200101000000 1 example.com. AAAA"
	for _, tt := range []struct {
		name    string
		forward bool
		records []string
		zone    string
		want    string
	}{
		{"SOA and proof", false, []string{"ns example.com. 60 SOA ns. host. 1 2 3 4 5", "ns a.example.com. 60 NSEC z.example.com. A", "ns a.example.com." + sig}, "example.com.", "6 47"},
		{"a proof alone", false, []string{"ns a.example.com. 60 NSEC z.example.com. A", "ns a.example.com." + sig}, "example.com.", "47"},
		{"the child's SOA", false, []string{"ns sub.example.com. 60 SOA ns. host. 1 2 3 4 5"}, "sub.example.com.", "6"},
		{"the zone's NS", false, []string{"ns example.com. 60 NS ns.example.com."}, "example.com.", ""},
		{"a forwarder's referral", true, []string{"ns sub.example.com. 60 NS ns.net.", "ns sub.example.com. 60 DS 1 8 2 AA"}, "example.com.", "2"},
		{"a forwarder's SOA", true, []string{"ns sub.example.com. 60 SOA ns. host. 1 2 3 4 5", "ns sub.example.com. 60 NS ns.net."}, "sub.example.com.", "6"},
	} {
		r, q := query("www.sub.example.com.", wire.TypeA, "example.com.")
		q.Options.Forward, q.Cut.Hints = tt.forward, tt.forward
		consume(r, q, message(t, q.Asked, "aa NOERROR", tt.records...))
		var types []string
		for _, s := range q.Outcome.Authority {
			types = append(types, fmt.Sprint(s.Type))
		}
		if o := &q.Outcome; o.Kind != resolve.NoData || o.Zone != name(tt.zone) || strings.Join(types, " ") != tt.want {
			t.Errorf("%s: got %s of %s with types %v, want %s", tt.name, kind(o.Kind), o.Zone, types, tt.want)
		}
	}
}

// A denial without SOA and without AA is taken at the zone's own name, and elsewhere in
// permissive mode, if no other server does better. What the answer section has of other
// zones makes no referral of it.
func TestDenialsThatNothingSupports(t *testing.T) {
	for _, tt := range []struct {
		name, qname, flags string
		permissive         bool
		records            []string
		held               bool
	}{
		{"NXDOMAIN", "www.example.com.", "NXDOMAIN", false, nil, false},
		{"NXDOMAIN, permissive", "www.example.com.", "NXDOMAIN", true, nil, true},
		{"NXDOMAIN at the zone's name", "example.com.", "NXDOMAIN", false, nil, true},
		{"the zone's NS, permissive", "www.example.com.", "NOERROR", true, []string{"ns example.com. 60 NS ns.example.com."}, false},
		{"a delegation aside at the zone's name", "example.com.", "NOERROR", false, []string{"ns sub.example.com. 60 NS ns.net."}, true},
		{"NS of the parent as an answer", "www.example.com.", "aa NOERROR", false, []string{"an com. 60 NS ns.com."}, true},
		{"NS of the parent in authority", "www.example.com.", "aa NOERROR", false, []string{"ns com. 60 NS ns.com."}, false},
	} {
		r, q := query(tt.qname, wire.TypeA, "example.com.")
		q.Options.Permissive = tt.permissive
		consume(r, q, message(t, q.Asked, tt.flags, tt.records...))
		if q.Outcome.Kind != resolve.Lame || q.HoldsBack() != tt.held {
			t.Errorf("%s: got %s, held back %v, want %v", tt.name, kind(q.Outcome.Kind), q.HoldsBack(), tt.held)
		}
	}
}

// What no server said is not judged: an outcome of a module or the cache passes.
func TestAnOutcomeWithoutAMessagePasses(t *testing.T) {
	r, q := query("www.example.com.", wire.TypeA, "example.com.")
	q.Outcome = resolve.Outcome{Kind: resolve.NXDomain, Origin: resolve.FromModule}
	if got := consume(r, q, nil); got != resolve.Consume || q.Outcome.Kind != resolve.NXDomain || q.Outcome.Origin != resolve.FromModule {
		t.Errorf("got state %d and %+v", got, q.Outcome)
	}
}

// Servers that compare names octet by octet were believed when they denied a name in mixed
// letter case. What nothing supports is asked once more in lower case; a denial as servers in
// order make it is not.
func TestADenialThatMayHangOnLetterCase(t *testing.T) {
	const soa = "ns example.com. 60 SOA ns. host. 1 2 3 4 5"
	for _, c := range []struct {
		what, qname, flags string
		records            []string
		doubted            bool
	}{
		{"NXDOMAIN alone", "www.example.com.", "aa NXDOMAIN", nil, true},
		{"NXDOMAIN alone, without AA", "www.example.com.", "NXDOMAIN", nil, true},
		{"nothing at all", "www.example.com.", "NOERROR", nil, true},
		{"nothing, with AA", "www.example.com.", "aa NOERROR", nil, true},
		{"NXDOMAIN of the zone's own name", "example.com.", "aa NXDOMAIN", []string{"ns com. 60 SOA ns. host. 1 2 3 4 5"}, true},
		{"NXDOMAIN and the SOA of that name", "sub.example.com.", "aa NXDOMAIN", []string{"ns sub.example.com. 60 SOA ns. host. 1 2 3 4 5"}, true},
		{"NXDOMAIN", "www.example.com.", "aa NXDOMAIN", []string{soa}, false},
		{"NODATA", "www.example.com.", "aa NOERROR", []string{soa}, false},
		{"NODATA of the zone's own name", "example.com.", "aa NOERROR", []string{soa}, false},
		{"NODATA beside the zone's servers", "www.example.com.", "aa NOERROR", []string{"ns example.com. 60 NS ns.example.com."}, false},
		{"a referral upwards", "www.example.com.", "NOERROR", []string{"ns . 60 NS a.root."}, false},
		{"data", "www.example.com.", "aa NOERROR", []string{"an www.example.com. 60 A 192.0.2.9"}, false},
		{"data of another name", "www.example.com.", "aa NOERROR", []string{"an ww.example.com. 60 A 192.0.2.9"}, false},
		{"REFUSED", "www.example.com.", "REFUSED", nil, false},
		{"an alias to a name that does not exist", "www.example.com.", "aa NXDOMAIN", []string{"an www.example.com. 60 CNAME w.example.com."}, false},
	} {
		for _, shown := range []struct {
			how    string
			doubts bool
			alter  func(*resolve.Request, *resolve.Query)
		}{
			{"in mixed case", true, func(*resolve.Request, *resolve.Query) {}},
			{"in lower case", false, func(_ *resolve.Request, q *resolve.Query) { q.Server.NoCase = true }},
			{"over TLS", false, func(_ *resolve.Request, q *resolve.Query) { q.Server.Encrypted = true }},
			{"once more", false, func(r *resolve.Request, q *resolve.Query) { r.RetryInLowerCase(q) }},
		} {
			r, q := query(c.qname, wire.TypeA, "example.com.")
			q.Server.NoCase = false
			shown.alter(r, q)
			state := consume(r, q, message(t, q.Asked, c.flags, c.records...))
			if got, want := state == resolve.Produce, c.doubted && shown.doubts; got != want {
				t.Errorf("%s, asked %s: doubted %t, want %t", c.what, shown.how, got, want)
			}
		}
	}
	r, q := query("1.2.3.", wire.TypeA, "3.")
	q.Server.NoCase = false
	if consume(r, q, message(t, q.Asked, "aa NOERROR")) == resolve.Produce {
		t.Error("a name without letters is asked in another case")
	}
}

// A denial that was doubted was forgotten: where the server said no more, as one that is asked
// too much, the client heard SERVFAIL.
func TestADenialThatIsDoubtedCountsIfNoMoreIsSaid(t *testing.T) {
	for flags, kept := range map[string]bool{"aa NOERROR": true, "aa NXDOMAIN": true, "NXDOMAIN": false} {
		r, q := query("www.example.com.", wire.TypeA, "example.com.")
		q.Server.NoCase = false
		if state := consume(r, q, message(t, q.Asked, flags)); state != resolve.Produce || q.HoldsBack() != kept {
			t.Errorf("%s: state %d, held back %t, want %t", flags, state, q.HoldsBack(), kept)
		}
	}
}
