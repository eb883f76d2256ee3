package validate_test

import (
	"strings"
	"testing"

	"github.com/miekg/dns"

	"kresd/internal/authority"
	"kresd/internal/authority/inmemory"
)

// copied makes a server answer from its copy of a zone, instead of referring to it. DS is
// its own zone's.
func copied(z *authority.Zone, origin string) authority.Rule {
	return func(x *authority.Exchange) {
		q := x.Query.Question[0]
		if dns.IsSubDomain(origin, strings.ToLower(q.Name)) && q.Qtype != dns.TypeDS {
			x.Reply = authority.Answer([]*authority.Zone{z}, x.Query)
		}
	}
}

// copyOf is example.com. as a server has it that is not among its own: without signatures,
// or with signatures until a second.
func copyOf(until uint32) *authority.Zone {
	z := inmemory.Zone("example.com.", exampleText)
	if until > 0 {
		k := []*authority.Key{key("example.com.", "one")}
		z.Sign(authority.Signing{KSK: k, ZSK: k, From: until - 86400, Until: until})
	}
	return z
}

// A server of the parent that has a bad copy of the child never refers to it: the zone was
// bogus though its own servers are good.
func TestABadCopyAtTheParentsServer(t *testing.T) {
	for what, until := range map[string]uint32{"without signatures": 0, "with signatures of the past": begin - 3600} {
		for _, c := range []struct {
			name  string
			qtype uint16
			want  string
		}{
			{"example.com.", dns.TypeA, "NOERROR secure"},
			{"example.com.", dns.TypeSOA, "NOERROR secure"},
			{"example.com.", dns.TypeNS, "NOERROR secure"},
			{"example.com.", dns.TypeDNSKEY, "NOERROR secure"},
			{"www.example.com.", dns.TypeA, "NOERROR secure"},
			{"none.example.com.", dns.TypeA, "NXDOMAIN secure"},
			{"alias.example.com.", dns.TypeA, "NOERROR secure"},
			{"example.com.", dns.TypeDS, "NOERROR secure"},
			{"www.plain.com.", dns.TypeA, "NOERROR insecure"},
		} {
			w := newWorld(t)
			w.host("198.51.100.2").Play(copied(copyOf(until), "example.com."))
			if w.expect(c.name, c.qtype, c.want); t.Failed() {
				t.Fatalf("a copy %s", what)
			}
		}
	}
}

// Its own servers may be known by names in other zones alone.
func TestABadCopyOfAZoneWhoseServersAreElsewhere(t *testing.T) {
	zones := basic(example, plain, zone{"far.com.", "far", "far.com. NS ns.plain.com.\nfar.com. A 192.0.2.30\n"})
	zones[1].text += "far.com. NS ns.plain.com.\n"
	w := newWorld(t, zones...)
	bad := inmemory.Zone("far.com.", "far.com. NS ns.plain.com.\nfar.com. A 192.0.2.66\n")
	w.host("198.51.100.2").Play(copied(bad, "far.com."))
	w.expect("far.com.", dns.TypeA, "NOERROR secure")
}

// Where the zone's own servers have no better answer it is refused, after each was asked.
func TestABadCopyEverywhere(t *testing.T) {
	w := newWorld(t)
	w.host("198.51.100.2").Play(copied(copyOf(0), "example.com."))
	w.both(copied(copyOf(0), "example.com."))
	got := w.ask("example.com.", dns.TypeSOA)
	for _, want := range []string{"SERVFAIL", "198.51.100.2", "192.0.2.1", "192.0.2.2"} {
		if !strings.Contains(got, want) {
			t.Errorf("%s lacks %s", got, want)
		}
	}
	if n := len(w.asked()); n > 20 {
		t.Errorf("%d questions", n)
	}
}

// The denial of a delegation's DS set, or a range that opts out over it, lets nobody deny what
// lies in an island of trust there, whose anchor says that it is signed; without the anchor
// what is there need not be.
func TestADelegationDeniesNothingOfAnIsland(t *testing.T) {
	for _, seed := range []string{"com", "hashed", "opt-out"} {
		for _, anchored := range []bool{true, false} {
			w := newWorldOf(t, above(seed, island(of("one", "www.example.com. A 192.0.2.10\n")))...)
			if anchored {
				if err := w.anchors.Add(key("example.com.", "one").Record().String()); err != nil {
					t.Fatal(err)
				}
			}
			w.host(comAddr).Play(func(x *authority.Exchange) { // a referral's proof, as if it were one about the name
				if q := x.Query.Question[0]; dns.IsSubDomain("example.com.", strings.ToLower(q.Name)) && q.Qtype != dns.TypeDS {
					stripped(isType(dns.TypeNS))(x)
					x.Reply.Rcode, x.Reply.Authoritative, x.Reply.Extra = dns.RcodeNameError, true, nil
				}
			})
			if got := w.ask("www.example.com.", dns.TypeA); anchored == strings.HasPrefix(got, "NXDOMAIN") || !anchored && got != goneU {
				t.Errorf("%s, an anchor %t: %s", seed, anchored, got)
			}
		}
	}
}

// What an unsigned zone above an island of trust is said to have signed is no more proven in
// the island than what nobody signed.
func TestAnUnsignedZoneSignsNothingForAnIsland(t *testing.T) {
	for _, anchored := range []bool{true, false} {
		for _, qtype := range []uint16{dns.TypeA, dns.TypeTXT} {
			sites := above("", island(of("one", "www.example.com. A 192.0.2.10\n")))
			w := newWorldOf(t, sites...)
			if anchored {
				if err := w.anchors.Add(key("example.com.", "one").Record().String()); err != nil {
					t.Fatal(err)
				}
			}
			z := inmemory.Zone("com.", "com. NS ns.com.\nns.com. A "+comAddr+"\nwww.example.com. A 203.0.113.66\n")
			k := []*authority.Key{key("com.", "stranger")}
			z.Sign(authority.Signing{KSK: k, ZSK: k, From: begin - 86400, Until: begin + 86400})
			w.host(comAddr).Play(func(x *authority.Exchange) {
				if x.Query.Question[0].Qtype != dns.TypeDS {
					x.Reply = authority.Answer([]*authority.Zone{z}, x.Query)
				}
			})
			if got := w.ask("www.example.com.", qtype); anchored != strings.HasPrefix(got, "SERVFAIL") && got != yes {
				t.Errorf("%s, an anchor %t: %s", dns.TypeToString[qtype], anchored, got)
			}
		}
	}
}
