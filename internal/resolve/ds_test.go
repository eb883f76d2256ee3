package resolve_test

import (
	"net/netip"
	"testing"

	"github.com/miekg/dns"

	"kresd/internal/resolve"
)

// Where a parent refers to the child even for DS, the child may say that there is
// none; a DS set of its own making is not taken (RFC 4035, section 3.1.4.1).
func TestAChildDoesNotTellItsDS(t *testing.T) {
	for _, forged := range []bool{false, true} {
		w := newWorld(t, basic(example("www.example.com. A 192.0.2.10\n")))
		record := func(text string) dns.RR {
			rr, err := dns.NewRR(text)
			if err != nil {
				t.Fatal(err)
			}
			return rr
		}
		w.reply = func(to netip.Addr, q resolve.Question, m *dns.Msg) {
			switch {
			case q.Type != dns.TypeDS:
			case to == netip.MustParseAddr("198.51.100.2"):
				m.Authoritative, m.Answer = false, nil
				m.Ns = []dns.RR{record("example.com. 3600 NS ns.example.com.")}
				m.Extra = []dns.RR{record("ns.example.com. 3600 A 192.0.2.1")}
			case forged:
				m.Answer, m.Ns = []dns.RR{record("example.com. 3600 DS 1 13 2 " + "00112233445566778899AABBCCDDEEFF00112233445566778899AABBCCDDEEFF")}, nil
			}
		}
		want := "NOERROR / example.com. SOA"
		if forged {
			want = "SERVFAIL"
		}
		if got := w.ask("example.com.", "DS"); got != want {
			t.Errorf("forged %v: got %s, want %s", forged, got, want)
		}
	}
}
