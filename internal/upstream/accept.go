package upstream

import (
	"bytes"
	"encoding/binary"

	"kresd/internal/wire"
)

// match says how a received message fits the question that waits for its answer (the
// query matching rules of RFC 5452, section 9.1).
type match uint8

const (
	// ignored: not an answer at all, or not one that can be read. The wait goes
	// on as if it had not come.
	ignored match = iota
	// answer: everything matches.
	answer
	// truncated: everything matches, but the answer is not complete, or it is
	// larger than we said we take.
	truncated
	// nearMiss: an answer to some other question, or under another ID. Somebody
	// may be guessing.
	nearMiss
	// caseLost: everything matches but the letter case of the name.
	caseLost
	// bareError: the right ID and an error RCODE, but no question.
	bareError
	// cookieLost: everything matches but the cookie, from a server that knows them.
	cookieLost
	// badCookie: everything matches, and the server wants the question again with
	// the cookie it sent.
	badCookie
	// flooded: no answer came in time, but datagrams that could not be read did.
	flooded
	// guessed: more wrong answers came to one port than chance explains, so that none
	// is believed there any more.
	guessed
)

// suspicious tells that somebody may be forging answers, or hiding the true one.
func (v match) suspicious() bool {
	switch v {
	case nearMiss, caseLost, cookieLost, bareError, flooded:
		return true
	}
	return false
}

// expectation is what an answer must echo.
type expectation struct {
	id       uint16
	question []byte // name as sent, type, class
	anyCase  bool   // letter case does not matter
	size     int    // octets that we said we take
	before   uint16 // the ID of the socket's question before this one
	again    bool   // there was one
	cookie   clientCookie
	cookies  cookieRule
	doubted  bool // questions with a cookie were left unanswered, and none was answered since
}

// judge decides about a message of which pkt is the received part and size the
// whole length in octets. It reads the header and the question only: an answer
// may still turn out to be malformed behind them.
func (x *expectation) judge(pkt []byte, size int) match {
	if len(pkt) < wire.HeaderLen {
		return ignored
	}
	flags := binary.BigEndian.Uint16(pkt[2:])
	if flags&wire.FlagQR == 0 || flags>>11&0xf != wire.OpcodeQuery {
		return ignored
	}
	if id := binary.BigEndian.Uint16(pkt); id != x.id {
		if x.again && id == x.before { // the network doubled the last answer
			return ignored
		}
		return nearMiss
	}
	switch binary.BigEndian.Uint16(pkt[4:]) {
	case 0:
		if errorRcode(flags) {
			return bareError
		}
		return nearMiss
	case 1:
	default:
		return nearMiss
	}
	v := x.judgeQuestion(pkt[wire.HeaderLen:])
	if v == answer && (flags&wire.FlagTC != 0 || size > x.size) {
		return truncated
	}
	return v
}

// errorRcode tells whether the header has an RCODE that servers send without
// repeating the question.
func errorRcode(flags uint16) bool {
	switch flags & 0xf {
	case wire.RcodeFormErr, wire.RcodeServFail, wire.RcodeNotImp, wire.RcodeRefused:
		return true
	}
	return false
}

// judgeQuestion compares the octets behind the header with our question. A name
// that is cut off or compressed cannot be read and makes the message ignored.
func (x *expectation) judgeQuestion(b []byte) match {
	if bytes.HasPrefix(b, x.question) {
		return answer
	}
	end := nameEnd(b)
	if end < 0 || end+4 > len(b) {
		return ignored
	}
	b = b[:end+4]
	if len(b) != len(x.question) || !bytes.Equal(b[end:], x.question[end:]) || !equalFold(b[:end], x.question[:end]) {
		return nearMiss
	}
	if x.anyCase {
		return answer
	}
	return caseLost
}

// nameEnd is the offset behind the uncompressed wire name at the start of b, or
// -1.
func nameEnd(b []byte) int {
	for p := 0; p < len(b) && p < 255; {
		l := int(b[p])
		if l == 0 {
			return p + 1
		}
		if l > 63 {
			return -1
		}
		p += l + 1
	}
	return -1
}
