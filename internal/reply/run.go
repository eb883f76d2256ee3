package reply

import (
	"encoding/binary"
	"slices"

	"kresd/internal/wire"
)

// A run is a set whose records can be rotated where they stand in a message:
// all of them have the same length, and nothing points into them, since their
// owner is a compression pointer and their RDATA holds no name. Each takes
// runLen octets in Body.Runs: offset, number and length of its records.
const runLen = 6

// run notes the set that was just written at offset from, if it is one.
func (m *maker) run(from int, set *wire.RRset) {
	n := len(set.Data)
	stride := 12 + len(set.Data[0])
	if set.Type != wire.TypeA && set.Type != wire.TypeAAAA || m.Len()-from != n*stride {
		m.body.Steady = true
		return
	}
	r := binary.BigEndian.AppendUint16(m.body.Runs, uint16(from))
	r = binary.BigEndian.AppendUint16(r, uint16(n))
	m.body.Runs = binary.BigEndian.AppendUint16(r, uint16(stride))
}

// turn rotates all runs that lie inside msg by the given number of records.
func turn(msg, runs []byte, by uint32) {
	for ; len(runs) >= runLen; runs = runs[runLen:] {
		from := int(binary.BigEndian.Uint16(runs))
		n := int(binary.BigEndian.Uint16(runs[2:]))
		stride := int(binary.BigEndian.Uint16(runs[4:]))
		if n == 0 || from+n*stride > len(msg) {
			continue
		}
		records := msg[from : from+n*stride]
		cut := int(by%uint32(n)) * stride
		slices.Reverse(records[:cut])
		slices.Reverse(records[cut:])
		slices.Reverse(records)
	}
}
