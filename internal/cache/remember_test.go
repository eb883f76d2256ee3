package cache

import (
	"fmt"
	"testing"

	"kresd/internal/limits"
	"kresd/internal/resolve"
	"kresd/internal/wire"
	"kresd/internal/zonecut"
)

// below asks for a new name below example. and returns the delegation it is told.
func (w *world) below(label string) *zonecut.Cut {
	w.Helper()
	req := w.request(question(w, label+".example.", wire.TypeA))
	w.layer.Begin(req)
	q := &resolve.Query{Question: req.Question}
	w.layer.Produce(req, q)
	return q.Cut
}

func TestDelegationsAreReadOnceASecond(t *testing.T) {
	w := newWorld(t)
	w.Keep(cut(t, "example.", w.now()+3), w.now())
	first := w.below("a")
	if first == nil || w.below("b") != first {
		t.Fatalf("read again within the second: %+v", first)
	}
	if c := w.Closest(name(t, "c.example."), w.now()); c != first {
		t.Errorf("read again within the second for who asks for it alone: %+v", c)
	}
	w.pass(1)
	if c := w.below("a"); c == nil || c == first || c.Expires != first.Expires {
		t.Errorf("a second later: %+v", c)
	}
	w.pass(2)
	if c := w.below("a"); c != nil {
		t.Errorf("used although it ended: %+v", c)
	}
}

// Whoever asks for the delegation alone leaves it for those who ask for a name below, unless
// the node says more of these.
func TestClosestDelegationsAreRemembered(t *testing.T) {
	w := newWorld(t)
	w.Keep(cut(t, "example.", w.now()+60), w.now())
	if c := w.Closest(name(t, "a.example."), w.now()); c == nil || w.below("b") != c {
		t.Errorf("read again within the second: %+v", c)
	}
	w.learn(question(t, "example.", wire.TypeDNAME), positive(rrset(t, insecure, "example.", wire.TypeDNAME, 60, "\x03org\x00")))
	w.pass(1)
	if c := w.Closest(name(t, "a.example."), w.now()); c == nil || w.below("b") == c {
		t.Errorf("the DNAME at it is passed over: %+v", c)
	}
}

// A delegation that was read just before this worker wrote another one is not remembered: the
// other would be passed over for a second.
func TestADelegationReadBeforeTheLastIsNotRemembered(t *testing.T) {
	w := newWorld(t)
	w.Keep(cut(t, "example.", w.now()+60), w.now())
	at := node{0, name(t, "example.")}
	read := w.inventory(at)
	more := cut(t, "example.", w.now()+60)
	more.NS = append(more.NS, zonecut.NameServer{Name: name(t, "ns4.example.")})
	w.Keep(more, w.now())
	if c := w.delegation(at, read, w.now()); c == nil || len(c.NS) == len(more.NS) {
		t.Fatalf("%+v was read before: the test proves nothing", c)
	}
	if c := w.Closest(name(t, "a.example."), w.now()); c == nil || len(c.NS) != len(more.NS) {
		t.Errorf("got %+v, want that of %d name servers which was stored last", c, len(more.NS))
	}
}

func TestRememberedDelegationsFollowTheStore(t *testing.T) {
	w := newWorld(t)
	w.Keep(cut(t, "example.", w.now()+60), w.now())
	for _, c := range []struct {
		what    string
		do      func()
		servers int
	}{
		{"as it was", func() {}, 2},
		{"the zone names a server more", func() {
			w.learn(question(t, "example.", wire.TypeNS),
				positive(rrset(t, insecure, "example.", wire.TypeNS, 60, "\x03ns3\x07example\x00")))
		}, 3},
		{"the parent names a server more", func() {
			more := cut(t, "example.", w.now()+60)
			more.NS = append(more.NS, zonecut.NameServer{Name: name(t, "ns4.example.")})
			w.Keep(more, w.now())
		}, 4},
		{"the zone is cleared", func() { w.Remove(name(t, "example."), false, 100) }, 0},
		{"it is learnt anew", func() { w.Keep(cut(t, "example.", w.now()+60), w.now()) }, 2},
		{"everything is cleared", func() { w.Clear() }, 0},
		{"and learnt anew", func() { w.Keep(cut(t, "example.", w.now()+60), w.now()) }, 2},
		{"another store is opened", func() { w.Swap(newMemStore()) }, 0},
	} {
		c.do()
		for i := range 2 {
			n := 0
			if got := w.below(fmt.Sprint("x", i)); got != nil {
				n = len(got.NS)
			}
			if n != c.servers {
				t.Errorf("%s: %d servers, want %d", c.what, n, c.servers)
			}
			if alone := w.Closest(name(t, "x.example."), w.now()); (alone != nil) != (n > 0) || n > 0 && len(alone.NS) != n {
				t.Errorf("%s: who asks for the delegation alone gets %+v", c.what, alone)
			}
		}
	}
}

func TestWhatIsRememberedOfDelegations(t *testing.T) {
	var k cuts
	now := snapshot{now: 1000, clears: 1}
	a, b := cut(t, "a.", 2000), cut(t, "b.", 2000)
	put := func(c *zonecut.Cut, s snapshot, mark uint64) { k.put(node{0, c.Name}, atHand{cut: c}, s, mark) }
	at := func(c *zonecut.Cut, s snapshot) *zonecut.Cut { return k.at(node{0, c.Name}, s).cut }
	mark := k.mark()
	k.forget(node{0, b.Name})
	put(b, now, mark)
	if at(b, now) != nil {
		t.Error("what was read before it changed is remembered")
	}
	put(a, now, k.mark())
	for what, v := range map[string]snapshot{
		"a request of a second ago": {now: 999, clears: 1},
		"before a clear":            {now: 1000, clears: 0},
	} {
		put(b, v, k.mark())
		if at(a, now) != a || at(b, v) != nil {
			t.Errorf("%s pushes out the present", what)
		}
	}
	past := snapshot{now: 10, clears: 1} // the clock was set back
	if put(b, past, k.mark()); at(b, past) != b || at(a, past) != nil {
		t.Error("nothing is remembered after the clock was set back")
	}
	if k.at(node{1, b.Name}, past).cut != nil {
		t.Error("remembered in another partition")
	}
	for i := range 2 * limits.CutsAtHand {
		put(cut(t, fmt.Sprintf("z%d.", i), 2000), now, k.mark())
	}
	if len(k.m) != limits.CutsAtHand {
		t.Errorf("%d are remembered, want %d", len(k.m), limits.CutsAtHand)
	}
}

// That a zone has links is known of its delegation at hand from when one is stored.
func TestWhetherAZoneAtHandHasLinks(t *testing.T) {
	var k cuts
	now, c := snapshot{now: 1000, clears: 1}, cut(t, "a.", 2000)
	at := node{0, c.Name}
	before := k.mark()
	k.denies(at)
	if k.put(at, atHand{cut: c}, now, before); k.at(at, now).cut != nil {
		t.Error("what was read before a link was stored is remembered")
	}
	k.put(at, atHand{cut: c}, now, k.mark())
	if k.at(at, now).links {
		t.Error("links of a zone that has none")
	}
	before = k.mark()
	k.denies(at)
	if !k.at(at, now).links {
		t.Error("a link that was stored is not known of")
	}
	if k.put(at, atHand{cut: c}, now, before); !k.at(at, now).links {
		t.Error("what was read before replaces what is known")
	}
	mark := k.mark()
	if k.denies(at); k.mark() != mark {
		t.Error("a further link of the same zone makes others read again")
	}
}

// A delegation at hand hid the DNAME at the apex of its zone.
func TestADelegationAtHandHidesNoDNAME(t *testing.T) {
	w := newWorld(t)
	w.Keep(cut(t, "example.", w.now()+60), w.now())
	for range 2 {
		if w.below("a") == nil {
			t.Fatal("no delegation")
		}
		w.learn(question(t, "example.", wire.TypeDNAME),
			positive(rrset(t, insecure, "example.", wire.TypeDNAME, 60, "\x05test1\x00")))
		if c := w.below("b"); c != nil {
			t.Error("the servers are asked although a DNAME redirects the name")
		}
		w.Remove(name(t, "example."), false, 100)
		w.Keep(cut(t, "example.", w.now()+60), w.now())
	}
}

// What was at hand of one Store is not of the next one, though both have seen as
// many clears and it is the same second.
func TestAnotherStoreIsReadAnew(t *testing.T) {
	w := newWorld(t)
	w.Keep(cut(t, "example.", w.now()+50), w.now())
	if w.below("a") == nil || w.below("b") == nil {
		t.Fatal("the delegation is not found")
	}
	w.Swap(newMemStore())
	if cut := w.below("c"); cut != nil {
		t.Errorf("%s is known to an empty Store", cut.Name)
	}
}
