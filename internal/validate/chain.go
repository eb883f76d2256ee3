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
	if why, yes := p.beneathUnsigned(zone, anchor.Owner); yes {
		return nil, why, nil
	}
	about := question(zone, wire.TypeDNSKEY)
	if keys := p.v.keys.at(p.place(about), p.r.Now); keys != nil {
		p.proven(zone)
		return keys, 0, nil
	}
	sub, err := p.askFor(zone, wire.TypeDNSKEY, ede.DNSKEYMissing, "the keys of "+zone.String())
	if err != nil {
		why, err := p.needlessKeys(zone, anchor.Owner, err)
		return nil, why, err
	}
	o := &sub.Outcome
	signed := o.Rank().IsSecure() && len(o.Answer) > 0 && o.Answer[0].Type == wire.TypeDNSKEY
	if !signed && o.Cached && p.mayRenew(zone) {
		switch still, err := p.stillUnsigned(o, zone, anchor.Owner); {
		case err != nil:
			return nil, 0, err
		case !still:
			return nil, 0, p.renew(zone)
		}
	}
	if !o.Cached {
		p.past.renew(about)
	}
	switch {
	case !o.Rank().IsSecure() && !aliased(o, wire.TypeDNSKEY):
		why, err := p.whyKeyless(o, zone)
		return nil, why, err
	case !signed:
		return nil, 0, refusal{&resolve.Failure{EDE: ede.DNSKEYMissing, Text: fmt.Sprintf("%s has no keys, though something is signed by it", zone)}}
	}
	p.proven(zone)
	return p.remembered(about, &o.Answer[0]), 0, nil
}

// needlessKeys is why the keys of a zone need not be had, which could not: its parent
// delegates it without DS, so that nothing in it need be signed whatever its servers say
// (RFC 4035, section 5.2). Else the error is failure, or errWait.
func (p *proof) needlessKeys(zone, anchor dnsname.Name, failure error) (why resolve.Insecurity, err error) {
	_, failed := errors.AsType[*resolve.Failure](failure)
	_, refused := errors.AsType[refusal](failure) // they are what is asked for, and denied
	if !failed && !refused || zone == anchor {
		return 0, failure
	}
	if cut := p.cut(); cut != nil && cut.Name == zone && cut.Signed(p.r.Now) {
		return 0, failure
	}
	switch d, err := p.delegation(zone); {
	case err == errWait:
		return 0, err
	case err == nil && d.state == unsignedZone:
		return d.why, nil
	}
	return 0, failure
}

// stillUnsigned tells whether an answer without keys that the cache held for a zone may
// still be right, though something is signed by the zone: the zone is an island, which its
// parent delegates without DS. Else the zone was signed meanwhile. The error is errWait.
func (p *proof) stillUnsigned(o *resolve.Outcome, zone, anchor dnsname.Name) (bool, error) {
	if o.Rank().IsSecure() || zone == anchor {
		return false, nil
	}
	if cut := p.cut(); cut != nil && cut.Name == zone && cut.Signed(p.r.Now) {
		return false, nil
	}
	d, err := p.delegation(zone)
	if err == errWait {
		return false, err
	}
	return err != nil || d.state == unsignedZone, nil // what was proven holds until the contrary is
}

// whyKeyless is why no keys of a zone are believed, and nothing in it need be signed: what
// its parent says about it, if that is known.
func (p *proof) whyKeyless(o *resolve.Outcome, zone dnsname.Name) (resolve.Insecurity, error) {
	if zone.IsRoot() { // which nothing delegates
		return p.whyInsecure(o), nil
	}
	d, err := p.delegation(zone)
	switch {
	case err == errWait:
		return 0, err
	case err == nil && d.state == unsignedZone:
		return d.why, nil
	}
	return p.whyInsecure(o), nil
}

// remembered are the keys of a proven DNSKEY set, which are kept at hand for other
// requests, unless the configuration has changed since this one began: it is not known
// by which anchors they are believed then.
func (p *proof) remembered(about resolve.Question, set *resolve.Set) *dnssec.Keys {
	if !p.r.InForce() {
		return dnssec.ParseKeys(about.Name, set.Data)
	}
	return p.v.keys.put(p.place(about), set.Data, p.r.Now, set.TTL)
}

// place is where it is kept what a question about a zone came to.
func (p *proof) place(about resolve.Question) place {
	return place{p.r.PartitionOf(about), p.r.Cache.Clears, about.Name}
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
	if why, yes := p.beneathUnsigned(zone, anchor); yes {
		return nil, why, nil
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
		if p.renewDS(zone) {
			return p.namedByDS(zone, anchor, keys)
		}
		return nil, 0, refusal{&resolve.Failure{
			EDE: ede.DNSKEYMissing, Text: fmt.Sprintf("%s has a DNSKEY set, though the zone above proves that it is no zone", zone),
		}}
	}
	p.proven(zone)
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
			EDE: ede.DNSKEYMissing, Text: noneOf(keys, fmt.Sprintf("one that %s names (%s)", by, tagList(tags))),
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
			EDE: ede.DNSKEYMissing, Text: noneOf(keys, "the trust anchor"),
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

// noneOf says that none of a zone's keys is what was looked for.
func noneOf(keys *dnssec.Keys, what string) string {
	switch n := keys.Len(); n {
	case 0:
		return fmt.Sprintf("no key of %s can be read", keys.Zone)
	case 1:
		return fmt.Sprintf("the only key of %s is not %s", keys.Zone, what)
	default:
		return fmt.Sprintf("none of the %d keys of %s is %s", n, keys.Zone, what)
	}
}

func tagList(tags []uint16) string {
	text := "tag"
	if len(tags) > 1 {
		text = "tags"
	}
	for i, tag := range tags {
		if i > 0 {
			text += ","
		}
		text += fmt.Sprintf(" %d", tag)
	}
	return text
}
