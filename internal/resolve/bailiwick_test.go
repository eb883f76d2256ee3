package resolve_test

import (
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/miekg/dns"

	"kresd/internal/resolve"
)

// TestUnsolicitedRecords plays an authority that adds records nobody asked for,
// in every section, to answers of every kind (HARDENING, row A4). Nothing of them
// may reach the answer, what may be cached, or a known delegation.
func TestUnsolicitedRecords(t *testing.T) {
	const evil = "203.0.113.66"
	records := []string{
		"victim.net. A " + evil, "www.victim.net. A " + evil, "ns.net. A " + evil, "a.root. A " + evil,
		"net. NS ns.evil.com.", ". NS ns.evil.com.", "com. NS ns.evil.com.", "evil.com. NS other.evil.com.",
		"victim.net. NS ns.evil.com.", "www.victim.net. CNAME www.evil.com.", "net. DNAME evil.com.",
		"other.evil.com. A " + evil, "victim.net. SOA ns. host. 1 2 3 4 5", "net. DS 1 8 2 00112233445566778899AABBCCDDEEFF00112233445566778899AABBCCDDEEFF",
		"a.victim.net. NSEC z.victim.net. A", "www.victim.net. TXT evil",
	}
	kinds := map[string]string{ // what is asked of evil.com's server
		"positive": "www.evil.com.", "alias": "alias.evil.com.", "nxdomain": "none.evil.com.", "nodata": "text.evil.com.", "referral": "x.sub.evil.com.",
	}
	cases, accepted := 0, 0
	for _, record := range records {
		for kind, qname := range kinds {
			for section := range 3 {
				synctest.Test(t, func(t *testing.T) {
					cases++
					if bad := inject(t, record, qname, section); bad != "" {
						accepted++
						t.Errorf("%q in section %d of a %s answer: %s", record, section, kind, bad)
					}
				})
			}
		}
	}
	t.Logf("%d injections, %d records accepted", cases, accepted)
}

// inject asks evil.com with an extra record in its answers and tells what came of
// it, "" if nothing did.
func inject(t *testing.T, record, qname string, section int) (bad string) {
	w := newWorld(t, basic(zones{
		"com.":          "evil.com. NS ns.evil.com.\nns.evil.com. A 192.0.2.66\n",
		"evil.com.":     "evil.com. NS ns.evil.com.\nns.evil.com. A 192.0.2.66\nwww.evil.com. A 192.0.2.1\nalias.evil.com. CNAME www.evil.com.\ntext.evil.com. TXT x\nsub.evil.com. NS ns.sub.evil.com.\nns.sub.evil.com. A 192.0.2.67\n",
		"sub.evil.com.": "sub.evil.com. NS ns.sub.evil.com.\nns.sub.evil.com. A 192.0.2.67\nx.sub.evil.com. A 192.0.2.2\n",
		"net.":          "victim.net. NS ns.victim.net.\nns.victim.net. A 192.0.2.68\n",
		"victim.net.":   "victim.net. NS ns.victim.net.\nns.victim.net. A 192.0.2.68\nvictim.net. A 192.0.2.69\nwww.victim.net. A 192.0.2.70\n",
	}))
	rr, err := dns.NewRR(strings.Replace(record, " ", " 3600 ", 1))
	if err != nil {
		t.Fatal(err)
	}
	w.reply = func(to netip.Addr, _ resolve.Question, m *dns.Msg) {
		if to != netip.MustParseAddr("192.0.2.66") {
			return
		}
		s := []*[]dns.RR{&m.Answer, &m.Ns, &m.Extra}[section]
		*s = append([]dns.RR{rr}, *s...)
	}
	clean := newWorldOf(w).ask(qname, "A")
	if got := w.ask(qname, "A"); got != clean {
		bad += fmt.Sprintf("answer %s, clean %s; ", got, clean)
	}
	for _, cut := range w.cuts.kept {
		if c := w.cuts.m[mustName(cut)]; cut != "com." && cut != "evil.com." && cut != "sub.evil.com." || c.Find(mustName("other.evil.com.")) != nil {
			bad += "delegation of " + cut + " kept; "
		}
	}
	for name, want := range map[string]string{"victim.net.": "192.0.2.69", "www.victim.net.": "192.0.2.70"} {
		if got := w.ask(name, "A"); !strings.HasSuffix(got, want) {
			bad += fmt.Sprintf("%s is %s; ", name, got)
		}
	}
	return bad
}

func TestGlueModes(t *testing.T) {
	// a.com is delegated to a server below itself, to one below com, and to one
	// beyond; com's server gives addresses for all three, each a different one from
	// what the owner of the name says.
	zs := basic(zones{
		"com.":   "a.com. NS ns.a.com.\nns.a.com. A 192.0.2.1\nb.com. NS ns.c.com.\nc.com. NS ns.c.com.\nns.c.com. A 192.0.2.2\nd.com. NS ns.e.net.\n",
		"a.com.": "a.com. NS ns.a.com.\nns.a.com. A 192.0.2.1\nwww.a.com. A 192.0.2.101\n",
		"c.com.": "c.com. NS ns.c.com.\nns.c.com. A 192.0.2.2\n",
		"b.com.": "b.com. NS ns.c.com.\nwww.b.com. A 192.0.2.102\n",
		"net.":   "e.net. NS ns.e.net.\nns.e.net. A 192.0.2.3\n",
		"e.net.": "e.net. NS ns.e.net.\nns.e.net. A 192.0.2.3\n",
		"d.com.": "d.com. NS ns.e.net.\nwww.d.com. A 192.0.2.103\n",
	})
	tests := []struct {
		mode   resolve.Options
		name   string
		direct bool // the glue was used: no look-up of the name server
	}{
		{resolve.Options{Strict: true}, "www.a.com.", true}, {resolve.Options{}, "www.a.com.", true}, {resolve.Options{Permissive: true}, "www.a.com.", true},
		{resolve.Options{Strict: true}, "www.b.com.", false}, {resolve.Options{}, "www.b.com.", true}, {resolve.Options{Permissive: true}, "www.b.com.", true},
		{resolve.Options{Strict: true}, "www.d.com.", false}, {resolve.Options{}, "www.d.com.", false}, {resolve.Options{Permissive: true}, "www.d.com.", true},
	}
	for _, tt := range tests {
		synctest.Test(t, func(t *testing.T) {
			w := newWorld(t, zs)
			w.options = tt.mode
			w.reply = func(to netip.Addr, q resolve.Question, m *dns.Msg) {
				if to == netip.MustParseAddr("198.51.100.2") && q.Name == mustName("d.com.") {
					rr, _ := dns.NewRR("ns.e.net. 3600 A 192.0.2.3")
					m.Extra = append(m.Extra, rr)
				}
			}
			got := w.ask(tt.name, "A")
			sent := w.asked()
			if !strings.HasPrefix(got, "NOERROR") || (len(sent) == 3) != tt.direct {
				t.Errorf("options %+v, %s: got %s with %d questions, want glue used: %v", tt.mode, tt.name, got, len(sent), tt.direct)
			}
		})
	}
}

// TestDelegationsDoNotOutliveTheirParents holds that nothing a child says extends
// a delegation (ghost domains, row A6).
func TestDelegationsDoNotOutliveTheirParents(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, basic(zones{
			"com.":         "$TTL 60\nexample.com. NS ns.example.com.\nns.example.com. A 192.0.2.1\n",
			"example.com.": "$TTL 86400\nexample.com. NS ns.example.com.\nns.example.com. A 192.0.2.1\nwww.example.com. A 192.0.2.10\nsub.example.com. NS ns.sub.example.com.\nns.sub.example.com. A 192.0.2.2\n",
		}))
		w.reply = func(to netip.Addr, _ resolve.Question, m *dns.Msg) {
			if to == netip.MustParseAddr("192.0.2.1") && m.Authoritative {
				rr, _ := dns.NewRR("example.com. 86400 NS ns.example.com.")
				m.Ns = append(m.Ns, rr)
			}
		}
		r := w.request("www.example.com.", "A")
		w.driver.Resolve(t.Context(), r)
		deadline := w.cuts.m[mustName("example.com.")].Expires
		if deadline > r.Now+60 {
			t.Errorf("the delegation lives for %d s, want 60", deadline-r.Now)
		}
		w.ask("x.sub.example.com.", "A")
		if sub := w.cuts.m[mustName("sub.example.com.")]; sub == nil || sub.Expires > deadline {
			t.Errorf("the delegation below: got %+v, want it to end by %d", sub, deadline)
		}
	})
}
