package wire

import "encoding/binary"

// Lifetime is for how many seconds a response may be kept by who does not look
// into it: the least TTL of its answers, and of what its SOA record says of
// denials (RFC 8484, section 5.1; RFC 2308, section 5). It is 0 for what says
// nothing of the sort, such as a failure.
func Lifetime(msg []byte) uint32 {
	p := behindQuestions(msg)
	if p < 0 || msg[3]&rcodeMask != RcodeNoError && msg[3]&rcodeMask != RcodeNXDomain {
		return 0
	}
	answers := int(binary.BigEndian.Uint16(msg[6:]))
	records := answers + int(binary.BigEndian.Uint16(msg[8:]))
	least, found := ^uint32(0), false
	for i := range records {
		t, ttl, rdata, next, ok := nextRecord(msg, p)
		switch {
		case !ok:
			return 0
		case i < answers:
			least, found = min(least, ttl), true
		case t == TypeSOA:
			least, found = min(least, ttl, SOAMinimum(rdata)), true
		}
		p = next
	}
	if !found {
		return 0
	}
	return least
}

// behindQuestions is where the first record of a message begins, or -1.
func behindQuestions(msg []byte) int {
	if len(msg) < HeaderLen {
		return -1
	}
	p := HeaderLen
	for range binary.BigEndian.Uint16(msg[4:]) {
		if p = skipName(msg, p); p < 0 || p+4 > len(msg) {
			return -1
		}
		p += 4
	}
	return p
}

// nextRecord reads the record at p, but for its owner, and tells where the next
// begins.
func nextRecord(msg []byte, p int) (t uint16, ttl uint32, rdata []byte, next int, ok bool) {
	if p = skipName(msg, p); p < 0 || p+10 > len(msg) {
		return 0, 0, nil, 0, false
	}
	rdata = msg[p+10:]
	n := int(binary.BigEndian.Uint16(msg[p+8:]))
	if n > len(rdata) {
		return 0, 0, nil, 0, false
	}
	return binary.BigEndian.Uint16(msg[p:]), binary.BigEndian.Uint32(msg[p+4:]), rdata[:n], p + 10 + n, true
}
