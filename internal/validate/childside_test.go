package validate_test

import (
	"testing"

	"github.com/miekg/dns"

	"kresd/internal/authority"
	"kresd/internal/authority/inmemory"
	"kresd/internal/rank"
)

// shared are the zones example.com. and kid.example.com., both on the same two servers, and
// the second one alone, as these have it.
func shared(t *testing.T, seed string) (w *world, kid *authority.Zone) {
	const servers = "kid.example.com. NS ns.example.com.\nkid.example.com. NS ns2.example.com.\n"
	text := servers + "www.kid.example.com. A 192.0.2.40\n"
	up := example
	up.text += servers
	kid = inmemory.Zone("kid.example.com.", text)
	if seed != "" {
		k := []*authority.Key{key("kid.example.com.", seed)}
		kid.Sign(authority.Signing{KSK: k, ZSK: k, From: begin - 86400, Until: begin + 30*86400})
	}
	return newWorld(t, basic(up, plain, zone{"kid.example.com.", seed, text})...), kid
}

// ofChildsSide answers the question for the DS set of kid.example.com. as kid would, whose
// answer may be changed.
func ofChildsSide(kid *authority.Zone, change authority.Rule) authority.Rule {
	return authority.Only(dns.TypeDS, func(x *authority.Exchange) {
		if dns.CanonicalName(x.Query.Question[0].Name) == kid.Origin() {
			x.Reply = authority.Answer([]*authority.Zone{kid}, x.Query)
			change(x)
		}
	})
}

func asItIs(*authority.Exchange) {}

// refersTo makes a referral to kid.example.com. of an answer.
func refersTo(aa bool) authority.Rule {
	return func(x *authority.Exchange) {
		ns, _ := dns.NewRR("kid.example.com. 300 NS ns.example.com.")
		x.Reply.Answer, x.Reply.Ns, x.Reply.Authoritative = nil, []dns.RR{ns}, aa
	}
}

// A server that has the zone above and the zone itself may answer for DS from the wrong one
// (against RFC 4035, section 3.1.4.1). Another server of the zone above has the set, also where
// the first one refers to the zone below, which does not know it.
func TestADSSetFromTheChildsSideIsAskedOfAnotherServer(t *testing.T) {
	for what, change := range map[string]authority.Rule{
		"its denial": asItIs, "its denial without SOA": stripped(isSOA), "nothing": stripped(func(dns.RR) bool { return true }),
		"a referral": refersTo(false), "a referral with AA": refersTo(true),
	} {
		for seed, want := range map[string][2]string{"kid": {yes, gone}, "": {no, goneU}} {
			for _, e := range []expected{
				{"kid.example.com.", dns.TypeDS, yes}, a("www.kid.example.com.", want[0]), a("none.kid.example.com.", want[1]),
				{"kid.example.com.", dns.TypeDNSKEY, want[0]}, {"www.kid.example.com.", dns.TypeDS, want[0]},
			} {
				w, kid := shared(t, seed)
				w.host("192.0.2.1").Play(ofChildsSide(kid, change))
				for range 2 {
					if w.expect(e.name, e.qtype, e.want); t.Failed() {
						t.Fatalf("the child is signed %t, and one server tells %s", seed != "", what)
					}
				}
			}
		}
	}
}

// Where no server knows better there is no proof, and the client is told what is wrong.
func TestADSSetFromTheChildsSideAloneIsExplained(t *testing.T) {
	w, kid := shared(t, "kid")
	w.both(ofChildsSide(kid, asItIs))
	w.expect("kid.example.com.", dns.TypeDS, "SERVFAIL 12 the DS set of kid.example.com. is denied by that zone itself, and not by the zone above it, as told by…")
	w.expect("www.kid.example.com.", dns.TypeA, "SERVFAIL 12 the DS set of kid.example.com. is denied by that zone itself, and not by the zone above it, as told by…")
	w, kid = shared(t, "kid")
	w.both(ofChildsSide(kid, func(x *authority.Exchange) {
		alias, _ := dns.NewRR("kid.example.com. 300 CNAME www.example.com.")
		sig := key(kid.Origin(), "kid").Sign([]dns.RR{alias}, begin-86400, begin+30*86400, nil)
		x.Reply.Ns, x.Reply.Answer = nil, []dns.RR{alias, sig}
	}))
	w.expect("www.kid.example.com.", dns.TypeA, "SERVFAIL 9 what was answered about the keys of kid.example.com. is proven by nothing but itself, as told by…")
}

// The parent's own denial is proof enough, whatever SOA a server of both zones puts beside it:
// the child's could be proven only by the DS set that is denied.
func TestTheChildsSOABesideTheParentsDenialOfDS(t *testing.T) {
	island := site{origin: "kid.example.com.", addr: exampleAddr, seed: "kid", island: true, text: "www.kid.example.com. A 192.0.2.40\n"}
	kid := inmemory.Zone(island.origin, island.servers()+island.text)
	kid.Sign(island.signing())
	for _, e := range []struct {
		seed string
		expected
	}{
		{"one", expected{island.origin, dns.TypeDS, yes}}, {"one", a("www.kid.example.com.", no)}, {"one", a("none.kid.example.com.", goneU)},
		{"opt-out", expected{island.origin, dns.TypeDS, no}}, {"opt-out", a("www.kid.example.com.", no)},
	} {
		w := newWorldOf(t, above("com", of(e.seed, ""), island)...)
		w.host(exampleAddr).Play(authority.Only(dns.TypeDS, func(x *authority.Exchange) {
			if dns.CanonicalName(x.Query.Question[0].Name) == island.origin {
				stripped(isSOA)(x)
				for _, rr := range authority.Answer([]*authority.Zone{kid}, x.Query).Ns {
					if isSOA(rr) {
						x.Reply.Ns = append(x.Reply.Ns, rr)
					}
				}
			}
		}))
		for range 2 {
			w.expect(e.name, e.qtype, e.want)
		}
		for _, s := range w.resolve(island.origin, dns.TypeDS, nil).Result.Authority {
			if s.Type == dns.TypeSOA && s.Owner == mustName(island.origin) && s.Rank != rank.Omit {
				t.Errorf("%s: the child's SOA is told, with rank %v", e.seed, s.Rank)
			}
		}
	}
}
