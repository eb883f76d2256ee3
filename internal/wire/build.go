package wire

import (
	"encoding/binary"

	"kresd/internal/dnsname"
	"kresd/internal/limits"
)

// Section is where a record stands.
type Section uint8

// Sections in the order in which they are written.
const (
	Answer Section = iota
	Authority
	Additional
)

// Builder writes one message. Records are added in the order of sections; a
// record that does not fit leaves the message as it was. Names are compressed
// against what is already written (RFC 1035, section 4.1.4), as long as the search
// for what to point to stays within limits.CompressionOctets.
type Builder struct {
	buf   []byte
	max   int
	names written  // that may be pointed to
	ttls  []uint16 // offsets of TTLs
	short bool
	spent int // octets compared to find what to point to

	owner   dnsname.Name // of the last record
	ownerAt uint16       // where it stands; 0: nowhere

	crowded bool // names were not compressed because of that

	few struct{ names, ttls [8]uint16 } // as many as most messages have
}

// NewBuilder starts a message in buf's memory (which may be nil) that will be
// at most maxLen octets long: a header with the given ID and flags, RCODE in
// its low bits.
func NewBuilder(buf []byte, maxLen int, id, flags uint16) *Builder {
	b := new(Builder)
	b.Start(buf, maxLen, id, flags)
	return b
}

// Start makes a Builder, whatever it was used for, one that NewBuilder has just made.
func (b *Builder) Start(buf []byte, maxLen int, id, flags uint16) {
	*b = Builder{buf: append(buf[:0], make([]byte, HeaderLen)...), max: min(maxLen, 0xffff)}
	b.names.at, b.ttls = b.few.names[:0], b.few.ttls[:0]
	binary.BigEndian.PutUint16(b.buf, id)
	binary.BigEndian.PutUint16(b.buf[2:], flags)
}

// Question writes the question with the name as the client spelt it. raw must
// be a well-formed wire name. It must come before any record.
func (b *Builder) Question(raw []byte, qtype, qclass uint16) {
	at := len(b.buf)
	b.buf = append(b.buf, raw...)
	b.remember(at)
	b.buf = binary.BigEndian.AppendUint16(b.buf, qtype)
	b.buf = binary.BigEndian.AppendUint16(b.buf, qclass)
	b.count(4, 1)
}

// RR adds one record and tells whether it fitted.
func (b *Builder) RR(s Section, owner dnsname.Name, t, class uint16, ttl uint32, rdata []byte) bool {
	mark, names, ttls := len(b.buf), len(b.names.at), len(b.ttls)
	b.ownerName(owner)
	b.buf = binary.BigEndian.AppendUint16(b.buf, t)
	b.buf = binary.BigEndian.AppendUint16(b.buf, class)
	if len(b.buf) <= 0xffff {
		b.ttls = append(b.ttls, uint16(len(b.buf)))
	}
	b.buf = binary.BigEndian.AppendUint32(b.buf, ttl)
	b.rdata(t, rdata)
	if len(b.buf) > b.max {
		b.back(mark, names, ttls)
		b.short = true
		return false
	}
	b.count(6+2*int(s), 1)
	return true
}

// RRset adds all records of a set, then their signatures if sigs is set; all or
// nothing.
func (b *Builder) RRset(s Section, set *RRset, ttl uint32, sigs bool) bool {
	mark, names, ttls := len(b.buf), len(b.names.at), len(b.ttls)
	count := binary.BigEndian.Uint16(b.buf[6+2*int(s):])
	fits := true
	for i := 0; fits && i < len(set.Data); i++ {
		fits = b.RR(s, set.Owner, set.Type, set.Class, ttl, set.Data[i])
	}
	for i := 0; fits && sigs && i < len(set.Sigs); i++ {
		fits = b.RR(s, set.Owner, TypeRRSIG, set.Class, ttl, set.Sigs[i])
	}
	if !fits {
		b.back(mark, names, ttls)
		binary.BigEndian.PutUint16(b.buf[6+2*int(s):], count)
	}
	return fits
}

// OPT adds an OPT record at the end of the additional section (RFC 6891,
// section 6.1.2). rcode is the whole RCODE: its upper bits go here, the lower
// four into the header. options are EDNS options in wire form; they are left
// out when they do not fit.
func (b *Builder) OPT(udpSize uint16, rcode int, do bool, options []byte) bool {
	if len(b.buf)+OPTLen+len(options) > b.max {
		options = nil
	}
	if len(b.buf)+OPTLen > b.max {
		return false
	}
	b.buf[3] = b.buf[3]&^rcodeMask | byte(rcode)&rcodeMask
	b.buf = AppendOPT(b.buf, udpSize, rcode, do, options)
	b.count(10, 1)
	return true
}

// OPTLen is the length of an OPT record without options.
const OPTLen = 11

// AppendOPT appends an OPT record to a message.
func AppendOPT(dst []byte, udpSize uint16, rcode int, do bool, options []byte) []byte {
	var d byte
	if do {
		d = 0x80
	}
	dst = append(dst, 0, 0, byte(TypeOPT), byte(udpSize>>8), byte(udpSize), byte(rcode>>4), 0, d, 0, byte(len(options)>>8), byte(len(options)))
	return append(dst, options...)
}

// AppendOption appends one EDNS option to a list of options.
func AppendOption(dst []byte, code uint16, data []byte) []byte {
	dst = binary.BigEndian.AppendUint16(dst, code)
	dst = binary.BigEndian.AppendUint16(dst, uint16(len(data)))
	return append(dst, data...)
}

// Len is the length of the message so far in octets.
func (b *Builder) Len() int { return len(b.buf) }

// Bytes is the message. The Builder must not be used afterwards, but for Start.
func (b *Builder) Bytes() []byte { return b.buf }

// TTLs are the offsets of the TTL fields of the records written so far.
func (b *Builder) TTLs() []uint16 { return b.ttls }

// Crowded tells whether names were written in full because too many had been
// compressed, or compared, already.
func (b *Builder) Crowded() bool { return b.crowded }

// Truncated tells whether something did not fit.
func (b *Builder) Truncated() bool { return b.short }

// SetTC sets the TC bit.
func (b *Builder) SetTC() { b.buf[2] |= byte(FlagTC >> 8) }

func (b *Builder) count(at int, n uint16) {
	binary.BigEndian.PutUint16(b.buf[at:], binary.BigEndian.Uint16(b.buf[at:])+n)
}

func (b *Builder) rdata(t uint16, rdata []byte) {
	at := len(b.buf)
	b.buf = append(b.buf, 0, 0)
	l, known := layoutOf(t)
	if !known || !l.compress {
		b.buf = append(b.buf, rdata...)
	} else {
		b.compressed(l.fields, rdata)
	}
	binary.BigEndian.PutUint16(b.buf[at:], uint16(len(b.buf)-at-2))
}

// compressed writes RDATA whose names may be compressed. RDATA that does not
// follow its layout is written as it is from there on.
func (b *Builder) compressed(fields string, rdata []byte) {
	for i := 0; i < len(fields) && len(rdata) > 0; i++ {
		n := fieldLen(fields[i])
		if fields[i] == 'n' {
			name, err := dnsname.FromWire(rdata)
			if err != nil {
				break
			}
			b.name(name)
			rdata = rdata[name.Len():]
			continue
		}
		n = min(n, len(rdata))
		b.buf = append(b.buf, rdata[:n]...)
		rdata = rdata[n:]
	}
	b.buf = append(b.buf, rdata...)
}

// back takes away what was written behind the given lengths.
func (b *Builder) back(buf, names, ttls int) {
	b.buf, b.ttls = b.buf[:buf], b.ttls[:ttls]
	b.names.truncate(names)
	if int(b.ownerAt) >= buf {
		b.ownerAt = 0
	}
}

// ownerName writes the owner of a record. That of the record before, as all of a
// set have, needs no search.
func (b *Builder) ownerName(n dnsname.Name) {
	if b.ownerAt != 0 && b.owner == n {
		b.buf = append(b.buf, 0xc0|byte(b.ownerAt>>8), byte(b.ownerAt))
		return
	}
	at := len(b.buf)
	b.name(n)
	switch {
	case b.buf[at] >= 0xc0: // points to all of it
		b.owner, b.ownerAt = n, uint16(pointer(b.buf[at:]))
	case at < maxPointer && !n.IsRoot():
		b.owner, b.ownerAt = n, uint16(at)
	default:
		b.ownerAt = 0
	}
}

// maxPointer is above all offsets that a pointer of 14 bits may hold.
const maxPointer = 1 << 14

// name writes n, pointing at the longest suffix that is already there.
func (b *Builder) name(n dnsname.Name) {
	if n.IsRoot() {
		b.buf = append(b.buf, n...)
		return
	}
	if b.spent > limits.CompressionOctets {
		b.crowded = true
		b.buf = append(b.buf, n...)
		return
	}
	var h suffixes
	if b.names.indexed() {
		h.hash(n)
		b.spent += len(n)
	}
	at, rest := len(b.buf), n
	for label := 0; !rest.IsRoot(); label++ {
		if to, ok := b.suffix(rest, h.of[label]); ok {
			b.buf = append(b.buf, 0xc0|byte(to>>8), byte(to))
			b.rememberLabels(at, len(b.buf)-2, &h)
			return
		}
		b.buf = append(b.buf, rest[:1+int(rest[0])]...)
		rest = rest.Parent()
	}
	b.buf = append(b.buf, 0)
	b.rememberLabels(at, len(b.buf)-1, &h)
}

// remember notes the uncompressed name at offset at and its suffixes.
func (b *Builder) remember(at int) {
	end := at
	for b.buf[end] != 0 {
		end += 1 + int(b.buf[end])
	}
	b.rememberLabels(at, end, nil)
}

// rememberLabels notes the labels between the two offsets as places to point to; h
// holds the hashes of what begins with them, where names are indexed.
func (b *Builder) rememberLabels(at, end int, h *suffixes) {
	for i, p := 0, at; p < end && p < maxPointer; i, p = i+1, p+1+int(b.buf[p]) {
		if b.names.indexed() {
			b.names.addHashed(uint16(p), h.of[i])
		} else {
			b.names.at = append(b.names.at, uint16(p))
		}
	}
	if len(b.names.at) > fewNames && !b.names.indexed() {
		b.names.index(b.buf)
	}
}

// suffix finds a written name that equals n and has its hash. Names that have no more
// in common than their looks could keep it searching: it ends where too much was
// compared.
func (b *Builder) suffix(n dnsname.Name, hash uint32) (uint16, bool) {
	if b.names.indexed() {
		return b.names.find(hash, func(at uint16) bool { b.spent++; return b.equal(int(at), n) })
	}
	for _, at := range b.names.at {
		if b.equal(int(at), n) {
			return at, true
		}
		if b.spent > limits.CompressionOctets {
			break
		}
	}
	return 0, false
}

// equal compares the written name at p, which may end in pointers, with n.
func (b *Builder) equal(p int, n dnsname.Name) bool {
	i := 0
	for i < len(n) {
		l := int(b.buf[p])
		if l >= 0xc0 {
			p = (l&0x3f)<<8 | int(b.buf[p+1])
			continue
		}
		if l != int(n[i]) || !equalLabel(b.buf[p+1:p+1+l], n[i+1:]) {
			b.spent += i + l + 1
			return false
		}
		i += l + 1
		p += l + 1
	}
	b.spent += i
	return true
}

// equalLabel compares a label in any case with the start of n.
func equalLabel(label []byte, n dnsname.Name) bool {
	for i, c := range label {
		if dnsname.Lower(c) != n[i] {
			return false
		}
	}
	return true
}

// AppendQuery appends a whole question to an upstream: raw is the name in the
// letter case to send, flags the header's (RD, CD), udpSize 0 leaves EDNS out.
func AppendQuery(dst []byte, id, flags uint16, raw []byte, qtype, qclass, udpSize uint16, do bool, options []byte) []byte {
	dst = binary.BigEndian.AppendUint16(dst, id)
	dst = binary.BigEndian.AppendUint16(dst, flags)
	dst = append(dst, 0, 1, 0, 0, 0, 0, 0, 0)
	if udpSize > 0 {
		dst[len(dst)-1] = 1
	}
	dst = append(dst, raw...)
	dst = binary.BigEndian.AppendUint16(dst, qtype)
	dst = binary.BigEndian.AppendUint16(dst, qclass)
	if udpSize > 0 {
		dst = AppendOPT(dst, udpSize, 0, do, options)
	}
	return dst
}
