package worker

import (
	"fmt"
	"net"
	"net/netip"
	"strings"
	"testing"

	"github.com/miekg/dns"

	"kresd/internal/listen"
)

// answering is a resolver that says one address of every name. It gives its own address
// and port as rules take them.
func answering(t testing.TB, address string) string {
	t.Helper()
	pc, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	srv := &dns.Server{PacketConn: pc, Handler: dns.HandlerFunc(func(w dns.ResponseWriter, q *dns.Msg) {
		m := new(dns.Msg)
		m.SetReply(q)
		m.RecursionAvailable = true
		if rr, err := dns.NewRR(q.Question[0].Name + " 600 A " + address); err == nil && q.Question[0].Qtype == dns.TypeA {
			m.Answer = append(m.Answer, rr)
		}
		_ = w.WriteMsg(m)
	})}
	go func() { _ = srv.ActivateAndServe() }()
	t.Cleanup(func() { _ = srv.Shutdown() })
	return strings.Replace(pc.LocalAddr().String(), ":", "@", 1)
}

// at is a client at an address.
func at(address string) listen.Client {
	c := someone
	c.Addr = netip.AddrPortFrom(netip.MustParseAddr(address), 4711)
	return c
}

// told is what a client is told by the driver, in short.
func (l *lawful) told(from listen.Client, name string) string {
	l.t.Helper()
	m := new(dns.Msg)
	if err := m.Unpack(byDriver(l.t, l.Worker, shapes[1].message(name, dns.TypeA), from)); err != nil {
		l.t.Fatal(err)
	}
	flush(l.t, l.Worker)
	return shortly(m)
}

func shortly(m *dns.Msg) string {
	text := dns.RcodeToString[m.Rcode]
	for _, rr := range m.Answer {
		if a, ok := rr.(*dns.A); ok {
			text += " " + a.A.String()
		}
	}
	return text
}

// early is what a client is told by the listener's thread; "" where it leaves that to the
// driver.
func (l *lawful) early(from listen.Client, name string) string {
	l.t.Helper()
	msg, v := byCache(l.t, l.s, shapes[1].message(name, dns.TypeA), from)
	if v != listen.Reply {
		return ""
	}
	m := new(dns.Msg)
	if err := m.Unpack(msg); err != nil {
		l.t.Fatal(err)
	}
	return shortly(m)
}

// What a view's forwarder says is told to the view's clients only, on both ways, whoever
// asked first.
func TestAForwarderOfAViewIsHeardByItsClientsAlone(t *testing.T) {
	for _, c := range []struct{ what, rules string }{
		{"a view", `modules.load('view') rule = view:addr('10.0.0.0/8', policy.all(policy.FORWARD('%s'))) view:addr('172.16.0.0/12', policy.all(policy.PASS))`},
		{"a rule of policy", `modules.load('view') rule = policy.add(view.rule_src(policy.FORWARD('%s'), '10.0.0.0/8'))`},
		{"a stub", `modules.load('view < cache') rule = view:addr('10.0.0.0/8', policy.suffix(policy.STUB('%s'), policy.todnames({ 'example.com' })))`},
	} {
		for _, first := range []string{"10.1.2.3", "192.0.2.98"} {
			l := newLawful(t)
			l.configure(fmt.Sprintf(c.rules, answering(t, "203.0.113.7")))
			public := l.told(at("192.0.2.97"), "mail.example.com.")
			l.told(at(first), "www.example.com.")
			for _, from := range []string{"10.1.2.3", "192.0.2.98", "10.200.0.1", "172.16.0.9", "2001:db8::1"} {
				want := strings.HasPrefix(from, "10.")
				for range 2 {
					got, name := l.told(at(from), "www.example.com."), "www.example.com."
					if is := got == "NOERROR 203.0.113.7"; is != want || !strings.HasPrefix(got, "NOERROR ") {
						t.Errorf("%s, %s first: the driver tells %s %s", c.what, first, from, got)
					}
					if early := l.early(at(from), name); early != got && !sameRecords(early, got) {
						t.Errorf("%s, %s first: %s is told %q early, %q by the driver", c.what, first, from, early, got)
					}
				}
			}
			l.configure("assert(policy.del(rule.id))")
			if got := l.told(at("10.1.2.3"), "mail.example.com."); got != public {
				t.Errorf("%s: without the rule %s, want %s", c.what, got, public)
			}
		}
	}
}

// sameRecords tells whether two answers differ in the order of records alone.
func sameRecords(a, b string) bool {
	x, y := strings.Fields(a), strings.Fields(b)
	if len(x) != len(y) {
		return false
	}
	for _, word := range x {
		if !strings.Contains(b, word) {
			return false
		}
	}
	return true
}

// Views answer early whatever they answer, and as the driver does.
func TestAViewAnswersOnBothWays(t *testing.T) {
	for _, place := range []string{"view", "view < policy", "view < iterate"} {
		l := newLawful(t)
		l.configure("modules.load('" + place + `')
			view:addr('10.0.0.0/8', policy.suffix(policy.DENY, policy.todnames({ 'example.com' })))
			view:addr('10.1.0.0/16', policy.all(policy.REFUSE))
			view:addr('127.0.0.1', policy.suffix(policy.NO_ANSWER, policy.todnames({ 'silent.example' })), true)
			view:addr('2001:db8::/32', policy.all(policy.TC))
			view:addr('::ffff:198.51.100.0/120', policy.all(policy.REFUSE))`)
		for _, c := range []struct{ from, name, want string }{
			{"10.2.0.1", "www.example.com.", "NXDOMAIN"}, {"10.1.0.1", "www.example.com.", "NXDOMAIN"}, {"10.1.0.1", "www.example.net.", "REFUSED"},
			{"198.51.100.7", "www.example.net.", "REFUSED"}, {"2001:db8::5", "www.example.net.", "NOERROR"}, {"fe80::5%eth0", "www.example.test.", "NXDOMAIN"},
		} {
			if got := l.told(at(c.from), c.name); got != c.want {
				t.Errorf("%s: the driver tells %s of %s %s, want %s", place, c.from, c.name, got, c.want)
			}
			if got := l.early(at(c.from), c.name); got != c.want {
				t.Errorf("%s: %s is told %q of %s early, want %s", place, c.from, got, c.name, c.want)
			}
		}
		here := at("192.0.2.1")
		here.Local = netip.MustParseAddrPort("127.0.0.1:53")
		if _, v := byCache(t, l.s, shapes[1].message("silent.example.", dns.TypeA), here); v != listen.Drop {
			t.Errorf("%s: asked at an address of a view: %v", place, v)
		}
		here.Local = netip.MustParseAddrPort("127.0.0.2:53")
		if _, v := byCache(t, l.s, shapes[1].message("silent.example.", dns.TypeA), here); v != listen.Driver {
			t.Errorf("%s: asked at another address: %v", place, v)
		}
	}
}

// Names of special use are for what no rule speaks of, and a view before policy is such.
func TestAViewBeforePolicyOpensNamesOfSpecialUse(t *testing.T) {
	for place, want := range map[string]string{"view < policy": "NOERROR 203.0.113.7", "view > policy": "NXDOMAIN"} {
		l := newLawful(t)
		l.configure("modules.load('" + place + "') view:addr('10.0.0.0/8', policy.suffix(policy.STUB('" + answering(t, "203.0.113.7") + "'), policy.todnames({ 'home.arpa' })))")
		for range 2 {
			if got := l.told(at("10.0.0.1"), "nas.home.arpa."); got != want {
				t.Errorf("%s: %s, want %s", place, got, want)
			}
			if got := l.early(at("10.0.0.1"), "nas.home.arpa."); got != want {
				t.Errorf("%s: early %s, want %s", place, got, want)
			}
			if got := l.early(at("192.0.2.1"), "nas.home.arpa."); got != "NXDOMAIN" {
				t.Errorf("%s: another client is told %s", place, got)
			}
		}
	}
}

// Options that a view sets shape the answers of its clients alone.
func TestFlagsOfAViewAreItsClientsAffair(t *testing.T) {
	l := newLawful(t)
	l.configure(`modules.load('view') view:addr('10.0.0.0/8', policy.all(policy.FLAGS('NO_EDNS')))`)
	l.told(at("10.0.0.1"), "www.example.com.")
	if got := l.early(at("192.0.2.1"), "www.example.com."); got != "" {
		t.Errorf("what was resolved with a view's flags is told to another client: %s", got)
	}
}

// Who is in no view costs no allocation, and neither does an answer that a view keeps apart.
func TestCachedAnswersBesideViewsAllocateNothing(t *testing.T) {
	l := newLawful(t)
	l.configure(`modules.load('view') for i = 1, 20 do view:addr('10.' .. i .. '.0.0/16', policy.all(policy.FORWARD('` + answering(t, "203.0.113.7") + `'))) end
		view:addr('10.100.0.0/16', policy.suffix(policy.DENY, policy.todnames({ 'example.com' })))`)
	pkt, out := shapes[1].message("www.example.com.", dns.TypeA), make([]byte, 0, 1<<16)
	for _, from := range []string{"192.0.2.98", "10.7.0.1", "10.100.0.1"} {
		client := at(from)
		l.told(client, "www.example.com.")
		if l.early(client, "www.example.com.") == "" {
			t.Fatalf("%s: not answered early", from)
		}
		if n := testing.AllocsPerRun(500, func() {
			l.s.Begin()
			l.s.Answer(pkt, &client, out)
			l.s.End()
		}); n != 0 {
			t.Errorf("%s: %v allocations", from, n)
		}
	}
}

// The names that aliases lead to are asked of the view's servers, too.
func TestAViewsServersAreAskedForAliases(t *testing.T) {
	l := newLawful(t)
	l.configure(`modules.load('view') view:addr('10.0.0.0/8', policy.suffix(policy.STUB('` + answering(t, "203.0.113.7") + `'), policy.todnames({ 'example.net' })))`)
	const alias = "shop.example.com." // of www.example.net
	if got := l.told(at("10.0.0.1"), alias); got != "NOERROR 203.0.113.7" {
		t.Errorf("the view's client is told %s", got)
	}
	if got := l.told(at("192.0.2.1"), alias); strings.Contains(got, "203.0.113.7") {
		t.Errorf("another client is told %s", got)
	}
}
