package lmdbcache

import (
	"testing"
)

// What happened is counted once, in the number that the manual names.
func TestWhatIsCounted(t *testing.T) {
	s := open(t, t.TempDir(), Options{MaxSize: 4 << 20})
	put := func(keys ...string) {
		for _, k := range keys {
			s.Put([]byte(k), []byte("v"))
		}
	}
	never := func(_, _, _ []byte) bool { return false }
	put("a", "b", "c")
	if st := s.Stats(); st.Queued == 0 && st.Write == 0 {
		t.Errorf("nothing is queued: %+v", st)
	}
	flush(t, s)
	get(s, "a")
	get(s, "none")
	s.Floor([]byte("b"), []byte("bb"), func(_, _ []byte) {})
	s.Floor([]byte("x"), []byte("xx"), func(_, _ []byte) {})
	s.Floor([]byte("x"), []byte("xx"), func(_, _ []byte) {})
	s.Range([]byte("a"), func(_, _ []byte) bool { return true })
	s.Range([]byte("z"), func(_, _ []byte) bool { return true })
	s.Range([]byte("z"), func(_, _ []byte) bool { return true })
	s.Delete([]byte("a"))
	s.Delete([]byte("none"))
	s.DeleteIf([]byte("b"), func([]byte) bool { return false })
	flush(t, s)
	s.PutIf([]byte("c"), []byte("w"), never)
	flush(t, s)
	release := holdWriter(s)
	s.Put([]byte("d"), []byte("v"))
	s.PutIf([]byte("d"), []byte("w"), never)
	get(s, "d") // one that is queued
	release()
	flush(t, s)
	if n, err := s.RemoveRange([]byte("d"), 1, nil); n != 1 || err != nil {
		t.Errorf("removed %d, %v", n, err)
	}
	wantCount(t, s, 2)
	got := s.Stats()
	if got.Commit < 4 || got.UsagePercent <= 0 || got.UsagePercent >= 100 {
		t.Errorf("%d transactions, %.1f %% used", got.Commit, got.UsagePercent)
	}
	// Opening looks for the store's own entry, in vain here, and counting finds it.
	want := Stats{
		Hit: 3 + 1, Miss: 2 + 2, Insert: 4, Delete: 2,
		Open: 1, Count: 1, Clear: 1, Commit: got.Commit, UsagePercent: got.UsagePercent,
		Read: 3 + 2, ReadMiss: 1 + 1, ReadLeq: 3, ReadLeqMiss: 2, Match: 3, MatchMiss: 2,
		Write: 4, Remove: 2, RemoveMiss: 1, RankDrops: 3,
	}
	if got != want {
		t.Errorf("got  %+v\nwant %+v", got, want)
	}
	s.Clear()
	if s.Close(); s.Stats().Close != 1 || s.Stats().Clear != 2 {
		t.Errorf("closed: %+v", s.Stats())
	}
}

// What a reader has counted is known when it ends what it reads, and stays when the
// reader goes.
func TestReadersCountEachOnTheirOwn(t *testing.T) {
	s := open(t, t.TempDir(), Options{})
	s.Put([]byte("k"), []byte("v"))
	flush(t, s)
	was := s.Stats()
	count := func() Stats {
		st := s.Stats()
		return Stats{Read: st.Read - was.Read, ReadMiss: st.ReadMiss - was.ReadMiss, ReadLeq: st.ReadLeq - was.ReadLeq,
			ReadLeqMiss: st.ReadLeqMiss - was.ReadLeqMiss, Hit: st.Hit - was.Hit, Miss: st.Miss - was.Miss}
	}
	for _, c := range []struct {
		read func(r *Reader)
		want Stats
	}{
		{func(r *Reader) { r.Get([]byte("k")) }, Stats{Read: 1, Hit: 1}},
		{func(r *Reader) { r.Get([]byte("none")) }, Stats{Read: 2, ReadMiss: 1, Hit: 1, Miss: 1}},
		{func(r *Reader) { r.Floor([]byte("k"), []byte("kk")) }, Stats{Read: 2, ReadMiss: 1, ReadLeq: 1, Hit: 2, Miss: 1}},
		{func(r *Reader) { r.Floor([]byte("x"), []byte("xx")) }, Stats{Read: 2, ReadMiss: 1, ReadLeq: 2, ReadLeqMiss: 1, Hit: 2, Miss: 2}},
	} {
		r, err := s.NewReader()
		if err != nil {
			t.Fatal(err)
		}
		if err := r.Begin(); err != nil {
			t.Fatal(err)
		}
		c.read(r)
		r.End()
		if got := count(); got != c.want {
			t.Errorf("ended: got  %+v\nwant %+v", got, c.want)
		}
		r.Close()
		if got := count(); got != c.want {
			t.Errorf("closed: got  %+v\nwant %+v", got, c.want)
		}
	}
	if n := len(s.readers.all); n != len(s.spare.all) {
		t.Errorf("%d readers are known, of which %d wait for the next who asks", n, len(s.spare.all))
	}
}

// Each number is published also where it alone has changed, and each sum has its own.
func TestReadCountsArePublished(t *testing.T) {
	for _, n := range []readCounts{
		{read: 1}, {read: 2, readMiss: 1}, {floor: 1}, {floor: 2, floorMiss: 1}, {match: 1}, {match: 2, matchMiss: 1}, {damaged: 1},
	} {
		var c readCounters
		c.publish(&n)
		got := readCounts{damaged: 10, match: 10}
		got.add(&c)
		want := n
		want.damaged += 10
		want.match += 10
		if got != want {
			t.Errorf("%+v, want %+v", got, want)
		}
	}
}
