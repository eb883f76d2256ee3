package lmdbcache

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"kresd/internal/clock"
	"kresd/internal/limits"
)

// openFiles are the files below dir that this process has open or mapped, by what the
// system calls them.
func openFiles(t *testing.T, dir string) (open, mapped []string) {
	t.Helper()
	fds, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	for _, fd := range fds {
		if name, err := os.Readlink("/proc/self/fd/" + fd.Name()); err == nil && strings.HasPrefix(name, dir) {
			open = append(open, fd.Name()+" "+name)
		}
	}
	maps, err := os.ReadFile("/proc/self/maps")
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(maps)) {
		if strings.Contains(line, dir) {
			mapped = append(mapped, strings.TrimSpace(line))
		}
	}
	return open, mapped
}

func wantNothingOpen(t *testing.T, dir string) {
	t.Helper()
	if files, maps := openFiles(t, dir); len(files)+len(maps) > 0 {
		t.Errorf("still open: %q, mapped: %q", files, maps)
	}
}

// A store that is closed, or could not be opened, leaves nothing open and nothing mapped:
// each reload would leave more.
func TestNothingIsLeftOpen(t *testing.T) {
	dir := t.TempDir()
	s := open(t, dir, Options{Schema: 1, MaxSize: 1 << 20})
	files, maps := openFiles(t, dir)
	if len(files) < 3 || len(maps) < 2 {
		t.Errorf("open %q, mapped %q: the test sees nothing", files, maps)
	}
	for _, f := range files {
		n := atoi(strings.Fields(f)[0])
		if flags, err := unix.FcntlInt(uintptr(n), unix.F_GETFD, 0); err != nil || flags&unix.FD_CLOEXEC == 0 {
			t.Errorf("%s goes on to programs that are started", f)
		}
	}
	if _, err := Open(dir, Options{}); !errors.Is(err, ErrTwice) {
		t.Errorf("opened twice: %v", err)
	}
	if again, _ := openFiles(t, dir); len(again) != len(files) {
		t.Errorf("after an attempt that failed: %q, before: %q", again, files)
	}
	if _, err := s.Export(t.Context(), filepath.Join(dir, "copy")); err != nil {
		t.Error(err)
	}
	if _, err := s.Export(t.Context(), filepath.Join(dir, "copy")); err != nil {
		t.Error(err)
	}
	if again, _ := openFiles(t, dir); len(again) != len(files) {
		t.Errorf("after a copy: %q, before: %q", again, files)
	}
	s.Close()
	wantNothingOpen(t, dir)
	if _, err := Open(dir, Options{Schema: 2, Keep: true}); err == nil {
		t.Error("another version is opened")
	}
	wantNothingOpen(t, dir)
	if err := Check(dir); err != nil {
		t.Error(err)
	}
	wantNothingOpen(t, dir)
	if name, err := Quarantine(dir, time.Unix(1700000000, 0)); err != nil || name == "" {
		t.Error(name, err)
	}
	wantNothingOpen(t, dir)
	bad := filepath.Join(dir, dataName)
	for _, damage := range [][]byte{[]byte("no data file"), append(metaPage(4), metaPage(5)...)} {
		if err := os.WriteFile(bad, damage, 0o600); err != nil {
			t.Fatal(err)
		}
		if err := Check(dir); !errors.Is(err, errDamaged) {
			t.Errorf("checked: %v", err)
		}
		wantNothingOpen(t, dir)
	}
	open(t, dir, Options{Warn: func(string) {}}).Close()
	wantNothingOpen(t, dir)
}

// The map has whole pages, at least as many as work, and what there is already.
func TestTheSizeOfAMap(t *testing.T) {
	for _, c := range []struct{ asked, want int64 }{
		{1, 1 << 20}, {1<<20 + 1, 1<<20 + 4096}, {2 << 20, 2 << 20}, {2<<20 + 4095, 2<<20 + 4096}, {0, limits.DefaultCacheSize},
	} {
		dir := t.TempDir()
		s := open(t, dir, Options{MaxSize: c.asked})
		st, err := os.Stat(filepath.Join(dir, dataName))
		if err != nil || s.Size() != c.want || st.Size() != c.want {
			t.Errorf("asked for %d: a map of %d in a file of %d, want %d", c.asked, s.Size(), st.Size(), c.want)
		}
		s.viewing.Lock()
		err = s.mapMore(s.Size(), 4096)
		if n := len(s.views); err != nil || n != 1 {
			t.Errorf("mapped %d times, %v", n, err)
		}
		s.viewing.Unlock()
		if s.Dir() != dir {
			t.Errorf("it lies in %s, want %s", s.Dir(), dir)
		}
		s.Close()
	}
}

// A file may be longer than its map says, since another process is about to enlarge it,
// and a map is believed as far as its file goes.
func TestAFileIsNotCutToItsMap(t *testing.T) {
	dir := t.TempDir()
	open(t, dir, Options{MaxSize: 2 << 20}).Close()
	path := filepath.Join(dir, dataName)
	if err := os.Truncate(path, 3<<20); err != nil {
		t.Fatal(err)
	}
	s := open(t, dir, Options{MaxSize: 1 << 20})
	if st, err := os.Stat(path); err != nil || st.Size() != 3<<20 || s.Size() != 2<<20 {
		t.Errorf("a file of %d with a map of %d, %v", st.Size(), s.Size(), err)
	}
	s.Close()
	if err := os.Truncate(path, 1<<20+100); err != nil {
		t.Fatal(err)
	}
	if s = open(t, dir, Options{MaxSize: 1}); s.Size() != 1<<20 {
		t.Errorf("a map of %d after all but a mebibyte was cut off, want that", s.Size())
	}
}

// A process may be forbidden to write files as large as the map; writing on would end it.
func TestAMapThatTheProcessMayNotWrite(t *testing.T) {
	for _, c := range []struct {
		limit, want string
	}{{"2097152", "open"}, {"2097151", "size 2097152 is over the limit for files (ulimit -f, 2097151 bytes)"}} {
		out, err := runHelperProcess("limited", t.TempDir(), "2097152", c.limit)
		if !strings.Contains(out, c.want) || (err == nil) != (c.want == "open") {
			t.Errorf("of a limit of %s: %q, %v; want %q", c.limit, out, err, c.want)
		}
	}
}

// openLimited opens a map where files may be so long only.
func openLimited(dir string, size, limit int) error {
	if err := syscall.Setrlimit(syscall.RLIMIT_FSIZE, &syscall.Rlimit{Cur: uint64(limit), Max: uint64(limit)}); err != nil {
		return err
	}
	s, err := Open(dir, Options{MaxSize: int64(size)})
	if err != nil {
		return err
	}
	fmt.Println("open")
	return s.Close()
}

// A damaged file is put aside under the time of the clock, and the log says what was
// wrong; one that cannot be put aside is an error that says both.
func TestADamagedFileIsPutAside(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, dataName)
	if err := os.WriteFile(path, []byte("this is no data file"), 0o600); err != nil {
		t.Fatal(err)
	}
	var lines []string
	o := Options{Clock: &clock.NewFake(time.Unix(1700000000, 0)).Clock, Warn: func(l string) { lines = append(lines, l) }}
	open(t, dir, o).Close()
	if len(lines) != 1 || !strings.HasPrefix(lines[0], "the cache in "+dir+" is empty: damaged data file: ") || !strings.HasSuffix(lines[0], ", put aside as data.mdb.bad-1700000000") {
		t.Errorf("the log says %q", lines)
	}
	if b, err := os.ReadFile(path + ".bad-1700000000"); err != nil || string(b) != "this is no data file" {
		t.Errorf("%q, %v", b, err)
	}
	if err := os.WriteFile(path, []byte("again"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(os.Remove(path+".bad-1700000000"), os.MkdirAll(path+".bad-1700000000/x", 0o700)); err != nil {
		t.Fatal(err)
	}
	if s, err := Open(dir, o); err == nil || !errors.Is(err, errDamaged) || !strings.Contains(err.Error(), ", and it cannot be put aside: ") {
		t.Errorf("%v, %v", s, err)
	}
	if _, err := Quarantine(dir, time.Unix(1700000000, 0)); err == nil {
		t.Error("what cannot be put aside is put aside")
	}
	wantNothingOpen(t, dir)
}

// A file that others use is not walked again, and where it is damaged the log says
// that they have it.
func TestAFileThatOthersUse(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, dataName)
	h := start(t, "commands", dir, "1048576")
	h.want("", "open")
	h.want("fill 100", "<nil>")
	file, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	m, err := newestMeta(readAt(file), int64(len(file)))
	if err != nil {
		t.Fatal(err)
	}
	overwrite(t, path, int64(m.lastPage)*pageOctets, words(1)) // says that it is another page
	open(t, dir, Options{MaxSize: 1 << 20}).Close()
	overwrite(t, path, 0, []byte(strings.Repeat("x", 2*pageOctets)))
	var lines []string
	open(t, dir, Options{MaxSize: 1 << 20, Warn: func(l string) { lines = append(lines, l) }}).Close()
	if len(lines) != 2 || lines[0] != "the cache in "+dir+" is damaged while others use it" {
		t.Errorf("the log says %q", lines)
	}
}

// overwrite writes into a file that others have open.
func overwrite(t *testing.T, path string, at int64, what []byte) {
	t.Helper()
	f, err := os.OpenFile(path, os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if _, err := f.WriteAt(what, at); err != nil {
		t.Fatal(err)
	}
}

// The file that LMDB has opened by its name is the one that was looked at.
func TestAFileThatIsReplacedWhileItIsOpened(t *testing.T) {
	one, other := t.TempDir(), t.TempDir()
	open(t, one, Options{MaxSize: 1 << 20}).Close()
	open(t, other, Options{MaxSize: 1 << 20}).Close()
	f, err := os.OpenFile(filepath.Join(other, dataName), os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	s := &Store{dir: one, lock: fileLock{f}}
	defer s.letGo()
	if s.env, err = newEnv(one, 1<<20, envFlags); err != nil {
		t.Fatal(err)
	}
	if err := s.mapFile(); !errors.Is(err, errDamaged) || !strings.Contains(err.Error(), "it was replaced meanwhile") {
		t.Errorf("%v", err)
	}
	if _, err := newEnv(filepath.Join(one, "none"), 1<<20, envFlags); err == nil {
		t.Error("LMDB opens what is not there")
	}
}

// A reader that does not end keeps the map in memory, and who closes it is told.
func TestAReaderThatDoesNotEnd(t *testing.T) {
	s := open(t, t.TempDir(), Options{})
	held, idle := reader(t, s), reader(t, s)
	if err := held.Begin(); err != nil {
		t.Fatal(err)
	}
	if s.readers.closeAll(0) {
		t.Error("all readers have ended, it is said")
	}
	if err := idle.Begin(); !errors.Is(err, ErrClosed) {
		t.Errorf("Begin while it is closed: %v", err)
	}
	if r, err := s.NewReader(); !errors.Is(err, ErrClosed) || r != nil {
		t.Errorf("NewReader while it is closed: %v", err)
	}
	held.End()
	if !s.readers.closeAll(0) {
		t.Error("a reader that has ended is waited for")
	}
	if s.waitEnded(time.Millisecond) {
		t.Error("the writer has ended, it is said")
	}
}

func TestCloseSaysWhenTheMapStays(t *testing.T) {
	s := open(t, t.TempDir(), Options{})
	s.Put([]byte("k"), []byte("v"))
	flush(t, s)
	r := reader(t, s)
	if err := r.Begin(); err != nil {
		t.Fatal(err)
	}
	if err := s.closeWithin(10 * time.Millisecond); !errors.Is(err, ErrBusy) {
		t.Errorf("Close: %v, want %v", err, ErrBusy)
	}
	if val, ok := r.Get([]byte("k")); !ok || string(val) != "v" {
		t.Errorf("the map is gone under a reader: %q, %v", val, ok)
	}
	r.End()
	<-s.writer
	<-s.watcher
	if ok := s.readers.closeAll(time.Second); !ok || s.letGo() != nil {
		t.Error("the reader has ended, and the map stays")
	}
}
