package zonegen

import (
	"encoding/base32"
	"slices"
	"strings"

	"github.com/miekg/dns"

	"kresd/internal/authority"
)

func isDenial(set []dns.RR) bool {
	return len(set) > 0 && (set[0].Header().Rrtype == dns.TypeNSEC || set[0].Header().Rrtype == dns.TypeNSEC3)
}

// plain and hashed are chains without further ado.
func plain(*site) authority.Denial { return authority.Denial{Kind: authority.NSEC} }

func hashed(s *site) authority.Denial {
	return authority.Denial{Kind: authority.NSEC3, Salt: []string{"", "c0de"}[s.b.r.IntN(2)], Iterations: uint16(s.b.r.IntN(4))}
}

func either(s *site) authority.Denial {
	if s.b.r.IntN(2) == 0 {
		return plain(s)
	}
	return hashed(s)
}

func iterated(n uint16) func(*site) authority.Denial {
	return func(*site) authority.Denial {
		return authority.Denial{Kind: authority.NSEC3, Iterations: n, Salt: "ab"}
	}
}

// bits adds types to the bitmap of a denial, but for those of delegations.
func bits(rr dns.RR, more ...uint16) {
	var list *[]uint16
	switch rr := rr.(type) {
	case *dns.NSEC:
		list = &rr.TypeBitMap
	case *dns.NSEC3:
		list = &rr.TypeBitMap
	}
	if slices.Contains(*list, dns.TypeNS) && !slices.Contains(*list, dns.TypeSOA) {
		return
	}
	*list = append(slices.Clone(*list), more...)
	slices.Sort(*list)
	*list = slices.Compact(*list)
}

// every are the parts that denials prove.
func every() []part { return []part{noName, noType, empty, expanded, wildNoType, noDS} }

func denialDamages() []damage {
	set := func(s *site, status Status, parts ...part) {
		for _, p := range parts {
			s.broken[p] = status
		}
	}
	// changed alters each denial before it is signed.
	changed := func(name string, d func(*site) authority.Denial, status Status, parts []part, fn func(s *site, rr dns.RR)) damage {
		return damage{name: name, denial: d, apply: func(s *site) {
			set(s, status, parts...)
			s.before(isDenial, func(set []dns.RR) []dns.RR {
				fn(s, set[0])
				return set
			})
		}}
	}
	nsec3 := func(name string, status Status, parts []part, fn func(s *site, rr *dns.NSEC3)) damage {
		return changed(name, hashed, status, parts, func(s *site, rr dns.RR) { fn(s, rr.(*dns.NSEC3)) })
	}
	later := func(name string, d func(*site) authority.Denial, status Status, parts []part, fn func(set []dns.RR, sigs []*dns.RRSIG) ([]dns.RR, []*dns.RRSIG)) damage {
		return damage{name: name, denial: d, apply: func(s *site) {
			set(s, status, parts...)
			s.afterwards(isDenial, fn)
		}}
	}
	all, matched := []part{deny}, []part{noName, noType, empty, wildNoType, noDS}
	return []damage{
		later("denials without signatures", nil, Bogus, all, func(set []dns.RR, _ []*dns.RRSIG) ([]dns.RR, []*dns.RRSIG) { return set, nil }),
		later("wrong signatures of denials", nil, Bogus, all, func(set []dns.RR, sigs []*dns.RRSIG) ([]dns.RR, []*dns.RRSIG) {
			return set, []*dns.RRSIG{flipped(sigs[0], 0.4)}
		}),
		later("bitmaps altered after signing", either, Bogus, all, func(set []dns.RR, sigs []*dns.RRSIG) ([]dns.RR, []*dns.RRSIG) {
			switch rr := set[0].(type) {
			case *dns.NSEC:
				rr.TypeBitMap = append(slices.Clone(rr.TypeBitMap), 999)
			case *dns.NSEC3:
				rr.TypeBitMap = append(slices.Clone(rr.TypeBitMap), 999)
			}
			return set, sigs
		}),
		{name: "denials expired", apply: func(s *site) {
			s.broken[deny] = Bogus
			s.seal(isDenial, func(sig *dns.RRSIG) { sig.Inception, sig.Expiration = s.b.now-20*day, s.b.now-2*day })
		}},
		later("TTL of denials above the original", either, Secure, nil, func(set []dns.RR, sigs []*dns.RRSIG) ([]dns.RR, []*dns.RRSIG) {
			return lived(set, 7200), sigs
		}),
		later("owners of denials in upper case", either, Secure, nil, func(set []dns.RR, sigs []*dns.RRSIG) ([]dns.RR, []*dns.RRSIG) {
			set[0].Header().Name = strings.ToUpper(set[0].Header().Name)
			return set, sigs
		}),
		changed("next name in upper case", plain, Secure, nil, func(_ *site, rr dns.RR) { // RFC 6840, section 5.1
			rr.(*dns.NSEC).NextDomain = strings.ToUpper(rr.(*dns.NSEC).NextDomain)
		}),
		changed("unknown types in bitmaps", either, Secure, nil, func(_ *site, rr dns.RR) { bits(rr, 999, 65280) }),
		changed("next name too near", plain, Bogus, []part{noName, empty, expanded, wildNoType}, func(_ *site, rr dns.RR) {
			rr.(*dns.NSEC).NextDomain = in(`\000`, rr.Header().Name)
		}),
		{name: "next name outside of the zone", denial: plain, apply: func(s *site) {
			set(s, Bogus, noName, expanded, wildNoType)
			set(s, Unclear, noType, empty, noDS)
			s.before(isDenial, func(set []dns.RR) []dns.RR {
				set[0].(*dns.NSEC).NextDomain = "zzz.zzz."
				return set
			})
		}},
		{name: "bitmaps have the type", denial: either, apply: func(s *site) {
			set(s, Bogus, noType, wildNoType)
			if s.signing.Denial.Kind == authority.NSEC3 {
				s.broken[empty] = Bogus
			}
			s.before(isDenial, func(set []dns.RR) []dns.RR {
				bits(set[0], dns.TypeA, dns.TypeAAAA, dns.TypeTXT, dns.TypeMX)
				return set
			})
		}},
		{name: "bitmaps have CNAME", denial: either, apply: func(s *site) { // RFC 6840, section 4.3
			set(s, Bogus, noType, wildNoType)
			if s.signing.Denial.Kind == authority.NSEC3 {
				s.broken[empty] = Bogus
			}
			s.before(isDenial, func(set []dns.RR) []dns.RR {
				bits(set[0], dns.TypeCNAME)
				return set
			})
		}},
		aboutMail("bitmap tells of a delegation", dns.TypeNS, Unclear), // RFC 6840, section 4.1
		aboutMail("bitmap tells of a DNAME", dns.TypeDNAME, Bogus),
		nsec3("unknown flag of NSEC3", Bogus, all, func(_ *site, rr *dns.NSEC3) { rr.Flags |= 2 }), // RFC 5155, section 8.2
		nsec3("unknown hash of NSEC3", Bogus, all, func(_ *site, rr *dns.NSEC3) { rr.Hash = 2 }),   // section 8.1
		nsec3("another salt than was hashed", Bogus, matched, func(s *site, rr *dns.NSEC3) {
			s.broken[expanded] = Open // a hash may be covered by chance
			rr.Salt, rr.SaltLength = "0102", 2
		}),
		nsec3("other iterations than were hashed", Bogus, matched, func(s *site, rr *dns.NSEC3) {
			s.broken[expanded] = Open
			rr.Iterations++
		}),
		nsec3("next hash too near", Bogus, []part{noName, expanded, wildNoType}, func(_ *site, rr *dns.NSEC3) {
			label, _, _ := strings.Cut(rr.Hdr.Name, ".")
			rr.NextDomain = after1(strings.ToUpper(label))
		}),
		nsec3("hash of the owner altered", Bogus, matched, func(_ *site, rr *dns.NSEC3) {
			label, rest, _ := strings.Cut(rr.Hdr.Name, ".")
			rr.Hdr.Name = strings.ToLower(after1(strings.ToUpper(label))) + "." + rest
		}),
		nsec3("opt-out of a chain that has all", Insecure, []part{noName, expanded, wildNoType}, func(_ *site, rr *dns.NSEC3) { rr.Flags = 1 }),
		{name: "opt-out without its flag", denial: func(*site) authority.Denial { return authority.Denial{Kind: authority.NSEC3, OptOut: true} }, apply: func(s *site) {
			set(s, Secure, noName, expanded, wildNoType)
			s.broken[noDS] = Open // or the zone has proved that there is no such name
			s.before(isDenial, func(set []dns.RR) []dns.RR {
				set[0].(*dns.NSEC3).Flags = 0
				return set
			})
		}},
		{name: "50 iterations", denial: iterated(50), apply: func(*site) {}},
		{name: "100 iterations", denial: iterated(100), apply: func(s *site) { set(s, Unclear, every()...) }}, // RFC 9276, section 3.2
		{name: "2500 iterations", denial: iterated(2500), apply: func(s *site) { set(s, Insecure, every()...) }},
		{name: "salt of 255 octets", denial: func(*site) authority.Denial {
			return authority.Denial{Kind: authority.NSEC3, Salt: strings.Repeat("5a", 255)}
		}, apply: func(*site) {}},
	}
}

// aboutMail damages the denial at one name, which then must not speak for what is
// below it. One that tells of a delegation may also make the name insecure: the zone
// has signed that there is a zone cut without DS.
func aboutMail(name string, bit uint16, status Status) damage {
	return damage{name: name, denial: either, apply: func(s *site) {
		s.only = true
		needs := []part{keys, data}
		s.asks = []ask{{"nope.mail", dns.TypeA, 3, status, needs}, {"a.nope.mail", dns.TypeTXT, 3, status, needs}, {"www", dns.TypeA, 0, Secure, needs}}
		if bit == dns.TypeNS {
			s.asks = append(s.asks, ask{"mail", dns.TypeTXT, 0, status, needs})
		}
		at := in("mail", s.name)
		if s.signing.Denial.Kind == authority.NSEC3 {
			at = in(dns.HashName(at, dns.SHA1, s.signing.Denial.Iterations, s.signing.Denial.Salt), s.name)
		}
		s.before(func(set []dns.RR) bool {
			return isDenial(set) && dns.CanonicalName(set[0].Header().Name) == dns.CanonicalName(at)
		}, func(set []dns.RR) []dns.RR {
			bits(set[0], bit)
			return set
		})
	}}
}

// after1 is the hash behind a hash.
func after1(hash string) string {
	b, err := base32.HexEncoding.DecodeString(hash)
	if err != nil {
		panic(err)
	}
	for i := len(b) - 1; i >= 0; i-- {
		if b[i]++; b[i] != 0 {
			break
		}
	}
	return base32.HexEncoding.EncodeToString(b)
}
