package lmdbcache

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/PowerDNS/lmdb-go/lmdb"
)

// Whatever is in lock.mdb, two processes go on sharing the map: nothing in it is
// used. Writers and new readers used to wait on its mutexes for ever.
func TestGarbageInTheLockFileHoldsNobodyUp(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, lockName)
	lines := make(chan string, 100)
	s := open(t, dir, Options{Warn: func(l string) { lines <- l }})
	h := start(t, "commands", dir, "0")
	h.want("", "open")
	rnd := rand.New(rand.NewPCG(7, 20))
	for round := range 20 {
		if err := damageLock(path, round%4, rnd); err != nil {
			t.Fatal(err)
		}
		mine, theirs := fmt.Sprint("mine", round), fmt.Sprint("theirs", round)
		s.Put([]byte(mine), []byte("1"))
		flush(t, s)
		h.want("get "+mine, "=1")
		h.want("put "+theirs+" 2", "ok")
		h.want("flush", "<nil>")
		wantGet(t, s, theirs, "2")
		r := reader(t, s)
		if err := r.Begin(); err != nil {
			t.Fatal(err)
		}
		if _, ok := r.Get([]byte(theirs)); !ok {
			t.Errorf("round %d: not found", round)
		}
		r.End()
	}
	if st := s.Stats(); st.WriteErrors != 0 || st.Damaged != 0 {
		t.Errorf("Stats: %+v", st)
	}
}

// damageLock overwrites, cuts off, replaces or removes a lock file.
func damageLock(path string, how int, rnd *rand.Rand) error {
	garbage := make([]byte, 1+rnd.IntN(16384))
	for i := range garbage {
		garbage[i] = byte(rnd.Uint32())
	}
	switch how {
	case 0:
		f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
		if err != nil {
			return err
		}
		defer f.Close()
		_, err = f.WriteAt(garbage, int64(rnd.IntN(64)))
		return err
	case 1:
		return os.WriteFile(path, nil, 0o600)
	case 2:
		return errors.Join(os.WriteFile(path+".new", garbage, 0o600), os.Rename(path+".new", path))
	}
	return os.Remove(path)
}

// An overwritten lock.mdb is put aside, once by all, and the log says so.
func TestOverwrittenLockFileIsPutAside(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, lockName)
	lines := make(chan string, 100)
	s := open(t, dir, Options{Warn: func(l string) { lines <- l }})
	h := start(t, "commands", dir, "0")
	h.want("", "open")
	if err := damageLock(path, 0, rand.New(rand.NewPCG(1, 2))); err != nil {
		t.Fatal(err)
	}
	for end := time.Now().Add(20 * time.Second); ; time.Sleep(50 * time.Millisecond) {
		if b, err := os.ReadFile(path); err == nil && string(b) == lockText {
			break
		}
		if time.Now().After(end) {
			t.Fatal("no fresh lock.mdb")
		}
	}
	time.Sleep(watchInterval + watchInterval/2) // both have looked
	aside, err := filepath.Glob(path + badMark + "*")
	if err != nil || len(aside) != 1 {
		t.Errorf("put aside: %q, %v", aside, err)
	}
	select {
	case l := <-lines: // this process was the one
		if !strings.Contains(l, "lock.mdb was overwritten; put aside as lock.mdb.bad-") {
			t.Errorf("the log says %q", l)
		}
	default:
	}
	s.Put([]byte("k"), []byte("v"))
	flush(t, s)
	h.want("get k", "=v")
}

// Who does not know our lock does not get at the map beside us, nor we beside them.
func TestOtherProgramsAreKeptOut(t *testing.T) {
	dir := t.TempDir()
	s := open(t, dir, Options{})
	if out, err := runHelperProcess("lmdb", dir); err == nil {
		t.Errorf("another program has opened the map: %s", out)
	}
	s.Close()
	h := start(t, "lmdb", dir)
	h.want("", "open")
	if s, err := Open(dir, Options{}); err == nil || !strings.Contains(err.Error(), fmt.Sprintf("process %d, which is another program", h.cmd.Process.Pid)) {
		t.Errorf("beside another program: %v", err)
		if s != nil {
			s.Close()
		}
	}
	h.kill()
	open(t, dir, Options{})
}

// useLMDB does what another program does that works with LMDB.
func useLMDB(dir string) error {
	env, err := lmdb.NewEnv()
	if err != nil {
		return err
	}
	if err := env.Open(dir, 0, 0o600); err != nil {
		return err
	}
	err = env.Update(func(txn *lmdb.Txn) error {
		dbi, err := txn.OpenRoot(0)
		if err != nil {
			return err
		}
		return txn.Put(dbi, []byte("theirs"), []byte("1"), 0)
	})
	fmt.Println("open")
	if err == nil {
		time.Sleep(time.Minute) // until it is killed
	}
	return err
}
