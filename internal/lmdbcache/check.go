package lmdbcache

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync/atomic"
	"syscall"
	"time"

	"kresd/internal/limits"

	"github.com/PowerDNS/lmdb-go/lmdb"
)

// Check walks all entries in dir and tells whether the file can be worked with.
// It goes through LMDB as a worker would, so on a file that kills it may not
// return: it is for a child process that can be thrown away (CheckMain). It takes
// at most limits.CacheCheckTime; a file too large for that counts as good as far
// as it was seen. A directory without a file is good. Other processes may use
// the file meanwhile. Nothing is stored.
func Check(dir string) error { return check(dir, func() {}) }

// check calls begun when it has the lock, so that nobody else can hold it up.
func check(dir string, begun func()) error {
	path := filepath.Join(dir, dataName)
	st, err := os.Lstat(path)
	if os.IsNotExist(err) || err == nil && st.Size() == 0 {
		return nil
	}
	if err != nil {
		return err
	}
	f, err := os.OpenFile(path, os.O_RDWR|syscall.O_NOFOLLOW, 0)
	if err != nil {
		return err
	}
	defer f.Close()
	// Nobody may write while it is walked. A lock that does not come is
	// somebody else's fault: a frozen process that holds it.
	ctx, cancel := context.WithTimeout(context.Background(), limits.CacheCheckTime/4)
	defer cancel()
	lock := fileLock{f}
	if err := lock.lock(ctx); err != nil {
		return nil
	}
	defer lock.unlock()
	begun()
	if err := checkNow(f, st.Size()); err != nil {
		return err
	}
	env, err := newEnv(dir, st.Size(), envFlags)
	if err != nil {
		return err
	}
	defer env.Close()
	return checkWrite(env)
}

func checkNow(f *os.File, size int64) error {
	m, err := readMeta(f, size)
	if err != nil {
		return err
	}
	return verifyFile(f, size, m, limits.CacheCheckTime/2)
}

// checkWrite goes through what killed workers most: a write, taken back.
func checkWrite(env *lmdb.Env) error {
	taken := errors.New("taken back")
	err := env.Update(func(txn *lmdb.Txn) error {
		dbi, err := txn.OpenRoot(0)
		if err == nil {
			err = txn.Put(dbi, []byte(ownPrefix+"check"), []byte("check"), 0)
		}
		if err != nil {
			return err
		}
		return taken
	})
	if err == taken || lmdb.IsMapFull(err) {
		return nil
	}
	return err
}

// CheckMain is the main function of the throw-away child: it returns the exit
// status, 0 for a file that can be kept.
func CheckMain(dir string) int {
	// Whatever hangs here must not keep the worker waiting that started us. A
	// hang before the walk is somebody else's; one inside it is the file's fault.
	var status atomic.Int32
	late := time.AfterFunc(limits.CacheCheckTime, func() { os.Exit(int(status.Load())) })
	defer late.Stop()
	if err := check(dir, func() { status.Store(3) }); err != nil {
		fmt.Fprintf(os.Stderr, "%s: %v\n", dir, err)
		return 1
	}
	return 0
}
