package limits

import "testing"

// What was learnt or asked for last is remembered, the rest goes, and there is never more
// than may be.
func TestRecentRemembersTheLast(t *testing.T) {
	var r Recent[int, string]
	if _, ok := r.Get(0); ok {
		t.Error("something is known from the start")
	}
	const most = 100
	for i := range 10 * most {
		r.Put(i, "x", most)
		if v, ok := r.Get(i); !ok || v != "x" {
			t.Fatalf("%d: %q, %t", i, v, ok)
		}
		if _, ok := r.Get(0); !ok {
			t.Fatalf("after %d others, what is asked for all the time is forgotten", i)
		}
		if n := len(r.newer) + len(r.older); n > most {
			t.Fatalf("%d are remembered", n)
		}
	}
	for i, want := range map[int]bool{1: false, 9 * most: false, 10*most - 1: true, 10*most - most/2 + 1: true} {
		if _, ok := r.Get(i); ok != want {
			t.Errorf("%d: remembered %t", i, ok)
		}
	}
}
