package resolve_test

import (
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"kresd/internal/resolve"
	"kresd/internal/wire"
	"kresd/internal/zonecut"
)

// A name that a layer does not own is asked about at the next one, and resolved where none
// owns it.
func TestANameThatALayerDoesNotOwn(t *testing.T) {
	for owner, want := range map[string]string{
		"www.example.com.":   "NOERROR; www.example.com. A 203.0.113.9",
		"other.example.com.": "NOERROR; www.example.com. A 192.0.2.10",
	} {
		w := newWorld(t, basic(example("www.example.com. A 192.0.2.10\n")))
		own := func(name string) func(*resolve.Request, resolve.Question, bool) (resolve.Outcome, bool) {
			return func(_ *resolve.Request, q resolve.Question, _ bool) (resolve.Outcome, bool) {
				if q.Name != mustName(name) {
					return resolve.Outcome{}, false
				}
				return resolve.Outcome{Kind: resolve.Positive, Origin: resolve.FromModule, Answer: []resolve.Set{ownAnswer(name, 203, 0, 113, 9)}}, true
			}
		}
		w.with(&resolve.Layer{Name: "second", Own: own(owner)}, nil)
		w.with(&resolve.Layer{Name: "first", Own: own("nobody.example.com.")}, nil)
		if got := w.ask("www.example.com.", "A"); got != want {
			t.Errorf("%s is owned: got %s, want %s", owner, got, want)
		}
	}
}

// A reader is told what a layer has made of the result at last.
func TestAReaderIsToldWhatBecomesOfTheResult(t *testing.T) {
	w := newWorld(t, basic(example("www.example.com. A 192.0.2.10\n")))
	w.with(nil, &resolve.Layer{Name: "changing", Finalize: func(r *resolve.Request) { r.Result.Rcode = wire.RcodeRefused }})
	r := w.request("www.example.com.", "A")
	told := 0
	r.Tell = func(q *resolve.Query, step resolve.Step) {
		if s, ok := step.(resolve.ModuleFinalized); ok && q == nil && s.Module == "changing" {
			told++
		}
	}
	if w.driver.Resolve(t.Context(), r); told != 1 || r.Result.Rcode != wire.RcodeRefused {
		t.Errorf("told %d times; RCODE %d", told, r.Result.Rcode)
	}
}

// A question to which another request has led was judged there: no Begin hook sees it.
func TestBeginHooksSeeNoInnerRequest(t *testing.T) {
	for _, inner := range []bool{false, true} {
		w := newWorld(t, basic(example("www.example.com. A 192.0.2.10\n")))
		began := false
		w.with(&resolve.Layer{Name: "first", Begin: func(*resolve.Request) resolve.State { began = true; return resolve.Produce }}, nil)
		r := w.request("www.example.com.", "A")
		r.Inner = inner
		if w.driver.Resolve(t.Context(), r); began == inner || !strings.HasPrefix(show(&r.Result), "NOERROR; www") {
			t.Errorf("inner %v: begun %v, %s", inner, began, show(&r.Result))
		}
	}
}

// The wall clock of a request is that of its begin, and of the time that it has taken since.
func TestTheWallClockOfARequest(t *testing.T) {
	w := newWorld(t, basic(example("www.example.com. A 192.0.2.10\n")))
	var at int64
	w.with(nil, &resolve.Layer{Name: "last", Consume: func(r *resolve.Request, _ *resolve.Query, _ *wire.Msg) resolve.State {
		at = r.Wall()
		return resolve.Consume
	}})
	r := w.request("www.example.com.", "A")
	began := time.Now()
	w.driver.Resolve(t.Context(), r)
	if took := at - r.Now; took < 0 || took > int64(time.Since(began)/time.Second)+1 {
		t.Errorf("%d seconds have passed, and the resolution took %v", took, time.Since(began))
	}
}

// A server that breaks the protocol below DNS is of no use for the zone, and asked last from
// then on; another one answers.
func TestAnErringServerIsOfNoUse(t *testing.T) {
	two := "example.com. NS ns2.example.com.\nns2.example.com. A 192.0.2.2\n"
	bad, good := netip.MustParseAddr("192.0.2.1"), netip.MustParseAddr("192.0.2.2")
	asked := 0
	for range 20 { // which of the two is asked first is chance
		w := newWorld(t, basic(merge(example("www.example.com. A 192.0.2.10\n"+two), zones{"com.": two})))
		w.erring = map[netip.Addr]string{bad: "sent a certificate of clay"}
		if got, want := w.ask("www.example.com.", "A"), "NOERROR; www.example.com. A 192.0.2.10"; got != want {
			t.Fatalf("got %s", got)
		}
		first := strings.Contains(strings.Join(w.asked(), " "), bad.String()+" ")
		lame := func(a netip.Addr) bool {
			return w.servers.KnownLame(mustName("example.com."), zonecut.Endpoint{Addr: netip.AddrPortFrom(a, 53)})
		}
		if lame(bad) != first || lame(good) {
			t.Errorf("asked %v; known as useless: %v, the good one %v", first, lame(bad), lame(good))
		}
		if first {
			asked++
		}
	}
	if asked == 0 {
		t.Error("the erring server was never asked: the test proves nothing")
	}
}

// A reader is told whose servers are asked, which layer answers instead of them, and which
// addresses could not be found.
func TestAReaderIsToldWhoAnswers(t *testing.T) {
	madeUp := &resolve.Layer{Name: "made up", Produce: func(r *resolve.Request, q *resolve.Query) resolve.State {
		if q.Name != mustName("made.up.") {
			return resolve.Produce
		}
		q.Outcome = resolve.Outcome{Kind: resolve.Positive, Origin: resolve.FromModule, Answer: []resolve.Set{ownAnswer("made.up.", 203, 0, 113, 9)}}
		return resolve.Done
	}}
	for name, want := range map[string]string{"www.example.com.": "cut .", "made.up.": "answered by made up", "www.lost.com.": "not found ns.nowhere.net."} {
		w := newWorld(t, basic(merge(example("www.example.com. A 192.0.2.10\n"), zones{"com.": "lost.com. NS ns.nowhere.net.\n"})))
		w.with(madeUp, nil)
		r := w.request(name, "A")
		var told []string
		r.Tell = func(_ *resolve.Query, step resolve.Step) {
			switch s := step.(type) {
			case resolve.CutFound:
				told = append(told, "cut "+s.Cut.Name.String())
			case resolve.ModuleAnswered:
				told = append(told, "answered by "+s.Module)
			case resolve.AddressNotFound:
				told = append(told, "not found "+s.NS.String())
			}
		}
		if w.driver.Resolve(t.Context(), r); !slices.Contains(told, want) {
			t.Errorf("%s: told %q, want %q among it", name, told, want)
		}
		if name == "made.up." && len(told) != 1 {
			t.Errorf("%s: told %q of an answer that needs no server", name, told)
		}
	}
}
