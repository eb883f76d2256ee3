package upstream

import (
	"net/netip"
	"sync/atomic"
)

// Stats counts what was sent and what came of it since the start.
type Stats struct {
	UDP, TCP   uint64 // questions sent, by transport
	IPv4, IPv6 uint64 // questions sent, by family
	Timeout    uint64 // questions without an answer in time
	Joined     uint64 // times that an exchange waited for an equal one instead of sending
	NearMiss   uint64 // wrong answers from the right address; a question's first one made it go over TCP too
	CaseLost   uint64 // answers that did not echo the letter case
	CookieLost uint64 // answers without our cookie from servers that know cookies
	Ignored    uint64 // datagrams that could not be an answer
	ICMP       uint64 // errors reported by the network while waiting
}

type counters struct {
	udp, tcp, ipv4, ipv6, timeout, joined, nearMiss, caseLost, cookieLost, ignored, icmp atomic.Uint64
}

// sent counts one question that left.
func (c *counters) sent(tcp bool, to netip.Addr) {
	if tcp {
		c.tcp.Add(1)
	} else {
		c.udp.Add(1)
	}
	if to.Is4() {
		c.ipv4.Add(1)
	} else {
		c.ipv6.Add(1)
	}
}

// Stats is a snapshot of the counters.
func (e *Exchanger) Stats() Stats {
	c := &e.stats
	return Stats{
		UDP: c.udp.Load(), TCP: c.tcp.Load(), IPv4: c.ipv4.Load(), IPv6: c.ipv6.Load(),
		Timeout: c.timeout.Load(), Joined: c.joined.Load(), NearMiss: c.nearMiss.Load(),
		CaseLost: c.caseLost.Load(), CookieLost: c.cookieLost.Load(), Ignored: c.ignored.Load(), ICMP: c.icmp.Load(),
	}
}
