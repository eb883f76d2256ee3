package lmdbcache

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime/debug"
	"strings"
	"testing"
	"time"
	"unsafe"

	"github.com/PowerDNS/lmdb-go/lmdb"

	"kresd/internal/clock"
	"kresd/internal/limits"
)

// fill writes entries of a size, named by their number.
func fill(t *testing.T, s *Store, n, octets int) {
	t.Helper()
	for i := range n {
		s.Put(fmt.Appendf(nil, "k%06d", i), make([]byte, octets))
		if i%1000 == 999 {
			flush(t, s)
		}
	}
	flush(t, s)
}

// halt ends the goroutines of a store, which would notice what happens to its file.
func halt(s *Store) {
	close(s.stop)
	<-s.writer
	<-s.watcher
	s.stop = make(chan struct{})
}

// A file that is cut off under whoever reads it is found by any of them, who end without
// a panic; LMDB is not let near it any more.
func TestAnyWalkMayMeetTheEndOfTheFile(t *testing.T) {
	worthless := func(_, _ []byte) Worth { return Worthless }
	ctx := context.Background()
	for name, walk := range map[string]func(s *Store){
		"Get":         func(s *Store) { get(s, "k000500") },
		"Floor":       func(s *Store) { s.Floor([]byte("k"), []byte("k0005"), func(_, _ []byte) {}) },
		"Range":       func(s *Store) { s.Range([]byte("k"), func(_, _ []byte) bool { return true }) },
		"Count":       func(s *Store) { _, _ = s.Count() },
		"ClearNumber": func(s *Store) { s.ClearNumber() },
		"sample":      func(s *Store) { s.sample(worthless) },
		"Begin": func(s *Store) { // whose fault is the meta page's
			if err := os.Truncate(filepath.Join(s.dir, dataName), 0); err != nil || s.withReader(func(*Reader) {}) {
				t.Errorf("read, %v", err)
			}
		},
		"Reader.Floor": func(s *Store) { s.withReader(func(r *Reader) { r.Floor([]byte("k"), []byte("k0005")) }) },
		"choose":       func(s *Store) { s.withReader(func(r *Reader) { (&collection{s: s, judge: worthless}).choose(r) }) },
		"moves":        func(s *Store) { s.withReader(func(r *Reader) { (&collection{s: s}).chooseMoves(r, nil) }) },
		"copy": func(s *Store) {
			if n, err := s.copyTo(ctx, filepath.Join(t.TempDir(), "copy")); !errors.Is(err, errDamaged) || n != 0 {
				t.Errorf("copied %d, %v", n, err)
			}
		},
		"usedPages": func(s *Store) { s.withReader(func(r *Reader) { r.usedPages() }) },
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			lost := make(chan string, 1)
			s := open(t, dir, Options{MaxSize: 1 << 20, OnLost: func(why string) { lost <- why }})
			fill(t, s, 1000, 200)
			fill(t, s, 100, 200) // which frees pages
			halt(s)
			if err := os.Truncate(filepath.Join(dir, dataName), 2*pageOctets); err != nil {
				t.Fatal(err)
			}
			walk(s)
			if why := soon(t, "the loss is told", lost); !strings.HasSuffix(why, ": the data file is shorter than its map") {
				t.Errorf("lost, since %s", why)
			}
			if s.Stats().Damaged == 0 {
				t.Error("not counted")
			}
			if err := s.stillGood(); !errors.Is(err, errCutOff) {
				t.Errorf("LMDB would find %v, want %v", err, errCutOff)
			}
		})
	}
}

// Each look-up that meets a damaged page is counted, and one that finds nothing is not.
func TestDamagedPagesAreCounted(t *testing.T) {
	dir := t.TempDir()
	s := open(t, dir, Options{MaxSize: 1 << 20, OnLost: func(string) {}})
	fill(t, s, 1000, 200)
	halt(s)
	get(s, "none")
	s.Floor([]byte("a"), []byte("ab"), func(_, _ []byte) {})
	if n := s.Stats().Damaged; n != 0 {
		t.Errorf("%d of a whole map", n)
	}
	for n := int64(firstData); n < 256; n++ {
		overwrite(t, filepath.Join(dir, dataName), n*pageOctets, words(1)) // which says that it is another
	}
	wantMiss(t, s, "k000001")
	if n := s.Stats().Damaged; n != 1 {
		t.Errorf("%d after Get", n)
	}
	s.Floor([]byte("k"), []byte("k1"), func(_, _ []byte) {})
	if n := s.Stats().Damaged; n != 2 {
		t.Errorf("%d after Floor", n)
	}
}

// A panic that is no fault in the map is somebody else's.
func TestOtherPanicsGoOn(t *testing.T) {
	s := open(t, t.TempDir(), Options{OnLost: func(string) { t.Error("lost") }})
	s.Put([]byte("k"), []byte("v"))
	flush(t, s)
	for _, v := range []any{"a panic", fault(8)} {
		func() {
			defer func() {
				if got := recover(); got != v {
					t.Errorf("recovered %v, want %v", got, v)
				}
			}()
			s.Range(nil, func(_, _ []byte) bool { panic(v) })
		}()
	}
	wantGet(t, s, "k", "v")
}

type fault uintptr

func (f fault) Error() string { return "a fault elsewhere" }
func (f fault) Addr() uintptr { return uintptr(f) }

// Between Begin and End, and only there, a fault is a panic of its thread.
func TestFaultsArePanicsWhileReading(t *testing.T) {
	s := open(t, t.TempDir(), Options{})
	r := reader(t, s)
	now := func() bool {
		on := debug.SetPanicOnFault(true)
		debug.SetPanicOnFault(on)
		return on
	}
	for _, before := range []bool{false, true, false} {
		debug.SetPanicOnFault(before)
		if err := r.Begin(); err != nil {
			t.Fatal(err)
		}
		if !now() {
			t.Error("not while reading")
		}
		if r.End(); now() != before {
			t.Errorf("afterwards %v, before %v", now(), before)
		}
	}
	r.End() // which does nothing more
	if r.ClearNumber() != 0 {
		t.Error("a clear number where nothing is read")
	}
	if k, _, ok := r.Floor(nil, []byte("k")); ok || k != nil {
		t.Error("a floor where nothing is read")
	}
	if err := r.Begin(); err != nil {
		t.Fatal(err)
	}
	if err := r.Begin(); !errors.Is(err, ErrClosed) {
		t.Errorf("begun twice: %v", err)
	}
	if k, _, ok := r.Floor(nil, nil); ok || k != nil {
		t.Error("a floor of the empty key")
	}
	r.End()
	if r.Close(); len(s.readers.all) != len(s.spare.all) {
		t.Error("a reader that is closed is known")
	}
}

// The clear number of a reader is that of what it reads, also where it was overtaken.
func TestTheClearNumberOfAnOvertakenReader(t *testing.T) {
	s := open(t, t.TempDir(), Options{})
	r := reader(t, s)
	if err := r.Begin(); err != nil {
		t.Fatal(err)
	}
	was := s.ClearNumber()
	if n := r.ClearNumber(); n != was {
		t.Errorf("%d, want %d", n, was)
	}
	r.End()
	if err := r.Begin(); err != nil {
		t.Fatal(err)
	}
	defer r.End()
	r.clearsTxn = 0
	for range 3 {
		s.Clear()
	}
	if n := r.ClearNumber(); n != was+3 {
		t.Errorf("%d of an overtaken reader, want %d", n, was+3)
	}
	if r.overtaken() {
		t.Error("it goes on in the old snapshot")
	}
}

// What nobody asks for is not shown.
func TestWhatIsNotFoundIsNotShown(t *testing.T) {
	s := open(t, t.TempDir(), Options{})
	shown := func(k, v []byte) { t.Errorf("shown %q, %q", k, v) }
	s.Put([]byte("com.b"), []byte("v"))
	flush(t, s)
	if s.Floor([]byte("com."), []byte("com.a"), shown) || s.Floor([]byte("org."), []byte("org.a"), shown) || s.Floor(nil, nil, shown) {
		t.Error("found")
	}
	s.Delete([]byte("com.b"))
	if s.Floor([]byte("com."), []byte("com.c"), shown) || s.Get([]byte("com.b"), func(v []byte) { shown(nil, v) }) {
		t.Error("found")
	}
	if n, ok := s.Range([]byte("com."), func(k, v []byte) bool { shown(k, v); return true }); !ok || n != 1 {
		t.Errorf("Range: clear number %d, %v", n, ok)
	}
	if n, ok := s.Range(nil, func(k, v []byte) bool { shown(k, v); return true }); !ok || n != 1 {
		t.Errorf("Range of everything: clear number %d, %v", n, ok)
	}
}

// Below a removal that is queued the search goes on, but not without end.
func TestAFloorBelowManyRemovals(t *testing.T) {
	s := open(t, t.TempDir(), Options{})
	fill(t, s, 100, 10)
	defer holdWriter(s)()
	for i := 99; i > 36; i-- {
		s.Delete(fmt.Appendf(nil, "k%06d", i))
	}
	floor := func() (key string) {
		if !s.Floor([]byte("k"), []byte("k9"), func(k, _ []byte) { key = string(k) }) {
			return "none"
		}
		return key
	}
	if got := floor(); got != "k000036" {
		t.Errorf("below 63 removals: %q", got)
	}
	if s.Delete([]byte("k000036")); floor() != "none" {
		t.Errorf("below 64 removals: %q", floor())
	}
	s.Put([]byte("k000098"), []byte("v"))
	if got := floor(); got != "k000098" {
		t.Errorf("of what is queued: %q", got)
	}
	s.Put([]byte("k7"), []byte("v"))
	if got := floor(); got != "k7" {
		t.Errorf("above all that is stored: %q", got)
	}
	s.Put([]byte("l"), []byte("v"))
	if got := floor(); got != "k7" {
		t.Errorf("outside of the prefix: %q", got)
	}
}

// A walk ends where it is told to, in what is stored and in what is queued.
func TestAWalkEndsWhereItIsToldTo(t *testing.T) {
	s := open(t, t.TempDir(), Options{})
	fill(t, s, 3, 1)
	defer holdWriter(s)()
	s.Put([]byte("k0000005"), []byte("queued"))
	s.Put([]byte("k000001"), []byte("queued"))
	s.Delete([]byte("k000000"))
	all := []string{"k0000005=queued", "k000001=queued", "k000002=\x00"}
	for most := 1; most <= 3; most++ {
		var got []string
		s.Range([]byte("k"), func(k, v []byte) bool {
			got = append(got, string(k)+"="+string(v))
			return len(got) < most
		})
		if strings.Join(got, " ") != strings.Join(all[:most], " ") {
			t.Errorf("%q, want %q", got, all[:most])
		}
	}
}

// A copy is made by batches, each of so many entries or octets, of bytes that are its own.
func TestACopyIsMadeByBatches(t *testing.T) {
	s := open(t, t.TempDir(), Options{MaxSize: 32 << 20})
	fill(t, s, 1500, 10)
	x := &exporter{s: s}
	next := func() {
		t.Helper()
		if err := x.batch(t.Context()); err != nil {
			t.Fatal(err)
		}
		m := s.view.Load()
		for i := range x.keys {
			if m.holds(address(x.keys[i])) || m.holds(address(x.vals[i])) {
				t.Fatal("bytes of the map")
			}
		}
	}
	if next(); len(x.keys) != limits.ExportEntries || x.entries != limits.ExportEntries-1 || x.ended || x.vain != 0 {
		t.Errorf("first %d, %d entries, ended %v, in vain %d", len(x.keys), x.entries, x.ended, x.vain)
	}
	if next(); string(x.keys[0]) != "k000999" || len(x.vals) != 501 || x.entries != 501 || !x.ended {
		t.Errorf("then %d from %s, %d entries, ended %v", len(x.vals), x.keys[0], x.entries, x.ended)
	}
	fill(t, s, 1500, limits.ExportBytes/128-7)
	x = &exporter{s: s, at: []byte("k")}
	if next(); len(x.keys) != 128 || x.ended {
		t.Errorf("%d large entries", len(x.keys))
	}
	if next(); len(x.keys) != 128 || string(x.keys[0]) != "k000128" {
		t.Errorf("then %d from %s", len(x.keys), x.keys[0])
	}
	x = &exporter{s: s, vain: limits.ExportVain, at: []byte("z")}
	if err := x.batch(t.Context()); !errors.Is(err, errDamaged) {
		t.Errorf("after %d looks in vain: %v", limits.ExportVain+1, err)
	}
	x = &exporter{s: s, vain: limits.ExportVain - 1, at: []byte("z")}
	if err := x.batch(t.Context()); err != nil || !x.ended {
		t.Errorf("after %d looks in vain: %v", limits.ExportVain, err)
	}
}

// A batch of a copy that was overtaken ends before what is of no snapshot, and brings
// nothing twice.
func TestAnOvertakenCopyGoesOn(t *testing.T) {
	s := open(t, t.TempDir(), Options{MaxSize: 4 << 20})
	fill(t, s, 500, 10)
	x := &exporter{s: s}
	s.withReader(func(r *Reader) {
		for range 3 {
			fill(t, s, 500, 10)
		}
		if x.next(r); len(x.keys) != 0 || x.ended || x.vain != 1 {
			t.Errorf("%d entries of a snapshot that was overtaken, ended %v, in vain %d", len(x.keys), x.ended, x.vain)
		}
	})
	if err := x.batch(t.Context()); err != nil || x.entries != 500 || !x.ended || x.vain != 0 {
		t.Errorf("then %d, ended %v, in vain %d, %v", x.entries, x.ended, x.vain, err)
	}
}

// What is to be collected without anything to remove writes nothing.
func TestACollectionOfNothingWritesNothing(t *testing.T) {
	s := open(t, t.TempDir(), Options{MaxSize: 4 << 20})
	fill(t, s, 5000, 10)
	was := s.Stats().Commit
	keep := func(key, _ []byte) Worth {
		if isOwn(key) {
			t.Errorf("judged %q", key)
		}
		return 9
	}
	if n, err := s.Prune(t.Context(), keep); n != 0 || err != nil {
		t.Errorf("Prune: %d, %v", n, err)
	}
	if err := (&collection{s: s}).squeeze(t.Context()); err != nil {
		t.Error(err)
	}
	if now := s.Stats().Commit; now != was {
		t.Errorf("%d transactions", now-was)
	}
}

// What a collection would do is what it does: no entry more, and the store's own is
// nobody's to judge.
func TestWhatIsForeseenIsWhatHappens(t *testing.T) {
	s := open(t, t.TempDir(), Options{MaxSize: 4 << 20})
	fill(t, s, 2000, 400)
	judge := func(key, _ []byte) Worth {
		if isOwn(key) {
			t.Errorf("judged %q", key)
		}
		return Worth(100 * (key[6] & 1))
	}
	usage := s.Usage()
	c, err := s.Foresee(t.Context(), usage, usage*0.6, judge)
	if err != nil || c.Removed != 1000 || c.Threshold != 0 || c.Before != usage || c.After != usage*0.6 {
		t.Errorf("foreseen %+v, %v", c, err)
	}
	if c, err := s.Foresee(t.Context(), usage+1, 0, judge); err != nil || c.Removed != 0 || c.Before != usage || c.After != usage {
		t.Errorf("below the mark: %+v, %v", c, err)
	}
	s.health.rest(time.Hour)
	c, err = s.CollectBetween(t.Context(), usage, usage*0.6, judge)
	if err != nil || c.Threshold > 16 || c.Before != usage || c.After != s.Usage() || c.After > usage-collectSlack {
		t.Errorf("collected %+v, %v", c, err)
	}
	if n, _ := s.Count(); n != 2000-c.Removed || s.Stats().Evicted != uint64(c.Removed) || s.Stats().Remove != uint64(c.Removed) {
		t.Errorf("%d entries are left of 2000, %+v, %+v", n, c, s.Stats())
	}
	if s.health.paused() {
		t.Error("writing pauses although there is room")
	}
	usage = s.Usage()
	if c, err := s.CollectBetween(t.Context(), usage+1, 0, judge); err != nil || c.Removed != 0 || c.Before != usage || c.After != usage {
		t.Errorf("below the mark: %+v, %v", c, err)
	}
}

// A collection goes on where the last one stopped, once around the map.
func TestACollectionGoesOnceAround(t *testing.T) {
	s := open(t, t.TempDir(), Options{MaxSize: 4 << 20})
	fill(t, s, 5000, 10)
	for _, from := range []string{"", "k002500", "k", "z", "k004999"} {
		judged, first := map[string]int{}, ""
		w := &collection{s: s, goal: -1, judge: func(k, _ []byte) Worth {
			if first == "" {
				first = string(k)
			}
			judged[string(k)]++
			return 9
		}}
		if from != "" {
			w.from = []byte(from)
		}
		if err := w.evict(t.Context()); err != nil || len(judged) != 5000 {
			t.Errorf("from %q: %d judged, %v", from, len(judged), err)
		}
		twice := 0
		for _, n := range judged {
			if n > 1 {
				twice++
			}
		}
		if twice > lookAhead || from > "k0" && from < "k9" && first != from {
			t.Errorf("from %q: %d judged twice, %s first", from, twice, first)
		}
	}
	w := &collection{s: s, goal: 100, threshold: 9, judge: func(_, _ []byte) Worth { return 9 }}
	if err := w.evict(t.Context()); err != nil || w.removed == 0 || w.removed > 200 {
		t.Errorf("%d removed until a goal that was reached before, %v", w.removed, err)
	}
	last := w.from
	s.collectAt.Store(&last)
	wantGet(t, s, string(last), strings.Repeat("\x00", 10))
	c, err := s.collect(t.Context(), Collected{Before: 50}, 100, 100, func(_, _ []byte) Worth { return 0 })
	if err != nil || c.Removed == 0 || c.Removed > 200 {
		t.Errorf("%+v, %v", c, err)
	}
	wantMiss(t, s, string(last))
	if at := s.collectAt.Load(); string(*at) <= string(last) {
		t.Errorf("the next begins at %q, the last began at %q", *at, last)
	}
}

// A file of another program is emptied, and the log says of what.
func TestAFileOfAnotherProgramIsEmptied(t *testing.T) {
	dir := t.TempDir()
	env, err := newEnv(dir, 1<<20, envFlags)
	if err != nil {
		t.Fatal(err)
	}
	err = env.Update(func(txn *lmdb.Txn) error {
		dbi, err := txn.OpenRoot(0)
		if err != nil {
			return err
		}
		return txn.Put(dbi, []byte("theirs"), []byte("1"), 0)
	})
	if err := errors.Join(err, env.Close()); err != nil {
		t.Fatal(err)
	}
	var lines []string
	s := open(t, dir, Options{MaxSize: 1 << 20, Warn: func(l string) { lines = append(lines, l) }})
	if len(lines) != 1 || lines[0] != "1 entries of an unknown kind were dropped from the cache in "+dir {
		t.Errorf("the log says %q", lines)
	}
	wantMiss(t, s, "theirs")
	wantCount(t, s, 0)
	if n := s.ClearNumber(); n != 1 {
		t.Errorf("clear number %d, want 1", n)
	}
	// Whoever finds that another was faster leaves the file as it is.
	was := s.view.Load().newestTxn()
	if err := s.env.View(s.adoptTxn); err != nil || s.view.Load().newestTxn() != was {
		t.Errorf("%v", err)
	}
}

// A check finds what is wrong with a file, leaves what is right as it is, and counts a
// full one as good.
func TestWhatACheckFinds(t *testing.T) {
	good := usedBytes(t, sampleFile(t))
	cut := good[:len(good)-pageOctets]
	leaf := append([]byte(nil), good...)
	for i := 2*pageOctets + 8; i < len(leaf); i += pageOctets {
		leaf[i+2] ^= 0x55 // what kind of page it is
	}
	for name, c := range map[string]struct {
		content []byte
		bad     bool
	}{"good": {good, false}, "empty": {nil, false}, "text": {[]byte("text"), true}, "cut off": {cut, true}, "other pages": {leaf, true}} {
		dir := t.TempDir()
		path := filepath.Join(dir, dataName)
		if err := os.WriteFile(path, c.content, 0o600); err != nil {
			t.Fatal(err)
		}
		if err := Check(dir); errors.Is(err, errDamaged) != c.bad || !c.bad && err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if got := CheckMain(dir); got != map[bool]int{false: 0, true: 1}[c.bad] {
			t.Errorf("%s: status %d", name, got)
		}
		if now, err := os.ReadFile(path); err != nil || string(now) != string(c.content) {
			t.Errorf("%s: a check has changed it, %v", name, err)
		}
	}
	dir := t.TempDir()
	if err := Check(filepath.Join(dir, "none")); err != nil {
		t.Errorf("no directory: %v", err)
	}
	if err := os.Symlink("/etc/passwd", filepath.Join(dir, dataName)); err != nil {
		t.Fatal(err)
	}
	if err := Check(dir); err == nil {
		t.Error("a link is good")
	}
	if err := Check(filepath.Join(dir, dataName)); err == nil {
		t.Error("a file in the place of the directory is good")
	}
	full := t.TempDir()
	env, err := newEnv(full, 1<<20, envFlags)
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; err == nil; i++ {
		err = env.Update(func(txn *lmdb.Txn) error {
			dbi, err := txn.OpenRoot(0)
			if err != nil {
				return err
			}
			return txn.Put(dbi, fmt.Appendf(nil, "%06d", i), make([]byte, 3000), 0)
		})
	}
	if !lmdb.IsMapFull(err) {
		t.Fatal(err)
	}
	if err := errors.Join(checkWrite(env), env.Close(), Check(full)); err != nil {
		t.Errorf("a full one: %v", err)
	}
	if env, err = newEnv(full, 1<<20, envFlags|lmdb.Readonly); err != nil {
		t.Fatal(err)
	}
	if err := checkWrite(env); err == nil {
		t.Error("where nothing may be written: good")
	}
	env.Close()
}

// The owner is asked once a second to make room, and a pause ends when there is some.
func TestRoomIsAskedForOnceASecond(t *testing.T) {
	h, c, asked := newHealth()
	for _, step := range []struct {
		after time.Duration
		want  int
	}{{0, 1}, {0, 1}, {time.Second - 1, 1}, {1, 2}, {time.Second, 3}, {time.Millisecond, 3}} {
		c.Advance(step.after)
		if h.askCollector(); *asked != step.want {
			t.Errorf("%v later: asked %d times, want %d", step.after, *asked, step.want)
		}
	}
	h.rest(time.Second)
	h.rest(time.Millisecond) // which ends no longer pause
	c.Advance(time.Second - 1)
	if !h.paused() {
		t.Error("the pause is too short")
	}
	if c.Advance(1); h.paused() {
		t.Error("the pause is too long")
	}
	h.rest(time.Hour)
	if h.recovered(); h.paused() {
		t.Error("a pause goes on")
	}
	h.failure()
	h.failure()
	h.recovered()
	for n := range 2 {
		if h.failure() {
			t.Errorf("failures before there was room count: paused by number %d", n+1)
		}
	}
	c.Advance(limits.WriteFailureWindow)
	for n := range limits.WriteFailures {
		if paused := h.failure(); paused != (n == limits.WriteFailures-1) {
			t.Errorf("failures of a whole window ago count: number %d pauses %v", n+1, paused)
		}
	}
}

func newHealth() (*health, *clock.Fake, *int) {
	c, asked := clock.NewFake(time.Unix(1000, 0)), 0
	h := &health{}
	h.init(Options{Clock: &c.Clock, OnFull: func() { asked++ }})
	return h, c, &asked
}

func address(b []byte) uintptr { return uintptr(unsafe.Pointer(unsafe.SliceData(b))) }
