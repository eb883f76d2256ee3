package supervisor

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// Self is a path under which this very program can be executed again, even
// after its file was replaced: all workers of a group run one version.
const Self = "/proc/self/exe"

// versionTime is how long a program may take to say its version.
const versionTime = 5 * time.Second

// Beside finds the program name beside this one, or else in PATH, that says the
// given line when it is asked for its version: another product's program of the
// same name, or another release, does not speak with this supervisor. Its error
// names what was found instead.
func Beside(name, version string) (string, error) {
	var others []string
	for _, path := range candidates(name) {
		said := saidVersion(path)
		if said == version {
			return path, nil
		}
		others = append(others, fmt.Sprintf("'%s' says %s", path, said))
	}
	if len(others) == 0 {
		return "", fmt.Errorf("program '%s' is neither beside this one nor in PATH", name)
	}
	return "", fmt.Errorf("no program '%s' of this version (%s) is beside this one or in PATH: %s", name, version, strings.Join(others, ", "))
}

// candidates are the programs of a name beside this one and in PATH.
func candidates(name string) (paths []string) {
	var dirs []string
	if self, err := os.Executable(); err == nil {
		dirs = append(dirs, filepath.Dir(self))
	}
	for _, dir := range append(dirs, filepath.SplitList(os.Getenv("PATH"))...) {
		path, err := filepath.Abs(filepath.Join(dir, name))
		info, statErr := os.Stat(path)
		if err == nil && statErr == nil && info.Mode().IsRegular() && unix.Access(path, unix.X_OK) == nil && !slices.Contains(paths, path) {
			paths = append(paths, path)
		}
	}
	return paths
}

// saidVersion is the first line that a program says of its version. It gets no
// input, and is ended with what it has started when it takes too long.
func saidVersion(path string) string {
	ctx, cancel := context.WithTimeout(context.Background(), versionTime)
	defer cancel()
	cmd := exec.CommandContext(ctx, path, "--version")
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
	cmd.WaitDelay = time.Second
	out, err := cmd.Output()
	line, _, _ := strings.Cut(string(out), "\n")
	switch {
	case ctx.Err() != nil:
		return fmt.Sprintf("nothing within %v", versionTime)
	case err != nil && line == "":
		return fmt.Sprintf("nothing (%v)", err)
	}
	return strings.TrimSpace(line[:min(len(line), 80)])
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
