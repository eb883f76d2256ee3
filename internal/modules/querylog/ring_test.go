package querylog

import "testing"

// puts puts a record of n octets in, and tells whether there was room.
func (r *ring) puts(n int) bool {
	if r.room(n) == nil {
		return false
	}
	r.put()
	return true
}

// taken are the lengths of what is taken out.
func (r *ring) taken() (all []int) {
	r.take(func(rec []byte) { all = append(all, len(rec)) })
	return all
}

// All of a ring is used: a record that just has room is taken, up to the end, from the
// beginning, and behind what is skipped.
func TestARecordThatJustHasRoom(t *testing.T) {
	for name, c := range map[string]struct {
		before, then []int // put in and taken out; put in
		left         int   // octets that are not used then
	}{
		"one as long as the ring":        {nil, []int{64}, 0},
		"many":                           {nil, []int{8, 8, 8, 8, 8, 8, 8, 8}, 0},
		"up to the end":                  {[]int{40}, []int{24, 40}, 0},
		"behind what is skipped":         {[]int{40}, []int{40}, 0},
		"up to where something is":       {[]int{40}, []int{24, 32}, 8},
		"behind what is skipped, and 32": {[]int{32}, []int{24, 24}, 8},
	} {
		r := newRing(64)
		for _, n := range c.before {
			if !r.puts(n) {
				t.Fatalf("%s: no room for %d octets", name, n)
			}
		}
		r.taken()
		for i, n := range c.then {
			if !r.puts(n) {
				t.Errorf("%s: record %d has no room", name, i)
			}
		}
		if c.left == 0 && r.puts(1) || c.left > 0 && (r.puts(c.left+1) || !r.puts(c.left)) {
			t.Errorf("%s: there is not room for just %d octets more", name, c.left)
		}
		want := len(c.then)
		if c.left > 0 {
			want++
		}
		if got := r.taken(); len(got) != want || got[0] != c.then[0] {
			t.Errorf("%s: %v were taken out, put in were %v and %d more", name, got, c.then, want-len(c.then))
		}
	}
}

// Who puts something in is told to wake the other when there was nothing before it, and only
// then.
func TestTheFirstRecordWakes(t *testing.T) {
	r := newRing(64)
	put := func(want bool) {
		t.Helper()
		if r.room(8); r.put() != want {
			t.Errorf("with %d octets in it somebody is woken: %t", r.tail.Load()-r.head.Load(), !want)
		}
	}
	for range 2 {
		put(true)
		put(false)
		if !r.take(func([]byte) {}) || r.take(func([]byte) {}) {
			t.Error("it was not told whether there is something")
		}
	}
}
