package worker

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/miekg/dns"

	"kresd/internal/authority"
	"kresd/internal/transport"
)

// liar is the address of a server that says whatever a test wants, and false the address
// that it tells of every name.
const liar, falsehood = "127.54.1.1", "203.0.113.66"

// lying is an Internet of the one server, whose answers hold these records: "an ", "ns "
// and "ar " stand before those of the sections. Where no record is of the name in the
// question, the false address is told.
func lying(t *testing.T) (at string, tell func(rcode int, records ...string)) {
	t.Helper()
	n, err := authority.New(authority.MustParse(".", "$TTL 3600\n. SOA a.liar. host. 1 2 3 4 300\n. NS a.liar.\na.liar. A "+liar+"\n"))
	if err == nil {
		err = n.Start(0)
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(n.Close)
	return fmt.Sprintf("%s@%d", liar, n.Port()), func(rcode int, records ...string) {
		n.Host(liar).Play(func(x *authority.Exchange) {
			x.Reply.Answer, x.Reply.Ns, x.Reply.Extra = nil, nil, nil
			x.Reply.Rcode, x.Reply.RecursionAvailable = rcode, true
			for _, text := range records {
				rr, err := dns.NewRR(text[3:])
				if err != nil {
					panic(err)
				}
				section := map[string]*[]dns.RR{"an ": &x.Reply.Answer, "ns ": &x.Reply.Ns, "ar ": &x.Reply.Extra}[text[:3]]
				*section = append(*section, rr)
			}
			q := x.Query.Question[0]
			if rcode == dns.RcodeSuccess && q.Qtype == dns.TypeA && !strings.Contains(strings.Join(records, "\n"), strings.ToLower(q.Name)) {
				x.Reply.Answer = []dns.RR{&dns.A{Hdr: dns.RR_Header{Name: q.Name, Rrtype: dns.TypeA, Class: dns.ClassINET, Ttl: 60}, A: []byte{203, 0, 113, 66}}}
			}
		})
	}
}

// heard is what a client hears, in words: the RCODE, and the records of all sections.
func heard(m *dns.Msg) string {
	out := []string{dns.RcodeToString[m.Rcode]}
	for i, rrs := range [][]dns.RR{m.Answer, m.Ns, m.Extra} {
		for _, rr := range rrs {
			h := rr.Header()
			if h.Rrtype == dns.TypeOPT {
				continue
			}
			data := strings.ToLower(strings.Fields(strings.TrimPrefix(rr.String(), h.String()))[0])
			out = append(out, strings.ToLower([]string{"", "ns ", "ar "}[i]+h.Name)+" "+dns.TypeToString[h.Rrtype]+" "+data)
		}
	}
	return strings.Join(out, ", ")
}

// What a server says of names that the rule which sent a question to it is not for is told
// to nobody, not to the client that asked either, and not kept: an alias that leads there
// is followed by the target's own rules.
func TestNothingOutsideItsSuffixIsToldOfAForwarder(t *testing.T) {
	at, tell := lying(t)
	rule := func(action string, names ...string) string {
		return fmt.Sprintf("policy.add(policy.suffix(policy.%s('%s'), policy.todnames{'%s'}))", action, at, strings.Join(names, "', '"))
	}
	const truth = "www.example.net. A 198.51.100.80"
	for _, c := range []struct {
		what    string
		rules   []string // the first rule, for FORWARD and STUB alike; a second one
		name    string
		rcode   int
		records []string
		want    string
	}{
		{"an alias", []string{"corp.test"}, "www.corp.test.", 0, []string{"an www.corp.test. 60 CNAME www.example.net.", "an www.example.net. 60 A " + falsehood},
			"NOERROR, www.corp.test. CNAME www.example.net., " + truth},
		{"an alias to what does not exist", []string{"corp.test"}, "www.corp.test.", dns.RcodeNameError,
			[]string{"an www.corp.test. 60 CNAME www.example.net.", "ns net. 60 SOA a.net. h.net. 1 2 3 4 5"},
			"NOERROR, www.corp.test. CNAME www.example.net., " + truth},
		{"an alias to what has no data", []string{"corp.test"}, "www.corp.test.", 0,
			[]string{"an www.corp.test. 60 CNAME www.example.net.", "ns example.net. 60 SOA a.net. h.net. 1 2 3 4 5"},
			"NOERROR, www.corp.test. CNAME www.example.net., " + truth},
		{"a DNAME", []string{"corp.test"}, "www.old.corp.test.", 0,
			[]string{"an old.corp.test. 60 DNAME example.net.", "an www.old.corp.test. 60 CNAME www.example.net.", "an www.example.net. 60 A " + falsehood},
			"NOERROR, old.corp.test. DNAME example.net., www.old.corp.test. CNAME www.example.net., " + truth},
		{"a DNAME above the suffix", []string{"corp.test"}, "www.corp.test.", 0,
			[]string{"an test. 60 DNAME example.net.", "an www.corp.test. 60 CNAME www.corp.example.net.", "an www.corp.example.net. 60 A " + falsehood},
			"NXDOMAIN, www.corp.test. CNAME www.corp.example.net., ns example.net. SOA ns1.example.org."},
		{"an alias out and back", []string{"corp.test"}, "www.corp.test.", 0,
			[]string{"an www.corp.test. 60 CNAME www.example.net.", "an www.example.net. 60 CNAME b.corp.test.", "an b.corp.test. 60 A " + falsehood},
			"NOERROR, www.corp.test. CNAME www.example.net., " + truth},
		{"an alias within", []string{"corp.test"}, "www.corp.test.", 0, []string{"an www.corp.test. 60 CNAME b.corp.test.", "an b.corp.test. 60 A " + falsehood},
			"NOERROR, www.corp.test. CNAME b.corp.test., b.corp.test. A " + falsehood},
		{"an alias into another suffix of the rule", []string{"corp.test", "lab.test"}, "www.corp.test.", 0,
			[]string{"an www.corp.test. 60 CNAME b.lab.test.", "an b.lab.test. 60 A " + falsehood},
			"NOERROR, www.corp.test. CNAME b.lab.test., b.lab.test. A " + falsehood},
		{"an alias with a rule for all names", []string{"."}, "www.corp.test.", 0, []string{"an www.corp.test. 60 CNAME www.example.net.", "an www.example.net. 60 A " + falsehood},
			"NOERROR, www.corp.test. CNAME www.example.net., www.example.net. A " + falsehood},
		{"other records beside an answer", []string{"corp.test"}, "www.corp.test.", 0,
			[]string{"an www.corp.test. 60 A 192.0.2.1", "an www.example.net. 60 A " + falsehood, "ns example.net. 60 NS ns.evil.test.", "ns example.net. 60 SOA a.net. h.net. 1 2 3 4 5", "ar www.example.net. 60 A " + falsehood},
			"NOERROR, www.corp.test. A 192.0.2.1"},
		{"the SOA of a zone above", []string{"corp.test"}, "www.corp.test.", dns.RcodeNameError, []string{"ns test. 60 SOA a.test. h.test. 1 2 3 4 5"}, "NXDOMAIN"},
		{"the SOA of a zone above, without data", []string{"corp.test"}, "www.corp.test.", 0, []string{"ns . 60 SOA www.corp.test. h.test. 1 2 3 4 5"}, "NOERROR"},
		{"the SOA of a zone beside", []string{"corp.test"}, "www.corp.test.", dns.RcodeNameError, []string{"ns example.net. 60 SOA a.net. h.net. 1 2 3 4 5"}, "NXDOMAIN"},
		{"the SOA of the suffix", []string{"corp.test"}, "www.corp.test.", dns.RcodeNameError, []string{"ns corp.test. 60 SOA a.test. h.test. 1 2 3 4 5"}, "NXDOMAIN, ns corp.test. SOA a.test."},
		{"a referral above", []string{"corp.test"}, "www.corp.test.", 0, []string{"ns test. 60 NS ns.evil.test.", "ar ns.evil.test. 60 A 192.0.2.1", "ar www.corp.test. 60 A 192.0.2.2"}, "NOERROR"},
	} {
		for _, action := range []string{"FORWARD", "STUB"} {
			t.Run(c.what+", "+action, func(t *testing.T) {
				l := newLawful(t)
				l.configure(rule(action, c.rules...))
				tell(c.rcode, c.records...)
				for range 3 {
					if got := heard(l.ask(c.name, dns.TypeA, transport.UDP)); got != c.want {
						t.Errorf("the client hears %s\nwant %s", got, c.want)
					}
				}
				if slices.Contains(c.rules, ".") {
					return
				}
				for name, want := range map[string]string{"www.example.net.": "NOERROR, " + truth, "example.net.": ""} {
					for _, qtype := range []uint16{dns.TypeA, dns.TypeSOA, dns.TypeNS} {
						got := heard(l.ask(name, qtype, transport.UDP))
						if strings.Contains(got, falsehood) || strings.Contains(got, "evil") || strings.Contains(got, "a.net.") || want != "" && qtype == dns.TypeA && got != want {
							t.Errorf("of %s others hear %s", name, got)
						}
					}
				}
			})
		}
	}
}
