package validate

import (
	"bytes"
	"errors"
	"fmt"

	"kresd/internal/dnsname"
	"kresd/internal/dnssec"
	"kresd/internal/ede"
	"kresd/internal/resolve"
	"kresd/internal/trustanchor"
	"kresd/internal/wire"
)

// keysOf are the keys of a zone that are believed; nil, with the reason, where nothing
// in the zone need be signed.
func (p *proof) keysOf(zone dnsname.Name) (keys *dnssec.Keys, why resolve.Insecurity, err error) {
	anchor := p.anchors.Closest(zone)
	if anchor == nil {
		return nil, resolve.NoAnchor, nil
	}
	if p.beneathUnsigned(zone, anchor.Owner) {
		return nil, resolve.NoDS, nil
	}
	if keys := p.v.keys.at(p.place(zone), p.r.Now); keys != nil {
		return keys, 0, nil
	}
	sub, err := p.askFor(zone, wire.TypeDNSKEY, ede.DNSKEYMissing, "the keys of "+zone.String())
	if err != nil {
		return nil, 0, err
	}
	o := &sub.Outcome
	if !o.Cached {
		p.past.renew(question(zone, wire.TypeDNSKEY))
	}
	if !o.Rank().IsSecure() {
		return nil, p.whyInsecure(o), nil
	}
	if len(o.Answer) == 0 || o.Answer[0].Type != wire.TypeDNSKEY {
		return nil, 0, refusal{&resolve.Failure{EDE: ede.DNSKEYMissing, Text: fmt.Sprintf("%s has no keys, and something is signed by it", zone)}}
	}
	set := &o.Answer[0]
	return p.v.keys.put(p.place(zone), set.Data, p.r.Now, set.TTL), 0, nil
}

// place is where the keys of a zone are kept.
func (p *proof) place(zone dnsname.Name) place {
	in := p.r.PartitionOf(resolve.Question{Name: zone, Type: wire.TypeDNSKEY, Class: wire.ClassIN})
	return place{in, p.r.Cache.Clears, zone}
}

// keySet judges the DNSKEY set of a zone: one of its keys is named by a trust anchor, or
// by the DS set of its parent, and has signed it.
func (p *proof) keySet(s *resolve.Set) error {
	anchor := p.anchors.Closest(s.Owner)
	if anchor == nil {
		p.unproven(s, resolve.NoAnchor)
		return nil
	}
	keys := dnssec.ParseKeys(s.Owner, s.Data)
	var named *dnssec.Keys
	var why resolve.Insecurity
	var err error
	if anchor.Owner == s.Owner {
		named, why, err = p.anchored(anchor, keys)
	} else {
		named, why, err = p.namedByDS(s.Owner, anchor.Owner, keys)
	}
	switch {
	case err != nil:
		return err
	case named == nil:
		p.unproven(s, why)
		return nil
	}
	p.tellKeys(named, keys.Len(), anchor.Owner == s.Owner)
	if _, err := p.verify(s, named); err != nil {
		return err
	}
	s.Rank = secure
	return nil
}

// namedByDS are the keys that the DS set of the zone's parent names; nil, with the
// reason, where the zone need not have any.
func (p *proof) namedByDS(zone, anchor dnsname.Name, keys *dnssec.Keys) (named *dnssec.Keys, why resolve.Insecurity, err error) {
	if p.beneathUnsigned(zone, anchor) {
		return nil, resolve.NoDS, nil
	}
	var d delegation
	if cut := p.cut(); cut != nil && cut.Name == zone && cut.Signed(p.r.Now) {
		d = p.withDS(cut.DS)
	} else if d, err = p.delegation(zone); err != nil {
		return nil, 0, err
	}
	switch d.state {
	case unsignedZone:
		return nil, d.why, nil
	case noCut, noName:
		return nil, 0, refusal{&resolve.Failure{
			EDE: ede.DNSKEYMissing, Text: fmt.Sprintf("%s has a DNSKEY set, and the zone above proves that it is no zone", zone),
		}}
	}
	named, why, err = p.matching(keys, d.ds, "the DS set of its parent")
	if _, wrong := errors.AsType[refusal](err); wrong && p.renewDS(zone) {
		return p.namedByDS(zone, anchor, keys)
	}
	return named, why, err
}

// matching are the keys that a DS set names.
func (p *proof) matching(keys *dnssec.Keys, ds *wire.RRset, by string) (*dnssec.Keys, resolve.Insecurity, error) {
	list := dnssec.UsableDS(ds.Data, p.algorithms())
	named, err := keys.Trusted(list, &p.meter)
	if err != nil {
		return nil, 0, &resolve.Failure{EDE: ede.Bogus, Text: fmt.Sprintf("the keys of %s cost too much to be compared with %s", keys.Zone, by), Err: err}
	}
	if named.Len() == 0 {
		tags := make([]uint16, len(list))
		for i := range list {
			tags[i] = list[i].Tag
		}
		return nil, 0, refusal{&resolve.Failure{
			EDE: ede.DNSKEYMissing, Text: fmt.Sprintf("none of the %d keys of %s is one that %s names (%s)", keys.Len(), keys.Zone, by, tagList(tags)),
		}}
	}
	return named, 0, nil
}

// anchored are the keys that a trust anchor names. An anchor that names none, be it for
// an algorithm that is not known, is no reason to believe everything.
func (p *proof) anchored(anchor *trustanchor.KeySet, keys *dnssec.Keys) (named *dnssec.Keys, why resolve.Insecurity, err error) {
	ds, dnskey := anchor.Anchors()
	if dnskey != nil {
		named = keys.Only(func(k *dnssec.Key) bool { return holds(dnskey, k.RData) })
	}
	if ds != nil && (named == nil || named.Len() == 0) {
		return p.matching(keys, ds, "the trust anchor")
	}
	if named == nil || named.Len() == 0 {
		return nil, 0, refusal{&resolve.Failure{
			EDE: ede.DNSKEYMissing, Text: fmt.Sprintf("none of the %d keys of %s is the trust anchor", keys.Len(), keys.Zone),
		}}
	}
	return named, 0, nil
}

// usableAnchor fails for an anchor of which nothing is known here how to use it: then
// the servers of its zone need not be asked.
func (p *proof) usableAnchor(anchor *trustanchor.KeySet) error {
	algorithms := p.algorithms()
	ds, dnskey := anchor.Anchors()
	if ds != nil && len(dnssec.UsableDS(ds.Data, algorithms)) > 0 {
		return nil
	}
	if dnskey != nil {
		for _, rdata := range dnskey.Data {
			if k, ok := dnssec.ParseKey(rdata); ok && k.Err() == nil && algorithms.Signs(k.Algorithm) {
				return nil
			}
		}
	}
	return &resolve.Failure{
		EDE: ede.UnsupportedDNSKEYAlgorithm, Text: fmt.Sprintf("the trust anchor of %s has no algorithm and digest that are known here", anchor.Owner),
	}
}

func holds(set *wire.RRset, rdata []byte) bool {
	for _, d := range set.Data {
		if bytes.Equal(d, rdata) {
			return true
		}
	}
	return false
}

// tellKeys tells which keys are believed.
func (p *proof) tellKeys(named *dnssec.Keys, all int, anchor bool) {
	if p.r.Tell == nil {
		return
	}
	step := resolve.KeysBelieved{Zone: named.Zone, Anchor: anchor, Keys: all}
	named.Each(func(k *dnssec.Key) { step.By = append(step.By, k.Tag) })
	p.tell(step)
}

func tagList(tags []uint16) string {
	text := "tag"
	for i, tag := range tags {
		if i > 0 {
			text += ","
		}
		text += fmt.Sprintf(" %d", tag)
	}
	return text
}
