package dnssec

import (
	"bytes"
	"encoding/binary"

	"kresd/internal/dnsname"
	"kresd/internal/limits"
	"kresd/internal/wire"
)

// A Link is an NSEC or NSEC3 set as one link of the chain of its zone: where in the chain
// it stands and how far it reaches. It is for a cache that keeps denials for further
// questions (RFC 8198); what links prove is told by Denials.
type Link struct {
	// Owner is that of an NSEC set, "" for NSEC3.
	Owner dnsname.Name
	// Chain and Hash are what stands for the owner of an NSEC3 set.
	Chain Chain
	Hash  [20]byte
	// Minimal tells that the range was made for one question and covers hardly
	// another name ("black lies", RFC 4470 and RFC 9824; "white lies", RFC 7129,
	// appendix B).
	Minimal bool

	next  dnsname.Name
	span  nsec3
	types types
}

// A Chain is what the NSEC3 records of one chain have in common (RFC 5155, section
// 3.1). Their algorithm is SHA-1.
type Chain struct {
	Iterations uint16
	Salt       string
}

// NewLink reads a denial of a zone; ok is false where it proves nothing about the
// zone (HARDENING A2), or is hashed too often.
func NewLink(zone dnsname.Name, set *wire.RRset) (l Link, ok bool) {
	switch set.Type {
	case wire.TypeNSEC:
		if n, ok := parseNSEC(zone, set); ok {
			return Link{Owner: n.owner, next: n.next, types: n.types, Minimal: n.minimal()}, true
		}
	case wire.TypeNSEC3:
		if n, of, ok := parseNSEC3(zone, set); ok && of.iterations <= limits.NSEC3Iterations {
			return Link{Chain: Chain{of.iterations, of.salt}, Hash: n.owner, Minimal: n.minimal(), span: n, types: n.types}, true
		}
	}
	return l, false
}

// Next is the next name of an NSEC set.
func (l *Link) Next() dnsname.Name { return l.next }

// NextHash is the next hash of an NSEC3 set.
func (l *Link) NextHash() [20]byte { return l.span.next }

// Spans tells whether the owner of an NSEC set is the name, or the name lies between
// the owner and the next one in canonical order.
func (l *Link) Spans(name dnsname.Name) bool {
	switch c := dnsname.Compare(l.Owner, name); {
	case l.Owner == "" || c > 0:
		return false
	case c == 0:
		return true
	}
	return dnsname.Compare(name, l.next) < 0 || dnsname.Compare(l.next, l.Owner) <= 0
}

// SpansHash is Spans for the hash of a name and an NSEC3 set.
func (l *Link) SpansHash(h [20]byte) bool {
	return l.Owner == "" && (l.Hash == h || l.span.covers(h))
}

// Owns tells whether the link's owner is the name, as far as h may hash it.
func (l *Link) Owns(name dnsname.Name, h *Hasher) bool {
	if l.Owner != "" {
		return l.Owner == name
	}
	sum, err := h.Hash(l.Chain, name)
	return err == nil && l.Hash == sum
}

// Covers tells whether the hash of a name lies strictly in the range of an NSEC3 set,
// which does not opt out, as far as h may hash the name.
func (l *Link) Covers(name dnsname.Name, h *Hasher) bool {
	sum, err := h.Hash(l.Chain, name)
	return err == nil && l.Owner == "" && l.span.covers(sum) && !l.span.optOut
}

// Delegates tells whether the owner is a zone cut, seen from above.
func (l *Link) Delegates() bool { return l.types.delegates() }

// Encloser is the closest encloser of a name that lies in the range of an NSEC set:
// the longest ancestor that the name shares with one of the two names that exist.
func (l *Link) Encloser(name dnsname.Name) dnsname.Name {
	n := nsec{owner: l.Owner, next: l.next}
	return n.encloser(name)
}

// OptOut tells that an NSEC3 set says nothing about delegations without a DS set (RFC
// 5155, section 6).
func (l *Link) OptOut() bool { return l.span.optOut }

// typeNXNAME marks a name that does not exist in compact denials (RFC 9824, section
// 3.3).
const typeNXNAME = 128

// minimal tells whether the record was made for one question. Either its owner has
// nothing but the record itself, which no name of a zone has (RFC 4470, section 3,
// and RFC 9824, section 3.1, for names that do not exist or have only others below
// them), or the next name is the first that could follow.
func (n *nsec) minimal() bool {
	if n.types.ofDenialOnly() {
		return true
	}
	if n.owner.IsRoot() || n.next.IsRoot() {
		return false
	}
	if n.next.Label() == "\x00" && n.next.Parent() == n.owner {
		return true
	}
	return n.next.Label() == n.owner.Label()+"\x00" && n.next.Parent() == n.owner.Parent()
}

// ofDenialOnly tells whether an NSEC record has no types but its own, those of its
// signature and of compact denial.
func (t types) ofDenialOnly() bool {
	for ; len(t) > 0; t = t[2+int(t[1]):] {
		for i, bits := range t[2 : 2+int(t[1])] {
			for bit := range 8 {
				if bits&(0x80>>bit) == 0 {
					continue
				}
				switch int(t[0])<<8 | i<<3 | bit {
				case int(wire.TypeRRSIG), int(wire.TypeNSEC), typeNXNAME:
				default:
					return false
				}
			}
		}
	}
	return true
}

// minimal tells whether the range is so small that no chain of honest hashes has
// it: less than two parts in 2^64 of all hashes. A chain of one record leads from
// itself to itself and covers everything.
func (n *nsec3) minimal() bool {
	if bytes.Equal(n.owner[:], n.next[:]) {
		return false
	}
	return binary.BigEndian.Uint64(n.next[:])-binary.BigEndian.Uint64(n.owner[:]) <= 1
}
