package rules

import (
	"kresd/internal/dnsname"
	"kresd/internal/ede"
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

// NewData is Data with the usual TTL unless one is given.
func NewData(data [][]byte, ttl *uint32) Data {
	d := Data{TTL: defaultAnswerTTL, Data: data}
	if ttl != nil {
		d.TTL = *ttl
	}
	return d
}

// Answer answers with the given data for each type. Other types have no data if
// nodata is set, else the next rule is tried.
func Answer(types map[uint16]Data, nodata bool) *Action {
	says := make(map[uint16]*Saying, len(types))
	for t, data := range types {
		says[t] = NewSaying(func(qname dnsname.Name) resolve.Result {
			r := forged()
			r.Answer = []resolve.Set{Record(qname, t, data.TTL, data.Data...)}
			return r
		})
	}
	var none *Saying
	if nodata {
		none = noData(types)
	}
	return Choose("ANSWER", func(s *Subject, _ int) (*Saying, Decision) {
		if what := says[s.Type]; what != nil {
			return what, Answered
		}
		if none == nil {
			return nil, GoOn
		}
		return none, Answered
	})
}

func forged() resolve.Result {
	r := blank(ede.ForgedAnswer)
	r.AA = true
	return r
}

// noData says that a name has no data of the type, with the given SOA or one that
// is made up.
func noData(types map[uint16]Data) *Saying {
	own, given := types[wire.TypeSOA]
	return NewSaying(func(qname dnsname.Name) resolve.Result {
		r := forged()
		if r.Authority = []resolve.Set{SOA(qname, qname, defaultAnswerTTL)}; given {
			r.Authority = []resolve.Set{Record(qname, wire.TypeSOA, own.TTL, own.Data...)}
		}
		return r
	})
}
