package validate_test

import (
	"testing"

	"github.com/miekg/dns"

	"kresd/internal/authority"
	"kresd/internal/authority/inmemory"
	"kresd/internal/resolve"
	"kresd/internal/wire"
)

// says makes a server answer an address for a name, signed by a key, nil: not at all.
func says(name string, by *authority.Key) authority.Rule {
	return func(x *authority.Exchange) {
		q := x.Query.Question[0]
		if q.Name != name || q.Qtype != dns.TypeA {
			return
		}
		a := &dns.A{Hdr: dns.RR_Header{Name: name, Rrtype: dns.TypeA, Class: dns.ClassINET, Ttl: 300}, A: []byte{192, 0, 2, 66}}
		x.Reply.Rcode, x.Reply.Authoritative, x.Reply.Answer, x.Reply.Ns = dns.RcodeSuccess, true, []dns.RR{a}, nil
		if by != nil {
			x.Reply.Answer = append(x.Reply.Answer, by.Sign([]dns.RR{a}, begin-86400, begin+86400, nil))
		}
	}
}

// What a zone above has signed about names of the zone that was asked counts for nothing.
func TestAZoneAboveDoesNotSignForOneBelow(t *testing.T) {
	for _, c := range []struct {
		by   *authority.Key
		want string
	}{
		{key("example.com.", "one"), "NOERROR secure"}, {key("com.", "com"), "SERVFAIL…"}, {key(".", "root"), "SERVFAIL…"}, {key("example.com.", "two"), "SERVFAIL 9…"},
	} {
		w := newWorld(t)
		w.both(says("www.example.com.", c.by))
		w.expect("www.example.com.", dns.TypeA, c.want)
	}
}

// An unsigned answer for a name that its zone proves not to exist is none of an unsigned
// zone.
func TestAnUnsignedAnswerForANameThatDoesNotExist(t *testing.T) {
	w := newWorld(t)
	w.host("198.51.100.2").Play(says("none.com.", nil))
	w.expect("none.com.", dns.TypeA, "SERVFAIL 10 none.com. A is not signed, and nothing proves that it need not be…")
}

// Only a delegation leads into an island of trust: what servers of zones above say for it,
// who have no anchor, is insecure; its own servers have to sign.
func TestWhoSpeaksForAnIsland(t *testing.T) {
	for _, c := range []struct{ at, want string }{{"198.51.100.2", "NOERROR insecure"}, {"192.0.2.1", "SERVFAIL…"}} {
		w := newWorld(t)
		w.anchors.Remove(mustName("."))
		if err := w.anchors.Add(key("example.com.", "one").Record().String()); err != nil {
			t.Fatal(err)
		}
		w.host("192.0.2.2").Play(copied(copyOf(0), "example.com."))
		w.host(c.at).Play(copied(copyOf(0), "example.com."))
		w.expect("example.com.", dns.TypeNS, c.want)
	}
}

// Keys that were kept and do not fit a denial are asked for anew before it is judged.
func TestADenialWithNewKeys(t *testing.T) {
	w := newWorld(t)
	w.expect("www.example.com.", dns.TypeA, "NOERROR secure")
	w.become(basic(zone{"example.com.", "two", exampleText}, plain)...)
	withoutSOA := stripped(func(rr dns.RR) bool {
		sig, ok := rr.(*dns.RRSIG)
		return rr.Header().Rrtype == dns.TypeSOA || ok && sig.TypeCovered == dns.TypeSOA
	})
	w.both(authority.Only(dns.TypeTXT, withoutSOA))
	w.now += 60
	r := w.resolve("none.example.com.", dns.TypeTXT, func(r *resolve.Request) {
		r.Tell = func(_ *resolve.Query, step resolve.Step) {
			if s, ok := step.(resolve.Refused); ok && s.Why.About.Type == dns.TypeTXT {
				t.Errorf("refused first: %v", s.Why)
			}
		}
	})
	if got := outcome(&r.Result); got != "NXDOMAIN secure" {
		t.Error(got)
	}
}

// The denials of an opt-out are as good as others; what they leave open, which the SOA says
// how long, is insecure.
func TestTheRecordsOfAnOptOut(t *testing.T) {
	w := newWorld(t, below("opt-out", example, plain)...)
	r := w.resolve("none.com.", dns.TypeA, func(r *resolve.Request) { r.DO = true })
	denials := 0
	for _, s := range r.Result.Authority {
		if s.Type == wire.TypeNSEC3 {
			denials++
		}
		if want := s.Type == wire.TypeNSEC3; s.Rank.IsSecure() != want {
			t.Errorf("%s %s has rank %d", s.Owner, wire.TypeText(s.Type), s.Rank)
		}
	}
	if denials == 0 {
		t.Error("there are no denials")
	}
}

// A DNSKEY set to which an alias leads is judged like any other set of its zone.
func TestAnAliasOfAZonesKeys(t *testing.T) {
	w := newWorld(t, basic(zone{"example.com.", "one", exampleText + "keys.example.com. CNAME example.com.\n"}, plain)...)
	w.expect("keys.example.com.", dns.TypeDNSKEY, "NOERROR secure")
}

// Each label of an unsigned answer's name is asked about, from the closest zone with keys
// down, and no more than that.
func TestHowAnUnsignedZoneIsFound(t *testing.T) {
	deep := inmemory.Name("a.b.c.plain.com.").String()
	zones := basic(example, zone{"plain.com.", "", "plain.com. NS ns.plain.com.\nns.plain.com. A 192.0.2.3\n" + deep + " A 192.0.2.20\n"})
	w := newWorld(t, zones...)
	w.host("198.51.100.2").Play(authority.Only(dns.TypeNS, stripped(isType(dns.TypeNSEC, dns.TypeRRSIG)))) // no proof beside the referral
	w.expect(deep, dns.TypeA, "NOERROR insecure")
	ds := 0
	for _, question := range w.asked() {
		if len(question) > 3 && question[len(question)-3:] == " DS" {
			ds++
			if question != "198.51.100.2 plain.com. DS" && question != "198.51.100.1 com. DS" {
				t.Errorf("asked %s", question)
			}
		}
	}
	if ds == 0 {
		t.Error("the DS set was not asked for")
	}
}
