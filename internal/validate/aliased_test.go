package validate_test

import (
	"net"
	"strings"
	"testing"

	"github.com/miekg/dns"

	"kresd/internal/authority"
)

// A signed alias that leads into an unsigned zone, and there to another alias or to nothing,
// says nothing of the names below it: what is told of these must be proven, by whoever tells
// it.
func TestNothingBelowAnAliasIntoAnUnsignedZoneIsUnsigned(t *testing.T) {
	for _, by := range []string{"", "alias.example.com.", "x.alias.example.com."} {
		nothingBelowAnAlias(t, by)
	}
}

// nothingBelowAnAlias tries it with records that are signed by keys of a name, "" for none.
func nothingBelowAnAlias(t *testing.T, by string) {
	for what, text := range map[string]string{
		"to an alias": "w.u.example.com. CNAME z.u.example.com.\nz.u.example.com. A 192.0.2.41\n", "to an alias to nothing": "w.u.example.com. CNAME z.u.example.com.\n",
		"to an address": "w.u.example.com. A 192.0.2.41\n", "to nothing": "",
	} {
		s := of("one", "alias.example.com. CNAME w.u.example.com.\n")
		s.rules = []authority.Rule{authority.Only(dns.TypeA, func(x *authority.Exchange) {
			if q := x.Query.Question[0].Name; strings.HasPrefix(strings.ToLower(q), "x.alias.") {
				forged := &dns.A{Hdr: dns.RR_Header{Name: q, Rrtype: dns.TypeA, Class: dns.ClassINET, Ttl: 300}, A: net.IPv4(203, 0, 113, 66)}
				x.Reply.Rcode, x.Reply.Answer, x.Reply.Ns = dns.RcodeSuccess, []dns.RR{forged}, nil
				if by != "" {
					x.Reply.Answer = append(x.Reply.Answer, key(by, "forged").Sign([]dns.RR{forged}, begin-86400, begin+86400, nil))
				}
			}
		})}
		sites := above("com", s, site{origin: "u.example.com.", text: text})
		check := func(w *world, how string, forwarded bool) {
			for range 2 { // once the cache knows that there is no such name it says so
				got := w.said("x.alias.example.com.", dns.TypeA, nil)
				if forwarded {
					got = w.said("x.alias.example.com.", dns.TypeA, forwards("."))
				}
				if !strings.HasPrefix(got, "SERVFAIL") && got != gone {
					t.Errorf("%s, signed by %q, %s: %s", what, by, how, got)
				}
			}
		}
		check(newWorldOf(t, sites...), "by its servers", false)
		behind := newWorldOf(t, sites...)
		behind.forwarder = resolver(newWorldOf(t, sites...), true)
		check(behind, "behind a forwarder", true)
	}
}

// The DS set of a signed alias is asked for whose target lies below the alias itself, in an
// unsigned zone, or in a signed one below that: it is proven although the question about the
// alias waits.
func TestTheDSSetOfAnAliasToAnUnsignedZoneBelowIt(t *testing.T) {
	for _, seed := range denials {
		for target, want := range map[string]string{"www.u.c.example.com.": no, "none.u.c.example.com.": goneU, "www.s.u.c.example.com.": no, "none.s.u.c.example.com.": goneU} {
			sites := above("com", of(seed, "c.example.com. CNAME "+target+"\n"), site{origin: "u.c.example.com.", text: "www.u.c.example.com. A 192.0.2.41\n"},
				site{origin: "s.u.c.example.com.", seed: "kid", text: "www.s.u.c.example.com. A 192.0.2.42\n"})
			w := newWorldOf(t, sites...)
			for range 2 {
				w.expect("c.example.com.", dns.TypeDS, want)
				w.expect("www.u.c.example.com.", dns.TypeA, no)
			}
			behind := newWorldOf(t, sites...)
			behind.forwarder = resolver(newWorldOf(t, sites...), false)
			for range 2 {
				for name, wanted := range map[string]string{"www.u.c.example.com.": no + " 192.0.2.41", "none.u.c.example.com.": goneU} {
					if got := behind.said(name, dns.TypeA, forwards(".")); got != wanted {
						t.Errorf("%s, alias to %s: %s behind a forwarder: %s, want %s", seed, target, name, got, wanted)
					}
				}
			}
		}
	}
}
