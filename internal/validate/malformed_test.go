package validate_test

import (
	"testing"

	"github.com/miekg/dns"

	"kresd/internal/authority"
)

// stubs puts a signature of two octets, the type that it covers, beside each set, ahead of
// its other signatures or, if alone, in their place.
func stubs(alone bool) authority.Rule {
	return func(x *authority.Exchange) {
		for _, section := range []*[]dns.RR{&x.Reply.Answer, &x.Reply.Ns} {
			var out []dns.RR
			for _, rr := range *section {
				if sig, ok := rr.(*dns.RRSIG); ok {
					short := sig.Hdr
					out = append(out, &dns.RFC3597{Hdr: short, Rdata: "0001"})
					if alone {
						continue
					}
				}
				out = append(out, rr)
			}
			*section = out
		}
	}
}

// A signature that cannot be read counts as none, as in other validators: beside one that
// holds the set is proven, alone it is not, and in a zone that need not be signed it does no
// harm.
func TestAMalformedSignatureProvesNothing(t *testing.T) {
	for alone, want := range map[bool][3]string{false: {yes, gone, yes}, true: {"SERVFAIL 10 …", bogus, bogus}} {
		w := newWorld(t)
		w.host("192.0.2.1").Play(stubs(alone))
		w.host("192.0.2.2").Play(stubs(alone))
		w.expect("www.example.com.", dns.TypeA, want[0])
		w.expect("none.example.com.", dns.TypeA, want[1])
		w.expect("www.example.com.", dns.TypeAAAA, want[2])
		w.expect("www.plain.com.", dns.TypeA, no)
		for _, s := range w.resolve("www.example.com.", dns.TypeA, nil).Result.Answer {
			for _, sig := range s.Sigs {
				if len(sig) < 20 {
					t.Errorf("a client is told a signature of %d octets", len(sig))
				}
			}
		}
	}
	island := of("one", "www.example.com. A 192.0.2.10\n")
	island.island, island.rules = true, []authority.Rule{stubs(true)}
	w := newWorldOf(t, above("com", island)...)
	w.expect("www.example.com.", dns.TypeA, no)
	w.expect("www.example.com.", dns.TypeTXT, no)
	w.expect("none.example.com.", dns.TypeA, goneU)
	w.expect("www.example.com.", dns.TypeRRSIG, "NOERROR insecure")
}
