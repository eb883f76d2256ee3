package authority

import (
	"fmt"
	"io"
	"strings"

	"github.com/miekg/dns"
)

// node is what one name owns: RRsets by type. An empty non-terminal
// (RFC 4592, section 2.2.2) is a node without RRsets.
type node map[uint16][]dns.RR

// A Zone is the records of one zone, its delegations and glue included.
type Zone struct {
	origin string
	soa    *dns.SOA
	nodes  map[string]node // by canonical name

	signing *Signing // nil for a zone that is not signed
	denier  denier
	rules   []Rule
}

// ParseZone reads a zone in master file format (RFC 1035, section 5); file names
// it in errors. The zone must have exactly one SOA, at origin, and no record
// outside of it.
func ParseZone(origin string, r io.Reader, file string) (*Zone, error) {
	z := &Zone{origin: dns.CanonicalName(origin), nodes: map[string]node{}}
	zp := dns.NewZoneParser(r, z.origin, file)
	for rr, ok := zp.Next(); ok; rr, ok = zp.Next() {
		if err := z.add(rr); err != nil {
			return nil, fmt.Errorf("%s: %w", file, err)
		}
	}
	if err := zp.Err(); err != nil {
		return nil, err
	}
	if z.soa == nil {
		return nil, fmt.Errorf("%s: zone %s has no SOA", file, z.origin)
	}
	return z, nil
}

// Origin returns the zone's name, lower case, with the final dot.
func (z *Zone) Origin() string { return z.origin }

func (z *Zone) add(rr dns.RR) error {
	name := canonical(rr.Header().Name)
	if !dns.IsSubDomain(z.origin, name) {
		return fmt.Errorf("%s is not in zone %s", name, z.origin)
	}
	if soa, ok := rr.(*dns.SOA); ok {
		if z.soa != nil || name != z.origin {
			return fmt.Errorf("zone %s: a second SOA, at %s", z.origin, name)
		}
		z.soa = soa
	}
	n := z.ensure(name)
	n[rr.Header().Rrtype] = append(n[rr.Header().Rrtype], rr)
	return nil
}

// ensure makes the node of name and the empty non-terminals above it.
func (z *Zone) ensure(name string) node {
	if n, ok := z.nodes[name]; ok {
		return n
	}
	n := node{}
	z.nodes[name] = n
	if name != z.origin {
		z.ensure(parent(name))
	}
	return n
}

// Add puts further records into a zone that is not signed yet; it panics on those
// that are not the zone's.
func (z *Zone) Add(rrs ...dns.RR) {
	for _, rr := range rrs {
		if err := z.add(rr); err != nil {
			panic(err)
		}
	}
}

// Play makes every server follow these rules, ahead of its own, in what it says of
// this zone.
func (z *Zone) Play(rules ...Rule) { z.rules = rules }

// negativeSOA is the SOA of a negative answer: its TTL is what the answer may
// be cached for (RFC 2308, section 3).
func (z *Zone) negativeSOA(r *dns.Msg) (out []dns.RR) {
	for _, rr := range z.with(r, z.nodes[z.origin], dns.TypeSOA) {
		rr = dns.Copy(rr)
		rr.Header().Ttl = z.negativeTTL()
		out = append(out, rr)
	}
	return out
}

// addresses returns the A and AAAA records of names that the zone holds, glue
// below its delegations too, with the signatures that they have.
func (z *Zone) addresses(r *dns.Msg, names []string) []dns.RR {
	var out []dns.RR
	for _, name := range names {
		n := z.nodes[canonical(name)]
		out = append(out, z.with(r, n, dns.TypeA)...)
		out = append(out, z.with(r, n, dns.TypeAAAA)...)
	}
	return out
}

// parent cuts the first label off a name that is not the root.
func parent(name string) string {
	i, end := dns.NextLabel(name, 0)
	if end {
		return "."
	}
	return name[i:]
}

// targets returns the names that NS, MX and SRV records lead to.
func targets(rrs []dns.RR) []string {
	var out []string
	for _, rr := range rrs {
		switch rr := rr.(type) {
		case *dns.NS:
			out = append(out, rr.Ns)
		case *dns.MX:
			out = append(out, rr.Mx)
		case *dns.SRV:
			out = append(out, rr.Target)
		}
	}
	return out
}

// MustParse is ParseZone for zones written in tests; it panics on an error.
func MustParse(origin, text string) *Zone {
	z, err := ParseZone(origin, strings.NewReader(text), origin)
	if err != nil {
		panic(err)
	}
	return z
}
