package rundir

import (
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"kresd/internal/wording"
)

// SocketPath is where the control socket of a process lives.
func SocketPath(pid int) string { return filepath.Join(TTY, strconv.Itoa(pid)) }

// PrepareTTY makes the directory of control sockets, for its owner alone, and
// removes the sockets of dead processes. It returns how many those were.
func PrepareTTY() (removed int, err error) {
	if err := os.Mkdir(TTY, 0o700); err != nil && !errors.Is(err, fs.ErrExist) {
		return 0, ttyRefusal(err)
	}
	info, err := os.Lstat(TTY)
	if err != nil {
		return 0, ttyRefusal(err)
	}
	if !info.IsDir() {
		return 0, ttyRefusal(errors.New("it is not a directory"))
	}
	if info.Mode().Perm() != 0o700 {
		if err := os.Chmod(TTY, 0o700); err != nil {
			return 0, ttyRefusal(err)
		}
	}
	return removeStale()
}

func ttyRefusal(err error) error {
	return fmt.Errorf("directory of control sockets '%s': %w", TTY, wording.Reason(err))
}

// HandOver makes the directory of control sockets another user's, so that this
// process can open its own there once it is that user.
func HandOver(uid int) error {
	if _, err := PrepareTTY(); err != nil {
		return err
	}
	if err := os.Lchown(TTY, uid, -1); err != nil {
		return ttyRefusal(err)
	}
	return nil
}

func removeStale() (removed int, err error) {
	entries, err := os.ReadDir(TTY)
	if err != nil {
		return 0, ttyRefusal(err)
	}
	for _, e := range entries {
		if e.Type()&fs.ModeSocket != 0 && stale(e.Name()) && os.Remove(filepath.Join(TTY, e.Name())) == nil {
			removed++
		}
	}
	return removed, nil
}

// stale says whether a socket in TTY belongs to nobody. Sockets get their
// final name only after they listen (see Listen), so one that refuses has no
// process behind it, whatever process may have inherited its number. One that
// does not say either way is left alone: it may be a living group's.
func stale(name string) bool {
	if pid, ok := strings.CutPrefix(name, tempPrefix); ok {
		n, err := strconv.Atoi(pid)
		return err == nil && errors.Is(unix.Kill(n, 0), unix.ESRCH)
	}
	if _, err := strconv.Atoi(name); err != nil {
		return false
	}
	conn, err := net.DialTimeout("unix", filepath.Join(TTY, name), time.Second)
	if err == nil {
		conn.Close()
		return false
	}
	return errors.Is(err, unix.ECONNREFUSED)
}

const tempPrefix = ".new-"

// Listen opens the control socket of this process, mode 0600. Remove it with
// Forget.
func Listen(pid int) (*net.UnixListener, error) {
	temp := filepath.Join(TTY, tempPrefix+strconv.Itoa(pid))
	os.Remove(temp) // of a dead process that had our number
	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: temp, Net: "unix"})
	if err != nil {
		return nil, fmt.Errorf("control socket in '%s': %w", TTY, wording.Reason(err))
	}
	l.SetUnlinkOnClose(false) // it would unlink by the temporary name
	if err = os.Chmod(temp, 0o600); err == nil {
		err = os.Rename(temp, SocketPath(pid))
	}
	if err != nil {
		l.Close()
		os.Remove(temp)
		return nil, fmt.Errorf("control socket in '%s': %w", TTY, wording.Reason(err))
	}
	return l, nil
}

// Forget removes the control socket of a process that has ended or is about
// to.
func Forget(pid int) {
	os.Remove(SocketPath(pid))
	os.Remove(filepath.Join(TTY, tempPrefix+strconv.Itoa(pid)))
}
