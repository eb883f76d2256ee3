package rules

import (
	"encoding/binary"

	"kresd/internal/digest"
	"kresd/internal/dnsname"
)

// names are the names of a filter, one behind the other in one block, each after
// its length: a million of them cost the garbage collector nothing.
type names struct {
	octets []byte
	n      int
}

func newNames(list []dnsname.Name) names {
	size := 0
	for _, n := range list {
		size += 1 + len(n)
	}
	s := names{octets: make([]byte, 0, size), n: len(list)}
	for _, n := range list {
		s.octets = append(append(s.octets, byte(len(n))), n...)
	}
	return s
}

// at is the name whose length stands at an offset.
func (s *names) at(offset uint32) []byte {
	n := int(s.octets[offset])
	return s.octets[offset+1:][:n]
}

// digest is equal for equal lists in all processes, whatever their order.
func (s *names) digest() uint64 {
	total := uint64(s.n)
	for at := 0; at < len(s.octets); at += int(s.octets[at]) + 1 {
		total += digest.Of(string(s.at(uint32(at))))
	}
	return total
}

// mix makes one digest of two, in this order.
func mix(a, b uint64) uint64 {
	var buf [16]byte
	binary.BigEndian.PutUint64(buf[:], a)
	binary.BigEndian.PutUint64(buf[8:], b)
	return digest.Of(string(buf[:]))
}
