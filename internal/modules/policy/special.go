package policy

import (
	"fmt"
	"net/netip"

	"kresd/internal/dnsname"
	"kresd/internal/ede"
	"kresd/internal/module"
	"kresd/internal/resolve"
	"kresd/internal/wire"
)

// localTTL is that of what is said about this host, in seconds.
const localTTL = 900

// specialRules are about names that mean nothing, or something local, in the
// public DNS (IANA, Special-Use Domain Names and Locally-Served DNS Zones).
func specialRules() []*Rule {
	rule := func(names []dnsname.Name, a *Action) *Rule { return &Rule{Filter: Suffix(names, ""), Action: a} }
	localhost := mustParse("localhost.")
	return []*Rule{
		rule(localhost, answerLocally("localhost", localhostData)),
		rule(mustParse("127.in-addr.arpa."), answerLocally("localhost reverse", loopback("1.0.0.127.in-addr.arpa."))),
		rule(mustParse(loopback6), answerLocally("localhost reverse", loopback(loopback6))),
		rule(mustParse(privateZones()...), denySpecial("Blocking is mandated by standards, see references on "+
			"https://www.iana.org/assignments/locally-served-dns-zones/locally-served-dns-zones.xhtml")),
		rule(mustParse(specialNames...), denySpecial("Blocking is mandated by standards, see references on "+
			"https://www.iana.org/assignments/special-use-domain-names/special-use-domain-names.xhtml")),
	}
}

// specialNames are not delegated in the public DNS: RFC 6761, RFC 7686, RFC
// 8375, RFC 6762, RFC 9476, RFC 9665.
var specialNames = []string{"test.", "onion.", "invalid.", "home.arpa.", "local.", "alt.", "service.arpa."}

const loopback6 = "1.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.ip6.arpa."

// privateZones are the reverse zones of addresses that are not public (RFC 6303,
// RFC 7793).
func privateZones() []string {
	zones := []string{
		"10.in-addr.arpa.", "168.192.in-addr.arpa.", "0.in-addr.arpa.", "254.169.in-addr.arpa.", "2.0.192.in-addr.arpa.",
		"100.51.198.in-addr.arpa.", "113.0.203.in-addr.arpa.", "255.255.255.255.in-addr.arpa.",
		"0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.ip6.arpa.",
		"d.f.ip6.arpa.", "8.e.f.ip6.arpa.", "9.e.f.ip6.arpa.", "a.e.f.ip6.arpa.", "b.e.f.ip6.arpa.", "8.b.d.0.1.0.0.2.ip6.arpa.",
	}
	for i := 16; i <= 31; i++ {
		zones = append(zones, fmt.Sprintf("%d.172.in-addr.arpa.", i))
	}
	for i := 64; i <= 127; i++ {
		zones = append(zones, fmt.Sprintf("%d.100.in-addr.arpa.", i))
	}
	return zones
}

func mustParse(texts ...string) []dnsname.Name {
	names := make([]dnsname.Name, len(texts))
	for i, text := range texts {
		n, err := dnsname.Parse(text)
		if err != nil {
			panic(fmt.Sprintf("built-in name %s: %v", text, err))
		}
		names[i] = n
	}
	return names
}

// answerLocally answers with authority from what data says about a name in zone:
// sets, or that the name does not exist.
func answerLocally(name string, data func(q resolve.Question, zone dnsname.Name) (sets []resolve.Set, exists bool)) *Action {
	return &Action{name: name, fast: module.Driver, run: func(m *Meeting) Decision {
		r := blank(ede.None)
		r.AA = true
		sets, exists := data(m.Req.Question, m.Zone)
		if r.Answer = sets; len(sets) == 0 {
			r.Authority = []resolve.Set{localSOA(m.Zone)}
		}
		if !exists {
			r.Rcode = wire.RcodeNXDomain
		}
		m.Req.Result = r
		return Answered
	}}
}

// localSOA is the SOA of a zone that this host itself serves.
func localSOA(zone dnsname.Name) resolve.Set {
	return record(zone, wire.TypeSOA, madeUpTTL, soaData("\x09localhost\x00"))
}

// apex is what every zone has at its top.
func apex(q resolve.Question, zone dnsname.Name) []resolve.Set {
	if q.Name != zone {
		return nil
	}
	switch q.Type {
	case wire.TypeSOA:
		return []resolve.Set{localSOA(zone)}
	case wire.TypeNS:
		return []resolve.Set{record(zone, wire.TypeNS, localTTL, []byte("\x09localhost\x00"))}
	}
	return nil
}

// localhostData is the zone of localhost (RFC 6761, section 6.3): every name in
// it is this host.
func localhostData(q resolve.Question, zone dnsname.Name) ([]resolve.Set, bool) {
	switch q.Type {
	case wire.TypeA:
		return []resolve.Set{record(q.Name, q.Type, localTTL, []byte{127, 0, 0, 1})}, true
	case wire.TypeAAAA:
		return []resolve.Set{record(q.Name, q.Type, localTTL, netip.IPv6Loopback().AsSlice())}, true
	}
	return apex(q, zone), true
}

// loopback is the reverse zone of this host's own address: the zone, the name
// with the PTR record, and nothing but what lies between them.
func loopback(ptr string) func(q resolve.Question, zone dnsname.Name) ([]resolve.Set, bool) {
	owner := mustParse(ptr)[0]
	return func(q resolve.Question, zone dnsname.Name) ([]resolve.Set, bool) {
		if sets := apex(q, zone); sets != nil {
			return sets, true
		}
		if q.Name == owner && q.Type == wire.TypePTR {
			return []resolve.Set{record(q.Name, q.Type, localTTL, []byte("\x09localhost\x00"))}, true
		}
		return nil, owner.IsSubdomainOf(q.Name)
	}
}
