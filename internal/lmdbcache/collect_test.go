package lmdbcache

import (
	"bytes"
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"kresd/internal/clock"
	"kresd/internal/limits"
)

// worth of the entries of these tests is their first octet.
func firstOctet(_, val []byte) Worth { return Worth(val[0]) }

// fillTo puts entries of random-looking keys until the map is so full.
func fillTo(t *testing.T, s *Store, percent float64, worth func(i int) byte) int {
	t.Helper()
	for i := 0; ; i++ {
		val := make([]byte, 300)
		val[0] = worth(i)
		s.Put(fmt.Appendf(nil, "%08x", uint32(i)*2654435761), val)
		if i%50 == 49 {
			flush(t, s)
			if s.Usage() >= percent {
				return i + 1
			}
		}
		if i > 1e6 {
			t.Fatal("the map does not fill")
		}
	}
}

func TestCollectRemovesWhatIsWorthLeast(t *testing.T) {
	s := open(t, t.TempDir(), Options{MaxSize: 8 << 20})
	ctx := context.Background()
	if c, err := s.Collect(ctx, firstOctet); err != nil || c.Removed != 0 {
		t.Errorf("Collect of an empty map: %+v, %v", c, err)
	}
	fillTo(t, s, 80, func(i int) byte { return byte(i % 200) })
	c, err := s.Collect(ctx, firstOctet)
	if err != nil || c.After >= limits.CollectHighPercent || c.Removed == 0 {
		t.Fatalf("Collect: %+v, %v", c, err)
	}
	if c.Threshold > 80 {
		t.Errorf("threshold %d; a fifth of the entries was enough", c.Threshold)
	}
	above, below := 0, 0
	s.Range(nil, func(_, v []byte) bool {
		if Worth(v[0]) > c.Threshold {
			above++
		} else {
			below++
		}
		return true
	})
	t.Logf("%+v; left above the threshold %d, below %d", c, above, below)
	if above < 10*below {
		t.Errorf("left above the threshold %d, below %d", above, below)
	}
	if c2, err := s.Collect(ctx, firstOctet); err != nil || c2.Removed != 0 {
		t.Errorf("second Collect: %+v, %v", c2, err)
	}
	wantSound(t, s)
}

// Entries that go leave their pages half empty, and LMDB joins few of them. What is
// worth more would have to go as well, if neighbours were not put together.
func TestCollectPutsHalfEmptyPagesTogether(t *testing.T) {
	const little, much = 1, 200
	s := open(t, t.TempDir(), Options{MaxSize: 8 << 20})
	n := fillTo(t, s, 80, func(i int) byte { return [...]byte{little, much}[i%2] })
	c, err := s.Collect(context.Background(), firstOctet)
	if err != nil || c.After >= limits.CollectLowPercent+1 {
		t.Fatalf("Collect: %+v, %v", c, err)
	}
	left := 0
	s.Range(nil, func(_, v []byte) bool {
		if v[0] == much {
			left++
		}
		return true
	})
	if left < n/2 || c.Threshold != little {
		t.Errorf("%d of %d entries of much worth are left: %+v", left, n/2, c)
	}
	wantSound(t, s)
}

func TestCollectMakesRoomWhereAllAreWorthTheSame(t *testing.T) {
	s := open(t, t.TempDir(), Options{MaxSize: 4 << 20})
	had := fillTo(t, s, 80, func(int) byte { return 255 })
	c, err := s.Collect(context.Background(), firstOctet)
	if err != nil || c.After >= limits.CollectHighPercent {
		t.Fatalf("Collect: %+v, %v", c, err)
	}
	if left, _ := s.Count(); left < had/2 {
		t.Errorf("%d of %d entries left: never the whole cache", left, had)
	}
}

// A snapshot holds no pages: a reader that did not get the processor for a moment
// let a map fill up, and a collection that found no room emptied the cache.
func TestAHeldSnapshotDoesNotFillTheMap(t *testing.T) {
	s := open(t, t.TempDir(), Options{MaxSize: 1 << 20})
	fillTo(t, s, 70, func(i int) byte { return byte(i) })
	r := reader(t, s)
	if err := r.Begin(); err != nil {
		t.Fatal(err)
	}
	had, _ := s.Count()
	for i := range 1000 { // more pages than the map has
		s.Put(fmt.Appendf(nil, "%08x", uint32(i%50)*2654435761), bytes.Repeat([]byte{byte(i)}, 300))
		flush(t, s)
	}
	if st := s.Stats(); st.WriteErrors != 0 || st.FullDrops != 0 {
		t.Errorf("beside a reader that does not end: %+v", st)
	}
	if c, err := s.collect(context.Background(), Collected{Before: 80}, limits.CollectHighPercent, limits.CollectLowPercent, firstOctet); err != nil || c.Removed == 0 {
		t.Errorf("Collect: %+v, %v", c, err)
	}
	if left, _ := s.Count(); left < had/2 {
		t.Errorf("%d of %d entries left: never the whole cache", left, had)
	}
	r.End()
	wantSound(t, s)
}

func TestPruneRemovesTheWorthless(t *testing.T) {
	s := open(t, t.TempDir(), Options{MaxSize: 8 << 20})
	for i := range 5000 {
		s.Put(fmt.Appendf(nil, "k%05d", i), []byte{byte(i % 2)})
	}
	flush(t, s)
	if n, err := s.Prune(context.Background(), firstOctet); n != 2500 || err != nil {
		t.Errorf("Prune = %d, %v; want 2500", n, err)
	}
	wantCount(t, s, 2500)
	if n, err := s.Prune(context.Background(), firstOctet); n != 0 || err != nil {
		t.Errorf("second Prune = %d, %v", n, err)
	}
}

// TestFullMap: at the ceiling new entries are dropped, nothing fails, and room
// comes back by Collect.
func TestFullMap(t *testing.T) {
	for _, size := range []int64{8192, 1 << 20, 8 << 20} {
		t.Run(fmt.Sprint(size), func(t *testing.T) {
			asked := make(chan struct{}, 100)
			s := open(t, t.TempDir(), Options{MaxSize: size, OnFull: func() { asked <- struct{}{} }})
			for i := range 3 * int(s.Size()) / 1000 {
				s.Put(fmt.Appendf(nil, "%08x", uint32(i)*2654435761), make([]byte, 1000))
				if i%20 == 0 {
					flush(t, s)
				}
			}
			flush(t, s)
			st := s.Stats()
			t.Logf("%+v", st)
			if st.WriteErrors != 0 || st.FullDrops == 0 || len(asked) == 0 {
				t.Errorf("Stats: %+v; asked %d times", st, len(asked))
			}
			wantGet(t, s, "00000000", strings.Repeat("\x00", 1000))
			c, err := s.Collect(context.Background(), func(_, val []byte) Worth { return 100 })
			if err != nil || c.After >= limits.CollectHighPercent {
				t.Fatalf("Collect: %+v, %v", c, err)
			}
			s.Put([]byte("new"), []byte("1"))
			flush(t, s)
			wantGet(t, s, "new", "1")
			wantSound(t, s)
		})
	}
}

func TestWritingPausesAfterFailures(t *testing.T) {
	c := clock.NewFake(time.Unix(1000, 0))
	var h health
	h.init(Options{Clock: &c.Clock, OnFull: func() {}})
	fail := func() bool { c.Advance(time.Second); return h.failure() }
	if first, second := fail(), fail(); first || second || h.paused() {
		t.Error("paused after two failures")
	}
	if !fail() || !h.paused() {
		t.Error("not paused after three failures in ten seconds")
	}
	c.Advance(limits.WriteFailurePause)
	if h.paused() {
		t.Error("still paused after a minute")
	}
	fail()
	c.Advance(limits.WriteFailureWindow)
	if first, second := fail(), fail(); first || second {
		t.Error("paused after failures that are far apart")
	}
	if !fail() || !h.paused() {
		t.Error("not paused again")
	}
	if h.recovered(); h.paused() {
		t.Error("paused although there is room again")
	}
}

func TestQueueIsBounded(t *testing.T) {
	s := open(t, t.TempDir(), Options{QueueEntries: 100, QueueBytes: 1 << 20})
	release := holdWriter(s) // nothing is committed meanwhile
	for i := range 1000 {
		s.Put(fmt.Appendf(nil, "k%04d", i), []byte("v"))
		s.Put([]byte("same"), fmt.Append(nil, i))
	}
	st := s.Stats()
	release()
	if st.Queued > 100+limits.WriteBatchEntries || st.QueueDrops == 0 {
		t.Errorf("%d queued, %d dropped", st.Queued, st.QueueDrops)
	}
	flush(t, s)
	wantGet(t, s, "same", "999")
}

func TestRemoveRangeInChunks(t *testing.T) {
	s := open(t, t.TempDir(), Options{})
	for i := range 1000 {
		s.Put(fmt.Appendf(nil, "com\x00a%04d", i), []byte("v"))
		s.Put(fmt.Appendf(nil, "org\x00a%04d", i), []byte("v"))
	}
	odd := func(k []byte) bool { return k[len(k)-1]&1 == 1 }
	for _, c := range []struct {
		limit int
		match func([]byte) bool
		want  int
	}{{100, nil, 100}, {100, odd, 100}, {1000, odd, 350}, {2000, nil, 450}, {1, nil, 0}} {
		if n, err := s.RemoveRange([]byte("com\x00"), c.limit, c.match); n != c.want || err != nil {
			t.Errorf("RemoveRange(limit %d, match %v) = %d, %v; want %d", c.limit, c.match != nil, n, err, c.want)
		}
	}
	wantCount(t, s, 1000)
	if n, err := s.RemoveRange(nil, 5000, nil); n != 1000 || err != nil {
		t.Errorf("RemoveRange of everything = %d, %v", n, err)
	}
	wantCount(t, s, 0)
	if n := s.Stats().Remove; n != 2000 {
		t.Errorf("%d removals are counted, want 2000", n)
	}
	if s.ClearNumber() != 7 {
		t.Errorf("clear number %d, want 7", s.ClearNumber())
	}
}

// A removal goes on where its last transaction ended: nothing is looked at twice.
func TestARemovalLooksAtEachEntryOnce(t *testing.T) {
	s := open(t, t.TempDir(), Options{MaxSize: 8 << 20})
	for i := range 1000 {
		s.Put(fmt.Appendf(nil, "k%04d", i), []byte("v"))
	}
	flush(t, s)
	seen := map[string]int{}
	n, err := s.RemoveRange([]byte("k"), 5000, func(k []byte) bool {
		seen[string(k)]++
		return k[4]&1 == 1
	})
	if n != 500 || err != nil || len(seen) != 1000 {
		t.Errorf("%d removed of %d, %v", n, len(seen), err)
	}
	for k, times := range seen {
		if times != 1 {
			t.Errorf("%s is looked at %d times", k, times)
		}
	}
	if st := s.Stats(); st.Commit < 500/uint64(s.batchSize()) {
		t.Errorf("%d transactions for 500 removals", st.Commit)
	}
}

// What became worth more since it was chosen stays, and what is gone is no error.
func TestWhatIsWorthMoreByNowStays(t *testing.T) {
	s := open(t, t.TempDir(), Options{})
	for _, k := range []string{"a", "b", "c"} {
		s.Put([]byte(k), []byte{5})
	}
	flush(t, s)
	s.Put([]byte("b"), []byte{6})
	flush(t, s)
	w := &collection{s: s, judge: firstOctet, threshold: 5, keys: [][]byte{[]byte("a"), []byte("b"), []byte("gone")}}
	if err := w.removeOnce(context.Background()); err != nil || w.removed != 1 || s.Stats().Remove != 1 {
		t.Errorf("%d removed, %v, %+v", w.removed, err, s.Stats())
	}
	wantMiss(t, s, "a")
	wantGet(t, s, "b", "\x06")
	wantGet(t, s, "c", "\x05")
}

func TestPutSinceAClear(t *testing.T) {
	s := open(t, t.TempDir(), Options{})
	seen := s.ClearNumber()
	if _, err := s.RemoveRange([]byte("com."), 1, nil); err != nil {
		t.Fatal(err)
	}
	s.PutSince(seen, []byte("com.a"), []byte("1"), nil)
	s.PutSince(seen, []byte("org.a"), []byte("1"), nil)
	flush(t, s)
	wantMiss(t, s, "com.a")
	wantGet(t, s, "org.a", "1")
	if _, err := s.RemoveRange([]byte("net."), 1, nil); err != nil {
		t.Fatal(err)
	}
	s.PutSince(seen, []byte("edu.a"), []byte("1"), nil) // two ranges since: not known any more
	flush(t, s)
	wantMiss(t, s, "edu.a")
	if st := s.Stats(); st.StaleDrops != 2 {
		t.Errorf("StaleDrops = %d, want 2", st.StaleDrops)
	}
}

// What tells of more than lies under its key is dropped after a clear of any range,
// and takes the place of an older write with all that it is.
func TestPutUnlessCleared(t *testing.T) {
	s := open(t, t.TempDir(), Options{})
	before := s.ClearNumber()
	if _, err := s.RemoveRange([]byte("com."), 1, nil); err != nil {
		t.Fatal(err)
	}
	s.PutUnlessCleared(before, []byte("org.a"), []byte("1"), nil)
	s.PutUnlessCleared(s.ClearNumber(), []byte("org.b"), []byte("1"), nil)
	s.PutSince(before, []byte("org.c"), []byte("1"), nil)
	s.PutUnlessCleared(before, []byte("org.c"), []byte("2"), nil)
	flush(t, s)
	wantMiss(t, s, "org.a")
	wantGet(t, s, "org.b", "1")
	if v, ok := get(s, "org.c"); ok && v != "1" {
		t.Errorf("org.c = %q, written after a clear", v)
	}
}
