package resolve_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"kresd/internal/limits"
	"kresd/internal/rank"
	"kresd/internal/resolve"
	"kresd/internal/wire"
)

// ownAnswer is a set that a layer makes up.
func ownAnswer(owner string, data ...byte) resolve.Set {
	return resolve.Set{Rank: rank.Auth | rank.Insecure, RRset: wire.RRset{Owner: mustName(owner), Type: wire.TypeA, Class: wire.ClassIN, TTL: 60, Data: [][]byte{data}}}
}

// twoZones are one with an alias and the one that it leads to.
func twoZones() zones {
	return zones{
		"com.":         "example.com. NS ns.example.com.\nns.example.com. A 192.0.2.1\nother.com. NS ns.other.com.\nns.other.com. A 192.0.2.12\n",
		"example.com.": "example.com. NS ns.example.com.\nns.example.com. A 192.0.2.1\nwww.example.com. CNAME web.other.com.\n",
		"other.com.":   "other.com. NS ns.other.com.\nns.other.com. A 192.0.2.12\nweb.other.com. A 192.0.2.10\n",
	}
}

// with are layers around those that resolve.
func (w *world) with(before, after *resolve.Layer) {
	if before != nil {
		w.layers = append([]*resolve.Layer{before}, w.layers...)
	}
	if after != nil {
		w.layers = append(w.layers, after)
	}
}

// Layers that only count see each request, also one that a layer before them has
// decided, and may decide otherwise.
func TestLayersBehindADecisionSeeTheRequest(t *testing.T) {
	why := errors.New("not today")
	for _, c := range []struct {
		first, then resolve.State
		want        string
	}{
		{resolve.Done, resolve.Done, "REFUSED; decided 4"},
		{resolve.Fail, resolve.Fail, "SERVFAIL; decided 8"},
		{resolve.Done, resolve.Fail, "SERVFAIL; decided 4"},
		{resolve.Fail, resolve.Done, "SERVFAIL; decided 8"},
		{resolve.Done, resolve.Produce, "REFUSED; decided 4"},
		{resolve.Produce, resolve.Done, "NOERROR; www.example.com. A 192.0.2.10; began"},
	} {
		w := newWorld(t, basic(example("www.example.com. A 192.0.2.10\n")))
		seen := ""
		w.with(&resolve.Layer{Name: "first", Begin: func(r *resolve.Request) resolve.State {
			if c.first == resolve.Fail {
				return r.Fail(why)
			}
			if c.first == resolve.Done {
				r.Result.Rcode = wire.RcodeRefused
			}
			return c.first
		}}, &resolve.Layer{
			Name:  "counts",
			Begin: func(*resolve.Request) resolve.State { seen = "; began"; return resolve.Produce },
			Decided: func(_ *resolve.Request, s resolve.State) resolve.State {
				seen = fmt.Sprint("; decided ", s)
				return c.then
			},
		})
		got := w.ask("www.example.com.", "A")
		if got += seen; got != c.want {
			t.Errorf("%v, then %v: got %s, want %s", c.first, c.then, got, c.want)
		}
	}
}

// Each query is announced once, before anything is done about it, whatever it takes.
func TestEachQueryIsAnnouncedOnce(t *testing.T) {
	w := newWorld(t, basic(twoZones()))
	var seen []string
	w.with(nil, &resolve.Layer{Name: "counts", Reset: func(_ *resolve.Request, q *resolve.Query) resolve.State {
		seen = append(seen, q.Question.String())
		return resolve.Produce
	}})
	w.ask("www.example.com.", "A")
	if want := []string{"www.example.com. A", "web.other.com. A"}; !slices.Equal(seen, want) {
		t.Errorf("got %q, want %q", seen, want)
	}
	w.layers[len(w.layers)-1].Reset = func(r *resolve.Request, _ *resolve.Query) resolve.State { return r.Fail(errors.New("no")) }
	if got := w.ask("other.example.com.", "A"); got != "SERVFAIL" {
		t.Errorf("a layer that fails a query: got %s", got)
	}
}

// A layer that pushes a question without waiting for it has it solved all the same, be
// it in vain, and the answer is that of the client's question.
func TestWhatIsPushedWithoutYieldIsSolved(t *testing.T) {
	for _, name := range []string{"www.example.com.", "nothing.example.com.", "www.nowhere.com."} {
		w := newWorld(t, basic(example("www.example.com. A 192.0.2.10\nwww.example.com. AAAA 2001:db8::10\n")))
		var sub *resolve.Query
		w.with(nil, &resolve.Layer{Name: "curious", Consume: func(r *resolve.Request, q *resolve.Query, _ *wire.Msg) resolve.State {
			if q.Parent == nil && q.Outcome.Kind == resolve.Positive && sub == nil {
				var err error
				if sub, err = r.Push(q, resolve.Question{Name: mustName(name), Type: wire.TypeAAAA, Class: wire.ClassIN}, q.Options); err != nil {
					t.Fatal(err)
				}
			}
			return resolve.Consume
		}})
		got := w.ask("www.example.com.", "A")
		if got != "NOERROR; www.example.com. A 192.0.2.10" {
			t.Errorf("%s: got %s", name, got)
		}
		if sub == nil || !sub.Solved && sub.Err == nil {
			t.Errorf("%s was left unsolved", name)
		}
	}
}

// What a Begin hook pushes is solved when the request is, and else not.
func TestWhatIsPushedInTheBeginningIsSolved(t *testing.T) {
	for _, decided := range []resolve.State{resolve.Produce, resolve.Done} {
		w := newWorld(t, basic(example("www.example.com. A 192.0.2.10\nwww.example.com. AAAA 2001:db8::10\n")))
		var subs []*resolve.Query
		w.with(nil, &resolve.Layer{Name: "eager", Begin: func(r *resolve.Request) resolve.State {
			for _, t := range []uint16{wire.TypeAAAA, wire.TypeA} { // the second waits for itself
				sub, _ := r.Push(nil, resolve.Question{Name: r.Name, Type: t, Class: wire.ClassIN}, r.Options)
				subs = append(subs, sub)
			}
			return decided
		}})
		got := w.ask("www.example.com.", "A")
		if decided == resolve.Done {
			if asked := w.asked(); len(asked) != 0 {
				t.Errorf("decided, and asked %q", asked)
			}
			continue
		}
		if got != "NOERROR; www.example.com. A 192.0.2.10" || !subs[0].Solved || len(subs[0].Outcome.Answer) != 1 || !errors.Is(subs[1].Err, resolve.ErrCycle) {
			t.Errorf("got %s, with %+v and %v", got, subs[0].Outcome, subs[1].Err)
		}
	}
}

// A Begin hook that pushes in a loop ran for as long as it was let, and kept it all.
func TestABeginHookPushesSoManyQueries(t *testing.T) {
	w := newWorld(t, basic(example("www.example.com. A 192.0.2.10\n")))
	pushed := 0
	w.with(nil, &resolve.Layer{Name: "greedy", Begin: func(r *resolve.Request) resolve.State {
		for pushed < 10*limits.MaxQueriesPerPlan {
			if _, err := r.Push(nil, resolve.Question{Name: r.Name, Type: wire.TypeAAAA, Class: wire.ClassIN}, r.Options); err != nil {
				break
			}
			pushed++
		}
		return resolve.Done
	}})
	w.ask("www.example.com.", "A")
	if pushed != limits.MaxQueriesPerPlan {
		t.Errorf("%d were pushed", pushed)
	}
}

// A hook may make the client's answer itself, put records beside what is resolved, show
// the layers behind another message, or have servers asked though there is an answer.
func TestHooksChangeAnswers(t *testing.T) {
	final := func(q *resolve.Query) bool { return q.Outcome.Kind == resolve.Positive }
	for _, c := range []struct {
		what          string
		before, after func(*resolve.Request, *resolve.Query, *wire.Msg) resolve.State
		want          string
	}{
		{"settles", nil, func(r *resolve.Request, q *resolve.Query, _ *wire.Msg) resolve.State {
			if res, ok := r.Coming(q); ok {
				r.Result = res
				r.Result.Rcode, r.Result.Answer = wire.RcodeNXDomain, append(slices.Clone(res.Answer), ownAnswer("www.example.com.", 192, 0, 2, 99))
				r.Settle()
			}
			return resolve.Consume
		}, "NXDOMAIN; www.example.com. CNAME web.other.com.; web.other.com. A 192.0.2.10; www.example.com. A 192.0.2.99"},
		{"adds", nil, func(r *resolve.Request, q *resolve.Query, _ *wire.Msg) resolve.State {
			if q.Parent == nil && q.Outcome.Kind == resolve.Alias {
				r.Result.Answer = append(r.Result.Answer, ownAnswer("more.example.com.", 192, 0, 2, 99))
			}
			return resolve.Consume
		}, "NOERROR; www.example.com. CNAME web.other.com.; web.other.com. A 192.0.2.10; more.example.com. A 192.0.2.99"},
		{"replaces", func(_ *resolve.Request, q *resolve.Query, m *wire.Msg) resolve.State {
			other := *m
			other.Answer = slices.Clone(m.Answer)
			for i, rr := range other.Answer {
				if rr.Type == wire.TypeA {
					other.Answer[i].RData = []byte{192, 0, 2, 99}
				}
			}
			q.Replace(&other)
			return resolve.Consume
		}, nil, "NOERROR; www.example.com. CNAME web.other.com.; web.other.com. A 192.0.2.99"},
		{"fails", nil, func(r *resolve.Request, q *resolve.Query, _ *wire.Msg) resolve.State {
			if final(q) {
				return r.Fail(resolve.ErrScript)
			}
			return resolve.Consume
		}, "SERVFAIL"},
	} {
		w := newWorld(t, basic(twoZones()))
		w.with(&resolve.Layer{Name: "before", Consume: c.before}, &resolve.Layer{Name: "after", Consume: c.after})
		if got := w.ask("www.example.com.", "A"); got != c.want {
			t.Errorf("%s: got %s, want %s", c.what, got, c.want)
		}
	}
}

// A layer that does not want what another one vouches for has servers asked.
func TestServersAreAskedInsteadOfALayer(t *testing.T) {
	w := newWorld(t, basic(example("www.example.com. A 192.0.2.10\n")))
	w.with(&resolve.Layer{Name: "knows", Produce: func(_ *resolve.Request, q *resolve.Query) resolve.State {
		q.Outcome = resolve.Outcome{Kind: resolve.Positive, Answer: []resolve.Set{ownAnswer("www.example.com.", 192, 0, 2, 1)}}
		return resolve.Done
	}}, &resolve.Layer{Name: "doubts", Consume: func(_ *resolve.Request, q *resolve.Query, _ *wire.Msg) resolve.State {
		if q.Outcome.Origin == resolve.FromModule {
			return q.AskServers()
		}
		return resolve.Consume
	}})
	if got := w.ask("www.example.com.", "A"); got != "NOERROR; www.example.com. A 192.0.2.10" {
		t.Errorf("got %s", got)
	}
}

// family is a value of Vars that look-ups beside inherit.
type family struct{ of *resolve.Request }

func (f *family) Heir(of *resolve.Request) any { return &family{of} }

// A look-up beside has an heir of what a layer keeps for the request.
func TestLookUpsBesideInherit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		type key struct{}
		n := 0
		for range 10 { // which server is asked first is chance
			w := newWorld(t, basic(families(map[string]string{"ns1": "192.0.2.1 2001:db8::1", "ns2": "192.0.2.2 2001:db8::2"})))
			w.silence("192.0.2.1", "192.0.2.2")
			heirs := make(chan string, 100)
			var client *resolve.Request
			w.with(nil, &resolve.Layer{Name: "keeps", Begin: func(r *resolve.Request) resolve.State {
				client, r.Vars = r, map[any]any{key{}: &family{r}, "other": 1}
				return resolve.Produce
			}, Reset: func(r *resolve.Request, q *resolve.Query) resolve.State {
				f, _ := r.Vars[key{}].(*family)
				switch {
				case f == nil, f.of != r:
					heirs <- q.Question.String() + " inherits nothing"
				case r != client && r.Vars["other"] != nil:
					heirs <- q.Question.String() + " inherits what has no heir"
				case r != client:
					heirs <- ""
				}
				return resolve.Produce
			}})
			w.answeredWithin(time.Second)
			close(heirs)
			for wrong := range heirs {
				if n++; wrong != "" {
					t.Error(wrong)
				}
			}
		}
		if n == 0 {
			t.Error("nothing was looked up beside")
		}
	})
}

func TestAScriptThatFailsIsNamed(t *testing.T) {
	_, text := resolve.Explain(fmt.Errorf("module x: %w", resolve.ErrScript))
	if !strings.Contains(text, "script") {
		t.Errorf("got %q", text)
	}
}
