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

// unsigned judges a set that has no signature by any zone which may sign it.
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

// insecurity finds out whether the records of a name need not be signed, because a zone
// at or above the name is delegated without DS (RFC 4035, section 5.2) or has no anchor.
// proven tells that they need not, and why says the reason.
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
	if name != zone { // the denials that descent needs are signed with the zone's keys
		if _, _, err := p.keysOf(zone); err != nil {
			return 0, false, err
		}
	}
	why, proven, stale, err := p.descent(zone, name)
	if err == nil && !proven && p.renewDS(stale) {
		return p.insecurity(name)
	}
	return why, proven, err
}

// descent looks for a zone without DS, from below a signed zone down to a name. If it finds
// none, a DS set or a denial in the cache may be out of date: stale is the name whose DS is
// to be asked anew, which is the closest zone with keys above the name, or the first name
// on the way that does not exist; "" for neither.
func (p *proof) descent(zone, name dnsname.Name) (why resolve.Insecurity, proven bool, stale dnsname.Name, err error) {
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
			stale = at
		}
	}
	return 0, false, stale, nil
}

// beneathUnsigned tells whether a name lies in a zone that is known to be unsigned and
// whose servers have answered, with no anchor from the zone down to the name. why says
// whether the zone has no DS set or one by which no chain of trust may go on.
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
	if cut.Costly != "" {
		p.odd = odd{cut.Costly, resolve.CostlyDenial}
		return resolve.CostlyDenial, true
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

// A delegation is what the zone above a name says about a zone at that name.
type delegation struct {
	state delegationState
	// why is the reason for which nothing in an unsigned zone need be signed.
	why resolve.Insecurity
	// ds is the DS set of a signed zone.
	ds *wire.RRset
}

type delegationState uint8

const (
	noCut        delegationState = iota // no zone begins at the name
	noName                              // the name does not exist
	signedZone                          // a zone with keys begins at the name
	unsignedZone                        // nothing need be signed in the zone at the name, or in the zone above
)

// delegation finds out by the DS set of a name, or by its denial, what delegation is there.
// An alias in its place says that there is none, wherever it leads: what is found there may
// be unsigned, and says nothing of the name.
func (p *proof) delegation(name dnsname.Name) (d delegation, err error) {
	if p.followed(question(name, wire.TypeDS)) {
		return delegation{state: noCut}, nil
	}
	sub, err := p.askFor(name, wire.TypeDS, ede.Indeterminate, "the DS set of "+name.String())
	if err != nil {
		return d, err
	}
	o := &sub.Outcome
	if aliased(o, wire.TypeDS) {
		return delegation{state: noCut}, nil
	}
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
	why, unsigned, err := p.cutDenied(name, o.Authority)
	if err != nil {
		return d, refuse(err)
	}
	if unsigned {
		return delegation{state: unsignedZone, why: why}, nil
	}
	return delegation{state: noCut}, nil
}

// followed tells whether the query is for the target of a proven alias that came in answer to
// a question, or for the proof of what is there: the question waits for it.
func (p *proof) followed(about resolve.Question) bool {
	for q := p.q; q.Parent != nil; q = q.Parent {
		if q.IsTarget() && q.Parent.Question == about {
			return aliased(&q.Parent.Outcome, about.Type)
		}
	}
	return false
}

// aliased tells whether there is a proven alias in the place of a set that was asked for. Of
// what follows from there nothing counts, how far that is proven included.
func aliased(o *resolve.Outcome, rrtype uint16) bool {
	return len(o.Answer) > 0 && o.Answer[0].Type != rrtype && o.Answer[0].Rank.IsSecure()
}

// whyInsecure is why an answer for DS is insecure: because its denial costs too much, which
// its SOA says, or because of opt-out if the denial itself is signed, otherwise because a
// zone above has no DS.
func (p *proof) whyInsecure(o *resolve.Outcome) resolve.Insecurity {
	for i := range o.Authority {
		if s := &o.Authority[i]; s.Odd.Why == resolve.CostlyDenial {
			p.odd = odd{s.Owner.Suffix(int(s.Odd.Labels)), resolve.CostlyDenial}
			return resolve.CostlyDenial
		}
	}
	for i := range o.Authority {
		if wire.IsDenial(o.Authority[i].Type) && o.Authority[i].Rank.IsSecure() {
			return resolve.OptedOut
		}
	}
	return resolve.NoDS
}

// withDS is the delegation of a zone whose DS set was proven.
func (p *proof) withDS(ds *wire.RRset) delegation {
	if why, known := p.usable(ds); !known {
		return delegation{state: unsignedZone, why: why}
	}
	return delegation{state: signedZone, ds: ds}
}

// usable tells whether a chain of trust may go on by a DS set, and otherwise why not (RFC
// 4035, section 5.2; RFC 6840, section 5.2).
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

// cutDenied tells whether proven denials say that a delegation without DS is at a name, or
// may be there (opt-out, or hashes that cost too much), and which of these.
func (p *proof) cutDenied(name dnsname.Name, authority []resolve.Set) (why resolve.Insecurity, unsigned bool, err error) {
	var zone dnsname.Name
	var sets []*wire.RRset
	for i := range authority {
		if s := &authority[i]; wire.IsDenial(s.Type) && s.Rank.IsSecure() && len(s.Sigs) > 0 {
			zone = wire.Signer(s.Sigs[0])
			sets = append(sets, &s.RRset)
		}
	}
	if len(sets) == 0 || !name.IsStrictlyBelow(zone) {
		return 0, false, nil
	}
	d := dnssec.NewDenials(zone, sets, &p.meter)
	proof, cut, err := d.Cut(name)
	if proof == dnssec.Unsigned {
		return p.leftOpen(d, zone), true, err
	}
	return resolve.NoDS, proof == dnssec.Proven && cut, err
}

// judgedUnsigned notes in a cut that nothing in its zone need be signed, until the given
// time in wall seconds.
func judgedUnsigned(cut *zonecut.Cut, until int64) {
	cut.DSRank, cut.DSExpires = insecure, until
}
