package wire

import (
	"encoding/binary"

	"kresd/internal/dnsname"
)

// A TSIG is the signature of a transaction at the end of a message (RFC 8945, section
// 4.2). Mac and Other point into the message.
type TSIG struct {
	Key, Algorithm dnsname.Name
	// Signed is when, in seconds since 1970, and Fudge how many more or less the clocks of
	// both may show.
	Signed uint64
	Fudge  uint16
	Mac    []byte
	// ID is that of the message when it was signed.
	ID    uint16
	Error uint16
	Other []byte

	at int // where the record begins
}

// tsigFixed is how long the fields of fixed length are, behind the algorithm: the time, the
// fudge and the length of the MAC; the ID, the error and the length of other data.
const tsigFixed = 6 + 2 + 2 + 2 + 2 + 2

// ParseTSIG reads the signature of a message that Question.Parse has found Fine. at is where
// the record begins. ok is false for what is none: it must be the last record.
func ParseTSIG(pkt []byte, at int) (t TSIG, ok bool) {
	d := decoder{pkt: pkt, pos: at}
	if t.Key, ok = d.tsigName(); !ok || d.pos+10 > len(pkt) {
		return t, false
	}
	head := pkt[d.pos:]
	d.pos += 10
	if binary.BigEndian.Uint16(head) != TypeTSIG || binary.BigEndian.Uint16(head[2:]) != ClassANY ||
		binary.BigEndian.Uint32(head[4:]) != 0 || d.pos+int(binary.BigEndian.Uint16(head[8:])) != len(pkt) {
		return t, false
	}
	if t.Algorithm, ok = d.tsigName(); !ok {
		return t, false
	}
	rest := pkt[d.pos:]
	if len(rest) < tsigFixed {
		return t, false
	}
	t.at, t.Signed, t.Fudge = at, uint64(binary.BigEndian.Uint16(rest))<<32|uint64(binary.BigEndian.Uint32(rest[2:])), binary.BigEndian.Uint16(rest[6:])
	n := int(binary.BigEndian.Uint16(rest[8:]))
	if len(rest) < tsigFixed+n {
		return t, false
	}
	t.Mac, rest = rest[10:10+n], rest[10+n:]
	t.ID, t.Error, t.Other = binary.BigEndian.Uint16(rest), binary.BigEndian.Uint16(rest[2:]), rest[6:]
	return t, len(t.Other) == int(binary.BigEndian.Uint16(rest[4:]))
}

// tsigName reads a name.
func (d *decoder) tsigName() (dnsname.Name, bool) {
	if d.pos >= len(d.pkt) {
		return "", false
	}
	var buf [dnsname.MaxLen]byte
	n, err := d.plain(&buf)
	return dnsname.Name(buf[:n]), err == nil
}

// AppendSigned appends what the signature of a message is made over: the message as it was
// without it, and the variables (RFC 8945, section 4.3.3).
func (t *TSIG) AppendSigned(dst, pkt []byte) []byte {
	from := len(dst)
	dst = append(dst, pkt[:t.at]...)
	msg := dst[from:]
	binary.BigEndian.PutUint16(msg, t.ID)
	binary.BigEndian.PutUint16(msg[10:], binary.BigEndian.Uint16(msg[10:])-1)
	return t.appendVariables(dst)
}

// AppendUnsigned appends what the signature of an answer is made over, which is not there
// yet: the MAC of the question, the answer and the variables (RFC 8945, section 5.3.1). The
// answer's ID is the one in the record, as a forwarder may change the other.
func (t *TSIG) AppendUnsigned(dst, question, msg []byte) []byte {
	dst = binary.BigEndian.AppendUint16(dst, uint16(len(question)))
	dst = append(dst, question...)
	dst = append(binary.BigEndian.AppendUint16(dst, t.ID), msg[2:]...)
	return t.appendVariables(dst)
}

func (t *TSIG) appendVariables(dst []byte) []byte {
	dst = append(dst, t.Key...)
	dst = binary.BigEndian.AppendUint16(dst, ClassANY)
	dst = binary.BigEndian.AppendUint32(dst, 0) // TTL
	dst = append(dst, t.Algorithm...)
	dst = t.appendTime(dst)
	dst = binary.BigEndian.AppendUint16(dst, t.Error)
	dst = binary.BigEndian.AppendUint16(dst, uint16(len(t.Other)))
	return append(dst, t.Other...)
}

func (t *TSIG) appendTime(dst []byte) []byte {
	dst = binary.BigEndian.AppendUint16(dst, uint16(t.Signed>>32))
	dst = binary.BigEndian.AppendUint32(dst, uint32(t.Signed))
	return binary.BigEndian.AppendUint16(dst, t.Fudge)
}

// Len is how long the record is.
func (t *TSIG) Len() int {
	return len(t.Key) + 10 + len(t.Algorithm) + tsigFixed + len(t.Mac) + len(t.Other)
}

// Append appends the record to a message and counts it.
func (t *TSIG) Append(msg []byte) []byte {
	binary.BigEndian.PutUint16(msg[10:], binary.BigEndian.Uint16(msg[10:])+1)
	msg = append(msg, t.Key...)
	msg = binary.BigEndian.AppendUint16(msg, TypeTSIG)
	msg = binary.BigEndian.AppendUint16(msg, ClassANY)
	msg = binary.BigEndian.AppendUint32(msg, 0)
	msg = binary.BigEndian.AppendUint16(msg, uint16(t.Len()-len(t.Key)-10))
	msg = append(msg, t.Algorithm...)
	msg = t.appendTime(msg)
	msg = binary.BigEndian.AppendUint16(msg, uint16(len(t.Mac)))
	msg = append(msg, t.Mac...)
	msg = binary.BigEndian.AppendUint16(msg, t.ID)
	msg = binary.BigEndian.AppendUint16(msg, t.Error)
	msg = binary.BigEndian.AppendUint16(msg, uint16(len(t.Other)))
	return append(msg, t.Other...)
}
