package worker

import (
	"os"
	"path/filepath"
	"testing"
	"time"
)

// until waits for cond.
func until(t testing.TB, what string, cond func() bool) {
	t.Helper()
	for deadline := time.Now().Add(20 * time.Second); !cond(); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("not within 20 seconds: %s", what)
		}
	}
}

// lose puts a directory where the cache's file was, so that it can neither be
// used nor made anew, and returns how to undo it.
func lose(t testing.TB, w *Worker) (undo func()) {
	t.Helper()
	file := filepath.Join(w.storage.where(), "data.mdb")
	if err := os.Remove(file); err != nil {
		t.Fatal(err)
	}
	if err := os.MkdirAll(filepath.Join(file, "inside"), 0o700); err != nil {
		t.Fatal(err)
	}
	until(t, "the cache is given up", func() bool { return !w.storage.IsOpen() })
	return func() {
		if err := os.RemoveAll(file); err != nil {
			t.Fatal(err)
		}
	}
}

// A cache that could not be opened again at once stayed closed for good.
func TestALostCacheIsTriedAgain(t *testing.T) {
	w := laboratory(t)
	size := w.storage.Size()
	w.storage.SetTTLs(7, 1000)
	undo := lose(t, w)
	undo()
	until(t, "the cache is open again", w.storage.IsOpen)
	lo, hi := w.storage.TTLs()
	if now := w.storage.Size(); now != size || lo != 7 || hi != 1000 {
		t.Errorf("size %d, TTLs %d to %d; before: %d, 7 to 1000", now, lo, hi, size)
	}
}

// What the operator says about the cache meanwhile is not undone.
func TestALostCacheIsTheOperatorsToReplace(t *testing.T) {
	w := laboratory(t)
	dir := w.storage.where()
	undo := lose(t, w)
	elsewhere := t.TempDir()
	if err := w.storage.Open(16<<20, "lmdb://elsewhere", elsewhere); err != nil {
		t.Fatal(err)
	}
	undo()
	time.Sleep(1500 * time.Millisecond) // longer than the first pause
	if w.storage.where() != elsewhere {
		t.Errorf("the cache is in %s", w.storage.where())
	}
	if _, err := os.Lstat(filepath.Join(dir, "data.mdb")); err == nil {
		t.Error("the cache that was given up was opened too")
	}
}
