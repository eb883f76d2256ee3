package kresc

import (
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"os/user"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"

	"kresd/internal/limits"
	"kresd/internal/wording"
)

// socketDirs are where below a run directory control sockets are.
var socketDirs = []string{"tty", "control"}

// find lists the control sockets of a place: that of a socket is the place itself, that
// of a run directory are in tty/, and a directory may also have run directories in it, or
// control sockets themselves. Other sockets in a run directory are none: kresd passes
// packets by QUIC on by some (rundir/quic), and may listen for DNS by others.
func find(place string) (paths []string, err error) {
	info, err := os.Stat(place)
	if err != nil {
		return nil, inaccessible(place, err)
	}
	if info.Mode()&fs.ModeSocket != 0 {
		return []string{place}, nil
	}
	if !info.IsDir() {
		return nil, fmt.Errorf("'%s' is neither a run directory nor a control socket", place)
	}
	dirs, err := directoriesBelow(place)
	if err != nil {
		return nil, inaccessible(place, err)
	}
	paths, denied := socketsOf(place, true)
	direct := !isRunDirectory(place)
	for _, dir := range dirs {
		found, err := socketsOf(dir, direct)
		if err != nil {
			denied = err
		}
		paths = append(paths, found...)
	}
	slices.Sort(paths)
	switch {
	case len(paths) > 0:
		return paths, nil
	case denied != nil:
		return nil, denied
	}
	return nil, fmt.Errorf("'%s' has no control socket: no kresd runs there, or one whose console is its own terminal", place)
}

// directoriesBelow may be run directories. A run directory that cannot be listed may be
// entered nevertheless.
func directoriesBelow(place string) (dirs []string, err error) {
	entries, err := os.ReadDir(place)
	if errors.Is(err, fs.ErrPermission) && unix.Access(place, unix.X_OK) == nil {
		return nil, nil
	}
	for _, e := range entries {
		if e.IsDir() {
			dirs = append(dirs, filepath.Join(place, e.Name()))
		}
	}
	return dirs, err
}

// isRunDirectory tells whether dir has a directory of control sockets, though maybe none in it.
func isRunDirectory(dir string) bool {
	return slices.ContainsFunc(socketDirs, func(name string) bool {
		info, err := os.Stat(filepath.Join(dir, name))
		return err == nil && info.IsDir()
	})
}

// socketsOf lists the sockets of a run directory, or those directly in dir if it is none and
// they are asked for.
func socketsOf(dir string, direct bool) (paths []string, denied error) {
	var places []string
	if direct && !isRunDirectory(dir) {
		places = append(places, dir)
	}
	for _, name := range socketDirs {
		places = append(places, filepath.Join(dir, name))
	}
	for _, place := range places {
		entries, err := os.ReadDir(place)
		if errors.Is(err, fs.ErrPermission) && place != dir {
			denied = inaccessible(place, err)
		}
		for _, e := range entries {
			if e.Type()&fs.ModeSocket != 0 && !strings.HasPrefix(e.Name(), ".") {
				paths = append(paths, filepath.Join(place, e.Name()))
			}
		}
	}
	return paths, denied
}

// inaccessible is an error with a remedy.
func inaccessible(path string, err error) error {
	reason := wording.Reason(err)
	if !errors.Is(err, fs.ErrPermission) {
		return fmt.Errorf("'%s': %w", path, reason)
	}
	return fmt.Errorf("'%s': %w%s", path, reason, remedy(path))
}

// remedy says who may: whom the nearest directory belongs to that this user can look at.
func remedy(path string) string {
	for dir := path; ; dir = filepath.Dir(dir) {
		var st unix.Stat_t
		if unix.Stat(dir, &st) == nil && int(st.Uid) != os.Geteuid() {
			name := fmt.Sprintf("user %d", st.Uid)
			if u, err := user.LookupId(strconv.Itoa(int(st.Uid))); err == nil {
				name = u.Username
			}
			return fmt.Sprintf("; '%s' belongs to %s: run %s as that user or as root", dir, name, program)
		}
		if dir == filepath.Dir(dir) {
			return ""
		}
	}
}

// dial connects to a socket, whose path may be longer than the 107 octets that an address
// of a UNIX socket has room for: those are reached through a descriptor of their directory.
func dial(path string) (net.Conn, error) {
	if len(path) < len(syscall.RawSockaddrUnix{}.Path) {
		return net.DialTimeout("unix", path, limits.ClientDial)
	}
	fd, err := unix.Open(filepath.Dir(path), unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, err
	}
	defer unix.Close(fd)
	return net.DialTimeout("unix", fmt.Sprintf("/proc/self/fd/%d/%s", fd, filepath.Base(path)), limits.ClientDial)
}
