// Package message is a DNS message in the hands of a script: read from octets or built record
// by record, of a bounded size, whatever the script does; and messages and records as text.
//
// It knows no Lua: package records shows it to scripts. Unlike those of package wire, its
// messages change, keep octets that nobody can read, and have wrong counts where a script
// sets them.
package message

import (
	"encoding/binary"
	"errors"
	"fmt"
	"slices"

	"kresd/internal/dnsname"
	"kresd/internal/limits"
	"kresd/internal/wire"
)

// MaxTTL is the greatest TTL (RFC 2181, section 8).
const MaxTTL = 1<<31 - 1

// MaxRData is how many octets the length of a record's data can tell (RFC 1035,
// section 3.2.1).
const MaxRData = 0xffff

// A Message is what scripts read and build as a packet. Where its sections are told by
// numbers, these are those of kres.section.
type Message struct {
	// changed tells that a script has changed it.
	changed bool

	id, flags     uint16
	counts        [4]uint16 // of questions, and of records in each section
	name          []byte    // of the question, as it was written; nil without one
	qtype, qclass uint16
	records       [3][]wire.RR // an OPT record is the last of the third
	// raw are the octets that it was made of, as long as its records are those, and parsed
	// tells that they have been read.
	raw    []byte
	parsed bool
	// counted tells that a script has set counts, which need not be right.
	counted bool
	section int // that records are put into
	max     int // octets
	// build has all of it that fits; nil when it was changed by other than putting.
	build *wire.Builder
}

// Why records are not added.
var (
	ErrFull    = errors.New("no space left in the packet")
	ErrTooMany = errors.New("more records of one type than a message holds")
)

// OctetsOf are what records take of a message at least (RFC 1035, section 3.2.1).
func OctetsOf(rdata [][]byte) (n int) {
	for _, d := range rdata {
		n += 1 + 10 + len(d)
	}
	return n
}

// RecordAt is the record of a set with an index from 0.
func RecordAt(s *wire.RRset, i int) wire.RR {
	return wire.RR{Owner: s.Owner, Type: s.Type, Class: s.Class, TTL: s.TTL, RData: s.Data[i]}
}

// New is an empty packet of at most size octets.
func New(size int, id uint16) *Message { return &Message{id: id, max: size} }

// Of is what a message says.
func Of(m *wire.Msg) *Message {
	p := New(limits.MaxBufsize, 0)
	p.take(m)
	return p
}

// Unparsed is a packet of octets of which only the header was read. They are at least as
// many as a header has.
func Unparsed(octets []byte, size int) *Message {
	p := &Message{raw: slices.Clone(octets), max: max(size, len(octets))}
	p.id, p.flags = binary.BigEndian.Uint16(octets), binary.BigEndian.Uint16(octets[2:])
	for i := range p.counts {
		p.counts[i] = binary.BigEndian.Uint16(octets[4+2*i:])
	}
	return p
}

// take makes the packet what a message says. Further records go behind the last.
func (p *Message) take(m *wire.Msg) {
	p.says(m)
	p.section, p.build = 0, nil
	for s := range p.records {
		if len(p.Records(s)) > 0 {
			p.section = s
		}
	}
}

// Load makes the packet what a message says, and leaves alone where records are put.
func (p *Message) Load(m *wire.Msg) {
	p.says(m)
	p.raw, p.build, p.counted = nil, nil, false
}

func (p *Message) says(m *wire.Msg) {
	p.id, p.flags = m.ID, m.Flags
	p.name, p.qtype, p.qclass = nil, 0, 0
	if m.Question != "" {
		p.name, p.qtype, p.qclass = []byte(m.Question), m.QType, m.QClass
		if m.RawName != nil {
			p.name = m.RawName
		}
	}
	p.records = [3][]wire.RR{slices.Clone(m.Answer), slices.Clone(m.Authority), slices.Clone(m.Additional)}
	if m.HasEDNS {
		p.records[wire.Additional] = append(p.records[wire.Additional], optOf(m))
	}
	p.recount()
}

// DOBit is DO in the TTL of an OPT record (RFC 3225, section 3).
const DOBit = 1 << 15

// optOf is the OPT record of a message (RFC 6891, section 6.1.3).
func optOf(m *wire.Msg) wire.RR {
	ttl := uint32(m.Rcode>>4)<<24 | uint32(m.Version)<<16
	if m.DO {
		ttl |= DOBit
	}
	return wire.RR{Owner: dnsname.Root, Type: wire.TypeOPT, Class: m.UDPSize, TTL: ttl, RData: m.Options}
}

func (p *Message) recount() {
	p.counts = [4]uint16{}
	if p.name != nil {
		p.counts[0] = 1
	}
	for i, list := range p.records {
		p.counts[i+1] = uint16(len(list))
	}
}

// Begin makes a section the one that records are put into, unless it stands before the
// present one.
func (p *Message) Begin(section int) bool {
	if section < p.section {
		return false
	}
	p.section = section
	return true
}

// Section is the one that records are put into.
func (p *Message) Section() int { return p.section }

// Question is that of the packet, its name as it was written; nil without one.
func (p *Message) Question() (name []byte, qtype, qclass uint16) { return p.name, p.qtype, p.qclass }

// Empty tells whether there are no records.
func (p *Message) Empty() bool { return len(p.records[0])+len(p.records[1])+len(p.records[2]) == 0 }

// Max is how many octets the packet may have.
func (p *Message) Max() int { return p.max }

// Changed tells whether a script has changed it.
func (p *Message) Changed() bool { return p.changed }

// Msg is the message that the packet is, read again from its octets, so that it is as well
// formed as one that a server sent.
func (p *Message) Msg() (*wire.Msg, error) { return wire.Parse(p.Octets()) }

// Parse reads the octets that the packet was made of.
func (p *Message) Parse() error {
	if p.raw == nil || p.parsed {
		return nil
	}
	m, err := wire.Parse(p.Octets())
	if err != nil {
		return fmt.Errorf("it is no message: %w", err)
	}
	p.take(m)
	p.parsed = true
	return nil
}

// OPT is the OPT record, or nil.
func (p *Message) OPT() *wire.RR { return p.Special(wire.TypeOPT) }

// Special is the record of a type that there is one of, in the additional section.
func (p *Message) Special(t uint16) *wire.RR {
	list := p.records[wire.Additional]
	if i := slices.IndexFunc(list, func(rr wire.RR) bool { return rr.Type == t }); i >= 0 {
		return &list[i]
	}
	return nil
}

// Records are the records of a section as scripts see them: OPT says something about the
// message and is none of them.
func (p *Message) Records(section int) []wire.RR {
	return slices.DeleteFunc(slices.Clone(p.records[section]), func(rr wire.RR) bool { return rr.Type == wire.TypeOPT })
}

// builder writes the packet without its octets' help.
func (p *Message) builder() *wire.Builder {
	if p.build != nil {
		return p.build
	}
	p.build = wire.NewBuilder(nil, p.max, p.id, p.flags)
	if p.name != nil {
		p.build.Question(p.name, p.qtype, p.qclass)
	}
	for s, list := range p.records {
		for _, rr := range list {
			p.build.RR(wire.Section(s), rr.Owner, rr.Type, rr.Class, rr.TTL, rr.RData)
		}
	}
	return p.build
}

// Size is how many octets the packet has.
func (p *Message) Size() int {
	if p.raw != nil {
		return len(p.raw)
	}
	return p.builder().Len()
}

// Octets are the packet in wire form.
func (p *Message) Octets() []byte {
	out := slices.Clone(p.raw)
	if p.raw == nil {
		out = slices.Clone(p.builder().Bytes())
	}
	binary.BigEndian.PutUint16(out, p.id)
	binary.BigEndian.PutUint16(out[2:], p.flags)
	for i, n := range p.counts {
		if p.raw != nil || p.counted {
			binary.BigEndian.PutUint16(out[4+2*i:], n)
		}
	}
	return out
}

// Put adds a record to the present section.
func (p *Message) Put(rr wire.RR) error {
	if err := p.Parse(); err != nil {
		return err
	}
	if len(rr.RData) > MaxRData || p.counts[p.section+1] == 1<<16-1 || !p.fits(rr) {
		return ErrFull
	}
	p.raw, p.changed = nil, true
	p.records[p.section] = append(p.records[p.section], rr)
	p.counts[p.section+1]++
	return nil
}

// fits writes a record into the present section, if there is room. An OPT record in the
// additional section stays behind it.
func (p *Message) fits(rr wire.RR) bool {
	if p.section == len(p.records)-1 || p.OPT() == nil {
		return p.builder().RR(wire.Section(p.section), rr.Owner, rr.Type, rr.Class, rr.TTL, rr.RData)
	}
	before := p.records[p.section]
	p.records[p.section] = append(before[:len(before):len(before)], rr)
	p.build = nil
	room := !p.builder().Truncated()
	if p.records[p.section] = before; !room {
		p.build = nil
	}
	return room
}

// PutSet adds all records of a set, or none.
func (p *Message) PutSet(s *wire.RRset, rotate int) error {
	before := *p
	for i := range s.Data {
		if err := p.Put(RecordAt(s, (i+rotate)%len(s.Data))); err != nil {
			*p = before
			p.build = nil
			return err
		}
	}
	return nil
}

// Ask makes the packet ask; a question that it has already is replaced as long as no
// record stands behind it.
func (p *Message) Ask(name []byte, qtype, qclass uint16) error {
	if err := p.Parse(); err != nil {
		return err
	}
	if !p.Empty() {
		return errors.New("the question comes before all records")
	}
	if wire.HeaderLen+len(name)+4 > p.max {
		return ErrFull
	}
	p.name, p.qtype, p.qclass = name, qtype, qclass
	p.counts[0] = 1
	p.raw, p.build, p.changed = nil, nil, true
	return nil
}

// Clear drops all records, and the question unless it is to stay and can be read.
func (p *Message) Clear(question bool) {
	if p.Parse() != nil || !question {
		p.name, p.qtype, p.qclass = nil, 0, 0
	}
	p.records, p.section = [3][]wire.RR{}, 0
	p.raw, p.build, p.changed, p.counted = nil, nil, true, false
	p.recount()
}

// Resize changes how large the packet may become.
func (p *Message) Resize(size int) error {
	if p.Size() > size {
		return fmt.Errorf("the packet has %d octets already", p.Size())
	}
	p.max, p.build = size, nil
	return nil
}
