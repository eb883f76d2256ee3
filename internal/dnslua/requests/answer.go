package requests

import (
	"kresd/internal/dnslua/message"
	"kresd/internal/dnslua/records"
	"kresd/internal/dnsname"
	"kresd/internal/limits"
	"kresd/internal/rank"
	"kresd/internal/resolve"
	"kresd/internal/script"
	"kresd/internal/wire"
)

// PacketOf is a copy of the message of a server, for as long as scripts may look at the
// request of r.
func PacketOf(r *View, m *wire.Msg) *records.Packet {
	return records.NewPacket(message.Of(m), &r.loan)
}

// QueryPacket is a question that is to be sent, for as long as scripts may look at the
// request of r.
func QueryPacket(r *View, name dnsname.Name, qtype, qclass uint16) *records.Packet {
	m := message.New(limits.MaxBufsize, 0)
	_ = m.Ask([]byte(name), qtype, qclass) // there is room for it
	return records.NewPacket(m, &r.loan)
}

// Answer is what scripts know as the answer of the request.
func (v *Views) Answer(r *View) *script.Handle {
	if r.answer == nil {
		r.answer = records.Standing(answer{r.Req}, &r.loan)
	}
	return v.Packet(r.answer)
}

// An answer is the Result of a request as what a packet stands for (records.Origin). The
// message for the client is made of the Result later.
type answer struct{ req *resolve.Request }

func (a answer) Read() *wire.Msg {
	req := a.req
	res := &req.Result
	m := &wire.Msg{
		ID: uint16(req.ID), Flags: (answerFlags(req)|res.HeaderOn)&^res.HeaderOff | uint16(res.Rcode&0xf),
		Question: req.Name, QType: req.Type, QClass: req.Class,
	}
	for i, to := range []*[]wire.RR{&m.Answer, &m.Authority, &m.Additional} {
		for _, set := range *sectionOf(res, i) {
			*to = appendSet(*to, &set, req.DO)
		}
	}
	return m
}

func (a answer) Asks() (resolve.Question, bool) { return a.req.Question, a.req.DO }

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

// changed is the Result for a change by a script, after which it is for this client alone and
// does not count as proven any more.
func (a answer) changed() *resolve.Result {
	res := &a.req.Result
	res.NoCache, res.Rank = true, min(res.Rank, rank.Auth|rank.Insecure)
	return res
}

func (a answer) SetFlag(bits uint16, on bool) {
	res := a.changed()
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

func (a answer) SetRcode(rcode int) {
	a.changed().Rcode = rcode
}

func (a answer) Clear() {
	res := a.changed()
	res.Answer, res.Authority, res.Additional = nil, nil, nil
}

func (a answer) Put(section int, rr wire.RR) error {
	res := a.changed()
	// A Result may share its sets with others: a changed list is a new one.
	to := sectionOf(res, section)
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
		if message.OctetsOf(*of)+len(rr.RData) > message.MaxRData {
			return message.ErrTooMany
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
