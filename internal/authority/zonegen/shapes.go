package zonegen

import (
	"fmt"
	"slices"
	"strings"

	"github.com/miekg/dns"

	"kresd/internal/authority"
)

// shapes are zones without any damage, of forms at which validators have failed.
func shapes() []damage {
	const ok, nx = dns.RcodeSuccess, dns.RcodeNameError
	shape := func(name string, d func(*site) authority.Denial, text string, asks func(s *site) []ask) damage {
		return damage{name: "shape: " + name, denial: d, apply: func(s *site) {
			s.bare, s.only, s.extra = true, true, text
			s.asks = asks(s)
		}}
	}
	return append([]damage{
		shape("nothing but an apex", nil, "", func(s *site) []ask {
			return []ask{s.denied("", dns.TypeTXT, ok, noType), s.denied("nope", dns.TypeA, nx, noName), s.denied("x.nope", dns.TypeA, nx, noName), s.positive("", dns.TypeSOA), s.positive("", dns.TypeNS)}
		}),
		shape("a wildcard of everything", nil, "* A 192.0.2.1\n", func(s *site) []ask {
			return []ask{s.expand("x", dns.TypeA), s.expand("y.x", dns.TypeA), s.expand("a.b.c.d.e.f", dns.TypeA), s.denied("x", dns.TypeTXT, ok, wildNoType),
				s.denied("*", dns.TypeTXT, ok, noType), s.positive("*", dns.TypeA), s.denied("c.b.a", dns.TypeMX, ok, wildNoType), s.denied("x", dns.TypeDS, ok, wildNoType)}
		}),
		shape("wildcards in wildcards", nil, "*.a A 192.0.2.1\n*.b.a A 192.0.2.2\nx.*.c A 192.0.2.3\n*.*.e A 192.0.2.4\n", func(s *site) []ask {
			return []ask{s.expand("x.a", dns.TypeA), s.expand("x.b.a", dns.TypeA), s.denied("b.a", dns.TypeA, ok, empty), s.expand("y.x.b.a", dns.TypeA),
				s.denied("y.c", dns.TypeA, ok, wildNoType), s.denied("x.y.c", dns.TypeA, ok, wildNoType), s.positive("x.*.c", dns.TypeA), s.denied("*.c", dns.TypeA, ok, empty),
				s.expand("x.*.e", dns.TypeA), s.denied("y.e", dns.TypeA, ok, wildNoType)}
		}),
		shape("odd octets", nil, `\000 A 192.0.2.1
\001.x A 192.0.2.2
\255 A 192.0.2.3
a\.b A 192.0.2.4
a\032b A 192.0.2.5
UPPER A 192.0.2.6
_under._score TXT x
x\000y A 192.0.2.7
`, func(s *site) []ask {
			var out []ask
			for _, label := range []string{`\000`, `\001.x`, `\255`, `a\.b`, `a\032b`, "upper", `x\000y`} {
				out = append(out, s.positive(label, dns.TypeA), s.denied(label, dns.TypeTXT, ok, noType))
			}
			for _, label := range []string{`\002`, `\254`, `a`, `a\.c`, "upper2", `\000.\000`, `x\000z`, `x\000`} {
				out = append(out, s.denied(label, dns.TypeA, nx, noName))
			}
			return append(out, s.positive("_under._score", dns.TypeTXT), s.denied("_score", dns.TypeTXT, ok, empty), s.denied("x", dns.TypeTXT, ok, empty))
		}),
		shape("many labels", nil, strings.Repeat("a.", 40)+"deep A 192.0.2.1\n", func(s *site) []ask {
			all := strings.Repeat("a.", 40) + "deep"
			return []ask{s.positive(all, dns.TypeA), s.denied(all[2:], dns.TypeA, ok, empty), s.denied("a.deep", dns.TypeA, ok, empty), s.denied("b."+all, dns.TypeA, nx, noName),
				s.denied("b."+all[20:], dns.TypeA, nx, noName), s.denied(all, dns.TypeTXT, ok, noType), s.denied("c.b.a.deep", dns.TypeA, nx, noName)}
		}),
		shape("long labels", nil, strings.Repeat("m", 63)+" A 192.0.2.1\n"+strings.Repeat("n", 63)+"."+strings.Repeat("o", 63)+" A 192.0.2.2\n", func(s *site) []ask {
			m, n, o := strings.Repeat("m", 63), strings.Repeat("n", 63), strings.Repeat("o", 63)
			return []ask{s.positive(m, dns.TypeA), s.positive(n+"."+o, dns.TypeA), s.denied(o, dns.TypeA, ok, empty), s.denied(strings.Repeat("m", 62), dns.TypeA, nx, noName), s.denied(n+"."+m, dns.TypeA, nx, noName)}
		}),
		shape("large sets", nil, large(), func(s *site) []ask {
			return []ask{s.positive("a", dns.TypeA), s.positive("txt", dns.TypeTXT), s.denied("a", dns.TypeTXT, ok, noType)}
		}),
		shape("aliases into its children", nil, "tosigned CNAME www.kid\ntounsigned CNAME www.un\nchain CNAME tounsigned\nlong CNAME alias1\nalias1 CNAME alias2\nalias2 CNAME tosigned\nnothing CNAME nope.kid\n"+
			"dsigned DNAME kid\ndunsigned DNAME un\n*.w CNAME www.un\n*.v CNAME www.kid\nloop CNAME loop2\nloop2 CNAME loop\n", func(s *site) []ask {
			insecure := func(a ask) ask { a.least = Insecure; a.needs = append(a.needs, noDS, deny, negativeSOA); return a }
			signed := func(a ask) ask { a.needs = append(a.needs, kidDS); return a }
			nope := signed(s.positive("nothing", dns.TypeA))
			nope.rcode, nope.least = -1, s.kids[1].status(noName)
			return []ask{signed(s.positive("tosigned", dns.TypeA)), insecure(s.positive("tounsigned", dns.TypeA)), insecure(s.positive("chain", dns.TypeA)), signed(s.positive("long", dns.TypeA)),
				nope, signed(s.positive("www.dsigned", dns.TypeA)), insecure(s.positive("www.dunsigned", dns.TypeA)), insecure(s.expand("x.w", dns.TypeA)), signed(s.expand("x.v", dns.TypeA)),
				s.positive("tounsigned", dns.TypeCNAME), s.positive("chain", dns.TypeCNAME)}
		}),
		shape("aliases of wildcards", nil, "*.w CNAME x.v\n*.v A 192.0.2.1\n*.u CNAME nope\n*.t CNAME www\nwww A 192.0.2.2\nd DNAME w\n", func(s *site) []ask {
			return []ask{s.expand("a.w", dns.TypeA), s.expand("b.a.w", dns.TypeA), s.expand("a.t", dns.TypeA), s.denied("a.t", dns.TypeTXT, ok, noType, expanded), s.denied("a.u", dns.TypeA, nx, noName, expanded), s.expand("a.d", dns.TypeA)}
		}),
		shape("a DNAME at the apex", nil, "@ DNAME zz.nsec.\n@ TXT x\n", func(s *site) []ask {
			s.kids = nil
			return []ask{s.positive("", dns.TypeTXT), s.positive("", dns.TypeDNAME), s.denied("", dns.TypeMX, ok, noType), s.denied("nope", dns.TypeA, nx)}
		}),
		shape("types of delegations and other names", nil, "www A 192.0.2.1\n*.wild A 192.0.2.2\na.b.ent A 192.0.2.3\nalias CNAME www\nd DNAME www\n", func(s *site) []ask {
			return []ask{s.denied("www", dns.TypeDS, ok, noType), s.denied("b.ent", dns.TypeDS, ok, empty), s.denied("x.wild", dns.TypeDS, ok, wildNoType), s.denied("nope", dns.TypeDS, nx, noName),
				s.denied("y.nope", dns.TypeDS, nx, noName), s.denied("www", dns.TypeNS, ok, noType), s.denied("www", dns.TypeSOA, ok, noType), s.denied("www", dns.TypeDNSKEY, ok, noType),
				s.denied("alias", dns.TypeTXT, ok, noType), s.denied("d", dns.TypeA, ok, noType), s.denied("d", dns.TypeDS, ok, noType), s.denied("x.wild", dns.TypeNS, ok, wildNoType), s.denied("ent", dns.TypeNS, ok, empty)}
		}),
		shape("zones below empty non-terminals", nil, "", func(s *site) []ask {
			s.b.leaf(s, "un.ent", 0)
			s.b.leaf(s, "kid.deep.ent2", dns.ECDSAP256SHA256)
			s.b.leaf(s.b.leaf(s, "kid.ent3", dns.ED25519), "un.ent", 0)
			return []ask{s.denied("ent", dns.TypeTXT, ok, empty, noDS), s.denied("ent2", dns.TypeTXT, ok, empty), s.denied("deep.ent2", dns.TypeTXT, ok, empty), s.denied("none.deep.ent2", dns.TypeA, nx, noName)}
		}),
		shape("a chain of zones on one server", nil, "www A 192.0.2.1\n", func(s *site) []ask {
			here := func(under *site, label string, algorithm uint8) *site {
				leaf := s.b.leaf(under, label, algorithm)
				leaf.address = s.address
				return leaf
			}
			un := here(s, "a", 0)
			here(here(un, "b", dns.ECDSAP256SHA256), "c", dns.ED25519)
			here(here(here(s, "d", dns.ECDSAP256SHA256), "e", dns.ED25519), "f", 0)
			return []ask{s.positive("www", dns.TypeA)}
		}),
		shape("zones without DS on their parent's server, whose keys are not had", nil, "www A 192.0.2.1\n", func(s *site) []ask {
			for i, rcode := range []int{dns.RcodeServerFailure, dns.RcodeRefused, dns.RcodeNotImplemented} {
				leaf := s.b.leaf(s, fmt.Sprint("island", i), dns.ECDSAP256SHA256)
				leaf.address, leaf.ds, leaf.by = s.address, nil, []part{deny, noDS, negativeSOA}
				leaf.on("", dns.TypeDNSKEY, func(r *dns.Msg) { r.Rcode, r.Answer, r.Ns, r.Authoritative = rcode, nil, nil, false })
				leaf.lies = false // it says nothing else than it has
			}
			return []ask{s.positive("www", dns.TypeA)}
		}),
		shape("TTL of 0", nil, "www A 192.0.2.1\n*.wild A 192.0.2.2\nalias CNAME www\n", func(s *site) []ask {
			s.always(func(r *dns.Msg) {
				r.Answer, r.Ns = lived(copied(r.Answer), 0), lived(copied(r.Ns), 0)
			})
			return []ask{s.positive("www", dns.TypeA), s.positive("alias", dns.TypeA), s.expand("x.wild", dns.TypeA), s.denied("www", dns.TypeTXT, ok, noType), s.denied("nope", dns.TypeA, nx, noName), s.positive("", dns.TypeDNSKEY)}
		}),
		shape("names at and below a wildcard", nil, "*.w A 192.0.2.1\n*.x.y.z TXT x\n", func(s *site) []ask {
			return []ask{s.positive("*.w", dns.TypeA), s.denied("*.w", dns.TypeTXT, ok, noType), s.denied("a.*.w", dns.TypeA, nx, noName), s.denied("x.y.z", dns.TypeTXT, ok, empty), s.denied("y.z", dns.TypeA, ok, empty),
				s.denied("a.y.z", dns.TypeTXT, nx, noName), s.denied("*.w", dns.TypeDS, ok, noType), s.denied("w", dns.TypeA, ok, empty)}
		}),
		{name: "shape: denials by NSEC and NSEC3 at once", denial: plain, apply: func(s *site) {
			s.resign = func(g *authority.Signing) {
				g.Denial = authority.Denial{Kind: authority.NSEC3, Salt: "ab", Iterations: 1}
			}
			s.always(func(r *dns.Msg) {
				if s.twin == nil || len(r.Answer) > 0 || !r.Authoritative {
					return
				}
				r.Ns = append(slices.Clone(r.Ns), only(told(s.twin, r.Question[0].Name, r.Question[0].Qtype).Ns, dns.TypeNSEC3)...)
			})
		}},
		shape("a name in and beside the alphabet of hashes", hashed, "0 A 192.0.2.1\nv A 192.0.2.2\n"+strings.Repeat("0", 32)+" A 192.0.2.3\n"+strings.Repeat("v", 32)+" A 192.0.2.4\n", func(s *site) []ask {
			zero := strings.Repeat("0", 32)
			return []ask{s.positive(zero, dns.TypeA), s.denied(zero, dns.TypeTXT, ok, noType), s.denied(strings.Repeat("1", 32), dns.TypeA, nx, noName), s.denied("x."+zero, dns.TypeA, nx, noName)}
		}),
	}, changes()...)
}

// changes are zones that are about to deny in another way: each of two servers behind one
// address has one of the two, or both come together.
func changes() []damage {
	change := func(name string, from func(*site) authority.Denial, to authority.Denial, tell func(s *site, x *authority.Exchange, other *dns.Msg)) damage {
		return damage{name: "shape: " + name, denial: from, apply: func(s *site) {
			s.resign = func(g *authority.Signing) { g.Denial = to }
			s.rules = append(s.rules, func(x *authority.Exchange) {
				if x.Reply != nil && x.Reply.Authoritative && s.twin != nil {
					tell(s, x, told(s.twin, x.Query.Question[0].Name, x.Query.Question[0].Qtype))
				}
			})
		}}
	}
	inTurn := func(_ *site, x *authority.Exchange, other *dns.Msg) {
		if x.N%2 == 0 {
			x.Reply.Rcode, x.Reply.Answer, x.Reply.Ns = other.Rcode, other.Answer, other.Ns
		}
	}
	together := func(_ *site, x *authority.Exchange, other *dns.Msg) {
		x.Reply.Ns = append(only(other.Ns, dns.TypeNSEC3), x.Reply.Ns...)
	}
	salted := authority.Denial{Kind: authority.NSEC3, Salt: "beef", Iterations: 1}
	return []damage{
		change("a new salt, in turn", hashed, salted, inTurn),
		change("a new salt, both at once", hashed, salted, together),
		change("from NSEC to NSEC3, in turn", plain, salted, inTurn),
		change("from NSEC3 to NSEC, in turn", hashed, authority.Denial{}, inTurn),
		change("from NSEC to minimal NSEC, in turn", plain, authority.Denial{Kind: authority.MinimalNSEC}, inTurn),
	}
}

// large is the text of sets whose answers need TCP.
func large() (text string) {
	for i := range 100 {
		text += fmt.Sprintf("a A 192.0.%d.%d\ntxt TXT %s%d\n", i&1, i, strings.Repeat("x", 100), i)
	}
	return text
}

// positive, expand and denied are questions for records that the zone has, for records
// that its wildcards make, and for records that it does not have.
func (s *site) positive(label string, qtype uint16, needs ...part) ask {
	return ask{label, qtype, dns.RcodeSuccess, Secure, append([]part{keys, data}, needs...)}
}

func (s *site) expand(label string, qtype uint16, needs ...part) ask {
	if s.signing != nil && s.signing.Denial.Kind == authority.Compact { // signed as if it stood there
		return s.positive(label, qtype, needs...)
	}
	return s.positive(label, qtype, append(needs, deny, expanded)...)
}

func (s *site) denied(label string, qtype uint16, rcode int, needs ...part) ask {
	return ask{label, qtype, rcode, Secure, append([]part{keys, data, deny, negativeSOA}, needs...)}
}
