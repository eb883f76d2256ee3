package lmdbcache

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"slices"
	"strings"
	"testing"
	"time"
)

// open opens dir for a test, which fails on any line that warns.
func open(t testing.TB, dir string, o Options) *Store {
	t.Helper()
	if o.Warn == nil {
		o.Warn = func(line string) { t.Errorf("unexpected warning: %s", line) }
	}
	if o.OnLost == nil {
		o.OnLost = func(why string) { t.Errorf("unexpected loss: %s", why) }
	}
	s, err := Open(dir, o)
	if err != nil {
		t.Fatalf("Open: %v", err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

func flush(t testing.TB, s *Store) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	if err := s.Flush(ctx); err != nil {
		t.Fatalf("Flush: %v", err)
	}
}

// soon is what comes, if it comes.
func soon[T any](t testing.TB, what string, from <-chan T) (v T) {
	t.Helper()
	select {
	case v = <-from:
	case <-time.After(20 * time.Second):
		t.Fatalf("not in 20 s: %s", what)
	}
	return v
}

// eventually waits until something is so.
func eventually(t testing.TB, what string, is func() bool) {
	t.Helper()
	for end := time.Now().Add(20 * time.Second); !is(); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("not in 20 s: %s", what)
		}
	}
}

func get(s *Store, key string) (val string, ok bool) {
	ok = s.Get([]byte(key), func(v []byte) { val = string(v) })
	return val, ok
}

func wantGet(t testing.TB, s *Store, key, want string) {
	t.Helper()
	if got, ok := get(s, key); !ok || got != want {
		t.Errorf("Get(%q) = %q, %v; want %q", key, got, ok, want)
	}
}

func wantMiss(t testing.TB, s *Store, key string) {
	t.Helper()
	if got, ok := get(s, key); ok {
		t.Errorf("Get(%q) = %q; want nothing", key, got)
	}
}

func wantCount(t testing.TB, s *Store, want int) {
	t.Helper()
	if got, err := s.Count(); err != nil || got != want {
		t.Errorf("Count() = %d, %v; want %d", got, err, want)
	}
}

func TestEntriesSurviveReopening(t *testing.T) {
	dir := t.TempDir()
	s := open(t, dir, Options{MaxSize: 1 << 20})
	wantCount(t, s, 0)
	s.Put([]byte("a"), []byte("1"))
	wantGet(t, s, "a", "1") // queued
	flush(t, s)
	wantGet(t, s, "a", "1") // stored
	s.Put([]byte("b"), nil)
	s.Put([]byte("c"), bytes.Repeat([]byte("x"), 20000))
	if err := s.Close(); err != nil {
		t.Fatalf("Close: %v", err)
	}
	wantMiss(t, s, "a")
	if err := s.Close(); !errors.Is(err, ErrClosed) {
		t.Errorf("second Close: %v, want ErrClosed", err)
	}
	s = open(t, dir, Options{MaxSize: 1 << 20})
	wantGet(t, s, "a", "1")
	wantGet(t, s, "c", strings.Repeat("x", 20000))
	s.Delete([]byte("a"))
	wantMiss(t, s, "a")
	flush(t, s)
	wantMiss(t, s, "a")
	wantCount(t, s, 1)
}

func TestKeysThatCannotBeStoredAreMisses(t *testing.T) {
	s := open(t, t.TempDir(), Options{})
	long := strings.Repeat("k", maxKey+1)
	for _, key := range []string{"", long, recordKey, ownPrefix + "x"} {
		s.Put([]byte(key), []byte("v"))
		flush(t, s)
		if key != recordKey {
			wantMiss(t, s, key)
		}
	}
	longest := long[:maxKey]
	s.Put([]byte(longest), []byte("v"))
	flush(t, s)
	wantGet(t, s, longest, "v")
	wantCount(t, s, 1)
	r := reader(t, s)
	if err := r.Begin(); err != nil {
		t.Fatal(err)
	}
	defer r.End()
	if _, ok := r.Get([]byte(long)); ok {
		t.Error("a key of 512 octets was found")
	}
	if k, _, ok := r.Floor(nil, []byte(long)); !ok || string(k) != longest {
		t.Errorf("Floor of a key of 512 octets = %q, %v", k, ok)
	}
}

func TestOpenedTwiceInOneProcess(t *testing.T) {
	dir := t.TempDir()
	s := open(t, dir, Options{})
	if _, err := Open(dir, Options{}); !errors.Is(err, ErrTwice) {
		t.Errorf("second Open: %v, want ErrTwice", err)
	}
	s.Close()
	open(t, dir, Options{})
}

func TestMapOnlyGrows(t *testing.T) {
	dir := t.TempDir()
	open(t, dir, Options{MaxSize: 8 << 20}).Close()
	s := open(t, dir, Options{MaxSize: 1 << 20})
	if s.Size() != 8<<20 {
		t.Errorf("Size() = %d after reopening with less, want %d", s.Size(), 8<<20)
	}
	s.Close()
	if s = open(t, dir, Options{MaxSize: 16 << 20}); s.Size() != 16<<20 {
		t.Errorf("Size() = %d after reopening with more, want %d", s.Size(), 16<<20)
	}
}

func TestAnotherSchemaIsDropped(t *testing.T) {
	dir := t.TempDir()
	s := open(t, dir, Options{Schema: 1})
	s.Put([]byte("a"), []byte("1"))
	flush(t, s)
	was := s.ClearNumber()
	s.Close()
	var lines []string
	s = open(t, dir, Options{Schema: 2, Warn: func(l string) { lines = append(lines, l) }})
	wantCount(t, s, 0)
	wantMiss(t, s, "a")
	if len(lines) != 1 || !strings.Contains(lines[0], "version 1 instead of 2") {
		t.Errorf("log lines: %q", lines)
	}
	if now := s.ClearNumber(); now <= was {
		t.Errorf("clear number went from %d to %d", was, now)
	}
	s.Close()
	open(t, dir, Options{Schema: 2})
}

func TestUnsafeDirectoriesAreRefused(t *testing.T) {
	base := t.TempDir()
	for name, c := range map[string]struct {
		prepare func(dir string) error
		why     string
	}{
		"symbolic link":   {func(dir string) error { return os.Symlink(base, dir) }, "the directory is a symbolic link"},
		"file":            {func(dir string) error { return os.WriteFile(dir, nil, 0o600) }, "it is not a directory"},
		"writable by all": {func(dir string) error { return errors.Join(os.Mkdir(dir, 0o700), os.Chmod(dir, 0o777)) }, "everybody may write to the directory"},
		"below a file":    {func(dir string) error { return os.WriteFile(dir, nil, 0o600) }, "not a directory"},
		"data is a link": {func(dir string) error {
			return errors.Join(os.Mkdir(dir, 0o700), os.Symlink("/etc/passwd", dir+"/data.mdb"))
		}, "data.mdb is not a regular file"},
		"lock is a link": {func(dir string) error {
			return errors.Join(os.Mkdir(dir, 0o700), os.Symlink("x", dir+"/lock.mdb"))
		}, "lock.mdb is not a regular file"},
		"data is writable by all": {func(dir string) error {
			return errors.Join(os.Mkdir(dir, 0o700), os.WriteFile(dir+"/data.mdb", nil, 0o600), os.Chmod(dir+"/data.mdb", 0o666))
		}, "everybody may write to data.mdb; remove it"},
		"lock is writable by all": {func(dir string) error {
			return errors.Join(os.Mkdir(dir, 0o700), os.WriteFile(dir+"/lock.mdb", nil, 0o600), os.Chmod(dir+"/lock.mdb", 0o602))
		}, "everybody may write to lock.mdb; remove it"},
		"data is a directory": {func(dir string) error { return os.MkdirAll(dir+"/data.mdb", 0o700) }, "data.mdb is not a regular file"},
	} {
		t.Run(name, func(t *testing.T) {
			dir := fmt.Sprintf("%s/%s", base, strings.ReplaceAll(name, " ", "-"))
			if err := c.prepare(dir); err != nil {
				t.Fatal(err)
			}
			if name == "below a file" {
				dir += "/cache"
			}
			s, err := Open(dir+"/", Options{})
			if err == nil {
				s.Close()
				t.Error("Open took it")
			} else if !strings.Contains(err.Error(), c.why) {
				t.Errorf("%v, want %q", err, c.why)
			}
		})
	}
}

func TestFilesAreOurs(t *testing.T) {
	dir := t.TempDir() + "/cache"
	open(t, dir, Options{})
	for path, want := range map[string]os.FileMode{dir: 0o700, dir + "/data.mdb": 0o600, dir + "/lock.mdb": 0o600} {
		if st, err := os.Stat(path); err != nil || st.Mode().Perm() != want {
			t.Errorf("%s: mode %v, %v; want %v", path, st.Mode().Perm(), err, want)
		}
	}
}

func TestPutIfAsksTheOldEntry(t *testing.T) {
	s := open(t, t.TempDir(), Options{})
	key := []byte("k")
	better := func(_, old, val []byte) bool { return string(val) > string(old) }
	for _, step := range []struct {
		val   string
		flush bool
		want  string
	}{
		{"5", true, "5"}, {"4", false, "5"}, {"4", true, "5"}, // stored wins
		{"6", false, "6"}, {"5", false, "6"}, {"7", false, "7"}, {"1", true, "7"}, // queued wins
	} {
		s.PutIf(key, []byte(step.val), better)
		if step.flush {
			flush(t, s)
		}
		if !step.flush && step.val < step.want && s.queue.length() > 0 && step.want == "5" {
			continue // its own queued write is visible until it is refused
		}
		wantGet(t, s, "k", step.want)
	}
	s.PutIf(key, []byte("0"), func(_, _, _ []byte) bool { panic("cannot read it") })
	flush(t, s)
	wantGet(t, s, "k", "0")
	s.Delete(key)
	s.PutIf(key, []byte("1"), func(_, _, _ []byte) bool { return false })
	flush(t, s)
	wantGet(t, s, "k", "1")
}

// What a reader finds damaged may have been whole when the writer comes to it.
func TestDeleteIfAsksTheStoredEntry(t *testing.T) {
	s := open(t, t.TempDir(), Options{})
	seen := func(want string) func([]byte) bool { return func(old []byte) bool { return string(old) == want } }
	s.Put([]byte("k"), []byte("1"))
	flush(t, s)
	s.DeleteIf([]byte("k"), seen("2"))
	flush(t, s)
	wantGet(t, s, "k", "1")
	s.DeleteIf([]byte("k"), seen("2"))
	s.PutIf([]byte("k"), []byte("0"), func(_, old, _ []byte) bool { return string(old) < "0" })
	flush(t, s)
	wantGet(t, s, "k", "1") // the removal was not agreed to, so what is stored has its say
	s.DeleteIf([]byte("k"), seen("1"))
	flush(t, s)
	wantMiss(t, s, "k")
	s.Put([]byte("k"), []byte("queued"))
	s.DeleteIf([]byte("k"), seen("1"))
	wantGet(t, s, "k", "queued")
}

// TestAgainstAMap runs random histories on a Store and on a Go map, and compares
// what every way of reading finds, queued or stored.
func TestAgainstAMap(t *testing.T) {
	s := open(t, t.TempDir(), Options{MaxSize: 64 << 20})
	rnd := rand.New(rand.NewPCG(1, 2))
	model := map[string]string{}
	key := func() string {
		k := fmt.Sprintf("%c\x00%c%d", 'a'+rnd.IntN(3), 'a'+rnd.IntN(4), rnd.IntN(300))
		if rnd.IntN(20) == 0 {
			k += strings.Repeat("z", rnd.IntN(400))
		}
		return k
	}
	for n := range 20000 {
		k := key()
		switch rnd.IntN(12) {
		case 0, 1, 2, 3, 4:
			v := fmt.Sprint(n, strings.Repeat("v", rnd.IntN(60)))
			if rnd.IntN(50) == 0 {
				v = strings.Repeat("V", 1000+rnd.IntN(9000))
			}
			s.Put([]byte(k), []byte(v))
			model[k] = v
		case 5, 6:
			s.Delete([]byte(k))
			delete(model, k)
		case 7:
			if rnd.IntN(20) == 0 {
				flush(t, s)
			}
		case 8:
			compareRange(t, s, model, k[:rnd.IntN(3)])
		default:
			want, ok := model[k]
			if got, found := get(s, k); found != ok || got != want {
				t.Fatalf("step %d: Get(%q) = %.20q, %v; want %.20q, %v", n, k, got, found, want, ok)
			}
			compareFloor(t, s, model, "", k)
			compareFloor(t, s, model, k[:3], k)
		}
	}
	flush(t, s)
	compareRange(t, s, model, "")
	wantCount(t, s, len(model))
	r := reader(t, s)
	if err := r.Begin(); err != nil {
		t.Fatal(err)
	}
	for k, v := range model {
		if got, ok := r.Get([]byte(k)); !ok || string(got) != v {
			t.Errorf("Reader.Get(%q) = %.20q, %v", k, got, ok)
		}
	}
	r.End()
	if st := s.Stats(); st.Damaged != 0 || st.WriteErrors != 0 {
		t.Errorf("Stats: %+v", st)
	}
	wantSound(t, s)
}

// wantSound closes s and checks the whole of its file.
func wantSound(t testing.TB, s *Store) {
	t.Helper()
	if err := s.Close(); err != nil {
		t.Errorf("Close: %v", err)
	}
	if err := Check(s.dir); err != nil {
		t.Errorf("Check: %v", err)
	}
}

func sortedKeys(model map[string]string) []string { return slices.Sorted(maps.Keys(model)) }

func compareRange(t *testing.T, s *Store, model map[string]string, prefix string) {
	t.Helper()
	var got, want []string
	s.Range([]byte(prefix), func(k, v []byte) bool {
		got = append(got, string(k)+"="+string(v))
		return true
	})
	for _, k := range sortedKeys(model) {
		if strings.HasPrefix(k, prefix) {
			want = append(want, k+"="+model[k])
		}
	}
	if !slices.Equal(got, want) {
		t.Fatalf("Range(%q): %d entries, want %d", prefix, len(got), len(want))
	}
}

func compareFloor(t *testing.T, s *Store, model map[string]string, prefix, key string) {
	t.Helper()
	want := ""
	for k := range model {
		if k <= key && k > want && strings.HasPrefix(k, prefix) {
			want = k
		}
	}
	got := ""
	ok := s.Floor([]byte(prefix), []byte(key), func(k, v []byte) {
		if got = string(k); model[got] != string(v) {
			t.Fatalf("Floor(%q, %q): value of %q is %.20q, want %.20q", prefix, key, got, v, model[got])
		}
	})
	if got != want || ok != (want != "") {
		t.Fatalf("Floor(%q, %q) = %q, %v; want %q", prefix, key, got, ok, want)
	}
}

// A path that leads nowhere is mistyped: no directories are made for it.
func TestADirectoryIsMadeOnlyInOneThatIsThere(t *testing.T) {
	above := t.TempDir() + "/mistyped"
	for _, dir := range []string{above + "/cache", above + "/cache/", above + "/a/b"} {
		s, err := Open(dir, Options{})
		if err == nil {
			s.Close()
			t.Errorf("%s is opened", dir)
		} else if !strings.Contains(err.Error(), "does not exist, in which it would be made") {
			t.Errorf("%s: %v", dir, err)
		}
	}
	if _, err := os.Stat(above); err == nil {
		t.Error("a directory was made")
	}
}
