package wire

import (
	"encoding/binary"

	"kresd/internal/limits"
)

// Problem says what is wrong with a client's message, and so what it deserves.
type Problem uint8

const (
	// Fine: one question of opcode QUERY and nothing that surprises.
	Fine Problem = iota
	// Silent: too short to answer, or a response; answering could make two
	// servers talk to each other for ever (CVE-2024-2169).
	Silent
	// FormErr: not a message.
	FormErr
	// NotImp: an opcode that is not served.
	NotImp
	// BadVers: an EDNS version that is not served (RFC 6891, section 6.1.3).
	BadVers
)

// Question is a view over one client query. Name and Options point into the
// octets that Parse was given and live no longer than they do.
type Question struct {
	ID      uint16
	Flags   uint16
	Name    []byte // wire name as the client spelt it, with its final zero octet
	Type    uint16
	Class   uint16
	End     int  // offset just behind the question
	HasEDNS bool // an OPT record was there
	Version uint8
	UDPSize uint16 // what the client can take over UDP; 512 without EDNS (RFC 1035, section 4.2.1)
	DO      bool
	TSIG    int       // where a signature begins (RFC 8945); 0: there is none
	Options []byte    // EDNS options as they came; none of a version that is not served
	Over    limits.ID // the limit that was exceeded by what is a FormErr for it
}

// CD tells whether checking is disabled by the client.
func (q *Question) CD() bool { return q.Flags&FlagCD != 0 }

// RD tells whether recursion is desired.
func (q *Question) RD() bool { return q.Flags&FlagRD != 0 }

// AD tells whether the client wants to see AD in the answer (RFC 6840, section
// 5.7).
func (q *Question) AD() bool { return q.Flags&FlagAD != 0 }

// Opcode is the opcode of the header.
func (q *Question) Opcode() int { return int(q.Flags >> opcodeShift & opcodeMask) }

// Parse fills q from a client's message. It reads every octet of the message,
// allocates nothing and never panics. After FormErr, NotImp and BadVers, ID and
// Flags are valid; Name too if it is not nil.
func (q *Question) Parse(pkt []byte) Problem {
	*q = Question{UDPSize: limits.MinBufsize}
	if len(pkt) < HeaderLen {
		return Silent
	}
	q.ID = binary.BigEndian.Uint16(pkt)
	q.Flags = binary.BigEndian.Uint16(pkt[2:])
	if q.Flags&FlagQR != 0 {
		return Silent
	}
	if q.Opcode() != OpcodeQuery {
		return NotImp
	}
	counts := binary.BigEndian.Uint64(pkt[4:])
	if counts>>16 != 1<<32 { // QDCOUNT 1, ANCOUNT 0, NSCOUNT 0
		return FormErr
	}
	if !q.parseName(pkt) {
		return FormErr
	}
	return q.parseAdditional(pkt, int(counts&0xffff))
}

// parseName reads the question. A compressed name has nothing to point at
// there and is refused.
func (q *Question) parseName(pkt []byte) bool {
	p := HeaderLen
	for {
		if p >= len(pkt) || p-HeaderLen > 254 {
			return false
		}
		l := int(pkt[p])
		p++
		if l == 0 {
			break
		}
		if l > 63 {
			return false
		}
		p += l
	}
	if p+4 > len(pkt) {
		return false
	}
	q.Name = pkt[HeaderLen:p:p]
	q.Type = binary.BigEndian.Uint16(pkt[p:])
	q.Class = binary.BigEndian.Uint16(pkt[p+2:])
	q.End = p + 4
	return q.Type != 0
}

// parseAdditional reads what follows the question: at most one OPT record at
// the root, and records that are skipped. A signature is only noted (ParseTSIG).
func (q *Question) parseAdditional(pkt []byte, count int) Problem {
	if count > limits.MaxRRsFromClient {
		q.Over = limits.RRsFromClient
		return FormErr
	}
	p := q.End
	for ; count > 0; count-- {
		owner := p
		p = skipName(pkt, p)
		if p < 0 || p+10 > len(pkt) {
			return FormErr
		}
		end := p + 10 + int(binary.BigEndian.Uint16(pkt[p+8:]))
		if end > len(pkt) {
			return FormErr
		}
		switch binary.BigEndian.Uint16(pkt[p:]) {
		case TypeTSIG:
			if q.TSIG == 0 { // the first: where there is another it is not the last record
				q.TSIG = owner
			}
		case TypeOPT:
			if q.HasEDNS || pkt[owner] != 0 || !q.parseOPT(pkt[p:end]) {
				return FormErr
			}
		}
		p = end
	}
	if p != len(pkt) {
		return FormErr
	}
	if q.Version != 0 {
		return BadVers
	}
	return Fine
}

// parseOPT reads an OPT record from its type on (RFC 6891, section 6.1.2). What
// options look like in another version is not known: BADVERS is due, whatever
// they hold (section 6.1.3).
func (q *Question) parseOPT(rr []byte) bool {
	q.HasEDNS = true
	q.UDPSize = max(binary.BigEndian.Uint16(rr[2:]), limits.MinBufsize)
	q.Version = rr[5]
	q.DO = rr[6]&0x80 != 0
	if q.Version != 0 {
		return true
	}
	q.Options = rr[10:]
	err := checkOptions(q.Options)
	q.Over = LimitOf(err)
	return err == nil
}

// checkOptions returns ErrOPT when options do not fill their record exactly, and
// ErrOptions when they are too many.
func checkOptions(opt []byte) error {
	for n := 0; len(opt) > 0; n++ {
		if len(opt) < 4 {
			return ErrOPT
		}
		l := 4 + int(binary.BigEndian.Uint16(opt[2:]))
		if l > len(opt) {
			return ErrOPT
		}
		if n == limits.EDNSOptionsPerMessage {
			return ErrOptions
		}
		opt = opt[l:]
	}
	return nil
}

// HasOption tells whether the client has sent an EDNS option.
func (q *Question) HasOption(code uint16) bool {
	_, has := Option(q.Options, code)
	return has
}

// Option is the first EDNS option with a code in a list that is known to be well
// formed, as those of a Question and a Msg are.
func Option(list []byte, code uint16) (value []byte, has bool) {
	for len(list) >= 4 {
		end := 4 + int(binary.BigEndian.Uint16(list[2:]))
		if binary.BigEndian.Uint16(list) == code {
			return list[4:end], true
		}
		list = list[end:]
	}
	return nil, false
}

// skipName returns the offset behind the possibly compressed name at p, or -1.
// It does not follow pointers.
func skipName(pkt []byte, p int) int {
	for start := p; p < len(pkt) && p-start < 255; {
		l := int(pkt[p])
		switch {
		case l == 0:
			return p + 1
		case l >= 0xc0:
			if p+2 > len(pkt) {
				return -1
			}
			return p + 2
		case l > 63:
			return -1
		}
		p += l + 1
	}
	return -1
}
