package rules

import (
	"encoding/binary"

	"kresd/internal/dnsname"
	"kresd/internal/ede"
	"kresd/internal/rank"
	"kresd/internal/reply"
	"kresd/internal/resolve"
	"kresd/internal/wire"
)

// A Saying is an answer that is made up here and the same for all questions but
// for their name. It is known in advance, so that the listener's thread can give
// it; both ways have it from the one function.
type Saying struct {
	about    func(qname dnsname.Name) resolve.Result
	prepared *reply.Prepared // nil: worded on the driver's way only
}

// NewSaying makes a Saying. about must answer equally whenever it is asked about
// the same name, and differ for others only where the name itself stands.
func NewSaying(about func(qname dnsname.Name) resolve.Result) *Saying {
	r := about(reply.Asked)
	return &Saying{about, reply.Prepare(&r)}
}

// Say is an action that always says the same.
func Say(name string, what *Saying) *Action {
	return Choose(name, func(*Subject, int) (*Saying, Decision) { return what, Answered })
}

// Choose is an action that has several things to say. pick chooses what, with
// Answered, or says nothing, with GoOn or Stop. at is how many octets of the name
// stand before the part that the rule means.
func Choose(name string, pick func(s *Subject, at int) (*Saying, Decision)) *Action {
	return &Action{name: name,
		run: func(h *Hit) Decision {
			what, d := pick(h.Subject, len(h.Req.Name)-len(h.Zone))
			if what != nil {
				h.Req.Result = what.about(h.Req.Name)
			}
			return d
		},
		foresee: func(s *Subject, at int) (Decision, *reply.Prepared, bool) {
			what, d := pick(s, at)
			if what == nil {
				return d, nil, true
			}
			return d, what.prepared, what.prepared != nil
		},
	}
}

// blank is a Result that is for this client only.
func blank(code ede.Code) resolve.Result { return resolve.Result{EDE: code, NoCache: true} }

// Record is a set that is made up here.
func Record(owner dnsname.Name, t uint16, ttl uint32, data ...[]byte) resolve.Set {
	return resolve.Set{
		RRset: wire.RRset{Owner: owner, Type: t, Class: wire.ClassIN, TTL: ttl, Data: data},
		Rank:  rank.Auth | rank.Insecure,
	}
}

// SOA is the SOA record of a zone that exists here only, with a primary server
// of that name. ttl is how long clients may keep what it denies, in seconds.
func SOA(zone, server dnsname.Name, ttl uint32) resolve.Set {
	data := append([]byte(server), "\x06nobody\x07invalid\x00"...)
	for _, n := range [...]uint32{1, 3600, 1200, 604800, MadeUpTTL} { // serial, refresh, retry, expire, minimum
		data = binary.BigEndian.AppendUint32(data, n)
	}
	return Record(zone, wire.TypeSOA, ttl, data)
}
