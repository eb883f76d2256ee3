package supervisor

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"

	"golang.org/x/sys/unix"
)

// Self is a path under which this very program can be executed again, even
// after its file was replaced: all workers of a group run one version.
const Self = "/proc/self/exe"

// Beside finds the program name beside this one, or in PATH.
func Beside(name string) (string, error) {
	if self, err := os.Executable(); err == nil {
		path := filepath.Join(filepath.Dir(self), name)
		if unix.Access(path, unix.X_OK) == nil {
			return path, nil
		}
	}
	path, err := exec.LookPath(name)
	if err != nil {
		return "", fmt.Errorf("program '%s' is neither beside this one nor in PATH", name)
	}
	return filepath.Abs(path)
}

// OwnGroup makes this process the leader of a process group of its own, so
// that "kill -- -PID" ends this group and no other. A process that leads one
// already stays there, and so does one in the foreground of a terminal: it
// would lose the keyboard, Ctrl-C included.
func OwnGroup() error {
	pgrp := unix.Getpgrp()
	if pgrp == os.Getpid() || pgrp == foreground() {
		return nil
	}
	err := unix.Setpgid(0, 0)
	if errors.Is(err, unix.EPERM) {
		return nil // the leader of a session leads its group too
	}
	return err
}

// foreground is the process group in the foreground of the controlling
// terminal, or 0.
func foreground() int {
	tty, err := os.OpenFile("/dev/tty", os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		return 0
	}
	defer tty.Close()
	pgrp, err := unix.IoctlGetInt(int(tty.Fd()), unix.TIOCGPGRP)
	if err != nil {
		return 0
	}
	return pgrp
}
