package cache

import (
	"encoding/binary"

	"kresd/internal/reply"
)

// The body of an answer:
//
//	8  number of the last clear that its parts have seen
//	2  where its additional section begins
//	2  octets of TTL offsets
//	2  octets of runs
//	2  octets of EDNS options
//	2  octets of message
//	   these four, one after the other (reply.Body)
const (
	flagAA = 1 << iota
	flagSecure
	flagSteady
)

const answerFixed = 18

// encodeAnswer makes an entry of an answer, and leaves room for so many octets behind it.
func encodeAnswer(h header, clears uint64, a *reply.Body, room int) []byte {
	h.kind, h.code = kindAnswer, uint16(a.Rcode)
	for _, f := range []struct {
		on  bool
		bit byte
	}{{a.AA, flagAA}, {a.Secure, flagSecure}, {a.Steady, flagSteady}} {
		if f.on {
			h.flags |= f.bit
		}
	}
	b := newEntry(h, answerFixed+len(a.TTLs)+len(a.Runs)+len(a.Options)+len(a.Octets)+room)
	b = binary.BigEndian.AppendUint64(b, clears)
	b = binary.BigEndian.AppendUint16(b, uint16(a.Additional))
	parts := [][]byte{a.TTLs, a.Runs, a.Options, a.Octets}
	for _, p := range parts {
		b = binary.BigEndian.AppendUint16(b, uint16(len(p)))
	}
	for _, p := range parts {
		b = append(b, p...)
	}
	return b
}

// clearsOf is the number of the last clear that the parts of an answer have seen, which
// encodeAnswer has made an entry of.
func clearsOf(entry []byte) uint64 { return binary.BigEndian.Uint64(entry[headerLen:]) }

// decodeAnswer reads the body of an answer and the clear number of its parts. What
// it puts into a points into b; it allocates nothing.
func decodeAnswer(h header, b []byte, a *reply.Body) (clears uint64, ok bool) {
	c := cursor{b: b}
	clears = c.u64()
	a.Additional = int(c.u16())
	ttls, runs, options, octets := int(c.u16()), int(c.u16()), int(c.u16()), int(c.u16())
	a.TTLs, a.Runs, a.Options, a.Octets = c.bytes(ttls), c.bytes(runs), c.bytes(options), c.bytes(octets)
	a.Rcode = int(h.code)
	a.AA = h.flags&flagAA != 0
	a.Secure = h.flags&flagSecure != 0 && h.rank.IsSecure()
	a.Steady = h.flags&flagSteady != 0
	a.TC = false
	return clears, c.end() && h.kind == kindAnswer
}
