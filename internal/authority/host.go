package authority

import (
	"net"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"github.com/miekg/dns"
)

// maxSeen bounds the questions a Host remembers.
const maxSeen = 10000

// A Host is one name server: an address, the zones it has, and rules that change
// what it says.
type Host struct {
	addr    netip.Addr
	zones   []*Zone
	rules   atomic.Pointer[[]Rule]
	queries atomic.Uint64
	octets  atomic.Uint64
	conns   atomic.Uint64
	write   atomic.Pointer[Writer]

	mu   sync.Mutex
	seen []dns.Question
}

// An Exchange is one query and the answer about to be sent; a Rule may change
// the latter. A nil Reply is silence, Raw is sent instead of Reply when set.
type Exchange struct {
	Host   netip.Addr // the server asked
	Client netip.AddrPort
	TCP    bool
	Query  *dns.Msg
	N      uint64 // counts this host's queries, from 1
	Reply  *dns.Msg
	Raw    []byte
	Delay  time.Duration
	// Ahead are datagrams that leave the same socket before the answer, and before
	// Delay: what a forger achieves who knows the source port.
	Ahead [][]byte
}

// A Rule scripts a host.
type Rule func(*Exchange)

// Addr returns the server's address.
func (h *Host) Addr() netip.Addr { return h.addr }

// Queries returns how many queries came since the start.
func (h *Host) Queries() uint64 { return h.queries.Load() }

// Seen returns the questions asked so far, the first 10,000 of them.
func (h *Host) Seen() []dns.Question {
	h.mu.Lock()
	defer h.mu.Unlock()
	return append([]dns.Question(nil), h.seen...)
}

// Play makes the host follow these rules, in this order, from the next query on;
// without arguments it answers as its zones say.
func (h *Host) Play(rules ...Rule) { h.rules.Store(&rules) }

// exchange works out what to say to q.
func (h *Host) exchange(q *dns.Msg, tcp bool) *Exchange { return h.exchangeWith(q, tcp, nil) }

func (h *Host) exchangeWith(q *dns.Msg, tcp bool, client net.Addr) *Exchange {
	x := &Exchange{Host: h.addr, Client: addrPort(client), TCP: tcp, Query: q, N: h.queries.Add(1)}
	h.remember(q.Question[0])
	x.Reply = answer(h.zones, q)
	if z := closest(h.zones, dns.CanonicalName(q.Question[0].Name), q.Question[0].Qtype); z != nil {
		for _, rule := range z.rules {
			rule(x)
		}
	}
	if rules := h.rules.Load(); rules != nil {
		for _, rule := range *rules {
			rule(x)
		}
	}
	if x.Reply != nil && !tcp {
		x.Reply.Truncate(payload(q))
	}
	return x
}

func (h *Host) remember(q dns.Question) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if len(h.seen) < maxSeen {
		h.seen = append(h.seen, q)
	}
}

// payload is the size that a UDP answer to q may have (RFC 6891, section 6.2.3).
func payload(q *dns.Msg) int {
	opt := q.IsEdns0()
	if opt == nil {
		return dns.MinMsgSize
	}
	return min(max(int(opt.UDPSize()), dns.MinMsgSize), serverPayload)
}

// Delay answers after d.
func Delay(d time.Duration) Rule { return func(x *Exchange) { x.Delay += d } }

// Drop never answers.
func Drop() Rule { return func(x *Exchange) { x.Reply = nil } }

// DropFirst does not answer the first n queries of the host.
func DropFirst(n uint64) Rule {
	return func(x *Exchange) {
		if x.N <= n {
			x.Reply = nil
		}
	}
}

// DropUDP answers over TCP only.
func DropUDP() Rule {
	return func(x *Exchange) {
		if !x.TCP {
			x.Reply = nil
		}
	}
}

// Rcode answers with that RCODE and nothing else.
func Rcode(rcode int) Rule {
	return func(x *Exchange) {
		r := new(dns.Msg)
		r.SetRcode(x.Query, rcode)
		x.Reply = r
	}
}

// Lame refers every question to the root, as a server does that does not have
// the zone (RFC 9499, "lame delegation").
func Lame() Rule {
	return func(x *Exchange) {
		r := new(dns.Msg)
		r.SetReply(x.Query)
		r.Ns = []dns.RR{&dns.NS{
			Hdr: dns.RR_Header{Name: ".", Rrtype: dns.TypeNS, Class: dns.ClassINET, Ttl: 3600},
			Ns:  "a.root-servers.example.",
		}}
		x.Reply = r
	}
}

// Truncate answers over UDP with TC set and no records.
func Truncate() Rule {
	return func(x *Exchange) {
		if x.Reply != nil && !x.TCP {
			x.Reply.Truncated = true
			x.Reply.Answer, x.Reply.Ns = nil, nil
		}
	}
}

// NoEDNS answers FORMERR to a query with an OPT record, without one itself, and
// serves others, as servers older than RFC 6891 do (section 7).
func NoEDNS() Rule {
	return func(x *Exchange) {
		if x.Query.IsEdns0() != nil {
			r := new(dns.Msg)
			r.SetRcode(x.Query, dns.RcodeFormatError)
			x.Reply = r
		}
	}
}

// WrongID answers under another query's ID.
func WrongID() Rule {
	return func(x *Exchange) {
		if x.Reply != nil {
			x.Reply.Id ^= 0x5555
		}
	}
}

// Additional adds records to the additional section of every answer, as an
// attacker does who wants them cached.
func Additional(rrs ...dns.RR) Rule {
	return func(x *Exchange) {
		if x.Reply != nil {
			extra(x.Reply, append([]dns.RR(nil), rrs...))
		}
	}
}

// Only applies rule to the questions of one type.
func Only(qtype uint16, rule Rule) Rule {
	return func(x *Exchange) {
		if x.Query.Question[0].Qtype == qtype {
			rule(x)
		}
	}
}
