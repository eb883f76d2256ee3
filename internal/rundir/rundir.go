// Package rundir enters the run directory and keeps its control sockets in
// order.
//
// The directory is where the cache, the control sockets and the configuration
// live, and whoever can write there can change what the resolver answers. So
// a directory that is a symbolic link or that everybody may write to is
// refused, one that belongs to somebody else is reported, and whatever is made
// later is made for the owner alone (umask 0077).
//
// Nothing here creates a run directory: a mistyped name should be an error,
// not a new empty cache.
package rundir

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"

	"golang.org/x/sys/unix"

	"kresd/internal/wording"
)

// TTY is the directory of control sockets, below the run directory. Paths stay
// relative to the working directory: a UNIX socket's path must be short.
const TTY = "tty"

// Enter makes dir the working directory and sets the umask. Its error is one
// line that names the directory and the system's reason; warnings are for the
// log.
func Enter(dir string) (warnings []string, err error) {
	dir = filepath.Clean(dir) // "link/" would be followed by lstat
	if err := notLink(dir); err != nil {
		return nil, err
	}
	// Checked and entered through one descriptor, so that nobody can swap the
	// directory between the two.
	fd, err := unix.Open(dir, unix.O_PATH|unix.O_DIRECTORY|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, refusal(dir, err)
	}
	defer unix.Close(fd)
	if warnings, err = check(dir, fd); err != nil {
		return nil, err
	}
	if err := unix.Faccessat(fd, ".", unix.W_OK|unix.X_OK, 0); err != nil {
		return nil, fmt.Errorf("run directory '%s' is not writable: %w", dir, err)
	}
	if err := unix.Fchdir(fd); err != nil {
		return nil, refusal(dir, err)
	}
	unix.Umask(0o077)
	return warnings, nil
}

// Prepare is all that is done in a run directory before a worker starts: enter
// it, see that the configuration files can be read, and make the place of the
// control sockets. Warnings are for the log.
func Prepare(dir string, configs []string) (warnings []string, err error) {
	if warnings, err = Enter(dir); err != nil {
		return nil, err
	}
	for _, path := range configs {
		if err := Readable(path); err != nil {
			return nil, err
		}
	}
	removed, err := PrepareTTY()
	if err != nil {
		return nil, err
	}
	if removed > 0 {
		warnings = append(warnings, fmt.Sprintf("removed the control sockets of dead processes: %d", removed))
	}
	return warnings, nil
}

func refusal(dir string, err error) error {
	return fmt.Errorf("run directory '%s': %w", dir, wording.Reason(err))
}

func notLink(dir string) error {
	info, err := os.Lstat(dir)
	if err != nil {
		return refusal(dir, err)
	}
	if info.Mode()&fs.ModeSymlink != 0 {
		return refusal(dir, errors.New("it is a symbolic link; name the directory itself"))
	}
	return nil
}

func check(dir string, fd int) (warnings []string, err error) {
	var st unix.Stat_t
	if err := unix.Fstat(fd, &st); err != nil {
		return nil, refusal(dir, err)
	}
	if st.Mode&0o002 != 0 {
		return nil, refusal(dir, fmt.Errorf("everybody may write to it (mode %04o); use a directory of its own", st.Mode&0o7777))
	}
	if os.Geteuid() != 0 { // root may be about to become the owner, see OwnerWarning
		warnings = ownerWarning("run", dir, int(st.Uid))
	}
	return warnings, nil
}

// OwnerWarning says that the working directory belongs to somebody else than this
// process, which matters once the process has become the user that it stays.
func OwnerWarning() []string {
	dir, _ := os.Getwd()
	return foreign("run", dir)
}

// CacheOwnerWarning is OwnerWarning for the directory of a cache, unless that is the
// working directory.
func CacheOwnerWarning(dir string) []string {
	here, err := os.Stat(".")
	if there, err2 := os.Stat(dir); err != nil || err2 != nil || os.SameFile(here, there) {
		return nil
	}
	return foreign("cache", dir)
}

func foreign(what, dir string) []string {
	var st unix.Stat_t
	if unix.Stat(dir, &st) != nil {
		return nil
	}
	return ownerWarning(what, dir, int(st.Uid))
}

func ownerWarning(what, dir string, owner int) []string {
	uid := os.Geteuid()
	if owner == uid {
		return nil
	}
	return []string{fmt.Sprintf("%s directory '%s' belongs to user %d, not to %d who runs this process", what, dir, owner, uid)}
}

// UsableBy says why a user who is about to take over could not live in the
// working directory: that user has to enter it and to write there.
func UsableBy(uid int, gids []int) error {
	var st unix.Stat_t
	if err := unix.Stat(".", &st); err != nil {
		return fmt.Errorf("run directory: %w", err)
	}
	bits := st.Mode & 0o7
	switch {
	case uid == 0:
		return nil
	case int(st.Uid) == uid:
		bits = st.Mode >> 6 & 0o7
	case slices.Contains(gids, int(st.Gid)):
		bits = st.Mode >> 3 & 0o7
	}
	if bits&0o3 != 0o3 {
		dir, _ := os.Getwd()
		return fmt.Errorf("run directory '%s' is not writable for user %d: chown it first", dir, uid)
	}
	return nil
}

// Readable says, in one line, why a configuration file cannot be read.
func Readable(path string) error {
	f, err := os.Open(path)
	if err == nil {
		var info fs.FileInfo
		if info, err = f.Stat(); err == nil && info.IsDir() {
			err = unix.EISDIR
		}
		f.Close()
	}
	if err != nil {
		return fmt.Errorf("config '%s' cannot be read: %w", path, wording.Reason(err))
	}
	return nil
}
