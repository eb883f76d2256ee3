package policy

import (
	"kresd/internal/ede"
	"kresd/internal/module"
	"kresd/internal/resolve"
	"kresd/internal/wire"
)

// Data is what ANSWER says for one type: RDATA in wire form.
type Data struct {
	TTL  uint32 // seconds
	Data [][]byte
}

// defaultAnswerTTL is that of data given without one, in seconds.
const defaultAnswerTTL = 1

// Answer answers with the given data for each type. Other types have no data if
// nodata is set, else the next rule is tried.
func Answer(types map[uint16]Data, nodata bool) *Action {
	return &Action{name: "ANSWER", fast: module.Driver, run: func(m *Meeting) Decision {
		data, ok := types[m.Req.Type]
		if !ok && !nodata {
			return GoOn
		}
		r := blank(ede.ForgedAnswer)
		r.AA = true
		if ok {
			r.Answer = []resolve.Set{record(m.Req.Name, m.Req.Type, data.TTL, data.Data...)}
		} else if own, given := types[wire.TypeSOA]; given {
			r.Authority = []resolve.Set{record(m.Req.Name, wire.TypeSOA, own.TTL, own.Data...)}
		} else {
			r.Authority = []resolve.Set{soa(m.Req.Name, defaultAnswerTTL)}
		}
		m.Req.Result = r
		return Answered
	}}
}

// NewData is Data with the usual TTL unless one is given.
func NewData(data [][]byte, ttl *uint32) Data {
	d := Data{TTL: defaultAnswerTTL, Data: data}
	if ttl != nil {
		d.TTL = *ttl
	}
	return d
}
