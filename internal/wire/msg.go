package wire

import (
	"encoding/binary"
	"errors"

	"kresd/internal/dnsname"
	"kresd/internal/limits"
)

// Errors of Parse. They say that a message is not one; such a datagram is
// ignored, never acted upon.
var (
	ErrShort    = errors.New("message ends too early")
	ErrTrailing = errors.New("octets behind the message")
	ErrName     = errors.New("malformed name")
	ErrRData    = errors.New("malformed RDATA")
	ErrOPT      = errors.New("malformed OPT record")
	ErrQuestion = errors.New("not exactly one question")
)

// Errors of Parse that say that a message exceeds a limit (LimitOf).
var (
	ErrLongNames error = &overLimit{"names with too many pointers or octets", limits.NameBytes}
	ErrOptions   error = &overLimit{"too many EDNS options", limits.EDNSOptions}
)

// RR is one record. RData is uncompressed and in canonical form; it belongs to
// the Msg and must not be changed.
type RR struct {
	Owner dnsname.Name
	Type  uint16
	Class uint16
	TTL   uint32
	RData []byte
}

// Msg is an answer from upstream, taken apart.
type Msg struct {
	ID       uint16
	Flags    uint16
	Rcode    int          // with EDNS's upper bits
	Question dnsname.Name // "" without a question
	RawName  []byte       // the question's name as it came, for comparing case (0x20)
	QType    uint16
	QClass   uint16

	Answer, Authority, Additional []RR // OPT is not among them

	HasEDNS bool
	UDPSize uint16
	Version uint8
	DO      bool
	Options []byte
}

// AA tells whether the answer is authoritative.
func (m *Msg) AA() bool { return m.Flags&FlagAA != 0 }

// TC tells whether the answer was truncated.
func (m *Msg) TC() bool { return m.Flags&FlagTC != 0 }

// Opcode is the opcode of the header.
func (m *Msg) Opcode() int { return int(m.Flags >> opcodeShift & opcodeMask) }

// Parse takes a message apart. A message without a question is accepted when
// its header says so, because servers send FORMERR like that; more than one
// question is an error. Nothing of pkt is kept.
func Parse(pkt []byte) (*Msg, error) { return parse(pkt, false) }

// ParseReply is Parse for what a server sent: it leaves out signatures with malformed RDATA.
// These prove nothing, and the set that one covers is complete without it, as no set is that
// lacks another malformed record (RFC 4034, section 3; RFC 4035, section 5.3.1). So the
// message has fewer records than its header says.
func ParseReply(pkt []byte) (*Msg, error) { return parse(pkt, true) }

func parse(pkt []byte, reply bool) (*Msg, error) {
	if len(pkt) < HeaderLen {
		return nil, ErrShort
	}
	m := &Msg{ID: binary.BigEndian.Uint16(pkt), Flags: binary.BigEndian.Uint16(pkt[2:]), UDPSize: limits.MinBufsize}
	m.Rcode = int(m.Flags & rcodeMask)
	d := decoder{pkt: pkt, pos: HeaderLen, reply: reply, arena: make([]byte, 0, len(pkt)+len(pkt)/2)}
	if err := d.question(m, int(binary.BigEndian.Uint16(pkt[4:]))); err != nil {
		return nil, err
	}
	n := [3]int{}
	for i := range n {
		n[i] = int(binary.BigEndian.Uint16(pkt[6+2*i:]))
	}
	for i, section := range []*[]RR{&m.Answer, &m.Authority, &m.Additional} {
		if err := d.section(m, section, n[i], i == 2); err != nil {
			return nil, err
		}
	}
	if d.pos != len(pkt) {
		return nil, ErrTrailing
	}
	return m, nil
}

// decoder walks over one message.
type decoder struct {
	pkt   []byte
	pos   int
	reply bool   // malformed signatures are left out
	hops  int    // pointers followed so far
	far   bool   // they were too many
	arena []byte // the name as it was asked, and RDATA; earlier ones may stand in arenas before it
	start int    // in arena, of the record that is read
	bytes int    // octets of expanded names so far
	known [8]struct {
		at   int
		name dnsname.Name
	}
	nknown int
	asked  dnsname.Name // the question's, to which most owners of an answer point
}

func (d *decoder) question(m *Msg, count int) error {
	if count == 0 {
		return nil
	}
	if count > 1 {
		return ErrQuestion
	}
	start := d.pos
	name, err := d.name()
	if err != nil {
		return err
	}
	if d.pos+4 > len(d.pkt) {
		return ErrShort
	}
	m.Question, d.asked = name, name
	if d.pos-start == name.Len() {
		d.arena = append(d.arena, d.pkt[start:d.pos]...)
		m.RawName = d.arena[:len(d.arena):len(d.arena)]
	}
	m.QType = binary.BigEndian.Uint16(d.pkt[d.pos:])
	m.QClass = binary.BigEndian.Uint16(d.pkt[d.pos+2:])
	d.pos += 4
	return nil
}

func (d *decoder) section(m *Msg, to *[]RR, count int, additional bool) error {
	if count == 0 {
		return nil
	}
	if (len(d.pkt)-d.pos)/11 < count { // the smallest record: root, type, class, TTL, no RDATA
		return ErrShort
	}
	var out []RR // most additional sections have none but OPT
	for ; count > 0; count-- {
		rr, raw, err := d.record()
		if err != nil {
			return err
		}
		if rr.Type == TypeRRSIG && rr.RData == nil {
			continue
		}
		if rr.Type != TypeOPT {
			if out == nil {
				out = make([]RR, 0, count)
			}
			out = append(out, rr)
			continue
		}
		if !additional || m.HasEDNS || !rr.Owner.IsRoot() {
			return ErrOPT
		}
		if err := checkOptions(raw); err != nil {
			return err
		}
		m.HasEDNS = true
		m.UDPSize = max(rr.Class, limits.MinBufsize)
		m.Rcode |= int(rr.TTL>>24) << 4
		m.Version = uint8(rr.TTL >> 16)
		m.DO = rr.TTL&0x8000 != 0
		m.Options = append([]byte(nil), raw...)
	}
	*to = out
	return nil
}

// record reads one record; raw is its RDATA as it stands in the message. A signature that is
// to be left out has no RData.
func (d *decoder) record() (rr RR, raw []byte, err error) {
	if rr.Owner, err = d.name(); err != nil {
		return rr, nil, err
	}
	if d.pos+10 > len(d.pkt) {
		return rr, nil, ErrShort
	}
	h := d.pkt[d.pos:]
	rr.Type = binary.BigEndian.Uint16(h)
	rr.Class = binary.BigEndian.Uint16(h[2:])
	rr.TTL = binary.BigEndian.Uint32(h[4:])
	end := d.pos + 10 + int(binary.BigEndian.Uint16(h[8:]))
	if end > len(d.pkt) {
		return rr, nil, ErrShort
	}
	d.pos += 10
	raw = d.pkt[d.pos:end]
	if rr.Type != TypeOPT {
		if rr.TTL > 1<<31-1 { // RFC 2181, section 8
			rr.TTL = 0
		}
		rr.RData, err = d.rdata(rr.Type, end)
		if d.reply && rr.Type == TypeRRSIG && (err == ErrRData || err == ErrName) {
			d.arena, rr.RData, err = d.arena[:d.start], nil, nil
		}
	}
	d.pos = end
	return rr, raw, err
}

// rdata copies RDATA that ends at end into the arena, names uncompressed and in
// lower case.
func (d *decoder) rdata(t uint16, end int) ([]byte, error) {
	d.start = len(d.arena)
	l, known := layoutOf(t)
	if !known {
		l.fields = "*"
	}
	for i := 0; i < len(l.fields); i++ {
		if err := d.field(l.fields[i], end); err != nil {
			return nil, err
		}
	}
	if d.pos != end || len(d.arena)-d.start > 0xffff {
		return nil, ErrRData
	}
	return d.arena[d.start:len(d.arena):len(d.arena)], nil
}

// room makes the arena hold n more octets. A full one is left as it is and the
// record at hand moves to a new one: copying all of it again and again would cost
// several times what the message holds.
func (d *decoder) room(n int) {
	if cap(d.arena)-len(d.arena) >= n {
		return
	}
	begun := d.arena[d.start:]
	d.arena = append(make([]byte, 0, max(len(begun)+n, cap(d.arena))), begun...)
	d.start = 0
}

func (d *decoder) field(f byte, end int) error {
	n := fieldLen(f)
	switch f {
	case 'n':
		if err := d.rdataName(); err != nil {
			return err
		}
		if d.pos > end {
			return ErrRData
		}
		return nil
	case 'u':
		plain, err := dnsname.FromWire(d.pkt[min(d.pos, end):end])
		if err != nil {
			return ErrRData
		}
		n = plain.Len()
	case 's':
		if d.pos >= end {
			return ErrRData
		}
		n = 1 + int(d.pkt[d.pos])
	case '*':
		n = end - d.pos
	}
	if d.pos+n > end {
		return ErrRData
	}
	d.room(n)
	d.arena = append(d.arena, d.pkt[d.pos:d.pos+n]...)
	d.pos += n
	return nil
}

// rdataName copies the name at the current position into the arena.
func (d *decoder) rdataName() error {
	var buf [dnsname.MaxLen]byte
	name := buf[:0]
	if known, ok := d.pointed(); ok {
		name = append(name, known...)
		if d.bytes += len(name); d.bytes > limits.ExpandedNameBytes {
			return ErrLongNames
		}
	} else {
		n, err := d.plain(&buf)
		if err != nil {
			return err
		}
		name = buf[:n]
	}
	d.room(len(name))
	d.arena = append(d.arena, name...)
	return nil
}

// name reads the name at the current position.
func (d *decoder) name() (dnsname.Name, error) {
	if name, ok := d.pointed(); ok {
		return name, nil
	}
	var buf [dnsname.MaxLen]byte
	at := d.pos
	n, err := d.plain(&buf)
	if err != nil {
		return "", err
	}
	name := dnsname.Name(buf[:n])
	d.remember(at, name)
	return name, nil
}

// plain reads the name at the current position into buf and tells its length.
func (d *decoder) plain(buf *[dnsname.MaxLen]byte) (n int, err error) {
	n, end := d.expand(buf)
	if d.bytes += n; d.far || d.bytes > limits.ExpandedNameBytes {
		return 0, ErrLongNames
	}
	if n == 0 {
		return 0, ErrName
	}
	d.pos = end
	return n, nil
}

// pointed reads a name that is nothing but a pointer to one of the last names,
// as most owners are.
func (d *decoder) pointed() (dnsname.Name, bool) {
	if d.pos+2 > len(d.pkt) || d.pkt[d.pos] < 0xc0 || d.hops >= limits.PointerHopsPerMessage {
		return "", false
	}
	name, ok := d.lookup(pointer(d.pkt[d.pos:]))
	if ok {
		d.hops++
		d.pos += 2
	}
	return name, ok
}

// pointer is where the two octets at the start of b point.
func pointer(b []byte) int { return int(b[0]&0x3f)<<8 | int(b[1]) }

// expand writes the name at the current position into buf, in lower case, and
// tells its length, 0 when it is malformed, and where it ends in the message.
func (d *decoder) expand(buf *[dnsname.MaxLen]byte) (n, end int) {
	at, limit, hops := d.pos, d.pos, 0
	for at < len(d.pkt) {
		l := int(d.pkt[at])
		if l >= 0xc0 {
			if hops++; hops == 1 {
				end = at + 2
			}
			if at = d.follow(at, limit, hops); at < 0 {
				return 0, 0
			}
			limit = at
			continue
		}
		if l > dnsname.MaxLabel || n+l+1 > len(buf) || at+1+l > len(d.pkt) {
			return 0, 0
		}
		for _, c := range d.pkt[at : at+1+l] {
			buf[n] = dnsname.Lower(c)
			n++
		}
		if at += l + 1; l == 0 {
			if hops == 0 {
				end = at
			}
			return n, end
		}
	}
	return 0, 0
}

// follow is where the pointer at at leads, -1 when it may not be followed.
// Pointers must lead backwards, so a loop is impossible; hops and expanded
// octets are bounded besides, because a small message can otherwise be made to
// cost a thousand times its size.
func (d *decoder) follow(at, limit, hops int) int {
	if at+2 > len(d.pkt) {
		return -1
	}
	to := pointer(d.pkt[at:])
	d.hops++
	d.far = hops > limits.PointerHopsPerName || d.hops > limits.PointerHopsPerMessage
	if d.far || to >= limit || to < HeaderLen {
		return -1
	}
	return to
}

// lookup and remember keep the last names by where they stand, because most
// owners are pointers to the same few.
func (d *decoder) lookup(at int) (dnsname.Name, bool) {
	if at == HeaderLen && d.asked != "" {
		return d.asked, true
	}
	for i := range min(d.nknown, len(d.known)) {
		if d.known[i].at == at {
			return d.known[i].name, true
		}
	}
	return "", false
}

func (d *decoder) remember(at int, name dnsname.Name) {
	if int(d.pkt[at]) >= 0xc0 {
		return
	}
	k := &d.known[d.nknown%len(d.known)]
	k.at, k.name = at, name
	d.nknown++
}
