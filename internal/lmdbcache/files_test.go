package lmdbcache

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"kresd/internal/clock"
	"kresd/internal/limits"
)

// What passes for the guard is its text, or nothing at all, which LMDB does not take
// either.
func TestWhatTheGuardLooksLike(t *testing.T) {
	path := filepath.Join(t.TempDir(), lockName)
	for text, want := range map[string]bool{
		"": true, lockText: true, lockText + "x": false, lockText[:20]: false, strings.ToUpper(lockText): false, strings.Repeat("x", 9999): false,
	} {
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if isGuard(path) != want {
			t.Errorf("%.30q: %v", text, !want)
		}
	}
	if isGuard(path+".none") || isGuard(filepath.Dir(path)) {
		t.Error("what is no file is the guard")
	}
	if err := os.Symlink(path, path+".link"); err != nil || isGuard(path+".link") {
		t.Errorf("a link is the guard: %v", err)
	}
}

// The guard is made again whatever becomes of it, only what could pass for LMDB's is put
// aside, and none of it leaves a file open.
func TestTheGuardIsMadeAgain(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, lockName)
	var lines []string
	c := clock.NewFake(time.Unix(1700000000, 0))
	s := open(t, dir, Options{Clock: &c.Clock, Warn: func(l string) { lines = append(lines, l) }})
	halt(s)
	had, _ := openFiles(t, dir)
	for _, c := range []struct {
		damage func() error
		aside  int
	}{
		{func() error { return nil }, 0},
		{func() error { return os.Remove(path) }, 0},
		{func() error { return os.WriteFile(path, nil, 0o600) }, 0},
		{func() error { return errors.Join(os.Remove(path), os.WriteFile(path, []byte(lockText), 0o600)) }, 0},
		{func() error { return os.WriteFile(path, []byte("garbage"), 0o600) }, 1},
	} {
		if err := c.damage(); err != nil {
			t.Fatal(err)
		}
		s.keepOthersOut()
		aside, _ := filepath.Glob(path + badMark + "*")
		if !isGuard(path) || !s.isOwn(path) || len(aside) != c.aside || len(lines) != c.aside {
			t.Errorf("guard %v, own %v, put aside %q, log %q", isGuard(path), s.isOwn(path), aside, lines)
		}
		if now, _ := openFiles(t, dir); len(now) != len(had) {
			t.Errorf("open %q, before %q", now, had)
		}
	}
	if !strings.HasSuffix(lines[0], ": lock.mdb was overwritten; put aside as lock.mdb.bad-1700000000. The cache goes on, nothing in that file is used") {
		t.Errorf("the log says %q", lines)
	}
	if s.isOwn(path+".none") || s.isOwn(filepath.Join(dir, dataName)) {
		t.Error("another file is the one that is locked")
	}
	if err := os.WriteFile(path, []byte("garbage"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(os.Remove(path+".bad-1700000000"), os.MkdirAll(path+".bad-1700000000/x", 0o700)); err != nil {
		t.Fatal(err)
	}
	if s.keepOthersOut(); len(lines) != 1 || isGuard(path) {
		t.Errorf("what cannot be put aside is put aside, it is said: %q", lines)
	}
}

// A process that has become another user may not read the guard that it made before. That
// is no damage to it.
func TestAGuardThatMayNotBeReadIsNotPutAside(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("only root can become another user")
	}

	dir := t.TempDir()
	const nobody = 65534
	for _, d := range []string{filepath.Dir(dir), dir} {
		if err := os.Chown(d, nobody, nobody); err != nil {
			t.Fatal(err)
		}
	}
	var lines []string
	s := open(t, dir, Options{Warn: func(l string) { lines = append(lines, l) }})
	halt(s)
	done := make(chan struct{})
	go func() {
		defer close(done)
		runtime.LockOSThread() // and never unlocked: the thread ends with the goroutine
		if err := unix.Setfsuid(nobody); err != nil {
			t.Error(err)
		}
		if _, err := os.ReadFile(filepath.Join(dir, lockName)); !os.IsPermission(err) {
			t.Errorf("the other user reads the guard: %v", err)
		}
		s.keepOthersOut()
	}()
	<-done
	if aside, _ := filepath.Glob(filepath.Join(dir, "*"+badMark+"*")); len(aside)+len(lines) != 0 {
		t.Errorf("put aside %q, log %q", aside, lines)
	}
}

// What happened to the data file is told in words, and nothing of one that cannot be looked
// at, or that has grown.
func TestWhatHappenedToTheFile(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, dataName)
	s := open(t, dir, Options{MaxSize: 1 << 20})
	halt(s)
	was, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		damage func() error
		want   string
	}{
		{func() error { return nil }, ""},
		{func() error { return os.Truncate(path, int64(len(was))+1) }, ""},
		{func() error { return os.Truncate(path, int64(len(was))-1) }, "damaged data file: it was cut off"},
		{func() error { return os.Truncate(path, int64(len(was))) }, ""},
		{func() error { return replaceFile(path) }, "the data file was replaced"},
		{func() error { return os.Remove(path) }, "the data file was removed"},
		{func() error { return errors.Join(os.RemoveAll(dir), os.WriteFile(dir, nil, 0o600)) }, ""},
	} {
		if err := c.damage(); err != nil {
			t.Fatal(err)
		}
		if got := s.fileChanged(); got != c.want {
			t.Errorf("%q, want %q", got, c.want)
		}
	}
}

// Of many reasons to open a store again its owner hears the first.
func TestALossIsToldOnce(t *testing.T) {
	told := make(chan string, 10)
	s := open(t, t.TempDir(), Options{OnLost: func(why string) { told <- why }})
	s.lost("one")
	s.lost("another")
	if why := soon(t, "the loss is told", told); why != "cache in "+s.dir+": one" {
		t.Errorf("told %q", why)
	}
	s.Close()
	if len(told) != 0 {
		t.Errorf("told %q, too", <-told)
	}
}

// Only one file is put aside where there is only one, and it is the data file's name
// that is told.
func TestWhatIsPutAside(t *testing.T) {
	dir := t.TempDir()
	at := time.Unix(1700000000, 0)
	if err := os.WriteFile(filepath.Join(dir, lockName), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if name, err := Quarantine(dir, at); name != "" || err != nil {
		t.Errorf("%q, %v", name, err)
	}
	if _, err := os.Stat(filepath.Join(dir, lockName+".bad-1700000000")); err != nil {
		t.Error(err)
	}
	if err := os.WriteFile(filepath.Join(dir, dataName), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if name, err := Quarantine(dir, at); name != filepath.Join(dir, dataName+".bad-1700000000") || err != nil {
		t.Errorf("%q, %v", name, err)
	}
	for _, name := range []string{dataName + badMark + "x", dataName + badMark, dataName + ".old", "other" + badMark + "1800000000", lockName + badMark + "1800000000"} {
		if err := os.WriteFile(filepath.Join(dir, name), nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if PutAsideSince(dir, at.Add(time.Second)) || !PutAsideSince(dir, at) {
		t.Error("the time is that of another file")
	}
	if _, err := Quarantine(filepath.Join(dir, "none"), at); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("in no directory: %v", err)
	}
	other := t.TempDir()
	for _, name := range []string{dataName + badMark + "x", "1800000000"} {
		if err := os.WriteFile(filepath.Join(other, name), nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if PutAsideSince(other, time.Time{}) {
		t.Error("what was put aside at no time was put aside")
	}
	if got := fmt.Sprint(Files()); got != "[data.mdb lock.mdb]" {
		t.Error(got)
	}
}

// Of each kind of file the latest are kept, whatever there is of the other.
func TestWhichBadFilesAreKept(t *testing.T) {
	dir := t.TempDir()
	for _, n := range []int{1700000003, 1700000001, 1700000002} {
		for _, name := range []string{dataName, lockName} {
			if err := os.WriteFile(filepath.Join(dir, fmt.Sprint(name, badMark, n)), nil, 0o600); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := os.WriteFile(filepath.Join(dir, "other"+badMark+"1"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	dropOldBad(dir)
	var left []string
	entries, _ := os.ReadDir(dir)
	for _, e := range entries {
		left = append(left, e.Name())
	}
	if got := strings.Join(left, " "); got != "data.mdb.bad-1700000002 data.mdb.bad-1700000003 lock.mdb.bad-1700000002 lock.mdb.bad-1700000003 other.bad-1" {
		t.Errorf("left: %s", got)
	}
}

// The gate lets one in after the other, and does not wait for ever.
func TestTheGateLetsOneInAfterTheOther(t *testing.T) {
	dir := t.TempDir()
	leave, err := openGate(dir, time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	late, err := openGate(dir, 0)
	if err != nil {
		t.Errorf("a gate that somebody holds for ever: %v", err)
	}
	late()
	var left atomic.Bool
	in := make(chan bool)
	for range 20 {
		go func() {
			leave, err := openGate(dir, time.Hour)
			ok := left.Load() && err == nil
			leave()
			in <- ok
		}()
	}
	for range 1000 { // no proof, but who does not wait is through by then
		runtime.Gosched()
	}
	left.Store(true)
	leave()
	for range 20 {
		if !soon(t, "one is let in", in) {
			t.Error("one is in before the other has left")
		}
	}
	if _, err := openGate(filepath.Join(dir, "none"), 0); err == nil {
		t.Error("the gate of no directory")
	}
	wantNothingOpen(t, dir)
}

// What was not said is what is usual, and nobody is called who is not there.
func TestOptionsThatWereNotSetAreTheUsual(t *testing.T) {
	var o Options
	o.fill()
	o.Info("")
	o.Warn("")
	o.OnLost("")
	o.OnFull()
	if o.MaxSize != limits.DefaultCacheSize || o.QueueEntries != limits.WriteQueueEntries || o.QueueBytes != 32<<20 || o.Clock == nil {
		t.Errorf("%+v", o)
	}
	called := ""
	say := func(what string) func(string) { return func(string) { called += what } }
	c := &clock.NewFake(time.Unix(1, 0)).Clock
	o = Options{MaxSize: 1, QueueEntries: 2, QueueBytes: 3, Clock: c, Info: say("i"), Warn: say("w"), OnLost: say("l"), OnFull: func() { called += "f" }}
	o.fill()
	o.Info("")
	o.Warn("")
	o.OnLost("")
	o.OnFull()
	if o.MaxSize != 1 || o.QueueEntries != 2 || o.QueueBytes != 3 || o.Clock != c || called != "iwlf" {
		t.Errorf("%+v, called %s", o, called)
	}
}

// holdForOthers takes the right to write and keeps it until the process is killed.
func holdForOthers(dir string) error {
	f, err := os.OpenFile(filepath.Join(dir, dataName), os.O_RDWR, 0)
	if err != nil {
		return err
	}
	defer f.Close()
	err = (fileLock{f}).set(unix.F_WRLCK, writeOctet)
	fmt.Println("locked")
	if err == nil {
		time.Sleep(time.Minute)
	}
	return err
}

// Opening and checking a file that fits never waits for another process that writes.
func TestOpeningBesideAFrozenWriter(t *testing.T) {
	dir := t.TempDir()
	open(t, dir, Options{Schema: 1}).Close()
	h := start(t, "lock", dir)
	h.want("", "locked")
	s := open(t, dir, Options{Schema: 1})
	s.giveUp()
	s.Close()
	if _, err := Open(dir, Options{Schema: 2, Warn: func(string) {}}); !errors.Is(err, ErrBusy) {
		t.Errorf("to empty it: %v, want %v", err, ErrBusy)
	}
	if err := Check(dir); err != nil {
		t.Errorf("checked: %v", err)
	}
	h.kill()
	wantNothingOpen(t, dir)
}
