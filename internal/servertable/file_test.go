package servertable

import (
	"encoding/binary"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"
	"unsafe"

	"kresd/internal/clock"
	"kresd/internal/limits"
)

func TestUnusableFilesAreReplaced(t *testing.T) {
	remake := func(change func(*header)) func(string) error {
		return func(path string) error {
			f, err := os.OpenFile(path, os.O_RDWR, 0)
			if err != nil {
				return err
			}
			defer f.Close()
			var h header
			if err := binary.Read(f, binary.NativeEndian, &h); err != nil {
				return err
			}
			change(&h)
			_, err = f.WriteAt(h.octets(), 0)
			return err
		}
	}
	for name, c := range map[string]struct {
		damage func(path string) error
		why    string // "" where nothing is said
	}{
		"absent":     {os.Remove, ""},
		"empty":      {func(p string) error { return os.Truncate(p, 0) }, "octets"},
		"short":      {func(p string) error { return os.Truncate(p, fileSize-1) }, "octets"},
		"foreign":    {func(p string) error { return os.WriteFile(p, make([]byte, fileSize), 0o600) }, "something else"},
		"damaged":    {remake(func(h *header) { h.Seed[1]++ }), "damaged"},
		"old":        {remake(func(h *header) { h.Version--; h.Sum = h.sum() }), "version"},
		"other size": {remake(func(h *header) { h.Slots *= 2; h.Sum = h.sum() }), "version"},
		"old boot":   {remake(func(h *header) { h.Boot[3]++; h.Sum = h.sum() }), ""},
		"writable":   {func(p string) error { return os.Chmod(p, 0o622) }, "others may write"},
		"two names":  {func(p string) error { return os.Link(p, p+".2") }, "second name"},
		"link": {func(p string) error {
			if err := os.Rename(p, p+".2"); err != nil {
				return err
			}
			return os.Symlink(Name+".2", p)
		}, "it is a symbolic link"},
		"pipe": {func(p string) error {
			if err := os.Remove(p); err != nil {
				return err
			}
			return syscall.Mkfifo(p, 0o600)
		}, "not a regular file"},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			path := filepath.Join(dir, Name)
			put(t, open(t, dir), address(1), 1, 1)
			if err := c.damage(path); err != nil {
				t.Fatal(err)
			}
			said := ""
			tab, err := Open(dir, clock.Real(), func(line string) { said += line })
			if err != nil {
				t.Fatal(err)
			}
			defer tab.Close()
			if (said == "") != (c.why == "") || !strings.Contains(said, c.why) {
				t.Errorf("said %q, want something about %q", said, c.why)
			}
			if _, ok := tab.Load(address(1)); ok {
				t.Error("a record was taken from an unusable file")
			}
			put(t, tab, address(2), 1, 2)
			wantData(t, open(t, dir), address(2), 2)
		})
	}
}

func TestNoTable(t *testing.T) {
	dir := t.TempDir()
	if _, err := Open(filepath.Join(dir, "nowhere"), clock.Real(), nil); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("in a directory that is not there: %v", err)
	}
	for _, name := range []string{Name, Name + ".new"} {
		dir := t.TempDir()
		if err := os.MkdirAll(filepath.Join(dir, name, "full"), 0o700); err != nil {
			t.Fatal(err)
		}
		said := ""
		if _, err := Open(dir, clock.Real(), func(line string) { said += line }); err == nil || err.Error() != "servers.tab: it is a directory" {
			t.Errorf("where a directory has the name %s: %v", name, err)
		}
		if want := "servers.tab is replaced by an empty one: it is a directory"; name == Name && said != want {
			t.Errorf("said %q, want %q", said, want)
		}
		wantNothingOpen(t, dir)
		if left, _ := os.ReadDir(dir); len(left) != 1 {
			t.Errorf("%d files were left", len(left))
		}
	}
}

// Processes that start together open one table after the other, so that all get the
// same; one that is frozen in the middle keeps the others for a while only.
func TestProcessesOpenOneAfterTheOther(t *testing.T) {
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		for _, held := range []time.Duration{limits.ServersGate / 10, time.Hour} {
			unlock, err := lock(dir)
			if err != nil {
				t.Fatal(err)
			}
			time.AfterFunc(held, unlock)
			began := time.Now()
			next, err := lock(dir)
			if err != nil {
				t.Fatal(err)
			}
			took, want := time.Since(began), min(held, limits.ServersGate)
			if took < want || took > want+10*time.Millisecond {
				t.Errorf("held for %v: the next one waited %v, want %v", held, took, want)
			}
			next()
			time.Sleep(time.Until(began.Add(held + time.Second)))
		}
	})
}

// What an open table needs is its memory: a descriptor that is left open would keep the
// lock on the directory, or add up where tables are opened again and again.
func TestNoDescriptorIsLeftOpen(t *testing.T) {
	dir := t.TempDir()
	open(t, dir)
	if err := os.Truncate(filepath.Join(dir, Name), 1); err != nil {
		t.Fatal(err)
	}
	open(t, dir) // cannot use the first one's file
	open(t, dir)
	wantNothingOpen(t, dir)
}

// A process that was killed while it made a table keeps nobody from making one.
func TestATableThatWasNotFinishedIsMadeAnew(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, Name+".new"), []byte("half"), 0o600); err != nil {
		t.Fatal(err)
	}
	tab := open(t, dir)
	put(t, tab, address(1), 1, 1)
	wantData(t, tab, address(1), 1)
	if left, _ := os.ReadDir(dir); len(left) != 1 {
		t.Errorf("%d files are left", len(left))
	}
}

func wantNothingOpen(t *testing.T, dir string) {
	t.Helper()
	all, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	for _, fd := range all {
		if file, _ := os.Readlink(filepath.Join("/proc/self/fd", fd.Name())); strings.HasPrefix(file, dir) {
			t.Errorf("%s is open", file)
		}
	}
}

// Where a server's record lies is a secret of the file: who knew it could have one
// server's record push out another's.
func TestEachFileHasASeedOfItsOwn(t *testing.T) {
	a, b := open(t, t.TempDir()), open(t, t.TempDir())
	place := func(tab *Table, n int) uintptr {
		return uintptr(unsafe.Pointer(tab.set(wordsOf(address(n))))) - uintptr(unsafe.Pointer(tab.slots))
	}
	same := 0
	for i := range 100 {
		if place(a, i) == place(b, i) {
			same++
		}
	}
	if same > 10 {
		t.Errorf("%d of 100 servers have the same place in two files", same)
	}
	if key := []byte("www.example.com A"); tagOf(a, key) == tagOf(b, key) {
		t.Error("a lease has the same hash in two files")
	}
}

func tagOf(tab *Table, key []byte) uint64 {
	_, tag := tab.lease(key)
	return tag
}

// FuzzFile puts octets at the start of a file, over the header and the first
// records. Whatever they are, Open gives a table that works.
func FuzzFile(f *testing.F) {
	seedDir := f.TempDir()
	tab, err := Open(seedDir, clock.Real(), nil)
	if err != nil {
		f.Fatal(err)
	}
	tab.Update(address(1), func(r Record) Record { r.Priority = 1; return r })
	tab.Close()
	whole, err := os.ReadFile(filepath.Join(seedDir, Name))
	if err != nil {
		f.Fatal(err)
	}
	f.Add([]byte{}, []byte{}, true)
	f.Add(whole[:100], []byte{1, 2, 3}, true)
	f.Add(whole[:pageSize], whole[pageSize:pageSize+1024], true)
	f.Add(whole[:72], whole[:512], false)
	f.Fuzz(func(t *testing.T, head, records []byte, whole bool) {
		dir := t.TempDir()
		file, err := os.OpenFile(filepath.Join(dir, Name), os.O_RDWR|os.O_CREATE, 0o600)
		if err != nil {
			t.Fatal(err)
		}
		file.WriteAt(head, 0)
		file.WriteAt(records[:min(len(records), fileSize-pageSize)], pageSize)
		if whole {
			file.Truncate(fileSize)
		}
		file.Close()
		tab := open(t, dir)
		for i := range 20 {
			tab.Load(address(i))
			tab.Update(address(i), func(r Record) Record { r.Priority, r.Data[0] = 9, uint64(i); return r })
			if r, ok := tab.Load(address(i)); ok && r.Data[0] != uint64(i) {
				t.Errorf("got %v", r)
			}
		}
		n := 0
		tab.Each(func(Key, Record) bool { n++; return true })
		if n == 0 {
			t.Error("nothing can be kept")
		}
	})
}
