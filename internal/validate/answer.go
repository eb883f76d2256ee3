package validate

import (
	"errors"
	"fmt"
	"slices"

	"kresd/internal/dnsname"
	"kresd/internal/dnssec"
	"kresd/internal/ede"
	"kresd/internal/resolve"
	"kresd/internal/wire"
)

// answer judges set i of the answer.
func (p *proof) answer(i int) error {
	o := &p.q.Outcome
	s := &o.Answer[i]
	switch {
	case s.Rank != fresh: // judged, before the proof had to wait
		return nil
	case i > 0 && s.SynthesizedBy(&o.Answer[i-1].RRset):
		s.Rank, s.TTL = o.Answer[i-1].Rank, o.Answer[i-1].TTL
		return nil
	case s.Type == wire.TypeRRSIG: // nothing signs signatures
		s.Rank = insecure
		return nil
	case s.Type == wire.TypeDNSKEY && p.q.Type == wire.TypeDNSKEY && s.Owner == p.q.Name:
		return p.keySet(s)
	}
	return p.set(s)
}

// set judges a set of the answer by the keys of the zone that signed it.
func (p *proof) set(s *resolve.Set) error {
	if p.anchors.Closest(subject(s.Owner, s.Type)) == nil {
		p.unproven(s, resolve.NoAnchor)
		return nil
	}
	zone := p.signer(s)
	if zone == "" {
		return p.unsigned(s)
	}
	keys, why, err := p.keysOf(zone)
	switch {
	case err != nil:
		return err
	case keys == nil && !p.speaksFor(zone, subject(s.Owner, s.Type)):
		return p.unsigned(s)
	case keys == nil:
		p.unproven(s, why)
		return nil
	}
	if wire.IsDenial(s.Type) && dnssec.Damaged(&s.RRset) {
		return refusal{&resolve.Failure{EDE: ede.Bogus, Text: fmt.Sprintf("the list of types in %s %s is malformed", s.Owner, wire.TypeText(s.Type))}}
	}
	v, err := p.verify(s, keys)
	if err != nil {
		return err
	}
	if v.Encloser != "" {
		return p.expanded(s, v.Encloser, keys)
	}
	s.Rank = secure
	return nil
}

// unproven gives a set that needs no proof its rank, and tells why it needs none.
func (p *proof) unproven(s *resolve.Set, why resolve.Insecurity) {
	p.odd.excuse(s, why)
	p.insecure(s.Owner, why)
}

// speaksFor tells whether a zone may leave unsigned what belongs to a name: it lies at or
// below the closest anchor of the name, which says that all from there on is signed unless
// the zones below it prove otherwise.
func (p *proof) speaksFor(zone, name dnsname.Name) bool {
	anchor := p.anchors.Closest(name)
	return anchor == nil || zone.IsSubdomainOf(anchor.Owner)
}

// insecure tells why something needs no proof. Where there are no anchors at all nobody
// expects one.
func (p *proof) insecure(name dnsname.Name, why resolve.Insecurity) {
	if len(p.anchors.Sets) > 0 {
		p.tellUnsigned(name, why)
	}
}

// signer is the zone that signed a set, of those that may have; "" for none.
func (p *proof) signer(s *resolve.Set) dnsname.Name {
	if cut := p.cut(); cut != nil {
		return s.SignedWithin(cut.Name)
	}
	return s.SignedWithin("")
}

// verified is what the signatures of a set say.
type verified struct {
	set *resolve.Set
	dnssec.Verified
}

// verify checks the signatures of a set, once. Keys that were kept, and do not fit, are
// asked for once more.
func (p *proof) verify(s *resolve.Set, keys *dnssec.Keys) (dnssec.Verified, error) {
	for i := range p.verified {
		if p.verified[i].set == s {
			return p.verified[i].Verified, nil
		}
	}
	v, err := dnssec.Verify(&s.RRset, keys, p.algorithms(), p.r.Now, &p.meter)
	if err != nil {
		if f, ok := errors.AsType[*dnssec.Failure](err); ok && stale(f) && p.mayRenew(keys.Zone) {
			return v, p.renew(keys.Zone)
		}
		return v, refuse(err)
	}
	p.verified = append(p.verified, verified{s, v})
	s.TTL = min(s.TTL, v.TTL)
	s.Sigs = signaturesOf(keys.Zone, s.Sigs)
	if p.r.Tell != nil {
		p.tell(resolve.SetProved{Owner: s.Owner, Type: s.Type, Zone: keys.Zone, Tag: v.Tag, Algorithm: v.Algorithm})
	}
	return v, nil
}

// signaturesOf are the signatures that a zone made. Others than that of its zone say
// nothing about a set (RFC 4035, section 5.3.1), and whoever looks at one that was proven
// finds who has signed it.
func signaturesOf(zone dnsname.Name, sigs [][]byte) [][]byte {
	others := func(sig []byte) bool { return wire.Signer(sig) != zone }
	if !slices.ContainsFunc(sigs, others) {
		return sigs
	}
	return slices.DeleteFunc(slices.Clone(sigs), others)
}

// stale tells whether other keys may be the remedy.
func stale(f *dnssec.Failure) bool {
	return f.Reason == dnssec.NoSuchKey || f.Reason == dnssec.WrongSignature || f.Reason == dnssec.UnfitKey
}

// expanded judges a set that a wildcard made: the zone must deny the name itself (RFC
// 4035, section 5.3.4).
func (p *proof) expanded(s *resolve.Set, encloser dnsname.Name, keys *dnssec.Keys) error {
	sets, err := p.proofs(keys)
	if err != nil {
		return err
	}
	d := dnssec.NewDenials(keys.Zone, sets, &p.meter)
	proved, err := d.Expanded(s.Owner, encloser)
	switch {
	case err != nil:
		return refuse(err)
	case proved == dnssec.Unproven:
		return refusal{&resolve.Failure{
			EDE:  ede.NSECMissing,
			Text: fmt.Sprintf("%s is made from a wildcard, and no record of %s proves that the name itself does not exist", s.Owner, keys.Zone),
		}}
	case proved == dnssec.Unsigned && !p.speaksFor(keys.Zone, s.Owner):
		return p.unsigned(s)
	case proved == dnssec.Unsigned:
		p.unproven(s, p.leftOpen(d, keys.Zone))
	default:
		s.Rank = secure
	}
	return nil
}

// proofs are the denials of a zone beside the answer whose signatures hold. The others
// prove nothing, and are left out of what the client sees.
func (p *proof) proofs(keys *dnssec.Keys) (sets []*wire.RRset, err error) {
	o := &p.q.Outcome
	for i := 0; i < len(o.Authority); i++ {
		s := &o.Authority[i]
		if !wire.IsDenial(s.Type) || p.signer(s) != keys.Zone {
			continue
		}
		if dnssec.Damaged(&s.RRset) {
			s.Rank = wrongProof
			continue
		}
		if s.Rank == fresh {
			if _, err := p.verify(s, keys); err != nil {
				if _, wrong := errors.AsType[refusal](err); wrong {
					s.Rank = wrongProof
					continue
				}
				return nil, err
			}
			s.Rank = secure
		}
		if s.Rank.IsSecure() {
			sets = append(sets, &s.RRset)
		}
	}
	return sets, nil
}
