package cache

import (
	"testing"

	"kresd/internal/ede"
	"kresd/internal/resolve"
	"kresd/internal/wire"
)

// Each kind of what is remembered is found in its own partition only, and a clear
// of a subtree ends it in all of them.
func TestPartitionsKnowNothingOfEachOther(t *testing.T) {
	partitions := []resolve.Partition{0, 1, 2, 1<<64 - 1}
	failing := question(t, "failing.example.", wire.TypeA)
	known := func(w *world) (kinds []string) {
		note := func(yes bool, kind string) {
			if yes {
				kinds = append(kinds, kind)
			}
		}
		note(w.peek(question(t, "www.example.", wire.TypeA)).Kind == resolve.Positive, "set")
		note(w.peek(question(t, "www.example.", wire.TypeTXT)).Kind == resolve.NoData, "NODATA")
		note(w.peek(question(t, "nothing.example.", wire.TypeA)).Kind == resolve.NXDomain, "NXDOMAIN")
		note(w.peek(question(t, "x.redirected.example.", wire.TypeA)).Kind == resolve.Alias, "DNAME")
		note(w.Closest(failing.Name, w.now()) != nil, "delegation")
		addrs, _, _ := w.Addrs(name(t, "www.example."), w.now())
		note(len(addrs) > 0, "address")
		note(w.ClosestApex(w.in, failing.Name, w.now()) == name(t, "example."), "apex")
		note(w.fails(w.request(failing)), "failure")
		_, fast := w.ask(question(t, "whole.example.", wire.TypeA), client{})
		note(fast, "answer")
		return kinds
	}
	for _, own := range partitions {
		w := newWorld(t)
		w.in = own
		w.learn(question(t, "www.example.", wire.TypeA), positive(rrset(t, secure, "www.example.", wire.TypeA, 60, "\x01\x02\x03\x04")))
		w.learn(question(t, "www.example.", wire.TypeTXT), denial(resolve.NoData, soa(t, secure, "example.", 60, 60)))
		w.learn(question(t, "nothing.example.", wire.TypeA), denial(resolve.NXDomain, soa(t, secure, "example.", 60, 60)))
		w.learn(question(t, "redirected.example.", wire.TypeDNAME),
			positive(rrset(t, secure, "redirected.example.", wire.TypeDNAME, 60, string(name(t, "example.net.")))))
		w.Keep(cut(t, "example.", w.now()+50), w.now())
		w.answered(failing, resolve.Result{Rcode: wire.RcodeServFail, EDE: ede.None})
		w.answered(question(t, "whole.example.", wire.TypeA), resultOf(secure, rrset(t, secure, "whole.example.", wire.TypeA, 60, "\x01\x02\x03\x04")))
		for _, in := range partitions {
			want := 0
			if in == own {
				want = 9
			}
			if w.in = in; len(known(w)) != want {
				t.Errorf("kept in %x, known in %x: %v, want %d kinds", own, in, known(w), want)
			}
		}
		if _, err := w.Remove(name(t, "example."), false, 1000); err != nil {
			t.Fatal(err)
		}
		if w.in = own; len(known(w)) != 0 {
			t.Errorf("kept in %x and cleared: %v is left", own, known(w))
		}
	}
}

// An inventory of everybody's entries is not one of the partitions', though they
// stand behind each other, and the other way round.
func TestAnInventoryIsOfOnePartition(t *testing.T) {
	w := newWorld(t)
	q := question(t, "www.example.", wire.TypeA)
	for _, in := range []resolve.Partition{0, 5} {
		for _, other := range []resolve.Partition{0, 4, 5, 6} {
			if w.inventory(node{other, q.Name}).missing != allKinds && other >= in && other != 0 {
				t.Errorf("partition %d has something before it was kept there", other)
			}
		}
		w.in = in
		w.learn(q, positive(rrset(t, secure, "www.example.", wire.TypeA, 60, "\x01\x02\x03\x04")))
		if got := w.inventory(node{in, q.Name}).missing; got != allKinds&^anRRset {
			t.Errorf("partition %d lacks %b", in, got)
		}
	}
	if n, err := w.RemoveType(q.Name, wire.TypeA); n != 2 || err != nil {
		t.Errorf("%d sets of a type removed in all partitions, %v; want 2", n, err)
	}
}

// What the servers of a rule say of other names than the rule's is kept nowhere,
// and what they say of its names not where others look.
func TestAForwardersDataLieApart(t *testing.T) {
	w := newWorld(t)
	forwarded := func(r *resolve.Request) { r.Options.Forward = true; r.Partition.Data = 7 }
	q := question(t, "www.example.", wire.TypeA)
	w.learn(q, positive(rrset(t, insecure, "www.example.", wire.TypeA, 60, "\x01\x02\x03\x04")), forwarded)
	if o := w.peek(q); o.Kind != resolve.Pending {
		t.Errorf("known to everybody: %+v", o)
	}
	if o := w.peek(q, forwarded); o.Kind != resolve.Positive {
		t.Errorf("not known to who forwards as well: %+v", o)
	}
}

// While the configuration changes, nobody can tell which one shaped an answer.
func TestNothingIsKeptOfTwoConfigurations(t *testing.T) {
	w := newWorld(t)
	present := resolve.Partitions{Data: 1, Answers: 1}
	driver := resolve.NewDriver(resolve.Config{
		Layers: func() []*resolve.Layer {
			return []*resolve.Layer{w.layer, {Name: "test", Produce: func(r *resolve.Request, q *resolve.Query) resolve.State {
				set := rrset(t, insecure, q.Name.String(), wire.TypeA, 60, "\x01\x02\x03\x04")
				q.Outcome = resolve.Outcome{Kind: resolve.Positive, Origin: resolve.FromServer, Answer: []resolve.Set{set}}
				if q.Name == name(t, "late.example.") {
					present = resolve.Partitions{Data: 2, Answers: 2}
				}
				return resolve.Done
			}}}
		},
		Cuts: w.Cache, Counters: w.count, Partitions: func() resolve.Partitions { return present },
	})
	for text, want := range map[string]bool{"early.example.": true, "late.example.": false} {
		req := &resolve.Request{Question: question(t, text, wire.TypeA), RD: true, Now: w.now()}
		present = resolve.Partitions{Data: 1, Answers: 1}
		driver.Resolve(t.Context(), req)
		for _, in := range []resolve.Partition{1, 2} {
			w.in = in
			o := w.peek(req.Question)
			_, fast := w.ask(req.Question, client{})
			if kept := want && in == 1; (o.Kind == resolve.Positive) != kept || fast != kept {
				t.Errorf("%s in partition %d: %+v, answered %v; want %v", text, in, o, fast, kept)
			}
		}
	}
}
