package records

import (
	"errors"
	"math/rand/v2"

	"kresd/internal/dnslua/message"
	"kresd/internal/dnslua/terms"
	"kresd/internal/dnsname"
	"kresd/internal/limits"
	"kresd/internal/resolve"
	"kresd/internal/script"
	"kresd/internal/wire"
)

// A Packet is a DNS message in the hands of a script.
type Packet struct {
	*message.Message
	loan   *Loan
	origin Origin // nil: it is what it is
}

// An Origin is what a packet stands for, such as the answer to a request. The packet is read
// anew from it before each use, and what changes the packet changes it.
type Origin interface {
	// Read is the message that it is now.
	Read() *wire.Msg
	// Asks is the question that it has, and no other, and whether with DO.
	Asks() (q resolve.Question, do bool)
	SetFlag(bit uint16, on bool)
	SetRcode(rcode int)
	// Clear drops all records, Put adds one to a section.
	Clear()
	Put(section int, rr wire.RR) error
}

// NewPacket is a message for as long as a loan lasts.
func NewPacket(m *message.Message, l *Loan) *Packet { return &Packet{Message: m, loan: l} }

// Standing is a packet that stands for something else.
func Standing(of Origin, l *Loan) *Packet {
	return &Packet{message.New(limits.MaxBufsize, 0), l, of}
}

// PacketArg is the packet in argument i, as it is now.
func (v *Objects) PacketArg(c *script.Call, i int) *Packet {
	return open(c, c.Handle(i, v.packet).(*Packet))
}

// open gives a packet as it is now, while the script may look at it.
func open(c *script.Call, p *Packet) *Packet {
	p.loan.Must(c)
	p.read()
	return p
}

func (p *Packet) read() {
	if p.origin != nil {
		p.Load(p.origin.Read())
	}
}

// Packet is what scripts know as the packet.
func (v *Objects) Packet(p *Packet) *script.Handle {
	return &script.Handle{Class: v.packet, Value: p}
}

func (v *Objects) packetClass() *script.Class {
	class := &script.Class{Name: "packet", CData: true}
	v.packet = class
	method := methods(v, v.PacketArg)
	class.Methods = append(v.packetHeader(method), append(v.packetReaders(method), v.packetWriters(method)...)...)
	class.Get = func(c *script.Call, value any, key any) (any, error) {
		p := open(c, value.(*Packet))
		switch key {
		case "wire":
			return v.lent(p.loan, p.Octets()), nil
		case "size":
			return p.Size(), nil
		case "max_size":
			return p.Max(), nil
		case "opt_rr":
			return v.special(p, wire.TypeOPT), nil
		case "tsig_rr":
			return v.special(p, wire.TypeTSIG), nil
		}
		return nil, script.NoMember(class, key, "wire", "size", "max_size", "opt_rr", "tsig_rr")
	}
	class.Len = func(c *script.Call, value any) (int, error) { return open(c, value.(*Packet)).Size(), nil }
	class.List = func(c *script.Call, value any) ([]any, error) {
		return tables(open(c, value.(*Packet)).Records(0)), nil
	}
	class.Text = func(value any) string {
		p := value.(*Packet)
		if p.loan.Over() {
			return "packet"
		}
		p.read()
		return p.Text()
	}
	return class
}

// special is the record of a type that there is one of, as a set; nil for none.
func (v *Objects) special(p *Packet, t uint16) *script.Handle {
	rr := p.Special(t)
	if rr == nil {
		return nil
	}
	return v.RRSet(p.loan, wire.RRset{Owner: rr.Owner, Type: rr.Type, Class: rr.Class, TTL: rr.TTL, Data: [][]byte{rr.RData}})
}

// OPT is the OPT record of a packet as a set; nil for none.
func (v *Objects) OPT(p *Packet) *script.Handle { return v.special(p, wire.TypeOPT) }

func tables(list []wire.RR) []any {
	out := make([]any, 0, len(list))
	for _, rr := range list {
		out = append(out, Table(rr))
	}
	return out
}

// packetHeader are the methods that read a part of the header, or set it.
func (v *Objects) packetHeader(method methodMaker[*Packet]) []script.Func {
	var list []script.Func
	number := func(name string, most int, get func(p *Packet) int, set func(p *Packet, n int)) {
		list = append(list, method(name, "[value]", 0, 1, func(c *script.Call, p *Packet) (any, error) {
			if c.NArgs() > 1 {
				if p.origin != nil && name != "rcode" {
					c.Raise(script.Usage("the " + name + " of an answer follows from the question and the records"))
				}
				set(p, c.Int(2, 0, most))
			}
			return get(p), nil
		}))
	}
	number("id", 0xffff, func(p *Packet) int { return p.ID() }, func(p *Packet, n int) { p.SetID(n) })
	number("opcode", 0xf, func(p *Packet) int { return p.Opcode() }, func(p *Packet, n int) { p.SetOpcode(n) })
	number("rcode", 0xf, func(p *Packet) int { return p.Rcode() }, (*Packet).SetRcode)
	for i, name := range []string{"qdcount", "ancount", "nscount", "arcount"} {
		number(name, 0xffff, func(p *Packet) int { return p.Count(i) }, func(p *Packet, n int) { p.SetCount(i, n) })
	}
	for _, f := range message.FlagNames() {
		list = append(list, method(f.Name, "[value]", 0, 1, func(c *script.Call, p *Packet) (any, error) {
			if c.NArgs() > 1 {
				p.SetFlag(f.Bit, terms.Truth(c, 2))
			}
			return p.Flag(f.Bit), nil
		}))
	}
	return append(list, method("dobit", "", 0, 0, func(_ *script.Call, p *Packet) (any, error) { return p.do(), nil }))
}

func (p *Packet) do() bool {
	if p.origin != nil {
		_, do := p.origin.Asks()
		return do
	}
	opt := p.OPT()
	return opt != nil && opt.TTL&message.DOBit != 0
}

// SetFlag turns a bit of the header on or off, also of what the packet stands for.
func (p *Packet) SetFlag(bit uint16, on bool) {
	p.Message.SetFlag(bit, on)
	if p.origin != nil {
		p.origin.SetFlag(bit, on)
	}
}

// SetRcode sets the RCODE, likewise.
func (p *Packet) SetRcode(n int) {
	p.Message.SetRcode(n)
	if p.origin != nil {
		p.origin.SetRcode(n)
	}
}

func (v *Objects) packetReaders(method methodMaker[*Packet]) []script.Func {
	return []script.Func{
		method("qname", "", 0, 0, func(_ *script.Call, p *Packet) (any, error) {
			if name, _, _ := p.Question(); name != nil {
				return string(name), nil
			}
			return nil, nil
		}),
		method("qtype", "", 0, 0, func(_ *script.Call, p *Packet) (any, error) {
			_, qtype, _ := p.Question()
			return qtype, nil
		}),
		method("qclass", "", 0, 0, func(_ *script.Call, p *Packet) (any, error) {
			_, _, qclass := p.Question()
			return qclass, nil
		}),
		method("section", "section", 1, 1, func(c *script.Call, p *Packet) (any, error) {
			return tables(p.Records(c.Int(2, 0, 2))), nil
		}),
		method("rrsets", "section", 1, 1, func(c *script.Call, p *Packet) (any, error) {
			var out []any
			for _, set := range p.Sets(c.Int(2, 0, 2)) {
				out = append(out, v.RRSet(p.loan, set))
			}
			return out, nil
		}),
		method("empty", "", 0, 0, func(_ *script.Call, p *Packet) (any, error) { return p.Empty(), nil }),
		method("towire", "", 0, 0, func(_ *script.Call, p *Packet) (any, error) { return p.Octets(), nil }),
		method("tostring", "", 0, 0, func(_ *script.Call, p *Packet) (any, error) { return p.Text(), nil }),
		method("remaining_bytes", "", 0, 0, func(_ *script.Call, p *Packet) (any, error) { return p.Max() - p.Size(), nil }),
	}
}

func (v *Objects) packetWriters(method methodMaker[*Packet]) []script.Func {
	return []script.Func{
		method("begin", "section", 1, 1, func(c *script.Call, p *Packet) (any, error) {
			if !p.Begin(c.Int(2, 0, 2)) {
				c.Raise(script.Usage("cannot go back to an earlier section"))
			}
			return true, nil
		}),
		method("put", "owner, ttl, class, type, rdata", 5, 5, func(c *script.Call, p *Packet) (any, error) {
			rr := wire.RR{Owner: v.NameArg(c, 2), TTL: uint32(c.Int(3, 0, message.MaxTTL)), Class: uint16(c.Int(4, 0, 0xffff)), Type: uint16(c.Int(5, 0, 0xffff)), RData: []byte(v.OctetsArg(c, 6))}
			if len(rr.RData) > message.MaxRData {
				c.ArgError(6, "RDATA of more than %d octets", message.MaxRData)
			}
			return true, p.add(rr)
		}),
		method("put_rr", "set[, rotate[, flags]]", 1, 3, func(c *script.Call, p *Packet) (any, error) {
			set := v.RRSetArg(c, 2)
			return true, p.addSet(set, c.OptInt(3, 0, 0xffff, 0))
		}),
		method("recycle", "", 0, 0, func(_ *script.Call, p *Packet) (any, error) {
			p.drop(p.origin != nil)
			return nil, nil
		}),
		method("clear_payload", "", 0, 0, func(_ *script.Call, p *Packet) (any, error) {
			p.drop(true)
			return nil, nil
		}),
		method("question", "name, class, type", 3, 3, func(c *script.Call, p *Packet) (any, error) {
			return true, v.Ask(c, p, 2, v.OctetsArg(c, 2), uint16(c.Int(3, 0, 0xffff)), uint16(c.Int(4, 0, 0xffff)))
		}),
		method("parse", "", 0, 0, func(_ *script.Call, p *Packet) (any, error) { return true, p.Parse() }),
		method("resize", "octets", 1, 1, func(c *script.Call, p *Packet) (any, error) {
			return true, p.Resize(c.Int(2, wire.HeaderLen, 0xffff))
		}),
	}
}

// add adds a record, also to what the packet stands for.
func (p *Packet) add(rr wire.RR) error {
	if err := p.Put(rr); err != nil || p.origin == nil {
		return err
	}
	return p.origin.Put(p.Section(), rr)
}

func (p *Packet) addSet(s *RRSet, rotate int) error {
	if err := p.PutSet(&s.RRset, rotate); err != nil || p.origin == nil {
		return err
	}
	for i := range s.Data {
		if err := p.origin.Put(p.Section(), s.record((i+rotate)%len(s.Data))); err != nil {
			return err
		}
	}
	return nil
}

func (p *Packet) drop(butQuestion bool) {
	p.Clear(butQuestion)
	if p.origin != nil {
		p.origin.Clear()
	}
}

// errOtherQuestion is why an answer is given no other question.
var errOtherQuestion = errors.New("an answer has the question of the client")

// Ask makes a packet ask for a name, which stands in argument i. An answer has its question.
func (v *Objects) Ask(c *script.Call, p *Packet, i int, name string, qclass, qtype uint16) error {
	n, err := terms.WireName(name)
	if err != nil {
		c.ArgError(i, "%v", err)
	}
	if p.origin == nil {
		return p.Message.Ask([]byte(name), qtype, qclass)
	}
	if q, _ := p.origin.Asks(); q != (resolve.Question{Name: n, Type: qtype, Class: qclass}) {
		return errOtherQuestion
	}
	return nil
}

// QuestionOf is the question of the packet in argument i, and whether it asks with DO and CD.
func (v *Objects) QuestionOf(c *script.Call, i int) (q resolve.Question, do, cd bool) {
	p := v.PacketArg(c, i)
	if err := p.Parse(); err != nil {
		c.ArgError(i, "%v", err)
	}
	text, qtype, qclass := p.Question()
	name, err := dnsname.FromWire(text)
	if err != nil || qtype == 0 || qclass == 0 {
		c.ArgError(i, "a packet with a question expected")
	}
	opt := p.OPT()
	return resolve.Question{Name: name, Type: qtype, Class: qclass}, opt != nil && opt.TTL&message.DOBit != 0, p.Flag(wire.FlagCD)
}

// newPacketOf is kres.packet.
func (v *Objects) newPacketOf(c *script.Call) error {
	size := c.Int(1, wire.HeaderLen, limits.MaxBufsize)
	if c.IsNil(2) {
		return c.Return(v.Packet(NewPacket(message.New(size, uint16(rand.Uint32())), nil)))
	}
	octets := v.OctetsArg(c, 2)
	if len(octets) < wire.HeaderLen || len(octets) > limits.MaxBufsize {
		c.ArgError(2, "a message has %d to %d octets, and this has %d", wire.HeaderLen, limits.MaxBufsize, len(octets))
	}
	return c.Return(v.Packet(NewPacket(message.Unparsed([]byte(octets), size), nil)))
}
