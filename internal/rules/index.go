package rules

import (
	"hash/maphash"
	"math/bits"
	"sync/atomic"
)

// index says which rules of a table name a question's name or an ancestor of it.
// It is an open hash table of names; each leads to the rules that have it, in
// their order. It grows in place: readers hold an earlier state of it, whose
// nodes end earlier, and take what came later for absent. So a rule is added
// without a copy of what is there already, and nothing that a reader sees changes.
type index struct {
	seed  maphash.Seed
	slots []uint32 // 1 + the first node of a name; 0 is free. Read and written atomically.
	nodes []node
	// depths has, for each kind of filter, a bit for each number of labels that
	// occurs, so that most ancestors of a name need no look-up.
	depths [pattern][2]uint64
	named  int // different names

	handled int // names that were put into their places, those of a larger table again: what adding costs
}

// node is one name of one rule.
type node struct {
	hash uint32
	rule uint32 // its place in the table
	name uint32 // offset in the names of its filter
	next uint32 // 1 + the node of the next rule with this name; 0: none. Read and written atomically.
	last uint32 // in the first node of a name: the last one. Its writer's alone.
}

func newIndex() index { return index{seed: maphash.MakeSeed(), slots: make([]uint32, 8)} }

// key is the hash of a name for one kind of filter.
func (x *index) key(name []byte, k kind) uint32 {
	return uint32(maphash.Bytes(x.seed, name)) ^ uint32(k)*0x9e3779b9
}

// add puts the names of the rule at a place in the table into the index.
func (x *index) add(entries []*Entry, rule int) {
	f := &entries[rule].Rule.Filter
	for at := 0; at < len(f.names.octets); at += int(f.names.octets[at]) + 1 {
		name := f.names.at(uint32(at))
		x.addName(entries, name, node{hash: x.key(name, f.kind), rule: uint32(rule), name: uint32(at)}, f.kind)
	}
}

func (x *index) addName(entries []*Entry, name []byte, n node, k kind) {
	x.handled++
	slot, first := x.find(entries, name, n.hash, k)
	added := uint32(len(x.nodes)) + 1
	if first == 0 {
		n.last = added
		x.nodes = append(x.nodes, n)
		atomic.StoreUint32(&x.slots[slot], added)
		labels := labelsOf(name)
		x.depths[k][labels/64] |= 1 << (labels % 64)
		if x.named++; 2*x.named > len(x.slots) {
			x.grow()
		}
		return
	}
	last := x.nodes[first-1].last
	if x.nodes[last-1].rule == n.rule { // a list that has a name twice
		return
	}
	x.nodes = append(x.nodes, n)
	atomic.StoreUint32(&x.nodes[last-1].next, added)
	x.nodes[first-1].last = added
}

func labelsOf(name []byte) (n int) {
	for at := 0; name[at] != 0; at += int(name[at]) + 1 {
		n++
	}
	return n
}

// grow makes a table of slots that is twice as large.
func (x *index) grow() {
	old := x.slots
	x.slots = make([]uint32, 1<<bits.Len(uint(len(old))))
	mask := uint32(len(x.slots) - 1)
	for _, at := range old {
		if at == 0 {
			continue
		}
		x.handled++
		i := x.nodes[at-1].hash & mask
		for x.slots[i] != 0 {
			i = (i + 1) & mask
		}
		x.slots[i] = at
	}
}

// find returns the slot of a name, and 1 + the first node of a rule with it; 0
// when there is none.
func (x *index) find(entries []*Entry, name []byte, hash uint32, k kind) (slot, first uint32) {
	mask := uint32(len(x.slots) - 1)
	for i := hash & mask; ; i = (i + 1) & mask {
		at := atomic.LoadUint32(&x.slots[i])
		if at == 0 || int(at) > len(x.nodes) {
			return i, 0
		}
		n := &x.nodes[at-1]
		if n.hash != hash {
			continue
		}
		if f := &entries[n.rule].Rule.Filter; f.kind == k && string(f.names.at(n.name)) == string(name) {
			return i, at
		}
	}
}

// has tells whether any filter of a kind has a name with so many labels.
func (x *index) has(k kind, labels int) bool { return x.depths[k][labels/64]&(1<<(labels%64)) != 0 }

// after is 1 + the node behind one; 0 when there is none.
func (x *index) after(at uint32) uint32 {
	if next := atomic.LoadUint32(&x.nodes[at-1].next); int(next) <= len(x.nodes) {
		return next
	}
	return 0
}
