package dnssec

import (
	"kresd/internal/dnsname"
	"kresd/internal/wire"
)

// A Proof is what denials amount to for a claim.
type Proof uint8

// Proofs.
const (
	// Unproven: they do not show it.
	Unproven Proof = iota
	// Proven: the zone has signed that it is so.
	Proven
	// Unsigned: it may be so: what is there is not signed, since an opt-out range lies
	// over it (RFC 5155, section 6), or the zone's hashes cost too much (RFC 9276,
	// section 3.2). Insecure, not bogus.
	Unsigned
)

// Denials are the NSEC and NSEC3 sets of one zone in one answer, each verified by
// that zone's keys. A zone has one of the two, but while it goes over from one to the
// other (RFC 5155, sections 10.4 and 10.5): then what either proves is proven.
type Denials struct {
	zone   dnsname.Name
	plain  []nsec
	hash   *hashes
	hasher *Hasher
	// costly tells of a chain that asks for more rounds of hashing than are done (RFC 9276,
	// section 3.2), and leftOpen that a claim was left open for it alone (refuted.go).
	costly, leftOpen bool
}

// NewDenials reads denials of a zone. Sets that are no denials, or that speak of names
// outside the zone, are left out: they prove nothing (HARDENING A2). Sets that a wildcard
// made must not be among them (Verify refuses those).
func NewDenials(zone dnsname.Name, sets []*wire.RRset, m Meter) *Denials {
	return NewHasher(m).Denials(zone, sets)
}

// Denials is NewDenials for somebody who has hashed some of the names already.
func (h *Hasher) Denials(zone dnsname.Name, sets []*wire.RRset) *Denials {
	d := &Denials{zone: zone, hasher: h}
	for _, s := range sets {
		switch s.Type {
		case wire.TypeNSEC:
			if n, ok := parseNSEC(zone, s); ok {
				d.plain = append(d.plain, n)
			}
		case wire.TypeNSEC3:
			d.addHashed(s)
		}
	}
	return d
}

// Costly tells that the zone asks for more rounds of hashing than are done, so that
// whatever it denies is insecure, unless another chain has proved it.
func (d *Denials) Costly() bool { return d.costly && (d.hash == nil || d.leftOpen) }

// NameError judges the claim that a name does not exist, and no wildcard that would
// stand for it (RFC 4035, section 5.4; RFC 5155, section 8.4).
func (d *Denials) NameError(name dnsname.Name) (p Proof, err error) {
	if p = d.nameError(name); p != Proven && d.hash != nil {
		p, err = d.hash.nameError(name)
	}
	return d.settled(p, err, func() (bool, error) { return d.stands(name) })
}

// NoData judges the claim that a name, or the wildcard that stands for it, has no
// records of a type (RFC 4035, section 5.4; RFC 5155, sections 8.5 to 8.7). For DS
// the denial must be the parent's (RFC 6840, section 4.1).
func (d *Denials) NoData(name dnsname.Name, qtype uint16) (p Proof, err error) {
	if p = d.noData(name, qtype); p != Proven && d.hash != nil {
		p, err = d.hash.noData(name, qtype)
	}
	return d.settled(p, err, func() (bool, error) { return d.shows(name, qtype) })
}

// Expanded judges the claim that a name does not exist and that the wildcard at
// encloser is the one to stand for it (RFC 4035, section 5.3.4; RFC 5155, section
// 8.8).
func (d *Denials) Expanded(name, encloser dnsname.Name) (p Proof, err error) {
	if p = d.expanded(name, encloser); p != Proven && d.hash != nil {
		p, err = d.hash.expanded(name, encloser)
	}
	return d.settled(p, err, func() (bool, error) { return d.enclosedBelow(name, encloser) })
}

// Cut judges the claim of a zone that a name below its apex is delegated without a
// DS set (RFC 4035, section 5.2; RFC 5155, section 8.9). cut tells that the denial
// itself says that the name is a delegation; Proven without it means that there is
// no zone cut at the name.
func (d *Denials) Cut(name dnsname.Name) (p Proof, cut bool, err error) {
	if p, cut = d.plainCut(name); p != Proven && d.hash != nil {
		p, cut, err = d.hash.cut(name)
	}
	p, err = d.settled(p, err, func() (bool, error) { return d.owns(name, wire.TypeDS) })
	return p, cut || p == Unsigned, err
}

// Damaged tells that an NSEC or NSEC3 set cannot be read, because the list of types of one
// of its records is malformed: nobody knows what the zone meant to deny by it.
func Damaged(set *wire.RRset) bool {
	for _, rdata := range set.Data {
		if t, ok := typesOf(set.Type, rdata); !ok || !wire.IsBitmap(t) {
			return true
		}
	}
	return false
}

// types are the type bits of a denial.
type types []byte

// typesOf are those of the RDATA of an NSEC or NSEC3 record; ok is false for what is none.
func typesOf(rrtype uint16, rdata []byte) (t types, ok bool) {
	switch rrtype {
	case wire.TypeNSEC:
		next, err := dnsname.FromWire(rdata)
		if err != nil {
			return nil, false
		}
		return types(rdata[next.Len():]), true
	case wire.TypeNSEC3:
		rest := rdata
		for _, fixed := range [...]int{nsec3Fixed - 1, 0} { // each ahead of a length and as many octets
			if len(rest) <= fixed || len(rest) < fixed+1+int(rest[fixed]) {
				return nil, false
			}
			rest = rest[fixed+1+int(rest[fixed]):]
		}
		return types(rest), true
	}
	return nil, false
}

func (t types) has(rrtype uint16) bool { return wire.InBitmap(t, rrtype) }

// delegates tells whether the owner is a zone cut, seen from above.
func (t types) delegates() bool { return t.has(wire.TypeNS) && !t.has(wire.TypeSOA) }

// below tells whether the denial says anything about names below its owner: these
// are another zone's, or redirected (RFC 6840, section 4.1).
func (t types) below() bool { return !t.delegates() && !t.has(wire.TypeDNAME) }

// lacks tells whether the denial shows that its owner has no records of a type. A
// CNAME would have been the answer (RFC 6840, section 4.3), and the two sides of a
// zone cut know different types: the parent knows DS, the child everything else.
func (t types) lacks(rrtype uint16, atApexOfRoot bool) bool {
	if t.has(rrtype) || t.has(wire.TypeCNAME) {
		return false
	}
	if rrtype == wire.TypeDS {
		return atApexOfRoot || !t.has(wire.TypeSOA)
	}
	return !t.delegates()
}
