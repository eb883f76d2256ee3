package policy

import (
	"encoding/binary"
	"hash/maphash"
	"math/bits"

	"kresd/internal/dnsname"
)

// suffixSet holds names and finds the longest one that a question's name lies at
// or below. It has no pointers but two, so that a million names cost the garbage
// collector nothing: the names stand one behind the other in one block of
// octets, and an open hash table holds where. Never changed once made.
type suffixSet struct {
	seed  maphash.Seed
	names []byte
	table []uint32 // 1 + offset in names; 0 is free
	// depths has a bit for each number of labels that occurs, so that most
	// ancestors of a name need no look-up.
	depths [4]uint64
	n      int
}

func newSuffixSet(names []dnsname.Name) *suffixSet {
	s := &suffixSet{seed: maphash.MakeSeed()}
	s.table = make([]uint32, 1<<max(3, bits.Len(uint(2*len(names)))))
	for _, n := range names {
		s.add(n)
	}
	return s
}

func (s *suffixSet) add(n dnsname.Name) {
	i := s.slot([]byte(n))
	if s.table[i] != 0 {
		return
	}
	s.table[i] = uint32(len(s.names)) + 1
	s.names = append(s.names, byte(len(n)))
	s.names = append(s.names, n...)
	labels := n.Labels()
	s.depths[labels/64] |= 1 << (labels % 64)
	s.n++
}

// slot is where name stands in the table, or the free place for it.
func (s *suffixSet) slot(name []byte) int {
	mask := len(s.table) - 1
	for i := int(maphash.Bytes(s.seed, name)) & mask; ; i = (i + 1) & mask {
		at := s.table[i]
		if at == 0 || string(s.at(at-1)) == string(name) {
			return i
		}
	}
}

func (s *suffixSet) at(offset uint32) []byte {
	n := int(s.names[offset])
	return s.names[offset+1:][:n]
}

// find returns how many octets of the name stand before its longest ancestor or
// self in the set, -1 when there is none. exact looks for the name itself only.
func (s *suffixSet) find(p *probe, exact bool) int {
	name, left := p.name(), p.labels
	for at := 0; ; at += int(name[at]) + 1 {
		if s.depths[left/64]&(1<<(left%64)) != 0 && s.table[s.slot(name[at:])] != 0 {
			return at
		}
		if exact || left == 0 {
			return -1
		}
		left--
	}
}

// sum is a digest that is equal in all processes for equal sets.
func (s *suffixSet) sum() uint64 {
	total := uint64(s.n)
	for at := 0; at < len(s.names); at += int(s.names[at]) + 1 {
		total += digest(string(s.at(uint32(at)))) // the order does not matter
	}
	return total
}

// digest is FNV-1a: unlike maphash it is the same in every process.
func digest(text string) uint64 {
	h := uint64(14695981039346656037)
	for i := 0; i < len(text); i++ {
		h = (h ^ uint64(text[i])) * 1099511628211
	}
	return h
}

// mix makes one digest of two, in this order.
func mix(a, b uint64) uint64 {
	var buf [16]byte
	binary.BigEndian.PutUint64(buf[:], a)
	binary.BigEndian.PutUint64(buf[8:], b)
	return digest(string(buf[:]))
}
