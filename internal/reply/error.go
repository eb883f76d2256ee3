package reply

import (
	"encoding/binary"

	"kresd/internal/wire"
)

// Error is an answer without records, in dst's memory where it is large enough:
// FORMERR, NOTIMP, BADVERS, REFUSED or SERVFAIL to a message that was not asked
// further. It repeats the question if the message's was readable, and has an
// OPT record if the message had one that was readable. Age and rotation of the
// Shape say nothing here.
func Error(dst []byte, q *wire.Question, rcode int, s Shape) []byte {
	const opcode = 0xf << 11
	low := rcode & 0xf
	if rcode > 0xf && !q.HasEDNS {
		low = wire.RcodeServFail
	}
	flags := wire.FlagQR | wire.FlagRA | q.Flags&(opcode|wire.FlagRD|wire.FlagCD) | uint16(low)
	dst = binary.BigEndian.AppendUint16(dst[:0], q.ID)
	dst = binary.BigEndian.AppendUint16(dst, flags)
	dst = append(dst, 0, 0, 0, 0, 0, 0, 0, 0)
	if q.Name != nil {
		dst[5] = 1
		dst = append(dst, q.Name...)
		dst = binary.BigEndian.AppendUint16(dst, q.Type)
		dst = binary.BigEndian.AppendUint16(dst, q.Class)
	}
	if q.HasEDNS {
		dst = s.appendOPT(dst, q, rcode, nil)
	}
	return dst
}

// Problem is the RCODE that a message deserves by what is wrong with it.
func Problem(p wire.Problem) int {
	switch p {
	case wire.FormErr:
		return wire.RcodeFormErr
	case wire.NotImp:
		return wire.RcodeNotImp
	case wire.BadVers:
		return wire.RcodeBadVers
	}
	return wire.RcodeNoError
}
