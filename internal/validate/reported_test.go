package validate_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/miekg/dns"

	"kresd/internal/authority"
	"kresd/internal/authority/inmemory"
	"kresd/internal/wire"
)

// A reported shape is one of zones, most of them in order, on which validators are known
// to have erred, with what RFCs want of it.
type reported struct {
	what  string
	sites []site
	asks  []expected
}

type expected struct {
	name  string
	qtype uint16
	want  string // as of world.ask; ends with "…" where the rest does not matter
}

func a(name, want string) expected { return expected{name, dns.TypeA, want} }

const (
	yes, no     = "NOERROR secure", "NOERROR insecure"
	gone, goneU = "NXDOMAIN secure", "NXDOMAIN insecure"
	bogus       = "SERVFAIL…"
)

// of is example.com. with a text, signed as seed says.
func of(seed, text string) site {
	return site{origin: "example.com.", addr: exampleAddr, seed: seed, text: text}
}

// unsigned is plain.com. with a text.
func unsigned(text string) site { return site{origin: "plain.com.", addr: plainAddr, text: text} }

// denials are the seeds of zones that deny by NSEC, by NSEC3 and with opt-out.
var denials = []string{"one", "hashed", "opt-out"}

// when is want, or what comes of it where opt-out leaves it open.
func when(seed, want string) string {
	if seed == "opt-out" {
		return strings.Replace(want, " secure", " insecure", 1)
	}
	return want
}

// each are shapes for each kind of denial.
func each(what string, sites func(seed string) []site, asks func(seed string) []expected) (out []reported) {
	for _, seed := range denials {
		out = append(out, reported{what + ", " + seed, sites(seed), asks(seed)})
	}
	return out
}

// aliases are shapes whose answer goes through several zones, or wildcards.
func aliases() []reported {
	const www = "www.example.com. A 192.0.2.10\n"
	wild := func(seed string) []site {
		return above("com", of(seed, "*.wild.example.com. A 192.0.2.11\n*.x.example.com. CNAME y.w.example.com.\n*.w.example.com. CNAME z.wild.example.com.\n"),
			unsigned("www.plain.com. CNAME x.wild.example.com.\nnone.plain.com. CNAME none.example.com.\ntxt.plain.com. CNAME a.b.wild.example.com.\n"))
	}
	oneServer := func(kid site) []site {
		return above("com", of("one", www+"down.example.com. CNAME www.sub.example.com.\nnowhere.example.com. CNAME none.sub.example.com.\n"), kid)
	}
	const up = "www.sub.example.com. A 192.0.2.40\nup.sub.example.com. CNAME www.example.com.\nupnone.sub.example.com. CNAME none.example.com.\nuptxt.sub.example.com. CNAME example.com.\n"
	out := each("an unsigned alias into a signed wildcard", wild, func(seed string) []expected {
		return []expected{
			a("www.plain.com.", no), a("none.plain.com.", goneU), {"txt.plain.com.", dns.TypeTXT, no}, a("a.wild.example.com.", when(seed, yes)),
			a("q.x.example.com.", when(seed, yes)), {"q.x.example.com.", dns.TypeTXT, when(seed, yes)}, {"*.wild.example.com.", dns.TypeA, yes},
			{"*.wild.example.com.", dns.TypeTXT, yes}, a("x.*.wild.example.com.", when(seed, gone)),
		}
	})
	return append(out,
		reported{"one server has an alias and its unsigned target", above("com", of("one", "out.example.com. CNAME www.plain.com.\noutnone.example.com. CNAME none.plain.com.\n"),
			site{origin: "plain.com.", addr: exampleAddr, text: "www.plain.com. A 192.0.2.20\n"}), []expected{
			a("out.example.com.", no), a("outnone.example.com.", goneU), {"out.example.com.", dns.TypeCNAME, yes}, {"out.example.com.", dns.TypeTXT, no},
		}},
		reported{"one server has an alias and its signed target", oneServer(site{origin: "sub.example.com.", seed: "three", text: up}), []expected{
			a("down.example.com.", yes), a("nowhere.example.com.", gone), a("up.sub.example.com.", yes), a("upnone.sub.example.com.", gone), {"uptxt.sub.example.com.", dns.TypeTXT, yes},
		}},
		reported{"one server has an alias and its target in an unsigned child", oneServer(site{origin: "sub.example.com.", text: up}), []expected{
			a("down.example.com.", no), a("nowhere.example.com.", goneU), a("up.sub.example.com.", no), a("upnone.sub.example.com.", goneU), {"uptxt.sub.example.com.", dns.TypeTXT, no},
		}},
		reported{"an unsigned zone with an alias at its apex", above("com", of("one", www), unsigned("plain.com. CNAME www.example.com.\nwww.plain.com. CNAME plain.com.\nx.plain.com. A 192.0.2.20\n")), []expected{
			a("plain.com.", no), a("www.plain.com.", no), a("x.plain.com.", no), {"plain.com.", dns.TypeDNSKEY, "NOERROR…"}, {"plain.com.", dns.TypeDS, yes},
		}},
		reported{"a signed zone with an alias at its apex", above("com", aliasAtApex(), site{origin: "far.com.", addr: plainAddr, seed: "far", text: "www.far.com. A 192.0.2.30\n"}), []expected{
			a("example.com.", yes), a("x.example.com.", yes), {"example.com.", dns.TypeDNSKEY, yes}, {"example.com.", dns.TypeDS, yes}, {"x.example.com.", dns.TypeTXT, yes},
		}},
		reported{"a DNAME at the apex to a zone that delegates", above("com", of("one", "example.com. DNAME far.com.\n"),
			site{origin: "far.com.", addr: plainAddr, seed: "far", text: "www.far.com. A 192.0.2.30\n"}, site{origin: "un.far.com.", addr: "192.0.2.5", text: "un.far.com. A 192.0.2.31\n"},
			site{origin: "kid.far.com.", addr: "192.0.2.6", seed: "kid", text: "kid.far.com. A 192.0.2.32\n"}), []expected{
			a("www.example.com.", yes), a("un.example.com.", no), a("kid.example.com.", yes), a("none.example.com.", gone), {"un.example.com.", dns.TypeDS, yes},
		}},
		reported{"questions for the types of aliases", above("com", of("one", www+"alias.example.com. CNAME www.example.com.\n*.wa.example.com. CNAME www.example.com.\nd.example.com. DNAME dd.example.com.\n"), unsigned("www.plain.com. A 192.0.2.20\nalias.plain.com. CNAME www.plain.com.\n")), []expected{
			{"alias.example.com.", dns.TypeDS, yes}, {"q.wa.example.com.", dns.TypeDS, yes}, {"x.d.example.com.", dns.TypeDS, gone}, {"alias.plain.com.", dns.TypeDS, no},
			{"www.example.com.", dns.TypeCNAME, yes}, {"www.plain.com.", dns.TypeCNAME, no}, {"d.example.com.", dns.TypeA, yes}, {"d.example.com.", dns.TypeDNAME, yes}, {"d.example.com.", dns.TypeDS, yes},
			{"alias.example.com.", dns.TypeANY, yes}, {"alias.example.com.", dns.TypeNSEC, yes},
		}},
		reported{"aliases to what an unsigned zone denies without a word", above("com", of("one", "none.example.com. CNAME none.plain.com.\ntxt.example.com. CNAME www.plain.com.\nd.example.com. DNAME plain.com.\n"),
			wordless(unsigned("www.plain.com. A 192.0.2.20\n"))), []expected{
			a("none.example.com.", goneU), {"txt.example.com.", dns.TypeTXT, no}, a("none.d.example.com.", goneU), {"www.d.example.com.", dns.TypeTXT, no}, {"none.example.com.", dns.TypeCNAME, yes}, a("txt.example.com.", no),
		}},
		reported{"a DNAME to itself", above("com", of("one", "self.example.com. DNAME self.example.com.\n")), []expected{
			a("self.example.com.", yes), {"self.example.com.", dns.TypeDNAME, yes},
		}},
	)
}

// aliasAtApex is a zone whose servers tell an alias at its apex but for the types that it
// has there.
func aliasAtApex() site {
	s := of("one", "x.example.com. A 192.0.2.13\n")
	without := inmemory.Zone(s.origin, s.servers()+s.text)
	without.Sign(s.signing())
	s.text += "example.com. CNAME www.far.com.\n"
	s.rules = []authority.Rule{func(x *authority.Exchange) {
		q := x.Query.Question[0]
		if strings.EqualFold(q.Name, s.origin) && slices.Contains([]uint16{dns.TypeDNSKEY, dns.TypeSOA, dns.TypeNS}, q.Qtype) {
			x.Reply = authority.Answer([]*authority.Zone{without}, x.Query)
		}
	}}
	return s
}

// delegations are shapes of zone cuts.
func delegations() []reported {
	www := func(origin string) string { return "www." + origin + " A 192.0.2.40\n" }
	kid := func(origin, addr, seed string) site {
		return site{origin: origin, addr: addr, seed: seed, text: www(origin)}
	}
	out := each("zones below empty non-terminals", func(seed string) []site {
		return above("com", of(seed, ""), kid("a.b.example.com.", "192.0.2.5", "kid"), kid("u.v.example.com.", "192.0.2.6", ""),
			site{origin: "c.d.example.com.", addr: "192.0.2.7", text: www("c.d.example.com."), ds: func(ds *dns.DS) []dns.RR { return []dns.RR{ds} }},
			kid("e.f.g.example.com.", "", ""), kid("h.i.j.example.com.", "", "kid"))
	}, func(seed string) []expected {
		return []expected{
			a("www.a.b.example.com.", yes), a("b.example.com.", yes), a("www.u.v.example.com.", no), a("v.example.com.", when(seed, yes)), {"v.example.com.", dns.TypeDS, when(seed, yes)},
			{"u.v.example.com.", dns.TypeDS, when(seed, yes)}, a("www.c.d.example.com.", bogus), a("www.e.f.g.example.com.", no), a("none.e.f.g.example.com.", goneU),
			a("www.h.i.j.example.com.", yes), {"i.j.example.com.", dns.TypeDS, yes}, a("none.h.i.j.example.com.", gone), a("none.a.b.example.com.", gone),
		}
	})
	out = append(out, each("unsigned zones beside wildcards", func(seed string) []site {
		return above(seed, site{origin: "un.com.", addr: "192.0.2.6", text: www("un.com.")}, of(seed, "*.example.com. A 192.0.2.11\nd.example.com. DNAME com.\n"), kid("u.example.com.", "192.0.2.7", ""), kid("s.example.com.", "192.0.2.8", "kid"))
	}, func(seed string) []expected {
		return []expected{
			{"u.example.com.", dns.TypeDS, when(seed, yes)}, a("any.example.com.", when(seed, yes)), {"any.example.com.", dns.TypeTXT, when(seed, yes)}, a("v.example.com.", when(seed, yes)),
			a("www.u.example.com.", no), a("none.u.example.com.", goneU), {"u.example.com.", dns.TypeTXT, no}, a("none.s.example.com.", gone), {"s.example.com.", dns.TypeTXT, yes},
			a("www.s.example.com.", yes), a("none.com.", when(seed, gone)), a("nonf.com.", when(seed, gone)), a("www.un.com.", no), {"un.com.", dns.TypeTXT, no}, a("un.d.example.com.", no),
		}
	})...)
	out = append(out, each("questions about a cut and below it", func(seed string) []site {
		return above(seed, of("one", www("example.com.")), unsigned(www("plain.com.")))
	}, func(seed string) []expected {
		return []expected{
			{"www.plain.com.", dns.TypeDS, no}, {"a.b.plain.com.", dns.TypeDS, goneU}, {"plain.com.", dns.TypeNS, no}, {"plain.com.", dns.TypeNSEC, "NOERROR…"}, {"example.com.", dns.TypeNS, yes},
			{"example.com.", dns.TypeNSEC, yes}, {"www.example.com.", dns.TypeDS, yes}, {"a.b.www.example.com.", dns.TypeDS, gone}, {"www.example.com.", dns.TypeSOA, yes}, {"www.plain.com.", dns.TypeSOA, no},
			{".", dns.TypeDS, yes}, {"com.", dns.TypeDS, yes}, {"com.", dns.TypeNS, yes}, {"example.com.", dns.TypeANY, yes}, {"plain.com.", dns.TypeANY, no}, {"www.example.com.", dns.TypeANY, yes},
		}
	})...)
	out = append(out, each("empty non-terminals that are said not to exist, though their records say what they are", func(seed string) []site {
		s := of(seed, "a.ent.example.com. A 192.0.2.11\n")
		s.rules = []authority.Rule{func(x *authority.Exchange) {
			if slices.Contains([]string{"b.example.com.", "v.example.com.", "ent.example.com."}, strings.ToLower(x.Query.Question[0].Name)) {
				x.Reply.Rcode = dns.RcodeNameError
			}
		}}
		return above("com", s, kid("u.v.example.com.", "192.0.2.6", ""), kid("s.v.example.com.", "192.0.2.7", "kid"), kid("h.b.example.com.", "", ""), kid("k.b.example.com.", "", "kid"))
	}, func(seed string) []expected {
		return []expected{
			a("www.h.b.example.com.", no), a("none.h.b.example.com.", goneU), a("www.k.b.example.com.", yes), a("www.u.v.example.com.", no), a("www.s.v.example.com.", yes), a("a.ent.example.com.", yes),
			{"b.example.com.", dns.TypeDS, yes}, {"www.h.b.example.com.", dns.TypeTXT, no},
		}
	})...)
	out = append(out, each("a server whose denials take its own names for zone cuts", func(seed string) []site {
		s := of(seed, "www.example.com. A 192.0.2.10\nmail.example.com. A 192.0.2.11\n")
		s.sign = func(g *authority.Signing) {
			g.Before = func(set []dns.RR) []dns.RR {
				switch n := dns.Copy(set[0]).(type) {
				case *dns.NSEC:
					if strings.HasPrefix(n.Hdr.Name, "www.") {
						n.TypeBitMap = []uint16{dns.TypeNS, dns.TypeRRSIG, dns.TypeNSEC}
						return []dns.RR{n}
					}
				case *dns.NSEC3:
					if strings.EqualFold(dns.HashName("www.example.com.", dns.SHA1, g.Denial.Iterations, g.Denial.Salt), strings.Split(n.Hdr.Name, ".")[0]) {
						n.TypeBitMap = []uint16{dns.TypeNS}
						return []dns.RR{n}
					}
				}
				return set
			}
		}
		return above("com", s)
	}, func(seed string) []expected {
		return []expected{
			a("www.example.com.", yes), {"www.example.com.", dns.TypeAAAA, no}, {"www.example.com.", dns.TypeDS, yes}, a("mail.example.com.", yes), {"mail.example.com.", dns.TypeAAAA, yes}, a("none.example.com.", when(seed, gone)),
		}
	})...)
	dead := kid("mid.example.com.", "192.0.2.9", "")
	dead.absent = true
	deep := kid("deep.mid.example.com.", "192.0.2.9", "deep")
	deep.island = true
	return append(out,
		reported{"a wildcard above an empty non-terminal that opt-out leaves out", above("com", of("opt-out", "*.example.com. A 192.0.2.11\n"), kid("u.e.example.com.", "192.0.2.6", "")), []expected{
			a("x.e.example.com.", goneU), a("y.x.e.example.com.", goneU), a("x.example.com.", no), a("www.u.e.example.com.", no), a("none.u.e.example.com.", goneU), {"x.e.example.com.", dns.TypeDS, goneU},
		}},
		reported{"a signed zone below an unsigned one whose servers do not have it", above("com", of("one", ""), dead, deep), []expected{
			a("www.deep.mid.example.com.", no), a("none.deep.mid.example.com.", goneU), {"deep.mid.example.com.", dns.TypeDNSKEY, no},
		}},
		reported{"root servers have an unsigned zone of another top level", []site{
			{origin: ".", addr: rootAddr, seed: "root"}, {origin: "net.", addr: comAddr, seed: "net"}, {origin: "servers.net.", addr: rootAddr, text: "a.servers.net. A 192.0.2.1\n"},
		}, []expected{a("a.servers.net.", no), {"servers.net.", dns.TypeDS, yes}, {"servers.net.", dns.TypeNS, no}, a("none.servers.net.", goneU), {"a.servers.net.", dns.TypeTXT, no}}},
		reported{"root servers have a signed zone of another top level", []site{
			{origin: ".", addr: rootAddr, seed: "root"}, {origin: "net.", addr: comAddr, seed: "net"}, {origin: "servers.net.", addr: rootAddr, seed: "servers", text: "a.servers.net. A 192.0.2.1\n"},
		}, []expected{a("a.servers.net.", yes), {"servers.net.", dns.TypeDS, yes}, a("none.servers.net.", gone)}},
		reported{"a chain of zones on one server", above("com", of("one", www("example.com.")), kid("un.example.com.", "", ""), kid("s.un.example.com.", "", "kid"), kid("s2.s.un.example.com.", "", "kid2"),
			kid("a.example.com.", "", "a"), kid("b.a.example.com.", "", "b"), kid("c.b.a.example.com.", "", "")), []expected{
			a("www.s2.s.un.example.com.", no), a("www.s.un.example.com.", no), a("none.s.un.example.com.", goneU), a("www.un.example.com.", no), a("www.c.b.a.example.com.", no),
			a("none.c.b.a.example.com.", goneU), a("www.b.a.example.com.", yes), a("none.b.a.example.com.", gone), {"b.a.example.com.", dns.TypeDS, yes}, {"c.b.a.example.com.", dns.TypeDS, yes},
		}},
		reported{"the data of an unsigned zone are signed by the zone above", above("com", of("one", ""), signedBy(kid("un.example.com.", "192.0.2.5", "kid"), "example.com.", "one"), signedBy(kid("un2.example.com.", "", "kid"), "example.com.", "one")), []expected{
			a("www.un.example.com.", no), a("none.un.example.com.", goneU), a("www.un2.example.com.", no),
		}},
		reported{"keys that are not had of a zone without DS on its parent's server", above("com", of("one", ""),
			failing(kid("u1.example.com.", "", "kid"), authority.Rcode(dns.RcodeServerFailure)), failing(kid("u2.example.com.", "", "kid"), spoilt(dns.TypeDNSKEY)),
			failing(kid("u3.example.com.", "", "kid"), authority.Rcode(dns.RcodeRefused)), failing(kid("u4.example.com.", "", "kid"), stripped(isType(dns.TypeDNSKEY, dns.TypeRRSIG)))), []expected{
			a("www.u1.example.com.", no), a("www.u2.example.com.", no), a("www.u3.example.com.", no), a("www.u4.example.com.", no),
			a("none.u1.example.com.", goneU), a("none.u2.example.com.", goneU),
		}},
		reported{"a zone with servers in its own unsigned child", above("com", of("one", www("example.com.")+"ext.example.com. A 192.0.2.44\n"), kid("un.example.com.", "192.0.2.5", ""),
			site{origin: "far.com.", addr: "192.0.2.6", seed: "far", text: "far.com. NS www.un.example.com.\n" + www("far.com.")}), []expected{
			a("www.far.com.", yes), a("www.un.example.com.", no), a("ns.example.com.", yes), a("ns.un.example.com.", no), a("www.example.com.", yes), {"ns.example.com.", dns.TypeAAAA, yes},
		}},
		reported{"DS and DNSKEY that must not be kept", untimed(above("com", of("one", www("example.com.")), unsigned(www("plain.com.")))), []expected{
			a("www.example.com.", yes), a("none.example.com.", gone), a("www.plain.com.", no), {"example.com.", dns.TypeDNSKEY, yes}, {"example.com.", dns.TypeDS, yes},
		}},
		reported{"DS is refused where the referral had it", above("com", of("one", www("example.com.")), unsigned(www("plain.com."))), []expected{
			a("www.example.com.", yes), a("www.plain.com.", no),
		}}.at("com.", authority.Only(dns.TypeDS, authority.Rcode(dns.RcodeRefused))),
		reported{"a referral with a wrong proof", above("com", of("one", www("example.com.")), unsigned(www("plain.com."))), []expected{
			a("www.plain.com.", no), a("none.plain.com.", goneU),
		}}.at("com.", unless(dns.TypeDS, spoilt(dns.TypeNSEC))),
		reported{"DS is answered by a referral", above("opt-out", of("one", www("example.com.")), unsigned(www("plain.com."))), []expected{
			a("www.plain.com.", no), a("none.plain.com.", goneU), {"plain.com.", dns.TypeDS, no}, a("www.example.com.", yes),
		}}.at("com.", unless(dns.TypeDS, unless(dns.TypeDNSKEY, stripped(isType(dns.TypeNSEC3)))), authority.Only(dns.TypeDS, func(x *authority.Exchange) {
			if len(x.Reply.Answer) == 0 {
				ns, _ := dns.NewRR("plain.com. 3600 NS ns.plain.com.")
				glue, _ := dns.NewRR("ns.plain.com. 3600 A " + plainAddr)
				stripped(isSOA)(x)
				x.Reply.Authoritative, x.Reply.Ns, x.Reply.Extra = false, append(x.Reply.Ns, ns), append(x.Reply.Extra, glue)
			}
		})),
		reported{"a referral without proof, and DS denied by NXDOMAIN", above("opt-out", of("one", www("example.com.")), unsigned(www("plain.com."))), []expected{
			a("www.plain.com.", no), a("none.plain.com.", goneU),
		}}.at("com.", unless(dns.TypeDS, unless(dns.TypeDNSKEY, stripped(isType(dns.TypeNSEC3, dns.TypeRRSIG)))), authority.Only(dns.TypeDS, func(x *authority.Exchange) {
			if len(x.Reply.Answer) == 0 {
				x.Reply.Rcode = dns.RcodeNameError
			}
		})),
	)
}

// learnt are shapes of which a cache knows the denials before it is asked.
func learnt() (out []reported) {
	many := func(below string) (asks []expected) {
		for i := range 12 { // whose hashes lie in each range of a small zone
			asks = append(asks, a(fmt.Sprintf("q%d.", i)+below, "NXDOMAIN…"))
		}
		return asks
	}
	for _, seed := range denials {
		sub := site{origin: "un.example.com.", addr: "192.0.2.5", text: "www.un.example.com. A 192.0.2.40\n"}
		signed := site{origin: "kid.example.com.", addr: "192.0.2.6", seed: "kid", text: "www.kid.example.com. A 192.0.2.41\n"}
		out = append(out,
			reported{"names below a DNAME whose denials are known, " + seed, above("com", of(seed, "d.example.com. DNAME to.example.com.\nwww.to.example.com. A 192.0.2.10\n")),
				append(many("example.com."), expected{"d.example.com.", dns.TypeTXT, yes}, a("www.d.example.com.", yes), a("none.d.example.com.", when(seed, gone)))},
			reported{"names below a cut whose denials are known, " + seed, above("com", of(seed, ""), sub, signed),
				append(many("example.com."), expected{"un.example.com.", dns.TypeDS, when(seed, yes)}, expected{"kid.example.com.", dns.TypeDS, yes}, a("www.un.example.com.", no), a("none.un.example.com.", goneU),
					a("www.kid.example.com.", yes), a("none.kid.example.com.", gone), expected{"kid.example.com.", dns.TypeTXT, yes}, expected{"un.example.com.", dns.TypeTXT, no})},
			reported{"a zone of nothing but its apex, " + seed, above("com", of(seed, "")), append(many("example.com."), a("x.y.example.com.", "NXDOMAIN…"), expected{"example.com.", dns.TypeSOA, yes})},
		)
	}
	wrong := of("one", "www.example.com. A 192.0.2.10\nwww.example.com. MX 1 www.example.com.\n")
	wrong.sign = func(g *authority.Signing) {
		g.Denial = authority.Denial{Kind: authority.Compact}
		g.Before = func(set []dns.RR) []dns.RR {
			n, ok := set[0].(*dns.NSEC)
			if !ok || !strings.HasPrefix(n.Hdr.Name, "www.") {
				return set
			}
			n = dns.Copy(n).(*dns.NSEC)
			n.TypeBitMap = []uint16{dns.TypeRRSIG, dns.TypeNSEC}
			return []dns.RR{n}
		}
	}
	return append(out, reported{"denials made for one question that leave out the other types", above("com", wrong), []expected{
		{"www.example.com.", dns.TypeTXT, yes}, a("www.example.com.", yes), {"www.example.com.", dns.TypeMX, yes}, {"www.example.com.", dns.TypeAAAA, yes},
	}})
}

// misled are shapes of servers that say something else than was asked.
func misled() []reported {
	kid := func(origin, addr, seed string) site {
		return site{origin: origin, addr: addr, seed: seed, text: "www." + origin + " A 192.0.2.40\n"}
	}
	unpublished := kid("un.example.com.", exampleAddr, "kid")
	unpublished.island = true
	without := inmemory.Zone(unpublished.origin, unpublished.servers()+unpublished.text)
	without.Sign(unpublished.signing())
	unpublished.rules = []authority.Rule{authority.Only(dns.TypeDNSKEY, func(x *authority.Exchange) {
		q := x.Query.Copy()
		q.Question[0].Qtype = dns.TypeCAA
		x.Reply.Answer, x.Reply.Ns = nil, authority.Answer([]*authority.Zone{without}, q).Ns
	})}
	return []reported{
		{"the keys of a zone without DS are denied, signed", above("com", of("one", ""), unpublished), []expected{a("www.un.example.com.", no), a("none.un.example.com.", goneU), {"un.example.com.", dns.TypeDNSKEY, no}}},
	}
}

// isSOA tells whether a record is an SOA, or its signature.
func isSOA(rr dns.RR) bool {
	sig, ok := rr.(*dns.RRSIG)
	return rr.Header().Rrtype == dns.TypeSOA || ok && sig.TypeCovered == dns.TypeSOA
}

// wordless is a site whose denials have no records.
func wordless(s site) site {
	s.rules = []authority.Rule{func(x *authority.Exchange) {
		if x.Reply.Authoritative && len(x.Reply.Answer) == 0 {
			x.Reply.Ns = nil
		}
	}}
	return s
}

// failing is a site without DS whose DNSKEY set is not had.
func failing(s site, how authority.Rule) site {
	s.island, s.rules = true, []authority.Rule{authority.Only(dns.TypeDNSKEY, how)}
	return s
}

// signedBy is a site without DS all of whose sets have signatures by another zone's key.
func signedBy(s site, zone, seed string) site {
	s.island = true
	s.sign = func(g *authority.Signing) { g.ZSK = []*authority.Key{key(zone, seed)} }
	return s
}

// at is the shape whose zone has rules.
func (r reported) at(origin string, rules ...authority.Rule) reported {
	for i := range r.sites {
		if r.sites[i].origin == origin {
			r.sites[i].rules = rules
		}
	}
	return r
}

// unless applies a rule to all questions but those of a type.
func unless(qtype uint16, rule authority.Rule) authority.Rule {
	return func(x *authority.Exchange) {
		if x.Query.Question[0].Qtype != qtype {
			rule(x)
		}
	}
}

// untimed are sites all of whose records are sent with a TTL of 0.
func untimed(sites []site) []site {
	for i := range sites {
		sites[i].rules = []authority.Rule{func(x *authority.Exchange) {
			for _, rrs := range [][]dns.RR{x.Reply.Answer, x.Reply.Ns} {
				for j, rr := range rrs {
					rrs[j] = dns.Copy(rr)
					rrs[j].Header().Ttl = 0
				}
			}
		}}
	}
	return sites
}

// denied are shapes of what zones say is not there.
func deniedShapes() []reported {
	out := each("wildcards at and below empty non-terminals", func(seed string) []site {
		return above("com", of(seed, "*.ent.example.com. A 192.0.2.11\nx.y.*.w.example.com. A 192.0.2.12\na.b.c.d.example.com. A 192.0.2.13\n*.b.c.d.example.com. TXT x\n"))
	}, func(seed string) []expected {
		return []expected{
			{"q.ent.example.com.", dns.TypeMX, when(seed, yes)}, a("q.ent.example.com.", when(seed, yes)), a("r.q.ent.example.com.", when(seed, yes)), a("ent.example.com.", yes), a("q.w.example.com.", when(seed, yes)),
			a("r.q.w.example.com.", when(seed, yes)), a("*.w.example.com.", yes), a("q.c.d.example.com.", when(seed, gone)), a("b.c.d.example.com.", yes), a("d.example.com.", yes),
			{"q.b.c.d.example.com.", dns.TypeTXT, when(seed, yes)}, a("q.b.c.d.example.com.", when(seed, yes)), a("z.y.*.w.example.com.", when(seed, gone)), {"q.ent.example.com.", dns.TypeDS, when(seed, yes)},
		}
	})
	for _, kind := range []string{"one", "hashed"} {
		zones := above("com", of("one", ""))
		zones[0].text = "*. A 192.0.2.99\n"
		zones[0].sign = func(g *authority.Signing) { g.Denial = denial(kind) }
		out = append(out, reported{"a wildcard of the root, " + kind, zones, []expected{
			a("none.", yes), a("a.b.", yes), {"none.", dns.TypeTXT, yes}, {"*.", dns.TypeA, yes}, {"none.", dns.TypeDS, yes}, a("none.com.", gone), a("com.", yes),
		}})
	}
	bits := func(types ...uint16) func(*authority.Signing) {
		return func(g *authority.Signing) {
			g.Denial = authority.Denial{Kind: authority.Compact}
			g.Before = func(set []dns.RR) []dns.RR {
				if n, ok := set[0].(*dns.NSEC); ok && !slices.Contains(n.TypeBitMap, dns.TypeCNAME) {
					n = dns.Copy(n).(*dns.NSEC)
					n.TypeBitMap = append(n.TypeBitMap, types...)
					slices.Sort(n.TypeBitMap)
					n.TypeBitMap = slices.Compact(n.TypeBitMap)
					return []dns.RR{n}
				}
				return set
			}
		}
	}
	lies := of("one", "www.example.com. A 192.0.2.10\na.ent.example.com. A 192.0.2.11\n*.wild.example.com. A 192.0.2.12\n")
	compact, shotgun, restored := lies, lies, lies
	restored.sign = func(g *authority.Signing) { g.Denial = authority.Denial{Kind: authority.Compact} }
	restored.rules = []authority.Rule{func(x *authority.Exchange) {
		for _, rr := range x.Reply.Ns {
			if n, ok := rr.(*dns.NSEC); ok && slices.Contains(n.TypeBitMap, wire.TypeNXNAME) {
				x.Reply.Rcode = dns.RcodeNameError
			}
		}
	}}
	compact.sign, shotgun.sign = bits(), bits(dns.TypeA, dns.TypeAAAA, dns.TypeMX, dns.TypeSRV, dns.TypeHTTPS, dns.TypeCAA)
	both, other := of("one", "www.example.com. A 192.0.2.10\n"), of("one", "www.example.com. A 192.0.2.10\n")
	other.sign = func(g *authority.Signing) { g.Denial = authority.Denial{Kind: authority.NSEC3} }
	hashed := inmemory.Zone(other.origin, other.servers()+other.text)
	hashed.Sign(other.signing())
	mixed := func(whole bool) authority.Rule {
		return func(x *authority.Exchange) {
			if len(x.Reply.Answer) == 0 && x.Reply.Authoritative {
				more := authority.Answer([]*authority.Zone{hashed}, x.Query).Ns
				more = slices.DeleteFunc(more, func(rr dns.RR) bool {
					sig, ok := rr.(*dns.RRSIG)
					return rr.Header().Rrtype != dns.TypeNSEC3 && !(ok && sig.TypeCovered == dns.TypeNSEC3)
				})
				if !whole {
					more = more[:min(2, len(more))]
				}
				x.Reply.Ns = append(more, x.Reply.Ns...)
			}
		}
	}
	whole, part := both, both
	whole.rules, part.rules = []authority.Rule{mixed(true)}, []authority.Rule{mixed(false)}
	mixedAsks := []expected{a("none.example.com.", gone), {"www.example.com.", dns.TypeTXT, yes}, a("a.none.example.com.", gone), {"example.com.", dns.TypeTXT, yes}}
	return append(out,
		reported{"names that have no types", above("com", compact), []expected{
			a("none.example.com.", yes), {"www.example.com.", dns.TypeTXT, yes}, a("a.b.none.example.com.", yes), a("ent.example.com.", yes), {"none.example.com.", dns.TypeDS, yes}, a("q.wild.example.com.", yes), a("a.ent.example.com.", yes),
		}},
		reported{"names that are said to be none, and denied by NXDOMAIN", above("com", restored), []expected{
			a("none.example.com.", gone), {"www.example.com.", dns.TypeTXT, yes}, a("a.b.none.example.com.", gone), a("ent.example.com.", yes), {"none.example.com.", dns.TypeDS, gone}, a("q.wild.example.com.", yes), a("www.example.com.", yes),
		}},
		reported{"denials that list more types than there are", above("com", shotgun), []expected{
			{"www.example.com.", dns.TypeTXT, yes}, a("www.example.com.", yes), {"example.com.", dns.TypeTXT, yes}, {"none.example.com.", dns.TypeTXT, yes}, {"none.example.com.", dns.TypeDS, yes}, {"example.com.", dns.TypeSOA, yes},
		}},
		reported{"a denial by NSEC and NSEC3 at once", above("com", whole), mixedAsks},
		reported{"a denial by NSEC beside a part of one by NSEC3", above("com", part), mixedAsks},
		reported{"questions for records of denials", above("hashed", of("hashed", "www.example.com. A 192.0.2.10\n")), []expected{
			{dns.HashName("www.example.com.", dns.SHA1, 50, "aa") + ".example.com.", dns.TypeNSEC3, gone}, {dns.HashName("www.example.com.", dns.SHA1, 50, "aa") + ".example.com.", dns.TypeA, gone},
			{"example.com.", dns.TypeNSEC3PARAM, yes}, {"www.example.com.", dns.TypeNSEC, yes}, {"www.example.com.", dns.TypeNSEC3, yes},
		}},
		reported{"a zone of nothing but its apex", above("com", of("one", "")), []expected{a("none.example.com.", gone), {"example.com.", dns.TypeTXT, yes}, a("a.b.c.example.com.", gone)}},
	)
}

// beside are shapes of what stands beside an answer, and of its records.
func beside() []reported {
	const text = "www.example.com. A 192.0.2.10\nwww.example.com. A 192.0.2.11\nalias.example.com. CNAME www.example.com.\n*.wild.example.com. A 192.0.2.12\nexample.com. HTTPS 0 www.example.com.\nsvc.example.com. SVCB 1 . alpn=h2\n"
	asks := []expected{a("www.example.com.", yes), a("alias.example.com.", yes), a("none.example.com.", gone), {"www.example.com.", dns.TypeTXT, yes}, a("q.wild.example.com.", yes), {"example.com.", dns.TypeHTTPS, yes}, {"svc.example.com.", dns.TypeSVCB, yes}, {"example.com.", dns.TypeDNSKEY, yes}}
	with := func(what string, rule authority.Rule) reported {
		return reported{what, above("com", of("one", text)), asks}.at("example.com.", func(x *authority.Exchange) {
			for _, rrs := range []*[]dns.RR{&x.Reply.Answer, &x.Reply.Ns, &x.Reply.Extra} {
				*rrs = slices.Clone(*rrs)
				for i, rr := range *rrs {
					(*rrs)[i] = dns.Copy(rr)
				}
			}
			rule(x)
		})
	}
	record := func(text string) dns.RR {
		rr, err := dns.NewRR(text)
		if err != nil {
			panic(err)
		}
		return rr
	}
	all := func(fn func(rr dns.RR)) authority.Rule {
		return func(x *authority.Exchange) {
			for _, rr := range slices.Concat(x.Reply.Answer, x.Reply.Ns) {
				fn(rr)
			}
		}
	}
	return []reported{
		with("an unsigned NS set in the authority section", func(x *authority.Exchange) {
			x.Reply.Ns = append(x.Reply.Ns, record("example.com. 3600 NS ns.example.com."), record("example.com. 3600 NS other.example."))
		}),
		with("unsigned addresses in the additional section", func(x *authority.Exchange) {
			x.Reply.Extra = append(x.Reply.Extra, record("www.example.com. 3600 A 203.0.113.66"), record("ns.example.com. 3600 A 203.0.113.66"))
		}),
		with("a set with several TTLs", func(x *authority.Exchange) {
			for i, rr := range x.Reply.Answer {
				rr.Header().Ttl -= uint32(i)
			}
		}),
		with("records between each other and twice", func(x *authority.Exchange) {
			x.Reply.Answer = append(x.Reply.Answer, x.Reply.Answer...)
			slices.Reverse(x.Reply.Answer)
		}),
		with("signatures first", func(x *authority.Exchange) {
			for _, rrs := range [][]dns.RR{x.Reply.Answer, x.Reply.Ns} {
				slices.SortStableFunc(rrs, func(a, b dns.RR) int {
					return int(b.Header().Rrtype&^1&dns.TypeRRSIG) - int(a.Header().Rrtype&^1&dns.TypeRRSIG)
				})
			}
		}),
		with("names of signers and next names in upper case", all(func(rr dns.RR) {
			switch rr := rr.(type) {
			case *dns.RRSIG:
				rr.SignerName = strings.ToUpper(rr.SignerName)
			case *dns.NSEC: // whose case is signed (RFC 6840, section 5.1), so that only the owner may change
				rr.Hdr.Name = strings.ToUpper(rr.Hdr.Name)
			}
		})),
		with("TTLs above what was signed", all(func(rr dns.RR) { rr.Header().Ttl += 10000 })),
		with("signatures with a TTL of 0", all(func(rr dns.RR) {
			if rr.Header().Rrtype == dns.TypeRRSIG {
				rr.Header().Ttl = 0
			}
		})),
		with("a signature by an unknown algorithm in front of each", func(x *authority.Exchange) {
			for _, rrs := range []*[]dns.RR{&x.Reply.Answer, &x.Reply.Ns} {
				var more []dns.RR
				for _, rr := range *rrs {
					if sig, ok := rr.(*dns.RRSIG); ok {
						sig = dns.Copy(sig).(*dns.RRSIG)
						sig.Algorithm = 250
						more = append(more, sig)
					}
				}
				*rrs = append(more, *rrs...)
			}
		}),
		with("AD, CD and RA by an authoritative server", func(x *authority.Exchange) {
			x.Reply.AuthenticatedData, x.Reply.CheckingDisabled, x.Reply.RecursionAvailable = true, true, true
		}),
	}
}

// Each shape has the verdict that RFCs want: cold, and out of a cache that has learnt from
// all its other questions, in one order and the other.
func TestReportedShapes(t *testing.T) {
	n := 0
	for _, c := range slices.Concat(aliases(), delegations(), deniedShapes(), beside(), learnt(), misled()) {
		n++
		t.Run(c.what, func(t *testing.T) {
			for _, e := range c.asks {
				w := newWorldOf(t, c.sites...)
				for range 2 {
					w.expect(e.name, e.qtype, e.want)
				}
				if sent := len(w.asked()); sent > 60 {
					t.Errorf("%s %s: %d questions", e.name, dns.TypeToString[e.qtype], sent)
				}
				if t.Failed() {
					return
				}
			}
			warm(t, c.sites, c.asks, 1)
			back := slices.Clone(c.asks)
			slices.Reverse(back)
			warm(t, c.sites, back, 7)
		})
	}
	if n < 50 {
		t.Errorf("%d shapes", n)
	}
}

// What a server tells of a zone that the zone above proves not to exist is told to nobody.
func TestAZoneThatItsParentDoesNotDelegate(t *testing.T) {
	w := newWorldOf(t, above("com", of("one", ""), site{origin: "sub.example.com.", text: "www.sub.example.com. A 192.0.2.40\n", hidden: true})...)
	for range 3 { // at first the answer is refused, then the cache knows that there is no such name
		if got := w.ask("www.sub.example.com.", dns.TypeA); got != gone && !strings.HasPrefix(got, "SERVFAIL") {
			t.Error(got)
		}
	}
}

// warm asks everything of one resolver, so many seconds apart, and then once more.
func warm(t *testing.T, sites []site, asks []expected, seconds int64) {
	t.Helper()
	w := newWorldOf(t, sites...)
	for round := range 3 {
		for _, e := range asks {
			got := w.ask(e.name, e.qtype)
			if rest, open := strings.CutSuffix(e.want, "…"); got != e.want && !(open && strings.HasPrefix(got, rest)) {
				t.Errorf("after other questions, round %d: %s %s: %s, want %s", round, e.name, dns.TypeToString[e.qtype], got, e.want)
			}
			w.now += seconds
		}
	}
}
