package resolve_test

import (
	"context"
	"net/netip"
	"strings"
	"testing"

	"github.com/miekg/dns"

	"kresd/internal/limits"
	"kresd/internal/resolve"
)

// A denial that nothing supports, and that came in lower case as in mixed, was doubted anew by
// each question: its server was always asked twice.
func TestADenialThatWasDoubtedInVainIsBelievedForAWhile(t *testing.T) {
	for _, rcode := range []int{dns.RcodeNameError, dns.RcodeSuccess} {
		w := newWorld(t, basic(example("www.example.com. A 192.0.2.10\n")))
		w.reply = func(_ netip.Addr, q resolve.Question, m *dns.Msg) {
			if q.Name != mustName("www.example.com.") && q.Name.IsStrictlyBelow(mustName("example.com.")) {
				m.Rcode, m.Answer, m.Ns = rcode, nil, nil
			}
		}
		begin := w.request("none.example.com.", "A").Now
		for _, c := range []struct {
			what, name, qtype string
			after             int64 // seconds
			want              int   // questions for it
		}{
			{"at first", "none.example.com.", "A", 0, 2},
			{"once more", "none.example.com.", "A", 1, 1},
			{"another type", "none.example.com.", "AAAA", 2, 2},
			{"another name", "nothing.example.com.", "A", 3, 2},
			{"while it is remembered", "none.example.com.", "A", limits.CaselessLife - 1, 1},
			{"later", "none.example.com.", "A", limits.CaselessLife + 60, 2},
			{"by a clock that went back", "none.example.com.", "A", -60, 2},
		} {
			r := w.request(c.name, c.qtype)
			r.Now = begin + c.after
			w.asked()
			w.driver.Resolve(context.Background(), r)
			if got, want := r.Result.Rcode, rcode; int(got) != want {
				t.Errorf("%s: RCODE %d, want %d", c.what, got, want)
			}
			asked := 0
			for _, question := range w.asked() {
				if strings.HasSuffix(question, " "+c.name+" "+c.qtype) {
					asked++
				}
			}
			if asked != c.want {
				t.Errorf("RCODE %d, %s: asked %d times, want %d", rcode, c.what, asked, c.want)
			}
		}
	}
}
