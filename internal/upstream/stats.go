package upstream

import (
	"net/netip"
	"sync/atomic"

	"kresd/internal/zonecut"
)

// Stats counts what was sent and what came of it since the start.
type Stats struct {
	UDP, TCP   uint64 // questions sent in plain DNS, by transport
	TLS        uint64 // questions sent by DNS over TLS
	HTTPS      uint64 // questions sent by DNS over HTTPS
	QUIC       uint64 // questions sent by DNS over QUIC
	IPv4, IPv6 uint64 // questions sent, by family
	Timeout    uint64 // questions without an answer in time
	Joined     uint64 // times that an exchange waited for an equal one instead of sending
	NearMiss   uint64 // wrong answers from the right address; a question's first one made it go over TCP too
	CaseLost   uint64 // answers that did not echo the letter case
	CookieLost uint64 // answers without our cookie from servers that know cookies
	Ignored    uint64 // datagrams that could not be an answer
	ICMP       uint64 // errors reported by the network while waiting

	Handshakes  uint64 // of TLS and QUIC, from nothing
	Resumed     uint64 // that went on from an earlier session
	NoHandshake uint64 // that failed
}

type counters struct {
	udp, tcp, tls, https, quic, ipv4, ipv6, timeout, joined, nearMiss, caseLost, cookieLost, ignored, icmp atomic.Uint64
	handshakes, resumed, noHandshake                                                                       atomic.Uint64
}

// sent counts one question that left; connected tells TCP from UDP in plain DNS.
func (c *counters) sent(by zonecut.Protocol, connected bool, to netip.Addr) {
	switch {
	case by == zonecut.DoT:
		c.tls.Add(1)
	case by == zonecut.DoH:
		c.https.Add(1)
	case by == zonecut.DoQ:
		c.quic.Add(1)
	case connected:
		c.tcp.Add(1)
	default:
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
		UDP: c.udp.Load(), TCP: c.tcp.Load(), TLS: c.tls.Load(), HTTPS: c.https.Load(), QUIC: c.quic.Load(), IPv4: c.ipv4.Load(), IPv6: c.ipv6.Load(),
		Timeout: c.timeout.Load(), Joined: c.joined.Load(), NearMiss: c.nearMiss.Load(),
		CaseLost: c.caseLost.Load(), CookieLost: c.cookieLost.Load(), Ignored: c.ignored.Load(), ICMP: c.icmp.Load(),
		Handshakes: c.handshakes.Load(), Resumed: c.resumed.Load(), NoHandshake: c.noHandshake.Load(),
	}
}
