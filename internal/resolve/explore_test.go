package resolve_test

import (
	"context"
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/miekg/dns"

	"kresd/internal/authority"
	"kresd/internal/clock"
	"kresd/internal/limits"
	"kresd/internal/resolve"
	"kresd/internal/selection"
	"kresd/internal/wire"
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

// A server was asked, only to learn about it, when the client had its answer already: where
// the machine was busy, long after it.
func TestExploringLeavesBeforeTheAnswer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w, servers := exploring(t, authority.Drop())
		explored := 0
		for i := 0; explored < 3; i++ {
			before := servers.Host(endpoint("198.51.100.12")).Timeouts
			w.ask(fmt.Sprintf("n%d.two.com.", i), "A")
			w.asked()
			synctest.Wait()
			if late := w.asked(); len(late) > 0 {
				t.Fatalf("after the answer: %q", late)
			}
			time.Sleep(3 * time.Second)
			if servers.Host(endpoint("198.51.100.12")).Timeouts > before {
				explored++
			}
			if i > 100000 {
				t.Fatal("nothing is explored")
			}
		}
	})
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
		if i > 10000 {
			t.Fatal("nothing is known of the other server")
		}
	}
	if n := len(w.asked()); sent > n {
		t.Errorf("%d questions were debited, %d sent", sent, n)
	}
}

// failing fails towards one server, after a call of meanwhile.
type failing struct {
	*world
	addr      netip.Addr
	reply     resolve.Reply
	err       error
	meanwhile func()
	waits     chan time.Duration // how long an answer of the server is waited for
}

func (f *failing) Exchange(ctx context.Context, x resolve.Exchange) (resolve.Reply, error) {
	if x.Addr.Addr() != f.addr {
		return f.world.Exchange(ctx, x)
	}
	if f.meanwhile != nil {
		f.meanwhile()
	}
	f.waits <- x.Timeout
	return f.reply, f.err
}

// What exploring finds out is reported for what it is: that is all that it is for.
func TestWhatExploringFindsIsReported(t *testing.T) {
	timedOut := func(h selection.Host) bool { return h.Timeouts == 1 && h.DeadUntil == 0 }
	dead := func(h selection.Host) bool { return h.DeadUntil > 0 }
	withoutTCP := func(h selection.Host) bool {
		return h.Cannot(clock.Real().Boot()) == selection.NoTCP && h.Timeouts == 0 && h.DeadUntil == 0
	}
	nothing := func(h selection.Host) bool {
		return h.Timeouts == 0 && h.DeadUntil == 0 && h.Cannot(clock.Real().Boot()) == 0 && !h.Known()
	}
	for what, tt := range map[string]struct {
		reply resolve.Reply
		err   error
		ended bool // the worker ends meanwhile
		want  func(selection.Host) bool
	}{
		"an answer":         {resolve.Reply{RTT: time.Millisecond, Msg: new(wire.Msg)}, nil, false, func(h selection.Host) bool { return h.SRTT == time.Millisecond }},
		"silence":           {resolve.Reply{}, resolve.ErrTimeout, false, timedOut},
		"unreachable":       {resolve.Reply{}, resolve.ErrUnreachable, false, dead},
		"silence over TCP":  {resolve.Reply{TCP: true}, resolve.ErrTimeout, false, withoutTCP},
		"no TCP":            {resolve.Reply{TCP: true}, resolve.ErrUnreachable, false, withoutTCP},
		"no socket":         {resolve.Reply{}, resolve.ErrLocal, false, nothing},
		"no socket for TCP": {resolve.Reply{TCP: true}, resolve.ErrLocal, false, nothing},
		"busy":              {resolve.Reply{}, resolve.ErrBusy, false, nothing},
		"no budget":         {resolve.Reply{TCP: true}, resolve.ErrBudget, false, nothing},
		"the worker's end":  {resolve.Reply{}, resolve.ErrTimeout, true, nothing},
	} {
		t.Run(what, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w, servers := exploring(t, authority.Drop())
				ctx, cancel := context.WithCancel(context.Background())
				defer cancel()
				other := endpoint("198.51.100.12")
				f := &failing{world: w, addr: other.Addr.Addr(), reply: tt.reply, err: tt.err, waits: make(chan time.Duration, 1)}
				if tt.ended {
					f.meanwhile = cancel
				}
				w.driver = resolve.NewDriver(resolve.Config{
					Layers: func() []*resolve.Layer { return w.layers }, Exchanger: f, Cuts: w.cuts,
					Servers: servers, Counters: &w.counters, Explore: true, Context: ctx,
				})
				for i := range 1000 {
					w.ask(fmt.Sprintf("n%d.two.com.", i), "A")
					synctest.Wait()
					if len(f.waits) > 0 {
						break
					}
				}
				if got := <-f.waits; got != limits.UDPMaxTimeout { // nobody waits, and slow is not dead
					t.Errorf("waited %v, want %v", got, limits.UDPMaxTimeout)
				}
				if h := servers.Host(other); !tt.want(h) {
					t.Errorf("learnt: %+v", h)
				}
			})
		})
	}
}
