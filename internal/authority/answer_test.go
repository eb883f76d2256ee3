package authority

import (
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/miekg/dns"
)

// demo is the Internet of testdata/zones, not started.
func demo(t *testing.T) *Internet {
	t.Helper()
	n, err := Load(os.DirFS("../../testdata/zones"))
	if err != nil {
		t.Fatal(err)
	}
	return n
}

func ask(name string, qtype uint16) *dns.Msg {
	q := new(dns.Msg)
	q.SetQuestion(name, qtype)
	return q
}

// shape writes an answer as "RCODE aa? answer / authority / additional", each
// record as owner, type and data.
func shape(r *dns.Msg) string {
	var b strings.Builder
	b.WriteString(dns.RcodeToString[r.Rcode])
	if r.Authoritative {
		b.WriteString(" aa")
	}
	for _, section := range [][]dns.RR{r.Answer, r.Ns, r.Extra} {
		b.WriteString(" /")
		for _, rr := range section {
			if soa, ok := rr.(*dns.SOA); ok {
				b.WriteString(" SOA:" + soa.Hdr.Name)
				continue
			}
			f := strings.Fields(rr.String())
			b.WriteString(" " + f[0] + ":" + strings.Join(f[3:], ","))
		}
	}
	return b.String()
}

func TestAnswers(t *testing.T) {
	n := demo(t)
	for _, tc := range []struct {
		host, name string
		qtype      uint16
		want       string
	}{
		{"127.53.0.1", "www.example.com.", dns.TypeA,
			"NOERROR / / com.:NS,a.nic.com. com.:NS,b.nic.com. / a.nic.com.:A,127.53.1.1 b.nic.com.:A,127.53.1.2"},
		{"127.53.1.3", "example.net.", dns.TypeA,
			"NOERROR / / example.net.:NS,ns1.example.org. example.net.:NS,ns2.example.org. /"},
		{"127.53.2.1", "mail.example.com.", dns.TypeA, "NOERROR aa / mail.example.com.:A,192.0.2.25 / /"},
		{"127.53.2.1", "MAIL.example.COM.", dns.TypeA, "NOERROR aa / mail.example.com.:A,192.0.2.25 / /"},
		{"127.53.2.1", "mail.example.com.", dns.TypeTXT, "NOERROR aa / / SOA:example.com. /"},
		{"127.53.2.1", "nothing.example.com.", dns.TypeA, "NXDOMAIN aa / / SOA:example.com. /"},
		{"127.53.2.1", "ent.example.com.", dns.TypeA, "NOERROR aa / / SOA:example.com. /"},
		{"127.53.2.1", "x.ent.example.com.", dns.TypeA, "NXDOMAIN aa / / SOA:example.com. /"},
		{"127.53.2.1", "x.y.wild.example.com.", dns.TypeA, "NOERROR aa / x.y.wild.example.com.:A,192.0.2.100 / /"},
		{"127.53.2.1", "x.wild.example.com.", dns.TypeAAAA, "NOERROR aa / / SOA:example.com. /"},
		{"127.53.2.1", "dangling.example.com.", dns.TypeA,
			"NXDOMAIN aa / dangling.example.com.:CNAME,nothing.example.com. / SOA:example.com. /"},
		{"127.53.2.1", "shop.example.com.", dns.TypeA, "NOERROR aa / shop.example.com.:CNAME,www.example.net. / /"},
		{"127.53.2.1", "shop.example.com.", dns.TypeCNAME, "NOERROR aa / shop.example.com.:CNAME,www.example.net. / /"},
		{"127.53.2.1", "www.sub.example.com.", dns.TypeA,
			"NOERROR / / sub.example.com.:NS,ns.sub.example.com. / ns.sub.example.com.:A,127.53.2.9"},
		{"127.53.2.1", "sub.example.com.", dns.TypeDS, "NOERROR aa / / SOA:example.com. /"},
		{"127.53.2.3", "www.old.example.org.", dns.TypeA,
			"NOERROR aa / old.example.org.:DNAME,example.com. www.old.example.org.:CNAME,www.example.com. / /"},
		{"127.53.2.3", "old.example.org.", dns.TypeA, "NOERROR aa / / SOA:example.org. /"},
		{"127.53.2.3", "loop.example.org.", dns.TypeA,
			"NOERROR aa / loop.example.org.:CNAME,loop2.example.org. loop2.example.org.:CNAME,loop.example.org. / /"},
		{"127.53.2.1", "_sip._udp.example.com.", dns.TypeSRV,
			"NOERROR aa / _sip._udp.example.com.:SRV,10,60,5060,mail.example.com. / / mail.example.com.:A,192.0.2.25 mail.example.com.:AAAA,2001:db8::25"},
		{"127.53.2.7", "lame.example.", dns.TypeA, "REFUSED / / /"},
		{"127.53.2.1", "www.example.org.", dns.TypeA, "REFUSED / / /"},
	} {
		h := n.Host(tc.host)
		if h == nil {
			t.Errorf("no server at %s", tc.host)
			continue
		}
		if got := shape(answer(h.zones, ask(tc.name, tc.qtype))); got != tc.want {
			t.Errorf("%s asked for %s %s:\n got %s\nwant %s", tc.host, tc.name, dns.TypeToString[tc.qtype], got, tc.want)
		}
	}
}

func TestANegativeAnswersTTLIsTheSmallerOfSOATTLAndMinimum(t *testing.T) {
	r := answer(demo(t).Host("127.53.2.1").zones, ask("nothing.example.com.", dns.TypeA))
	if got := r.Ns[0].Header().Ttl; got != 300 {
		t.Errorf("TTL %d, want 300", got)
	}
}

func TestEDNSIsMirroredAndItsVersionChecked(t *testing.T) {
	zones := demo(t).Host("127.53.2.1").zones
	q := ask("www.example.com.", dns.TypeA)
	q.SetEdns0(4096, true)
	if opt := answer(zones, q).IsEdns0(); opt == nil || !opt.Do() || opt.UDPSize() != serverPayload {
		t.Errorf("OPT %v, want DO and %d", opt, serverPayload)
	}
	q.IsEdns0().SetVersion(1)
	if r := answer(zones, q); r.Rcode != dns.RcodeBadVers {
		t.Errorf("EDNS version 1 answered %s, want BADVERS", dns.RcodeToString[r.Rcode])
	}
	if opt := answer(zones, ask("www.example.com.", dns.TypeA)).IsEdns0(); opt != nil {
		t.Error("OPT in the answer to a query without")
	}
}

func TestTheDemoLivesOnLoopbackOnly(t *testing.T) {
	for _, h := range demo(t).Hosts() {
		if !h.Addr().IsLoopback() {
			t.Errorf("server %s", h.Addr())
		}
	}
}

func TestRootsAreTheHints(t *testing.T) {
	roots := demo(t).Roots()
	if len(roots) != 2 || !slices.Equal(roots["a.root-servers.example."], demo(t).Addrs("a.root-servers.example.")) {
		t.Errorf("roots %v", roots)
	}
}

func TestBrokenZonesAreRefused(t *testing.T) {
	for what, text := range map[string]string{
		"no SOA":               "@ 60 NS ns\nns 60 A 127.0.0.1\n",
		"a name of other zone": "@ 60 SOA ns h 1 2 3 4 5\nother.example. 60 A 192.0.2.1\n",
		"two SOAs":             "@ 60 SOA ns h 1 2 3 4 5\n@ 60 SOA ns h 2 2 3 4 5\n",
		"no record type":       "@ 60 NOTYPE x\n",
	} {
		if _, err := ParseZone("zone.example.", strings.NewReader(text), "test"); err == nil {
			t.Errorf("%s: no error", what)
		}
	}
}
