package lmdbcache

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"

	"golang.org/x/sys/unix"
)

// Other programs that work with LMDB know nothing of our lock. They have one of
// their own in lock.mdb, and a record lock on its first octet while they use it.
// To them a lock.mdb that somebody uses and that does not look like LMDB's is an
// error, so this keeps them out. We read nothing in it.

const lockText = "kresd has data.mdb in use. Nothing reads this file; it keeps other programs from writing to data.mdb meanwhile.\n"

// ofdOwner is what the kernel names as the holder of a lock of the kind that is used here.
const ofdOwner = -1

// keepOthersOut takes that record lock, until the file that is returned is closed,
// and fails when another program holds it.
func keepOthersOut(dir string) (*os.File, error) {
	f, err := os.OpenFile(filepath.Join(dir, lockName), os.O_RDWR|os.O_CREATE|syscall.O_NOFOLLOW, 0o600)
	if err != nil {
		return nil, err
	}
	l := fileLock{f}
	pid, held, err := l.holder(inUseOctet)
	if err == nil && held && pid != ofdOwner {
		err = fmt.Errorf("process %d, which is another program or another version of this one, has it in use", pid)
	}
	if err == nil && !held {
		// On a full disk it stays empty, which LMDB does not take either.
		if err = f.Truncate(0); err == nil {
			_, _ = f.WriteAt([]byte(lockText), 0)
		}
	}
	if err == nil {
		err = l.set(unix.F_RDLCK, inUseOctet)
	}
	if err != nil {
		f.Close()
		return nil, err
	}
	return f, nil
}

// keepOthersOut takes that lock again where lock.mdb is not the file that is locked, or
// not what it was: what it is instead might pass for LMDB's, so it is put aside for a
// fresh one.
func (s *Store) keepOthersOut() {
	path := filepath.Join(s.dir, lockName)
	if s.isOwn(path) && (isGuard(path) || mayNotRead(path)) {
		return
	}
	leave, err := openGate(s.dir, gateTime)
	if err != nil {
		return // the directory is gone, which the next look at data.mdb finds
	}
	defer leave()
	if _, err := os.Lstat(path); err == nil && !isGuard(path) { // no sibling was faster
		aside := path + badSuffix(s.opts.Clock.Now())
		if os.Rename(path, aside) != nil {
			return
		}
		dropOldBad(s.dir)
		s.opts.Warn(fmt.Sprintf("cache in %s: %s was overwritten; put aside as %s. The cache goes on, nothing in that file is used", s.dir, lockName, filepath.Base(aside)))
	}
	if own, err := keepOthersOut(s.dir); err == nil {
		s.own.Close()
		s.own = own
	}
}

// isGuard tells whether a file is what keepOthersOut makes of lock.mdb: on a full disk,
// empty.
func isGuard(path string) bool {
	f, err := openItself(path)
	if err != nil {
		return false
	}
	defer f.Close()
	var text [len(lockText) + 1]byte
	n, err := io.ReadFull(f, text[:])
	return err == io.EOF || err == io.ErrUnexpectedEOF && string(text[:n]) == lockText
}

// mayNotRead tells whether a process that has become another user may not read a file any
// more, so that it cannot judge it.
func mayNotRead(path string) bool {
	f, err := openItself(path)
	if err == nil {
		f.Close()
	}
	return errors.Is(err, fs.ErrPermission)
}

// openItself opens a file to be read, but nothing that it points to, and waits for nobody.
func openItself(path string) (*os.File, error) {
	return os.OpenFile(path, os.O_RDONLY|syscall.O_NOFOLLOW|syscall.O_NONBLOCK, 0)
}

// isOwn tells whether path is the file that is locked.
func (s *Store) isOwn(path string) bool {
	now, _ := os.Lstat(path) // nil, which is no file's, where there is none
	was, _ := s.own.Stat()
	return os.SameFile(now, was)
}
