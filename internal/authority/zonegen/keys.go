package zonegen

import (
	"fmt"
	"slices"

	"github.com/miekg/dns"

	"kresd/internal/authority"
)

func isKeys(set []dns.RR) bool { return len(set) > 0 && set[0].Header().Rrtype == dns.TypeDNSKEY }

// key is a further key of the site.
func (s *site) key(flags uint16, seed string) *authority.Key {
	return authority.NewKey(s.name, flags, s.signing.KSK[0].Algorithm, seed)
}

func (s *site) ksk() *authority.Key { return s.signing.KSK[0] }
func (s *site) zsk() *authority.Key { return s.signing.ZSK[0] }

// other is an algorithm that the site does not have.
func (s *site) other() uint8 {
	if s.ksk().Algorithm == dns.ECDSAP256SHA256 {
		return dns.RSASHA256
	}
	return dns.ECDSAP256SHA256
}

// wrong is a DS record with a digest of nothing.
func wrong(ds *dns.DS) *dns.DS {
	out := dns.Copy(ds).(*dns.DS)
	out.Digest = fmt.Sprintf("%0*d", len(out.Digest), 7)
	return out
}

func keyDamages() []damage {
	with := func(name string, p part, status Status, fn func(s *site)) damage {
		return damage{name: name, apply: func(s *site) {
			s.broken[p] = status
			fn(s)
		}}
	}
	parent := func(name string, status Status, fn func(s *site) []dns.RR) damage {
		return with(name, keys, status, func(s *site) { s.ds = fn(s) })
	}
	ds := func(name string, status Status, fn func(ds *dns.DS)) damage {
		return parent(name, status, func(s *site) []dns.RR {
			d := s.ksk().DS(dns.SHA256)
			fn(d)
			return []dns.RR{d}
		})
	}
	flags := func(n uint16) func(*dns.DNSKEY) { return func(k *dns.DNSKEY) { k.Flags = n } }
	return []damage{
		with("signature of the DNSKEY set", keys, Bogus, func(s *site) {
			s.afterwards(isKeys, func(set []dns.RR, sigs []*dns.RRSIG) ([]dns.RR, []*dns.RRSIG) {
				return set, []*dns.RRSIG{flipped(sigs[0], 0.6)}
			})
		}),
		with("DNSKEY set without signature", keys, Bogus, func(s *site) {
			s.afterwards(isKeys, func(set []dns.RR, _ []*dns.RRSIG) ([]dns.RR, []*dns.RRSIG) { return set, nil })
		}),
		with("DNSKEY set expired", keys, Bogus, func(s *site) {
			s.seal(isKeys, func(sig *dns.RRSIG) { sig.Inception, sig.Expiration = s.b.now-20*day, s.b.now-2*day })
		}),
		with("all expired", keys, Bogus, func(s *site) { s.signing.From, s.signing.Until = s.b.now-20*day, s.b.now-2*day }),
		with("all in the future", keys, Bogus, func(s *site) { s.signing.From, s.signing.Until = s.b.now+2*day, s.b.now+20*day }),
		with("zone signing key missing", data, Bogus, func(s *site) { s.signing.Published = s.signing.KSK }),
		with("key signing key missing", keys, Bogus, func(s *site) { s.signing.Published = s.signing.ZSK }),
		with("DNSKEY set signed by the zone signing key", keys, Bogus, func(s *site) {
			s.signing.Published = slices.Concat(s.signing.KSK, s.signing.ZSK)
			s.signing.KSK = s.signing.ZSK
		}),
		with("a key more than was signed", keys, Bogus, func(s *site) {
			s.afterwards(isKeys, func(set []dns.RR, sigs []*dns.RRSIG) ([]dns.RR, []*dns.RRSIG) {
				return append(set, s.key(authority.ZSK, "late").Record()), sigs
			})
		}),
		ds("DS with another digest", Bogus, func(d *dns.DS) { d.Digest = wrong(d).Digest }),
		ds("DS with another tag", Bogus, func(d *dns.DS) { d.KeyTag ^= 0x1234 }),
		parent("DS with another algorithm", Bogus, func(s *site) []dns.RR {
			d := s.ksk().DS(dns.SHA256)
			d.Algorithm = s.other()
			return []dns.RR{d}
		}),
		ds("DS with a digest cut short", Bogus, func(d *dns.DS) { d.Digest = d.Digest[:40] }),
		ds("DS of an unknown digest", Insecure, func(d *dns.DS) { d.DigestType = 77 }),
		ds("DS of GOST digest", Insecure, func(d *dns.DS) { d.DigestType = 3 }), // RFC 9906
		ds("DS of digest 0", Insecure, func(d *dns.DS) { d.DigestType = 0 }),
		ds("DS of an unknown algorithm", Insecure, func(d *dns.DS) { d.Algorithm = 200 }),
		ds("DS of algorithm 0", Unclear, func(d *dns.DS) { d.Algorithm = 0 }), // RFC 8078 has it for CDS alone
		parent("DS of unknown and of known digest", Secure, func(s *site) []dns.RR {
			return []dns.RR{s.ksk().DS(77), s.ksk().DS(dns.SHA256)}
		}),
		parent("DS of an unknown algorithm beside", Secure, func(s *site) []dns.RR {
			d := s.ksk().DS(dns.SHA256)
			d.Algorithm = 200
			return []dns.RR{d, s.ksk().DS(dns.SHA256)}
		}),
		parent("a wrong DS beside", Secure, func(s *site) []dns.RR {
			return []dns.RR{wrong(s.ksk().DS(dns.SHA256)), s.ksk().DS(dns.SHA256)}
		}),
		parent("DS by SHA-1 alone", Secure, func(s *site) []dns.RR { return []dns.RR{s.ksk().DS(dns.SHA1)} }),
		parent("DS by SHA-384 alone", Secure, func(s *site) []dns.RR { return []dns.RR{s.ksk().DS(dns.SHA384)} }),
		parent("DS by all digests", Secure, func(s *site) []dns.RR {
			return []dns.RR{s.ksk().DS(dns.SHA1), s.ksk().DS(dns.SHA256), s.ksk().DS(dns.SHA384)}
		}),
		parent("a DS by SHA-256 that is wrong beside a good one by SHA-1", Bogus, func(s *site) []dns.RR { // RFC 4509, section 3
			return []dns.RR{s.ksk().DS(dns.SHA1), wrong(s.ksk().DS(dns.SHA256))}
		}),
		parent("a DS by SHA-1 that is wrong beside a good one by SHA-256", Secure, func(s *site) []dns.RR {
			return []dns.RR{wrong(s.ksk().DS(dns.SHA1)), s.ksk().DS(dns.SHA256)}
		}),
		parent("a DS by SHA-384 that is wrong beside a good one by SHA-256", Unclear, func(s *site) []dns.RR {
			return []dns.RR{wrong(s.ksk().DS(dns.SHA384)), s.ksk().DS(dns.SHA256)}
		}),
		parent("seven DS for keys that are not there", Secure, func(s *site) []dns.RR {
			var out []dns.RR
			for i := range 7 {
				out = append(out, s.key(authority.KSK, fmt.Sprint("absent", i)).DS(dns.SHA256))
			}
			return append(out, s.ksk().DS(dns.SHA256))
		}),
		with("zone gone insecure", keys, Insecure, func(s *site) { s.ds = nil }),
		with("DS of a zone that is not signed", keys, Bogus, func(s *site) { s.signing = nil }),
		with("algorithm unknown", keys, Insecure, unknownAlgorithm(200)),
		with("algorithm of private use", keys, Insecure, unknownAlgorithm(253)),
		with("algorithm DSA", keys, Insecure, unknownAlgorithm(3)),
		with("algorithm RSA/MD5", keys, Insecure, unknownAlgorithm(1)),
		with("algorithm GOST", keys, Insecure, unknownAlgorithm(12)), // RFC 9906
		with("one key for all", keys, Secure, func(s *site) { s.signing.ZSK = s.signing.KSK }),
		with("a key without SEP", keys, Secure, func(s *site) {
			s.signing.KSK, s.ds = s.signing.ZSK, []dns.RR{s.zsk().DS(dns.SHA256)}
		}),
		with("standby keys", keys, Secure, func(s *site) {
			s.signing.Published = slices.Concat(s.signing.KSK, s.signing.ZSK, []*authority.Key{s.key(authority.KSK, "standby"), s.key(authority.ZSK, "standby")})
		}),
		with("standby DS", keys, Secure, func(s *site) { s.ds = append(s.ds, s.key(authority.KSK, "standby").DS(dns.SHA256)) }),
		with("rollover: double signature", keys, Secure, func(s *site) {
			s.signing.KSK = append(s.signing.KSK, s.key(authority.KSK, "next"))
			s.signing.ZSK = append(s.signing.ZSK, s.key(authority.ZSK, "next"))
		}),
		with("rollover: double DS", keys, Secure, func(s *site) {
			next := s.key(authority.KSK, "next")
			s.ds = append(s.ds, next.DS(dns.SHA256))
			s.signing.KSK = []*authority.Key{next}
		}),
		with("rollover: signed by the next key", keys, Secure, func(s *site) {
			old := s.signing.ZSK
			s.signing.ZSK = []*authority.Key{s.key(authority.ZSK, "next")}
			s.signing.Published = slices.Concat(s.signing.KSK, old, s.signing.ZSK)
		}),
		with("rollover of algorithms: all signed by both", keys, Secure, func(s *site) { s.beside(true, true) }),
		with("rollover of algorithms: data signed by the old one", keys, Secure, func(s *site) { s.beside(true, false) }), // RFC 6840, section 5.11
		with("rollover of algorithms: keys signed by the old one", keys, Secure, func(s *site) { s.beside(false, true) }),
		with("rollover of algorithms: nothing signed by the new one", keys, Secure, func(s *site) { s.beside(false, false) }),
		with("rollover: wrong signature by the new algorithm", www, Secure, func(s *site) {
			s.beside(true, true)
			t := target{www, "www", dns.TypeA}
			s.afterwards(func(set []dns.RR) bool { return s.is(t, set) }, func(set []dns.RR, sigs []*dns.RRSIG) ([]dns.RR, []*dns.RRSIG) {
				return set, []*dns.RRSIG{sigs[0], flipped(sigs[1], 0.5)}
			})
		}),
		with("an unknown algorithm beside a known one", keys, Secure, func(s *site) {
			k := authority.NewKey(s.name, authority.KSK, 200, "unknown")
			s.signing.KSK = append(s.signing.KSK, k)
			s.ds = append(s.ds, k.DS(dns.SHA256))
		}),
		with("signed by an unknown algorithm, DS of a known one, too", keys, Bogus, func(s *site) {
			k := authority.NewKey(s.name, authority.KSK, 200, "unknown")
			s.signing.Published = slices.Concat(s.signing.KSK, s.signing.ZSK, []*authority.Key{k})
			s.signing.KSK = []*authority.Key{k}
			s.ds = append(s.ds, k.DS(dns.SHA256))
		}),
		with("many keys", keys, Secure, func(s *site) {
			s.signing.Published = slices.Clone(s.signing.KSK)
			for i := range 12 {
				s.signing.Published = append(s.signing.Published, s.key(authority.ZSK, fmt.Sprint("one of many", i)))
			}
			s.signing.Published = append(s.signing.Published, s.signing.ZSK...)
		}),
		with("another key of the same tag", keys, Secure, sameTag),
		with("a revoked key beside", keys, Secure, func(s *site) {
			s.signing.KSK = append(s.signing.KSK, s.key(authority.KSK, "old").With(flags(authority.KSK|dns.REVOKE)))
		}),
		with("only a revoked key", keys, Unclear, func(s *site) {
			s.signing.KSK = []*authority.Key{s.ksk().With(flags(authority.KSK | dns.REVOKE))}
			s.ds = []dns.RR{s.ksk().DS(dns.SHA256)}
		}),
		with("the key of the DS is revoked", keys, Bogus, func(s *site) { // its tag is another
			s.signing.KSK = []*authority.Key{s.ksk().With(flags(authority.KSK | dns.REVOKE))}
		}),
		with("data signed by a revoked key", data, Bogus, func(s *site) {
			s.signing.ZSK = []*authority.Key{s.zsk().With(flags(authority.ZSK | dns.REVOKE))}
		}),
		with("key signing key is no zone key", keys, Bogus, func(s *site) {
			s.signing.KSK = []*authority.Key{s.ksk().With(flags(dns.SEP))}
			s.ds = []dns.RR{s.ksk().DS(dns.SHA256)}
		}),
		with("zone signing key is no zone key", data, Bogus, func(s *site) {
			s.signing.ZSK = []*authority.Key{s.zsk().With(flags(0))}
		}),
		with("unknown flags of a key", keys, Secure, func(s *site) { // RFC 4034, section 2.1.1
			s.signing.ZSK = []*authority.Key{s.zsk().With(flags(authority.ZSK | 2))}
		}),
		with("key signing key of protocol 4", keys, Bogus, func(s *site) {
			s.signing.KSK = []*authority.Key{s.ksk().With(func(k *dns.DNSKEY) { k.Protocol = 4 })}
			s.ds = []dns.RR{s.ksk().DS(dns.SHA256)}
		}),
		with("zone signing key of protocol 4", data, Bogus, func(s *site) {
			s.signing.ZSK = []*authority.Key{s.zsk().With(func(k *dns.DNSKEY) { k.Protocol = 4 })}
		}),
		with("key signing key is no key", keys, Bogus, func(s *site) {
			s.signing.KSK = []*authority.Key{s.ksk().With(func(k *dns.DNSKEY) { k.PublicKey = "AAAA" })}
			s.ds = []dns.RR{s.ksk().DS(dns.SHA256)}
		}),
	}
}

// unknownAlgorithm signs with what nobody has to know.
func unknownAlgorithm(algorithm uint8) func(*site) {
	return func(s *site) { s.sign(s.signing.Denial, algorithm) }
}

// beside adds keys of another algorithm, with a DS, that sign the DNSKEY set, the
// data, or nothing.
func (s *site) beside(signsKeys, signsData bool) {
	ksk, zsk := authority.NewKey(s.name, authority.KSK, s.other(), "second"), authority.NewKey(s.name, authority.ZSK, s.other(), "second")
	s.ds = append(s.ds, ksk.DS(dns.SHA256))
	s.signing.Published = slices.Concat(s.signing.KSK, s.signing.ZSK, []*authority.Key{ksk, zsk})
	if signsKeys {
		s.signing.KSK = append(s.signing.KSK, ksk)
	}
	if signsData {
		s.signing.ZSK = append(s.signing.ZSK, zsk)
	}
}

// sameTag publishes two zone signing keys that nobody can tell apart by their tag,
// the one that does not sign first.
func sameTag(s *site) {
	seen := map[uint16]*authority.Key{}
	for i := 0; ; i++ {
		k := authority.NewKey(s.name, authority.ZSK, dns.ED25519, fmt.Sprint("twin", i))
		twin := seen[k.KeyTag()]
		if twin == nil {
			seen[k.KeyTag()] = k
			continue
		}
		ksk := authority.NewKey(s.name, authority.KSK, dns.ED25519, "ksk")
		s.signing.KSK, s.signing.ZSK = []*authority.Key{ksk}, []*authority.Key{k}
		s.signing.Published = []*authority.Key{twin, ksk, k}
		s.ds = []dns.RR{ksk.DS(dns.SHA256)}
		return
	}
}
