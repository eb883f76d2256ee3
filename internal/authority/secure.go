package authority

import (
	"cmp"
	"slices"
	"strings"

	"github.com/miekg/dns"
)

// A Security says how the zones of a whole Internet are signed, each with one key.
type Security struct {
	// From and Until are the wall seconds between which signatures are valid.
	From, Until uint32
	// Denial is how a zone denies; nil: all by NSEC.
	Denial func(origin string) Denial
	// Unsigned are the origins of zones that have no keys; Islands those of zones that have
	// keys and no DS set.
	Unsigned, Islands []string
	// Key is the key of a zone; nil: one that is made of its name.
	Key func(origin string) *Key
	// Seal may alter a signature ahead of its being made (Signing.Seal).
	Seal func(set []dns.RR, sig *dns.RRSIG)
}

// Secure signs the zones, each with its key, which a DS set of its parent names. It returns
// the DS record of the root's key, which is the trust anchor, in one line. Anybody can make
// keys of names: they are for Internets that nobody relies on.
func (n *Internet) Secure(s Security) (anchor string) {
	zones := slices.Clone(n.zones)
	slices.SortFunc(zones, func(a, b *Zone) int { return cmp.Compare(dns.CountLabel(b.origin), dns.CountLabel(a.origin)) })
	for _, z := range zones { // children first: a parent signs their DS sets
		if slices.Contains(s.Unsigned, z.origin) {
			continue
		}
		k := s.key(z.origin)
		ds := k.DS(dns.SHA256)
		switch p := n.above(z); {
		case p == nil:
			anchor = strings.Join(strings.Fields(ds.String()), " ")
		case p.nodes[z.origin].delegates() && !slices.Contains(s.Islands, z.origin):
			p.Add(ds)
		}
		signing := Signing{KSK: []*Key{k}, ZSK: []*Key{k}, From: s.From, Until: s.Until, Seal: s.Seal}
		if s.Denial != nil {
			signing.Denial = s.Denial(z.origin)
		}
		z.Sign(signing)
	}
	return anchor
}

func (s *Security) key(origin string) *Key {
	if s.Key != nil {
		return s.Key(origin)
	}
	return NewKey(origin, KSK, dns.ECDSAP256SHA256, origin)
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
