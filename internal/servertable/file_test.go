package servertable

import (
	"encoding/binary"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

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
			b, _ := binary.Append(nil, binary.NativeEndian, &h)
			_, err = f.WriteAt(b, 0)
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
		}, "symbolic link"},
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
	if _, err := Open(filepath.Join(dir, "nowhere"), clock.Real(), nil); err == nil {
		t.Error("a table in a directory that is not there")
	}
	if err := os.MkdirAll(filepath.Join(dir, Name, "full"), 0o700); err != nil {
		t.Fatal(err)
	}
	_, err := Open(dir, clock.Real(), nil)
	if err == nil || strings.Contains(err.Error(), dir) || strings.Contains(err.Error(), "\n") {
		t.Errorf("where a directory has its name: %v", err)
	}
	if left, _ := os.ReadDir(dir); len(left) != 1 {
		t.Errorf("%d files were left", len(left))
	}
}

// Processes that start together open one table after the other, so that all get the
// same; one that is frozen in the middle keeps the others for a while only.
func TestProcessesOpenOneAfterTheOther(t *testing.T) {
	dir := t.TempDir()
	for _, frozen := range []bool{false, true} {
		unlock, err := lock(dir)
		if err != nil {
			t.Fatal(err)
		}
		next := make(chan time.Duration)
		began := time.Now()
		go func() {
			unlock, err := lock(dir)
			if err != nil {
				t.Error(err)
				unlock = func() {}
			}
			defer unlock()
			next <- time.Since(began)
		}()
		if !frozen {
			time.Sleep(limits.ServersGate / 10)
			unlock()
		}
		took := <-next
		if least := limits.ServersGate / 10; took < least {
			t.Errorf("two at once, after %v", took)
		}
		if frozen && took < limits.ServersGate {
			t.Errorf("given up on after %v, want %v", took, limits.ServersGate)
		}
		if frozen {
			unlock()
		}
	}
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
