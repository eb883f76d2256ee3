package cache

import (
	"encoding/binary"

	"kresd/internal/rank"
	"kresd/internal/resolve"
	"kresd/internal/wire"
)

// The body of an RRset is a list of sets: the set itself, and the proofs that it
// needs if a wildcard made it (RFC 4035, section 3.1.3.3). That of a negative
// answer is the SOA and the proofs.
//
//	1  number of sets, then for each
//	   owner in wire form
//	2  type
//	2  class
//	4  TTL when the entry was made
//	1  rank
//	2  number of records
//	2  number of signatures
//	   RDATA of each, after its length in 2 octets
func appendSets(b []byte, sets []resolve.Set) []byte {
	b = append(b, byte(len(sets)))
	for i := range sets {
		b = appendSet(b, &sets[i].RRset, sets[i].Rank)
	}
	return b
}

func appendSet(b []byte, s *wire.RRset, r rank.Rank) []byte {
	b = append(b, s.Owner...)
	b = binary.BigEndian.AppendUint16(b, s.Type)
	b = binary.BigEndian.AppendUint16(b, s.Class)
	b = binary.BigEndian.AppendUint32(b, s.TTL)
	b = append(b, byte(r))
	b = binary.BigEndian.AppendUint16(b, uint16(len(s.Data)))
	b = binary.BigEndian.AppendUint16(b, uint16(len(s.Sigs)))
	for _, list := range [][][]byte{s.Data, s.Sigs} {
		for _, d := range list {
			b = binary.BigEndian.AppendUint16(b, uint16(len(d)))
			b = append(b, d...)
		}
	}
	return b
}

// oddCode is what the header of an entry says about the first of its sets: what is odd
// about the zone because of which it need not be signed. 0: nothing.
func oddCode(o resolve.Oddity) uint16 { return uint16(o.Why)<<8 | uint16(o.Labels) }

// oddityOf reads what oddCode has made.
func oddityOf(code uint16) resolve.Oddity {
	return resolve.Oddity{Why: resolve.Insecurity(code >> 8), Labels: uint8(code)}
}

// setsSize is an upper bound of what appendSets appends.
func setsSize(sets []resolve.Set) int {
	n := 1
	for i := range sets {
		n += setSize(&sets[i].RRset)
	}
	return n
}

func setSize(s *wire.RRset) int {
	n := len(s.Owner) + 13
	for _, d := range s.Data {
		n += 2 + len(d)
	}
	for _, d := range s.Sigs {
		n += 2 + len(d)
	}
	return n
}

// sets reads a list of sets, age seconds after it was written. Their RDATA
// points into the body.
func (c *cursor) sets(age uint32) []resolve.Set {
	n := c.u8()
	if c.bad || n == 0 || len(c.b)/setSize(&wire.RRset{}) < n {
		c.bad = true
		return nil
	}
	out := make([]resolve.Set, n)
	for i := range out {
		out[i] = c.set(age)
	}
	return out
}

// set reads one set. A signature that is shorter than the fixed fields of an RRSIG
// record, and a set without records, show that the entry is damaged.
func (c *cursor) set(age uint32) resolve.Set {
	s := resolve.Set{Cached: true}
	s.Owner = c.name()
	s.Type, s.Class = c.u16(), c.u16()
	ttl := c.u32()
	s.TTL = ttl - min(age, ttl)
	s.Rank = rank.Rank(c.u8())
	data, sigs := int(c.u16()), int(c.u16())
	s.Data, s.Sigs = c.rdatas(data), c.rdatas(sigs)
	for _, sig := range s.Sigs {
		if len(sig) < wire.SigFixed {
			c.bad = true
		}
	}
	if len(s.Data) == 0 {
		c.bad = true
	}
	return s
}

func (c *cursor) rdatas(n int) [][]byte {
	if n == 0 {
		return nil
	}
	if len(c.b)/2 < n {
		c.bad = true
		return nil
	}
	out := make([][]byte, n)
	for i := range out {
		out[i] = c.bytes(int(c.u16()))
	}
	return out
}
