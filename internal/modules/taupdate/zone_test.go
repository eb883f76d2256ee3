package taupdate

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"kresd/internal/dnsname"
	"kresd/internal/trustanchor"
)

// A lock that is held is kept: between two locks somebody else could get it.
func TestALockIsKept(t *testing.T) {
	w := newWorld(t)
	w.write("a")
	x := w.worker()
	x.load(false)
	lock := x.zone().lock
	for range 2 {
		if x.f.tick(); lock == nil || x.zone().lock != lock {
			t.Fatal("the lock was given up")
		}
	}
}

// That a file cannot be kept up to date is told once, and again when it could have been
// meanwhile; that another worker does it is no trouble.
func TestTroubleWithTheLockIsToldEachTimeItBegins(t *testing.T) {
	w := newWorld(t)
	w.write("a")
	x := w.worker()
	x.load(false)
	dir := filepath.Dir(w.path)
	for told := range 3 {
		if err := os.RemoveAll(dir); err != nil {
			t.Fatal(err)
		}
		x.f.tick()
		x.f.tick()
		if n := strings.Count(w.log.String(), "cannot be kept up to date by this worker"); n != told+1 {
			t.Errorf("told %d times, want %d:\n%s", n, told+1, &w.log)
		}
		if err := os.Mkdir(dir, 0o700); err != nil {
			t.Fatal(err)
		}
		lock, err := trustanchor.TryLock(w.path)
		if err != nil {
			t.Fatal(err)
		}
		if told == 1 { // once this worker gets it, and twice another one has it meanwhile
			if err := lock.Release(); err != nil {
				t.Fatal(err)
			}
		}
		x.f.tick()
		if mine := x.zone().lock != nil; mine != (told == 1) {
			t.Errorf("this worker has the lock: %v", mine)
		}
		if told != 1 {
			if err := lock.Release(); err != nil {
				t.Fatal(err)
			}
		}
	}
}

// A lock that cannot be given up is told.
func TestALockThatCannotBeReleasedIsTold(t *testing.T) {
	w := newWorld(t)
	w.write("a")
	x := w.worker()
	x.load(false)
	if err := x.zone().lock.Release(); err != nil {
		t.Fatal(err)
	}
	x.f.close()
	if !strings.Contains(w.log.String(), w.path+".lock: ") {
		t.Errorf("the log does not tell it:\n%s", &w.log)
	}
}

// A key file that takes the place of another one is read, though it is as long and as old.
func TestAFileInThePlaceOfAnotherIsRead(t *testing.T) {
	w := newWorld(t)
	w.write("a")
	x := w.worker()
	x.load(false)
	old := time.Unix(1_700_000_000, 0)
	put := func(letters string) {
		t.Helper()
		w.write(letters)
		text, err := os.ReadFile(w.path)
		if err != nil {
			t.Fatal(err)
		}
		padded := string(text) + strings.Repeat("\n", 1000-len(text))
		if err := os.WriteFile(w.path, []byte(padded), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Chtimes(w.path, old, old); err != nil {
			t.Fatal(err)
		}
	}
	put("a")
	x.f.tick()
	if err := os.Rename(w.path, w.path+".old"); err != nil { // which keeps its number from the next one
		t.Fatal(err)
	}
	put("b")
	x.f.tick()
	w.expect("b:Valid", x)
}

// Anchors that a script removed a moment ago are not read again, nor is their zone asked.
func TestAnchorsThatAreRemovedAreNotReadAgain(t *testing.T) {
	w := newWorld(t)
	w.write("a")
	x, y := w.worker(), w.worker()
	x.load(false)
	y.load(false)
	x.f.close()
	y.store.Remove(dnsname.Root)
	w.write("ab")
	y.f.tick() // and the lock is free
	w.expect("", y)
	y.look()
	if len(w.times) != 0 {
		t.Errorf("the root was asked %d times", len(w.times))
	}
}
