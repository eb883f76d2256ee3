package listen

import (
	"encoding/binary"

	"kresd/internal/wire"
)

// headerLen and maxMessage are the least and the most octets of a message.
const (
	headerLen  = wire.HeaderLen
	maxMessage = wire.MaxMessage
)

// nextFrame splits one message off a stream, in which each stands behind two
// octets of length (RFC 1035, section 4.2.2). ok is false while the first
// message is incomplete; rest is then in.
func nextFrame(in []byte) (msg, rest []byte, ok bool) {
	if len(in) < 2 {
		return nil, in, false
	}
	end := 2 + int(binary.BigEndian.Uint16(in))
	if len(in) < end {
		return nil, in, false
	}
	return in[2:end:end], in[end:], true
}

// frameLen is the length, prefix included, of the frame that in begins with; 2
// while that is unknown.
func frameLen(in []byte) int {
	if len(in) < 2 {
		return 2
	}
	return 2 + int(binary.BigEndian.Uint16(in))
}

// appendFrame appends msg behind its length. A message that is too long for a
// length is left out.
func appendFrame(out, msg []byte) []byte {
	if len(msg) > maxMessage {
		return out
	}
	out = binary.BigEndian.AppendUint16(out, uint16(len(msg)))
	return append(out, msg...)
}

// isQuery tells whether a message may be answered at all. One that is shorter than a header
// has no ID for the answer; answering a response would start a loop between two servers;
// and the header of a proxy that is not listed is no query.
func isQuery(msg []byte) bool {
	return len(msg) >= headerLen && msg[2]&0x80 == 0 && !beginsProxyHeader(msg)
}
