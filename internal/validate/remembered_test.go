package validate_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/miekg/dns"

	"kresd/internal/authority"
	"kresd/internal/limits"
	"kresd/internal/resolve"
	"kresd/internal/trustanchor"
)

// both makes both servers of example.com. play by a rule; none: they are good again.
func (w *world) both(rules ...authority.Rule) {
	for _, addr := range []string{"192.0.2.1", "192.0.2.2"} {
		w.host(addr).Play(rules...)
	}
}

// count is how many questions were sent since the last call that end like this.
func (w *world) count(end string) (n int) {
	for _, question := range w.asked() {
		if strings.HasSuffix(question, " "+end) {
			n++
		}
	}
	return n
}

// Keys and DS sets that cannot be believed were asked for once more for each name of the
// zone (RFC 9520). What is remembered of them ends by itself, when the cache is cleared and
// when the anchors change.
func TestBogusKeysAreNotAskedForAgainForEachName(t *testing.T) {
	for what, c := range map[string]struct {
		spoil func(*world, ...authority.Rule)
		rule  authority.Rule
		asked string // the question that must not be repeated
	}{
		"a wrong signature of the keys": {(*world).both, spoilt(dns.TypeDNSKEY), "example.com. DNSKEY"},
		"keys that are not had":         {(*world).both, authority.Only(dns.TypeDNSKEY, authority.Rcode(dns.RcodeServerFailure)), "example.com. DNSKEY"},
		"a wrong signature of the DS set": {func(w *world, rules ...authority.Rule) { w.host("198.51.100.2").Play(rules...) },
			spoilt(dns.TypeDS), "example.com. DS"},
	} {
		heal := map[string]func(*world){
			"time": func(w *world) { w.now += limits.BogusTTL },
			"cache.clear": func(w *world) {
				if _, err := w.cache.Clear(); err != nil {
					t.Fatal(err)
				}
			},
			"other anchors": func(w *world) {
				w.anchors.SetNegatives([]trustanchor.Negative{{Name: mustName("plain.com.")}})
			},
		}
		for how, mend := range heal {
			w := newWorld(t)
			c.spoil(w, c.rule)
			w.expect("www.example.com.", dns.TypeA, "SERVFAIL…")
			if w.count(c.asked) == 0 {
				t.Fatalf("%s: %s was not asked", what, c.asked)
			}
			for i := range 5 {
				w.expect(fmt.Sprintf("n%d.example.com.", i), dns.TypeA, "SERVFAIL…")
			}
			if n := w.count(c.asked); n > 0 {
				t.Errorf("%s: %s was asked %d times for 5 further names", what, c.asked, n)
			}
			c.spoil(w)
			w.expect("a.b.example.com.", dns.TypeA, "SERVFAIL…")
			mend(w)
			if w.expect("alias.example.com.", dns.TypeA, "NOERROR secure"); t.Failed() {
				t.Fatalf("%s: healed by %s", what, how)
			}
		}
	}
}

// The client is told the reason of then, and that it is one of a moment ago.
func TestARememberedFailureSaysWhy(t *testing.T) {
	w := newWorld(t)
	w.both(spoilt(dns.TypeDNSKEY))
	first := w.ask("www.example.com.", dns.TypeA)
	w.now += 2
	var told []resolve.FailureRemembered
	r := w.resolve("a.b.example.com.", dns.TypeA, func(r *resolve.Request) {
		r.Tell = func(_ *resolve.Query, step resolve.Step) {
			if s, ok := step.(resolve.FailureRemembered); ok {
				told = append(told, s)
			}
		}
	})
	if got := outcome(&r.Result); got != first || !r.Result.Remembered {
		t.Errorf("%s, remembered %t; want %s", got, r.Result.Remembered, first)
	}
	if len(told) != 1 || told[0].Question.String() != "example.com. DNSKEY" || told[0].Age != 2 || told[0].Left != limits.ServfailTTL-2 || !strings.Contains(first, told[0].Reason) {
		t.Errorf("told %+v", told)
	}
}

// Keys that were kept are asked for anew where others may be the remedy, and only there.
func TestKeysAreAskedForAnewWhereOthersMayHelp(t *testing.T) {
	sealed := func(change func(*dns.RRSIG)) authority.Rule {
		return func(x *authority.Exchange) {
			for i, rr := range x.Reply.Answer {
				if sig, ok := rr.(*dns.RRSIG); ok && sig.TypeCovered == dns.TypeA {
					x.Reply.Answer[i] = key("example.com.", "one").Sign(x.Reply.Answer[:i], begin-86400, begin+86400, change)
				}
			}
		}
	}
	for what, c := range map[string]struct {
		rule authority.Rule
		want int
	}{
		"a wrong signature":         {spoilt(dns.TypeA), 1},
		"a key that is not there":   {sealed(func(s *dns.RRSIG) { s.KeyTag++ }), 1},
		"a signature of the past":   {sealed(func(s *dns.RRSIG) { s.Expiration = begin - 1 }), 0},
		"a signature of the future": {sealed(func(s *dns.RRSIG) { s.Inception = begin + 3600 }), 0},
		"a wrong number of labels":  {sealed(func(s *dns.RRSIG) { s.Labels = 9 }), 0},
		"an unknown algorithm":      {sealed(func(s *dns.RRSIG) { s.Algorithm = 200 }), 0},
	} {
		w := newWorld(t)
		w.expect("a.b.example.com.", dns.TypeA, "NOERROR secure")
		w.both(c.rule)
		w.asked()
		w.expect("www.example.com.", dns.TypeA, "SERVFAIL…")
		if n := w.count("example.com. DNSKEY"); n != c.want {
			t.Errorf("%s: keys were asked for %d times, want %d", what, n, c.want)
		}
	}
}

// A request that uses no cache asks, and nobody else hears of what it found.
func TestARequestWithoutCacheRemembersNothing(t *testing.T) {
	w := newWorld(t)
	w.both(spoilt(dns.TypeDNSKEY))
	bypass := func(r *resolve.Request) { r.Options.BypassCache = true }
	for range 2 {
		w.resolve("www.example.com.", dns.TypeA, bypass)
		if w.count("example.com. DNSKEY") == 0 {
			t.Error("keys were not asked for")
		}
	}
	w.both()
	w.expect("a.b.example.com.", dns.TypeA, "NOERROR secure")
}

// Where the signatures of a zone do not fit its keys these were asked for anew for each
// name.
func TestKeysThatDoNotFitAreNotAskedForAnewForEachName(t *testing.T) {
	w := newWorld(t)
	w.expect("www.example.com.", dns.TypeA, "NOERROR secure")
	w.both(func(x *authority.Exchange) {
		for _, rrs := range [][]dns.RR{x.Reply.Answer, x.Reply.Ns} {
			for i, rr := range rrs {
				if sig, ok := rr.(*dns.RRSIG); ok && sig.TypeCovered != dns.TypeDNSKEY {
					other := dns.Copy(sig).(*dns.RRSIG)
					other.KeyTag++
					rrs[i] = other
				}
			}
		}
	})
	w.asked()
	for i := range 10 {
		w.expect(fmt.Sprintf("n%d.example.com.", i), dns.TypeA, "SERVFAIL…")
	}
	if n := w.count("example.com. DNSKEY"); n == 0 || n > 2 {
		t.Errorf("keys were asked for anew %d times for 10 names, want once", n)
	}
	w.now += limits.InquiryRenewal
	w.both()
	w.expect("a.b.example.com.", dns.TypeA, "NOERROR secure")
}

// Where keys that do not fit are asked for anew in vain, those that were kept are as good
// as before for other names.
func TestARenewalThatFailsLeavesWhatWasKept(t *testing.T) {
	w := newWorld(t)
	w.expect("www.example.com.", dns.TypeA, "NOERROR secure")
	w.both(spoilt(dns.TypeA), spoilt(dns.TypeDNSKEY))
	w.expect("a.b.example.com.", dns.TypeA, "SERVFAIL 6…")
	w.both(spoilt(dns.TypeDNSKEY))
	w.expect("none.example.com.", dns.TypeA, "NXDOMAIN secure")
	w.expect("x.wild.example.com.", dns.TypeA, "NOERROR secure")
}

// Keys that were proven while the anchors changed were kept for those who trust the
// former ones.
func TestKeysThatWereProvenDuringAChangeOfAnchorsAreNotKept(t *testing.T) {
	w := newWorld(t)
	w.onSend = func(x resolve.Exchange) {
		if x.Name == mustName("example.com.") && x.Type == dns.TypeDNSKEY {
			w.anchors.SetNegatives([]trustanchor.Negative{{Name: mustName("plain.com.")}})
		}
	}
	w.ask("www.example.com.", dns.TypeA)
	w.onSend = nil
	w.anchors.SetNegatives(nil)
	w.asked()
	w.expect("a.b.example.com.", dns.TypeA, "NOERROR secure")
	if w.count("example.com. DNSKEY") == 0 {
		t.Error("the keys of a proof by other anchors are believed")
	}
}

// A zone that was signed a moment ago stayed insecure, or was bogus, as long as the cache
// held that it has no keys.
func TestAZoneThatIsSignedByNow(t *testing.T) {
	t.Run("of servers of its own", func(t *testing.T) {
		w := newWorld(t, basic(zone{"example.com.", "", exampleText}, plain)...)
		w.expect("www.example.com.", dns.TypeA, "NOERROR insecure")
		w.now += 290
		w.expect("example.com.", dns.TypeDNSKEY, "NOERROR insecure")
		w.become(basic(example, plain)...)
		w.now += 20 // past the denial of the DS set
		w.expect("a.b.example.com.", dns.TypeA, "NOERROR secure")
	})
	t.Run("of its parent's servers", func(t *testing.T) {
		const servers = "sub.example.com. NS ns.example.com.\nsub.example.com. NS ns2.example.com.\n"
		const text = "sub.example.com. TXT x\nz.sub.example.com. A 192.0.2.40\n"
		w := newWorld(t, basic(zone{"example.com.", "one", exampleText + text})...)
		w.expect("sub.example.com.", dns.TypeDNSKEY, "NOERROR secure")
		w.expect("sub.example.com.", dns.TypeDS, "NOERROR secure")
		w.become(basic(zone{"example.com.", "one", exampleText + servers}, zone{"sub.example.com.", "three", servers + text})...)
		w.now += 20
		w.expect("z.sub.example.com.", dns.TypeA, "NOERROR secure")
	})
	t.Run("an island stays one", func(t *testing.T) {
		const servers = "sub.example.com. NS ns.example.com.\nsub.example.com. NS ns2.example.com.\n"
		w := newWorld(t, basic(zone{"example.com.", "one", exampleText + servers},
			zone{"sub.example.com.", "three", "nods\n" + servers + "a.sub.example.com. A 192.0.2.40\nb.sub.example.com. A 192.0.2.41\n"})...)
		w.expect("sub.example.com.", dns.TypeDNSKEY, "NOERROR insecure")
		w.asked()
		for _, name := range []string{"a.sub.example.com.", "b.sub.example.com."} {
			w.expect(name, dns.TypeA, "NOERROR insecure")
			if n := w.count("sub.example.com. DNSKEY"); n > 0 {
				t.Errorf("%s: the keys of an island were asked for %d times", name, n)
			}
			w.now++
		}
	})
}

// The zone that denies was taken from the first signature of a set, whoever made it.
func TestASignatureOfAnotherZoneBesideTheRightOne(t *testing.T) {
	w := newWorld(t)
	w.host("198.51.100.2").Play(func(x *authority.Exchange) {
		var out []dns.RR
		for _, rr := range x.Reply.Ns {
			if sig, ok := rr.(*dns.RRSIG); ok && sig.TypeCovered == dns.TypeNSEC {
				other := dns.Copy(sig).(*dns.RRSIG)
				other.SignerName = "org."
				out = append(out, other)
			}
			out = append(out, rr)
		}
		x.Reply.Ns = out
	})
	w.expect("www.plain.com.", dns.TypeA, "NOERROR insecure")
	w.expect("plain.com.", dns.TypeDS, "NOERROR secure")
	w.asked()
	w.expect("none.com.", dns.TypeA, "NXDOMAIN secure")
	w.expect("nona.com.", dns.TypeA, "NXDOMAIN secure") // by the same range
	if n := w.count("nona.com. A") + w.count("nona.com. NS"); n > 0 {
		t.Error("the denial was not kept for other names")
	}
}

// withEDNS plays a rule for questions with EDNS alone.
func withEDNS(rule authority.Rule) authority.Rule {
	return func(x *authority.Exchange) {
		if x.Query.IsEdns0() != nil {
			rule(x)
		}
	}
}

// Servers that cannot EDNS send no signatures: a zone that need not have any is answered, and
// one of two such servers takes no signed zone down.
func TestServersThatCannotEDNS(t *testing.T) {
	for what, rule := range map[string]authority.Rule{
		"FORMERR": authority.NoEDNS(), "NOTIMP": authority.Rcode(dns.RcodeNotImplemented), "SERVFAIL": authority.Rcode(dns.RcodeServerFailure),
		"no OPT record and no signatures": stripped(isType(dns.TypeRRSIG, dns.TypeNSEC)),
	} {
		w := newWorld(t)
		w.host("192.0.2.3").Play(withEDNS(rule))
		w.host("192.0.2.1").Play(withEDNS(rule))
		for range 2 {
			w.expect("www.plain.com.", dns.TypeA, "NOERROR insecure")
			w.expect("www.plain.com.", dns.TypeAAAA, "NOERROR insecure")
			w.expect("none.plain.com.", dns.TypeA, "NXDOMAIN insecure")
			w.expect("plain.com.", dns.TypeDS, "NOERROR secure")
			w.expect("www.example.com.", dns.TypeA, "NOERROR secure")
			w.expect("none.example.com.", dns.TypeA, "NXDOMAIN secure")
			w.expect("out.example.com.", dns.TypeA, "NOERROR insecure")
			w.now += 7200
		}
		w = newWorld(t)
		w.both(withEDNS(rule))
		if got := w.ask("www.example.com.", dns.TypeA); !strings.HasPrefix(got, "SERVFAIL") {
			t.Errorf("%s of all servers: %s", what, got)
		}
		if t.Failed() {
			t.Fatal(what)
		}
	}
}

// A type that one server of a zone does not serve, be it the keys, is had of the other.
func TestServersThatAnswerSomeTypesAlone(t *testing.T) {
	for _, qtype := range []uint16{dns.TypeDNSKEY, dns.TypeA, dns.TypeNS} {
		for what, rule := range map[string]authority.Rule{
			"REFUSED": authority.Rcode(dns.RcodeRefused), "NOTIMP": authority.Rcode(dns.RcodeNotImplemented), "NXDOMAIN": authority.Rcode(dns.RcodeNameError), "nothing": authority.Rcode(dns.RcodeSuccess), "silence": authority.Drop(),
		} {
			for _, addr := range []string{"192.0.2.1", "192.0.2.2"} {
				w := newWorld(t)
				w.host(addr).Play(authority.Only(qtype, rule))
				w.expect("www.example.com.", dns.TypeA, "NOERROR secure")
				w.expect("none.example.com.", dns.TypeA, "NXDOMAIN secure")
				w.expect("www.example.com.", dns.TypeTXT, "NOERROR secure")
				w.expect("example.com.", dns.TypeDNSKEY, "NOERROR secure")
			}
			if t.Failed() {
				t.Fatalf("%s for %s", what, dns.TypeToString[qtype])
			}
		}
	}
}
