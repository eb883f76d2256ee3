package validate_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/miekg/dns"

	"kresd/internal/authority"
	"kresd/internal/resolve"
	"kresd/internal/trustanchor"
)

// Each kind of answer of a signed zone is proven, cold and out of the cache, and that
// of an unsigned one is insecure.
func TestAnswersAreProven(t *testing.T) {
	for _, c := range []struct {
		name  string
		qtype uint16
		want  string
	}{
		{"www.example.com.", dns.TypeA, "NOERROR secure"},
		{"example.com.", dns.TypeSOA, "NOERROR secure"},
		{"example.com.", dns.TypeDNSKEY, "NOERROR secure"},
		{"example.com.", dns.TypeDS, "NOERROR secure"},
		{"com.", dns.TypeDS, "NOERROR secure"},
		{".", dns.TypeDNSKEY, "NOERROR secure"},
		{".", dns.TypeNS, "NOERROR secure"},
		{"alias.example.com.", dns.TypeA, "NOERROR secure"},
		{"out.example.com.", dns.TypeA, "NOERROR insecure"},
		{"out.example.com.", dns.TypeCNAME, "NOERROR secure"},
		{"x.wild.example.com.", dns.TypeA, "NOERROR secure"},
		{"x.wild.example.com.", dns.TypeAAAA, "NOERROR secure"},
		{"x.wildalias.example.com.", dns.TypeA, "NOERROR secure"},
		{"x.old.example.com.", dns.TypeA, "NOERROR secure"},
		{"x.old.example.com.", dns.TypeCNAME, "NOERROR secure"},
		{"y.old.example.com.", dns.TypeA, "NXDOMAIN secure"},
		{"www.example.com.", dns.TypeAAAA, "NOERROR secure"},
		{"b.example.com.", dns.TypeA, "NOERROR secure"},
		{"none.example.com.", dns.TypeA, "NXDOMAIN secure"},
		{"none.", dns.TypeA, "NXDOMAIN secure"},
		{"www.plain.com.", dns.TypeA, "NOERROR insecure"},
		{"www.plain.com.", dns.TypeAAAA, "NOERROR insecure"},
		{"none.plain.com.", dns.TypeA, "NXDOMAIN insecure"},
		{"plain.com.", dns.TypeDS, "NOERROR secure"},
		{"plain.com.", dns.TypeDNSKEY, "NOERROR insecure"},
	} {
		w := newWorld(t)
		w.expect(c.name, c.qtype, c.want)
		w.asked()
		w.expect(c.name, c.qtype, c.want)
		if again := w.asked(); len(again) > 0 {
			t.Errorf("%s %s was asked again: %v", c.name, dns.TypeToString[c.qtype], again)
		}
	}
}

// The chain of trust costs one question for the keys of each zone on the way, and
// nothing that was proven once is proven again.
func TestWhatAProofCosts(t *testing.T) {
	w := newWorld(t)
	w.expect("www.example.com.", dns.TypeA, "NOERROR secure")
	var keys int
	for _, question := range w.asked() {
		switch {
		case strings.HasSuffix(question, " DNSKEY"):
			keys++
		case strings.HasSuffix(question, " DS"):
			t.Errorf("asked for what the referral told: %s", question)
		}
	}
	if keys != 3 {
		t.Errorf("%d questions for keys, want those of ., com. and example.com.", keys)
	}
	before := w.counts.Checks()
	w.expect("www.example.com.", dns.TypeA, "NOERROR secure")
	if n := w.counts.Checks() - before; n > 0 {
		t.Errorf("%d checks for an answer that the cache has", n)
	}
	w.expect("a.b.example.com.", dns.TypeA, "NOERROR secure")
	if n := w.counts.Checks() - before; n != 1 {
		t.Errorf("%d checks for one more set of the zone, want 1", n)
	}
	if w.counts.Secure() == 0 || w.counts.Bogus() > 0 {
		t.Errorf("counted %d secure and %d bogus answers", w.counts.Secure(), w.counts.Bogus())
	}
}

// What is wrong is refused, with a reason that names it. Each case alters what both
// servers of example.com., or those of com., say.
func TestWhatIsWrongIsRefused(t *testing.T) {
	for _, c := range []struct {
		what string
		at   string // the servers that are altered
		rule authority.Rule
		ask  string
		want string
	}{
		{"a wrong signature", "example", spoilt(dns.TypeA), "www", "SERVFAIL 6 signature of www.example.com. A by key…"},
		{"no signature", "example", stripped(isType(dns.TypeRRSIG)), "www", "SERVFAIL…"},
		{"no signature of the set", "example", authority.Only(dns.TypeA, stripped(isType(dns.TypeRRSIG))), "www", "SERVFAIL 10 www.example.com. A is not signed, and nothing proves that it need not be…"},
		{"a wrong signature of the keys", "example", spoilt(dns.TypeDNSKEY), "www", "SERVFAIL 6 signature of example.com. DNSKEY by key…"},
		{"no keys", "example", authority.Only(dns.TypeDNSKEY, stripped(isType(dns.TypeDNSKEY, dns.TypeRRSIG))), "www", "SERVFAIL…"},
		{"keys that are not had", "example", authority.Only(dns.TypeDNSKEY, authority.Rcode(dns.RcodeServerFailure)), "www", "SERVFAIL…"},
		{"no proof of a denial", "example", stripped(isType(dns.TypeNSEC)), "none", "SERVFAIL 12…"},
		{"no proof of a denied type", "example", stripped(isType(dns.TypeNSEC)), "TXT", "SERVFAIL 12 no signed record proves that there is no www.example.com.…"},
		{"a wrong signature of a denial", "example", spoilt(dns.TypeNSEC), "none", "SERVFAIL…"},
		{"a wrong signature of the SOA", "example", spoilt(dns.TypeSOA), "none", "SERVFAIL…"},
		{"a wildcard without the denial of the name", "example", stripped(isType(dns.TypeNSEC)), "x.wild", "SERVFAIL 12 x.wild.example.com. is made from a wildcard…"},
		{"a wildcard alias without the denial of the name", "example", stripped(isType(dns.TypeNSEC)), "x.wildalias", "SERVFAIL 12 x.wildalias.example.com. is made from a wildcard…"},
	} {
		w := newWorld(t)
		for _, addr := range map[string][]string{"example": {"192.0.2.1", "192.0.2.2"}, "com": {"198.51.100.2"}}[c.at] {
			w.host(addr).Play(c.rule)
		}
		name, qtype := c.ask+".example.com.", uint16(dns.TypeA)
		if c.ask == "TXT" {
			name, qtype = "www.example.com.", dns.TypeTXT
		}
		if got := w.ask(name, qtype); !strings.HasPrefix(got, strings.TrimSuffix(c.want, "…")) {
			t.Errorf("%s: %s, want %s", c.what, got, c.want)
		}
		if n := w.counts.Bogus(); n == 0 {
			t.Errorf("%s: not counted", c.what)
		}
		// A client that checks for itself gets what there is, and nobody else does.
		cd := w.resolve(name, qtype, func(r *resolve.Request) { r.CD = true })
		if cd.Result.Rcode == dns.RcodeServerFailure || cd.Result.Rank.IsSecure() {
			t.Errorf("%s: with CD=1 %d, rank %d", c.what, cd.Result.Rcode, cd.Result.Rank)
		}
		w.now += 3600 // past what is remembered of the failure
		if got := w.ask(name, qtype); !strings.HasPrefix(got, "SERVFAIL") {
			t.Errorf("%s: after a client with CD=1 %s", c.what, got)
		}
	}
}

// What the parent leaves out is no proof that the child is unsigned.
func TestAStrippedDSIsNoProof(t *testing.T) {
	for what, rule := range map[string]authority.Rule{
		"no DS":                   stripped(isType(dns.TypeDS)),
		"no DS and no signatures": stripped(isType(dns.TypeDS, dns.TypeRRSIG)),
		"a wrong signature":       spoilt(dns.TypeDS),
	} {
		w := newWorld(t)
		w.host("198.51.100.2").Play(authority.Only(dns.TypeA, rule), authority.Only(dns.TypeNS, rule))
		// The answer is signed, and DS asked for by itself tells the truth.
		if got := w.ask("www.example.com.", dns.TypeA); got != "NOERROR secure" {
			t.Errorf("%s beside the referral: %s", what, got)
		}
		w = newWorld(t)
		w.host("198.51.100.2").Play(rule)
		w.host("192.0.2.1").Play(stripped(isType(dns.TypeRRSIG)))
		w.host("192.0.2.2").Play(stripped(isType(dns.TypeRRSIG)))
		if got := w.ask("www.example.com.", dns.TypeA); !strings.HasPrefix(got, "SERVFAIL") {
			t.Errorf("%s at all: %s", what, got)
		}
	}
}

// One of two servers that lies, or has old data, does not take the zone down.
func TestAnotherServerIsAskedBeforeTheClientHearsBogus(t *testing.T) {
	for what, rule := range map[string]authority.Rule{
		"wrong":       spoilt(dns.TypeA),
		"wrong keys":  spoilt(dns.TypeDNSKEY),
		"stripped":    stripped(isType(dns.TypeRRSIG)),
		"wrong SOA":   spoilt(dns.TypeSOA),
		"wrong proof": spoilt(dns.TypeNSEC),
		"of no zone":  claimed("www.example.com."),
	} {
		for _, addr := range []string{"192.0.2.1", "192.0.2.2"} {
			w := newWorld(t)
			w.host(addr).Play(rule)
			for range 4 {
				w.expect("www.example.com.", dns.TypeA, "NOERROR secure")
				w.expect("none.example.com.", dns.TypeA, "NXDOMAIN secure")
				w.expect("alias.example.com.", dns.TypeA, "NOERROR secure") // unsigned, it is the answer for DS, too
				w.now += 7200
			}
			if t.Failed() {
				t.Fatalf("%s at %s", what, addr)
			}
		}
	}
}

// The reason names the servers that were not believed.
func TestTheReasonNamesTheServers(t *testing.T) {
	w := newWorld(t)
	w.host("192.0.2.1").Play(spoilt(dns.TypeA))
	w.host("192.0.2.2").Play(spoilt(dns.TypeA))
	got := w.ask("www.example.com.", dns.TypeA)
	for _, want := range []string{"192.0.2.1", "192.0.2.2", "is wrong"} {
		if !strings.Contains(got, want) {
			t.Errorf("%s lacks %s", got, want)
		}
	}
}

// A zone whose keys, or whose state, changed while the cache holds what was before
// is asked for the new ones before anybody hears bogus.
func TestAChangeInTheMiddleOfACachesLife(t *testing.T) {
	other := zone{"example.com.", "two", exampleText}
	unsigned := zone{"example.com.", "", exampleText}
	for _, c := range []struct {
		what        string
		first, then zone
		want        string
	}{
		{"new keys", example, other, "NOERROR secure"},
		{"unsigned by now", example, unsigned, "NOERROR insecure"},
		{"signed by now", unsigned, example, "NOERROR …"},
	} {
		w := newWorld(t, basic(c.first, plain)...)
		w.ask("www.example.com.", dns.TypeA)
		w.become(basic(c.then, plain)...)
		w.now += 60
		w.expect("a.b.example.com.", dns.TypeA, c.want)
		if t.Failed() {
			t.Fatal(c.what)
		}
	}
}

// A zone whose parent is served by the same servers changes without a referral that
// tells so.
func TestAChangeThatNoReferralTells(t *testing.T) {
	const servers = "sub.example.com. NS ns.example.com.\nsub.example.com. NS ns2.example.com.\n"
	with := func(seed, text string) []zone {
		above := zone{"example.com.", "one", exampleText + servers}
		return basic(above, zone{"sub.example.com.", seed, text + servers + "a.sub.example.com. A 192.0.2.40\nb.sub.example.com. A 192.0.2.41\n"})
	}
	for _, c := range []struct {
		what        string
		first, then []zone
		want        string
	}{
		{"new keys", with("three", ""), with("four", ""), "NOERROR secure"},
		{"unsigned by now", with("three", ""), with("", ""), "NOERROR insecure"},
		{"without DS and with new keys by now", with("three", ""), with("four", "nods\n"), "NOERROR insecure"},
	} {
		w := newWorld(t, c.first...)
		w.expect("a.sub.example.com.", dns.TypeA, "NOERROR secure")
		w.become(c.then...)
		w.now += 60
		w.expect("b.sub.example.com.", dns.TypeA, c.want)
		if t.Failed() {
			t.Fatal(c.what)
		}
	}
}

// What rests on SHA-1 is proven, unless the operator says that it counts for nothing. Who
// says so does not hear what others proved.
func TestSHA1CanBeSwitchedOff(t *testing.T) {
	w := newWorld(t, basic(zone{"example.com.", "SHA-1", exampleText}, plain)...)
	off := func(r *resolve.Request) { r.Options.NoSHA1 = true }
	for range 2 {
		w.expect("www.example.com.", dns.TypeA, "NOERROR secure")
		if res := &w.resolve("www.example.com.", dns.TypeA, off).Result; res.Rcode != dns.RcodeSuccess || res.Rank.IsSecure() {
			t.Errorf("without SHA-1: %d, rank %d", res.Rcode, res.Rank)
		}
		if res := &w.resolve("com.", dns.TypeSOA, off).Result; !res.Rank.IsSecure() {
			t.Errorf("without SHA-1, of another algorithm: %d, rank %d", res.Rcode, res.Rank)
		}
	}
}

// Where nothing was asked to be validated nothing is, and the client is told why.
func TestNegativeAnchors(t *testing.T) {
	w := newWorld(t)
	w.host("192.0.2.1").Play(spoilt(dns.TypeA))
	w.host("192.0.2.2").Play(spoilt(dns.TypeA))
	w.expect("www.example.com.", dns.TypeA, "SERVFAIL 6…")
	w.anchors.SetNegatives([]trustanchor.Negative{{Name: mustName("example.com."), Reason: "the keys are lost"}})
	for range 2 {
		w.expect("www.example.com.", dns.TypeA, "NOERROR insecure 33 nothing at and below example.com. is validated: the keys are lost")
	}
	w.expect("com.", dns.TypeSOA, "NOERROR secure")
	w.anchors.SetNegatives(nil)
	w.now += 3600
	w.expect("www.example.com.", dns.TypeA, "SERVFAIL 6…")
}

// Without an anchor nothing is proven, and with one for a zone alone that zone is.
func TestAnIslandOfTrust(t *testing.T) {
	w := newWorld(t)
	w.anchors.Remove(mustName("."))
	w.expect("www.example.com.", dns.TypeA, "NOERROR insecure")
	if err := w.anchors.Add(key("example.com.", "one").Record().String()); err != nil {
		t.Fatal(err)
	}
	w.expect("www.example.com.", dns.TypeA, "NOERROR secure")
	w.expect("com.", dns.TypeSOA, "NOERROR insecure")
	w.anchors.Remove(mustName("example.com."))
	if err := w.anchors.Add(key("example.com.", "another").DS(dns.SHA256).String()); err != nil {
		t.Fatal(err)
	}
	w.expect("www.example.com.", dns.TypeA, "SERVFAIL 9 the only key of example.com. is not one that the trust anchor names…")
}

// Signatures end. What is in the cache ends with them, and what comes later is told to
// be late.
func TestExpiredSignatures(t *testing.T) {
	w := newWorld(t)
	w.now = begin + 30*86400 - 100
	if r := w.resolve("www.example.com.", dns.TypeA, nil); !r.Result.Rank.IsSecure() || r.Result.Answer[0].TTL > 100 {
		t.Errorf("rank %d, TTL %d, want at most 100", r.Result.Rank, r.Result.Answer[0].TTL)
	}
	w.now += 200
	w.expect("www.example.com.", dns.TypeA, "SERVFAIL 7 signature of . DNSKEY by key…")
	w.now = begin - 2*86400
	w.expect("a.b.example.com.", dns.TypeA, "SERVFAIL 8 signature of . DNSKEY by key…")
}

// Addresses of name servers are not judged, so that a zone is reached whose server lies
// in a broken one, and nobody is told them.
func TestAddressesOfServersAreNotJudged(t *testing.T) {
	far := zone{"far.com.", "far", "far.com. NS ns2.example.com.\nwww.far.com. A 192.0.2.30\n"}
	zones := basic(example, plain, far)
	zones[1].text += "far.com. NS ns2.example.com.\n"
	w := newWorld(t, zones...)
	w.host("192.0.2.1").Play(func(x *authority.Exchange) {
		if x.Query.Question[0].Name == "ns2.example.com." {
			spoilt(dns.TypeA)(x)
		}
	})
	w.host("192.0.2.2").Play(func(x *authority.Exchange) {
		if strings.HasSuffix(strings.ToLower(x.Query.Question[0].Name), ".example.com.") {
			spoilt(dns.TypeA)(x)
		}
	})
	w.expect("www.far.com.", dns.TypeA, "NOERROR secure")
	w.expect("ns2.example.com.", dns.TypeA, "SERVFAIL 6…")
}

// The SOA that comes with each denial of a zone is checked once.
func TestASignatureThatComesAgainIsNotCheckedAgain(t *testing.T) {
	w := newWorld(t)
	w.expect("a.none.example.com.", dns.TypeA, "NXDOMAIN secure")
	before := w.counts.Checks()
	w.expect("zzz.example.com.", dns.TypeA, "NXDOMAIN secure")
	if n := w.counts.Checks() - before; n == 0 || n > 2 {
		t.Errorf("%d checks for a denial whose SOA is known, want those of its NSEC records", n)
	}
	if len(w.asked()) == 0 {
		t.Error("nothing was asked")
	}
}

// A check is remembered with all that it depends on: another signature, set or key is
// checked.
func TestARememberedCheckIsThatOne(t *testing.T) {
	w := newWorld(t)
	w.expect("www.example.com.", dns.TypeA, "NOERROR secure")
	w.host("192.0.2.1").Play(spoilt(dns.TypeA))
	w.host("192.0.2.2").Play(func(x *authority.Exchange) {
		for _, rr := range x.Reply.Answer {
			if a, ok := rr.(*dns.A); ok {
				a.A[len(a.A)-1]++
			}
		}
	})
	w.now += 7200
	w.expect("www.example.com.", dns.TypeA, "SERVFAIL 6…")
}

// A failure names the question whose answer could not be believed, which may be that
// for the keys of a zone on the way to the client's.
func TestAFailureNamesTheQuestionItIsAbout(t *testing.T) {
	for _, c := range []struct {
		what uint16
		want string
	}{
		{dns.TypeA, "www.example.com. A"}, {dns.TypeDNSKEY, "example.com. DNSKEY"},
	} {
		w := newWorld(t)
		for _, addr := range []string{"192.0.2.1", "192.0.2.2"} {
			w.host(addr).Play(spoilt(c.what))
		}
		r := w.resolve("www.example.com.", dns.TypeA, nil)
		f, ok := errors.AsType[*resolve.Failure](r.Result.Failure)
		if !ok {
			t.Errorf("%v is no Failure", r.Result.Failure)
			continue
		}
		if got := f.About.Name.String() + " " + dns.TypeToString[f.About.Type]; got != c.want {
			t.Errorf("the failure is about %s, want %s", got, c.want)
		}
	}
}
