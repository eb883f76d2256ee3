package lmdbcache

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

const (
	dataName = "data.mdb"
	lockName = "lock.mdb"
	badMark  = ".bad-"
	keepBad  = 2 // quarantined files that are kept for whoever wants to look
)

// prepareDir makes the directory if need be and refuses one that others could
// play with: a symbolic link, or one that everybody may write to. The directory above is
// there already: where it is not, the path is mistyped.
func prepareDir(dir string) error {
	if _, err := os.Stat(filepath.Dir(filepath.Clean(dir))); errors.Is(err, fs.ErrNotExist) {
		return &fs.PathError{Op: "open", Path: dir, Err: NoParent(dir)}
	}
	if err := os.Mkdir(dir, 0o700); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	st, err := os.Lstat(dir)
	if err != nil {
		return err
	}
	switch {
	case st.Mode()&fs.ModeSymlink != 0:
		return &fs.PathError{Op: "open", Path: dir, Err: errors.New("the directory is a symbolic link")}
	case !st.IsDir():
		return &fs.PathError{Op: "open", Path: dir, Err: errors.New("it is not a directory")}
	case st.Mode().Perm()&0o002 != 0:
		return &fs.PathError{Op: "open", Path: dir, Err: errors.New("everybody may write to the directory")}
	}
	return plainFiles(dir)
}

// NoParent is the error about a directory that cannot be made where there is none.
func NoParent(dir string) error {
	return fmt.Errorf("the directory '%s' does not exist, in which it would be made", filepath.Dir(filepath.Clean(dir)))
}

// plainFiles refuses names that are taken by anything but a regular file, or by one
// that everybody may write to, and so tell the resolver what the answers are.
// The directory is ours alone, so nobody can change that between this look and
// LMDB's opening them by name.
func plainFiles(dir string) error {
	for _, name := range []string{dataName, lockName} {
		st, err := os.Lstat(filepath.Join(dir, name))
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return err
		}
		if !st.Mode().IsRegular() {
			return &fs.PathError{Op: "open", Path: dir, Err: fmt.Errorf("%s is not a regular file", name)}
		}
		if st.Mode().Perm()&0o002 != 0 {
			return &fs.PathError{Op: "open", Path: dir, Err: fmt.Errorf("everybody may write to %s; remove it, or chmod 600 if you trust what is in it", name)}
		}
	}
	return nil
}

// openGate makes the processes that open one directory go one after the other,
// so that none puts a file aside while another starts to use it. The lock is on
// the directory and dies with its process. One that is frozen inside the gate
// must not keep others from serving, so the wait has an end.
func openGate(dir string, wait time.Duration) (leave func(), err error) {
	d, err := os.OpenFile(dir, os.O_RDONLY|syscall.O_DIRECTORY|syscall.O_NOFOLLOW, 0)
	if err != nil {
		return nil, err
	}
	for deadline := time.Now().Add(wait); ; time.Sleep(5 * time.Millisecond) {
		err = syscall.Flock(int(d.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
		if err == nil || err != syscall.EWOULDBLOCK && err != syscall.EINTR || time.Now().After(deadline) {
			break
		}
	}
	return func() { d.Close() }, nil
}

// openHere tells whether this process has the file open already. Two Stores of one
// process on one file would each have half of the queue, and a map that was not
// closed is in memory for ever.
func openHere(path string) bool {
	want, _ := os.Stat(path) // nil, which is no file's, where there is none
	fds, _ := os.ReadDir("/proc/self/fd")
	for _, fd := range fds {
		if st, _ := os.Stat("/proc/self/fd/" + fd.Name()); os.SameFile(st, want) {
			return true
		}
	}
	return false
}

// othersUse tells whether any process has the data file open.
func (s *Store) othersUse() bool {
	f, err := os.OpenFile(filepath.Join(s.dir, dataName), os.O_RDWR|syscall.O_NOFOLLOW, 0)
	if err != nil {
		return false
	}
	defer f.Close()
	_, held, err := fileLock{f}.holder(inUseOctet)
	return err == nil && held
}

// Quarantine renames the data and the lock file of dir away, so that the next
// Open starts with new ones, and returns the data file's new name, "" when
// there was none. Processes that have the old files open notice it within a
// second (Options.OnLost).
func Quarantine(dir string, now time.Time) (string, error) {
	leave, err := openGate(dir, gateTime)
	if err != nil {
		return "", err
	}
	defer leave()
	return quarantine(dir, now)
}

func quarantine(dir string, now time.Time) (string, error) {
	suffix := badSuffix(now)
	moved := ""
	for _, name := range []string{lockName, dataName} {
		to := filepath.Join(dir, name+suffix)
		err := os.Rename(filepath.Join(dir, name), to)
		switch {
		case errors.Is(err, fs.ErrNotExist):
		case err != nil:
			return "", err
		case name == dataName:
			moved = to
		}
	}
	dropOldBad(dir)
	return moved, nil
}

// badSuffix is what the name of a file gets that is put aside.
func badSuffix(now time.Time) string { return fmt.Sprintf("%s%d", badMark, now.Unix()) }

// PutAsideSince tells whether a file of dir was put aside at t or later.
func PutAsideSince(dir string, t time.Time) bool {
	entries, _ := os.ReadDir(dir)
	for _, e := range entries {
		digits, ok := strings.CutPrefix(e.Name(), dataName+badMark)
		if at, err := strconv.ParseInt(digits, 10, 64); ok && err == nil && at >= t.Unix() {
			return true
		}
	}
	return false
}

// dropOldBad removes all but the newest quarantined files. Their names sort by
// time.
func dropOldBad(dir string) {
	entries, _ := os.ReadDir(dir)
	for _, base := range []string{dataName, lockName} {
		var bad []string
		for _, e := range entries {
			if strings.HasPrefix(e.Name(), base+badMark) {
				bad = append(bad, e.Name())
			}
		}
		for len(bad) > keepBad {
			os.Remove(filepath.Join(dir, bad[0]))
			bad = bad[1:]
		}
	}
}

// Files are the names of the files that a cache has in its directory.
func Files() []string { return []string{dataName, lockName} }
