package reply

import (
	"encoding/binary"

	"kresd/internal/limits"
	"kresd/internal/transport"
	"kresd/internal/wire"
)

// Shape is how this server words its answers to one client.
type Shape struct {
	// Kind is the transport by which the answer goes. Where it is no stream, the
	// client's size and Bufsize limit the answer.
	Kind transport.Kind
	// Bufsize is net.bufsize in octets: what an OPT record offers.
	Bufsize uint16
	// Block is of how many octets the length of an encrypted answer with an OPT
	// record shall be a multiple (RFC 8467, section 4.1), by a Padding option as its
	// last one; up to 1 is no padding.
	Block uint16
	// Options are EDNS options for this client alone, in wire form, such as a
	// cookie, NSID or the time a connection may idle. A client without EDNS gets
	// none of them.
	Options []byte
	// Behind is how many octets are kept free behind the answer, for its signature.
	Behind int
	// Age is how long ago the answer was made, in seconds. TTLs are that much
	// lower.
	Age uint32
	// Rotate is by how many places the records of each set are rotated.
	Rotate uint32
	// Counters count the limits that were hit; nil counts nothing.
	Counters *limits.Counters
}

func (s *Shape) limit(q *wire.Question) int {
	if s.Kind.Stream() {
		return 0xffff - s.Behind
	}
	return int(max(min(q.UDPSize, s.Bufsize), limits.MinBufsize)) - s.Behind
}

// Finish words b for one client, in dst's memory where it is large enough. It
// returns nil when b is not a Body for q; then b came from a damaged entry.
//
// An answer that is too large loses the additional section, silently; if that is not
// enough it loses everything and gets TC (RFC 2181, section 9): half a section
// is of no use to anybody. The client's options are worth more than records,
// because without its cookie an answer is thrown away (RFC 7873, section 5.3);
// the Body's are worth less.
func (b *Body) Finish(dst []byte, q *wire.Question, s Shape) []byte {
	question := wire.HeaderLen + len(q.Name) + 4
	if len(b.Octets) < question || b.Additional < question || b.Additional > len(b.Octets) {
		return nil
	}
	limit, opt := s.limit(q), 0
	if q.HasEDNS {
		opt = wire.OPTLen + len(s.Options)
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
		dst = s.appendOPT(dst, q, b.Rcode, b.Options)
	}
	return dst
}

// MaxLen is an upper bound of the length of Finish's message in octets.
func (b *Body) MaxLen(q *wire.Question, s *Shape) int {
	return min(len(b.Octets)+wire.OPTLen+len(s.Options)+len(b.Options)+s.maxPadding(), s.limit(q))
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
	if b.Secure && !tc && !q.CD() && (q.AD() || q.DO) { // RFC 6840, sections 5.7 and 5.8
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
	binary.BigEndian.PutUint16(msg[2:], (flags|b.HeaderOn)&^b.HeaderOff)
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

// optionHeader is the length of an option without its data: code and length
// (RFC 6891, section 6.1.2).
const optionHeader = 4

// appendOPT appends an OPT record with the client's options, the Body's and
// padding, in this order, and counts the record. Those of one origin that do not
// fit are left out together.
func (s *Shape) appendOPT(msg []byte, q *wire.Question, rcode int, fromBody []byte) []byte {
	limit, start := s.limit(q), len(msg)
	msg = wire.AppendOPT(msg, max(s.Bufsize, limits.MinBufsize), rcode, q.DO, nil)
	binary.BigEndian.PutUint16(msg[10:], binary.BigEndian.Uint16(msg[10:])+1)
	for _, options := range [...][]byte{s.Options, fromBody} {
		if len(msg)+len(options) <= limit {
			msg = append(msg, options...)
		}
	}
	msg = s.pad(msg, limit)
	binary.BigEndian.PutUint16(msg[start+wire.OPTLen-2:], uint16(len(msg)-start-wire.OPTLen))
	return msg
}

// pads tells whether answers are padded.
func (s *Shape) pads() bool { return s.Block > 1 && s.Kind.Encrypted() }

// maxPadding is the length of the longest Padding option.
func (s *Shape) maxPadding() int {
	if !s.pads() {
		return 0
	}
	return optionHeader + int(s.Block) - 1
}

// pad appends a Padding option of zeros (RFC 7830, section 3) that makes msg as
// long as the next multiple of the block, or as long as it may be.
func (s *Shape) pad(msg []byte, limit int) []byte {
	least := len(msg) + optionHeader
	if !s.pads() || least > limit {
		return msg
	}
	block := int(s.Block)
	n := min((least+block-1)/block*block, limit) - least
	msg = binary.BigEndian.AppendUint16(msg, wire.OptionPadding)
	msg = binary.BigEndian.AppendUint16(msg, uint16(n))
	return append(msg, make([]byte, n)...)
}
