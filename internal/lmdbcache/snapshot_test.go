package lmdbcache

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/PowerDNS/lmdb-go/lmdb"
)

// A snapshot stands until the second transaction after it, as the comment on
// overtaken says, and does not stand for ever.
func TestSnapshotStandsUntilTheSecondTransaction(t *testing.T) {
	s := open(t, t.TempDir(), Options{MaxSize: 1 << 20})
	rnd := rand.New(rand.NewPCG(5, 6))
	write := func() { // one transaction
		t.Helper()
		err := s.do(context.Background(), func(txn *lmdb.Txn) error {
			for range 20 {
				if err := txn.Put(s.dbi, fmt.Appendf(nil, "k%04d", rnd.IntN(500)), fmt.Appendf(nil, "%0200d", rnd.Uint32()), 0); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	m := s.view.Load()
	content := func(snap snapshot) (all []string) {
		var c cursor
		c.reset(m)
		for on := c.ceil(snap.root, nil); on; on = c.step(1) {
			k, v, _ := c.entry()
			all = append(all, string(k)+"="+string(v))
		}
		return all
	}
	for range 50 {
		write()
	}
	changed := false
	for round := range 100 {
		snap, ok := m.newest()
		if !ok || m.overtaken(&snap) {
			t.Fatal("no newest snapshot")
		}
		want := content(snap)
		write()
		if m.overtaken(&snap) {
			t.Fatal("overtaken after one transaction")
		}
		write()
		// The third transaction has not begun to write.
		if !m.overtaken(&snap) {
			t.Error("not overtaken by two transactions")
		}
		if !slices.Equal(content(snap), want) {
			t.Fatalf("round %d: pages were used again in the second transaction", round)
		}
		write()
		changed = changed || !slices.Equal(content(snap), want)
	}
	if !changed {
		t.Error("pages were never used again: the test shows nothing")
	}
}

// A reader that was overtaken finds what is stored by then, not what the pages of its
// snapshot have become.
func TestOvertakenReaderLooksAgain(t *testing.T) {
	s := open(t, t.TempDir(), Options{MaxSize: 1 << 20})
	write := func(round int) {
		for i := range 300 {
			s.Put(fmt.Appendf(nil, "k%04d", i), fmt.Appendf(nil, "%0300d", round*1000+i))
		}
		flush(t, s)
	}
	write(0)
	r := reader(t, s)
	if err := r.Begin(); err != nil {
		t.Fatal(err)
	}
	defer r.End()
	for round := 1; round < 30; round++ {
		write(round)
		write(round)
		for i := range 300 {
			key, want := fmt.Appendf(nil, "k%04d", i), fmt.Sprintf("%0300d", round*1000+i)
			if round%2 == 0 { // the first look of a round is the one that is overtaken
				if got, ok := r.Get(key); !ok || string(got) != want {
					t.Fatalf("round %d: %s = %.20q, %v", round, key, got, ok)
				}
			}
			if k, got, ok := r.Floor([]byte("k"), append(key, 0)); !ok || string(k) != string(key) || string(got) != want {
				t.Fatalf("round %d: floor of %s = %s", round, key, k)
			}
		}
	}
	if st := s.Stats(); st.Damaged != 0 {
		t.Errorf("%d found damaged", st.Damaged)
	}
}

// A walk that writers overtake goes on where it was.
func TestOvertakenWalkGoesOn(t *testing.T) {
	s := open(t, t.TempDir(), Options{MaxSize: 4 << 20})
	for i := range 1000 {
		s.Put(fmt.Appendf(nil, "k%04d", i), make([]byte, 300))
	}
	flush(t, s)
	n := 0
	s.Range([]byte("k"), func(k, _ []byte) bool {
		if string(k) != fmt.Sprintf("k%04d", n) {
			t.Fatalf("entry %d is %s", n, k)
		}
		if n++; n%10 == 0 {
			for i := range 100 {
				s.Put(fmt.Appendf(nil, "k%04d", (n*31+i*7)%1000), make([]byte, 200+n%200))
			}
			flush(t, s)
		}
		return true
	})
	if n != 1000 {
		t.Errorf("%d of 1000 entries", n)
	}
}

// A collection that is overtaken goes on where it was, and does not take what it sees
// then for the end of the map.
func TestOvertakenCollectionGoesOn(t *testing.T) {
	s := open(t, t.TempDir(), Options{MaxSize: 4 << 20})
	write := func(round int) {
		for i := range 1000 {
			s.Put(fmt.Appendf(nil, "k%04d", i), make([]byte, 300+round))
		}
		flush(t, s)
	}
	write(0)
	judged, overtaken := map[string]bool{}, false
	w := &collection{s: s, judge: func(k, _ []byte) Worth {
		if judged[string(k)] = true; len(judged) == 100 && !overtaken {
			overtaken = true
			write(1)
			write(2)
		}
		return 255
	}}
	walks := 0
	for atEnd := false; !atEnd && walks < 100; walks++ {
		s.withReader(func(r *Reader) { atEnd = w.choose(r) })
	}
	if len(judged) != 1000 || walks != 2 {
		t.Errorf("%d of 1000 entries were judged, in %d walks, want 2", len(judged), walks)
	}
}
