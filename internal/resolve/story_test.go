package resolve_test

import (
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"

	"github.com/miekg/dns"

	"kresd/internal/authority"
	"kresd/internal/limits"
)

// chainZone is a chain of n aliases c1 → c2 → … that ends at an address.
func chainZone(n int) string {
	var b strings.Builder
	for i := 1; i <= n; i++ {
		fmt.Fprintf(&b, "c%d.example.com. CNAME c%d.example.com.\n", i, i+1)
	}
	fmt.Fprintf(&b, "c%d.example.com. A 192.0.2.99\n", n+1)
	return b.String()
}

func shownChain(n int) (s string) {
	for i := 1; i <= n; i++ {
		s += fmt.Sprintf("; c%d.example.com. CNAME c%d.example.com.", i, i+1)
	}
	return s
}

// manyServers is example.com. with n name servers, from 192.0.2.101 on.
func manyServers(n int) zones {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, "example.com. NS ns%[1]d.example.com.\nns%[1]d.example.com. A 192.0.2.%[2]d\n", i, 101+i)
	}
	return zones{"com.": b.String(), "example.com.": b.String()}
}

func TestStories(t *testing.T) {
	const www = "www.example.com. A 192.0.2.10\n"
	play := func(addr string, rules ...authority.Rule) func(*world) {
		return func(w *world) { w.net.Host(addr).Play(rules...) }
	}
	twoServers := zones{
		"com.":         "example.com. NS ns1.example.com.\nexample.com. NS ns2.example.com.\nns1.example.com. A 192.0.2.1\nns2.example.com. A 192.0.2.2\n",
		"example.com.": "example.com. NS ns1.example.com.\nexample.com. NS ns2.example.com.\nns1.example.com. A 192.0.2.1\nns2.example.com. A 192.0.2.2\n" + www,
	}
	long := strings.Repeat("x", 60)
	tests := []struct {
		name   string
		zones  zones
		set    func(*world)
		qname  string
		qtype  string
		want   string
		atMost int // questions sent; 0: not checked
	}{
		{"a plain referral chain", example(www), nil, "www.example.com.", "A", "NOERROR; www.example.com. A 192.0.2.10", 3},
		{"the root's own data", nil, nil, "a.root.", "A", "NOERROR; a.root. A 198.51.100.1", 2},
		{"the root's name servers", nil, nil, ".", "NS", "NOERROR; . NS a.root.", 1},
		{"no such TLD", nil, nil, "www.nowhere.", "A", "NXDOMAIN / . SOA", 2},
		{"no such name", example(www), nil, "nope.example.com.", "A", "NXDOMAIN / example.com. SOA", 3},
		{"no such type", example(www), nil, "www.example.com.", "AAAA", "NOERROR / example.com. SOA", 3},
		{"an empty non-terminal", example("a.b.c.example.com. A 192.0.2.11\n"), nil, "b.c.example.com.", "A", "NOERROR / example.com. SOA", 0},
		{"below empty non-terminals", example("a.b.c.example.com. A 192.0.2.11\n"), nil, "a.b.c.example.com.", "A", "NOERROR; a.b.c.example.com. A 192.0.2.11", 5},
		{"a wildcard", example("*.example.com. A 192.0.2.12\n"), nil, "x.y.example.com.", "A", "NOERROR; x.y.example.com. A 192.0.2.12", 0},
		{"a name server without glue", zones{
			"com.": "a.com. NS ns.b.net.\n", "net.": "b.net. NS ns.b.net.\nns.b.net. A 192.0.2.2\n",
			"b.net.": "b.net. NS ns.b.net.\nns.b.net. A 192.0.2.2\n", "a.com.": "a.com. NS ns.b.net.\nwww.a.com. A 192.0.2.13\n",
		}, nil, "www.a.com.", "A", "NOERROR; www.a.com. A 192.0.2.13", 7},
		{"the parent's server serves the child too", zones{
			"com.": "sub.com. NS ns.com.\n", "sub.com.": "sub.com. NS ns.com.\nwww.sub.com. A 192.0.2.14\n",
		}, nil, "www.sub.com.", "A", "NOERROR; www.sub.com. A 192.0.2.14", 4},
		{"DS is asked at the parent", merge(example(www), zones{"com.": "example.com. DS 1 8 2 00112233445566778899AABBCCDDEEFF00112233445566778899AABBCCDDEEFF\n"}),
			func(w *world) { w.ask("www.example.com.", "A"); w.asked() },
			"example.com.", "DS", "NOERROR; example.com. DS \"\\x00\\x01\\b\\x02\\x00\\x11\\\"3DUfw\\x88\\x99\\xaa\\xbb\\xcc\\xdd\\xee\\xff\\x00\\x11\\\"3DUfw\\x88\\x99\\xaa\\xbb\\xcc\\xdd\\xee\\xff\"", 1},
		{"no DS at the parent", example(www), nil, "example.com.", "DS", "NOERROR / com. SOA", 2},
		{"an alias into another zone", merge(example("www.example.com. CNAME web.other.net.\n"), zones{
			"net.": "other.net. NS ns.other.net.\nns.other.net. A 192.0.2.20\n", "other.net.": "other.net. NS ns.other.net.\nns.other.net. A 192.0.2.20\nweb.other.net. A 192.0.2.21\n",
		}), nil, "www.example.com.", "A", "NOERROR; www.example.com. CNAME web.other.net.; web.other.net. A 192.0.2.21", 6},
		{"an alias to nothing", example("www.example.com. CNAME none.example.com.\n"), nil, "www.example.com.", "A", "NXDOMAIN; www.example.com. CNAME none.example.com. / example.com. SOA", 0},
		{"an alias to a name without the type", example("www.example.com. CNAME ns.example.com.\n"), nil, "www.example.com.", "MX", "NOERROR; www.example.com. CNAME ns.example.com. / example.com. SOA", 0},
		{"asking for the alias itself", example("www.example.com. CNAME none.example.com.\n"), nil, "www.example.com.", "CNAME", "NOERROR; www.example.com. CNAME none.example.com.", 3},
		{"twelve aliases", example(chainZone(12)), nil, "c1.example.com.", "A", "NOERROR" + shownChain(12) + "; c13.example.com. A 192.0.2.99", 0},
		{"thirteen aliases", example(chainZone(13)), nil, "c1.example.com.", "A", "SERVFAIL" + shownChain(13), 0},
		{"an alias to itself", example("www.example.com. CNAME www.example.com.\n"), nil, "www.example.com.", "A", "SERVFAIL; www.example.com. CNAME www.example.com.", 4},
		{"aliases in a circle", example("a.example.com. CNAME b.example.com.\nb.example.com. CNAME a.example.com.\n"), nil, "a.example.com.", "A", "SERVFAIL; a.example.com. CNAME b.example.com.; b.example.com. CNAME a.example.com.", 0},
		{"a DNAME", example("old.example.com. DNAME new.example.com.\nx.new.example.com. A 192.0.2.30\n"), nil, "x.old.example.com.", "A",
			"NOERROR; old.example.com. DNAME new.example.com.; x.old.example.com. CNAME x.new.example.com.; x.new.example.com. A 192.0.2.30", 0},
		{"a DNAME that is passed twice", example("sub.example.com. DNAME example.com.\nx.example.com. A 192.0.2.31\n"), nil, "x.sub.sub.example.com.", "A",
			"NOERROR; sub.example.com. DNAME example.com.; x.sub.sub.example.com. CNAME x.sub.example.com.; x.sub.example.com. CNAME x.example.com.; x.example.com. A 192.0.2.31", 0},
		{"a DNAME that makes names too long", example(fmt.Sprintf("o.example.com. DNAME %[1]s.%[1]s.%[1]s.%[1]s.\n", long)), nil, strings.Repeat("y", 30) + ".o.example.com.", "A",
			fmt.Sprintf("YXDOMAIN; o.example.com. DNAME %[1]s.%[1]s.%[1]s.%[1]s.", long), 0},
		{"one of two servers refuses", twoServers, play("192.0.2.1", authority.Rcode(dns.RcodeRefused)), "www.example.com.", "A", "NOERROR; www.example.com. A 192.0.2.10", 0},
		{"one of two servers fails", twoServers, play("192.0.2.1", authority.Rcode(dns.RcodeServerFailure)), "www.example.com.", "A", "NOERROR; www.example.com. A 192.0.2.10", 0},
		{"one of two servers is silent", twoServers, play("192.0.2.1", authority.Drop()), "www.example.com.", "A", "NOERROR; www.example.com. A 192.0.2.10", 0},
		{"one of two servers is lame", twoServers, play("192.0.2.1", authority.Lame()), "www.example.com.", "A", "NOERROR; www.example.com. A 192.0.2.10", 0},
		{"the only server fails once", example(www), play("192.0.2.1", once(authority.Rcode(dns.RcodeServerFailure))), "www.example.com.", "A", "NOERROR; www.example.com. A 192.0.2.10", 0},
		{"the only server refuses once", example(www), play("192.0.2.1", once(authority.Rcode(dns.RcodeRefused))), "www.example.com.", "A", "NOERROR; www.example.com. A 192.0.2.10", 4},
		{"one server fails once, the other is silent", twoServers, func(w *world) {
			w.net.Host("192.0.2.1").Play(once(authority.Rcode(dns.RcodeServerFailure)))
			w.net.Host("192.0.2.2").Play(authority.Drop())
		}, "www.example.com.", "A", "NOERROR; www.example.com. A 192.0.2.10", 0},
		{"ten authorities refuse", manyServers(10), func(w *world) {
			for i := range 10 {
				w.net.Host(fmt.Sprintf("192.0.2.%d", 101+i)).Play(authority.Rcode(dns.RcodeRefused), func(x *authority.Exchange) { x.Reply.Authoritative = true })
			}
		}, "www.example.com.", "A", "SERVFAIL", 2 + limits.RefusalsPerZone},
		{"ten servers that do not know the zone refuse", manyServers(10), func(w *world) {
			for i := range 10 {
				w.net.Host(fmt.Sprintf("192.0.2.%d", 101+i)).Play(authority.Rcode(dns.RcodeRefused))
			}
		}, "www.example.com.", "A", "SERVFAIL", 2 + 10},
		{"both servers are lame", twoServers, func(w *world) {
			w.net.Host("192.0.2.1").Play(authority.Lame())
			w.net.Host("192.0.2.2").Play(authority.Lame())
		}, "www.example.com.", "A", "SERVFAIL", 12},
		{"a server without EDNS", example(www), play("192.0.2.1", authority.NoEDNS()), "www.example.com.", "A", "NOERROR; www.example.com. A 192.0.2.10", 4},
		{"the first answer is lost", example(www), play("192.0.2.1", authority.DropFirst(1)), "www.example.com.", "A", "NOERROR; www.example.com. A 192.0.2.10", 4},
		{"all root servers are silent", nil, play("198.51.100.1", authority.Drop()), "www.example.com.", "A", "SERVFAIL", 4},
		{"a minimised question is refused", example("www.a.b.example.com. A 192.0.2.40\n"), play("192.0.2.1", authority.Only(dns.TypeNS, authority.Rcode(dns.RcodeRefused))), "www.a.b.example.com.", "A", "NOERROR; www.a.b.example.com. A 192.0.2.40", 4},
		{"an empty non-terminal is denied", example("www.a.b.example.com. A 192.0.2.40\n"), play("192.0.2.1", authority.Only(dns.TypeNS, authority.Rcode(dns.RcodeNameError))), "www.a.b.example.com.", "A", "NOERROR; www.a.b.example.com. A 192.0.2.40", 4},
		{"without minimisation", example("www.a.b.example.com. A 192.0.2.40\n"), func(w *world) { w.options.WholeName = true }, "www.a.b.example.com.", "A", "NOERROR; www.a.b.example.com. A 192.0.2.40", 3},
		{"name servers that need each other", zones{
			"com.": "a.com. NS ns.b.net.\n", "net.": "b.net. NS ns.a.com.\n",
		}, nil, "www.a.com.", "A", "SERVFAIL", 30},
		{"a name server that denies its own address", zones{
			"com.": "a.com. NS ns.b.net.\n", "net.": "b.net. NS ns.b.net.\nns.b.net. A 192.0.2.2\n",
			"b.net.": "b.net. NS ns.b.net.\n", "a.com.": "a.com. NS ns.b.net.\nwww.a.com. A 192.0.2.13\n",
		}, nil, "www.a.com.", "A", "NOERROR; www.a.com. A 192.0.2.13", 7},
		{"glue on loopback", zones{"com.": "example.com. NS ns.example.com.\nns.example.com. A 127.0.0.1\n"}, nil, "www.example.com.", "A", "SERVFAIL", 2},
		{"IPv6 only, and IPv6 is off", zones{"com.": "example.com. NS ns.example.com.\nns.example.com. AAAA 2001:db8::1\n"},
			func(w *world) { w.options.NoIPv6 = true }, "www.example.com.", "A", "SERVFAIL", 2},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t, basic(tt.zones))
				if tt.set != nil {
					tt.set(w)
				}
				w.trace = true
				got := w.ask(tt.qname, tt.qtype)
				sent := w.asked()
				if got != tt.want {
					t.Errorf("%s %s:\n got %s\nwant %s", tt.qname, tt.qtype, got, tt.want)
				}
				if tt.atMost > 0 && len(sent) > tt.atMost {
					t.Errorf("%d questions were sent, at most %d were due:\n%s", len(sent), tt.atMost, strings.Join(sent, "\n"))
				}
			})
		})
	}
}

// once is a rule that holds for the first question only.
func once(rule authority.Rule) authority.Rule {
	var asked atomic.Bool
	return func(x *authority.Exchange) {
		if !asked.Swap(true) {
			rule(x)
		}
	}
}
