package validate_test

import (
	"strings"
	"testing"

	"github.com/miekg/dns"

	"kresd/internal/authority"
)

// aliasRule changes the CNAME records of an answer that are made from a DNAME; nil leaves one
// out.
func aliasRule(change func(*dns.CNAME) dns.RR) authority.Rule {
	return func(x *authority.Exchange) {
		var out []dns.RR
		for _, rr := range x.Reply.Answer {
			if c, ok := rr.(*dns.CNAME); ok && strings.HasSuffix(strings.ToLower(c.Hdr.Name), ".d.example.com.") {
				if rr = change(dns.Copy(c).(*dns.CNAME)); rr == nil {
					continue
				}
			}
			out = append(out, rr)
		}
		x.Reply.Answer = out
	}
}

// A CNAME record that a DNAME set stands for is never signed; what counts is that set (RFC
// 6672, section 5.3.1). Servers differ in its TTL, its letter case and whether they send it;
// one that leads elsewhere is nobody's.
func TestTheAliasOfADNAMEAsServersMakeIt(t *testing.T) {
	for what, change := range map[string]func(*dns.CNAME) dns.RR{
		"as it is":          func(c *dns.CNAME) dns.RR { return c },
		"with a TTL of 0":   func(c *dns.CNAME) dns.RR { c.Hdr.Ttl = 0; return c },
		"with a longer TTL": func(c *dns.CNAME) dns.RR { c.Hdr.Ttl += 1000; return c },
		"in upper case": func(c *dns.CNAME) dns.RR {
			c.Target, c.Hdr.Name = strings.ToUpper(c.Target), strings.ToUpper(c.Hdr.Name)
			return c
		},
		"left out":            func(*dns.CNAME) dns.RR { return nil },
		"that leads to evil.": func(c *dns.CNAME) dns.RR { c.Target = "evil.example.com."; return c },
	} {
		s := of("one", "d.example.com. DNAME to.example.com.\nwww.to.example.com. A 192.0.2.10\nevil.example.com. A 192.0.2.66\n*.w.example.com. CNAME www.d.example.com.\n")
		s.rules = []authority.Rule{aliasRule(change)}
		for _, e := range []expected{a("www.d.example.com.", yes+" 192.0.2.10"), a("q.w.example.com.", yes+" 192.0.2.10"), {"none.d.example.com.", dns.TypeA, gone}, {"www.d.example.com.", dns.TypeTXT, yes}, {"www.d.example.com.", dns.TypeDS, yes}} {
			w := newWorldOf(t, above("com", s)...)
			for range 2 {
				got := w.said(e.name, e.qtype, nil)
				if strings.Contains(what, "evil") && strings.HasPrefix(got, "SERVFAIL") {
					continue
				}
				if got != e.want {
					t.Errorf("an alias %s: %s %s: %s, want %s", what, e.name, dns.TypeToString[e.qtype], got, e.want)
				}
			}
		}
	}
}
