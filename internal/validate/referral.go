package validate

import (
	"errors"

	"kresd/internal/resolve"
	"kresd/internal/wire"
)

// referral judges what a parent says about the keys of a zone that it delegates, so that
// the cut tells for all answers of the child whether they are signed. A referral that
// cannot be judged is no failure: DS is asked for when it matters.
func (p *proof) referral() error {
	o := &p.q.Outcome
	cut := o.Cut
	anchor := p.anchors.Closest(cut.Name)
	switch {
	case anchor == nil: // only names below an anchor are judged by the cut
		p.excuse(resolve.NoAnchor)
		return nil
	case anchor.Owner == cut.Name:
		return p.usableAnchor(anchor)
	}
	if why, yes := p.beneathUnsigned(cut.Name, anchor.Owner); yes {
		p.excuse(why)
		if p.odd.why == why { // which is the reason for the zone below, too
			cut.DS, cut.Costly = p.cut().DS, p.cut().Costly
		}
		judgedUnsigned(cut, min(cut.Expires, p.cut().DSExpires))
		return nil
	}
	err := p.security()
	if _, wrong := errors.AsType[refusal](err); wrong {
		return nil
	}
	if _, failed := errors.AsType[*resolve.Failure](err); failed {
		return nil
	}
	return err
}

// security judges the DS set of a referral, or the proof that there is none.
func (p *proof) security() error {
	o := &p.q.Outcome
	for i := range o.Authority {
		if s := &o.Authority[i]; s.Type == wire.TypeDS && s.Owner == o.Cut.Name {
			return p.referredDS(s)
		}
	}
	return p.referredWithout()
}

// referredDS judges a DS set.
func (p *proof) referredDS(s *resolve.Set) error {
	cut := p.q.Outcome.Cut
	zone := p.signer(s)
	if zone == "" {
		return nil
	}
	keys, why, err := p.keysOf(zone)
	switch {
	case err != nil:
		return err
	case keys == nil:
		p.unproven(s, why)
		judgedUnsigned(cut, cut.Expires)
		return nil
	}
	if _, err := p.verify(s, keys); err != nil {
		return err
	}
	s.Rank = secure
	cut.DS, cut.DSRank, cut.DSExpires = &s.RRset, secure, p.r.Now+int64(s.TTL)
	if why, known := p.usable(&s.RRset); !known {
		judgedUnsigned(cut, cut.DSExpires)
		p.tellUnsigned(cut.Name, why)
	}
	return nil
}

// referredWithout judges the proof that there is no DS set.
func (p *proof) referredWithout() error {
	o := &p.q.Outcome
	zone := p.denier(resolve.Question{Name: o.Cut.Name, Type: wire.TypeDS, Class: wire.ClassIN})
	if zone == "" {
		return nil
	}
	keys, why, err := p.keysOf(zone)
	switch {
	case err != nil:
		return err
	case keys == nil:
		p.excuse(why)
		judgedUnsigned(o.Cut, o.Cut.Expires)
		p.tellUnsigned(o.Cut.Name, why)
		return nil
	}
	sets, err := p.proofs(keys)
	if err != nil {
		return err
	}
	why, unsigned, err := p.cutDenied(o.Cut.Name, o.Authority)
	if err != nil {
		return refuse(err)
	}
	if unsigned {
		if why == resolve.CostlyDenial {
			o.Cut.Costly = keys.Zone
		}
		until := o.Cut.Expires
		for _, s := range sets {
			until = min(until, p.r.Now+int64(s.TTL))
		}
		judgedUnsigned(o.Cut, until)
		p.tellUnsigned(o.Cut.Name, why)
	}
	return nil
}
