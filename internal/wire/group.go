package wire

import (
	"bytes"
	"encoding/binary"
	"hash/maphash"

	"kresd/internal/dnsname"
)

// Group collects records into RRsets in the order of first appearance. RRSIGs
// join the set that they cover; those that cover none are left out. However many
// records and sets there are, the work grows no faster than their octets.
func Group(rrs []RR) []RRset {
	if len(rrs) == 0 {
		return nil
	}
	if len(rrs) == 1 {
		return groupOfOne(&rrs[0])
	}
	g := grouping{rrs: rrs, of: make([]int32, len(rrs)), sets: make([]setSize, 0, len(rrs))}
	if len(rrs) > few {
		g.seed = maphash.MakeSeed()
		g.bySet, g.byData = newIndex(len(rrs)), newIndex(len(rrs))
	}
	for i := range rrs {
		if g.of[i] = none; rrs[i].Type != TypeRRSIG {
			g.record(i)
		}
	}
	for i := range rrs {
		if rrs[i].Type == TypeRRSIG {
			g.signature(i)
		}
	}
	return g.fill()
}

// groupOfOne is Group for one record, as most sections have, in one piece of memory.
func groupOfOne(rr *RR) []RRset {
	if rr.Type == TypeRRSIG {
		return []RRset{}
	}
	m := &struct {
		set  [1]RRset
		data [1][]byte
	}{data: [1][]byte{rr.RData}}
	m.set[0] = RRset{Owner: rr.Owner, Type: rr.Type, Class: rr.Class, TTL: rr.TTL, Data: m.data[:]}
	return m.set[:]
}

// few records are compared one by one: that is quicker than to make an index.
const few = 24

// none is the set of a record that belongs to none, or that is there already.
const none = -1

// grouping is one Group at work. Sets lie in one array and the lists of all of them in
// another, so sets and records are matched and counted first.
type grouping struct {
	rrs  []RR
	of   []int32 // the set of each record
	sets []setSize

	seed   maphash.Seed
	bySet  index // of sets, by owner, type and class
	byData index // of records, by set and RDATA
}

// setSize is a set's first record, how many records and signatures the set has, and
// their least TTL.
type setSize struct {
	first, data, sigs int32
	ttl               uint32
}

func (g *grouping) record(i int) {
	rr := &g.rrs[i]
	at, slot := g.find(rr.Owner, rr.Type, rr.Class)
	if at == none {
		at = int32(len(g.sets))
		g.sets = append(g.sets, setSize{first: int32(i), ttl: rr.TTL})
		if slot != nil {
			*slot = at + 1
		}
	}
	s := &g.sets[at]
	s.ttl = min(s.ttl, rr.TTL)
	if !g.repeated(at, i) {
		g.of[i] = at
		s.data++
	}
}

func (g *grouping) signature(i int) {
	rr := &g.rrs[i]
	if at, _ := g.find(rr.Owner, Covered(rr.RData), rr.Class); at != none {
		s := &g.sets[at]
		s.ttl = min(s.ttl, rr.TTL)
		g.of[i] = at
		s.sigs++
	}
}

// find finds a set, or none and the slot where it belongs in the index, if there is one.
func (g *grouping) find(owner dnsname.Name, t, class uint16) (at int32, slot *int32) {
	is := func(at int32) bool {
		rr := &g.rrs[g.sets[at].first]
		return rr.Type == t && rr.Owner == owner && rr.Class == class
	}
	if g.bySet != nil {
		slot = g.bySet.find(g.hash(owner, t, class), is)
		return *slot - 1, slot
	}
	for at := range int32(len(g.sets)) {
		if is(at) {
			return at, nil
		}
	}
	return none, nil
}

func (g *grouping) hash(owner dnsname.Name, t, class uint16) uint64 {
	var b [12]byte
	binary.BigEndian.PutUint64(b[:], maphash.String(g.seed, string(owner)))
	binary.BigEndian.PutUint16(b[8:], t)
	binary.BigEndian.PutUint16(b[10:], class)
	return maphash.Bytes(g.seed, b[:])
}

// repeated tells whether a set has the RDATA of record i already (RFC 2181, section
// 5).
func (g *grouping) repeated(set int32, i int) bool {
	data := g.rrs[i].RData
	is := func(j int32) bool { return g.of[j] == set && bytes.Equal(g.rrs[j].RData, data) }
	if g.byData == nil {
		for j := range int32(i) {
			if is(j) {
				return true
			}
		}
		return false
	}
	slot := g.byData.find(maphash.Bytes(g.seed, data)+uint64(set)*0x9e3779b97f4a7c15, is)
	if *slot != 0 {
		return true
	}
	*slot = int32(i) + 1
	return false
}

// fill makes the sets.
func (g *grouping) fill() []RRset {
	sets := make([]RRset, len(g.sets))
	room := make([][]byte, len(g.rrs))
	cut := func(n int32) (list [][]byte) {
		if n > 0 {
			list, room = room[:0:n], room[n:]
		}
		return list
	}
	for at := range sets {
		s := &g.sets[at]
		rr := &g.rrs[s.first]
		sets[at] = RRset{Owner: rr.Owner, Type: rr.Type, Class: rr.Class, TTL: s.ttl, Data: cut(s.data), Sigs: cut(s.sigs)}
	}
	for i, at := range g.of {
		switch {
		case at == none:
		case g.rrs[i].Type == TypeRRSIG:
			sets[at].Sigs = append(sets[at].Sigs, g.rrs[i].RData)
		default:
			sets[at].Data = append(sets[at].Data, g.rrs[i].RData)
		}
	}
	return sets
}

// index is a hash table with open addressing of numbers from 0 on; each slot holds
// one more than the number, and 0 when it is free.
type index []int32

// newIndex has room for n numbers, and at least as much free.
func newIndex(n int) index {
	size := 1
	for size < 2*n {
		size *= 2
	}
	return make(index, size)
}

// find is the slot of the number with this hash that is the one looked for, or the
// free slot where it belongs.
func (x index) find(hash uint64, is func(int32) bool) *int32 {
	hash ^= hash >> 32
	for at := int(hash) & (len(x) - 1); ; at = (at + 1) & (len(x) - 1) {
		if x[at] == 0 || is(x[at]-1) {
			return &x[at]
		}
	}
}
