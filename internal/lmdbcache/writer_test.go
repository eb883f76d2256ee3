package lmdbcache

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/PowerDNS/lmdb-go/lmdb"
	"golang.org/x/sys/unix"

	"kresd/internal/clock"
	"kresd/internal/limits"
)

// holdLock takes the right to write away from a store, as another process would that is
// frozen.
func holdLock(t *testing.T, s *Store) (release func()) {
	t.Helper()
	f, err := os.OpenFile(filepath.Join(s.dir, dataName), os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	if err := (fileLock{f}).lock(t.Context()); err != nil {
		t.Fatal(err)
	}
	return func() { f.Close() }
}

// inHand waits until the writer has taken what is queued.
func inHand(t *testing.T, s *Store) {
	t.Helper()
	eventually(t, "the writer takes what is queued", s.queue.empty)
}

func TestTheRightToWriteIsWaitedFor(t *testing.T) {
	s := open(t, t.TempDir(), Options{})
	release := holdLock(t, s)
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if err := s.lock.lock(ctx); !errors.Is(err, ErrBusy) {
		t.Errorf("given up: %v, want %v", err, ErrBusy)
	}
	late, stop := context.WithTimeout(context.Background(), 3*frozenTime)
	defer stop()
	if err := s.lock.lock(late); !errors.Is(err, ErrBusy) {
		t.Errorf("in vain: %v, want %v", err, ErrBusy)
	}
	release()
	if err := s.lock.lock(context.Background()); err != nil {
		t.Errorf("when it is free: %v", err)
	}
	s.lock.unlock()
	holdLock(t, s)()
	if err := (fileLock{nil}).lock(context.Background()); err == nil {
		t.Error("on no file: no error")
	}
}

// Who gives up before the writer has come to the work has it not done.
func TestWorkThatIsGivenUpIsNotDone(t *testing.T) {
	s := open(t, t.TempDir(), Options{})
	s.Put([]byte("k"), []byte("v"))
	flush(t, s)
	release := holdLock(t, s)
	s.Put([]byte("l"), []byte("v"))
	inHand(t, s)
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	err := s.do(ctx, func(*lmdb.Txn) error { t.Error("it is done"); return nil })
	if !errors.Is(err, ErrBusy) {
		t.Errorf("%v, want %v", err, ErrBusy)
	}
	release()
	flush(t, s)
	wantGet(t, s, "l", "v")
}

// A store that cannot write any more when it is closed gives up what is queued, and
// tells those who wait.
func TestClosingBesideAFrozenWriter(t *testing.T) {
	dir := t.TempDir()
	s := open(t, dir, Options{})
	defer holdLock(t, s)()
	s.Put([]byte("k"), []byte("v"))
	inHand(t, s)
	cleared := make(chan error)
	go func() { _, err := s.Clear(); cleared <- err }()
	eventually(t, "the clear is queued", func() bool { return !s.queue.empty() })
	go s.giveUp() // the end of drainTime
	if err := s.Close(); err != nil {
		t.Errorf("Close: %v", err)
	}
	if err := soon(t, "the clear ends", cleared); !errors.Is(err, ErrClosed) {
		t.Errorf("Clear: %v, want %v", err, ErrClosed)
	}
	if st := s.Stats(); st.WriteErrors != 1 || st.Queued != 0 {
		t.Errorf("%+v", st)
	}
}

// A batch is small in a small map.
func TestTheSizeOfABatch(t *testing.T) {
	var s Store
	if n := s.batchSize(); n != 1 {
		t.Errorf("%d without a map", n)
	}
	for pages, want := range map[uint64]int{2: 4, 256: 4, 320: 5, 64 * 100: 100, 64 * 1000: limits.WriteBatchEntries} {
		s.view.Store(&mapping{pages: pages})
		if n := s.batchSize(); n != want {
			t.Errorf("%d in a map of %d pages, want %d", n, pages, want)
		}
	}
}

// Others have their turn after each writeTurn, and not after each transaction.
func TestOthersHaveTheirTurn(t *testing.T) {
	var s Store
	later := time.Now().Add(time.Hour)
	s.turn = later
	if s.leaveTurn(); s.turn != later {
		t.Error("a turn is left that has just begun")
	}
	was := time.Now().Add(-2 * writeTurn)
	s.turn = was
	if s.leaveTurn(); s.turn.Sub(was) < 2*writeTurn+othersTurn {
		t.Error("a turn is not left")
	}
}

// What does not fit is dropped, to the octet, and what was queued before a clear.
func TestAWriteNeedsRoom(t *testing.T) {
	s := open(t, t.TempDir(), Options{})
	o := &op{key: []byte("key"), val: []byte("value"), seen: 5}
	write := func(o *op, room int64, clears uint64) (b tally, err error) {
		err = s.do(t.Context(), func(txn *lmdb.Txn) error { return s.apply(txn, o, record{clears: clears}, room, &b) })
		return b, err
	}
	if b, err := write(o, 7, 5); err != nil || b.written != 0 || s.Stats().FullDrops != 1 {
		t.Errorf("8 octets where 7 fit: %+v, %v, %+v", b, err, s.Stats())
	}
	if b, err := write(o, 8, 6); err != nil || b.written != 0 || s.Stats().StaleDrops != 1 {
		t.Errorf("after a clear: %+v, %v, %+v", b, err, s.Stats())
	}
	wantMiss(t, s, "key")
	if b, err := write(o, 8, 5); err != nil || b.written != 1 || s.Stats().FullDrops != 1 {
		t.Errorf("8 octets where 8 fit: %+v, %v", b, err)
	}
	wantGet(t, s, "key", "value")
	o.replace = func(_, old, _ []byte) bool { return string(old) == "other" }
	if b, err := write(o, 8, 5); err != nil || b.written != 0 || s.Stats().RankDrops != 1 {
		t.Errorf("one that does not agree: %+v, %v", b, err)
	}
	o.replace = func(_, old, _ []byte) bool { return string(old) == "value" }
	o.val = []byte("next")
	if b, err := write(o, 8, 5); err != nil || b.written != 1 || s.Stats().RankDrops != 1 {
		t.Errorf("one that agrees: %+v, %v", b, err)
	}
	wantGet(t, s, "key", "next")
	if b, err := write(&op{key: []byte("key")}, -1, 0); err != nil || b.removed != 1 || b.missing != 0 {
		t.Errorf("a removal: %+v, %v", b, err)
	}
	if b, err := write(&op{key: []byte("key")}, -1, 0); err != nil || b.removed != 0 || b.missing != 1 {
		t.Errorf("a removal of nothing: %+v, %v", b, err)
	}
}

// An entry that needs pages in a row is dropped where there are none, and the small ones
// that are written with it are not.
func TestPagesInARowMayBeMissing(t *testing.T) {
	s := open(t, t.TempDir(), Options{MaxSize: 1 << 20, Warn: func(l string) { t.Log(l) }})
	for i := range 200 { // each on a page of its own
		s.Put(fmt.Appendf(nil, "k%03d", i), make([]byte, 3000))
		if i%4 == 0 {
			flush(t, s)
		}
	}
	flush(t, s)
	had, _ := s.Count()
	for i := 0; i < 200; i += 2 {
		s.Delete(fmt.Appendf(nil, "k%03d", i))
		if i%8 == 0 {
			flush(t, s)
		}
	}
	flush(t, s)
	was := s.Stats()
	release := holdWriter(s)
	s.Put([]byte("large"), make([]byte, 60*4096))
	s.Put([]byte("small"), []byte("v"))
	release()
	flush(t, s)
	st := s.Stats()
	wantMiss(t, s, "large")
	wantGet(t, s, "small", "v")
	if st.FullDrops != was.FullDrops+1 || st.WriteErrors != 0 || st.Write != was.Write+1 || st.Queued != 0 {
		t.Errorf("of %d entries before: %+v\nnow %+v", had, was, st)
	}
}

// What is written again without the large ones is what needs less than half a page.
func TestEntriesOfLessThanHalfAPageAreWrittenAgain(t *testing.T) {
	s := open(t, t.TempDir(), Options{})
	sized := func(key string, octets int) *op {
		return &op{key: []byte(key), val: make([]byte, octets-64-len(key)), seen: 1}
	}
	runtime.LockOSThread() // as the writer, who has nothing to do
	defer runtime.UnlockOSThread()
	b := tally{written: 7, tried: 7}
	if err := s.writeSmall([]*op{sized("a", 2047), sized("b", 2048), sized("c", 100)}, &b); err != nil {
		t.Fatal(err)
	}
	if _, ok := get(s, "a"); !ok || b.written != 2 {
		t.Errorf("an entry of 2047 octets is not small: %+v", b)
	}
	if _, ok := get(s, "b"); ok || s.Stats().FullDrops != 1 {
		t.Errorf("an entry of 2048 octets is small: %+v", s.Stats())
	}
}

// The log says once that writing fails, why and what helps, and once that it works again.
func TestTheLogSaysThatWritingFails(t *testing.T) {
	var warned, informed []string
	c := clock.NewFake(time.Unix(1000, 0))
	dir := t.TempDir()
	s := open(t, dir, Options{Clock: &c.Clock, Warn: func(l string) { warned = append(warned, l) }, Info: func(l string) { informed = append(informed, l) }})
	for range 3 {
		for range limits.WriteFailures {
			s.failed(unix.EROFS)
		}
	}
	if len(warned) != 1 || !strings.HasPrefix(warned[0], "the cache in "+dir+" cannot be written to: read-only file system (its file system is mounted read-only") ||
		!strings.HasSuffix(warned[0], "what is in it is used meanwhile, and writing is tried every 1m0s") {
		t.Errorf("the log says %q", warned)
	}
	if s.Put([]byte("k"), []byte("v")); s.Stats().PauseDrops != 1 || s.Stats().WriteErrors != 9 {
		t.Errorf("%+v", s.Stats())
	}
	if s.Delete([]byte("k")); s.Stats().PauseDrops != 1 {
		t.Error("a removal is dropped")
	}
	flush(t, s)
	for range limits.WriteFailures {
		s.failed(unix.EDQUOT)
	}
	if len(warned) != 2 || len(informed) != 1 || informed[0] != "the cache in "+dir+" can be written to again" {
		t.Errorf("the log says %q, %q", warned, informed)
	}
	c.Advance(limits.WriteFailurePause)
	s.Put([]byte("k"), []byte("v"))
	flush(t, s)
	wantGet(t, s, "k", "v")
	s.Put([]byte("k"), []byte("w"))
	flush(t, s)
	if len(informed) != 2 {
		t.Errorf("the log says %q", informed)
	}
}

// A map without a free page is not a broken disk: somebody is asked to make room. LMDB's
// own complaints about its file are its end; a wait for others that was given up is
// nothing.
func TestWhatAFailureMeans(t *testing.T) {
	c := clock.NewFake(time.Unix(1000, 0))
	lost, full := make(chan string, 10), 0
	fresh := func() *Store {
		full = 0
		return open(t, t.TempDir(), Options{Clock: &c.Clock, Warn: func(string) {}, OnLost: func(why string) { lost <- why }, OnFull: func() { full++ }})
	}
	for _, e := range []lmdb.Errno{lmdb.Panic, lmdb.Corrupted, lmdb.PageNotFound, lmdb.Invalid} {
		s := fresh()
		s.failed(&lmdb.OpError{Op: "mdb_put", Errno: e})
		if why := soon(t, "the loss is told", lost); !strings.Contains(why, "cache in "+s.dir+": mdb_put: ") {
			t.Errorf("%v: %s", e, why)
		}
		if full != 0 {
			t.Errorf("%v: room is asked for", e)
		}
	}
	s := fresh()
	for range 10 {
		s.failed(&lmdb.OpError{Op: "mdb_put", Errno: lmdb.MapFull})
	}
	if !s.health.paused() || full != 1 || s.told != "" {
		t.Errorf("a map with free pages: paused %v, asked %d times, told %q", s.health.paused(), full, s.told)
	}
	if c.Advance(freshWait); s.health.paused() {
		t.Error("the free pages are not tried again")
	}
	for range 10 {
		s.failed(ErrBusy)
		s.failed(errCutOff)
	}
	if s.health.paused() || s.told != "" || s.Stats().WriteErrors != 30 {
		t.Errorf("given up: paused %v, told %q, %+v", s.health.paused(), s.told, s.Stats())
	}
	for range limits.WriteFailures {
		s.failed(&lmdb.OpError{Op: "mdb_put", Errno: lmdb.TxnFull})
	}
	if !s.health.paused() || s.told == "" || strings.Contains(s.told, "mdb_") || full != 1 {
		t.Errorf("another failure: paused %v, told %q", s.health.paused(), s.told)
	}
}

func TestWhatHelpsWhereNothingCanBeWritten(t *testing.T) {
	for err, want := range map[error]string{
		unix.ENOSPC: " (its file system is full: make room there, 'df -h /x' shows it, or put the cache elsewhere by cache.storage)",
		unix.EDQUOT: fmt.Sprintf(" (the quota of user %d is used up there)", os.Geteuid()),
		unix.EROFS:  " (its file system is mounted read-only, perhaps by the system after an error of the disk, see dmesg: 'mount -o remount,rw' it, or put the cache elsewhere by cache.storage; of a service, ReadWritePaths=/x)",
		unix.EIO:    " (the disk has failed, see dmesg)",
		unix.EACCES: "", ErrBusy: "",
	} {
		if got := Remedy(err, "/x"); got != want {
			t.Errorf("%v: %q, want %q", err, got, want)
		}
		if got := Remedy(fmt.Errorf("writing: %w", err), "/x"); got != want {
			t.Errorf("%v inside another: %q, want %q", err, got, want)
		}
	}
	dir := t.TempDir() // where there is room
	for _, err := range []error{unix.EIO, unix.ENOSPC, ErrBusy} {
		if got := half(err, dir); got != err {
			t.Errorf("%v became %v", err, got)
		}
	}
	if got := half(unix.EIO, dir+"/none"); got != unix.EIO {
		t.Errorf("where nothing is known: %v", got)
	}
}
