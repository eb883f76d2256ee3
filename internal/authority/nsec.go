package authority

import (
	"slices"

	"github.com/miekg/dns"
)

// chain is the NSEC chain of a zone: its names with records, in order, each with
// its signed NSEC record in its node.
type chain struct {
	z     *Zone
	names []string
}

func newChain(z *Zone) *chain {
	c := &chain{z: z}
	for name, n := range z.nodes {
		if len(n) > 0 && !z.hidden(name) {
			c.names = append(c.names, name)
		}
	}
	slices.SortFunc(c.names, order)
	for i, name := range c.names {
		n := z.nodes[name]
		n[dns.TypeNSEC] = []dns.RR{z.nsec(name, c.names[(i+1)%len(c.names)], z.bitmap(name, dns.TypeNSEC, dns.TypeRRSIG)...)}
		z.seal(n, dns.TypeNSEC)
	}
	return c
}

// nsec is an NSEC record of the zone.
func (z *Zone) nsec(owner, next string, types ...uint16) *dns.NSEC {
	h := dns.RR_Header{Name: owner, Rrtype: dns.TypeNSEC, Class: dns.ClassINET, Ttl: z.negativeTTL()}
	return &dns.NSEC{Hdr: h, NextDomain: next, TypeBitMap: types}
}

// at are the records of the chain whose owner is the last one not behind each
// name, which cover or match it; none twice.
func (c *chain) at(names ...string) (out []dns.RR) {
	var done []int
	for _, name := range names {
		i, found := slices.BinarySearchFunc(c.names, name, order)
		if !found {
			i--
		}
		if i < 0 || slices.Contains(done, i) {
			continue
		}
		done = append(done, i)
		n := c.z.nodes[c.names[i]]
		out = append(append(out, n[dns.TypeNSEC]...), covering(n, dns.TypeNSEC)...)
	}
	return out
}

func (c *chain) noName(name, encloser string) []dns.RR { return c.at(name, wildcard(encloser)) }

func (c *chain) noType(name string) []dns.RR { return c.at(name) }

func (c *chain) expanded(name, _ string) []dns.RR { return c.at(name) }

func (c *chain) noTypeExpanded(name, encloser string) []dns.RR {
	return c.at(wildcard(encloser), name)
}

// minimal signs, for each question, NSEC records that cover hardly another name
// than the one asked for (RFC 4470).
type minimal struct{ z *Zone }

// around covers one name and those below it.
func (m minimal) around(name string) []dns.RR {
	first, rest := cutLabel(name)
	if first == "\x00" { // nothing stands between it and the name above
		return m.z.together(m.z.nsec(rest, joined("\x00\x00", rest), m.z.bitmap(rest, dns.TypeNSEC, dns.TypeRRSIG)...))
	}
	after := first + "\x00"
	if len(first) == longest {
		after = first[:longest-1] + string([]byte{first[longest-1] + 1})
	}
	return m.z.together(m.z.nsec(m.before(name), joined(after, rest), dns.TypeNSEC, dns.TypeRRSIG))
}

// longest is the length of the longest label.
const longest = 63

// before is a name just before another: beside it, or below the name that is one zero
// octet shorter, behind which there is nothing else.
func (m minimal) before(name string) string {
	first, rest := cutLabel(name)
	if len(first) > 1 && first[len(first)-1] == 0 {
		return joined("\xff", joined(first[:len(first)-1], rest))
	}
	out := []byte(first)
	out[len(out)-1]--
	if len(out) < longest {
		out = append(out, 0xff)
	}
	return joined(string(out), rest)
}

func (m minimal) noName(name, encloser string) []dns.RR {
	return slices.Concat(m.around(nextCloser(name, encloser)), m.around(wildcard(encloser)))
}

// noType at an empty non-terminal is a range that ends below it.
func (m minimal) noType(name string) []dns.RR {
	if len(m.z.nodes[name]) == 0 {
		return m.z.together(m.z.nsec(m.before(name), joined("\x00", name), dns.TypeNSEC, dns.TypeRRSIG))
	}
	return m.z.together(m.z.nsec(name, joined("\x00", name), m.z.bitmap(name, dns.TypeNSEC, dns.TypeRRSIG)...))
}

func (m minimal) expanded(name, encloser string) []dns.RR {
	return m.around(nextCloser(name, encloser))
}

func (m minimal) noTypeExpanded(name, encloser string) []dns.RR {
	return slices.Concat(m.noType(wildcard(encloser)), m.expanded(name, encloser))
}

// typeNXNAME marks a name that is not there (RFC 9824, section 3.3).
const typeNXNAME = 128

// compact says of every name that it is there (RFC 9824): step answers NOERROR.
// What a wildcard made is signed as if it stood in the zone.
type compact struct{ z *Zone }

func (c compact) noName(name, _ string) []dns.RR {
	return c.z.together(c.z.nsec(name, joined("\x00", name), dns.TypeRRSIG, dns.TypeNSEC, typeNXNAME))
}

func (c compact) noType(name string) []dns.RR {
	return c.z.together(c.z.nsec(name, joined("\x00", name), c.z.bitmap(name, dns.TypeRRSIG, dns.TypeNSEC)...))
}

func (c compact) expanded(string, string) []dns.RR { return nil }

func (c compact) noTypeExpanded(name, encloser string) []dns.RR {
	types := c.z.bitmap(wildcard(encloser), dns.TypeRRSIG, dns.TypeNSEC)
	return c.z.together(c.z.nsec(name, joined("\x00", name), types...))
}

// nextCloser is the name one label longer than the closest encloser on the way to
// a name (RFC 5155, section 1.3).
func nextCloser(name, encloser string) string {
	for parent(name) != encloser {
		name = parent(name)
	}
	return name
}

// cutLabel is the first label of a name in wire form, and the rest.
func cutLabel(name string) (first, rest string) {
	all := labels(name)
	return all[len(all)-1], parent(name)
}

// joined is a name of a first label in wire form and the rest.
func joined(first, rest string) string {
	buf := append(append([]byte{byte(len(first))}, first...), wireName(rest)...)
	name, _, err := dns.UnpackDomainName(buf, 0)
	if err != nil {
		panic(err)
	}
	return name
}
