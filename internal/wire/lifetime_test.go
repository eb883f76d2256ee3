package wire

import (
	"testing"

	"github.com/miekg/dns"
)

func packed(t testing.TB, rcode int, answer, ns []string) []byte {
	t.Helper()
	m := new(dns.Msg)
	m.SetQuestion("www.example.com.", dns.TypeA)
	m.Response, m.Rcode, m.Compress = true, rcode, true
	for i, list := range [][]string{answer, ns} {
		for _, text := range list {
			rr, err := dns.NewRR(text)
			if err != nil {
				t.Fatal(err)
			}
			if i == 0 {
				m.Answer = append(m.Answer, rr)
			} else {
				m.Ns = append(m.Ns, rr)
			}
		}
	}
	m.SetEdns0(1232, false)
	b, err := m.Pack()
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestLifetime(t *testing.T) {
	const a, alias = "www.example.com. 300 IN A 192.0.2.1", "www.example.com. 60 IN CNAME a.example.com."
	const soa, shortSOA = "example.com. 900 IN SOA ns. me. 1 2 3 4 120", "example.com. 30 IN SOA ns. me. 1 2 3 4 120"
	const ns = "example.com. 10 IN NS ns.example.com."
	for name, c := range map[string]struct {
		rcode      int
		answer, ns []string
		want       uint32
	}{
		"an answer":                 {dns.RcodeSuccess, []string{a}, nil, 300},
		"the least of several":      {dns.RcodeSuccess, []string{a, alias}, []string{ns}, 60},
		"none left":                 {dns.RcodeSuccess, []string{"www.example.com. 0 IN A 192.0.2.1", a}, nil, 0},
		"no such name":              {dns.RcodeNameError, nil, []string{ns, soa}, 120},
		"no data, the SOA is short": {dns.RcodeSuccess, nil, []string{shortSOA}, 30},
		"an alias to nothing":       {dns.RcodeNameError, []string{"www.example.com. 200 IN CNAME a.example.com."}, []string{soa}, 120},
		"a denial without SOA":      {dns.RcodeNameError, nil, nil, 0},
		"a failure":                 {dns.RcodeServerFailure, []string{a}, nil, 0},
		"refused":                   {dns.RcodeRefused, nil, []string{soa}, 0},
	} {
		msg := packed(t, c.rcode, c.answer, c.ns)
		if got := Lifetime(msg); got != c.want {
			t.Errorf("%s: %d, want %d", name, got, c.want)
		}
		for n := range msg { // cut short, it is whatever it is, and no panic
			Lifetime(msg[:n:n])
		}
	}
}

// FuzzLifetime: no octets make it fail, and none that the library reads make it
// longer than an answer's TTL.
func FuzzLifetime(f *testing.F) {
	f.Add(packed(f, dns.RcodeSuccess, []string{"www.example.com. 300 IN A 192.0.2.1"}, nil))
	f.Add(packed(f, dns.RcodeNameError, nil, []string{"example.com. 900 IN SOA ns. me. 1 2 3 4 120"}))
	f.Fuzz(func(t *testing.T, msg []byte) {
		got := Lifetime(msg)
		var m dns.Msg
		if got == 0 || m.Unpack(msg) != nil || len(m.Question) != int(msg[4])<<8|int(msg[5]) {
			return
		}
		for _, rr := range m.Answer {
			if rr.Header().Ttl < got {
				t.Fatalf("%d, and an answer says %v", got, rr)
			}
		}
	})
}
