package dnssec

import (
	"kresd/internal/dnsname"
	"kresd/internal/wire"
)

// settled is what a claim comes to of which the records that can be read show p. What they
// do not show may be so where a chain is there that costs too much, and is so far as is
// known where a range opts out; but not what another of these records refutes, whose
// signature holds as well.
func (d *Denials) settled(p Proof, err error, refuted func() (bool, error)) (Proof, error) {
	if err != nil || p == Proven || p == Unproven && !d.costly {
		return p, err
	}
	switch wrong, err := refuted(); {
	case err != nil:
		return Unproven, err
	case wrong:
		return Unproven, nil
	}
	d.leftOpen = d.leftOpen || p == Unproven
	return Unsigned, nil
}

// stands tells whether records show that a name exists, or that a wildcard stands for it.
func (d *Denials) stands(name dnsname.Name) (bool, error) {
	if yes, err := d.exists(name); yes || err != nil {
		return yes, err
	}
	wildcard, err := d.wildcardFor(name)
	if wildcard == "" || err != nil {
		return false, err
	}
	return d.exists(wildcard)
}

// exists tells whether records show that a name exists, though it may have but others below
// it.
func (d *Denials) exists(name dnsname.Name) (bool, error) {
	if n := d.at(name); n != nil {
		return !n.types.has(wire.TypeNXNAME), nil
	}
	if d.empty(name) {
		return true, nil
	}
	at, err := d.hashedAt(name)
	return at != nil, err
}

// shows tells whether records show that a name, or the wildcard that stands for it, has
// records of a type, or an alias.
func (d *Denials) shows(name dnsname.Name, qtype uint16) (bool, error) {
	if yes, err := d.owns(name, qtype); yes || err != nil {
		return yes, err
	}
	if yes, err := d.exists(name); yes || err != nil {
		return false, err
	}
	wildcard, err := d.wildcardFor(name)
	if wildcard == "" || err != nil {
		return false, err
	}
	return d.owns(wildcard, qtype)
}

// owns tells whether the record of a name shows that the name has records of a type, or an
// alias.
func (d *Denials) owns(name dnsname.Name, rrtype uint16) (bool, error) {
	if n := d.at(name); n != nil && n.types.shows(rrtype) {
		return true, nil
	}
	at, err := d.hashedAt(name)
	return at != nil && at.types.shows(rrtype), err
}

// enclosedBelow tells whether records show that the closest encloser of a name lies below
// the given one, or is the name itself.
func (d *Denials) enclosedBelow(name, encloser dnsname.Name) (bool, error) {
	if !name.IsStrictlyBelow(encloser) {
		return false, nil
	}
	if n := d.denier(name); n != nil && n.encloser(name).IsStrictlyBelow(encloser) {
		return true, nil
	}
	for closer := name; closer != encloser; closer = closer.Parent() {
		if yes, err := d.exists(closer); yes || err != nil {
			return yes, err
		}
	}
	return false, nil
}

// wildcardFor is the wildcard that would stand for a name of which records show that it does
// not exist; "" where they do not show it. Where a range opts out a delegation may be at the
// name, for which no wildcard stands.
func (d *Denials) wildcardFor(name dnsname.Name) (dnsname.Name, error) {
	if n := d.denier(name); n != nil {
		return Wildcard(n.encloser(name)), nil
	}
	if d.hash == nil {
		return "", nil
	}
	e, err := d.hash.enclose(name)
	if e == nil || err != nil || e.next.optOut {
		return "", err
	}
	return Wildcard(e.encloser), nil
}

// hashedAt is the NSEC3 record of a name; nil if there is none.
func (d *Denials) hashedAt(name dnsname.Name) (*nsec3, error) {
	if d.hash == nil {
		return nil, nil
	}
	return d.hash.match(name)
}

// shows tells whether the denial lists a type, or an alias in its place, on the side of the
// zone cut that knows the type.
func (t types) shows(rrtype uint16) bool {
	if rrtype == wire.TypeDS && t.has(wire.TypeSOA) || rrtype != wire.TypeDS && t.delegates() {
		return false
	}
	return t.has(rrtype) || t.has(wire.TypeCNAME)
}
