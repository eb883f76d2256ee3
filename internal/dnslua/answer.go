package dnslua

import (
	"errors"

	"kresd/internal/dnsname"
	"kresd/internal/limits"
	"kresd/internal/rank"
	"kresd/internal/resolve"
	"kresd/internal/wire"
)

// PacketOf is a copy of the message of a server, for as long as scripts may look at the
// request of r.
func PacketOf(r *View, m *wire.Msg) *Packet {
	p := &Packet{message: newMessage(limits.MaxBufsize, 0), view: r}
	p.take(m)
	return p
}

// QueryPacket is a question that is to be sent, for as long as scripts may look at the
// request of r.
func QueryPacket(r *View, name dnsname.Name, qtype, qclass uint16) *Packet {
	p := &Packet{message: newMessage(limits.MaxBufsize, 0), view: r}
	_ = p.question([]byte(name), qtype, qclass) // there is room for it
	return p
}

// answerPacket is the packet that stands for the answer to a request.
func answerPacket(r *View) *Packet {
	if r.packet == nil {
		r.packet = &Packet{message: newMessage(limits.MaxBufsize, 0), view: r, answer: true}
	}
	return r.packet
}

// load makes the packet of the Result, of which the message for the client is made later.
func (p *Packet) load() {
	req := p.view.Req
	res := &req.Result
	p.id = uint16(req.ID)
	p.flags = (answerFlags(req)|res.HeaderOn)&^res.HeaderOff | uint16(res.Rcode&0xf)
	p.name, p.qtype, p.qclass = []byte(req.Name), req.Type, req.Class
	for i := range p.records {
		p.records[i] = p.records[i][:0:0]
		for _, set := range *sectionOf(res, i) {
			p.records[i] = appendSet(p.records[i], &set, req.DO)
		}
	}
	p.raw, p.build, p.counted = nil, nil, false
	p.recount()
}

// answerFlags are the bits of the header that an answer has by itself.
func answerFlags(req *resolve.Request) uint16 {
	flags := wire.FlagQR | wire.FlagRA
	for bit, on := range map[uint16]bool{
		wire.FlagRD: req.RD, wire.FlagCD: req.CD, wire.FlagAA: req.Result.AA, wire.FlagTC: req.Result.TC, wire.FlagAD: req.Result.Rank.IsSecure(),
	} {
		if on {
			flags |= bit
		}
	}
	return flags
}

func appendSet(list []wire.RR, set *resolve.Set, sigs bool) []wire.RR {
	for _, data := range set.Data {
		list = append(list, wire.RR{Owner: set.Owner, Type: set.Type, Class: set.Class, TTL: set.TTL, RData: data})
	}
	if sigs {
		for _, data := range set.Sigs {
			list = append(list, wire.RR{Owner: set.Owner, Type: wire.TypeRRSIG, Class: set.Class, TTL: set.TTL, RData: data})
		}
	}
	return list
}

func sectionOf(res *resolve.Result, n int) *[]resolve.Set {
	return [...]*[]resolve.Set{&res.Answer, &res.Authority, &res.Additional}[n]
}

// storeFlags puts changed bits of the header into the Result.
func (p *Packet) storeFlags(bits uint16, on bool) {
	res := &p.view.Req.Result
	res.NoCache = true
	res.HeaderOn, res.HeaderOff = res.HeaderOn&^bits, res.HeaderOff&^bits
	if bits&wire.FlagAA != 0 {
		res.AA = on
	}
	if bits&wire.FlagTC != 0 {
		res.TC = on
	}
	if bits &^= wire.FlagAA | wire.FlagTC; on {
		res.HeaderOn |= bits
	} else {
		res.HeaderOff |= bits
	}
}

// storeRcode puts a changed RCODE into the Result.
func (p *Packet) storeRcode(rcode int) {
	p.view.Req.Result.Rcode, p.view.Req.Result.NoCache = rcode, true
}

// storeClear drops all sections of the Result.
func (p *Packet) storeClear() {
	res := &p.view.Req.Result
	res.Answer, res.Authority, res.Additional, res.NoCache = nil, nil, nil, true
}

// errOtherQuestion is why an answer is given no other question.
var errOtherQuestion = errors.New("an answer has the question of the client")

// storePut puts a record into the Result.
func (p *Packet) storePut(rr wire.RR) error {
	res := &p.view.Req.Result
	res.NoCache = true
	// A Result may share its sets with others: a changed list is a new one.
	to := sectionOf(res, p.section)
	old := *to
	list := append(make([]resolve.Set, 0, len(old)+1), old...)
	covers := rr.Type
	if rr.Type == wire.TypeRRSIG && len(rr.RData) >= wire.SigFixed {
		covers = wire.Covered(rr.RData)
	}
	for i := range list {
		s := &list[i]
		if s.Owner != rr.Owner || s.Class != rr.Class || s.Type != covers {
			continue
		}
		of := &s.Data
		if covers != rr.Type {
			of = &s.Sigs
		}
		if octetsOf(*of)+len(rr.RData) > maxRData {
			return errTooMany
		}
		s.TTL = min(s.TTL, rr.TTL)
		*of = append((*of)[:len(*of):len(*of)], rr.RData)
		*to = list
		return nil
	}
	*to = append(list, resolve.Set{
		Rank:  rank.Auth | rank.Insecure,
		RRset: wire.RRset{Owner: rr.Owner, TTL: rr.TTL, Class: rr.Class, Type: rr.Type, Data: [][]byte{rr.RData}},
	})
	return nil
}
