package trustanchor

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"kresd/internal/limits"
	"kresd/internal/wording"
)

// A Lock is the right to write a key file. All who use the file, workers of several
// groups among them, agree on one holder by a file beside it, PATH.lock, on which
// the holder has an advisory lock: the system releases it when the holder ends in
// whatever way. The holder alone removes that file, so that nobody can hold a lock
// on a file of that name that is not the one that others see.
type Lock struct {
	path string // of the key file, behind symbolic links
	file *os.File
}

// ErrLocked says that somebody else keeps the key file up to date.
var ErrLocked = errors.New("somebody else keeps the file up to date")

// behind is where a file lies that symbolic links lead to: it is that file which is
// replaced, and not the link.
func behind(path string) string {
	if real, err := filepath.EvalSymlinks(path); err == nil {
		return real
	}
	return path
}

// TryLock takes the right to write a key file, or fails with ErrLocked. It fails
// with another error where no file can be made beside it.
func TryLock(path string) (*Lock, error) {
	l := &Lock{path: behind(path)}
	name, began := l.path+".lock", time.Now()
	for {
		f, err := openLock(name)
		if errors.Is(err, os.ErrPermission) && exists(name) && time.Since(began) < limits.AnchorLockMade {
			time.Sleep(time.Millisecond) // who makes it has not opened it to others yet
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("the directory %s cannot be written to (%w); a file that is managed by hand is read-only: add_file(path, true)",
				filepath.Dir(l.path), wording.Reason(err))
		}
		if err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
			f.Close()
			if errors.Is(err, unix.EWOULDBLOCK) {
				return nil, ErrLocked
			}
			return nil, fmt.Errorf("%s: %w", name, wording.Reason(err))
		}
		if same(f, name) {
			l.file = f
			return l, nil
		}
		f.Close() // the former holder removed it meanwhile
	}
}

// openLock opens the file of a lock, or makes it. All who may replace the key file may
// open it, whatever the umask says: those who may write to its directory. Others, who
// could only keep the lock from them, may not.
func openLock(name string) (*os.File, error) {
	f, err := os.OpenFile(name, os.O_CREATE|os.O_EXCL|os.O_RDWR, 0o600)
	if errors.Is(err, os.ErrExist) {
		return os.OpenFile(name, os.O_CREATE|os.O_RDWR, 0o600) // its holder may remove it meanwhile
	}
	if err != nil {
		return nil, err
	}
	if dir, err := os.Stat(filepath.Dir(name)); err == nil {
		writers := dir.Mode().Perm() & 0o022
		_ = adopt(f, dir, 0o600|writers|writers<<1) // failing that, its maker has it alone
	}
	return f, nil
}

func exists(name string) bool {
	_, err := os.Stat(name)
	return err == nil
}

// adopt gives a file the group of another one, and a mode. Where the process may not
// give that group away, the one that the file has may do no more than everybody.
func adopt(f *os.File, like os.FileInfo, mode os.FileMode) error {
	owner, ok := like.Sys().(*syscall.Stat_t)
	if !ok || f.Chown(-1, int(owner.Gid)) != nil {
		mode = mode&^0o070 | mode&0o007<<3
	}
	return f.Chmod(mode)
}

// same tells whether a name still stands for an open file.
func same(f *os.File, name string) bool {
	mine, err := f.Stat()
	if err != nil {
		return false
	}
	theirs, err := os.Stat(name)
	return err == nil && os.SameFile(mine, theirs)
}

// Held tells whether the right is still there: it is not when somebody removed the
// file of the lock, since then another one may have it.
func (l *Lock) Held() bool { return same(l.file, l.file.Name()) }

// Release gives the right up.
func (l *Lock) Release() error {
	var err error
	if l.Held() {
		err = wording.Reason(os.Remove(l.file.Name()))
	}
	return errors.Join(err, l.file.Close())
}

// Write replaces the file's text by that of a set. Whoever reads the file, or starts
// after this process was killed at any instruction, sees the old text or the new
// one.
func (l *Lock) Write(k *KeySet) error {
	l.sweep()
	temporary := fmt.Sprintf("%s.%d", l.file.Name(), os.Getpid())
	if err := l.replace(temporary, k.text()); err != nil {
		return errors.Join(fmt.Errorf("%s: %w", l.path, wording.Reason(err)), ignoreAbsent(os.Remove(temporary)))
	}
	return nil
}

func (l *Lock) replace(temporary, text string) error {
	like, mode := l.path, os.FileMode(0o644) // keys are public
	old, err := os.Stat(like)
	if err == nil {
		mode = old.Mode().Perm()
	} else if old, err = os.Stat(filepath.Dir(like)); err != nil {
		return err
	}
	f, err := os.OpenFile(temporary, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	_, err = f.WriteString(text)
	err = errors.Join(err, adopt(f, old, mode), f.Sync(), f.Close())
	if err != nil {
		return err
	}
	if err := os.Rename(temporary, l.path); err != nil {
		return err
	}
	return syncDir(filepath.Dir(l.path))
}

// syncDir has the names in a directory reach the disk.
func syncDir(path string) error {
	d, err := os.Open(path)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

// sweep removes what writers left that were killed: there is one writer at a time.
func (l *Lock) sweep() {
	dir, base := filepath.Split(l.file.Name())
	if dir == "" {
		dir = "."
	}
	entries, _ := os.ReadDir(dir) // what cannot be seen is left
	for _, e := range entries {
		if strings.HasPrefix(e.Name(), base+".") {
			_ = os.Remove(filepath.Join(dir, e.Name()))
		}
	}
}

func ignoreAbsent(err error) error {
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	return err
}
