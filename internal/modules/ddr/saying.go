package ddr

import (
	"encoding/binary"

	"kresd/internal/dnsname"
	"kresd/internal/ede"
	"kresd/internal/rank"
	"kresd/internal/reply"
	"kresd/internal/resolve"
	"kresd/internal/wire"
)

// ttl is how long clients may keep what is said here, in seconds: it may change with
// every net.listen.
const ttl = 300

// A saying is an answer that is worded in advance.
type saying struct {
	about    func(qname dnsname.Name) resolve.Result
	prepared *reply.Prepared // nil: only the driver can word it
}

func newSaying(about func(qname dnsname.Name) resolve.Result) *saying {
	r := about(reply.Asked)
	return &saying{about, reply.Prepare(&r)}
}

// answer holds one set of the name that was asked.
func answer(t uint16, data ...[]byte) *saying {
	return newSaying(func(qname dnsname.Name) resolve.Result {
		return resolve.Result{EDE: ede.None, NoCache: true, AA: true, Answer: []resolve.Set{record(qname, t, data...)}}
	})
}

// denial says that there is no such thing in the zone.
func denial(rcode int) *saying {
	return newSaying(func(dnsname.Name) resolve.Result {
		return resolve.Result{EDE: ede.None, NoCache: true, AA: true, Rcode: rcode, Authority: []resolve.Set{record(zone, wire.TypeSOA, soa())}}
	})
}

func record(owner dnsname.Name, t uint16, data ...[]byte) resolve.Set {
	return resolve.Set{RRset: wire.RRset{Owner: owner, Type: t, Class: wire.ClassIN, TTL: ttl, Data: data}, Rank: rank.Auth | rank.Insecure}
}

// soa is the RDATA of the zone's SOA record.
func soa() []byte {
	data := append([]byte(zone), "\x06nobody\x07invalid\x00"...)
	for _, n := range [...]uint32{1, 3600, 1200, 604800, ttl} { // serial, refresh, retry, expire, minimum
		data = binary.BigEndian.AppendUint32(data, n)
	}
	return data
}
