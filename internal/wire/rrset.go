package wire

import (
	"encoding/binary"

	"kresd/internal/dnsname"
)

// RRset is the records of one owner, type and class with the signatures that
// cover them (RFC 2181, section 5). RDATA is canonical wire form.
type RRset struct {
	Owner dnsname.Name
	Type  uint16
	Class uint16
	TTL   uint32   // the smallest of its records' (RFC 2181, section 5.2)
	Data  [][]byte // RDATA of each record, none twice
	Sigs  [][]byte // RDATA of each RRSIG that covers the set
}

// Covered is the type that the RRSIG in rdata covers (RFC 4034, section 3.1.1).
func Covered(rdata []byte) uint16 { return binary.BigEndian.Uint16(rdata) }

// SigFixed is the length in octets of an RRSIG's RDATA before the signer's name,
// and so the least that one has (RFC 4034, section 3.1).
const SigFixed = 18

// SigLabels is the number of labels in the owner of the set as it was signed,
// without the root and without a leading * (RFC 4034, section 3.1.3).
func SigLabels(rdata []byte) int { return int(rdata[3]) }

// Signer is the zone that made a signature, from the RDATA of an RRSIG (RFC 4034,
// section 3.1.7); "" when it has no such name.
func Signer(rdata []byte) dnsname.Name {
	if len(rdata) < SigFixed {
		return ""
	}
	return Target(rdata[SigFixed:])
}

// Expanded tells whether a wildcard made the set: a signature covers fewer labels
// than the owner has. The wildcard's own records, asked for by its name, are not
// expanded (RFC 4035, section 5.3.4).
func (s *RRset) Expanded() bool {
	labels := s.Owner.Labels()
	if s.Owner.IsWildcard() {
		labels--
	}
	for _, sig := range s.Sigs {
		if len(sig) >= SigFixed && SigLabels(sig) < labels {
			return true
		}
	}
	return false
}

// OnlyAtApex tells whether signed sets of a type are those of a zone's apex: elsewhere a
// zone has no SOA and no keys, and signs no NS set, which belongs to the zone below there
// (RFC 4035, section 2.2). So whoever signs one is the zone that contains it (section
// 5.3.1), or nobody who may; of other types that cannot be told without knowing where
// zones begin.
func OnlyAtApex(rrtype uint16) bool {
	return rrtype == TypeSOA || rrtype == TypeNS || rrtype == TypeDNSKEY
}

// SignedWithin is the zone that signed the set, of those that may have: the set lies
// in it, it is not above the zone cut whose servers were asked, which were not asked for
// it, a DS set belongs to its parent (RFC 4035, section 3.1.4.1), and what signed zones
// have at their apex alone to the zone of that name. Of several the closest to the set
// counts. cut is "" where no servers were asked; the zone is ""
// where none that may have signed the set.
func (s *RRset) SignedWithin(cut dnsname.Name) (zone dnsname.Name) {
	for _, sig := range s.Sigs {
		by := Signer(sig)
		switch {
		case by == "" || !s.Owner.IsSubdomainOf(by), s.Type == TypeDS && by == s.Owner:
		case OnlyAtApex(s.Type) && by != s.Owner:
		case cut != "" && !by.IsSubdomainOf(cut):
		case zone == "" || by.IsStrictlyBelow(zone):
			zone = by
		}
	}
	return zone
}

// Synthesized is the CNAME that a DNAME set stands for at a name below its owner,
// which leads to target. It has the DNAME's TTL and no signature (RFC 6672, section 3.1).
func (s *RRset) Synthesized(name, target dnsname.Name) RRset {
	return RRset{Owner: name, Type: TypeCNAME, Class: s.Class, TTL: s.TTL, Data: [][]byte{[]byte(target)}}
}

// SynthesizedBy tells whether the set is the CNAME that the DNAME set before it in an
// answer stands for, which is not signed by itself (RFC 6672, section 5.3.1).
func (s *RRset) SynthesizedBy(before *RRset) bool {
	return before.Type == TypeDNAME && s.Type == TypeCNAME && len(s.Sigs) == 0 && s.Owner.IsStrictlyBelow(before.Owner)
}

// Target is the name that a CNAME, DNAME, NS or PTR record points to. It is ""
// when rdata holds no name.
func Target(rdata []byte) dnsname.Name {
	n, err := dnsname.FromWire(rdata)
	if err != nil {
		return ""
	}
	return n
}

// SOAMinimum is the smaller of the MINIMUM field and nothing else: the last
// field of the SOA's RDATA (RFC 1035, section 3.3.13). Parse has checked the
// length; for other octets it is 0.
func SOAMinimum(rdata []byte) uint32 {
	if len(rdata) < 22 {
		return 0
	}
	return binary.BigEndian.Uint32(rdata[len(rdata)-4:])
}
