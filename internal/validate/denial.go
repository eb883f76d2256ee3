package validate

import (
	"fmt"

	"kresd/internal/dnsname"
	"kresd/internal/dnssec"
	"kresd/internal/ede"
	"kresd/internal/rank"
	"kresd/internal/resolve"
	"kresd/internal/wire"
)

// wrongProof is the rank of a denial whose signature does not hold: it is left out.
const wrongProof = rank.Omit

// denial judges the claim that a name, or a type of it, does not exist.
func (p *proof) denial() error {
	what := p.q.Denied()
	if p.anchors.Closest(subject(what.Name, what.Type)) == nil {
		p.needless(what.Name, resolve.NoAnchor)
		return nil
	}
	zone := p.denier(what)
	if zone == "" {
		return p.unsignedDenial(what)
	}
	keys, why, err := p.keysOf(zone)
	switch {
	case err != nil:
		return err
	case keys == nil && !p.speaksFor(zone, subject(what.Name, what.Type)):
		return p.unsignedDenial(what)
	case keys == nil:
		p.needless(what.Name, why)
		return nil
	}
	if err := p.soa(what); err != nil {
		return err
	}
	return p.denied(what, keys)
}

// needless is a denial that needs no proof.
func (p *proof) needless(name dnsname.Name, why resolve.Insecurity) {
	p.excuse(why)
	p.insecure(name, why)
}

// denier is the zone that signed the denials beside the answer; "" for none. That a
// name has no DS set is its parent's to say.
func (p *proof) denier(what resolve.Question) (zone dnsname.Name) {
	for i := range p.q.Outcome.Authority {
		s := &p.q.Outcome.Authority[i]
		if !wire.IsDenial(s.Type) {
			continue
		}
		by := p.signer(s)
		if by == "" || !what.Name.IsSubdomainOf(by) || what.Type == wire.TypeDS && by == what.Name && !by.IsRoot() {
			continue
		}
		if zone == "" || by.IsStrictlyBelow(zone) {
			zone = by
		}
	}
	return zone
}

// unsignedDenial judges a denial without signed proof.
func (p *proof) unsignedDenial(what resolve.Question) error {
	why, proven, err := p.insecurity(subject(what.Name, what.Type))
	switch {
	case err != nil:
		return err
	case proven:
		p.needless(what.Name, why)
		return nil
	}
	text := fmt.Sprintf("no signed record proves that there is no %s", what)
	if what.Type == wire.TypeDS && p.q.Outcome.Zone == what.Name {
		text = fmt.Sprintf("the DS set of %s is denied by that zone itself, and not by the zone above it", what.Name)
	}
	return refusal{&resolve.Failure{EDE: ede.NSECMissing, Text: text}}
}

// soa judges the SOA of the denial, which says how long that holds. That of the zone whose
// DS set is denied says nothing of it (RFC 4035, section 3.1.4.1), and could be proven only
// by that set.
func (p *proof) soa(what resolve.Question) error {
	o := &p.q.Outcome
	for i := range o.Authority {
		s := &o.Authority[i]
		if s.Type == wire.TypeSOA && what.Type == wire.TypeDS && s.Owner == what.Name && !what.Name.IsRoot() {
			s.Rank = wrongProof
			continue
		}
		if s.Type == wire.TypeSOA && s.Rank == fresh {
			if err := p.set(s); err != nil {
				return err
			}
		}
	}
	return nil
}

// denied judges the claim by the denials of one zone.
func (p *proof) denied(what resolve.Question, keys *dnssec.Keys) error {
	sets, err := p.proofs(keys)
	if err != nil {
		return err
	}
	d := dnssec.NewDenials(keys.Zone, sets, &p.meter)
	proof, err := p.claim(d, what)
	of := subject(what.Name, what.Type)
	may := p.speaksFor(keys.Zone, of)
	switch {
	case err != nil:
		return refuse(err)
	case proof == dnssec.Unproven && may && delegatedWithoutDS(d, keys.Zone, of):
		p.optedOut(what.Name, resolve.NoDS)
	case proof == dnssec.Unsigned && !may:
		return p.unsignedDenial(what)
	case proof == dnssec.Unproven:
		return refusal{&resolve.Failure{
			EDE: ede.NSECMissing, Text: fmt.Sprintf("the records of %s do not prove that there is no %s", keys.Zone, what),
		}}
	case proof == dnssec.Unsigned:
		p.optedOut(what.Name, p.leftOpen(d, keys.Zone))
	default:
		p.tell(resolve.DenialProved{Question: what, Zone: keys.Zone})
	}
	return nil
}

// claim is what the denials amount to for the outcome's claim. That there is no DS set is
// all that matters of a denial of one: a server may take the name of an empty non-terminal
// for one that does not exist, though its records say what it is.
func (p *proof) claim(d *dnssec.Denials, what resolve.Question) (dnssec.Proof, error) {
	o := &p.q.Outcome
	if o.Kind != resolve.NXDomain {
		return d.NoData(what.Name, what.Type)
	}
	proof, err := d.NameError(what.Name)
	if proof != dnssec.Unproven || err != nil || what.Type != wire.TypeDS || what != p.q.Question {
		return proof, err
	}
	if proof, err = d.NoData(what.Name, what.Type); proof != dnssec.Unproven {
		o.Kind, o.Rcode = resolve.NoData, wire.RcodeNoError
	}
	return proof, err
}

// delegatedWithoutDS tells whether denials of a zone show a delegation without DS at or above
// a name. Then what is there need not be signed (RFC 4035, section 5.2), and the zone's own
// servers may say of it what they like, as load balancers do that take each name for a zone
// cut.
func delegatedWithoutDS(d *dnssec.Denials, zone, name dnsname.Name) bool {
	for labels := zone.Labels() + 1; labels <= name.Labels(); labels++ {
		if proof, cut, err := d.Cut(name.Suffix(labels)); err == nil && cut && proof == dnssec.Proven {
			return true
		}
	}
	return false
}

// optedOut is a denial of which the zone signs only that it does not speak about
// it. The records of the proof are as good as others; what is left out stays so.
func (p *proof) optedOut(name dnsname.Name, why resolve.Insecurity) {
	o, soa := &p.q.Outcome, false
	for i := range o.Authority {
		if s := &o.Authority[i]; s.Type == wire.TypeSOA && s.Rank != wrongProof {
			p.odd.excuse(s, why)
			soa = true
		}
	}
	for i := range o.Authority {
		if s := &o.Authority[i]; !soa && s.Rank != wrongProof {
			p.odd.excuse(s, why)
		}
	}
	p.insecure(name, why)
}

// leftOpen is why the denials of a zone leave open what they are asked.
func (p *proof) leftOpen(d *dnssec.Denials, zone dnsname.Name) resolve.Insecurity {
	if d.Costly() {
		p.odd = odd{zone, resolve.CostlyDenial}
		return resolve.CostlyDenial
	}
	return resolve.OptedOut
}
