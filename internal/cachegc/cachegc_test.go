package cachegc

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"kresd/internal/cache"
	"kresd/internal/dnsname"
	"kresd/internal/lmdbcache"
	"kresd/internal/rank"
	"kresd/internal/resolve"
	"kresd/internal/wire"
)

// run is the program with what it wrote.
func run(t *testing.T, args ...string) (out, errs string, status int) {
	t.Helper()
	var o, e strings.Builder
	status = Run(t.Context(), args, &o, &e)
	return o.String(), e.String(), status
}

// filled is the directory of a small cache with n sets in it.
func filled(t *testing.T, n int) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "cache")
	store, err := lmdbcache.Open(dir, lmdbcache.Options{MaxSize: 2 << 20, Schema: cache.Schema})
	if err != nil {
		t.Fatal(err)
	}
	c := cache.New(nil)
	c.Swap(cache.Disk{Store: store})
	now := time.Now().Unix()
	for i := range n {
		name, err := dnsname.Parse(strings.Repeat("x", 30) + string(rune('a'+i%26)) + strings.Repeat("y", i/26%30+1) + ".example.")
		if err != nil {
			t.Fatal(err)
		}
		set := resolve.Set{RRset: wire.RRset{Owner: name, Type: wire.TypeTXT, Class: wire.ClassIN, TTL: 3600, Data: [][]byte{append([]byte{255}, make([]byte, 255)...)}}, Rank: rank.Auth | rank.Insecure}
		if err := c.Insert(0, set, now, now); err != nil {
			t.Fatal(err)
		}
	}
	if err := store.Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
	c.Swap(nil)
	if err := store.Close(); err != nil {
		t.Fatal(err)
	}
	return dir
}

// entries is how many a cache has.
func entries(t *testing.T, dir string, schema uint32) int {
	t.Helper()
	store, err := lmdbcache.Open(dir, lmdbcache.Options{MaxSize: 1, Schema: schema, Keep: true})
	if err != nil {
		t.Fatal(err)
	}
	defer store.Close()
	n, err := store.Count()
	if err != nil {
		t.Fatal(err)
	}
	return n
}

func TestRoomIsMade(t *testing.T) {
	dir := filled(t, 700)
	had := entries(t, dir, cache.Schema)
	out, errs, status := run(t, "-c", dir, "-n", "-u", "5", "-f", "10")
	if status != 0 || errs != "" || !strings.Contains(out, " entries would be removed\n") || strings.Contains(out, " 0 entries") || entries(t, dir, cache.Schema) != had {
		t.Errorf("dry: %q, %q, %d; %d entries of %d", out, errs, status, entries(t, dir, cache.Schema), had)
	}
	out, errs, status = run(t, "-c", dir, "-u", "5", "-f", "10", "-l", "100", "-m0", "-w", "5", "-t1")
	if left := entries(t, dir, cache.Schema); status != 0 || errs != "" || !strings.Contains(out, " entries were removed, usage is ") || left >= had || left == 0 {
		t.Errorf("%q, %q, %d; %d entries of %d", out, errs, status, left, had)
	}
	if out, errs, status := run(t, "-c", dir, "-u", "99"); out != "" || errs != "" || status != 0 {
		t.Errorf("below the mark: %q, %q, %d", out, errs, status)
	}
	if out, _, status := run(t, "-c", dir, "-u", "99", "-v"); !strings.Contains(out, " 0 entries were removed") || status != 0 {
		t.Errorf("below the mark, verbose: %q, %d", out, status)
	}
}

// No mistake empties a cache or makes one.
func TestNothingIsMadeOrEmptied(t *testing.T) {
	empty := t.TempDir()
	if _, errs, status := run(t, "-c", empty); status != 1 || !strings.Contains(errs, "no such file or directory") {
		t.Errorf("no cache: %q, %d", errs, status)
	}
	if left, _ := os.ReadDir(empty); len(left) != 0 {
		t.Errorf("it made %v", left)
	}
	other := filepath.Join(t.TempDir(), "cache")
	store, err := lmdbcache.Open(other, lmdbcache.Options{Schema: cache.Schema + 1})
	if err != nil {
		t.Fatal(err)
	}
	store.Put([]byte("a"), []byte("b"))
	if err := store.Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := store.Close(); err != nil {
		t.Fatal(err)
	}
	if _, errs, status := run(t, "-c", other); status != 1 || !strings.Contains(errs, "another version of kresd") {
		t.Errorf("another version: %q, %d", errs, status)
	}
	if n := entries(t, other, cache.Schema+1); n != 1 {
		t.Errorf("%d entries are left", n)
	}
	if os.Geteuid() == 0 {
		if err := os.Chown(filepath.Join(other, "data.mdb"), 65534, -1); err != nil {
			t.Fatal(err)
		}
		if _, errs, status := run(t, "-c", other); status != 1 || !strings.Contains(errs, "belongs to user 65534, and this process is user 0: run it as that user") {
			t.Errorf("another's files: %q, %d", errs, status)
		}
	}
}

func TestCommandLines(t *testing.T) {
	for _, c := range []struct{ args, says string }{
		{"", "directory of a cache is required"}, {"-c x y", "'y' is one argument too many"}, {"-c x -u 0", "percentage"}, {"-c x -f x", "percentage"},
		{"-c x -u 101", "percentage"}, {"-c x -d x", "whole number"}, {"-c x -l -1", "whole number"}, {"-c x --nosuch", "unknown option"}, {"-c", "requires an argument"},
	} {
		if out, errs, status := run(t, strings.Fields(c.args)...); status != 2 || out != "" || !strings.Contains(errs, c.says) || !strings.HasPrefix(errs, "kres-cache-gc: ") {
			t.Errorf("%s: %q, %q, %d", c.args, out, errs, status)
		}
	}
	if out, _, status := run(t, "-h"); status != 0 || !strings.HasPrefix(out, "Usage: kres-cache-gc") {
		t.Errorf("-h: %q, %d", out, status)
	}
	if out, _, status := run(t, "-V"); status != 0 || !strings.HasPrefix(out, "kres-cache-gc, version ") {
		t.Errorf("-V: %q, %d", out, status)
	}
}

// With an interval it looks again, also where there is no cache yet, until it is ended.
func TestAnIntervalEndsWithASignal(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	var out, errs strings.Builder
	ended := make(chan int)
	go func() { ended <- Run(ctx, []string{"-c", t.TempDir(), "-d", "1"}, &out, &errs) }()
	time.Sleep(20 * time.Millisecond)
	cancel()
	if status := <-ended; status != 0 {
		t.Errorf("status %d", status)
	}
	if !strings.Contains(errs.String(), "no such file") {
		t.Errorf("%q", errs.String())
	}
}
