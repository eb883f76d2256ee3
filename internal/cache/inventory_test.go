package cache

import (
	"reflect"
	"testing"

	"kresd/internal/resolve"
	"kresd/internal/wire"
)

// What a search leaves out because it is missing would not have been found.
func TestWhatIsMissingWouldNotBeFound(t *testing.T) {
	w, qs := filled(t)
	for i := range inventoryMost + 2 { // more than are looked at
		w.learn(resolve.Question{Name: name(t, "many.example."), Type: uint16(1000 + i), Class: wire.ClassIN},
			denial(resolve.NoData, soa(t, secure, "example.", 60, 60)))
	}
	for _, q := range qs {
		for _, n := range []string{"", "www.", "a.b."} {
			for _, qtype := range []uint16{q.Type, wire.TypeA, wire.TypeDS, wire.TypeCNAME, 1000, 1000 + inventoryMost} {
				ask := resolve.Question{Name: name(t, n+q.Name.String()), Type: qtype, Class: wire.ClassIN}
				want := wanted{Question: ask, when: when{now: w.now()}, final: true}
				if a, b := w.find(want, inventory{}), w.find(want, w.inventory(node{0, ask.Name})); !reflect.DeepEqual(a, b) {
					t.Errorf("%s type %d: %+v, but with what is missing known %+v", ask.Name, qtype, a, b)
				}
			}
		}
	}
	if m := w.inventory(node{0, name(t, "many.example.")}).missing; m != 0 {
		t.Errorf("a name with more than %d entries is said to lack some: %b", inventoryMost, m)
	}
	if m := w.inventory(node{0, name(t, "nothing.example.")}).missing; m != allKinds {
		t.Errorf("a name without entries is said to have some: %b", m)
	}
}

// A search gives the driver the same delegation that it would look for next.
func TestASearchFindsTheClosestDelegation(t *testing.T) {
	w, _ := filled(t)
	w.Keep(cut(t, "sub.example.", w.now()+50), w.now())
	for _, c := range []struct {
		name  string
		qtype uint16
		above string // where the driver begins to look
	}{
		{"a.b.sub.example.", wire.TypeA, "a.b.sub.example."},
		{"sub.example.", wire.TypeTXT, "sub.example."},
		{"sub.example.", wire.TypeDS, "example."},
		{"other.example.", wire.TypeA, "other.example."},
	} {
		q := &resolve.Query{Question: resolve.Question{Name: name(t, c.name), Type: c.qtype, Class: wire.ClassIN}}
		req := w.request(q.Question)
		w.layer.Begin(req)
		if w.layer.Produce(req, q); q.Outcome.Kind != resolve.Pending {
			continue
		}
		want := w.Closest(name(t, c.above), w.now())
		if q.Cut == nil || want == nil || q.Cut.Name != want.Name {
			t.Errorf("%s type %d: cut %v, want %v", c.name, c.qtype, q.Cut, want)
		}
	}
}
