package proctest

import (
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/miekg/dns"

	"kresd/internal/authority"
	"kresd/internal/freeport"
	"kresd/internal/safe"
)

// FreePort returns a port of 127.0.0.1 that is free for UDP and TCP, and that no other
// test is given before this one ends.
func FreePort(t testing.TB) netip.AddrPort {
	t.Helper()
	c, err := freeport.Choose()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Release)
	return netip.AddrPortFrom(netip.AddrFrom4([4]byte{127, 0, 0, 1}), c.Port)
}

// SmallInternet starts the zones of testdata/zones.
func SmallInternet(t testing.TB) *authority.Internet {
	t.Helper()
	n, err := authority.Load(os.DirFS(filepath.Join(Root(t), "testdata", "zones")))
	if err == nil {
		err = n.Start(0)
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(n.Close)
	return n
}

// On returns a Config for a group that listens on a free port and resolves from
// n, with extra lines at the end of its configuration. It asks no server only to
// learn about it, so that a test knows what is asked.
func On(t testing.TB, n *authority.Internet, workers int, extra ...string) Config {
	t.Helper()
	at := FreePort(t)
	c := Config{Workers: workers, Addr: at}
	lines := []string{
		c.listens(),
		"cache.size = 20 * MB",
		"option('ALLOW_LOCAL', true)",
		"modules = { 'hints' }",
		"hints.root({" + roots(n) + "})",
		"trust_anchors.remove('.')", // the root of n is not signed by the keys that are built in
	}
	c.Lua = strings.Join(append(lines, extra...), "\n") + "\n"
	c.Env = []string{fmt.Sprintf("KRESD_UPSTREAM_PORT=%d", n.Port()), noExplore}
	return c
}

// listens is the line of the configuration that has the group listen.
func (c Config) listens() string {
	return fmt.Sprintf("net.listen('%s', %d)", c.Addr.Addr(), c.Addr.Port())
}

// Exploring is c for a group that also asks servers only to learn about them.
func (c Config) Exploring() Config {
	c.Env = slices.DeleteFunc(slices.Clone(c.Env), func(v string) bool { return v == noExplore })
	return c
}

const noExplore = "KRESD_NO_EXPLORE=1"

// roots writes the root servers as the inside of a Lua table.
func roots(n *authority.Internet) string {
	var out []string
	for name, addrs := range n.Roots() {
		var quoted []string
		for _, a := range addrs {
			quoted = append(quoted, "'"+a.String()+"'")
		}
		out = append(out, fmt.Sprintf("['%s'] = { %s }", name, strings.Join(quoted, ", ")))
	}
	slices.Sort(out)
	return strings.Join(out, ", ")
}

// Query makes a question with RD, and with EDNS where size is not 0.
func Query(name string, qtype uint16, size uint16) *dns.Msg {
	q := new(dns.Msg)
	q.SetQuestion(dns.Fqdn(name), qtype)
	if size > 0 {
		q.SetEdns0(size, false)
	}
	return q
}

// Exchange asks a server once, over "udp" or "tcp", and waits 10 s.
func Exchange(network string, server netip.AddrPort, q *dns.Msg) (*dns.Msg, error) {
	c := &dns.Client{Net: network, Timeout: 10 * time.Second}
	if opt := q.IsEdns0(); opt != nil {
		c.UDPSize = opt.UDPSize()
	}
	r, _, err := c.Exchange(q, server.String())
	return r, err
}

// ExchangeAll asks a server everything by UDP, and by TCP what was truncated, so many
// questions at a time. An answer that did not come within 20 s is nil.
func ExchangeAll(server netip.AddrPort, questions []*dns.Msg, inFlight int) []*dns.Msg {
	out := make([]*dns.Msg, len(questions))
	next := make(chan int)
	var asking safe.Group
	for range inFlight {
		asking.Go("ask", func() {
			for i := range next {
				out[i] = whole(server, questions[i])
			}
		})
	}
	for i := range questions {
		next <- i
	}
	close(next)
	asking.Wait()
	return out
}

// whole is an answer that is not truncated.
func whole(server netip.AddrPort, q *dns.Msg) *dns.Msg {
	c := &dns.Client{Timeout: 20 * time.Second, UDPSize: dns.MaxMsgSize - 1}
	r, _, err := c.Exchange(q, server.String())
	if err == nil && r.Truncated {
		c.Net = "tcp"
		r, _, err = c.Exchange(q, server.String())
	}
	if err != nil {
		return nil
	}
	return r
}

// Ask is Exchange that fails the test when no answer comes.
func (g *Group) Ask(t testing.TB, network, name string, qtype uint16, size uint16) *dns.Msg {
	t.Helper()
	r, err := Exchange(network, g.Addr, Query(name, qtype, size))
	if err != nil {
		t.Fatalf("%s %s over %s: %v", name, dns.TypeToString[qtype], network, err)
	}
	return r
}

// answers reports whether something answers DNS queries there.
func answers(server netip.AddrPort) bool {
	c := &dns.Client{Timeout: time.Second}
	_, _, err := c.Exchange(Query("www.example.com", dns.TypeA, 0), server.String())
	return err == nil
}

// Shape writes what has to be equal between two right answers, without TTLs:
// RCODE, the answer section as a set, and the SOA of a negative answer.
func Shape(r *dns.Msg) string {
	var answer []string
	for _, rr := range r.Answer {
		answer = append(answer, withoutTTL(rr))
	}
	slices.Sort(answer)
	out := dns.RcodeToString[r.Rcode] + "\n" + strings.Join(answer, "\n")
	for _, rr := range r.Ns {
		if rr.Header().Rrtype == dns.TypeSOA {
			out += "\nauthority " + withoutTTL(rr)
		}
	}
	return out
}

func withoutTTL(rr dns.RR) string {
	rr = dns.Copy(rr)
	rr.Header().Ttl = 0
	rr.Header().Name = strings.ToLower(rr.Header().Name)
	return strings.Join(strings.Fields(rr.String()), " ")
}
