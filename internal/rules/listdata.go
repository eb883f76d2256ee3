package rules

import (
	"encoding/binary"
	"iter"

	"kresd/internal/limits"
)

// dataSets are the data that a listing answers with. Equal sets are kept once: lists that
// give a million names one address have one.
type dataSets struct {
	octets []byte
	begins []uint32 // where each set begins, and where the next one would
	// actions are those of verdicts: of the names in Verdict, then of the first sets.
	actions []*Action
	// rare answers with the other sets, on the driver's way.
	rare *Action
}

func newDataSets() *dataSets { return &dataSets{begins: []uint32{0}} }

func (d *dataSets) len() int { return len(d.begins) - 1 }

func (d *dataSets) add(data []byte) {
	d.octets = append(d.octets, data...)
	d.begins = append(d.begins, uint32(len(d.octets)))
}

// of is the set of a verdict.
func (d *dataSets) of(v Verdict) []byte {
	if v < firstSet {
		return nil
	}
	n := v - firstSet
	return d.octets[d.begins[n]:d.begins[n+1]]
}

// prepare words what is answered often enough to be given on the listener's thread. find
// says which verdict is on a subject.
func (d *dataSets) prepare(find func(*Subject) (Verdict, int)) {
	d.actions = []*Action{ListPass: Pass(), ListDrop: Drop(), ListTruncate: Truncate()}
	for n := range min(d.len(), limits.ListPrepared) {
		d.actions = append(d.actions, d.made(firstSet+Verdict(n)))
	}
	d.rare = Run("ANSWER", nil, func(h *Hit) Decision {
		v, _ := find(h.Subject)
		if v < firstSet {
			return GoOn
		}
		return d.made(v).run(h)
	})
}

// action is that of a verdict.
func (d *dataSets) action(v Verdict) *Action {
	if int(v) < len(d.actions) {
		return d.actions[v]
	}
	return d.rare
}

// made answers with a set.
func (d *dataSets) made(v Verdict) *Action {
	types := map[uint16]Data{}
	for r := range records(d.of(v)) {
		set, had := types[r.t]
		if !had || r.ttl < set.TTL { // records of a set have one TTL (RFC 2181, section 5.2)
			set.TTL = r.ttl
		}
		set.Data = append(set.Data, r.rdata)
		types[r.t] = set
	}
	return Answer(types, true)
}

// recordHead is the octets of a record in a set before its RDATA: type, TTL, length.
const recordHead = 2 + 4 + 2

func appendRecord(to []byte, t uint16, ttl uint32, rdata []byte) []byte {
	to = binary.BigEndian.AppendUint16(to, t)
	to = binary.BigEndian.AppendUint32(to, ttl)
	to = binary.BigEndian.AppendUint16(to, uint16(len(rdata)))
	return append(to, rdata...)
}

// A record is one of a set.
type record struct {
	t     uint16
	ttl   uint32
	rdata []byte
}

// records are those of a set.
func records(set []byte) iter.Seq[record] {
	return func(yield func(record) bool) {
		for len(set) > 0 {
			end := recordHead + int(binary.BigEndian.Uint16(set[6:]))
			if !yield(record{binary.BigEndian.Uint16(set), binary.BigEndian.Uint32(set[2:]), set[recordHead:end:end]}) {
				return
			}
			set = set[end:]
		}
	}
}

// hasRecord tells whether a set has a record already.
func hasRecord(set []byte, t uint16, rdata []byte) bool {
	for r := range records(set) {
		if r.t == t && string(r.rdata) == string(rdata) {
			return true
		}
	}
	return false
}
