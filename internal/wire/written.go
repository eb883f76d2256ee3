package wire

import "kresd/internal/dnsname"

// written are the names in a message that others may point to, each suffix by
// itself. Few are compared one by one; more are found by their hashes, so that the
// cost of a reply grows with its octets and not with their square.
type written struct {
	at     []uint16 // where they stand
	hashes []uint32 // of each, where they are indexed
	table  []uint16 // of 1 + places in at, by hash, with open addressing; nil: not indexed
}

// fewNames are compared one by one.
const fewNames = 40

func (w *written) indexed() bool { return w.table != nil }

// index makes the table for the names in msg.
func (w *written) index(msg []byte) {
	w.table = make([]uint16, 256)
	w.hashes = make([]uint32, 0, 2*len(w.at))
	at := w.at
	w.at = make([]uint16, 0, 2*len(at))
	for _, p := range at {
		w.addHashed(p, hashAt(msg, int(p)))
	}
}

// addHashed notes one name. The table is never more than half full.
func (w *written) addHashed(at uint16, hash uint32) {
	w.at, w.hashes = append(w.at, at), append(w.hashes, hash)
	if 2*len(w.at) <= len(w.table) {
		*w.slot(hash, 0) = uint16(len(w.at))
		return
	}
	w.table = make([]uint16, 2*len(w.table))
	for i, h := range w.hashes {
		*w.slot(h, 0) = uint16(i + 1)
	}
}

// slot is where a number stands in the table among those of a hash; 0 for the free
// slot behind them.
func (w *written) slot(hash uint32, n uint16) *uint16 {
	at := int(hash) & (len(w.table) - 1)
	for w.table[at] != n {
		at = (at + 1) & (len(w.table) - 1)
	}
	return &w.table[at]
}

// truncate forgets all but the first n names. The last that came goes first, so no
// name is behind it that would be lost from sight.
func (w *written) truncate(n int) {
	if w.indexed() {
		for i := len(w.at); i > n; i-- {
			*w.slot(w.hashes[i-1], uint16(i)) = 0
		}
		w.hashes = w.hashes[:min(n, len(w.hashes))]
	}
	w.at = w.at[:n]
}

// find is where a name with this hash stands for which is is true.
func (w *written) find(hash uint32, is func(at uint16) bool) (uint16, bool) {
	for at := int(hash) & (len(w.table) - 1); w.table[at] != 0; at = (at + 1) & (len(w.table) - 1) {
		if i := w.table[at] - 1; w.hashes[i] == hash && is(w.at[i]) {
			return w.at[i], true
		}
	}
	return 0, false
}

// suffixes are the hashes of a name and of its suffixes, the whole name's first.
type suffixes struct{ of [dnsname.MaxLen / 2]uint32 }

// hash fills in the hashes of n, which is in lower case.
func (s *suffixes) hash(n dnsname.Name) {
	var begin [dnsname.MaxLen / 2]uint8
	labels := 0
	for p := 0; n[p] != 0; p += 1 + int(n[p]) {
		begin[labels] = uint8(p)
		labels++
	}
	h := uint32(hashBegin)
	for end := len(n) - 1; labels > 0; {
		labels--
		p := int(begin[labels])
		for ; end > p; end-- {
			h = (h ^ uint32(n[end-1])) * hashFactor
		}
		s.of[labels] = h ^ h>>15
	}
}

// Parameters of the hash, which is FNV-1a from the end. That names of equal hash can be
// made does no harm: what is compared is bounded.
const (
	hashBegin  = 2166136261
	hashFactor = 16777619
)

// hashAt is the hash of the name at p in a message, in any case and with pointers.
func hashAt(msg []byte, p int) uint32 {
	var buf [dnsname.MaxLen]byte
	n := buf[:0]
	for {
		l := int(msg[p])
		if l >= 0xc0 {
			p = pointer(msg[p:])
			continue
		}
		for _, c := range msg[p : p+1+l] {
			n = append(n, dnsname.Lower(c))
		}
		if p += 1 + l; l == 0 {
			break
		}
	}
	var s suffixes
	s.hash(dnsname.Name(n))
	return s.of[0]
}
