package lmdbcache

import (
	"context"
	"errors"
	"fmt"
	"testing"

	"github.com/PowerDNS/lmdb-go/lmdb"

	"kresd/internal/limits"
)

// stuffed is a store whose map has no page left: another program may have filled it so,
// which keeps nothing free for the copies that removing needs.
func stuffed(t *testing.T, o Options, pages int) *Store {
	t.Helper()
	o.MaxSize = 1 << 20
	s := open(t, t.TempDir(), o)
	err := s.do(t.Context(), func(txn *lmdb.Txn) error {
		for i := range pages { // each on a page of its own
			if err := txn.Put(s.dbi, fmt.Appendf(nil, "k%03d", i), make([]byte, 3000), 0); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := s.env.SetMapSize(1); err != nil { // which LMDB takes for the pages that are in use
		t.Fatal(err)
	}
	return s
}

// Where removing finds no page for its copies, half of the entries are tried a moment later,
// and writing rests meanwhile.
func TestARemovalThatFindsNoPageIsTriedAgain(t *testing.T) {
	s := stuffed(t, Options{}, 100)
	ctx, cancel := context.WithCancel(t.Context())
	w := &collection{s: s, judge: func(_, _ []byte) Worth { return 0 }}
	for i := range 9 {
		w.keys = append(w.keys, fmt.Appendf(nil, "k%03d", 10*i))
	}
	if err := w.removeOnce(t.Context()); !lmdb.IsMapFull(err) {
		t.Fatalf("%v: the map is not full", err)
	}
	w.judge = func(_, _ []byte) Worth { cancel(); return 0 } // when the first try has begun
	if err := w.removeChosen(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("%v, want %v", err, context.Canceled)
	}
	if len(w.keys) != 5 || !s.health.paused() || w.removed != 0 {
		t.Errorf("%d keys are left of 9, paused %v, %d removed", len(w.keys), s.health.paused(), w.removed)
	}
}

// Where there is no room even to remove one, all is to go, and the log says so; a map
// with free pages keeps what it has.
func TestAStuffedMapIsGivenUp(t *testing.T) {
	for pages, given := range map[int]bool{100: false, 238: true} {
		t.Run(fmt.Sprint(pages), func(t *testing.T) {
			t.Parallel() // each waits for a second
			warned := ""
			s := stuffed(t, Options{Warn: func(l string) { warned += l }}, pages)
			w := &collection{s: s, judge: func(_, _ []byte) Worth { return 0 }, keys: [][]byte{[]byte("k050")}}
			if err := w.removeChosen(t.Context()); !lmdb.IsMapFull(err) { // so is this map that not even a clear finds a page
				t.Errorf("%v", err)
			}
			if (warned == "no room is left to remove entries in: all are dropped") != given || w.removed != 0 {
				t.Errorf("the log says %q, %d removed", warned, w.removed)
			}
			wantGet(t, s, "k050", string(make([]byte, 3000)))
		})
	}
}

// A map with hardly a page left is one that cannot be written to: the free pages are not
// only those that were freed just now.
func TestAFullMapCannotBeWrittenTo(t *testing.T) {
	warned := 0
	s := stuffed(t, Options{Warn: func(string) { warned++ }}, 238)
	for range limits.WriteFailures {
		s.failed(&lmdb.OpError{Op: "mdb_put", Errno: lmdb.MapFull})
	}
	if !s.health.paused() || warned != 1 {
		t.Errorf("paused %v, warned %d times", s.health.paused(), warned)
	}
}
