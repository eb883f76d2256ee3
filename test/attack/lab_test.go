package attack

import (
	"fmt"
	"net/netip"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/miekg/dns"

	"kresd/internal/authority"
	"kresd/internal/proctest"
)

// What the resolver promises about one question of a client, in numbers of its own:
// a test that read them from the program would agree with whatever stands there.
const (
	mostUpstream = 100
	mostOctets   = 128 << 10 // and one answer, of at most 64 KiB
	mostConns    = 8
	mostTime     = 10 * time.Second
)

// evil marks what an attacker wants to be believed: no honest zone has it.
const evil = "203.0.113.66"

// zones is the text of zones by origin, without SOA.
type zones map[string]string

// A lab is a group of workers in front of a small Internet of its own.
type lab struct {
	t   *testing.T
	net *authority.Internet
	g   *proctest.Group
}

// honest is the root, two TLDs and a zone that benign clients ask for, to which
// tests add theirs.
func honest() zones {
	return zones{
		".":            server(".", "a.root", "127.66.0.1") + server("com.", "a.nic.com.", "127.66.0.2") + server("net.", "a.nic.net.", "127.66.0.3"),
		"com.":         server("com.", "a.nic.com.", "127.66.0.2") + server("example.com.", "ns.example.com.", "127.66.0.4"),
		"net.":         server("net.", "a.nic.net.", "127.66.0.3"),
		"example.com.": server("example.com.", "ns.example.com.", "127.66.0.4") + "www.example.com. A 192.0.2.80\n*.wild.example.com. A 192.0.2.81\n",
	}
}

// server is an NS record and its address.
func server(zone, name, addr string) string {
	return fmt.Sprintf("%s NS %s\n%s A %s\n", zone, name, name, addr)
}

// evilZone is evil.com with its server, delegated, in zs.
func evilZone(zs zones, zone, addr, text string) {
	ns := server(zone, "ns."+zone, addr)
	_, above, _ := strings.Cut(zone, ".")
	zs[above] += ns
	zs[zone] += ns + text
}

func newLab(t *testing.T, zs zones, workers int, extra ...string) *lab {
	t.Helper()
	n := internet(t, zs)
	l := &lab{t: t, net: n, g: proctest.Start(t, proctest.On(t, n, workers, extra...))}
	l.settle()
	return l
}

// internet starts the name servers of zs.
func internet(t *testing.T, zs zones) *authority.Internet {
	t.Helper()
	var all []*authority.Zone
	for origin, text := range zs {
		all = append(all, authority.MustParse(origin, "$TTL 3600\n"+origin+" SOA ns. host. 1 2 3 4 300\n"+text))
	}
	n, err := authority.New(all...)
	if err == nil {
		err = n.Start(0)
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(n.Close)
	return n
}

// settle waits until the resolver sends nothing more of its own accord.
func (l *lab) settle() {
	l.t.Helper()
	last, since := l.sent(), time.Now()
	proctest.Eventually(l.t, 20*time.Second, "the resolver is quiet", func() bool {
		time.Sleep(30 * time.Millisecond)
		if now := l.sent(); now != last {
			last, since = now, time.Now()
		}
		return time.Since(since) > 120*time.Millisecond
	})
}

// hits is how often the workers have met a limit.
func (l *lab) hits(limit string) int {
	l.t.Helper()
	return l.sum("worker.limits()." + limit)
}

// sent is how many questions the workers have sent to anybody.
func (l *lab) sent() int {
	l.t.Helper()
	return l.sum("worker.stats().udp + worker.stats().tcp")
}

// sum adds up what an expression is in each worker.
func (l *lab) sum(expr string) (sum int) {
	l.t.Helper()
	for _, w := range l.g.Workers() {
		text := proctest.Eval(l.t, w.Socket, expr)
		n, err := strconv.Atoi(strings.TrimSpace(text))
		if err != nil {
			l.t.Fatalf("%s: %q", expr, text)
		}
		sum += n
	}
	return sum
}

// clear forgets all that is cached.
func (l *lab) clear() {
	l.t.Helper()
	l.g.Eval(l.t, "cache.clear()")
}

// bill is what one question cost.
type bill struct {
	rcode  string
	sent   int           // questions that left
	octets uint64        // of answers
	took   time.Duration // for the client
	r      *dns.Msg
}

// ask asks one question and counts what it costs.
func (l *lab) ask(name string, qtype uint16) bill {
	l.t.Helper()
	before, octets, start := l.sent(), l.octets(), time.Now()
	r, err := exchange(l.g.Addr, proctest.Query(name, qtype, 1232), 15*time.Second)
	if err != nil {
		l.t.Fatalf("%s: %v", name, err)
	}
	b := bill{rcode: dns.RcodeToString[r.Rcode], took: time.Since(start), r: r}
	b.sent, b.octets = l.sent()-before, l.octets()-octets
	return b
}

func (l *lab) octets() (sum uint64) {
	for _, h := range l.net.Hosts() {
		sum += h.Octets()
	}
	return sum
}

func exchange(server netip.AddrPort, q *dns.Msg, limit time.Duration) (*dns.Msg, error) {
	c := &dns.Client{Timeout: limit, UDPSize: 4096}
	r, _, err := c.Exchange(q, server.String())
	return r, err
}

// address is the only A record of an answer, "" when there is none or another.
func address(r *dns.Msg) string {
	if r == nil || len(r.Answer) == 0 {
		return ""
	}
	if a, ok := r.Answer[len(r.Answer)-1].(*dns.A); ok {
		return a.A.String()
	}
	return ""
}

func mustRR(t *testing.T, text string) dns.RR {
	t.Helper()
	rr, err := dns.NewRR(text)
	if err != nil {
		t.Fatal(err)
	}
	return rr
}

// internet2 is a root alone, that delegates to where nobody may be asked. Its
// glue must not become hosts here, so its server answers by a rule.
func internet2(t *testing.T, root string) *authority.Internet {
	t.Helper()
	whole := authority.MustParse(".", "$TTL 3600\n. SOA ns. host. 1 2 3 4 300\n"+root)
	plain := authority.MustParse(".", "$TTL 3600\n. SOA ns. host. 1 2 3 4 300\n"+server(".", "a.root", "127.66.0.1"))
	n, err := authority.New(plain)
	if err == nil {
		err = n.Start(0)
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(n.Close)
	n.Host("127.66.0.1").Play(func(x *authority.Exchange) {
		x.Reply = authority.Answer([]*authority.Zone{whole}, x.Query)
	})
	return n
}
