package validate_test

import (
	"encoding/hex"
	"slices"
	"testing"

	"github.com/miekg/dns"

	"kresd/internal/authority"
	"kresd/internal/resolve"
)

// damaged gives the list of types of an NSEC record a block of nothing.
func damaged(n *dns.NSEC) dns.RR {
	text := make([]byte, 512)
	end, err := dns.PackRR(n, text, 0, nil, false)
	if err != nil {
		panic(err)
	}
	owner, _, _ := dns.UnpackDomainName(text, 0)
	start := len(owner) + 1 + 10
	return &dns.RFC3597{Hdr: dns.RR_Header{Name: n.Hdr.Name, Rrtype: dns.TypeNSEC, Class: dns.ClassINET, Ttl: n.Hdr.Ttl},
		Rdata: hex.EncodeToString(append(text[start:end:end], 1, 0))}
}

func whole(n *dns.NSEC) dns.RR { return n }

// Sets that a zone has signed, and whose lists of types nobody can read, were believed and
// told to clients.
func TestDamagedDenials(t *testing.T) {
	for _, c := range []struct {
		name        string
		qtype       uint16
		whole, want string
	}{
		{"none.example.com.", dns.TypeA, "NXDOMAIN secure", "SERVFAIL 12…"},
		{"www.example.com.", dns.TypeTXT, "NOERROR secure", "SERVFAIL 12…"},
		{"x.wild.example.com.", dns.TypeA, "NOERROR secure", "SERVFAIL 12 x.wild.example.com. is made from a wildcard…"},
		{"www.example.com.", dns.TypeNSEC, "NOERROR secure", "SERVFAIL 6 the list of types in www.example.com. NSEC is malformed…"},
	} {
		for want, change := range map[string]func(*dns.NSEC) dns.RR{c.whole: whole, c.want: damaged} {
			w := newWorld(t)
			w.both(resealed(change))
			w.expect(c.name, c.qtype, want)
		}
	}
}

// One that a proof can do without is not passed on beside it.
func TestADamagedDenialBesideAProof(t *testing.T) {
	const spare = "www.example.com."
	for what, c := range map[string]struct {
		change func(*dns.NSEC) dns.RR
		told   bool
	}{"whole": {whole, true}, "damaged": {damaged, false}} {
		w := newWorld(t)
		w.both(func(x *authority.Exchange) {
			if x.Reply.Rcode == dns.RcodeNameError {
				n := &dns.NSEC{Hdr: dns.RR_Header{Name: spare, Rrtype: dns.TypeNSEC, Class: dns.ClassINET, Ttl: 300}, NextDomain: "x.example.com.", TypeBitMap: []uint16{dns.TypeA, dns.TypeNSEC}}
				x.Reply.Ns = append(x.Reply.Ns, n, key("example.com.", "one").Sign([]dns.RR{n}, begin, begin+1, nil))
			}
		}, resealed(func(n *dns.NSEC) dns.RR {
			if n.Hdr.Name == spare {
				return c.change(n)
			}
			return n
		}))
		r := w.resolve("none.example.com.", dns.TypeA, func(r *resolve.Request) { r.DO = true })
		if got := outcome(&r.Result); got != "NXDOMAIN secure" {
			t.Errorf("%s: %s", what, got)
		}
		told := slices.ContainsFunc(r.Result.Authority, func(s resolve.Set) bool { return s.Owner == mustName(spare) })
		if told != c.told {
			t.Errorf("%s: told %t", what, told)
		}
	}
}
