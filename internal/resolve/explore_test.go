package resolve_test

import (
	"context"
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/miekg/dns"

	"kresd/internal/authority"
	"kresd/internal/clock"
	"kresd/internal/resolve"
	"kresd/internal/selection"
	"kresd/internal/zonecut"
)

// exploring gives w a driver that explores, and a zone with a good server and
// another one that plays a rule.
func exploring(t *testing.T, rule authority.Rule) (w *world, servers *selection.Selector) {
	zone := "two.com. NS a.two.com.\ntwo.com. NS b.two.com.\na.two.com. A 198.51.100.11\nb.two.com. A 198.51.100.12\n"
	zs := basic(zones{"two.com.": zone + "*.two.com. A 192.0.2.1\n"})
	zs["com."] += zone
	w = newWorld(t, zs)
	servers = selection.New(selection.Config{Clock: clock.Real()})
	w.driver = resolve.NewDriver(resolve.Config{
		Layers: func() []*resolve.Layer { return w.layers }, Exchanger: w, Cuts: w.cuts,
		Servers: servers, Counters: &w.counters, Explore: true,
	})
	w.net.Host("198.51.100.12").Play(rule)
	servers.Answered(endpoint("198.51.100.11"), selection.Answer{RTT: time.Millisecond})
	return w, servers
}

// endpoint is a server that is asked in plain DNS.
func endpoint(addr string) zonecut.Endpoint {
	return zonecut.Endpoint{Addr: netip.AddrPortFrom(netip.MustParseAddr(addr), 53)}
}

func TestExploringCostsNoClientTime(t *testing.T) {
	w, servers := exploring(t, authority.Drop())
	silent := endpoint("198.51.100.12")
	start, asked := time.Now(), 0
	for ; servers.Host(silent).Timeouts == 0 && asked < 100000; asked++ {
		if got, want := w.ask(fmt.Sprintf("n%d.two.com.", asked), "A"), fmt.Sprintf("NOERROR; n%d.two.com. A 192.0.2.1", asked); got != want {
			t.Fatalf("got %s, want %s", got, want)
		}
		if time.Since(start) > 30*time.Second {
			t.Fatalf("after %d questions nothing is known of the other server", asked)
		}
	}
	n := 0
	for _, q := range w.asked() {
		if strings.HasPrefix(q, "198.51.100.12 ") {
			n++
		}
	}
	t.Logf("%d questions of clients, %d of them to the silent server too", asked, n)
	if most := 2 + int(time.Since(start)/time.Second); n > most {
		t.Errorf("%d questions in %v, want one a second", n, time.Since(start))
	}
}

func TestWhatExploringBringsIsNotUsed(t *testing.T) {
	w, servers := exploring(t, authority.Delay(5*time.Millisecond))
	w.reply = func(to netip.Addr, _ resolve.Question, m *dns.Msg) {
		if to.String() == "198.51.100.12" {
			for _, rr := range m.Answer {
				if a, ok := rr.(*dns.A); ok {
					a.A = []byte{192, 0, 2, 66}
				}
			}
		}
	}
	other := endpoint("198.51.100.12")
	sent := 0
	for i := 0; !func() bool { h := servers.Host(other); return h.Known() }(); i++ {
		r := w.request(fmt.Sprintf("n%d.two.com.", i), "A")
		w.driver.Resolve(context.Background(), r)
		if got, want := show(&r.Result), fmt.Sprintf("NOERROR; n%d.two.com. A 192.0.2.1", i); got != want {
			t.Fatalf("got %s, want %s", got, want)
		}
		sent += r.Budget.Sent()
	}
	if n := len(w.asked()); sent > n {
		t.Errorf("%d questions were debited, %d sent", sent, n)
	}
}
