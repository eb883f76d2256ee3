package lualayer

import (
	"fmt"

	"kresd/internal/dnslua/records"
	"kresd/internal/dnslua/requests"
	"kresd/internal/dnsname"
	"kresd/internal/rank"
	"kresd/internal/resolve"
	"kresd/internal/wire"
)

// packetOf is the answer that a query has: the message of a server, or what the cache or
// a module has made the outcome.
func packetOf(v *requests.View, q *resolve.Query, msg *wire.Msg) *records.Packet {
	if msg == nil {
		msg = messageOf(q)
	}
	return requests.PacketOf(v, msg)
}

// messageOf words an outcome as a server would.
func messageOf(q *resolve.Query) *wire.Msg {
	o := &q.Outcome
	m := &wire.Msg{ID: uint16(q.ID), Flags: wire.FlagQR | wire.FlagRA, Rcode: o.Rcode, Question: q.Name, QType: q.Type, QClass: q.Class}
	m.Flags |= uint16(o.Rcode & 0xf)
	m.Answer, m.Authority = recordsOf(o.Answer), recordsOf(o.Authority)
	return m
}

// recordsOf are those of sets, signatures included.
func recordsOf(sets []resolve.Set) (list []wire.RR) {
	for i := range sets {
		s := &sets[i]
		for _, data := range s.Data {
			list = append(list, wire.RR{Owner: s.Owner, Type: s.Type, Class: s.Class, TTL: s.TTL, RData: data})
		}
		for _, data := range s.Sigs {
			list = append(list, wire.RR{Owner: s.Owner, Type: wire.TypeRRSIG, Class: s.Class, TTL: s.TTL, RData: data})
		}
	}
	return list
}

// replace makes the packet, which a hook has changed, the answer of the query: the
// message for the layers behind where none has understood it yet, or else the outcome.
func replace(q *resolve.Query, p *records.Packet) error {
	if q.Outcome.Kind != resolve.Pending {
		return put(q, p)
	}
	m, err := p.Msg()
	if err != nil {
		return fmt.Errorf("the packet of a script: %w", err)
	}
	q.Replace(m)
	return nil
}

// put makes the packet the outcome of a query.
func put(q *resolve.Query, p *records.Packet) error {
	m, err := p.Msg()
	if err != nil {
		return fmt.Errorf("the packet of a script: %w", err)
	}
	q.Outcome = outcomeOf(q, m)
	q.Replace(nil)
	return nil
}

// outcomeOf is what a message of a script says about a query. It is said on the
// operator's word, and not kept.
func outcomeOf(q *resolve.Query, m *wire.Msg) resolve.Outcome {
	o := resolve.Outcome{Rcode: m.Rcode, Answer: setsOf(m.Answer), Authority: setsOf(m.Authority), Own: true}
	end, found := follow(q, o.Answer)
	switch {
	case found || q.Type == wire.TypeANY && len(o.Answer) > 0:
		o.Kind = resolve.Positive
	case end != q.Name && q.Type != wire.TypeCNAME && m.Rcode == wire.RcodeNoError:
		o.Kind, o.Target = resolve.Alias, end
	case m.Rcode == wire.RcodeNXDomain:
		o.Kind = resolve.NXDomain
	default:
		o.Kind = resolve.NoData
	}
	return o
}

// follow goes along the aliases of an answer to its end, and tells whether the records
// that are asked for are there.
func follow(q *resolve.Query, answer []resolve.Set) (end dnsname.Name, found bool) {
	end = q.Name
	for range answer { // no chain is longer
		next := dnsname.Name("")
		for i := range answer {
			s := &answer[i]
			if s.Owner != end {
				continue
			}
			if s.Type == q.Type {
				return end, true
			}
			if s.Type == wire.TypeCNAME && len(s.Data) > 0 {
				next = wire.Target(s.Data[0])
			}
		}
		if next == "" {
			break
		}
		end = next
	}
	return end, false
}

// setsOf groups records, with signatures at the sets that they cover.
func setsOf(list []wire.RR) (sets []resolve.Set) {
	at := map[resolve.Question]int{}
	for _, rr := range list {
		key := resolve.Question{Name: rr.Owner, Type: rr.Type, Class: rr.Class}
		if signs := rr.Type == wire.TypeRRSIG && len(rr.RData) >= wire.SigFixed; signs {
			key.Type = wire.Covered(rr.RData)
			if i, ok := at[key]; ok {
				sets[i].Sigs = append(sets[i].Sigs, rr.RData)
			}
			continue
		}
		i, ok := at[key]
		if !ok {
			i = len(sets)
			at[key] = i
			sets = append(sets, resolve.Set{Rank: rank.Auth | rank.Insecure, RRset: wire.RRset{Owner: rr.Owner, Type: rr.Type, Class: rr.Class, TTL: rr.TTL}})
		}
		s := &sets[i]
		s.TTL = min(s.TTL, rr.TTL)
		s.Data = append(s.Data, rr.RData)
	}
	return sets
}
