package resolve_test

import (
	"context"
	"fmt"
	"net/netip"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/miekg/dns"

	"kresd/internal/authority"
	"kresd/internal/ede"
	"kresd/internal/limits"
	"kresd/internal/resolve"
	"kresd/internal/wire"
	"kresd/internal/zonecut"
)

// Of 400 equal questions whose answer took a second, 299 got none: who waits for an answer
// costs next to nothing.
func TestEqualQuestionsAreAskedOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, basic(example("www.example.com. A 192.0.2.10\n")))
		w.net.Host("192.0.2.1").Play(authority.Delay(100 * time.Millisecond))
		const clients = 5000
		var answered, dropped, wrong atomic.Int32
		var wg sync.WaitGroup
		for range clients {
			wg.Go(func() {
				r := w.request("www.example.com.", "A")
				w.driver.Resolve(t.Context(), r)
				switch {
				case r.Result.Drop:
					dropped.Add(1)
				case show(&r.Result) == "NOERROR; www.example.com. A 192.0.2.10":
					answered.Add(1)
				default:
					wrong.Add(1)
				}
			})
		}
		wg.Wait()
		sent := len(w.asked())
		t.Logf("%d equal questions: %d sent upstream, %d answered, %d to ask again", clients, sent, answered.Load(), dropped.Load())
		if sent != 3 || wrong.Load() != 0 || dropped.Load() != 0 || answered.Load() != clients {
			t.Errorf("got %d sent, %d answered, %d wrong, %d dropped; want 3, and all answered", sent, answered.Load(), wrong.Load(), dropped.Load())
		}
	})
}

func TestDifferentRequestsAreNotJoined(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, basic(example("www.example.com. A 192.0.2.10\n")))
		w.ask("example.com.", "NS")
		w.asked()
		w.net.Host("192.0.2.1").Play(authority.Delay(20 * time.Millisecond))
		var wg sync.WaitGroup
		for _, change := range []func(*resolve.Request){
			func(*resolve.Request) {}, func(r *resolve.Request) { r.CD = true }, func(r *resolve.Request) { r.Join = "rule 1" },
			func(r *resolve.Request) { r.Options = resolve.Options{BypassCache: true} }, func(r *resolve.Request) { r.Alone = true },
		} {
			wg.Go(func() {
				r := w.request("www.example.com.", "A")
				change(r)
				w.driver.Resolve(t.Context(), r)
			})
		}
		wg.Wait()
		if got := len(w.asked()); got != 5 {
			t.Errorf("got %d questions upstream, want 5", got)
		}
	})
}

// With a verbose log, every client's question went upstream on its own, with a
// forger's chances multiplied by it.
func TestRequestsThatAreReadAlongAreJoined(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, basic(example("www.example.com. A 192.0.2.10\n")))
		w.trace = true
		w.ask("example.com.", "NS")
		w.asked()
		w.net.Host("192.0.2.1").Play(authority.Delay(20 * time.Millisecond))
		var wg sync.WaitGroup
		for range 20 {
			wg.Go(func() { w.ask("www.example.com.", "A") })
		}
		wg.Wait()
		if got := w.asked(); len(got) != 1 {
			t.Errorf("asked %q, want one question", got)
		}
	})
}

func TestFollowerLeavesAndLeaderGoesOn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, basic(example("www.example.com. A 192.0.2.10\n")))
		w.net.Host("192.0.2.1").Play(authority.Delay(300 * time.Millisecond))
		gone, leave := context.WithCancel(t.Context())
		results := make([]*resolve.Request, 3)
		var wg sync.WaitGroup
		for i, ctx := range []context.Context{gone, gone, t.Context()} { // the first one leads
			results[i] = w.request("www.example.com.", "A")
			wg.Go(func() { w.driver.Resolve(ctx, results[i]) })
			synctest.Wait()
		}
		leave()
		wg.Wait()
		if got := results[1].Result.Rcode; got != wire.RcodeServFail {
			t.Errorf("the follower that left: got %s, want SERVFAIL", dns.RcodeToString[got])
		}
		if got := show(&results[2].Result); !strings.Contains(got, "192.0.2.10") {
			t.Errorf("the follower that stayed: got %s", got)
		}
	})
}

func TestPanicInALayer(t *testing.T) {
	hooks := map[string]*resolve.Layer{
		"begin":    {Begin: func(*resolve.Request) resolve.State { panic("begin") }},
		"produce":  {Produce: func(*resolve.Request, *resolve.Query) resolve.State { panic("produce") }},
		"checkout": {Checkout: func(*resolve.Request, *resolve.Query) resolve.State { panic("checkout") }},
		"consume":  {Consume: func(*resolve.Request, *resolve.Query, *wire.Msg) resolve.State { panic("consume") }},
		"finalize": {Finalize: func(*resolve.Request) { panic("finalize") }},
		"finish":   {Finish: func(*resolve.Request) { panic("finish") }},
	}
	for name, layer := range hooks {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t, basic(example("www.example.com. A 192.0.2.10\n")))
				w.net.Host("198.51.100.1").Play(authority.Delay(50 * time.Millisecond))
				var finished atomic.Int32
				w.layers = append(w.layers, layer, &resolve.Layer{Finish: func(*resolve.Request) { finished.Add(1) }})
				var wg sync.WaitGroup
				for range 3 {
					wg.Go(func() {
						if got := w.ask("www.example.com.", "A"); got != "SERVFAIL" {
							t.Errorf("got %s, want SERVFAIL", got)
						}
					})
					synctest.Wait()
				}
				wg.Wait() // a panicking leader must not leave its followers waiting
				if w.driver.Panics() == 0 || finished.Load() != 3 {
					t.Errorf("got %d panics counted and %d requests finished, want some and 3", w.driver.Panics(), finished.Load())
				}
			})
		})
	}
}

func TestDeadline(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var com, zone strings.Builder
		for i := range 13 {
			fmt.Fprintf(&com, "example.com. NS ns%d.example.com.\nns%d.example.com. A 192.0.2.%d\n", i, i, 100+i)
		}
		zone.WriteString(com.String())
		w := newWorld(t, basic(zones{"com.": com.String(), "example.com.": zone.String()}))
		for i := range 13 {
			w.net.Host(fmt.Sprintf("192.0.2.%d", 100+i)).Play(authority.Drop())
		}
		start := time.Now()
		r := w.request("www.example.com.", "A")
		w.driver.Resolve(t.Context(), r)
		took := time.Since(start)
		t.Logf("13 silent servers: SERVFAIL after %v and %d questions", took, len(w.asked()))
		if r.Result.Rcode != wire.RcodeServFail || r.Result.EDE != 22 || took > limits.RequestDeadline {
			t.Errorf("got rcode %d, EDE %d after %v", r.Result.Rcode, r.Result.EDE, took)
		}
		// Once all are known to be dead, questions fail at once.
		for i := 1; ; i++ {
			start = time.Now()
			w.ask(fmt.Sprintf("n%d.example.com.", i), "A")
			if took := time.Since(start); took <= 3*time.Second {
				t.Logf("question %d for the zone failed after %v", i+1, took)
				break
			}
			if i == 4 {
				t.Fatal("dead servers are asked again and again")
			}
		}
	})
}

// TestFanOut plays delegations that make a resolver work for its attacker
// (NXNSAttack, NRDelegation, CAMP) and prints what one question costs.
func TestFanOut(t *testing.T) {
	glueless := func(n int, target string) string {
		var b strings.Builder
		for i := range n {
			fmt.Fprintf(&b, "evil.com. NS ns%d.%s\n", i, target)
		}
		return b.String()
	}
	victim := zones{"net.": "victim.net. NS ns.victim.net.\nns.victim.net. A 192.0.2.50\n", "victim.net.": "victim.net. NS ns.victim.net.\nns.victim.net. A 192.0.2.50\n"}
	// Every name server of evil1 lies in evil2, and so on.
	deep := zones{}
	for i := range 10 {
		for j := range 10 {
			deep["com."] += fmt.Sprintf("evil%d.com. NS ns%d.evil%d.com.\n", i, j, i+1)
		}
	}
	self := zones{"com.": "evil.com. NS a.evil.com.\nevil.com. NS b.evil.com.\n"}
	camp := zones{}
	for i := range 14 {
		camp["com."] += fmt.Sprintf("evil%d.com. NS ns.evil%d.com.\nns.evil%d.com. A 192.0.2.60\n", i, i, i)
		camp[fmt.Sprintf("evil%d.com.", i)] = fmt.Sprintf("evil%d.com. NS ns.evil%d.com.\nns.evil%d.com. A 192.0.2.60\na.b.c.d.e.f.g.h.evil%d.com. CNAME a.b.c.d.e.f.g.h.evil%d.com.\n", i, i, i, i, i+1)
	}
	tests := []struct {
		name   string
		zones  zones
		qname  string
		atMost int
	}{
		{"200 glueless names of a victim", merge(victim, zones{"com.": glueless(200, "victim.net.")}), "www.evil.com.", 30},
		{"10 names that depend on 10 each", deep, "www.evil0.com.", 60},
		{"name servers below themselves without glue", self, "www.evil.com.", 5},
		{"aliases times minimisation", camp, "a.b.c.d.e.f.g.h.evil0.com.", limits.MaxUpstreamPerRequest},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t, basic(tt.zones))
				got := w.ask(tt.qname, "A")
				sent := w.asked()
				t.Logf("%s: %d questions upstream for one from a client", tt.name, len(sent))
				if !strings.HasPrefix(got, "SERVFAIL") {
					t.Errorf("got %s, want SERVFAIL", got)
				}
				if len(sent) > tt.atMost {
					t.Errorf("%d questions, want at most %d:\n%s", len(sent), tt.atMost, strings.Join(sent, "\n"))
				}
			})
		})
	}
}

func TestYield(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, basic(example("www.example.com. A 192.0.2.10\nhelp.example.com. TXT ready\n")))
		var sub *resolve.Query
		calls := 0
		w.layers = append(w.layers, &resolve.Layer{Consume: func(r *resolve.Request, q *resolve.Query, _ *wire.Msg) resolve.State {
			if q != r.Root() || q.Outcome.Kind != resolve.Positive {
				return resolve.Consume
			}
			calls++
			if sub == nil {
				var err error
				sub, err = r.Push(q, resolve.Question{Name: mustName("help.example.com."), Type: wire.TypeTXT, Class: wire.ClassIN}, q.Options)
				if err != nil {
					t.Fatal(err)
				}
				return resolve.Yield
			}
			if !sub.Solved || len(sub.Outcome.Answer) != 1 {
				t.Errorf("the sub-query came back as %+v", sub.Outcome)
			}
			return resolve.Consume
		}})
		if got := w.ask("www.example.com.", "A"); !strings.Contains(got, "192.0.2.10") || calls != 2 {
			t.Errorf("got %s after %d calls of the hook", got, calls)
		}
	})
}

// A plan that remembers tells what it came through, the deepest first, and when.
func TestAPlanRemembersWhatWasSolved(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, basic(example("www.example.com. A 192.0.2.10\nhelp.example.com. TXT ready\n")))
		w.layers = append(w.layers, &resolve.Layer{Produce: func(r *resolve.Request, q *resolve.Query) resolve.State {
			if q != r.Root() || r.Vars["asked"] != nil {
				return resolve.Produce
			}
			r.Vars = map[any]any{"asked": true}
			if _, err := r.Push(q, resolve.Question{Name: mustName("help.example.com."), Type: wire.TypeTXT, Class: wire.ClassIN}, q.Options); err != nil {
				t.Fatal(err)
			}
			return resolve.Yield
		}})
		for _, remember := range []bool{true, false} {
			r := w.request("www.example.com.", "A")
			r.Plan.Remember = remember
			w.driver.Resolve(context.Background(), r)
			var names []string
			for _, q := range r.Plan.Solved() {
				names = append(names, q.Name.String())
			}
			want := ""
			if remember {
				want = "help.example.com. www.example.com."
			}
			if got := strings.Join(names, " "); got != want || len(r.Plan.Pending()) != 0 {
				t.Errorf("remember %v: got %q, want %q; pending %v", remember, got, want, r.Plan.Pending())
			}
			if q := r.Root(); q.Begun.IsZero() == remember || q.Sent.IsZero() == remember || q.Sent.Before(q.Begun) {
				t.Errorf("remember %v: begun at %v, sent at %v", remember, q.Begun, q.Sent)
			}
		}
	})
}

func TestYieldForNothingFails(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, basic(nil))
		w.layers = append(w.layers, &resolve.Layer{Produce: func(*resolve.Request, *resolve.Query) resolve.State { return resolve.Yield }})
		if got := w.ask("com.", "NS"); got != "SERVFAIL" {
			t.Errorf("got %s, want SERVFAIL", got)
		}
	})
}

func TestProducedAliasIsFollowed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, basic(example("www.example.com. A 192.0.2.10\n")))
		from, to := mustName("alias.test."), mustName("www.example.com.")
		w.layers = append([]*resolve.Layer{{Produce: func(_ *resolve.Request, q *resolve.Query) resolve.State {
			if q.Name != from {
				return resolve.Produce
			}
			q.Outcome = resolve.Outcome{Kind: resolve.Alias, Target: to, Cached: true, Answer: []resolve.Set{{RRset: wire.RRset{
				Owner: from, Type: wire.TypeCNAME, Class: wire.ClassIN, TTL: 60, Data: [][]byte{[]byte(to)},
			}}}}
			return resolve.Done
		}}}, w.layers...)
		if got, want := w.ask("alias.test.", "A"), "NOERROR; alias.test. CNAME www.example.com.; www.example.com. A 192.0.2.10"; got != want {
			t.Errorf("got %s, want %s", got, want)
		}
	})
}

func TestForwarding(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, basic(example("www.example.com. A 192.0.2.10\nalias.example.com. CNAME www.example.com.\n")))
		cut := &zonecut.Cut{Name: mustName("."), Hints: true, NS: []zonecut.NameServer{{Name: mustName("forwarder."), Addrs: []netip.Addr{netip.MustParseAddr("192.0.2.1")}}}}
		r := w.request("alias.example.com.", "A")
		r.Cut, r.Options = cut, resolve.Options{Forward: true}
		w.driver.Resolve(t.Context(), r)
		if got := show(&r.Result); got != "NOERROR; alias.example.com. CNAME www.example.com.; www.example.com. A 192.0.2.10" {
			t.Errorf("got %s", got)
		}
		if got := w.asked(); len(got) != 1 || got[0] != "192.0.2.1 alias.example.com. A" {
			t.Errorf("got questions %v, want the whole one at the forwarder", got)
		}
		if len(w.cuts.kept) != 0 {
			t.Errorf("a forwarder's delegations were kept: %v", w.cuts.kept)
		}
	})
}

func TestChangedDelegation(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, basic(example("www.example.com. A 192.0.2.10\n")))
		// The cache knows servers that have the zone no longer.
		name := mustName("example.com.")
		w.cuts.m[name] = &zonecut.Cut{Name: name, Expires: time.Now().Unix() + 1000, NS: []zonecut.NameServer{{Name: mustName("old.net."), Addrs: []netip.Addr{netip.MustParseAddr("198.51.100.3")}}}}
		if got := w.ask("www.example.com.", "A"); got != "NOERROR; www.example.com. A 192.0.2.10" {
			t.Errorf("got %s\n%s", got, strings.Join(w.asked(), "\n"))
		}
	})
}

// TestSendsAreBounded plays servers that always want to be asked again, and
// counts what one question costs (HARDENING, row B5).
func TestSendsAreBounded(t *testing.T) {
	formerr := authority.Rcode(dns.RcodeFormatError)
	rules := map[string]authority.Rule{
		"lame": authority.Lame(), "refuses": authority.Rcode(dns.RcodeRefused), "fails": authority.Rcode(dns.RcodeServerFailure),
		"formerr": formerr, "notimp": authority.Rcode(dns.RcodeNotImplemented), "badvers": func(x *authority.Exchange) {
			authority.Rcode(dns.RcodeBadVers)(x)
			x.Reply.SetEdns0(1232, true)
		},
		"silent": authority.Drop(), "truncates": func(x *authority.Exchange) { x.Reply.Truncated = true; x.Reply.Answer = nil },
		"alternates": func(x *authority.Exchange) {
			switch x.N % 4 {
			case 0:
				formerr(x)
			case 1:
				authority.Lame()(x)
			case 2:
				authority.Rcode(dns.RcodeServerFailure)(x)
			case 3:
				x.Reply = nil
			}
		},
	}
	var ns strings.Builder
	for i := range 13 {
		fmt.Fprintf(&ns, "example.com. NS ns%d.example.com.\nns%d.example.com. A 192.0.2.%d\n", i, i, 100+i)
	}
	for name, rule := range rules {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t, basic(zones{"com.": ns.String(), "example.com.": ns.String()}))
				for i := range 13 {
					w.net.Host(fmt.Sprintf("192.0.2.%d", 100+i)).Play(rule)
				}
				got := w.ask("a.b.c.example.com.", "A")
				sent := len(w.asked())
				t.Logf("13 servers, each %s: %d questions", name, sent)
				if got != "SERVFAIL" || sent > 2+limits.MaxUpstreamPerFetch {
					t.Errorf("got %s with %d questions", got, sent)
				}
			})
		})
	}
}

func TestExtendedErrors(t *testing.T) {
	tests := []struct {
		name string
		set  func(*world)
		ede  ede.Code
	}{
		{"no root is known", func(w *world) { clear(w.cuts.m) }, 14},
		{"the root is silent", func(w *world) { w.net.Host("198.51.100.1").Play(authority.Drop()) }, 22},
		{"the root is lame", func(w *world) { w.net.Host("198.51.100.1").Play(authority.Rcode(dns.RcodeRefused)) }, 22},
		{"all is well", func(*world) {}, ede.None},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t, basic(nil))
				tt.set(w)
				r := w.request("com.", "NS")
				w.driver.Resolve(t.Context(), r)
				if r.Result.EDE != tt.ede {
					t.Errorf("got %d, want %d (%s)", r.Result.EDE, tt.ede, show(&r.Result))
				}
				if failed := tt.ede != ede.None; r.Result.NoCache != failed {
					t.Errorf("kept: got %v, want %v", !r.Result.NoCache, !failed)
				}
			})
		})
	}
}
