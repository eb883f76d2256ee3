package zonegen

import (
	"net"
	"slices"
	"strings"

	"github.com/miekg/dns"

	"kresd/internal/authority"
)

// evil is the address that nobody may be told as true.
var evil = net.IPv4(203, 0, 113, 66).To4()

// on plays fn for one question; type 0: for all of a name.
func (s *site) on(label string, qtype uint16, fn func(r *dns.Msg)) {
	s.lies = true
	s.rules = append(s.rules, func(x *authority.Exchange) {
		q := x.Query.Question[0]
		if x.Reply != nil && dns.CanonicalName(q.Name) == in(label, s.name) && (qtype == 0 || q.Qtype == qtype) {
			fn(x.Reply)
		}
	})
}

// always plays fn for every answer of the zone.
func (s *site) always(fn func(r *dns.Msg)) {
	s.rules = append(s.rules, func(x *authority.Exchange) {
		if x.Reply != nil {
			fn(x.Reply)
		}
	})
}

// without drops the records of some types, and their signatures, from a section.
func without(section []dns.RR, types ...uint16) []dns.RR {
	return slices.DeleteFunc(slices.Clone(section), func(rr dns.RR) bool {
		if sig, ok := rr.(*dns.RRSIG); ok {
			return slices.Contains(types, sig.TypeCovered)
		}
		return slices.Contains(types, rr.Header().Rrtype)
	})
}

// only keeps the records of a type, and their signatures, of a section.
func only(section []dns.RR, rrtype uint16) []dns.RR {
	return slices.DeleteFunc(slices.Clone(section), func(rr dns.RR) bool {
		return rr.Header().Rrtype != rrtype && !covers(rr, rrtype)
	})
}

// told is what the zone itself would say, with signatures.
func told(z *authority.Zone, name string, qtype uint16) *dns.Msg {
	q := new(dns.Msg)
	q.SetQuestion(name, qtype)
	q.SetEdns0(1232, true)
	return authority.Answer([]*authority.Zone{z}, q)
}

// says makes r say what another answer says, about its own question.
func says(r, other *dns.Msg) {
	r.Rcode, r.Authoritative, r.Answer, r.Ns = other.Rcode, other.Authoritative, other.Answer, other.Ns
}

// renamed gives records another owner.
func renamed(rrs []dns.RR, name string) []dns.RR {
	out := copied(rrs)
	for _, rr := range out {
		rr.Header().Name = name
	}
	return out
}

func forged(name string) []dns.RR {
	return []dns.RR{&dns.A{Hdr: dns.RR_Header{Name: name, Rrtype: dns.TypeA, Class: dns.ClassINET, Ttl: 3600}, A: evil}}
}

// noCompact is a denial of the kinds that prove what a wildcard stands for.
func noCompact(s *site) authority.Denial {
	for {
		if d := s.b.denial(); d.Kind != authority.Compact && !d.OptOut {
			return d
		}
	}
}

func answerDamages() []damage {
	const ok = dns.RcodeSuccess
	play := func(name string, d func(*site) authority.Denial, status Status, p part, fn func(s *site)) damage {
		return damage{name: name, denial: d, apply: func(s *site) {
			s.broken[p] = max(s.broken[p], status)
			fn(s)
		}}
	}
	// one is a damage of one answer, beside which nothing of the zone is asked: what a
	// cache has learnt from others would answer in its place.
	one := func(name string, d func(*site) authority.Denial, status Status, label string, qtype uint16, fn func(s *site, r *dns.Msg, name string)) damage {
		return damage{name: name, denial: d, apply: func(s *site) {
			s.only, s.asks = true, []ask{{label, qtype, ok, status, []part{keys, data}}}
			s.on(label, qtype, func(r *dns.Msg) { fn(s, r, in(label, s.name)) })
		}}
	}
	// through is one for all types of the name: what the zone says of another type would
	// tell the truth.
	through := func(name string, d func(*site) authority.Denial, status Status, label string, fn func(s *site, r *dns.Msg)) damage {
		return damage{name: name, denial: d, apply: func(s *site) {
			s.only, s.asks = true, []ask{{label, dns.TypeA, ok, status, []part{keys, data}}}
			s.on(label, 0, func(r *dns.Msg) { fn(s, r) })
		}}
	}
	// above is a damage of what the parent says about the zone.
	above := func(name string, fn func(s *site, r *dns.Msg, referral bool)) damage {
		return damage{name: name, apply: func(s *site) {
			s.broken[keys], s.broken[ownDS] = Bogus, Bogus
			s.parent.rules = append(s.parent.rules, func(x *authority.Exchange) {
				q := x.Query.Question[0]
				name := dns.CanonicalName(q.Name)
				if x.Reply == nil || !dns.IsSubDomain(s.name, name) {
					return
				}
				if own := q.Qtype == dns.TypeDS && name == s.name; own || !x.Reply.Authoritative {
					fn(s, x.Reply, !own)
				}
			})
		}}
	}
	return []damage{
		play("no denials sent", nil, Bogus, deny, func(s *site) {
			s.always(func(r *dns.Msg) { r.Ns = without(r.Ns, dns.TypeNSEC, dns.TypeNSEC3) })
		}),
		play("no signatures sent", nil, Bogus, keys, func(s *site) {
			s.always(func(r *dns.Msg) {
				unsigned := func(rr dns.RR) bool { return rr.Header().Rrtype == dns.TypeRRSIG }
				r.Answer, r.Ns = slices.DeleteFunc(slices.Clone(r.Answer), unsigned), slices.DeleteFunc(slices.Clone(r.Ns), unsigned)
			})
		}),
		play("nothing of DNSSEC sent", nil, Bogus, keys, func(s *site) {
			s.always(func(r *dns.Msg) {
				gone := func(rr dns.RR) bool {
					t := rr.Header().Rrtype
					return t == dns.TypeRRSIG || t == dns.TypeDNSKEY || t == dns.TypeNSEC || t == dns.TypeNSEC3
				}
				r.Answer, r.Ns = slices.DeleteFunc(slices.Clone(r.Answer), gone), slices.DeleteFunc(slices.Clone(r.Ns), gone)
			})
		}),
		play("expanded wildcards without proof", noCompact, Bogus, expanded, func(s *site) {
			s.only = true // denials of other names would prove it
			for _, label := range []string{"x.wild", "z.y.wild", "any.aliases"} {
				s.asks = append(s.asks, ask{label, dns.TypeA, ok, Secure, []part{keys, data, expanded}})
			}
			s.always(func(r *dns.Msg) {
				if len(r.Answer) > 0 {
					r.Ns = without(r.Ns, dns.TypeNSEC, dns.TypeNSEC3)
				}
			})
		}),
		play("signatures in front of records", nil, Secure, data, func(s *site) {
			s.always(func(r *dns.Msg) {
				sorted := slices.Clone(r.Answer)
				slices.SortStableFunc(sorted, func(a, b dns.RR) int { return rank(a) - rank(b) })
				r.Answer = sorted
				r.Ns = slices.Clone(r.Ns)
				slices.Reverse(r.Ns)
			})
		}),
		play("all owners in upper case", nil, Secure, data, func(s *site) {
			s.always(func(r *dns.Msg) {
				r.Answer, r.Ns = copied(r.Answer), copied(r.Ns)
				for _, rr := range slices.Concat(r.Answer, r.Ns) {
					rr.Header().Name = strings.ToUpper(rr.Header().Name)
				}
			})
		}),
		play("AD and CD set by the server", nil, Secure, data, func(s *site) {
			s.always(func(r *dns.Msg) { r.AuthenticatedData, r.CheckingDisabled = true, true })
		}),
		play("foreign records in the additional section", nil, Secure, data, func(s *site) {
			s.always(func(r *dns.Msg) { r.Extra = append(forged("www.partner.nsec."), r.Extra...) })
		}),
		play("forged address", nil, Bogus, www, func(s *site) {
			s.unaliased = true
			s.on("www", dns.TypeA, func(r *dns.Msg) { r.Answer, r.Ns = forged(in("www", s.name)), nil })
		}),
		play("forged address with the true signature", nil, Bogus, www, func(s *site) {
			s.unaliased = true
			s.on("www", dns.TypeA, func(r *dns.Msg) { r.Answer = append(forged(in("www", s.name)), without(r.Answer, 0)[len(r.Answer)-1]) })
		}),
		play("forged alias", nil, Bogus, www, func(s *site) {
			s.unaliased = true
			s.on("www", dns.TypeA, func(r *dns.Msg) {
				name := in("www", s.name)
				r.Answer = append([]dns.RR{record("%s 3600 CNAME evil.plain.", name)}, forged("evil.plain.")...)
			})
		}),
		play("another name's answer", nil, Bogus, www, func(s *site) {
			s.unaliased = true
			s.on("www", dns.TypeA, func(r *dns.Msg) {
				r.Answer = renamed(told(s.zone, in("mail", s.name), dns.TypeA).Answer, in("www", s.name))
			})
		}),
		one("forged NXDOMAIN with a proof about another name", nil, Bogus, "www", dns.TypeA, func(s *site, r *dns.Msg, _ string) {
			says(r, told(s.zone, in("zzzz", s.name), dns.TypeA))
			r.Rcode = dns.RcodeNameError
		}),
		one("forged NODATA with the name's own denial", nil, Bogus, "www", dns.TypeA, func(s *site, r *dns.Msg, _ string) {
			says(r, told(s.zone, in("www", s.name), dns.TypeTXT))
		}),
		one("forged NODATA with another name's denial", nil, Bogus, "www", dns.TypeA, func(s *site, r *dns.Msg, _ string) {
			says(r, told(s.zone, in("here.wild", s.name), dns.TypeMX))
		}),
		one("forged NODATA with the apex's denial", nil, Bogus, "www", dns.TypeA, func(s *site, r *dns.Msg, _ string) {
			says(r, told(s.zone, s.name, dns.TypeCAA))
		}),
		one("NXDOMAIN for a name that is there", noCompact, Bogus, "mail", dns.TypeTXT, func(_ *site, r *dns.Msg, _ string) { r.Rcode = dns.RcodeNameError }),
		one("NXDOMAIN for an empty non-terminal", either, Bogus, "b.ent", dns.TypeTXT, func(_ *site, r *dns.Msg, _ string) { r.Rcode = dns.RcodeNameError }),
		through("NODATA for a name that is not there", noCompact, Unclear, "nope", func(_ *site, r *dns.Msg) { r.Rcode = dns.RcodeSuccess }),
		one("an answer of nothing", nil, Bogus, "www", dns.TypeA, func(_ *site, r *dns.Msg, _ string) { r.Answer, r.Ns = nil, nil }),
		through("a denial of nothing but SOA", nil, Bogus, "nope", func(_ *site, r *dns.Msg) { r.Ns = without(r.Ns, dns.TypeNSEC, dns.TypeNSEC3) }),
		through("a denial without SOA", nil, Unclear, "nope", func(_ *site, r *dns.Msg) { r.Ns = without(r.Ns, dns.TypeSOA) }),
		through("the wildcard is not denied", plain, Bogus, "nope", func(s *site, r *dns.Msg) {
			r.Ns = slices.DeleteFunc(slices.Clone(r.Ns), func(rr dns.RR) bool { // the apex's range has *
				return dns.CanonicalName(rr.Header().Name) == s.name && rr.Header().Rrtype != dns.TypeSOA && !covers(rr, dns.TypeSOA)
			})
		}),
		through("the name is not denied", plain, Bogus, "nope", func(s *site, r *dns.Msg) {
			r.Ns = slices.DeleteFunc(slices.Clone(r.Ns), func(rr dns.RR) bool {
				return dns.CanonicalName(rr.Header().Name) != s.name
			})
		}),
		through("the closest encloser is not shown", hashed, Bogus, "nope", func(s *site, r *dns.Msg) {
			apex := dns.CanonicalName(s.zone.NoType(s.name)[0].Header().Name)
			r.Ns = slices.DeleteFunc(slices.Clone(r.Ns), func(rr dns.RR) bool { return dns.CanonicalName(rr.Header().Name) == apex })
		}),
		one("a wildcard that is there denied by its own record", either, Bogus, "x.wild", dns.TypeA, func(s *site, r *dns.Msg, _ string) {
			says(r, told(s.zone, in("x.wild", s.name), dns.TypeMX))
		}),
		one("a wildcard that is there not mentioned", either, Bogus, "x.wild", dns.TypeA, func(s *site, r *dns.Msg, _ string) {
			says(r, told(s.zone, in("x.here.wild", s.name), dns.TypeA))
			r.Rcode = dns.RcodeNameError
		}),
		one("a wildcard's record for a name that is there", nil, Bogus, "here.wild", dns.TypeA, func(s *site, r *dns.Msg, name string) {
			made := told(s.zone, in("zzz.wild", s.name), dns.TypeA)
			r.Answer, r.Ns = renamed(made.Answer, name), made.Ns
		}),
		one("a wildcard's record and the name's own denial", either, Bogus, "here.wild", dns.TypeA, func(s *site, r *dns.Msg, name string) {
			r.Answer = renamed(told(s.zone, in("zzz.wild", s.name), dns.TypeA).Answer, name)
		}),
		one("a wildcard's record below a closer name", either, Bogus, "x.here.wild", dns.TypeA, func(s *site, r *dns.Msg, name string) {
			r.Rcode, r.Answer = ok, renamed(told(s.zone, in("zzz.wild", s.name), dns.TypeA).Answer, name)
		}),
		one("a wildcard's record for another zone's name", nil, Bogus, "another", dns.TypeA, func(s *site, r *dns.Msg, name string) {
			r.Rcode, r.Answer = ok, renamed(told(s.zone, in("zzz.wild", s.name), dns.TypeA).Answer, name)
		}),
		one("the parent's denial of a type at the apex", nil, Bogus, "", dns.TypeTXT, func(s *site, r *dns.Msg, _ string) {
			if s.parent.zone == nil || s.parent.signing == nil {
				r.Ns = nil
				return
			}
			r.Ns = append(without(told(s.parent.zone, s.parent.name, 65000).Ns, dns.TypeNSEC, dns.TypeNSEC3), s.parent.zone.NoType(s.name)...)
		}),
		one("the parent's denial of a name below the cut", plain, Bogus, "www", dns.TypeA, func(s *site, r *dns.Msg, _ string) {
			r.Answer, r.Rcode, r.Ns = nil, dns.RcodeNameError, nil
			if s.parent.signing != nil {
				r.Ns = append(without(told(s.parent.zone, s.parent.name, 65000).Ns, dns.TypeNSEC, dns.TypeNSEC3), s.parent.zone.NoType(s.name)...)
			}
		}),
		through("a DNAME's CNAME that leads elsewhere", nil, Unclear, "x.d", func(_ *site, r *dns.Msg) {
			r.Answer = copied(r.Answer)
			for _, rr := range r.Answer {
				if c, ok := rr.(*dns.CNAME); ok {
					c.Target = "evil.plain."
				}
			}
		}),
		through("a DNAME without its signature", nil, Bogus, "x.d", func(_ *site, r *dns.Msg) {
			r.Answer = slices.DeleteFunc(slices.Clone(r.Answer), func(rr dns.RR) bool { return covers(rr, dns.TypeDNAME) })
		}),
		through("a CNAME without its DNAME", nil, Bogus, "x.d", func(_ *site, r *dns.Msg) { r.Answer = without(r.Answer, dns.TypeDNAME) }),
		above("DS stripped, its absence not proved", func(_ *site, r *dns.Msg, _ bool) {
			r.Answer, r.Ns = without(r.Answer, dns.TypeDS), without(r.Ns, dns.TypeDS)
		}),
		above("DS stripped, the denial has it", func(s *site, r *dns.Msg, _ bool) {
			r.Answer, r.Ns = without(r.Answer, dns.TypeDS), without(r.Ns, dns.TypeDS)
			if s.parent.signing != nil {
				r.Ns = append(r.Ns, s.parent.zone.NoType(s.name)...)
			}
		}),
		above("DS denied by the child's own apex", func(s *site, r *dns.Msg, referral bool) {
			r.Answer, r.Ns = nil, without(r.Ns, dns.TypeDS)
			if !referral {
				r.Ns = nil
			}
			if s.signing != nil {
				own := told(s.zone, s.name, 65000).Ns
				if referral {
					own = without(own, dns.TypeSOA)
				}
				r.Ns = append(r.Ns, own...)
			}
		}),
		above("DS denied by another name's denial", func(s *site, r *dns.Msg, _ bool) {
			r.Answer, r.Ns = nil, without(r.Ns, dns.TypeDS)
			if s.parent.signing != nil {
				r.Ns = append(r.Ns, s.parent.zone.NoType(s.parent.name)...)
			}
		}),
		above("DS without signature", func(_ *site, r *dns.Msg, _ bool) {
			unsigned := func(rr dns.RR) bool { return covers(rr, dns.TypeDS) }
			r.Answer, r.Ns = slices.DeleteFunc(slices.Clone(r.Answer), unsigned), slices.DeleteFunc(slices.Clone(r.Ns), unsigned)
		}),
		above("DS with a wrong signature", func(_ *site, r *dns.Msg, _ bool) {
			for _, section := range []*[]dns.RR{&r.Answer, &r.Ns} {
				*section = slices.Clone(*section)
				for i, rr := range *section {
					if covers(rr, dns.TypeDS) {
						(*section)[i] = flipped(rr.(*dns.RRSIG), 0.5)
					}
				}
			}
		}),
	}
}

// rank orders signatures in front of aliases in front of the rest.
func rank(rr dns.RR) int {
	if rr.Header().Rrtype == dns.TypeRRSIG {
		return 0
	}
	return 1
}

func covers(rr dns.RR, rrtype uint16) bool {
	sig, ok := rr.(*dns.RRSIG)
	return ok && sig.TypeCovered == rrtype
}
