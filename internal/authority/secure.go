package authority

import (
	"cmp"
	"slices"

	"github.com/miekg/dns"
)

// A Security says how the zones of a whole Internet are signed.
type Security struct {
	// From and Until are the wall seconds between which signatures are valid.
	From, Until uint32
	// Unsigned are the origins of zones that have no keys.
	Unsigned []string
	// Seal may alter a signature ahead of its being made (Signing.Seal).
	Seal func(set []dns.RR, sig *dns.RRSIG)
}

// Secure signs the zones, each with one key that is made of its name and that a DS set of
// its parent names. It returns the DS record of the root's key, which is the trust anchor.
// Anybody can make such keys: they are for Internets that nobody relies on.
func (n *Internet) Secure(s Security) *dns.DS {
	var anchor *dns.DS
	zones := slices.Clone(n.zones)
	slices.SortFunc(zones, func(a, b *Zone) int { return cmp.Compare(dns.CountLabel(b.origin), dns.CountLabel(a.origin)) })
	for _, z := range zones { // children first: a parent signs their DS sets
		if slices.Contains(s.Unsigned, z.origin) {
			continue
		}
		k := NewKey(z.origin, KSK, dns.ECDSAP256SHA256, z.origin)
		ds := k.DS(dns.SHA256)
		if p := n.above(z); p != nil && p.nodes[z.origin].delegates() {
			ds.Hdr.Ttl = p.negativeTTL()
			p.Add(ds)
		} else if p == nil {
			anchor = ds
		}
		z.Sign(Signing{KSK: []*Key{k}, ZSK: []*Key{k}, From: s.From, Until: s.Until, Seal: s.Seal})
	}
	return anchor
}

// above is the zone around a zone, nil for the root.
func (n *Internet) above(z *Zone) (p *Zone) {
	for _, o := range n.zones {
		if o != z && dns.IsSubDomain(o.origin, z.origin) && (p == nil || dns.IsSubDomain(p.origin, o.origin)) {
			p = o
		}
	}
	return p
}
