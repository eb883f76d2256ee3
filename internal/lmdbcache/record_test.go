package lmdbcache

import (
	"errors"
	"testing"
)

func TestARecordIsReadAsItWasWritten(t *testing.T) {
	want := record{schema: 1<<24 + 2, clears: 1<<56 + 3, base: 1<<48 + 4, prefix: []byte("com.")}
	got, ok := parseRecord(want.encode())
	if !ok || got.schema != want.schema || got.clears != want.clears || got.base != want.base || string(got.prefix) != "com." {
		t.Errorf("%+v, %v; want %+v", got, ok, want)
	}
	whole := record{}.encode()
	if _, ok := parseRecord(whole); !ok {
		t.Error("a record without a prefix is none")
	}
	if _, ok := parseRecord(whole[:len(whole)-1]); ok {
		t.Error("a record that is cut off is one")
	}
	whole[3]++
	if _, ok := parseRecord(whole); ok {
		t.Error("a record of another kind is one")
	}
}

// Nothing that was cleared comes back, and what was not cleared stays as long as
// that is known.
func TestWhatAClearDrops(t *testing.T) {
	var r record
	at := []record{r}
	for _, prefix := range []string{"com.", "com.", "org.", "", "org."} { // clears 1 to 5
		r = r.cleared([]byte(prefix))
		at = append(at, r)
	}
	for _, c := range []struct {
		now  int
		key  string
		seen uint64
		want bool
	}{
		{0, "com.a", 0, false},
		{1, "com.a", 0, true}, {1, "com.a", 1, false}, {1, "org.a", 0, false},
		{2, "com.a", 0, true}, {2, "com.a", 1, true}, {2, "com.a", 2, false}, {2, "org.a", 1, false},
		{3, "org.a", 2, true}, {3, "net.a", 2, false}, {3, "net.a", 1, true}, {3, "net.a", 0, true}, {3, "com.a", 3, false},
		{4, "net.a", 3, true}, {4, "net.a", 2, true}, {4, "net.a", 4, false},
		{5, "net.a", 4, false}, {5, "org.a", 4, true}, {5, "net.a", 3, true},
	} {
		if got := at[c.now].dropped([]byte(c.key), c.seen); got != c.want {
			t.Errorf("after clear %d, %s of number %d: dropped %v, want %v", c.now, c.key, c.seen, got, c.want)
		}
		wide := &op{key: []byte(c.key), seen: c.seen, wide: true}
		if got, want := at[c.now].drops(wide), c.seen < uint64(c.now); got != want {
			t.Errorf("after clear %d, what tells of more, of number %d: dropped %v, want %v", c.now, c.seen, got, want)
		}
		if got := at[c.now].drops(&op{key: []byte(c.key), seen: c.seen}); got != c.want {
			t.Errorf("after clear %d, %s of number %d: %v", c.now, c.key, c.seen, got)
		}
	}
	if r = (record{schema: 9}).cleared(nil); r.schema != 9 || r.clears != 1 {
		t.Errorf("%+v", r)
	}
}

// Who may not change a file of another version leaves it as it is.
func TestAFileOfAnotherVersionIsKept(t *testing.T) {
	dir := t.TempDir()
	s := open(t, dir, Options{Schema: 1})
	s.Put([]byte("a"), []byte("1"))
	flush(t, s)
	s.Close()
	if _, err := Open(dir, Options{Schema: 2, Keep: true}); !errors.Is(err, ErrSchema) {
		t.Errorf("%v, want %v", err, ErrSchema)
	}
	s = open(t, dir, Options{Schema: 1, Keep: true})
	wantGet(t, s, "a", "1")
	if n := s.ClearNumber(); n != 1 {
		t.Errorf("clear number %d: a file that fits was written to", n)
	}
}
