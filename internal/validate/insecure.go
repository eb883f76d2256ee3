package validate

import (
	"fmt"

	"kresd/internal/dnsname"
	"kresd/internal/dnssec"
	"kresd/internal/ede"
	"kresd/internal/resolve"
	"kresd/internal/wire"
	"kresd/internal/zonecut"
)

// unsigned judges a set without a signature of a zone that may have signed it.
func (p *proof) unsigned(s *resolve.Set) error {
	why, proven, err := p.insecurity(subject(s.Owner, s.Type))
	switch {
	case err != nil:
		return err
	case proven:
		p.unproven(s, why)
		return nil
	}
	return refusal{&resolve.Failure{
		EDE:  ede.RRSIGsMissing,
		Text: fmt.Sprintf("%s %s is not signed, and nothing proves that it need not be", s.Owner, wire.TypeText(s.Type)),
	}}
}

// insecurity finds out whether what is at a name need not be signed, because a zone
// at or above it is delegated without DS (RFC 4035, section 5.2).
func (p *proof) insecurity(name dnsname.Name) (why resolve.Insecurity, proven bool, err error) {
	anchor := p.anchors.Closest(name)
	if anchor == nil {
		return resolve.NoAnchor, true, nil
	}
	if why, yes := p.beneathUnsigned(name, anchor.Owner); yes {
		return why, true, nil
	}
	if p.aboveIsland() {
		return resolve.NoAnchor, true, nil
	}
	zone := anchor.Owner
	if cut := p.cut(); cut != nil && cut.Signed(p.r.Now) && cut.Name.IsStrictlyBelow(zone) && name.IsSubdomainOf(cut.Name) {
		zone = cut.Name
	}
	if name != zone { // what proves a delegation is signed with these
		if _, _, err := p.keysOf(zone); err != nil {
			return 0, false, err
		}
	}
	why, proven, doubt, err := p.descent(zone, name)
	if err == nil && !proven && p.renewDS(doubt) {
		return p.insecurity(name)
	}
	return why, proven, err
}

// descent looks for a zone without DS from below a signed zone down to a name. Where
// there is none, doubt is the name on the way of which something else may be true by now:
// that of the closest zone with keys, or one that does not exist.
func (p *proof) descent(zone, name dnsname.Name) (why resolve.Insecurity, proven bool, doubt dnsname.Name, err error) {
	for labels := zone.Labels() + 1; labels <= name.Labels(); labels++ {
		at := name.Suffix(labels)
		d, err := p.delegation(at)
		switch {
		case err != nil:
			return 0, false, "", err
		case d.state == unsignedZone:
			return d.why, true, "", nil
		case d.state == noName:
			return 0, false, at, nil
		case d.state == signedZone:
			p.proven(at)
			doubt = at
		}
	}
	return 0, false, doubt, nil
}

// beneathUnsigned tells whether the servers that answered serve a zone that is known to
// be unsigned, in which a name lies, with no closer anchor, and why: no chain of trust may
// go on by the DS set that the zone has, or it has none.
func (p *proof) beneathUnsigned(name, anchor dnsname.Name) (why resolve.Insecurity, yes bool) {
	cut := p.cut()
	if cut == nil || !cut.Unsigned(p.r.Now) || !name.IsSubdomainOf(cut.Name) || anchor.IsSubdomainOf(cut.Name) {
		return 0, false
	}
	if cut.DS != nil {
		if why, known := p.usable(cut.DS); !known {
			return why, true
		}
	}
	return resolve.NoDS, true
}

// aboveIsland tells whether the servers of a zone without anchor answered for names in a
// zone below it that has one, instead of referring to it. Nothing but a delegation leads
// into an island of trust.
func (p *proof) aboveIsland() bool {
	cut := p.cut()
	return cut != nil && !p.q.Forwards() && p.anchors.Closest(cut.Name) == nil
}

// A delegation is what the zone above a name says about a zone at it.
type delegation struct {
	state delegationState
	// why is the reason for which nothing in an unsigned zone need be signed.
	why resolve.Insecurity
	// ds is the DS set of a signed zone.
	ds *wire.RRset
}

type delegationState uint8

const (
	noCut        delegationState = iota // the name is in the zone above
	noName                              // it does not exist
	signedZone                          // a zone with keys
	unsignedZone                        // nothing need be signed: in a zone at the name, or in the zone above
)

// delegation asks for the DS set of a name.
func (p *proof) delegation(name dnsname.Name) (d delegation, err error) {
	sub, err := p.askFor(name, wire.TypeDS, ede.Indeterminate, "the DS set of "+name.String())
	if err != nil {
		return d, err
	}
	o := &sub.Outcome
	if !o.Rank().IsSecure() {
		return delegation{state: unsignedZone, why: p.whyInsecure(o)}, nil
	}
	switch {
	case len(o.Answer) > 0 && o.Answer[0].Type == wire.TypeDS:
		return p.withDS(&o.Answer[0].RRset), nil
	case o.Kind == resolve.NXDomain:
		return delegation{state: noName}, nil
	case o.Kind != resolve.NoData:
		return delegation{state: noCut}, nil
	}
	proof, cut, err := p.cutDenied(name, o.Authority)
	if err != nil {
		return d, refuse(err)
	}
	if why, unsigned := unsignedBy(proof, cut); unsigned {
		return delegation{state: unsignedZone, why: why}, nil
	}
	return delegation{state: noCut}, nil
}

// unsignedBy tells whether a proof about a delegation without DS says that there is one,
// or may be one.
func unsignedBy(proof dnssec.Proof, cut bool) (why resolve.Insecurity, yes bool) {
	if proof == dnssec.Unsigned {
		return resolve.OptedOut, true
	}
	return resolve.NoDS, proof == dnssec.Proven && cut
}

// whyInsecure is why an answer for DS is insecure: opt-out, where the zone that denies it
// is signed.
func (p *proof) whyInsecure(o *resolve.Outcome) resolve.Insecurity {
	for i := range o.Authority {
		if wire.IsDenial(o.Authority[i].Type) && o.Authority[i].Rank.IsSecure() {
			return resolve.OptedOut
		}
	}
	return resolve.NoDS
}

// withDS is a zone with a DS set that was proven.
func (p *proof) withDS(ds *wire.RRset) delegation {
	if why, known := p.usable(ds); !known {
		return delegation{state: unsignedZone, why: why}
	}
	return delegation{state: signedZone, ds: ds}
}

// usable tells whether a chain of trust may go on by a DS set, and why not (RFC 4035,
// section 5.2; RFC 6840, section 5.2).
func (p *proof) usable(ds *wire.RRset) (why resolve.Insecurity, yes bool) {
	algorithms := p.algorithms()
	if len(dnssec.UsableDS(ds.Data, algorithms)) > 0 {
		return 0, true
	}
	why = resolve.UnknownAlgorithm
	for _, rdata := range ds.Data {
		if d, ok := dnssec.ParseDS(rdata); ok && algorithms.Signs(d.Algorithm) {
			why = resolve.UnknownDigest
		}
	}
	p.odd = odd{ds.Owner, why}
	return why, false
}

// cutDenied judges proven denials for a delegation without DS. cut tells that there is
// one.
func (p *proof) cutDenied(name dnsname.Name, authority []resolve.Set) (proof dnssec.Proof, cut bool, err error) {
	var zone dnsname.Name
	var sets []*wire.RRset
	for i := range authority {
		if s := &authority[i]; wire.IsDenial(s.Type) && s.Rank.IsSecure() && len(s.Sigs) > 0 {
			zone = wire.Signer(s.Sigs[0])
			sets = append(sets, &s.RRset)
		}
	}
	if len(sets) == 0 || !name.IsStrictlyBelow(zone) {
		return dnssec.Unproven, false, nil
	}
	return dnssec.NewDenials(zone, sets, &p.meter).Cut(name)
}

// judgedUnsigned makes a delegation that of a zone in which nothing need be signed.
func judgedUnsigned(cut *zonecut.Cut, until int64) {
	cut.DSRank, cut.DSExpires = insecure, until
}
