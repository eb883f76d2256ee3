package querylog

import (
	"encoding/binary"
	"net/netip"
	"time"

	"kresd/internal/ede"
	"kresd/internal/module"
	"kresd/internal/transport"
	"kresd/internal/wire"
)

// What a record holds, by offset. The name of the question in wire form follows, then
// the reason of a failure; each begins with its length.
const (
	atLength    = 0  // of all of it, two octets
	atFlags     = 2  //
	atTransport = 3  // its index
	atType      = 4  // two octets
	atEDE       = 6  // two octets
	atRcode     = 8  // two octets
	atTime      = 10 // Unix time in nanoseconds
	atTook      = 18 // nanoseconds
	atClient    = 26 // an IPv6 address, or an IPv4 address in its clothes
	atName      = 42
)

// Flags of a record.
const (
	wasCached = 1 << iota
	wasBlocked
	noAnswer
	hasClient
)

// entry is a record as whoever writes and reads it sees it.
type entry struct {
	flags     byte
	transport transport.Transport
	qtype     uint16
	ede       ede.Code
	rcode     uint16
	at        time.Time
	took      time.Duration
	client    netip.Addr
	name      []byte // in wire form
	why       string
}

// entryOf is the entry about an answer, without its time.
func entryOf(a *module.Answered) (e entry) {
	e = entry{transport: a.Transport, qtype: a.Question.Type, ede: a.EDE, took: a.Took, client: a.Client.Addr(), name: a.Question.Name}
	if res := result(a); res != nil {
		e.ede, e.why = res.EDE, res.EDEText
		if res.Cached {
			e.flags |= wasCached
		}
	} else if !a.Decided {
		e.flags |= wasCached
	}
	if refused(e.ede) {
		e.flags |= wasBlocked
	}
	if len(a.Msg) < wire.HeaderLen {
		e.flags |= noAnswer
	} else {
		e.rcode = binary.BigEndian.Uint16(a.Msg[2:]) & 0xf
	}
	return e
}

// refused tells whether an extended error says that a rule is the reason (RFC 8914,
// sections 4.16 to 4.19).
func refused(code ede.Code) bool {
	switch code {
	case ede.Blocked, ede.Censored, ede.Filtered, ede.Prohibited:
		return true
	}
	return false
}

// wanted tells whether such a question is to be logged.
func (e *entry) wanted(w which) bool {
	switch w {
	case failed:
		return e.flags&noAnswer != 0 || e.rcode == wire.RcodeServFail
	case blocked:
		return e.flags&wasBlocked != 0
	}
	return true
}

// size is how many octets the record of e has.
func (e *entry) size() int { return atName + 1 + len(e.name) + 1 + min(len(e.why), 255) }

// write makes the record of e in rec, which has the size and begins with its length.
func (e *entry) write(rec []byte) {
	order := binary.NativeEndian
	rec[atFlags], rec[atTransport] = e.flags, byte(e.transport.Index())
	order.PutUint16(rec[atType:], e.qtype)
	order.PutUint16(rec[atEDE:], uint16(e.ede))
	order.PutUint16(rec[atRcode:], e.rcode)
	order.PutUint64(rec[atTime:], uint64(e.at.UnixNano()))
	order.PutUint64(rec[atTook:], uint64(e.took))
	if e.flags&hasClient != 0 {
		client := e.client.As16()
		copy(rec[atClient:atName], client[:])
	}
	rest := rec[atName:]
	rest[0] = byte(copy(rest[1:], e.name))
	rest = rest[1+len(e.name):]
	rest[0] = byte(copy(rest[1:], e.why[:min(len(e.why), 255)]))
}

// read takes e out of a record. The name stays the record's.
func (e *entry) read(rec []byte) {
	order := binary.NativeEndian
	e.flags, e.transport = rec[atFlags], transport.At(int(rec[atTransport]))
	e.qtype, e.ede, e.rcode = order.Uint16(rec[atType:]), ede.Code(order.Uint16(rec[atEDE:])), order.Uint16(rec[atRcode:])
	e.at, e.took = time.Unix(0, int64(order.Uint64(rec[atTime:]))), time.Duration(order.Uint64(rec[atTook:]))
	e.client = netip.AddrFrom16([16]byte(rec[atClient:atName])).Unmap()
	name, rest := text(rec[atName:])
	why, _ := text(rest)
	e.name, e.why = name, string(why)
}

// text is one that begins with its length, and what follows it.
func text(b []byte) (text, rest []byte) {
	n := 1 + int(b[0])
	return b[1:n], b[n:]
}
