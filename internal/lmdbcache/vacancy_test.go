package lmdbcache

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
)

// under lists the keys that Range finds.
func under(s *Store, prefix string) (keys []string) {
	s.Range([]byte(prefix), func(key, _ []byte) bool {
		keys = append(keys, string(key))
		return true
	})
	return keys
}

// The first walk that finds nothing tells what its neighbours would find, and nobody else.
func TestAVacancyIsWhatLiesBetweenNeighbours(t *testing.T) {
	s := open(t, t.TempDir(), Options{})
	for _, key := range []string{"b", "m.x", "y"} {
		s.Put([]byte(key), []byte("value"))
	}
	flush(t, s)
	s.withReader(func(r *Reader) {
		r.rangeOver([]byte("h."), nil, func(key, _ []byte) bool { t.Errorf("found %q", key); return true })
		for key, vacant := range map[string]bool{
			"b": false, "b\x00": true, "b.a": true, "h": true, "h.": true, "h.z": true, "m": false, "m.": false, "m.a": true,
			"m.x": false, "m.xa": false, "n": false, "y": false, "a": false, "": false,
		} {
			if got := r.vacant.holds(r, []byte(key)); got != vacant {
				t.Errorf("%q is vacant: %v", key, got)
			}
		}
	})
}

// What is stored after its place was found vacant is found: it is in another snapshot. What
// is only queued is found as well.
func TestWhatIsStoredInAVacancyIsFound(t *testing.T) {
	s := open(t, t.TempDir(), Options{})
	s.Put([]byte("a"), []byte("value"))
	s.Put([]byte("z"), []byte("value"))
	flush(t, s)
	for i := range 4 {
		prefix := fmt.Sprintf("m%d.", i)
		if got := under(s, prefix); got != nil {
			t.Errorf("found %q before anything is stored", got)
		}
		s.Put([]byte(prefix+"x"), []byte("value"))
		for _, where := range []string{"queued", "stored"} {
			if got := under(s, prefix); len(got) != 1 {
				t.Errorf("found %q of what is %s", got, where)
			}
			if _, ok := get(s, prefix+"x"); !ok {
				t.Errorf("what is %s is not found by its key", where)
			}
			flush(t, s)
		}
	}
}

// Look-ups find what they find without vacancies, in whatever order they come.
func TestVacanciesHideNothing(t *testing.T) {
	s := open(t, t.TempDir(), Options{})
	rnd := rand.New(rand.NewPCG(1, 2))
	word := func() string {
		b := make([]byte, 1+rnd.IntN(4))
		for i := range b {
			b[i] = "\x00ab\xff"[rnd.IntN(4)]
		}
		return "k" + string(b) // the Store's own keys begin with zeros
	}
	stored := map[string]bool{}
	for round := range 40 {
		for range 10 {
			key := word()
			s.Put([]byte(key), bytes.Repeat([]byte{1}, 400)) // so that there are several pages
			stored[key] = true
		}
		flush(t, s)
		for range 300 {
			prefix, want := word(), 0
			for key := range stored {
				if strings.HasPrefix(key, prefix) {
					want++
				}
			}
			if got := under(s, prefix); len(got) != want {
				t.Fatalf("round %d: %d keys start with %q, want %d", round, len(got), prefix, want)
			}
			if _, got := get(s, prefix); got != stored[prefix] {
				t.Fatalf("round %d: %q is found: %v", round, prefix, got)
			}
		}
	}
}
