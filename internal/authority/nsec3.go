package authority

import (
	"encoding/base32"
	"math/big"
	"slices"
	"strings"

	"github.com/miekg/dns"
)

// hashChain is the NSEC3 chain of a zone. Its owners are no names of the zone:
// nobody finds them by asking (RFC 5155, section 7.2.8).
type hashChain struct {
	z    *Zone
	d    Denial
	rows []hashRow // in the order of hashes
}

// hashRow is one NSEC3 record with its signatures.
type hashRow struct {
	hash string // upper case, base32hex
	rrs  []dns.RR
}

func newHashChain(z *Zone, d Denial) *hashChain {
	c := &hashChain{z: z, d: d}
	named := map[string]string{}
	for name := range z.nodes {
		if !z.hidden(name) && !(d.OptOut && z.onlyUnsigned(name)) {
			named[c.hash(name)] = name
		}
	}
	for h := range named {
		c.rows = append(c.rows, hashRow{hash: h})
	}
	slices.SortFunc(c.rows, func(a, b hashRow) int { return strings.Compare(a.hash, b.hash) })
	for i := range c.rows {
		h := c.rows[i].hash
		c.rows[i].rrs = z.together(c.record(h, c.rows[(i+1)%len(c.rows)].hash, z.bitmap(named[h])...))
	}
	return c
}

// onlyUnsigned tells whether a name is an unsigned delegation, or an empty
// non-terminal with only such below it: what an opt-out chain leaves out (RFC 5155,
// section 7.1).
func (z *Zone) onlyUnsigned(name string) bool {
	n := z.nodes[name]
	if name == z.origin {
		return false
	}
	if len(n) > 0 {
		return n.delegates() && len(n[dns.TypeDS]) == 0
	}
	for below, b := range z.nodes {
		if below != name && dns.IsSubDomain(name, below) && len(b) > 0 && !z.hidden(below) && !z.onlyUnsigned(below) {
			return false
		}
	}
	return true
}

// param is the NSEC3PARAM record of the zone (RFC 5155, section 4).
func (d Denial) param(origin string) dns.RR {
	h := dns.RR_Header{Name: origin, Rrtype: dns.TypeNSEC3PARAM, Class: dns.ClassINET}
	return &dns.NSEC3PARAM{Hdr: h, Hash: dns.SHA1, Iterations: d.Iterations, SaltLength: uint8(len(d.Salt) / 2), Salt: d.Salt}
}

func (c *hashChain) hash(name string) string {
	return strings.ToUpper(dns.HashName(name, dns.SHA1, c.d.Iterations, c.d.Salt))
}

func (c *hashChain) record(hash, next string, types ...uint16) dns.RR {
	owner := strings.ToLower(hash) + "." + strings.TrimPrefix(c.z.origin, ".")
	rr := &dns.NSEC3{
		Hdr:  dns.RR_Header{Name: owner, Rrtype: dns.TypeNSEC3, Class: dns.ClassINET, Ttl: c.z.negativeTTL()},
		Hash: dns.SHA1, Iterations: c.d.Iterations, SaltLength: uint8(len(c.d.Salt) / 2), Salt: c.d.Salt,
		HashLength: 20, NextDomain: next, TypeBitMap: types,
	}
	if c.d.OptOut {
		rr.Flags = 1
	}
	return rr
}

// match are the records at the hash of a name; nil where the chain leaves it out.
func (c *hashChain) match(name string) []dns.RR {
	if i, ok := c.find(name); ok {
		return c.rows[i].rrs
	}
	return nil
}

// cover are the records over the hash of a name.
func (c *hashChain) cover(name string) []dns.RR {
	if c.d.Kind == MinimalNSEC3 {
		h := c.hash(name)
		return c.z.together(c.record(beside(h, -1), beside(h, 1)))
	}
	i, _ := c.find(name)
	return c.rows[(i+len(c.rows)-1)%len(c.rows)].rrs
}

func (c *hashChain) find(name string) (int, bool) {
	return slices.BinarySearchFunc(c.rows, c.hash(name), func(r hashRow, h string) int { return strings.Compare(r.hash, h) })
}

// enclose proves the closest encloser: the longest ancestor that the chain has, and
// that the name one label longer is not there (RFC 5155, section 7.2.1).
func (c *hashChain) enclose(name, encloser string) []dns.RR {
	encloser = c.provable(encloser)
	return slices.Concat(c.match(encloser), c.cover(nextCloser(name, encloser)))
}

// provable is the encloser itself, or the closest name above it that the chain has: opt-out
// leaves out an empty non-terminal above nothing but delegations that it leaves out, too.
func (c *hashChain) provable(encloser string) string {
	for c.match(encloser) == nil {
		encloser = parent(encloser)
	}
	return encloser
}

func (c *hashChain) noName(name, encloser string) []dns.RR {
	return once(c.enclose(name, encloser), c.cover(wildcard(c.provable(encloser))))
}

// noType of a delegation that opt-out leaves out is a proof of its encloser (RFC
// 5155, section 7.2.4).
func (c *hashChain) noType(name string) []dns.RR {
	if at := c.match(name); at != nil {
		return at
	}
	return once(c.enclose(name, parent(name)))
}

func (c *hashChain) expanded(name, encloser string) []dns.RR {
	return c.cover(nextCloser(name, encloser))
}

func (c *hashChain) noTypeExpanded(name, encloser string) []dns.RR {
	return once(c.enclose(name, encloser), c.match(wildcard(encloser)))
}

// once is all records, none twice: one may prove two things.
func once(lists ...[]dns.RR) (out []dns.RR) {
	for _, rr := range slices.Concat(lists...) {
		if !slices.ContainsFunc(out, func(o dns.RR) bool { return o == rr }) {
			out = append(out, rr)
		}
	}
	return out
}

// beside is the hash so many steps away.
func beside(hash string, by int64) string {
	b := must(base32.HexEncoding.DecodeString(hash))
	n := new(big.Int).Add(new(big.Int).SetBytes(b), big.NewInt(by))
	return base32.HexEncoding.EncodeToString(n.FillBytes(make([]byte, len(b))))
}
