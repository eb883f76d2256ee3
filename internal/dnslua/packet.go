package dnslua

import (
	"fmt"
	"math/rand/v2"
	"strings"

	"kresd/internal/dnsname"
	"kresd/internal/limits"
	"kresd/internal/resolve"
	"kresd/internal/script"
	"kresd/internal/wire"
)

// packetArg is the packet in argument i, as it is now.
func (v *Views) packetArg(c *script.Call, i int) *Packet {
	return open(c, c.Handle(i, v.packet).(*Packet))
}

// open gives a packet as it is now, while the script may look at it.
func open(c *script.Call, p *Packet) *Packet {
	p.view.must(c)
	if p.answer {
		p.load()
	}
	return p
}

// Packet is what scripts know as the packet.
func (v *Views) Packet(p *Packet) *script.Handle {
	return &script.Handle{Class: v.packet, Value: p}
}

// Answer is what scripts know as the answer of the request.
func (v *Views) Answer(r *View) *script.Handle { return v.Packet(answerPacket(r)) }

func (v *Views) packetClass() *script.Class {
	class := &script.Class{Name: "packet", CData: true}
	v.packet = class
	method := methods(v, v.packetArg)
	class.Methods = append(v.packetHeader(method), append(v.packetReaders(method), v.packetWriters(method)...)...)
	class.Get = func(c *script.Call, value any, key any) (any, error) {
		p := open(c, value.(*Packet))
		switch key {
		case "wire":
			return &script.Handle{Class: v.octets, Value: &octets{view: p.view, data: p.octets(), kept: true}}, nil
		case "size":
			return p.size(), nil
		case "max_size":
			return p.max, nil
		case "opt_rr":
			return v.recordSet(p, p.opt()), nil
		case "tsig_rr":
			return v.recordSet(p, p.special(wire.TypeTSIG)), nil
		}
		return nil, script.NoMember(class, key, "wire", "size", "max_size", "opt_rr", "tsig_rr")
	}
	class.Len = func(c *script.Call, value any) (int, error) { return open(c, value.(*Packet)).size(), nil }
	class.List = func(c *script.Call, value any) ([]any, error) {
		return recordTables(open(c, value.(*Packet)).shown(0)), nil
	}
	class.Text = func(value any) string {
		p := value.(*Packet)
		if p.view.over() {
			return "packet"
		}
		if p.answer {
			p.load()
		}
		return p.text()
	}
	return class
}

// recordSet is a record as a set of one; nil for none.
func (v *Views) recordSet(p *Packet, rr *wire.RR) *script.Handle {
	if rr == nil {
		return nil
	}
	return v.RRSet(p.view, wire.RRset{Owner: rr.Owner, Type: rr.Type, Class: rr.Class, TTL: rr.TTL, Data: [][]byte{rr.RData}})
}

func recordTables(list []wire.RR) []any {
	out := make([]any, 0, len(list))
	for _, rr := range list {
		out = append(out, recordTable(rr))
	}
	return out
}

// packetHeader are the methods that read a part of the header, or set it.
func (v *Views) packetHeader(method methodMaker[*Packet]) []script.Func {
	var list []script.Func
	number := func(name string, most int, get func(p *Packet) int, set func(p *Packet, n int)) {
		list = append(list, method(name, "[value]", 0, 1, func(c *script.Call, p *Packet) (any, error) {
			if c.NArgs() > 1 {
				if p.answer && name != "rcode" {
					c.Raise(script.Usage("the " + name + " of an answer follows from the question and the records"))
				}
				set(p, c.Int(2, 0, most))
				p.build, p.changed = nil, true
			}
			return get(p), nil
		}))
	}
	number("id", 0xffff, func(p *Packet) int { return int(p.id) }, func(p *Packet, n int) { p.id = uint16(n) })
	number("opcode", 0xf, func(p *Packet) int { return int(p.flags >> 11 & 0xf) }, func(p *Packet, n int) { p.flags = p.flags&^(0xf<<11) | uint16(n)<<11 })
	number("rcode", 0xf, func(p *Packet) int { return int(p.flags & 0xf) }, (*Packet).setRcode)
	for i, name := range []string{"qdcount", "ancount", "nscount", "arcount"} {
		number(name, 0xffff, func(p *Packet) int { return int(p.counts[i]) }, func(p *Packet, n int) { p.counts[i], p.counted = uint16(n), true })
	}
	for _, b := range headerNames() {
		list = append(list, method(b.name, "[value]", 0, 1, func(c *script.Call, p *Packet) (any, error) {
			if c.NArgs() > 1 {
				p.setBit(b.bit, truth(c, 2))
			}
			return p.flags&b.bit != 0, nil
		}))
	}
	return append(list, method("dobit", "", 0, 0, func(_ *script.Call, p *Packet) (any, error) {
		if p.answer {
			return p.view.Req.DO, nil
		}
		opt := p.opt()
		return opt != nil && opt.TTL&doBit != 0, nil
	}))
}

// A headerName is a bit of the header.
type headerName struct {
	name string
	bit  uint16
}

// headerNames are in the order in which the text of a packet tells them.
func headerNames() []headerName {
	return []headerName{
		{"rd", wire.FlagRD}, {"tc", wire.FlagTC}, {"aa", wire.FlagAA}, {"qr", wire.FlagQR}, {"cd", wire.FlagCD}, {"ad", wire.FlagAD}, {"ra", wire.FlagRA},
	}
}

func (p *Packet) setBit(bit uint16, on bool) {
	if p.flags &^= bit; on {
		p.flags |= bit
	}
	p.build, p.changed = nil, true
	if p.answer {
		p.storeFlags(bit, on)
	}
}

func (p *Packet) setRcode(n int) {
	p.flags = p.flags&^0xf | uint16(n)
	if p.answer {
		p.storeRcode(n)
	}
}

func (v *Views) packetReaders(method methodMaker[*Packet]) []script.Func {
	return []script.Func{
		method("qname", "", 0, 0, func(_ *script.Call, p *Packet) (any, error) {
			if p.name == nil {
				return nil, nil
			}
			return string(p.name), nil
		}),
		method("qtype", "", 0, 0, func(_ *script.Call, p *Packet) (any, error) { return p.qtype, nil }),
		method("qclass", "", 0, 0, func(_ *script.Call, p *Packet) (any, error) { return p.qclass, nil }),
		method("section", "section", 1, 1, func(c *script.Call, p *Packet) (any, error) {
			return recordTables(p.shown(c.Int(2, 0, 2))), nil
		}),
		method("rrsets", "section", 1, 1, func(c *script.Call, p *Packet) (any, error) {
			var out []any
			for _, set := range grouped(p.shown(c.Int(2, 0, 2))) {
				out = append(out, v.RRSet(p.view, set))
			}
			return out, nil
		}),
		method("empty", "", 0, 0, func(_ *script.Call, p *Packet) (any, error) {
			return len(p.records[0])+len(p.records[1])+len(p.records[2]) == 0, nil
		}),
		method("towire", "", 0, 0, func(_ *script.Call, p *Packet) (any, error) { return p.octets(), nil }),
		method("tostring", "", 0, 0, func(_ *script.Call, p *Packet) (any, error) { return p.text(), nil }),
		method("remaining_bytes", "", 0, 0, func(_ *script.Call, p *Packet) (any, error) { return p.max - p.size(), nil }),
	}
}

// grouped are the sets that records belong to, with signatures as sets of their own, as
// scripts for kresd know them.
func grouped(list []wire.RR) (sets []wire.RRset) {
	type key struct {
		dnsname.Name
		t, class, covers uint16
	}
	at := map[key]int{}
	for _, rr := range list {
		k := key{rr.Owner, rr.Type, rr.Class, 0}
		if rr.Type == wire.TypeRRSIG && len(rr.RData) >= wire.SigFixed {
			k.covers = wire.Covered(rr.RData)
		}
		i, ok := at[k]
		if !ok {
			i = len(sets)
			at[k] = i
			sets = append(sets, wire.RRset{Owner: rr.Owner, Type: rr.Type, Class: rr.Class, TTL: rr.TTL})
		}
		sets[i].TTL = min(sets[i].TTL, rr.TTL)
		sets[i].Data = append(sets[i].Data, rr.RData)
	}
	return sets
}

func (v *Views) packetWriters(method methodMaker[*Packet]) []script.Func {
	return []script.Func{
		method("begin", "section", 1, 1, func(c *script.Call, p *Packet) (any, error) {
			n := c.Int(2, 0, 2)
			if n < p.section {
				c.Raise(script.Usage("cannot go back to an earlier section"))
			}
			p.section = n
			return true, nil
		}),
		method("put", "owner, ttl, class, type, rdata", 5, 5, func(c *script.Call, p *Packet) (any, error) {
			owner, err := WireName(v.octetsArg(c, 2))
			if err != nil {
				c.ArgError(2, "%v", err)
			}
			rr := wire.RR{Owner: owner, TTL: uint32(c.Int(3, 0, maxTTL)), Class: uint16(c.Int(4, 0, 0xffff)), Type: uint16(c.Int(5, 0, 0xffff)), RData: []byte(v.octetsArg(c, 6))}
			if len(rr.RData) > maxRData {
				c.ArgError(6, "RDATA of more than %d octets", maxRData)
			}
			return true, p.add(rr)
		}),
		method("put_rr", "set[, rotate[, flags]]", 1, 3, func(c *script.Call, p *Packet) (any, error) {
			set := v.rrsetArg(c, 2)
			return true, p.addSet(set, c.OptInt(3, 0, 0xffff, 0))
		}),
		method("recycle", "", 0, 0, func(_ *script.Call, p *Packet) (any, error) {
			p.drop(p.answer)
			return nil, nil
		}),
		method("clear_payload", "", 0, 0, func(_ *script.Call, p *Packet) (any, error) {
			p.drop(true)
			return nil, nil
		}),
		method("question", "name, class, type", 3, 3, func(c *script.Call, p *Packet) (any, error) {
			return true, p.ask(c, v.octetsArg(c, 2), uint16(c.Int(3, 0, 0xffff)), uint16(c.Int(4, 0, 0xffff)))
		}),
		method("parse", "", 0, 0, func(_ *script.Call, p *Packet) (any, error) { return true, p.parse() }),
		method("resize", "octets", 1, 1, func(c *script.Call, p *Packet) (any, error) {
			return true, p.resize(c.Int(2, wire.HeaderLen, 0xffff))
		}),
	}
}

// add adds a record, to the Result too where the packet stands for one.
func (p *Packet) add(rr wire.RR) error {
	if err := p.put(rr); err != nil || !p.answer {
		return err
	}
	return p.storePut(rr)
}

func (p *Packet) addSet(s *RRSet, rotate int) error {
	if err := p.putSet(&s.RRset, rotate); err != nil || !p.answer {
		return err
	}
	for i := range s.Data {
		if err := p.storePut(s.record((i + rotate) % len(s.Data))); err != nil {
			return err
		}
	}
	return nil
}

func (p *Packet) drop(butQuestion bool) {
	p.clear(butQuestion)
	if p.answer {
		p.storeClear()
	}
}

// ask makes a packet ask. An answer has its question.
func (p *Packet) ask(c *script.Call, name string, qclass, qtype uint16) error {
	n, err := WireName(name)
	if err != nil {
		c.ArgError(2, "%v", err)
	}
	if p.answer {
		if req := p.view.Req; n != req.Name || qtype != req.Type || qclass != req.Class {
			return errOtherQuestion
		}
		return nil
	}
	return p.question([]byte(name), qtype, qclass)
}

// QuestionOf is the question of the packet in argument i, and whether it asks with DO and CD.
func (v *Views) QuestionOf(c *script.Call, i int) (q resolve.Question, do, cd bool) {
	p := v.packetArg(c, i)
	if err := p.parse(); err != nil {
		c.ArgError(i, "%v", err)
	}
	name, err := dnsname.FromWire(p.name)
	if err != nil || p.qtype == 0 || p.qclass == 0 {
		c.ArgError(i, "a packet with a question expected")
	}
	opt := p.opt()
	return resolve.Question{Name: name, Type: p.qtype, Class: p.qclass}, opt != nil && opt.TTL&doBit != 0, p.flags&wire.FlagCD != 0
}

// text is the packet as people read it.
func (p *Packet) text() string {
	var b strings.Builder
	rcode := int(p.flags & 0xf)
	if opt := p.opt(); opt != nil {
		rcode |= int(opt.TTL>>24) << 4
	}
	fmt.Fprintf(&b, ";; ->>HEADER<<- opcode: %s; status: %s; id: %d\n", nameOf(opcodes(), int(p.flags>>11&0xf)), nameOf(rcodes(), rcode), p.id)
	var flags []string
	for _, h := range headerNames() {
		if p.flags&h.bit != 0 {
			flags = append(flags, h.name)
		}
	}
	fmt.Fprintf(&b, ";; Flags: %s; QUERY: %d; ANSWER: %d; AUTHORITY: %d; ADDITIONAL: %d\n",
		strings.Join(flags, " "), p.counts[0], p.counts[1], p.counts[2], p.counts[3])
	if opt := p.opt(); opt != nil {
		do := ""
		if opt.TTL&doBit != 0 {
			do = " do"
		}
		fmt.Fprintf(&b, "\n;; OPT PSEUDOSECTION:\n; EDNS: version: %d, flags:%s; udp: %d\n", opt.TTL>>16&0xff, do, opt.Class)
	}
	if p.name != nil {
		name, _ := dnsname.FromWire(p.name)
		fmt.Fprintf(&b, "\n;; QUESTION\n;; %s\t%s\t%s\n", name, TypeText(p.qtype), nameOf(classes(), int(p.qclass)))
	}
	for i, title := range []string{"ANSWER", "AUTHORITY", "ADDITIONAL"} {
		if list := p.shown(i); len(list) > 0 {
			fmt.Fprintf(&b, "\n;; %s\n", title)
			for _, rr := range list {
				b.WriteString(rrLine(rr) + "\n")
			}
		}
	}
	return b.String()
}

// newPacketOf is kres.packet.
func (v *Views) newPacketOf(c *script.Call) error {
	size := c.Int(1, wire.HeaderLen, limits.MaxBufsize)
	if c.IsNil(2) {
		return c.Return(v.Packet(&Packet{message: newMessage(size, uint16(rand.Uint32()))}))
	}
	octets := v.octetsArg(c, 2)
	if len(octets) < wire.HeaderLen || len(octets) > limits.MaxBufsize {
		c.ArgError(2, "a message has %d to %d octets, and this has %d", wire.HeaderLen, limits.MaxBufsize, len(octets))
	}
	return c.Return(v.Packet(&Packet{message: unparsed([]byte(octets), size)}))
}
