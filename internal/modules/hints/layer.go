package hints

import (
	"kresd/internal/dnsname"
	"kresd/internal/module"
	"kresd/internal/rank"
	"kresd/internal/resolve"
	"kresd/internal/wire"
)

// answered marks a request whose own question was answered from the table.
type answered struct{}

func (h *hints) layer() *resolve.Layer {
	return &resolve.Layer{Name: "hints", Produce: h.produce, Finalize: h.finalize}
}

func (h *hints) produce(req *resolve.Request, q *resolve.Query) resolve.State {
	t := h.table.Load()
	if t.empty() || q.Class != wire.ClassIN || q.Outcome.Kind != resolve.Pending {
		return resolve.Produce
	}
	data, known := t.lookup(q.Question)
	if !known || len(data) == 0 && (!h.nodata.Load() || q.Parent != nil && ofZone(q.Type)) {
		return resolve.Produce
	}
	q.Outcome = resolve.Outcome{Kind: resolve.NoData, Cached: true, Zone: q.Name}
	if len(data) > 0 {
		q.Outcome.Kind = resolve.Positive
		set := wire.RRset{Owner: q.Name, Type: q.Type, Class: wire.ClassIN, TTL: h.ttl.Load(), Data: data}
		q.Outcome.Answer = []resolve.Set{{RRset: set, Rank: rank.Auth | rank.Insecure, Cached: true}}
	}
	if q.Parent == nil {
		if req.Vars == nil {
			req.Vars = map[any]any{}
		}
		req.Vars[answered{}] = true
	}
	return resolve.Done
}

// finalize marks what the table answered as not to be kept.
func (h *hints) finalize(req *resolve.Request) {
	if req.Vars[answered{}] != nil {
		req.Result.NoCache = true
	}
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
		if q.Type == wire.TypeA && a.Is4() || q.Type == wire.TypeAAAA && !a.Is4() {
			data = append(data, a.AsSlice())
		}
	}
	return data, known
}

// ofZone tells whether a type belongs to the zone that a name is the apex of. The
// resolver's own questions for such do not stop at a hint.
func ofZone(t uint16) bool {
	return t == wire.TypeNS || t == wire.TypeDS || t == wire.TypeDNSKEY || t == wire.TypeSOA
}

// fast sends the names of the table the driver's way.
func (h *hints) fast(q *wire.Question) module.Verdict {
	t := h.table.Load()
	if t.empty() {
		return module.Pass
	}
	var buf [dnsname.MaxLen]byte
	if len(q.Name) > len(buf) {
		return module.Driver
	}
	name := buf[:len(q.Name)]
	for i, c := range q.Name {
		name[i] = dnsname.Lower(c)
	}
	if t.has(name) {
		return module.Driver
	}
	return module.Pass
}
