package policy

import (
	"fmt"
	"net/netip"

	"kresd/internal/dnsname"
	"kresd/internal/ede"
	"kresd/internal/resolve"
	"kresd/internal/rules"
	"kresd/internal/wire"
)

// localTTL is that of what is said about this host, in seconds.
const localTTL = 900

// specialRules are about names that mean nothing, or something local, in the
// public DNS (IANA, Special-Use Domain Names and Locally-Served DNS Zones).
func specialRules() []*rules.Rule {
	denied := func(list, registry string) *rules.Action {
		a, err := rules.DenyMessage("Blocking is mandated by standards, see references on https://www.iana.org/assignments/"+list+"/"+registry+".xhtml", ede.NotSupported)
		if err != nil {
			panic(fmt.Sprintf("built-in message: %v", err))
		}
		return a
	}
	return []*rules.Rule{
		localhostRule(),
		loopbackRule("127.in-addr.arpa.", "1.0.0.127.in-addr.arpa."),
		loopbackRule(loopback6, loopback6),
		{Filter: rules.Suffix(mustParse(privateZones()...), ""), Action: denied("locally-served-dns-zones", "locally-served-dns-zones")},
		{Filter: rules.Suffix(mustParse(specialNames...), ""), Action: denied("special-use-domain-names", "special-use-domain-names")},
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

// A zone is what this host itself says about a name of special use: the records
// of its apex, one more name or all names in it, and nothing else.
type zone struct {
	apex dnsname.Name
	name string

	soa, ns, nodata, nxdomain *rules.Saying
}

func newZone(name string, apex dnsname.Name) *zone {
	soa := rules.SOA(apex, localhost, rules.MadeUpTTL)
	return &zone{
		apex: apex, name: name,
		soa:    answering(func(dnsname.Name) resolve.Set { return soa }),
		ns:     answering(func(dnsname.Name) resolve.Set { return rules.Record(apex, wire.TypeNS, localTTL, []byte(localhost)) }),
		nodata: denying(wire.RcodeNoError, soa), nxdomain: denying(wire.RcodeNXDomain, soa),
	}
}

const localhost dnsname.Name = "\x09localhost\x00"

// answering is an answer with authority that holds one set.
func answering(set func(qname dnsname.Name) resolve.Set) *rules.Saying {
	return rules.NewSaying(func(qname dnsname.Name) resolve.Result {
		return resolve.Result{EDE: ede.None, NoCache: true, AA: true, Answer: []resolve.Set{set(qname)}}
	})
}

// denying is an answer with authority that holds no data.
func denying(rcode int, soa resolve.Set) *rules.Saying {
	return rules.NewSaying(func(dnsname.Name) resolve.Result {
		return resolve.Result{EDE: ede.None, NoCache: true, AA: true, Rcode: rcode, Authority: []resolve.Set{soa}}
	})
}

// rule is the rule about the zone. data is what it holds for a subject; nil: no
// more than at every apex.
func (z *zone) rule(data func(s *rules.Subject) *rules.Saying) *rules.Rule {
	pick := func(s *rules.Subject, at int) (*rules.Saying, rules.Decision) {
		if at == 0 { // the subject is the apex
			switch s.Type {
			case wire.TypeSOA:
				return z.soa, rules.Answered
			case wire.TypeNS:
				return z.ns, rules.Answered
			}
		}
		return data(s), rules.Answered
	}
	return &rules.Rule{Filter: rules.Suffix([]dnsname.Name{z.apex}, ""), Action: rules.Choose(z.name, pick)}
}

// localhostRule is about the zone of localhost (RFC 6761, section 6.3): every name
// in it is this host.
func localhostRule() *rules.Rule {
	z := newZone("localhost", localhost)
	address := func(t uint16, addr netip.Addr) *rules.Saying {
		return answering(func(qname dnsname.Name) resolve.Set { return rules.Record(qname, t, localTTL, addr.AsSlice()) })
	}
	a, aaaa := address(wire.TypeA, netip.AddrFrom4([4]byte{127, 0, 0, 1})), address(wire.TypeAAAA, netip.IPv6Loopback())
	return z.rule(func(s *rules.Subject) *rules.Saying {
		switch s.Type {
		case wire.TypeA:
			return a
		case wire.TypeAAAA:
			return aaaa
		}
		return z.nodata
	})
}

// loopbackRule is about a reverse zone of this host's own address: the zone, the
// name with the PTR record, and nothing but what lies between them.
func loopbackRule(apex, ptr string) *rules.Rule {
	z, owner := newZone("localhost reverse", mustParse(apex)[0]), mustParse(ptr)[0]
	back := answering(func(qname dnsname.Name) resolve.Set {
		return rules.Record(qname, wire.TypePTR, localTTL, []byte(localhost))
	})
	return z.rule(func(s *rules.Subject) *rules.Saying {
		switch name := s.Name(); {
		case s.Type == wire.TypePTR && string(name) == string(owner):
			return back
		case isAncestor(name, owner):
			return z.nodata
		}
		return z.nxdomain
	})
}

// isAncestor tells whether a name is owner or an ancestor of it.
func isAncestor(name []byte, owner dnsname.Name) bool {
	for ; len(owner) > len(name); owner = owner.Parent() {
	}
	return string(name) == string(owner)
}
