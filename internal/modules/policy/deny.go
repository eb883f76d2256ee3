package policy

import (
	"encoding/binary"
	"fmt"

	"kresd/internal/dnsname"
	"kresd/internal/ede"
	"kresd/internal/limits"
	"kresd/internal/module"
	"kresd/internal/rank"
	"kresd/internal/resolve"
	"kresd/internal/wire"
)

// madeUpTTL is how long clients may keep what is said about a denied name, in
// seconds.
const madeUpTTL = 10800

// explanation owns the text that comes with a denial.
const explanation dnsname.Name = "\x0bexplanation\x07invalid\x00"

// blank is a Result that is for this client only.
func blank(code ede.Code) resolve.Result { return resolve.Result{EDE: code, NoCache: true} }

// Deny answers that the name does not exist.
func Deny() *Action {
	a, _ := DenyMessage("", ede.Blocked)
	a.name = "DENY"
	return a
}

// DenyMessage is Deny with a text that tells the client why, and an extended
// error code.
func DenyMessage(text string, code ede.Code) (*Action, error) {
	if len(text) > limits.DenyMessage {
		return nil, fmt.Errorf("a message of %d octets is too long; at most %d", len(text), limits.DenyMessage)
	}
	return &Action{name: "DENY_MSG", fast: module.Driver, run: func(m *Meeting) Decision {
		m.Req.Result = denial(m.Req.Name, text, code)
		return Answered
	}}, nil
}

// denySpecial is DenyMessage for a name that is special.
func denySpecial(text string) *Action {
	return &Action{name: "DENY_MSG", fast: module.Driver, run: func(m *Meeting) Decision {
		m.Req.Result = denial(m.Req.Name, text, ede.NotSupported)
		return Answered
	}}
}

func denial(zone dnsname.Name, text string, code ede.Code) resolve.Result {
	r := blank(code)
	r.Rcode, r.AA = wire.RcodeNXDomain, true
	r.Authority = []resolve.Set{soa(zone, madeUpTTL)}
	if text != "" {
		r.Additional = []resolve.Set{record(explanation, wire.TypeTXT, madeUpTTL, append([]byte{byte(len(text))}, text...))}
	}
	return r
}

// record is a set that was made up here.
func record(owner dnsname.Name, t uint16, ttl uint32, data ...[]byte) resolve.Set {
	return resolve.Set{
		RRset: wire.RRset{Owner: owner, Type: t, Class: wire.ClassIN, TTL: ttl, Data: data},
		Rank:  rank.Auth | rank.Insecure,
	}
}

// soa is the SOA of a zone that exists here only.
func soa(zone dnsname.Name, ttl uint32) resolve.Set {
	return record(zone, wire.TypeSOA, ttl, soaData(zone))
}

// soaData is the RDATA of a SOA that was made up here.
func soaData(mname dnsname.Name) []byte {
	data := append([]byte(mname), "\x06nobody\x07invalid\x00"...)
	for _, n := range [...]uint32{1, 3600, 1200, 604800, madeUpTTL} { // serial, refresh, retry, expire, minimum
		data = binary.BigEndian.AppendUint32(data, n)
	}
	return data
}
