package validate_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/miekg/dns"

	"kresd/internal/authority"
	"kresd/internal/explain"
	"kresd/internal/resolve"
	"kresd/internal/trustanchor"
)

// steps are what a proof of a name tells, in words and in order, without the tags of keys.
func (w *world) steps(name string, qtype uint16) (out []string) {
	w.resolve(name, qtype, func(r *resolve.Request) {
		r.Tell = func(_ *resolve.Query, step resolve.Step) {
			switch s := step.(type) {
			case resolve.KeysBelieved:
				by := "DS"
				if s.Anchor {
					by = "anchor"
				}
				out = append(out, fmt.Sprintf("keys %s by %s: %d of %d", s.Zone, by, len(s.By), s.Keys))
			case resolve.SetProved:
				out = append(out, fmt.Sprintf("set %s %s by %s", s.Owner, dns.TypeToString[s.Type], s.Zone))
				if want := key(s.Zone.String(), map[string]string{".": "root", "com.": "com"}[s.Zone.String()]); s.Zone != mustName("example.com.") && (s.Tag != want.KeyTag() || s.Algorithm != want.Algorithm) {
					out = append(out, "by another key than its own")
				}
			case resolve.DenialProved:
				out = append(out, fmt.Sprintf("denied %s by %s", s.Question, s.Zone))
			case resolve.Unsigned:
				out = append(out, fmt.Sprintf("unsigned %s: %s", s.Name, explain.Words(s).Text))
			}
		}
	})
	return out
}

// A trace tells of each key, set and denial which proves an answer, and why nothing need
// be proven.
func TestWhatAProofTells(t *testing.T) {
	above := []string{"keys . by anchor: 1 of 1", "set . DNSKEY by .", "set com. DS by .", "keys com. by DS: 1 of 1", "set com. DNSKEY by com."}
	for _, c := range []struct {
		name string
		want []string
	}{
		{"www.example.com.", []string{"set example.com. DS by com.", "keys example.com. by DS: 1 of 1", "set example.com. DNSKEY by example.com.", "set www.example.com. A by example.com."}},
		{"none.example.com.", []string{"set example.com. DS by com.", "keys example.com. by DS: 1 of 1", "set example.com. DNSKEY by example.com.",
			"set example.com. SOA by example.com.", "set b.example.com.", "denied none.example.com. A by example.com."}},
		{"www.plain.com.", []string{"set plain.com. NSEC by com.", "unsigned plain.com.: ", "unsigned www.plain.com.: "}},
	} {
		w := newWorld(t)
		got := w.steps(c.name, dns.TypeA)
		for _, want := range slices.Concat(above, c.want) {
			if want == "set b.example.com." { // whichever denials the zone has
				want = "NSEC by example.com."
			}
			if !slices.ContainsFunc(got, func(s string) bool { return strings.Contains(s, want) }) {
				t.Errorf("%s: %q is not told in\n%s", c.name, want, strings.Join(got, "\n"))
			}
		}
		if slices.Contains(got, "by another key than its own") {
			t.Errorf("%s:\n%s", c.name, strings.Join(got, "\n"))
		}
	}
	w := newWorld(t)
	w.anchors.Remove(mustName("."))
	if got := w.steps("www.example.com.", dns.TypeA); len(got) != 0 {
		t.Errorf("without any anchor: %v", got)
	}
}

// subServers are those of example.com., which serve a zone below it, too, and never refer.
const subServers = "sub.example.com. NS ns.example.com.\nsub.example.com. NS ns2.example.com.\n"

// below are zones whose parent, com., has keys and denials of a kind.
func below(seed string, more ...zone) []zone {
	zones := basic(more...)
	zones[1].seed = seed
	return zones
}

// Zones that nobody can validate are insecure, with an extended error that says why;
// what only may be unsigned is, too.
func TestWhatCannotBeValidatedIsInsecure(t *testing.T) {
	odd := zone{"example.com.", "unknown", exampleText}
	digest := basic(zone{"example.com.", "one", "nods\n" + exampleText}, plain)
	ds := key("example.com.", "one").DS(dns.SHA256)
	ds.DigestType = 200
	digest[1].text += ds.String() + "\n"
	for _, c := range []struct {
		what  string
		zones []zone
		name  string
		qtype uint16
		want  string
	}{
		{"an unknown algorithm", basic(odd, plain), "www.example.com.", dns.TypeA, "NOERROR insecure 1 example.com. has keys, and none of an algorithm that is known here"},
		{"an unknown algorithm that no referral tells", basic(zone{"example.com.", "one", exampleText + subServers}, zone{"sub.example.com.", "unknown", subServers + "a.sub.example.com. A 192.0.2.40\n"}), "a.sub.example.com.", dns.TypeA, "NOERROR insecure 1 sub.example.com. has keys, and none of an algorithm that is known here"},
		{"a zone without DS set that no referral tells", basic(zone{"example.com.", "one", exampleText + subServers}, zone{"sub.example.com.", "three", "nods\n" + subServers + "a.sub.example.com. A 192.0.2.40\n"}), "a.sub.example.com.", dns.TypeA, "NOERROR insecure"},
		{"a denial of an unknown algorithm", basic(odd, plain), "none.example.com.", dns.TypeA, "NXDOMAIN insecure 1 example.com. has keys, and none of an algorithm that is known here"},
		{"the keys of an unknown algorithm", basic(odd, plain), "example.com.", dns.TypeDNSKEY, "NOERROR insecure 1 example.com. has keys, and none of an algorithm that is known here"},
		{"the DS set of an unknown algorithm", basic(odd, plain), "example.com.", dns.TypeDS, "NOERROR secure"},
		{"an unknown digest", digest, "www.example.com.", dns.TypeA, "NOERROR insecure 2 the DS set of example.com. has no digest that is known here"},
		{"too many iterations", below("costly", example, plain), "none.com.", dns.TypeA, "NXDOMAIN insecure 27 com. has NSEC3 records with more than 50 iterations"},
		{"a type denied with too many iterations", below("costly", example, plain), "com.", dns.TypeTXT, "NOERROR insecure 27 com. has NSEC3 records with more than 50 iterations"},
		{"a zone below too many iterations", below("costly", example, plain), "www.example.com.", dns.TypeA, "NOERROR secure"},
		{"an unsigned zone below too many iterations", below("costly", example, plain), "www.plain.com.", dns.TypeA, "NOERROR insecure 27 com. has NSEC3 records with more than 50 iterations"},
		{"a wildcard with too many iterations", basic(zone{"example.com.", "costly", exampleText}, plain), "x.wild.example.com.", dns.TypeA, "NOERROR insecure 27 example.com. has NSEC3 records with more than 50 iterations"},
		{"a wildcard of hashes", basic(zone{"example.com.", "hashed", exampleText}, plain), "x.wild.example.com.", dns.TypeA, "NOERROR secure"},
		{"opt-out, a wildcard", basic(zone{"example.com.", "opt-out", exampleText}, plain), "x.wild.example.com.", dns.TypeA, "NOERROR insecure"},
		{"as many iterations as may be", below("hashed", example, plain), "none.com.", dns.TypeA, "NXDOMAIN secure"},
		{"a zone below hashes", below("hashed", example, plain), "www.plain.com.", dns.TypeA, "NOERROR insecure"},
		{"opt-out, a name", below("opt-out", example, plain), "none.com.", dns.TypeA, "NXDOMAIN insecure"},
		{"opt-out, a name below one", below("opt-out", example, plain), "a.none.com.", dns.TypeA, "NXDOMAIN insecure"},
		{"opt-out, a type", below("opt-out", example, plain), "com.", dns.TypeTXT, "NOERROR secure"},
		{"opt-out, an unsigned zone", below("opt-out", example, plain), "www.plain.com.", dns.TypeA, "NOERROR insecure"},
		{"opt-out, its DS set", below("opt-out", example, plain), "plain.com.", dns.TypeDS, "NOERROR insecure"},
		{"opt-out, a signed zone", below("opt-out", example, plain), "www.example.com.", dns.TypeA, "NOERROR secure"},
	} {
		w := newWorld(t, c.zones...)
		for _, when := range []string{"first", "from the cache"} {
			if got := w.ask(c.name, c.qtype); got != c.want {
				t.Errorf("%s, %s: %s, want %s", c.what, when, got, c.want)
			}
		}
		if strings.Contains(c.want, "insecure") && w.counts.Insecure() == 0 {
			t.Errorf("%s: not counted", c.what)
		}
	}
}

// Who is asked without EDNS sends no signatures: that a zone is not signed is proven all the
// same, by questions of the validator's own, and a signed zone is not believed.
func TestWithoutEDNSAnUnsignedZoneIsAnswered(t *testing.T) {
	w := newWorld(t)
	plainly := func(r *resolve.Request) { r.Options.NoEDNS = true }
	for name, want := range map[string]string{"www.plain.com.": "NOERROR insecure", "www.example.com.": "SERVFAIL 10"} {
		if got := outcome(&w.resolve(name, dns.TypeA, plainly).Result); !strings.HasPrefix(got, want) {
			t.Errorf("%s: %s, want %s", name, got, want)
		}
	}
}

// A denial without SOA is as insecure as its proof.
func TestOptOutWithoutSOA(t *testing.T) {
	w := newWorld(t, below("opt-out", example, plain)...)
	w.host("198.51.100.2").Play(stripped(func(rr dns.RR) bool {
		sig, ok := rr.(*dns.RRSIG)
		return rr.Header().Rrtype == dns.TypeSOA || ok && sig.TypeCovered == dns.TypeSOA
	}))
	w.expect("none.com.", dns.TypeA, "NXDOMAIN insecure")
}

// Signatures of signatures there are none, and what there is of them is believed as it is.
func TestSignaturesAreNotSigned(t *testing.T) {
	w := newWorld(t)
	w.expect("www.example.com.", dns.TypeRRSIG, "NOERROR insecure")
}

// What stands on an anchor that has no algorithm which is known is not believed, and one
// that has is: as DNSKEY and as DS.
func TestAnchorsOfEachShape(t *testing.T) {
	good, other := key(".", "root"), key(".", "unknown")
	for what, c := range map[string]struct {
		records []string
		want    string
	}{
		"a DS record":                    {[]string{good.DS(dns.SHA256).String()}, "NOERROR secure"},
		"a key":                          {[]string{good.Record().String()}, "NOERROR secure"},
		"a DS record and another key":    {[]string{good.DS(dns.SHA256).String(), key(".", "two").Record().String()}, "NOERROR secure"},
		"another DS record and a key":    {[]string{key(".", "two").DS(dns.SHA256).String(), good.Record().String()}, "NOERROR secure"},
		"a key of an unknown algorithm":  {[]string{other.Record().String()}, "SERVFAIL 9 the only key of . is not the trust anchor…"},
		"another key":                    {[]string{key(".", "two").Record().String()}, "SERVFAIL 9 the only key of . is not the trust anchor…"},
		"another DS record":              {[]string{key(".", "two").DS(dns.SHA256).String()}, "SERVFAIL 9 the only key of . is not one that the trust anchor names (tag "},
		"two other DS records":           {[]string{key(".", "two").DS(dns.SHA256).String(), key(".", "three").DS(dns.SHA256).String()}, "SERVFAIL 9 the only key of . is not one that the trust anchor names (tags "},
		"a DS record of an unknown kind": {[]string{other.DS(dns.SHA256).String()}, "SERVFAIL 9…"},
	} {
		w := newWorld(t)
		w.anchors.Remove(mustName("."))
		if err := w.anchors.Add(strings.Join(c.records, "\n")); err != nil {
			t.Errorf("%s: %v", what, err)
			continue
		}
		if got := w.ask("www.example.com.", dns.TypeA); !strings.HasPrefix(got, strings.TrimSuffix(c.want, "…")) {
			t.Errorf("%s: %s, want %s", what, got, c.want)
		}
		if tags := strings.Count(strings.SplitN(w.ask("a.b.example.com.", dns.TypeA), ")", 2)[0], ","); strings.HasPrefix(what, "two other") && tags != 1 {
			t.Errorf("%s: %d commas between tags", what, tags)
		}
	}
}

// An island whose anchor has no algorithm that is known is not believed either, and its
// servers are not asked.
func TestAnIslandOfAnUnknownAlgorithm(t *testing.T) {
	for what, record := range map[string]string{"a key": key("example.com.", "unknown").Record().String(), "a DS record": key("example.com.", "unknown").DS(dns.SHA256).String()} {
		w := newWorld(t)
		if err := w.anchors.Add(record); err != nil {
			t.Fatal(err)
		}
		r := w.resolve("www.example.com.", dns.TypeA, nil)
		if got, want := outcome(&r.Result), "SERVFAIL 1 the trust anchor of example.com. has no algorithm and digest that are known here"; got != want {
			t.Errorf("%s: %s, want %s", what, got, want)
		}
		if f, ok := errors.AsType[*resolve.Failure](r.Result.Failure); !ok || f.About.Name != mustName("www.example.com.") {
			t.Errorf("%s: the failure is about %+v", what, f)
		}
		for _, question := range w.asked() {
			if strings.HasPrefix(question, "192.0.2.") {
				t.Errorf("%s: asked %s", what, question)
			}
		}
	}
}

// Where there is no anchor everything is insecure, whatever is asked.
func TestWithoutAnchors(t *testing.T) {
	w := newWorld(t)
	w.anchors.Remove(mustName("."))
	for _, c := range []struct {
		name  string
		qtype uint16
		want  string
	}{
		{"www.example.com.", dns.TypeA, "NOERROR insecure"}, {"none.example.com.", dns.TypeA, "NXDOMAIN insecure"}, {"example.com.", dns.TypeDNSKEY, "NOERROR insecure"},
		{"example.com.", dns.TypeDS, "NOERROR insecure"}, {"plain.com.", dns.TypeDS, "NOERROR insecure"}, {"x.wild.example.com.", dns.TypeA, "NOERROR insecure"},
	} {
		w.expect(c.name, c.qtype, c.want)
	}
	if n := w.counts.Checks(); n != 0 {
		t.Errorf("%d signatures were checked", n)
	}
}

// A negative anchor covers what lies at and below it, and nothing beside; the DS set is
// its parent's. A positive one below it counts.
func TestWhatANegativeAnchorCovers(t *testing.T) {
	w := newWorld(t)
	w.anchors.SetNegatives([]trustanchor.Negative{{Name: mustName("example.com.")}})
	w.expect("example.com.", dns.TypeDS, "NOERROR secure")
	w.expect("www.example.com.", dns.TypeA, "NOERROR insecure 33…")
	w.expect("none.example.com.", dns.TypeA, "NXDOMAIN insecure 33…")
	w.expect("none.com.", dns.TypeA, "NXDOMAIN secure")
	// The reason is for those who have answers validated, and is none of the answer's, of
	// which the cache would not say it.
	if res := &w.resolve("www.example.com.", dns.TypeA, nil).Result; !res.NoCache {
		t.Error("the whole answer is kept, which does not say why it is insecure")
	}
	if res := &w.resolve("none.com.", dns.TypeA, nil).Result; res.NoCache {
		t.Error("an answer that nothing is said of is not kept")
	}
	if got := outcome(&w.resolve("www.example.com.", dns.TypeA, func(r *resolve.Request) { r.CD = true }).Result); got != "NOERROR insecure" {
		t.Errorf("with CD: %s", got)
	}
	w.anchors.SetNegatives([]trustanchor.Negative{{Name: mustName("com.")}})
	if err := w.anchors.Add(key("example.com.", "one").Record().String()); err != nil {
		t.Fatal(err)
	}
	w.expect("com.", dns.TypeSOA, "NOERROR insecure 33…")
	w.expect("www.example.com.", dns.TypeA, "NOERROR secure")
}

// Proofs take time, which is counted.
func TestTheTimeOfProofsIsCounted(t *testing.T) {
	w := newWorld(t)
	w.expect("www.example.com.", dns.TypeA, "NOERROR secure")
	before := w.counts.Time()
	if before <= 0 {
		t.Errorf("proofs took %v", before)
	}
	if w.expect("www.example.com.", dns.TypeA, "NOERROR secure"); w.counts.Time() != before {
		t.Error("an answer of the cache took time to prove")
	}
}

// What a script asks with CD is not judged.
func TestScriptsMayAskWithCD(t *testing.T) {
	for what, change := range map[string]func(*resolve.Request){
		"a client": func(r *resolve.Request) { r.CD = true }, "a script": func(r *resolve.Request) { r.Options.AsksCD = true },
	} {
		w := newWorld(t)
		w.both(spoilt(dns.TypeA))
		if res := &w.resolve("www.example.com.", dns.TypeA, change).Result; res.Rcode != dns.RcodeSuccess || res.Rank.IsSecure() {
			t.Errorf("%s: %s", what, outcome(res))
		}
		if w.counts.Bogus()+w.counts.Secure() != 0 {
			t.Errorf("%s: something was judged", what)
		}
	}
}

// Keys of which none has the flag of zone keys sign nothing, and neither do revoked ones.
func TestKeysThatSignNothing(t *testing.T) {
	for what, flags := range map[string]uint16{"no zone key": 1, "revoked": 257 | 1<<7} {
		w := newWorld(t)
		k := key("example.com.", "one").With(func(d *dns.DNSKEY) { d.Flags = flags })
		w.both(func(x *authority.Exchange) {
			for i, rr := range x.Reply.Answer {
				if _, ok := rr.(*dns.DNSKEY); ok {
					x.Reply.Answer[i] = k.Record()
				}
			}
		})
		w.expect("www.example.com.", dns.TypeA, "SERVFAIL…")
		if t.Failed() {
			t.Fatal(what)
		}
	}
}
