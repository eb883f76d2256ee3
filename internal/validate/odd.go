package validate

import (
	"fmt"

	"kresd/internal/dnsname"
	"kresd/internal/ede"
	"kresd/internal/limits"
	"kresd/internal/resolve"
)

// odd is a zone that is insecure for a reason of its own. The zero value is none.
type odd struct {
	zone dnsname.Name
	why  resolve.Insecurity
}

// excuse makes a set one that need not be signed, and why. Where that is this zone's
// doing the set says so from now on, in the cache too: whoever is told the set is told
// why it is not proven.
func (o odd) excuse(s *resolve.Set, why resolve.Insecurity) {
	s.Rank = insecure
	if why == o.why && s.Owner.IsSubdomainOf(o.zone) {
		s.Odd = resolve.Oddity{Why: why, Labels: uint8(o.zone.Labels())}
	}
}

// excuse makes all that came fresh, and was not judged, what need not be signed, and why.
func (p *proof) excuse(why resolve.Insecurity) {
	for s := range unjudged(p.q) {
		p.odd.excuse(s, why)
	}
}

// advise tells the client of an answer that something in it is not proven for a reason
// which is worth to know.
func advise(res *resolve.Result) {
	for _, sets := range [2][]resolve.Set{res.Answer, res.Authority} {
		for i := range sets {
			s := &sets[i]
			if code, text := advice(s.Odd.Why, s.Owner.Suffix(int(s.Odd.Labels))); code != ede.None {
				res.EDE, res.EDEText = code, text
				return
			}
		}
	}
}

// advice is what clients are told of an odd zone (RFC 8914, sections 4.2 and 4.3; RFC 9276,
// section 3.2); ede.None for what is not odd.
func advice(why resolve.Insecurity, zone dnsname.Name) (ede.Code, string) {
	switch why {
	case resolve.UnknownAlgorithm:
		return ede.UnsupportedDNSKEYAlgorithm, fmt.Sprintf("%s has keys, and none of an algorithm that is known here", zone)
	case resolve.UnknownDigest:
		return ede.UnsupportedDSDigest, fmt.Sprintf("the DS set of %s has no digest that is known here", zone)
	case resolve.CostlyDenial:
		return ede.UnsupportedNSEC3Iterations, fmt.Sprintf("%s has NSEC3 records with more than %d iterations", zone, limits.NSEC3Iterations)
	}
	return ede.None, ""
}
