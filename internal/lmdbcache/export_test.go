package lmdbcache

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
)

// What is exported while a writer is at work is a data file that opens, with every
// entry that was there before, whole; and nobody had to wait.
func TestExportWhileOthersWrite(t *testing.T) {
	s, err := Open(t.TempDir(), Options{MaxSize: 32 << 20, Schema: 7})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	const many = 20_000
	key := func(i int) []byte { return fmt.Appendf(nil, "key%06d", i) }
	val := func(i int) []byte { return []byte(strings.Repeat(fmt.Sprint(i, " "), 1+i%50)) }
	for i := range many {
		if s.Put(key(i), val(i)); i%1000 == 0 {
			_ = s.Flush(t.Context())
		}
	}
	if err := s.Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
	var writing sync.WaitGroup
	ctx, stop := context.WithCancel(t.Context())
	writing.Go(func() {
		for i := many; ctx.Err() == nil; i++ {
			s.Put(fmt.Appendf(nil, "new%06d", i%5000), val(i))
			if i%100 == 0 {
				_ = s.Flush(ctx)
			}
		}
	})
	dir := t.TempDir()
	n, err := s.Export(t.Context(), filepath.Join(dir, dataName))
	stop()
	writing.Wait()
	if err != nil || n < many {
		t.Fatalf("%d entries of at least %d, %v", n, many, err)
	}
	var warned []string
	to, err := Open(dir, Options{MaxSize: 32 << 20, Schema: 7, Warn: func(line string) { warned = append(warned, line) }})
	if err != nil {
		t.Fatal(err)
	}
	defer to.Close()
	if count, err := to.Count(); err != nil || count != n || len(warned) > 0 {
		t.Errorf("%d entries, %v, log %q; want %d", count, err, warned, n)
	}
	for i := range many {
		got := ""
		to.Get(key(i), func(b []byte) { got = string(b) })
		if got != string(val(i)) {
			t.Fatalf("entry %d is %q", i, got)
		}
	}
	if left, _ := filepath.Glob(filepath.Join(dir, "*.part*")); len(left) > 0 {
		t.Errorf("left behind: %q", left)
	}
}

func TestExportRefuses(t *testing.T) {
	dir, other := t.TempDir(), t.TempDir()
	s, err := Open(dir, Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	used, err := Open(other, Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer used.Close()
	if err := os.Symlink("x", filepath.Join(dir, "link")); err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]string{
		filepath.Join(dir, dataName): "a cache that is in use", filepath.Join(other, dataName): "a cache that is in use",
		dir: "not a regular file", filepath.Join(dir, "link"): "not a regular file", dir + "/none/data.mdb": "no such file",
	} {
		if _, err := s.Export(t.Context(), path); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", path, err, want)
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := s.Export(ctx, filepath.Join(t.TempDir(), "x")); !errors.Is(err, context.Canceled) && !errors.Is(err, ErrBusy) {
		t.Errorf("given up: %v", err)
	}
}

// asked is a context that does something when it is first asked whether it has ended.
type asked struct {
	context.Context
	once func()
}

func (c *asked) Err() error {
	c.once()
	return nil
}

// What is cleared while a copy is made is not in it: there is none.
func TestAClearWhileACopyIsMade(t *testing.T) {
	s := open(t, t.TempDir(), Options{MaxSize: 1 << 20})
	s.Put([]byte("a"), []byte("b"))
	flush(t, s)
	for name, clear := range map[string]func(){
		"everything": func() { _, _ = s.Clear() }, "a range": func() { _, _ = s.RemoveRange([]byte("z"), 1, nil) }, "nothing": func() {},
	} {
		dir := t.TempDir()
		n, err := s.Export(&asked{t.Context(), sync.OnceFunc(clear)}, filepath.Join(dir, dataName))
		files, _ := os.ReadDir(dir)
		if name != "nothing" && (!errors.Is(err, ErrCleared) || n != 0 || len(files) != 0) || name == "nothing" && (err != nil || len(files) != 1) {
			t.Errorf("%s is cleared: %d entries, %v, left %v", name, n, err, files)
		}
	}
}

// A clear can be told from none.
func TestAClearHasANumber(t *testing.T) {
	s, err := Open(t.TempDir(), Options{MaxSize: 8 << 20})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	s.Put([]byte("a"), []byte("b"))
	if err := s.Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
	before := s.ClearNumber()
	if _, err := s.Clear(); err != nil {
		t.Fatal(err)
	}
	if s.ClearNumber() == before {
		t.Error("a clear cannot be told from none")
	}
}

func TestCollectBetweenOtherMarks(t *testing.T) {
	s, err := Open(t.TempDir(), Options{MaxSize: 4 << 20})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	val := make([]byte, 400)
	for i := range 4000 {
		s.Put(fmt.Appendf(nil, "%06d", i), val)
		if i%200 == 0 {
			_ = s.Flush(t.Context())
		}
	}
	if err := s.Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
	judge := func(key, _ []byte) Worth { return Worth(key[5]-'0') * 20 }
	c, err := s.Foresee(t.Context(), 10, s.Usage()-20, judge)
	if n, _ := s.Count(); err != nil || c.Removed == 0 || n != 4000 {
		t.Errorf("foreseen %+v, %v; %d entries", c, err, n)
	}
	low := s.Usage() - 20
	got, err := s.CollectBetween(t.Context(), 10, low, judge)
	if err != nil || got.After > low+1 || got.Removed == 0 {
		t.Errorf("got %+v, %v; want at most %.1f %%", got, err, low)
	}
	if got, err := s.CollectBetween(t.Context(), 99, 50, judge); err != nil || got.Removed != 0 {
		t.Errorf("below the mark: %+v, %v", got, err)
	}
}

func TestTheSizeOfAFileSystem(t *testing.T) {
	dir := t.TempDir()
	n, err := FileSystem(dir)
	below, err2 := FileSystem(dir + "/to/be/made")
	if err != nil || err2 != nil || n == 0 || n != below {
		t.Errorf("%d, %v; %d, %v", n, err, below, err2)
	}
}

// Two exports to one path had one file for what is not complete yet: the first of them
// put the half of the second in place.
func TestTwoExportsToOnePath(t *testing.T) {
	s := open(t, t.TempDir(), Options{MaxSize: 8 << 20, Schema: 7})
	for i := range 5000 {
		s.Put(fmt.Appendf(nil, "key%06d", i), make([]byte, 200))
	}
	flush(t, s)
	dir := t.TempDir()
	var both sync.WaitGroup
	for range 2 {
		both.Go(func() {
			if n, err := s.Export(t.Context(), filepath.Join(dir, dataName)); err != nil || n != 5000 {
				t.Errorf("%d entries, %v", n, err)
			}
		})
	}
	both.Wait()
	to := open(t, dir, Options{MaxSize: 8 << 20, Schema: 7})
	if n, err := to.Count(); err != nil || n != 5000 {
		t.Errorf("%d entries in the copy, %v", n, err)
	}
}

// A map that cannot be read ended a copy, and kept who only counts for ever.
func TestWhatCannotBeReadEndsAWalk(t *testing.T) {
	dir := t.TempDir()
	s := open(t, dir, Options{MaxSize: 1 << 20, Schema: 7})
	for i := range 1000 {
		s.Put(fmt.Appendf(nil, "key%06d", i), make([]byte, 200))
	}
	flush(t, s)
	f, err := os.OpenFile(filepath.Join(dir, dataName), os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if _, err := f.WriteAt(make([]byte, 512<<10), 2*int64(os.Getpagesize())); err != nil { // behind the two heads
		t.Fatal(err)
	}
	if c, err := s.Foresee(t.Context(), 0, 0, func(_, _ []byte) Worth { return 0 }); !errors.Is(err, errDamaged) {
		t.Errorf("%+v, %v", c, err)
	}
	if n, err := s.Export(t.Context(), filepath.Join(t.TempDir(), dataName)); err == nil {
		t.Errorf("%d entries were copied of a map that cannot be read", n)
	}
}
