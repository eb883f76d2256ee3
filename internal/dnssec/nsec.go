package dnssec

import (
	"kresd/internal/dnsname"
	"kresd/internal/wire"
)

// nsec is one NSEC record (RFC 4034, section 4).
type nsec struct {
	owner, next dnsname.Name
	types       types
}

// parseNSEC reads an NSEC set; ok is false for what proves nothing about the zone.
func parseNSEC(zone dnsname.Name, set *wire.RRset) (n nsec, ok bool) {
	if len(set.Data) != 1 || !set.Owner.IsSubdomainOf(zone) || Damaged(set) {
		return n, false
	}
	next, err := dnsname.FromWire(set.Data[0])
	if err != nil || !next.IsSubdomainOf(zone) {
		return n, false
	}
	n = nsec{set.Owner, next, types(set.Data[0][next.Len():])}
	// Only the last record of a zone leads back, and to the apex.
	return n, dnsname.Compare(n.owner, n.next) < 0 || n.next == zone
}

// covers tells whether a name lies strictly between the owner and the next name, so
// that it does not exist, or has only others below it.
func (n *nsec) covers(name dnsname.Name) bool {
	if dnsname.Compare(n.owner, name) >= 0 || name.IsStrictlyBelow(n.owner) && !n.types.below() {
		return false
	}
	return dnsname.Compare(name, n.next) < 0 || dnsname.Compare(n.next, n.owner) <= 0
}

// denies tells whether a covered name does not exist: it would, without records of
// its own, if the next name lay below it (RFC 4592, section 2.2.2).
func (n *nsec) denies(name dnsname.Name) bool {
	return n.covers(name) && !n.next.IsStrictlyBelow(name)
}

// encloser is the closest encloser of a name that the record denies: the longest
// ancestor that it shares with one of the two names that exist.
func (n *nsec) encloser(name dnsname.Name) dnsname.Name {
	a, b := dnsname.CommonAncestor(n.owner, name), dnsname.CommonAncestor(n.next, name)
	if b.Labels() > a.Labels() {
		return b
	}
	return a
}

// at finds the record of a name.
func (d *Denials) at(name dnsname.Name) *nsec {
	for i := range d.plain {
		if d.plain[i].owner == name {
			return &d.plain[i]
		}
	}
	return nil
}

// denier finds a record that denies a name of the zone.
func (d *Denials) denier(name dnsname.Name) *nsec {
	if name == "" || !name.IsSubdomainOf(d.zone) {
		return nil
	}
	for i := range d.plain {
		if d.plain[i].denies(name) {
			return &d.plain[i]
		}
	}
	return nil
}

func (d *Denials) nameError(name dnsname.Name) Proof {
	if n := d.at(name); n != nil && n.types.has(wire.TypeNXNAME) { // RFC 9824, section 3.3
		return proven(n.types.below())
	}
	n := d.denier(name)
	if n == nil || d.denier(Wildcard(n.encloser(name))) == nil {
		return Unproven
	}
	return Proven
}

func (d *Denials) noData(name dnsname.Name, qtype uint16) Proof {
	if n := d.at(name); n != nil {
		return proven(n.types.lacks(qtype, name.IsRoot()))
	}
	if !name.IsSubdomainOf(d.zone) {
		return Unproven
	}
	for i := range d.plain {
		n := &d.plain[i]
		if !n.covers(name) {
			continue
		}
		if n.next.IsStrictlyBelow(name) { // an empty non-terminal
			return Proven
		}
		wildcard := Wildcard(n.encloser(name))
		if w := d.at(wildcard); w != nil {
			return proven(w.types.lacks(qtype, false))
		}
		if d.empty(wildcard) { // which stands for the name all the same (RFC 4592, section 4.9)
			return Proven
		}
	}
	return Unproven
}

// empty tells whether a name is shown to have no records but others below it.
func (d *Denials) empty(name dnsname.Name) bool {
	for i := range d.plain {
		if n := &d.plain[i]; n.covers(name) && n.next.IsStrictlyBelow(name) {
			return true
		}
	}
	return false
}

func (d *Denials) expanded(name, encloser dnsname.Name) Proof {
	n := d.denier(name)
	return proven(n != nil && name.IsStrictlyBelow(encloser) && n.encloser(name) == encloser)
}

func (d *Denials) plainCut(name dnsname.Name) (p Proof, cut bool) {
	if n := d.at(name); n != nil {
		return proven(n.types.lacks(wire.TypeDS, false)), n.types.delegates()
	}
	if p = d.noData(name, wire.TypeDS); p == Unproven {
		p = d.nameError(name)
	}
	return p, false
}

func proven(yes bool) Proof {
	if yes {
		return Proven
	}
	return Unproven
}
