package resolve_test

import (
	"net/netip"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/miekg/dns"

	"kresd/internal/resolve"
)

// TestAddressOfANameServerFromGlue counts the questions to the zone in which a name
// server lies: none while the glue leads to a server that helps.
func TestAddressOfANameServerFromGlue(t *testing.T) {
	zs := func(glue string) zones {
		return basic(zones{
			"com.":        "one.com. NS ns.shared.net.\ntwo.com. NS ns.shared.net.\n",
			"net.":        "shared.net. NS ns.shared.net.\nns.shared.net. A " + glue + "\nshared.net. NS a.shared.net.\na.shared.net. A 192.0.2.2\n",
			"shared.net.": "shared.net. NS ns.shared.net.\nshared.net. NS a.shared.net.\nns.shared.net. A 192.0.2.1\na.shared.net. A 192.0.2.2\n",
			"one.com.":    "one.com. NS ns.shared.net.\nwww.one.com. A 192.0.2.10\n",
			"two.com.":    "two.com. NS ns.shared.net.\nwww.two.com. A 192.0.2.11\n",
		})
	}
	for _, tt := range []struct {
		name, glue string
		mode       resolve.Options
		lookups    bool
	}{
		{"right glue", "192.0.2.1", resolve.Options{}, false},
		{"glue of a server without the zone", "192.0.2.3", resolve.Options{}, true},
		{"strict", "192.0.2.1", resolve.Options{Strict: true}, true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t, zs(tt.glue))
				w.options = tt.mode
				w.reply = func(to netip.Addr, _ resolve.Question, m *dns.Msg) {
					if to == netip.MustParseAddr("192.0.2.3") {
						m.Rcode, m.Answer, m.Ns, m.Extra = dns.RcodeRefused, nil, nil, nil
					}
				}
				one, two := w.ask("www.one.com.", "A"), w.ask("www.two.com.", "A")
				sent := strings.Join(w.asked(), "\n")
				if one != "NOERROR; www.one.com. A 192.0.2.10" || two != "NOERROR; www.two.com. A 192.0.2.11" {
					t.Errorf("got %s and %s\n%s", one, two, sent)
				}
				if got := strings.Contains(sent, "192.0.2.2 ns.shared.net. A") || strings.Contains(sent, "192.0.2.1 ns.shared.net. A"); got != tt.lookups {
					t.Errorf("the zone was asked for the address: %v, want %v\n%s", got, tt.lookups, sent)
				}
			})
		})
	}
}
