package zonegen

import (
	"encoding/base64"
	"maps"
	"slices"
	"strings"

	"github.com/miekg/dns"

	"kresd/internal/authority"
)

const day = 86400

// A damage is one thing that is wrong with a zone, or only looks wrong.
type damage struct {
	name string
	// denial says which denial the zone has, where that matters.
	denial func(*site) authority.Denial
	apply  func(*site)
}

func damages() []damage {
	return slices.Concat([]damage{{name: ""}}, setDamages(), keyDamages(), denialDamages(), answerDamages(), serverDamages(), shapes())
}

// A target is the set of a site that goes wrong.
type target struct {
	part  part
	label string
	qtype uint16
}

// pick chooses a set and takes note of what becomes of questions that need it.
func (s *site) pick(status Status) target {
	all := []target{
		{www, "www", dns.TypeA}, {www, "www", dns.TypeA}, {mx, "", dns.TypeMX}, {alias, "alias", dns.TypeCNAME}, {soa, "", dns.TypeSOA},
		{ns, "", dns.TypeNS}, {dname, "d", dns.TypeDNAME}, {wild, "*.wild", dns.TypeA},
	}
	t := all[s.b.r.IntN(len(all))]
	if t.part == wild && s.signing.Denial.OptOut && status == Bogus {
		status = Open // under opt-out a name that a wildcard made may be an unsigned one (RFC 5155, section 12.2)
	}
	s.broken[t.part] = status
	s.detail = " of " + string(t.part)
	if t.part == soa && status >= Unclear {
		s.broken[negativeSOA] = Open // a denial can be proved without it
	}
	return t
}

// is tells whether a set is the target. Sets of compact denial have the names that
// the wildcard stands for.
func (s *site) is(t target, set []dns.RR) bool {
	if len(set) == 0 {
		return false
	}
	h := set[0].Header()
	name := dns.CanonicalName(h.Name)
	if t.part == wild {
		return h.Rrtype == t.qtype && strings.HasSuffix(name, in(".wild", s.name))
	}
	return h.Rrtype == t.qtype && name == in(t.label, s.name)
}

// before, seal and afterwards hook into the signing of sets that match.
func (s *site) before(match func([]dns.RR) bool, fn func([]dns.RR) []dns.RR) {
	s.signing.Before = func(set []dns.RR) []dns.RR {
		if match(set) {
			return fn(copied(set))
		}
		return set
	}
}

func (s *site) seal(match func([]dns.RR) bool, fn func(*dns.RRSIG)) {
	s.signing.Seal = func(set []dns.RR, sig *dns.RRSIG) {
		if match(set) {
			fn(sig)
		}
	}
}

func (s *site) afterwards(match func([]dns.RR) bool, fn func(set []dns.RR, sigs []*dns.RRSIG) ([]dns.RR, []*dns.RRSIG)) {
	s.signing.After = func(set, sigs []dns.RR) ([]dns.RR, []dns.RR) {
		if !match(set) {
			return set, sigs
		}
		var typed []*dns.RRSIG
		for _, sig := range copied(sigs) {
			typed = append(typed, sig.(*dns.RRSIG))
		}
		set, typed = fn(copied(set), typed)
		sigs = nil
		for _, sig := range typed {
			sigs = append(sigs, sig)
		}
		return set, sigs
	}
}

func copied(set []dns.RR) []dns.RR {
	var out []dns.RR
	for _, rr := range set {
		out = append(out, dns.Copy(rr))
	}
	return out
}

// flipped is a signature of which one octet is another: 0 the first, 1 the last.
func flipped(sig *dns.RRSIG, where float64) *dns.RRSIG {
	sig = dns.Copy(sig).(*dns.RRSIG)
	b, _ := base64.StdEncoding.DecodeString(sig.Signature)
	b[int(where*float64(len(b)-1))] ^= 0x41
	sig.Signature = base64.StdEncoding.EncodeToString(b)
	return sig
}

func setDamages() []damage {
	type list = []*dns.RRSIG
	sealed := func(name string, status Status, fn func(s *site, sig *dns.RRSIG)) damage {
		return damage{name: name, apply: func(s *site) {
			t := s.pick(status)
			s.seal(func(set []dns.RR) bool { return s.is(t, set) }, func(sig *dns.RRSIG) { fn(s, sig) })
		}}
	}
	later := func(name string, status Status, fn func(s *site, set []dns.RR, sigs list) ([]dns.RR, list)) damage {
		return damage{name: name, apply: func(s *site) {
			t := s.pick(status)
			s.afterwards(func(set []dns.RR) bool { return s.is(t, set) }, func(set []dns.RR, sigs list) ([]dns.RR, list) { return fn(s, set, sigs) })
		}}
	}
	signature := func(name string, status Status, fn func(s *site, sig *dns.RRSIG)) damage {
		return later(name, status, func(s *site, set []dns.RR, sigs list) ([]dns.RR, list) {
			for _, sig := range sigs {
				fn(s, sig)
			}
			return set, sigs
		})
	}
	by := func(s *site, k *authority.Key, set []dns.RR) *dns.RRSIG {
		return k.Sign(set, s.signing.From, s.signing.Until, nil)
	}
	stranger := func(s *site) *authority.Key {
		return authority.NewKey(s.name, authority.ZSK, s.signing.ZSK[0].Algorithm, "stranger")
	}
	period := func(from, until int64) func(*site, *dns.RRSIG) {
		return func(s *site, sig *dns.RRSIG) {
			sig.Inception, sig.Expiration = uint32(int64(s.b.now)+from), uint32(int64(s.b.now)+until)
		}
	}
	return []damage{
		later("first octet of a signature", Bogus, func(_ *site, set []dns.RR, sigs list) ([]dns.RR, list) {
			return set, list{flipped(sigs[0], 0)}
		}),
		later("last octet of a signature", Bogus, func(_ *site, set []dns.RR, sigs list) ([]dns.RR, list) {
			return set, list{flipped(sigs[0], 1)}
		}),
		later("middle octet of a signature", Bogus, func(_ *site, set []dns.RR, sigs list) ([]dns.RR, list) {
			return set, list{flipped(sigs[0], 0.5)}
		}),
		signature("signature cut short", Bogus, func(_ *site, sig *dns.RRSIG) { sig.Signature = sig.Signature[:len(sig.Signature)/2/4*4] }),
		signature("signature too long", Bogus, func(_ *site, sig *dns.RRSIG) {
			b, _ := base64.StdEncoding.DecodeString(sig.Signature)
			sig.Signature = base64.StdEncoding.EncodeToString(append(b, 0))
		}),
		signature("signature of zeros", Bogus, func(_ *site, sig *dns.RRSIG) {
			b, _ := base64.StdEncoding.DecodeString(sig.Signature)
			sig.Signature = base64.StdEncoding.EncodeToString(make([]byte, len(b)))
		}),
		sealed("key tag of no key", Bogus, func(_ *site, sig *dns.RRSIG) { sig.KeyTag ^= 0x5aa5 }),
		sealed("another algorithm in a signature", Bogus, func(_ *site, sig *dns.RRSIG) { sig.Algorithm = map[bool]uint8{true: 8, false: 13}[sig.Algorithm == 13] }),
		sealed("unknown algorithm in a signature", Bogus, func(_ *site, sig *dns.RRSIG) { sig.Algorithm = 200 }),
		sealed("signer is the parent", Bogus, func(s *site, sig *dns.RRSIG) { sig.SignerName = s.parent.name }),
		sealed("signer is the root", Bogus, func(_ *site, sig *dns.RRSIG) { sig.SignerName = "." }),
		sealed("signer is below", Bogus, func(s *site, sig *dns.RRSIG) { sig.SignerName = in("kid", s.name) }),
		sealed("signer is beside", Bogus, func(_ *site, sig *dns.RRSIG) { sig.SignerName = "partner.nsec." }),
		sealed("labels too low", Bogus, func(_ *site, sig *dns.RRSIG) { sig.Labels-- }),
		sealed("labels of the zone's parent", Bogus, func(s *site, sig *dns.RRSIG) { sig.Labels = uint8(dns.CountLabel(s.parent.name)) }),
		sealed("no labels", Bogus, func(_ *site, sig *dns.RRSIG) { sig.Labels = 0 }),
		sealed("labels too high", Bogus, func(_ *site, sig *dns.RRSIG) { sig.Labels++ }),
		signature("labels altered", Bogus, func(_ *site, sig *dns.RRSIG) { sig.Labels-- }),
		sealed("expired", Bogus, period(-20*day, -2*day)),
		sealed("not yet valid", Bogus, period(2*day, 20*day)),
		sealed("ends before it begins", Bogus, period(2*day, -2*day)),
		sealed("ends before it begins, long ago", Bogus, period(-2*day, -4*day)),
		sealed("expires in two hours", Secure, period(-day, 7200)),
		sealed("valid for sixty years", Secure, period(-30*365*day, 30*365*day)),
		signature("inception altered", Bogus, func(_ *site, sig *dns.RRSIG) { sig.Inception-- }),
		signature("expiration altered", Bogus, func(_ *site, sig *dns.RRSIG) { sig.Expiration++ }),
		signature("original TTL altered", Bogus, func(_ *site, sig *dns.RRSIG) { sig.OrigTtl++ }),
		signature("signature covers another type", Bogus, func(_ *site, sig *dns.RRSIG) { sig.TypeCovered = dns.TypeCAA }),
		later("no signature", Bogus, func(_ *site, set []dns.RR, _ list) ([]dns.RR, list) { return set, nil }),
		later("TTL above the original", Secure, func(_ *site, set []dns.RR, sigs list) ([]dns.RR, list) { return lived(set, 7200), sigs }),
		later("TTL below the original", Secure, func(_ *site, set []dns.RR, sigs list) ([]dns.RR, list) { return lived(set, 600), sigs }),
		later("a record less", Bogus, func(s *site, set []dns.RR, sigs list) ([]dns.RR, list) {
			if len(set) > 1 {
				return set[1:], sigs
			}
			return set, nil
		}),
		later("a record more", Bogus, func(_ *site, set []dns.RR, sigs list) ([]dns.RR, list) {
			more := dns.Copy(set[0])
			switch rr := more.(type) { // another one each time: compact denial signs sets of wildcards again for each name
			case *dns.A:
				rr.A = rr.A.To4()
				rr.A[3] ^= 0x55 + byte(len(set))
			case *dns.MX:
				rr.Preference += uint16(len(set))
			case *dns.NS:
				rr.Ns = "ns.partner.nsec."
			default: // of a type that has one record
				return set, nil
			}
			return append(set, more), sigs
		}),
		later("other data", Bogus, func(_ *site, set []dns.RR, sigs list) ([]dns.RR, list) {
			switch rr := set[0].(type) {
			case *dns.A:
				rr.A = rr.A.To4()
				rr.A[3] ^= 0x55
			case *dns.MX:
				rr.Preference++
			case *dns.SOA:
				rr.Serial++
			default:
				return set, list{flipped(sigs[0], 0.3)}
			}
			return set, sigs
		}),
		later("signed by a stranger", Bogus, func(s *site, set []dns.RR, _ list) ([]dns.RR, list) { return set, list{by(s, stranger(s), set)} }),
		later("signed by a stranger, too", Secure, func(s *site, set []dns.RR, sigs list) ([]dns.RR, list) {
			return set, list{by(s, stranger(s), set), sigs[0]}
		}),
		later("signed by the parent", Bogus, func(s *site, set []dns.RR, _ list) ([]dns.RR, list) {
			k := stranger(s)
			if s.parent.signing != nil {
				k = s.parent.signing.ZSK[0]
			}
			return set, list{by(s, k, set)}
		}),
		later("signed by the key signing key", Secure, func(s *site, set []dns.RR, _ list) ([]dns.RR, list) {
			return set, list{by(s, s.signing.KSK[0], set)}
		}),
		later("a wrong signature first", Secure, func(_ *site, set []dns.RR, sigs list) ([]dns.RR, list) {
			return set, list{flipped(sigs[0], 0.5), sigs[0]}
		}),
		later("a wrong signature last", Secure, func(_ *site, set []dns.RR, sigs list) ([]dns.RR, list) {
			return set, list{sigs[0], flipped(sigs[0], 0.5)}
		}),
		later("an expired signature beside", Secure, func(s *site, set []dns.RR, sigs list) ([]dns.RR, list) {
			return set, list{s.signing.ZSK[0].Sign(set, s.b.now-20*day, s.b.now-2*day, nil), sigs[0]}
		}),
		later("an unknown algorithm beside", Secure, func(s *site, set []dns.RR, sigs list) ([]dns.RR, list) {
			return set, list{s.signing.ZSK[0].Sign(set, s.signing.From, s.signing.Until, func(sig *dns.RRSIG) { sig.Algorithm = 200 }), sigs[0]}
		}),
		later("records in another order", Secure, func(_ *site, set []dns.RR, sigs list) ([]dns.RR, list) {
			slices.Reverse(set)
			return set, sigs
		}),
		later("a record twice", Secure, func(_ *site, set []dns.RR, sigs list) ([]dns.RR, list) {
			if _, single := set[0].(*dns.SOA); single {
				return set, sigs
			}
			return append(set, dns.Copy(set[0])), sigs
		}),
		later("owner in upper case", Secure, func(_ *site, set []dns.RR, sigs list) ([]dns.RR, list) {
			for _, rr := range set {
				rr.Header().Name = strings.ToUpper(rr.Header().Name)
			}
			return set, sigs
		}),
		signature("signer in upper case", Secure, func(_ *site, sig *dns.RRSIG) { sig.SignerName = strings.ToUpper(sig.SignerName) }),
		signature("TTL of the signature altered", Secure, func(_ *site, sig *dns.RRSIG) { sig.Hdr.Ttl = 60 }),
		{name: "names in data in upper case", apply: namesInUpperCase},
		{name: "data of many kinds", apply: manyKinds},
	}
}

func lived(set []dns.RR, ttl uint32) []dns.RR {
	for _, rr := range set {
		rr.Header().Ttl = ttl
	}
	return set
}

// namesInUpperCase has each type whose names are made lower case before they are
// signed (RFC 4034, section 6.2; RFC 6840, section 5.1).
func namesInUpperCase(s *site) {
	s.haveAll(map[uint16]string{
		dns.TypeSRV: "1 2 53 WWW.Example.", dns.TypeRP: "Admin.Example. Text.EXAMPLE.", dns.TypeAFSDB: "1 Server.EXAMPLE.", dns.TypePTR: "Pointer.EXAMPLE.",
		dns.TypeKX: "1 Exchange.EXAMPLE.", dns.TypeMX: "5 MAIL.EXAMPLE.", dns.TypeNAPTR: `1 2 "s" "SIP+D2U" "" _SIP._UDP.Example.`,
	})
}

// manyKinds has types without names in them, known and unknown ones.
func manyKinds(s *site) {
	s.haveAll(map[uint16]string{
		dns.TypeTXT: `"Some Text" "" "more"`, dns.TypeCAA: `0 issue "CA.Example"`, dns.TypeTLSA: "3 1 1 " + strings.Repeat("ab", 32),
		dns.TypeSSHFP: "4 2 " + strings.Repeat("CD", 32), dns.TypeHINFO: `"CPU" "Os"`, dns.TypeSVCB: "1 Target.EXAMPLE. alpn=h2 port=8443", dns.TypeLOC: "52 22 23.000 N 4 53 32.000 E -2.00m 0.00m 10000m 10m",
		dns.TypeURI: `1 2 "https://Example/"`, 65280: `\# 4 41424344`, dns.TypeAAAA: "2001:DB8::1",
	})
}

// haveAll gives the site sets at names of their own, and a question about each.
func (s *site) haveAll(sets map[uint16]string) {
	for _, rrtype := range slices.Sorted(maps.Keys(sets)) {
		label := "t" + strings.ToLower(dns.Type(rrtype).String())
		s.extra += label + " " + dns.Type(rrtype).String() + " " + sets[rrtype] + "\n"
		s.asks = append(s.asks, ask{label, rrtype, dns.RcodeSuccess, Secure, []part{keys, data}})
	}
}
