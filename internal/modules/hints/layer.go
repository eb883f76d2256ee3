package hints

import (
	"net/netip"

	"kresd/internal/ede"
	"kresd/internal/module"
	"kresd/internal/rank"
	"kresd/internal/reply"
	"kresd/internal/resolve"
	"kresd/internal/wire"
)

func (h *hints) layer() *resolve.Layer { return &resolve.Layer{Name: "hints", Own: h.own} }

// says is the RDATA that the table has for a question, none for a name that has no
// data of this type; ok is false where the table does not answer.
func (h *hints) says(q resolve.Question) (data [][]byte, ok bool) {
	t := h.table.Load()
	if t.empty() || q.Class != wire.ClassIN {
		return nil, false
	}
	data, known := t.lookup(q)
	return data, known && (len(data) > 0 || h.nodata.Load())
}

// own answers a question from the table.
func (h *hints) own(_ *resolve.Request, q resolve.Question, sub bool) (o resolve.Outcome, ok bool) {
	data, ok := h.says(q)
	if !ok || len(data) == 0 && sub && ofZone(q.Type) {
		return o, false
	}
	o = resolve.Outcome{Kind: resolve.NoData, Cached: true, Zone: q.Name}
	if len(data) > 0 {
		o.Kind = resolve.Positive
		set := wire.RRset{Owner: q.Name, Type: q.Type, Class: wire.ClassIN, TTL: h.ttl.Load(), Data: data}
		o.Answer = []resolve.Set{{RRset: set, Rank: rank.Auth | rank.Insecure, Cached: true}}
	}
	return o, true
}

// lookup returns the RDATA for a question; known tells whether the name is in
// the table, if only with other types.
func (t *table) lookup(q resolve.Question) (data [][]byte, known bool) {
	if name, ok := t.host(q.Name); ok {
		known = true
		if q.Type == wire.TypePTR {
			data = [][]byte{[]byte(name)}
		}
	}
	for _, a := range t.addrs(q.Name) {
		known = true
		if isOf(a, q.Type) {
			data = append(data, a.AsSlice())
		}
	}
	return data, known
}

// isOf tells whether an address is what records of a type hold.
func isOf(a netip.Addr, t uint16) bool {
	return t == wire.TypeA && a.Is4() || t == wire.TypeAAAA && !a.Is4()
}

// ofZone tells whether a type belongs to the zone that a name is the apex of. The
// resolver's own questions for such do not stop at a hint.
func ofZone(t uint16) bool {
	return t == wire.TypeNS || t == wire.TypeDS || t == wire.TypeDNSKEY || t == wire.TypeSOA
}

// fast answers a client's question as own does.
func (h *hints) fast(q *module.Query) module.Disposition {
	t := h.table.Load()
	if t.empty() {
		return module.Pass
	}
	host, addrs, known := t.about(q.Subject.Name())
	if !known {
		return module.Pass
	}
	answer, ttl, found := q.Room(), h.ttl.Load(), false
	answer.Begin(wire.RcodeNoError, false, false, ede.None, "")
	switch q.Subject.Type {
	case wire.TypePTR:
		if host != "" {
			answer.Record(wire.Answer, reply.Asked, wire.TypePTR, ttl, []byte(host))
			found = true
		}
	case wire.TypeA, wire.TypeAAAA:
		if len(addrs) > manyAddresses {
			return module.Driver
		}
		for _, a := range addrs {
			if isOf(a, q.Subject.Type) {
				octets := a.As16()
				answer.Record(wire.Answer, reply.Asked, q.Subject.Type, ttl, octets[len(octets)-a.BitLen()/8:])
				found = true
			}
		}
	}
	if !found && !h.nodata.Load() {
		return module.Pass
	}
	return q.Answer(answer, nil)
}

// manyAddresses are so many that the answer is long, which is the driver's to word.
const manyAddresses = 64
