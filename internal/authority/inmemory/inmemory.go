// Package inmemory lets a resolver in a test's own process ask the servers of an
// authority.Internet without a network: it makes messages of resolve.Exchanges and the
// other way round, root hints of an Internet, and keeps a journal of what was asked.
//
// Only tests import it. How servers fail, are slow or out of reach is for the tests of
// who has to cope with that; it is not here.
package inmemory

import (
	"fmt"
	"sync"
	"time"

	"github.com/miekg/dns"

	"kresd/internal/authority"
	"kresd/internal/dnsname"
	"kresd/internal/resolve"
	"kresd/internal/wire"
	"kresd/internal/zonecut"
)

// Name is a name in canonical form; it panics where text is none.
func Name(text string) dnsname.Name {
	n, err := dnsname.Parse(text)
	if err != nil {
		panic(fmt.Sprintf("%q: %v", text, err))
	}
	return n
}

// Zone is a zone of the text of a zone file, without its SOA, which says that denials live
// for 300 seconds.
func Zone(origin, text string) *authority.Zone {
	return authority.MustParse(origin, "$TTL 3600\n"+origin+" SOA ns. host. 1 2 3 4 300\n"+text)
}

// Hints are the root hints for an Internet.
func Hints(n *authority.Internet) *zonecut.Cut {
	hints := &zonecut.Cut{Name: dnsname.Root, Hints: true}
	for name, addrs := range n.Roots() {
		hints.NS = append(hints.NS, zonecut.NameServer{Name: Name(name), Addrs: addrs})
	}
	return hints
}

// Query is the message that goes to a server.
func Query(x resolve.Exchange) *dns.Msg {
	q := new(dns.Msg)
	q.SetQuestion(x.Name.String(), x.Type)
	q.RecursionDesired = x.RD
	if !x.NoEDNS {
		q.SetEdns0(1232, true)
	}
	return q
}

// Reply is a server's message as package upstream hands it on. Its octets are debited.
func Reply(x resolve.Exchange, m *dns.Msg, rtt time.Duration) (resolve.Reply, error) {
	pkt, err := m.Pack()
	if err != nil {
		panic(fmt.Sprintf("packing the answer to %s: %v", x.Name, err))
	}
	msg, err := wire.ParseReply(pkt)
	if err != nil { // as if it had not come
		return resolve.Reply{}, resolve.ErrTimeout
	}
	x.Budget.Received(len(pkt))
	return resolve.Reply{Msg: msg, RTT: rtt, Size: len(pkt)}, nil
}

// A Journal notes the questions that are sent. The zero Journal is ready for use, by many
// goroutines at once.
type Journal struct {
	mu   sync.Mutex
	sent []string
}

// Note notes one, as "server name type".
func (j *Journal) Note(x resolve.Exchange) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.sent = append(j.sent, fmt.Sprintf("%s %s %s", x.Addr.Addr(), x.Name, dns.TypeToString[x.Type]))
}

// Asked are the questions that were sent since the last call.
func (j *Journal) Asked() []string {
	j.mu.Lock()
	defer j.mu.Unlock()
	s := j.sent
	j.sent = nil
	return s
}
