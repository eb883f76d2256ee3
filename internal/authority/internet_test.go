package authority

import (
	"fmt"
	"net"
	"testing"
	"time"

	"github.com/miekg/dns"
)

// running starts the demonstration Internet on a free port.
func running(t *testing.T) *Internet {
	t.Helper()
	n := demo(t)
	if err := n.Start(0); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(n.Close)
	return n
}

// send asks one of the servers over network, "udp" or "tcp".
func send(t *testing.T, n *Internet, network, host string, q *dns.Msg) (*dns.Msg, error) {
	t.Helper()
	c := &dns.Client{Net: network, Timeout: 2 * time.Second}
	r, _, err := c.Exchange(q, net.JoinHostPort(host, fmt.Sprint(n.Port())))
	return r, err
}

func mustSend(t *testing.T, n *Internet, network, host string, q *dns.Msg) *dns.Msg {
	t.Helper()
	r, err := send(t, n, network, host, q)
	if err != nil {
		t.Fatalf("%s over %s: %v", host, network, err)
	}
	return r
}

func TestEveryServerAnswersOverUDPAndTCP(t *testing.T) {
	n := running(t)
	for _, h := range n.Hosts() {
		for _, network := range []string{"udp", "tcp"} {
			mustSend(t, n, network, h.Addr().String(), ask("www.example.com.", dns.TypeA))
		}
		if h.Queries() != 2 || len(h.Seen()) != 2 {
			t.Errorf("%s counted %d queries, remembered %d; want 2", h.Addr(), h.Queries(), len(h.Seen()))
		}
	}
}

func TestUDPIsTruncatedAtTheClientsSizeAndTCPIsWhole(t *testing.T) {
	n := running(t)
	for _, tc := range []struct {
		name  string
		qtype uint16
		size  uint16 // 0: no EDNS
		tc    bool
	}{
		{"many.example.com.", dns.TypeA, 0, true},
		{"many.example.com.", dns.TypeA, 1232, false},
		{"big.example.com.", dns.TypeTXT, 4096, true},
		{"www.example.com.", dns.TypeA, 0, false},
	} {
		q := ask(tc.name, tc.qtype)
		if tc.size > 0 {
			q.SetEdns0(tc.size, false)
		}
		r := mustSend(t, n, "udp", "127.53.2.1", q)
		r.Compress = true
		if r.Truncated != tc.tc || r.Len() > max(int(tc.size), 512) {
			t.Errorf("%s at %d: TC %t, %d octets; want TC %t", tc.name, tc.size, r.Truncated, r.Len(), tc.tc)
		}
		if r := mustSend(t, n, "tcp", "127.53.2.1", q); r.Truncated || len(r.Answer) == 0 {
			t.Errorf("%s over TCP: TC %t, %d records", tc.name, r.Truncated, len(r.Answer))
		}
	}
}

func TestRulesScriptAServer(t *testing.T) {
	n := running(t)
	h := n.Host("127.53.2.1")
	q := ask("www.example.com.", dns.TypeA)
	edns := ask("www.example.com.", dns.TypeA)
	edns.SetEdns0(1232, false)

	h.Play(Rcode(dns.RcodeRefused))
	if r := mustSend(t, n, "udp", "127.53.2.1", q); r.Rcode != dns.RcodeRefused {
		t.Errorf("Rcode: got %s", dns.RcodeToString[r.Rcode])
	}
	h.Play(Lame())
	if r := mustSend(t, n, "udp", "127.53.2.1", q); r.Authoritative || len(r.Ns) != 1 || r.Ns[0].Header().Name != "." {
		t.Errorf("Lame: got %v", r)
	}
	h.Play(Truncate())
	if r := mustSend(t, n, "udp", "127.53.2.1", q); !r.Truncated || len(r.Answer) != 0 {
		t.Errorf("Truncate: got %v", r)
	}
	if r := mustSend(t, n, "tcp", "127.53.2.1", q); r.Truncated || len(r.Answer) == 0 {
		t.Errorf("Truncate over TCP: got %v", r)
	}
	h.Play(NoEDNS())
	if r := mustSend(t, n, "udp", "127.53.2.1", edns); r.Rcode != dns.RcodeFormatError || r.IsEdns0() != nil {
		t.Errorf("NoEDNS: got %v", r)
	}
	if r := mustSend(t, n, "udp", "127.53.2.1", q); r.Rcode != dns.RcodeSuccess {
		t.Errorf("NoEDNS without OPT: got %v", r)
	}
	poison, _ := dns.NewRR("www.example.org. 60 A 192.0.2.66")
	h.Play(Additional(poison))
	if r := mustSend(t, n, "udp", "127.53.2.1", q); len(r.Extra) != 1 {
		t.Errorf("Additional: got %v", r)
	}
	h.Play(Only(dns.TypeAAAA, Rcode(dns.RcodeServerFailure)))
	if r := mustSend(t, n, "udp", "127.53.2.1", q); r.Rcode != dns.RcodeSuccess {
		t.Errorf("Only AAAA, asked for A: got %v", r)
	}
	h.Play()
	if r := mustSend(t, n, "udp", "127.53.2.1", q); len(r.Answer) != 2 {
		t.Errorf("no rules: got %v", r)
	}
}

func TestRulesThatKeepTheAnswerBack(t *testing.T) {
	n := demo(t)
	h := n.Host("127.53.2.1")
	q := ask("www.example.com.", dns.TypeA)
	h.Play(DropFirst(2))
	for i, want := range []bool{false, false, true} {
		if got := h.exchange(q, false).Reply != nil; got != want {
			t.Errorf("DropFirst(2), query %d: answered %t", i+1, got)
		}
	}
	h.Play(DropUDP())
	if h.exchange(q, false).Reply != nil || h.exchange(q, true).Reply == nil {
		t.Error("DropUDP: want silence over UDP and an answer over TCP")
	}
	h.Play(Drop())
	if h.exchange(q, true).Reply != nil {
		t.Error("Drop: want silence")
	}
	h.Play(WrongID(), Delay(time.Second))
	if x := h.exchange(q, false); x.Reply.Id == q.Id || x.Delay != time.Second {
		t.Errorf("WrongID and Delay: ID %d for %d, delay %v", x.Reply.Id, q.Id, x.Delay)
	}
}

func TestATakenPortIsAnErrorThatNamesIt(t *testing.T) {
	n := running(t)
	if err := demo(t).Start(n.Port()); err == nil {
		t.Error("a second Internet on the same port started")
	}
}
