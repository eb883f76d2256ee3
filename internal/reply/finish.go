package reply

import (
	"encoding/binary"

	"kresd/internal/limits"
	"kresd/internal/wire"
)

// Shape is how this server words its answers to one client.
type Shape struct {
	// UDP tells that the client's size and Bufsize limit the answer.
	UDP bool
	// Bufsize is net.bufsize in octets: what an OPT record offers.
	Bufsize uint16
	// Age is how long ago the answer was made, in seconds. TTLs are that much
	// lower.
	Age uint32
	// Rotate is by how many places the records of each set are rotated.
	Rotate uint32
	// Counters count the limits that were hit; nil counts nothing.
	Counters *limits.Counters
}

func (s *Shape) limit(q *wire.Question) int {
	if !s.UDP {
		return 0xffff
	}
	return int(max(min(q.UDPSize, s.Bufsize), limits.MinBufsize))
}

// Finish words b for one client, in dst's memory where it is large enough. It
// returns nil when b is not a Body for q; then b came from a damaged entry.
//
// What is too large loses the additional section, silently; if that is not
// enough it loses everything and gets TC (RFC 2181, section 9): half a section
// is of no use to anybody.
func (b *Body) Finish(dst []byte, q *wire.Question, s Shape) []byte {
	question := wire.HeaderLen + len(q.Name) + 4
	if len(b.Octets) < question || b.Additional < question || b.Additional > len(b.Octets) {
		return nil
	}
	limit, opt := s.limit(q), 0
	if q.HasEDNS {
		opt = wire.OPTLen
	}
	keep := len(b.Octets)
	if keep+opt > limit {
		keep = b.Additional
	}
	tc := b.TC || keep+opt > limit
	if tc {
		keep = question
	}
	dst = append(dst[:0], b.Octets[:keep]...)
	b.header(dst, q, tc, keep < len(b.Octets))
	copy(dst[wire.HeaderLen:], q.Name)
	if s.Rotate > 0 {
		turn(dst, b.Runs, s.Rotate)
	}
	if s.Age > 0 {
		age(dst[:keep], question, b.TTLs, s.Age)
	}
	if q.HasEDNS {
		dst = appendOPT(dst, q, b.Rcode, s.Bufsize, b.Options, limit)
	}
	return dst
}

// MaxLen is an upper bound of the length of Finish's message in octets.
func (b *Body) MaxLen(q *wire.Question, s *Shape) int {
	return min(len(b.Octets)+wire.OPTLen+len(b.Options), s.limit(q))
}

// header fills in everything before the question. less tells that the
// additional section is not there.
func (b *Body) header(msg []byte, q *wire.Question, tc, less bool) {
	rcode := b.Rcode
	if rcode > 0xf && !q.HasEDNS {
		rcode = wire.RcodeServFail
	}
	flags := wire.FlagQR | wire.FlagRA | q.Flags&(wire.FlagRD|wire.FlagCD) | uint16(rcode&0xf)
	if b.AA {
		flags |= wire.FlagAA
	}
	if b.Secure && !tc && (q.AD() || q.DO) {
		flags |= wire.FlagAD
	}
	if tc {
		flags |= wire.FlagTC
		clear(msg[6:10])
	}
	if less {
		clear(msg[10:12])
	}
	binary.BigEndian.PutUint16(msg, q.ID)
	binary.BigEndian.PutUint16(msg[2:], flags)
}

// age lowers the TTLs at the given offsets inside msg.
func age(msg []byte, from int, ttls []byte, by uint32) {
	for ; len(ttls) >= 2; ttls = ttls[2:] {
		at := int(binary.BigEndian.Uint16(ttls))
		if at < from || at+4 > len(msg) {
			continue
		}
		ttl := binary.BigEndian.Uint32(msg[at:])
		binary.BigEndian.PutUint32(msg[at:], ttl-min(by, ttl))
	}
}

// appendOPT appends an OPT record and counts it. Options are left out when they
// do not fit.
func appendOPT(msg []byte, q *wire.Question, rcode int, bufsize uint16, options []byte, limit int) []byte {
	if len(msg)+wire.OPTLen+len(options) > limit {
		options = nil
	}
	msg = wire.AppendOPT(msg, max(bufsize, limits.MinBufsize), rcode, q.DO, options)
	binary.BigEndian.PutUint16(msg[10:], binary.BigEndian.Uint16(msg[10:])+1)
	return msg
}
