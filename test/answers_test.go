package test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/miekg/dns"

	"kresd/internal/authority"
	"kresd/internal/proctest"
)

// Every case is asked twice over both transports: resolved, and from the cache,
// by two workers. All four answers must be the same.
func TestAnswers(t *testing.T) {
	// The reverse zone of documentation addresses is denied by policy's special
	// names (RFC 6303) unless the operator lets it pass.
	g := proctest.Start(t, proctest.On(t, proctest.SmallInternet(t), 2, "policy.add(policy.suffix(policy.PASS, { todname('2.0.192.in-addr.arpa') }))"))
	for _, tc := range []struct {
		name  string
		qtype uint16
		want  string // as proctest.Shape writes it, lines joined by " | "
	}{
		{"mail.example.com", dns.TypeA, "NOERROR | mail.example.com. 0 IN A 192.0.2.25"},
		{"www.example.com", dns.TypeA, "NOERROR | www.example.com. 0 IN A 192.0.2.80 | www.example.com. 0 IN A 192.0.2.81"},
		{"WWW.Example.COM", dns.TypeAAAA, "NOERROR | www.example.com. 0 IN AAAA 2001:db8::80"},
		{"example.com", dns.TypeMX, "NOERROR | example.com. 0 IN MX 10 mail.example.com. | example.com. 0 IN MX 20 mail.example.net."},
		{"example.com", dns.TypeTXT, `NOERROR | example.com. 0 IN TXT "v=spf1 mx -all"`},
		{"example.com", dns.TypeCAA, `NOERROR | example.com. 0 IN CAA 0 issue "ca.example.net"`},
		{"_sip._udp.example.com", dns.TypeSRV, "NOERROR | _sip._udp.example.com. 0 IN SRV 10 60 5060 mail.example.com."},
		{"10.2.0.192.in-addr.arpa", dns.TypePTR, "NOERROR | 10.2.0.192.in-addr.arpa. 0 IN PTR example.com."},
		{"nothing.example.com", dns.TypeA, "NXDOMAIN |  | authority " + soaCom},
		{"mail.example.com", dns.TypeTXT, "NOERROR |  | authority " + soaCom},
		{"ent.example.com", dns.TypeA, "NOERROR |  | authority " + soaCom},
		{"alias.example.com", dns.TypeAAAA, "NOERROR | alias.example.com. 0 IN CNAME alias2.example.com. | alias2.example.com. 0 IN CNAME alias3.example.com. | " +
			"alias3.example.com. 0 IN CNAME www.example.com. | www.example.com. 0 IN AAAA 2001:db8::80"},
		{"shop.example.com", dns.TypeA, "NOERROR | shop.example.com. 0 IN CNAME www.example.net. | www.example.net. 0 IN A 198.51.100.80"},
		{"dangling.example.com", dns.TypeA, "NXDOMAIN | dangling.example.com. 0 IN CNAME nothing.example.com. | authority " + soaCom},
		{"any.thing.wild.example.com", dns.TypeA, "NOERROR | any.thing.wild.example.com. 0 IN A 192.0.2.100"},
		{"mail.old.example.org", dns.TypeA, "NOERROR | mail.example.com. 0 IN A 192.0.2.25 | mail.old.example.org. 0 IN CNAME mail.example.com. | " +
			"old.example.org. 0 IN DNAME example.com."},
		{"www.sub.example.com", dns.TypeA, "NOERROR | www.sub.example.com. 0 IN A 192.0.2.21"},
		{"ca.example.net", dns.TypeA, "NOERROR | ca.example.net. 0 IN A 198.51.100.44"},
		{"v4.example", dns.TypeA, "NOERROR | v4.example. 0 IN A 192.0.2.4"},
		{"lame.example", dns.TypeA, "NOERROR | lame.example. 0 IN A 192.0.2.66"},
		{"dead.example", dns.TypeA, "SERVFAIL | "},
	} {
		for _, network := range []string{"udp", "tcp", "udp", "tcp"} {
			r := g.Ask(t, network, tc.name, tc.qtype, 1232)
			if got := strings.ReplaceAll(proctest.Shape(r), "\n", " | "); got != tc.want {
				t.Errorf("%s %s over %s:\n got %s\nwant %s", tc.name, dns.TypeToString[tc.qtype], network, got, tc.want)
			}
			if !r.RecursionAvailable || !r.RecursionDesired || r.Authoritative {
				t.Errorf("%s over %s: RA %t RD %t AA %t", tc.name, network, r.RecursionAvailable, r.RecursionDesired, r.Authoritative)
			}
		}
	}
}

const soaCom = "example.com. 0 IN SOA ns1.example.com. hostmaster.example.com. 2026010101 7200 3600 1209600 300"

// A name server with an IPv6 address only is reached over IPv6.
// (A namespace has IPv6 even where the machine's own interfaces lack it.)
func TestAServerWithIPv6Only(t *testing.T) {
	if !proctest.InNamespace(t) {
		return
	}
	n := proctest.SmallInternet(t)
	if len(n.Absent()) > 0 {
		t.Fatalf("no IPv6 loopback address in the namespace: is the kernel without IPv6? %v", n.Absent())
	}
	g := proctest.Start(t, proctest.On(t, n, 1))
	r := g.Ask(t, "udp", "v6.example", dns.TypeAAAA, 0)
	if got, want := proctest.Shape(r), "NOERROR\nv6.example. 0 IN AAAA 2001:db8::6"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

// What does not fit is truncated at the client's size (RFC 6891, section 6.2.3)
// and whole over TCP, first and from the cache.
func TestSizes(t *testing.T) {
	g := proctest.Start(t, proctest.On(t, proctest.SmallInternet(t), 1))
	for range 2 {
		for _, tc := range []struct {
			name    string
			qtype   uint16
			size    uint16 // 0: no EDNS
			tc      bool
			records int
		}{
			{"many.example.com", dns.TypeA, 0, true, 40},
			{"many.example.com", dns.TypeA, 512, true, 40},
			{"many.example.com", dns.TypeA, 1232, false, 40},
			{"big.example.com", dns.TypeTXT, 1232, true, 20},
			{"big.example.com", dns.TypeTXT, 4096, false, 20},
			{"big.example.com", dns.TypeTXT, 65535, false, 20},
		} {
			r := g.Ask(t, "udp", tc.name, tc.qtype, tc.size)
			r.Compress = true
			if r.Truncated != tc.tc || r.Len() > max(int(tc.size), 512) || (!tc.tc && len(r.Answer) != tc.records) {
				t.Errorf("%s, size %d: TC %t, %d octets, %d records; want TC %t", tc.name, tc.size, r.Truncated, r.Len(), len(r.Answer), tc.tc)
			}
			if (r.IsEdns0() != nil) != (tc.size > 0) {
				t.Errorf("%s, size %d: OPT %v", tc.name, tc.size, r.IsEdns0())
			}
			if r := g.Ask(t, "tcp", tc.name, tc.qtype, tc.size); r.Truncated || len(r.Answer) != tc.records {
				t.Errorf("%s over TCP: TC %t, %d records", tc.name, r.Truncated, len(r.Answer))
			}
		}
	}
}

// TTLs count down while an answer is cached, and never below what is left.
func TestTTLsCountDown(t *testing.T) {
	g := proctest.Start(t, proctest.On(t, proctest.SmallInternet(t), 1))
	first := g.Ask(t, "udp", "short.example.com", dns.TypeA, 0).Answer[0].Header().Ttl
	if first > 30 || first < 28 {
		t.Fatalf("TTL %d at first, want 30", first)
	}
	proctest.Eventually(t, 5*time.Second, "a smaller TTL", func() bool {
		return g.Ask(t, "udp", "short.example.com", dns.TypeA, 0).Answer[0].Header().Ttl < first
	})
}

// Name servers that lose queries, truncate, do not know EDNS, answer with other
// IDs or put foreign records into their answers do not change what clients get.
func TestUnfriendlyServers(t *testing.T) {
	n := proctest.SmallInternet(t)
	g := proctest.Start(t, proctest.On(t, n, 1))
	ns1, ns2 := n.Host("127.53.2.1"), n.Host("127.53.2.2")
	poison, err := dns.NewRR("www.example.net. 3600 A 192.0.2.66")
	if err != nil {
		t.Fatal(err)
	}
	for what, rules := range map[string][2][]authority.Rule{
		"one server is silent":         {{authority.Drop()}, {}},
		"both lose the first query":    {{authority.DropFirst(ns1.Queries() + 1)}, {authority.DropFirst(ns2.Queries() + 1)}},
		"both truncate everything":     {{authority.Truncate()}, {authority.Truncate()}},
		"neither knows EDNS":           {{authority.NoEDNS()}, {authority.NoEDNS()}},
		"one refuses":                  {{authority.Rcode(dns.RcodeRefused)}, {}},
		"one is lame":                  {{authority.Lame()}, {}},
		"one answers with other IDs":   {{authority.WrongID()}, {}},
		"both add records of another":  {{authority.Additional(poison)}, {authority.Additional(poison)}},
		"one fails, the other is slow": {{authority.Rcode(dns.RcodeServerFailure)}, {authority.Delay(300 * time.Millisecond)}},
	} {
		g.Eval(t, "cache.clear()")
		ns1.Play(rules[0]...)
		ns2.Play(rules[1]...)
		r := g.Ask(t, "udp", "mail.example.com", dns.TypeA, 1232)
		if got, want := proctest.Shape(r), "NOERROR\nmail.example.com. 0 IN A 192.0.2.25"; got != want {
			t.Errorf("%s: got %q, want %q", what, got, want)
		}
		r = g.Ask(t, "udp", "www.example.net", dns.TypeA, 1232)
		if got, want := proctest.Shape(r), "NOERROR\nwww.example.net. 0 IN A 198.51.100.80"; got != want {
			t.Errorf("%s, then the other zone: got %q, want %q", what, got, want)
		}
		ns1.Play()
		ns2.Play()
	}
}

// Servers that are fast and then, for once, are not: a client waits longer than
// that, so there is an answer to wait for.
func TestFastServersThatBecomeSlow(t *testing.T) {
	n := proctest.SmallInternet(t)
	g := proctest.Start(t, proctest.On(t, n, 1))
	for i := range 10 {
		g.Ask(t, "udp", fmt.Sprintf("fast%d.wild.example.com", i), dns.TypeA, 1232)
	}
	for _, host := range []string{"127.53.2.1", "127.53.2.2"} {
		n.Host(host).Play(authority.Delay(600 * time.Millisecond))
	}
	for i := range 3 {
		if r := g.Ask(t, "udp", fmt.Sprintf("slow%d.wild.example.com", i), dns.TypeA, 1232); r.Rcode != dns.RcodeSuccess {
			t.Errorf("query %d: %v", i+1, r)
		}
	}
}

// Identical questions in flight are asked upstream by one of them; it may ask
// again when a server takes longer than its usual time.
func TestIdenticalQuestionsAreAskedOnce(t *testing.T) {
	n := proctest.SmallInternet(t)
	g := proctest.Start(t, proctest.On(t, n, 1))
	g.Ask(t, "udp", "example.com", dns.TypeA, 0) // its delegation is known now
	ns1, ns2 := n.Host("127.53.2.1"), n.Host("127.53.2.2")
	ns1.Play(authority.Delay(120 * time.Millisecond))
	ns2.Play(authority.Delay(120 * time.Millisecond))
	before := ns1.Queries() + ns2.Queries()
	s := proctest.Load(t, g.Addr, 400, "mail.example.com")
	time.Sleep(90 * time.Millisecond)
	r := s.Stop()
	if len(r.Lost) > 0 || r.Failed > 0 || r.Sent < 20 {
		t.Errorf("of %d queries %d lost, %d failed: %v", r.Sent, len(r.Lost), r.Failed, r.Failure)
	}
	if asked := ns1.Queries() + ns2.Queries() - before; asked > r.Sent/4 {
		t.Errorf("%d queries upstream for %d equal ones in flight; the servers saw %v and %v", asked, r.Sent, ns1.Seen(), ns2.Seen())
	}
}
