package authority

import (
	"slices"
	"strings"

	"github.com/miekg/dns"
)

// A Signing says how a zone is signed (RFC 4035, section 2). Keys and times are the
// caller's; the same Signing of the same zone gives the same records.
type Signing struct {
	// KSK sign the DNSKEY set and ZSK all others; a key may stand in both.
	KSK, ZSK []*Key
	// Published is the DNSKEY set; nil: KSK and ZSK.
	Published []*Key
	// From and Until are the wall seconds between which signatures are valid.
	From, Until uint32
	Denial      Denial

	// Before may alter a set ahead of its signatures, Seal a signature ahead of its
	// being made, After what comes of both: the three places where a zone goes wrong.
	Before func(set []dns.RR) []dns.RR
	Seal   func(set []dns.RR, sig *dns.RRSIG)
	After  func(set, sigs []dns.RR) (set2, sigs2 []dns.RR)
}

// A Kind is a way to prove what is not there.
type Kind uint8

// Kinds of denial.
const (
	NSEC         Kind = iota // a chain of names
	NSEC3                    // a chain of hashes (RFC 5155)
	MinimalNSEC              // ranges made for each question (RFC 4470)
	MinimalNSEC3             // likewise of hashes (RFC 7129, appendix B)
	Compact                  // a name that is not there has no types (RFC 9824)
)

// A Denial says how a zone denies. Iterations, Salt (hexadecimal) and OptOut are
// for the hashed kinds.
type Denial struct {
	Kind       Kind
	Iterations uint16
	Salt       string
	OptOut     bool
}

// denier proves, with signed records, what a zone does not have (RFC 4035, section
// 3.1.3; RFC 5155, section 7.2). A closest encloser is the longest ancestor of a
// name that the zone has.
type denier interface {
	// noName: there is neither the name nor the wildcard at the encloser.
	noName(name, encloser string) []dns.RR
	// noType: the name is there, perhaps as an empty non-terminal, and lacks the type.
	noType(name string) []dns.RR
	// expanded: the name is not there, so that the wildcard at the encloser counts.
	expanded(name, encloser string) []dns.RR
	// noTypeExpanded: likewise, and the wildcard lacks the type.
	noTypeExpanded(name, encloser string) []dns.RR
}

// Sign signs the zone. What was delegated has its DS sets by then.
func (z *Zone) Sign(s Signing) {
	z.signing = &s
	keys := s.Published
	if keys == nil {
		keys = slices.Concat(s.KSK, s.ZSK)
	}
	apex := z.nodes[z.origin]
	for i, k := range keys {
		if !slices.Contains(keys[:i], k) {
			apex[dns.TypeDNSKEY] = append(apex[dns.TypeDNSKEY], k.Record())
		}
	}
	if s.Denial.hashed() {
		apex[dns.TypeNSEC3PARAM] = []dns.RR{s.Denial.param(z.origin)}
	}
	for name, n := range z.nodes {
		if z.hidden(name) {
			continue
		}
		for _, rrtype := range n.types() {
			if z.signs(name, rrtype) {
				z.seal(n, rrtype)
			}
		}
	}
	z.denier = s.Denial.of(z)
}

// NoType is what a signed zone shows to prove that a name of its own lacks a type.
func (z *Zone) NoType(name string) []dns.RR { return z.denier.noType(dns.CanonicalName(name)) }

// seal puts a signed set into its node.
func (z *Zone) seal(n node, rrtype uint16) {
	set, sigs := z.signed(n[rrtype])
	n[dns.TypeRRSIG] = append(n[dns.TypeRRSIG], sigs...)
	if n[rrtype] = set; len(set) == 0 {
		delete(n, rrtype)
	}
}

// signed is a set with its signatures, as the zone's owner makes them.
func (z *Zone) signed(set []dns.RR) (_, sigs []dns.RR) {
	s := z.signing
	if s.Before != nil {
		set = s.Before(set)
	}
	keys := s.ZSK
	if len(set) > 0 && set[0].Header().Rrtype == dns.TypeDNSKEY {
		keys = s.KSK
	}
	for _, k := range keys {
		if len(set) > 0 {
			sigs = append(sigs, k.Sign(set, s.From, s.Until, func(sig *dns.RRSIG) {
				if s.Seal != nil {
					s.Seal(set, sig)
				}
			}))
		}
	}
	if s.After != nil {
		set, sigs = s.After(set, sigs)
	}
	return set, sigs
}

// together is a set with its signatures behind it.
func (z *Zone) together(set ...dns.RR) []dns.RR {
	set, sigs := z.signed(set)
	return slices.Concat(set, sigs)
}

// hidden tells whether a name lies below a zone cut or a DNAME, so that the zone
// does not answer for it.
func (z *Zone) hidden(name string) bool {
	for n := name; n != z.origin; {
		n = parent(n)
		if z.nodes[n].redirects() || n != z.origin && z.nodes[n].delegates() {
			return true
		}
	}
	return false
}

// signs tells whether a set of a name has signatures: the NS set of a delegation
// and its glue have none (RFC 4035, section 2.2).
func (z *Zone) signs(name string, rrtype uint16) bool {
	return name == z.origin || !z.nodes[name].delegates() || rrtype == dns.TypeDS || rrtype == dns.TypeNSEC
}

func (n node) delegates() bool { return len(n[dns.TypeNS]) > 0 }

func (n node) redirects() bool { return len(n[dns.TypeDNAME]) > 0 }

// types are the types of the node's sets, in order, without those of signatures.
func (n node) types() []uint16 {
	var out []uint16
	for rrtype := range n {
		if rrtype != dns.TypeRRSIG {
			out = append(out, rrtype)
		}
	}
	slices.Sort(out)
	return out
}

// bitmap are the types that a denial at a name lists. Beside a zone cut glue is not
// the parent's to tell (RFC 4035, section 2.3).
func (z *Zone) bitmap(name string, more ...uint16) []uint16 {
	n := z.nodes[name]
	out := slices.Clone(more)
	sealed := false
	for _, rrtype := range n.types() {
		if rrtype == dns.TypeNS || z.signs(name, rrtype) {
			out = append(out, rrtype)
		}
		sealed = sealed || z.signs(name, rrtype)
	}
	if sealed {
		out = append(out, dns.TypeRRSIG)
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// negativeTTL is how long a denial lives (RFC 9077).
func (z *Zone) negativeTTL() uint32 { return min(z.soa.Hdr.Ttl, z.soa.Minttl) }

func (d Denial) hashed() bool { return d.Kind == NSEC3 || d.Kind == MinimalNSEC3 }

// of makes what proves the denials of a zone.
func (d Denial) of(z *Zone) denier {
	switch d.Kind {
	case NSEC3, MinimalNSEC3:
		return newHashChain(z, d)
	case MinimalNSEC:
		return minimal{z}
	case Compact:
		return compact{z}
	}
	return newChain(z)
}

func isWildcard(name string) bool { return strings.HasPrefix(name, "*.") }
