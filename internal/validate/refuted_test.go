package validate_test

import (
	"slices"
	"testing"

	"github.com/miekg/dns"

	"kresd/internal/authority"
	"kresd/internal/authority/inmemory"
)

// A zone with two chains, one of which costs too much to be hashed, is not insecure where the
// other one says the contrary of what its server claims; nor is what neither tells bogus.
func TestWhatOneChainRefutesIsNotInsecureForAnother(t *testing.T) {
	for _, seed := range []string{"one", "hashed"} {
		s := of(seed, "www.example.com. A 192.0.2.10\n*.wild.example.com. A 192.0.2.11\n")
		dear := s
		dear.seed, dear.sign = "one", func(g *authority.Signing) { g.Denial = denial("costly") }
		costly := inmemory.Zone(dear.origin, dear.servers()+dear.text)
		costly.Sign(dear.signing())
		readable := inmemory.Zone(s.origin, s.servers()+s.text)
		s.sign = func(g *authority.Signing) { g.KSK = []*authority.Key{key(s.origin, "one")}; g.ZSK = g.KSK }
		s.ds = func(*dns.DS) []dns.RR { return []dns.RR{key(s.origin, "one").DS(dns.SHA256)} }
		readable.Sign(s.signing())
		proof := func(of *authority.Zone, name string, qtype uint16) []dns.RR {
			q := new(dns.Msg)
			q.SetQuestion(name, qtype)
			q.SetEdns0(4096, true)
			return authority.Answer([]*authority.Zone{of}, q).Ns
		}
		s.rules = []authority.Rule{func(x *authority.Exchange) {
			q := x.Query.Question[0]
			switch name := dns.CanonicalName(q.Name); {
			case q.Qtype == dns.TypeDNSKEY || q.Qtype == dns.TypeNS:
			case name == "www.example.com." && q.Qtype == dns.TypeA, name == "q.wild.example.com." && q.Qtype == dns.TypeTXT:
				x.Reply.Rcode, x.Reply.Answer = dns.RcodeNameError, nil
				x.Reply.Ns = slices.Concat(proof(costly, "none.example.com.", dns.TypeA), proof(readable, "www.example.com.", dns.TypeTXT), proof(readable, "q.wild.example.com.", dns.TypeTXT))
			case name == "open.example.com.":
				x.Reply.Rcode = dns.RcodeNameError
				x.Reply.Ns = slices.Concat(proof(costly, name, dns.TypeA), proof(readable, "www.example.com.", dns.TypeTXT))
			}
		}}
		w := newWorldOf(t, above("com", s)...)
		w.expect("www.example.com.", dns.TypeA, "SERVFAIL 12…")
		w.expect("q.wild.example.com.", dns.TypeTXT, "SERVFAIL 12…")
		if got := w.ask("open.example.com.", dns.TypeA); got != gone && got[:len(goneU)] != goneU {
			t.Errorf("what neither chain tells: %s", got)
		}
	}
}
