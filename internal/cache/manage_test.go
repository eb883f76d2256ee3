package cache

import (
	"bytes"
	"context"
	"testing"

	"kresd/internal/resolve"
	"kresd/internal/wire"
)

// populated knows some names in three zones.
func populated(t *testing.T) (*world, func(names ...string)) {
	w := newWorld(t)
	all := []string{"example.", "www.example.", "a.www.example.", "xexample.", "example.net."}
	for _, n := range all {
		q := question(t, n, wire.TypeA)
		a := rrset(t, insecure, n, wire.TypeA, 100, "\x01\x02\x03\x04")
		w.learn(q, positive(a))
		w.learn(question(t, n, wire.TypeTXT), positive(rrset(t, insecure, n, wire.TypeTXT, 100, "\x00")))
		w.answered(q, resultOf(insecure, a))
	}
	return w, func(gone ...string) {
		t.Helper()
		for _, n := range all {
			want := true
			for _, g := range gone {
				want = want && g != n
			}
			if got := w.peek(question(t, n, wire.TypeA)).Kind == resolve.Positive; got != want {
				t.Errorf("%s is there: %v", n, got)
			}
		}
	}
}

func TestRemove(t *testing.T) {
	for _, c := range []struct {
		name  string
		exact bool
		gone  []string
		n     int
	}{
		{"example.", false, []string{"example.", "www.example.", "a.www.example."}, 9},
		{"example.", true, []string{"example."}, 3},
		{"WWW.Example.", false, []string{"www.example.", "a.www.example."}, 6},
		{"nothing.example.", false, nil, 0},
		{".", true, nil, 0},
		{".", false, []string{"example.", "www.example.", "a.www.example.", "xexample.", "example.net."}, 15},
	} {
		w, check := populated(t)
		n, err := w.Remove(name(t, c.name), c.exact, 1000)
		if n != c.n || err != nil {
			t.Errorf("%s: %d removed, want %d, %v", c.name, n, c.n, err)
		}
		check(c.gone...)
	}
}

func TestRemoveInChunks(t *testing.T) {
	w, check := populated(t)
	total := 0
	for round := 0; ; round++ {
		n, err := w.Remove(name(t, "example."), false, 4)
		if err != nil || n > 4 {
			t.Fatalf("round %d: %d, %v", round, n, err)
		}
		if total += n; n < 4 {
			break
		}
	}
	if total != 9 {
		t.Errorf("%d removed", total)
	}
	check("example.", "www.example.", "a.www.example.")
}

func TestRemoveType(t *testing.T) {
	w, check := populated(t)
	if n, err := w.RemoveType(name(t, "www.example."), wire.TypeA); n != 2 || err != nil {
		t.Errorf("%d removed, %v", n, err)
	}
	check("www.example.")
	if w.peek(question(t, "www.example.", wire.TypeTXT)).Kind != resolve.Positive {
		t.Error("another type went too")
	}
	w.Keep(cut(t, "example.", w.now()+50), w.now())
	if n, err := w.RemoveType(name(t, "example."), wire.TypeNS); n != 1 || err != nil {
		t.Errorf("NS: %d removed, %v", n, err)
	}
}

func TestClearAll(t *testing.T) {
	w, check := populated(t)
	before, err := w.Count()
	if n, err2 := w.Clear(); n != before || n != 15 || err != nil || err2 != nil {
		t.Errorf("%d of %d removed, %v %v", n, before, err, err2)
	}
	check("example.", "www.example.", "a.www.example.", "xexample.", "example.net.")
}

func TestClosestApex(t *testing.T) {
	w, _ := populated(t)
	w.Keep(cut(t, "example.", w.now()+50), w.now())
	w.learn(question(t, "www.example.", wire.TypeSOA), positive(soa(t, insecure, "www.example.", 50, 50)))
	for n, want := range map[string]string{
		"example.": "example.", "b.example.": "example.", "a.www.example.": "www.example.", "example.net.": ".", ".": ".",
	} {
		if got := w.ClosestApex(0, name(t, n), w.now()); got != name(t, want) {
			t.Errorf("%s: %s, want %s", n, got, want)
		}
	}
}

func TestPrune(t *testing.T) {
	w, check := populated(t)
	if n, err := w.Prune(context.Background(), w.now(), 0); n != 0 || err != nil {
		t.Errorf("live entries: %d pruned, %v", n, err)
	}
	check()
	w.pass(100)
	w.Keep(cut(t, "example.", w.now()+50), w.now())
	if n, err := w.Prune(context.Background(), w.now(), 4); n != 4 || err != nil {
		t.Errorf("limit 4: %d pruned, %v", n, err)
	}
	if n, err := w.Prune(context.Background(), w.now(), 0); n != 11 || err != nil {
		t.Errorf("%d pruned, %v", n, err)
	}
	if n, _ := w.Count(); n != 1 {
		t.Errorf("%d left", n)
	}
}

func TestWorthIsInOrder(t *testing.T) {
	w := newWorld(t)
	type kept struct {
		what string
		key  []byte
	}
	var all []kept
	add := func(what string, fn func()) {
		before := w.mem.keys()
		fn()
		old := map[string]bool{}
		for _, k := range before {
			old[k] = true
		}
		for _, k := range w.mem.keys() {
			if !old[k] {
				all = append(all, kept{what, []byte(k)})
			}
		}
	}
	q := question(t, "www.example.", wire.TypeA)
	a := rrset(t, insecure, "www.example.", wire.TypeA, 3600, "\x01\x02\x03\x04")
	add("expired", func() {
		w.learn(question(t, "old.example.", wire.TypeA), positive(rrset(t, insecure, "old.example.", wire.TypeA, 5, "\x01\x02\x03\x04")))
	})
	w.pass(10)
	w.pass(86400)
	add("just expired", func() {
		w.learn(question(t, "stale.example.", wire.TypeA), positive(rrset(t, insecure, "stale.example.", wire.TypeA, 5, "\x01\x02\x03\x04")))
	})
	w.pass(10)
	add("failure", func() {
		w.answered(question(t, "f.example.", wire.TypeA), resolve.Result{Rcode: wire.RcodeServFail, EDE: 22, NoCache: true})
	})
	add("denial", func() {
		w.learn(question(t, "no.example.", wire.TypeA), denial(resolve.NXDomain, soa(t, insecure, "example.", 3600, 3600)))
	})
	add("answer", func() { w.answered(q, resultOf(insecure, a)) })
	add("RRset", func() { w.learn(q, positive(a)) })
	add("delegation", func() { w.Keep(cut(t, "example.", w.now()+3600), w.now()) })
	if len(all) != 7 {
		t.Fatalf("%d entries", len(all))
	}
	for i, k := range all {
		worth := Worth(k.key, w.mem.m[string(k.key)], w.now())
		if i == 0 {
			if worth != 0 {
				t.Errorf("%s: %d", k.what, worth)
			}
			continue
		}
		before := Worth(all[i-1].key, w.mem.m[string(all[i-1].key)], w.now())
		if worth <= before {
			t.Errorf("%s: %d, not above %s: %d", k.what, worth, all[i-1].what, before)
		}
	}
}

func TestKeysOfASubtreeAreOneRange(t *testing.T) {
	q := question(t, "example.", 1)
	for _, in := range []resolve.Partition{0, 1, 1<<64 - 1} {
		at := node{in, q.Name}
		keys := [][]byte{at.cut(), at.rrset(1, 1), at.nxdomain(1), at.answer(1, 1, 3), at.failure(q, true)}
		for _, k := range keys {
			got, family, _, ok := splitKey(k)
			if !ok || got != at || family == 0 || family >= markPartition {
				t.Errorf("%q: %v %c %v", k, got, family, ok)
			}
			if !bytes.HasPrefix(k, at.prefix()) || !bytes.HasPrefix(k, q.Name.AppendKey(nil)) {
				t.Errorf("%q is not among the keys of its node, or of its name", k)
			}
		}
	}
}
