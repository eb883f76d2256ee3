package resolve_test

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/miekg/dns"

	"kresd/internal/authority"
	"kresd/internal/ede"
	"kresd/internal/explain"
	"kresd/internal/limits"
	"kresd/internal/resolve"
	"kresd/internal/wire"
	"kresd/internal/zonecut"
)

// What a client is told about a failure (RFC 8914, section 4).
func TestFailuresAreExplained(t *testing.T) {
	refuse := authority.Rcode(dns.RcodeRefused)
	servers := func(n int, addrs string, rules ...authority.Rule) func(w *world) {
		return func(w *world) {
			cut := &zonecut.Cut{Name: mustName("example.com."), Expires: 1 << 40}
			for i := range n {
				a := fmt.Sprintf(addrs, i+1)
				cut.NS = append(cut.NS, zonecut.NameServer{Name: mustName(fmt.Sprintf("ns%d.example.com.", i+1)), Addrs: []netip.Addr{netip.MustParseAddr(a)}})
				if h := w.net.Host(a); h != nil {
					h.Play(rules[min(i, len(rules)-1)])
				}
			}
			w.cuts.m[cut.Name] = cut
			w.cuts.m["\x03com\x00"] = cut
		}
	}
	for _, tt := range []struct {
		name string
		set  func(*world)
		ede  ede.Code
		text string
	}{
		{"lame", func(w *world) { w.net.Host("192.0.2.1").Play(authority.Lame()) }, 22, "lame delegation of example.com.: 1 of 1 address answered without authority"},
		{"refusing", func(w *world) { w.net.Host("192.0.2.1").Play(refuse) }, 22, "lame delegation of example.com.: 1 of 1 address answered REFUSED"},
		{"failing", func(w *world) { w.net.Host("192.0.2.1").Play(authority.Rcode(dns.RcodeServerFailure)) }, 23, "no server of example.com. answers without an error: 1 of 1 address answered SERVFAIL"},
		{"failing below DNS", func(w *world) {
			servers(4, "192.0.2.%d", authority.Rcode(dns.RcodeServerFailure))(w)
			w.erring = map[netip.Addr]string{}
			for i, did := range []string{"hung up", "said no", "hung up"} {
				w.erring[netip.AddrFrom4([4]byte{192, 0, 2, byte(2 + i)})] = did
			}
		}, 23, "no server of example.com. answers without an error: 1 of 4 addresses answered SERVFAIL, 2 hung up, 1 said no"},
		{"refusing, with another that is silent", servers(2, "192.0.2.%d", refuse), 22, "lame delegation of example.com.: 1 of 2 addresses answered REFUSED, 1 did not answer"},
		{"without an address", func(w *world) {
			w.cuts.m["\x03com\x00"] = &zonecut.Cut{Name: "\x03com\x00", Expires: 1 << 40, NS: []zonecut.NameServer{{Name: mustName("ns.com.")}}}
		}, 22, "no address of a server of com. was found"},
		{"on loopback", servers(1, "127.0.0.%d"), 22, "no server of example.com. has an address that may be asked"},
		{"IPv6 only without IPv6", func(w *world) { servers(1, "2001:db8::%d")(w); w.options.NoIPv6 = true }, 22, "no server of example.com. has an address of IPv4, and no other may be used"},
		{"no family of addresses", func(w *world) { w.options.NoIPv4 = true; w.options.NoIPv6 = true }, 14, "neither IPv4 nor IPv6 may be used"},
		{"a forwarder that refuses", func(w *world) {
			cut := &zonecut.Cut{Name: "\x00", Hints: true, NS: []zonecut.NameServer{{Name: mustName("192\\.0\\.2\\.1."), Addrs: []netip.Addr{netip.MustParseAddr("192.0.2.1")}}}}
			w.net.Host("192.0.2.1").Play(refuse)
			w.layers = append(w.layers, &resolve.Layer{Begin: func(r *resolve.Request) resolve.State {
				r.Options.Forward, r.Cut = true, cut
				return resolve.Produce
			}})
		}, 22, "no forwarder gives an answer: 1 of 1 address answered REFUSED"},
		{"silent", func(w *world) { w.net.Host("192.0.2.1").Play(authority.Drop()) }, 22, "no server of example.com. answers"},
		{"silent root", func(w *world) { w.net.Host("198.51.100.1").Play(authority.Drop()) }, 22, "no server of . answers"},
		{"unreachable", func(w *world) { w.unreachable = netip.MustParseAddr("192.0.2.1") }, 23, "no server of example.com. can be reached"},
		{"without the outgoing address", func(w *world) { w.noRoute, w.lost = netip.Addr.Is4, netip.MustParseAddr("192.0.2.77") }, 23, "no socket can be bound to 192.0.2.77, the outgoing address"},
		{"without the outgoing address, over TCP", func(w *world) {
			w.noRoute, w.lost, w.options.TCPOnly = netip.Addr.Is4, netip.MustParseAddr("192.0.2.77"), true
		}, 23,
			"no socket can be bound to 192.0.2.77, the outgoing address"},
		{"without the outgoing address, and silent for IPv6", func(w *world) {
			servers(1, "192.0.2.%d1")(w)
			ns := w.cuts.m["\x03com\x00"].NS
			ns[0].Addrs = append(ns[0].Addrs, netip.MustParseAddr("2001:db8::99"))
			w.noRoute, w.lost = netip.Addr.Is4, netip.MustParseAddr("192.0.2.77")
		}, 23, "no socket can be bound to 192.0.2.77, the outgoing address"},
		{"no root known", func(w *world) { delete(w.cuts.m, "\x00") }, 14, "no root servers are known"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t, basic(example("www.example.com. A 192.0.2.10\n")))
				tt.set(w)
				r := w.request("www.example.com.", "A")
				w.driver.Resolve(context.Background(), r)
				res := &r.Result
				if res.Rcode != dns.RcodeServerFailure || res.EDE != tt.ede || res.EDEText != tt.text || res.Failure == nil {
					t.Errorf("rcode %d, extended error %d %q, failure %v; want SERVFAIL, %d %q", res.Rcode, res.EDE, res.EDEText, res.Failure, tt.ede, tt.text)
				}
				if ede, text := resolve.Explain(res.Failure); ede != tt.ede || text != tt.text {
					t.Errorf("explained as %d %q", ede, text)
				}
			})
		})
	}
}

// Of a forwarder that gives no answer it is told what was tried, and why that failed, and the
// same to whoever asks while it is left alone.
func TestADeadForwarderIsNamed(t *testing.T) {
	for name, tt := range map[string]struct {
		set  func(*world)
		did  string
		code ede.Code
		what string
	}{
		"silent":      {func(w *world) { w.net.Host("192.0.2.1").Play(authority.Drop()) }, "did not answer", 22, "answers"},
		"unreachable": {func(w *world) { w.unreachable = netip.MustParseAddr("192.0.2.1") }, "could not be reached", 23, "can be reached"},
	} {
		synctest.Test(t, func(t *testing.T) {
			w := newWorld(t, basic(example("www.example.com. A 192.0.2.10\n")))
			tt.set(w)
			cut := &zonecut.Cut{Name: "\x00", Hints: true, NS: []zonecut.NameServer{{Name: mustName("192\\.0\\.2\\.1."), Addrs: []netip.Addr{netip.MustParseAddr("192.0.2.1")}}}}
			w.layers = append(w.layers, &resolve.Layer{Begin: func(r *resolve.Request) resolve.State {
				r.Options.Forward, r.Cut = true, cut
				return resolve.Produce
			}})
			asked, alone := "no forwarder "+tt.what+": 192.0.2.1@53 "+tt.did, "no forwarder answers: 192.0.2.1@53 "+tt.did+" just now and is left alone for a moment"
			seen := map[string]bool{}
			for i := range 20 {
				r := w.request(fmt.Sprintf("www%d.example.com.", i), "A")
				w.driver.Resolve(context.Background(), r)
				seen[r.Result.EDEText] = true
				if text := r.Result.EDEText; !strings.HasPrefix(text, asked) && text != alone && !strings.HasPrefix(text, "no forwarder answers: 192.0.2.1@53 "+tt.did) || r.Result.EDE != tt.code && r.Result.EDE != 22 {
					t.Fatalf("%s, question %d: extended error %d %q; want %q or %q", name, i, r.Result.EDE, text, asked, alone)
				}
			}
			if !seen[asked] || !seen[alone] {
				t.Errorf("%s: not told: %q, %q; told: %v", name, asked, alone, seen)
			}
		})
	}
}

// Of many useless servers only a few are asked (HARDENING B5), which is told as
// it is, the second time too, when the delegation is known and the parent is asked
// for another one.
func TestServersThatWereNotAskedAreNotBlamed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		servers := manyServers(13)
		for i := range 13 {
			second := fmt.Sprintf("ns%d.example.com. A 192.0.2.%d\n", i, 131+i)
			servers["com."] += second
			servers["example.com."] += second
		}
		w := newWorld(t, basic(servers))
		for i := range 13 {
			for _, first := range []int{101, 131} {
				w.net.Host(fmt.Sprintf("192.0.2.%d", first+i)).Play(authority.Rcode(dns.RcodeRefused))
			}
		}
		// When all addresses are known to refuse, few are asked to find out whether they
		// still do.
		for _, enough := range []int{limits.UselessPerZone, limits.UselessPerZone, limits.RefusalsPerZone} {
			r := w.request("www.example.com.", "A")
			var story strings.Builder
			r.Tell = func(_ *resolve.Query, step resolve.Step) { fmt.Fprintln(&story, explain.Words(step).Text) }
			w.driver.Resolve(context.Background(), r)
			text := r.Result.EDEText
			var refused, unasked int
			if _, err := fmt.Sscanf(text, "lame delegation of example.com.: %d of 26 addresses answered REFUSED, %d not asked", &refused, &unasked); err != nil || refused < enough || refused > enough+limits.RefusalsPerZone || refused+unasked != 26 || r.Result.EDE != 22 || !strings.HasSuffix(text, ", limit useless_servers") {
				t.Errorf("%d %q", r.Result.EDE, text)
			}
			for _, want := range []string{fmt.Sprint(enough, " useless answers are enough: no more servers of example.com. are asked"), " is of no use: REFUSED\n", strings.TrimSuffix(text, ", limit useless_servers") + "\n"} {
				if !strings.Contains(story.String(), want) {
					t.Errorf("not told: %s", want)
				}
			}
			if strings.Contains(story.String(), "no zone cut at") {
				t.Errorf("a refusal taken for the absence of a zone cut:\n%s", &story)
			}
		}
	})
}

// A layer that cannot go on says why; the client is told that of its own question,
// and nothing of why a question failed that was only asked on the way.
func TestAFailureOfASubQueryIsNotTold(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, basic(example("www.example.com. A 192.0.2.10\nhelp.example.com. TXT ready\n")))
		help := mustName("help.example.com.")
		refused := &resolve.Failure{EDE: ede.Prohibited, Text: "not that name"}
		var sub *resolve.Query
		w.layers = append(w.layers, &resolve.Layer{
			Name: "strict",
			Produce: func(r *resolve.Request, q *resolve.Query) resolve.State {
				if q.Name == help {
					return r.Fail(refused)
				}
				return resolve.Produce
			},
			Consume: func(r *resolve.Request, q *resolve.Query, _ *wire.Msg) resolve.State {
				if q != r.Root() || q.Outcome.Kind != resolve.Positive || sub != nil {
					return resolve.Consume
				}
				sub, _ = r.Push(q, resolve.Question{Name: help, Type: wire.TypeTXT, Class: wire.ClassIN}, q.Options)
				return resolve.Yield
			},
		})
		r := w.request("www.example.com.", "A")
		w.driver.Resolve(t.Context(), r)
		if r.Result.Rcode != wire.RcodeNoError || len(r.Result.Answer) != 1 || r.Result.EDE != ede.None || r.Result.EDEText != "" {
			t.Errorf("got rcode %d, extended error %d %q", r.Result.Rcode, r.Result.EDE, r.Result.EDEText)
		}
		if !errors.Is(sub.Err, refused) {
			t.Errorf("the query that waited is told %v, want %v", sub.Err, refused)
		}
		r = w.request("help.example.com.", "TXT")
		w.driver.Resolve(t.Context(), r)
		if r.Result.Rcode != wire.RcodeServFail || r.Result.EDE != ede.Prohibited || r.Result.EDEText != "not that name" {
			t.Errorf("asked for itself: rcode %d, extended error %d %q", r.Result.Rcode, r.Result.EDE, r.Result.EDEText)
		}
	})
}

// Layers judge an Outcome by where it comes from. One that a module made after
// iterate had held another back is still the module's.
func TestOriginOfOutcomes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, basic(example("www.example.com. A 192.0.2.10\n")))
		made := mustName("made.example.com.")
		seen := map[string]resolve.Origin{}
		w.layers = append(w.layers, &resolve.Layer{
			Name: "observer",
			Produce: func(r *resolve.Request, q *resolve.Query) resolve.State {
				if q.Name != made {
					return resolve.Produce
				}
				q.Outcome = resolve.Outcome{Kind: resolve.NoData}
				q.HoldBack(resolve.Outcome{Kind: resolve.NXDomain})
				return resolve.Done
			},
			Consume: func(_ *resolve.Request, q *resolve.Query, _ *wire.Msg) resolve.State {
				seen[q.Question.String()] = q.Outcome.Origin
				return resolve.Consume
			},
		})
		w.ask("www.example.com.", "A")
		w.ask("made.example.com.", "A")
		for q, want := range map[string]resolve.Origin{"www.example.com. A": resolve.FromServer, "made.example.com. A": resolve.FromModule} {
			if got, ok := seen[q]; !ok || got != want {
				t.Errorf("%s: got %d (seen: %v), want %d", q, got, ok, want)
			}
		}
	})
}

// Who does not desire recursion is told what is known, and costs no question to a
// server; a chain is told as a whole or not at all.
func TestWithoutRecursionNobodyIsAsked(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, basic(example("www.example.com. A 192.0.2.10\n")))
		known := mustName("known.test.")
		w.layers = append(w.layers, &resolve.Layer{Name: "known", Produce: func(_ *resolve.Request, q *resolve.Query) resolve.State {
			if q.Name != known {
				return resolve.Produce
			}
			q.Outcome = resolve.Outcome{Kind: resolve.NoData, Cached: true}
			return resolve.Done
		}})
		for name, want := range map[string]int{"known.test.": wire.RcodeNoError, "www.example.com.": wire.RcodeRefused} {
			r := w.request(name, "A")
			r.RD = false
			w.driver.Resolve(t.Context(), r)
			code := ede.None
			if want == wire.RcodeRefused {
				code = ede.NotAuthoritative
			}
			if r.Result.Rcode != want || r.Result.EDE != code || len(r.Result.Answer) != 0 || len(w.asked()) != 0 {
				t.Errorf("%s: rcode %d, extended error %d, asked %v; want %d and nobody asked", name, r.Result.Rcode, r.Result.EDE, w.asked(), want)
			}
		}
	})
}
