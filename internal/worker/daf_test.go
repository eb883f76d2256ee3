package worker

import (
	"net"
	"testing"
	"time"

	"github.com/miekg/dns"

	"kresd/internal/transport"
)

// Rules of daf decide as those of policy do, among which they stand, on both ways.
func TestRulesAsTextDecideOnBothWays(t *testing.T) {
	l := newLawful(t)
	l.told(someone, "www.example.com.")
	l.configure(`modules = { daf = { 'qname = example.net and src = 10.0.0.0/8 refuse', 'qname = example.com and src = 10.1.0.0/16 forward ` + answering(t, "203.0.113.7") + `' } }
		policy.add(policy.suffix(policy.DENY, policy.todnames({ 'late.example' }))) daf.add('qname = late.example pass')
		daf.add('qname = www.example.org reroute 192.0.2.0/24-10.9.8.0 198.51.100.0/24-10.9.8.0 203.0.113.0/24-10.9.8.0')
		daf.add('qname = given.example answer A 192.0.2.9')`)
	for _, c := range []struct{ from, name, want string }{
		{"10.2.0.1", "www.example.net.", "REFUSED"}, {"10.1.0.1", "www.example.com.", "NOERROR 203.0.113.7"}, {"10.2.0.1", "late.example.", "NXDOMAIN"}, {"::1", "given.example.", "NOERROR 192.0.2.9"},
	} {
		for range 2 {
			if got := l.told(at(c.from), c.name); got != c.want {
				t.Errorf("%s is told %s of %s by the driver, want %s", c.from, got, c.name, c.want)
			}
			if got := l.early(at(c.from), c.name); got != c.want {
				t.Errorf("%s is told %q of %s early, want %s", c.from, got, c.name, c.want)
			}
		}
	}
	if got := l.told(someone, "www.example.com."); got == "NOERROR 203.0.113.7" {
		t.Error("another client is told what a rule's forwarder says")
	}
	m := l.ask("www.example.org.", dns.TypeA, transport.UDP)
	for _, rr := range m.Answer {
		if a, ok := rr.(*dns.A); ok && !a.A.Equal(net.IPv4(10, 9, 8, a.A.To4()[3])) {
			t.Errorf("not rewritten: %v", a)
		}
	}
	l.configure("daf.clear() modules.unload('daf')")
	if got := l.told(at("10.2.0.1"), "www.example.net."); got == "REFUSED" {
		t.Error("a rule outlives daf.clear()")
	}
}

// A copy of each question is sent elsewhere, and the client is answered as ever.
func TestAMirrorGetsCopies(t *testing.T) {
	pc, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer pc.Close()
	l := newLawful(t)
	l.configure("policy.add(policy.suffix(policy.MIRROR('127.0.0.1@" + pc.LocalAddr().String()[len("127.0.0.1:"):] + "'), policy.todnames({ 'example.com' })))")
	if m := l.ask("www.example.com.", dns.TypeA, transport.UDP); len(m.Answer) != 2 {
		t.Errorf("the client is told %v", m)
	}
	_ = pc.SetReadDeadline(time.Now().Add(10 * time.Second))
	buf := make([]byte, 512)
	n, _, err := pc.ReadFrom(buf)
	m := new(dns.Msg)
	if err != nil || m.Unpack(buf[:n]) != nil || m.Question[0].Name != "www.example.com." {
		t.Errorf("the mirror got %v, %v", m, err)
	}
}
