package zonegen

import (
	"fmt"
	"net/netip"
	"slices"

	"github.com/miekg/dns"

	"kresd/internal/authority"
)

// lone is the address of a server that has one zone only. One that had the parent, too,
// would never refer to the other server.
func (b *builder) lone() string {
	b.hosts++
	return fmt.Sprintf("127.78.%d.%d", b.hosts>>7, b.hosts&127+1)
}

// serverDamages are zones with two servers of which one is good: a validator asks the
// other one before it believes that a zone is bogus.
func serverDamages() []damage {
	// lies has the second server change its answers.
	lies := func(name string, fn func(s *site, x *authority.Exchange)) damage {
		return damage{name: "one of two servers " + name, apply: func(s *site) {
			s.second = s.b.lone()
			s.rules = append(s.rules, func(x *authority.Exchange) {
				if x.Reply != nil && x.Host == netip.MustParseAddr(s.second) {
					fn(s, x)
				}
			})
		}}
	}
	// stale has it serve the zone as it is signed in another way.
	stale := func(name string, change func(s *site, g *authority.Signing)) damage {
		d := lies(name, func(s *site, x *authority.Exchange) {
			says(x.Reply, authority.Answer([]*authority.Zone{s.twin}, x.Query))
		})
		apply := d.apply
		d.apply = func(s *site) {
			apply(s)
			s.resign = func(g *authority.Signing) { change(s, g) }
		}
		return d
	}
	// forging is a lie that nobody can refute where opt-out leaves room for unsigned names
	// (RFC 5155, section 12.2).
	forging := func(name string, fn func(s *site, x *authority.Exchange)) damage {
		d := lies(name, fn)
		apply := d.apply
		d.apply = func(s *site) {
			apply(s)
			if s.signing.Denial.OptOut {
				s.broken[noName], s.broken[expanded], s.broken[wildNoType] = Open, Open, Open
			}
		}
		return d
	}
	return []damage{
		stale("has signatures that expired", func(s *site, g *authority.Signing) { g.From, g.Until = s.b.now-20*day, s.b.now-2*day }),
		stale("has keys that nobody knows", func(s *site, g *authority.Signing) {
			g.KSK = []*authority.Key{s.key(authority.KSK, "forgotten")}
			g.ZSK = []*authority.Key{s.key(authority.ZSK, "forgotten")}
		}),
		stale("denies in another way", func(_ *site, g *authority.Signing) {
			kind := authority.NSEC3
			if g.Denial.Kind == kind {
				kind = authority.NSEC
			}
			g.Denial = authority.Denial{Kind: kind}
		}),
		forging("sends no signatures", func(_ *site, x *authority.Exchange) {
			unsigned := func(rr dns.RR) bool { return rr.Header().Rrtype == dns.TypeRRSIG }
			x.Reply.Answer, x.Reply.Ns = slices.DeleteFunc(slices.Clone(x.Reply.Answer), unsigned), slices.DeleteFunc(slices.Clone(x.Reply.Ns), unsigned)
		}),
		forging("knows nothing of DNSSEC", func(_ *site, x *authority.Exchange) {
			types := []uint16{dns.TypeRRSIG, dns.TypeNSEC, dns.TypeNSEC3, dns.TypeDNSKEY}
			gone := func(rr dns.RR) bool { return slices.Contains(types, rr.Header().Rrtype) }
			x.Reply.Answer, x.Reply.Ns = slices.DeleteFunc(slices.Clone(x.Reply.Answer), gone), slices.DeleteFunc(slices.Clone(x.Reply.Ns), gone)
		}),
		forging("forges addresses", func(_ *site, x *authority.Exchange) {
			if q := x.Query.Question[0]; q.Qtype == dns.TypeA {
				x.Reply.Rcode, x.Reply.Answer, x.Reply.Ns = dns.RcodeSuccess, forged(q.Name), nil
			}
		}),
		forging("denies everything", func(_ *site, x *authority.Exchange) {
			x.Reply.Rcode, x.Reply.Answer, x.Reply.Ns = dns.RcodeNameError, nil, without(x.Reply.Ns, dns.TypeNSEC, dns.TypeNSEC3)
		}),
		lies("refuses", func(_ *site, x *authority.Exchange) {
			x.Reply.Rcode, x.Reply.Answer, x.Reply.Ns, x.Reply.Authoritative = dns.RcodeRefused, nil, nil, false
		}),
	}
}
