package supervisor

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"kresd/internal/limits"
)

// self is a path under which this very program can be executed again, even
// after its file was replaced.
const self = "/proc/self/exe"

// A Program is what workers execute: the file that was found, also after another one has
// got its name. So all workers of a group run one version, that of their supervisor, even
// while a package is half unpacked.
type Program struct {
	name string    // the path where it was found
	file *os.File  // the file, open; nil: whatever is at name is executed
	was  fileState // of the file when it was found
}

// This returns the program that the calling process runs.
func This() (*Program, error) { return &Program{name: self}, nil }

// path is the path by which a child executes the program. It names the descriptor of this
// process: in the child the number may be that of another file.
func (p *Program) path() string {
	if p.file == nil {
		return p.name
	}
	return fmt.Sprintf("/proc/%d/fd/%d", os.Getpid(), p.file.Fd())
}

// replaced tells whether the program's name is that of another file now, or of none.
func (p *Program) replaced() bool {
	if p.name == self {
		return false
	}
	now, err := fileStateOf(p.name)
	return err != nil && errors.Is(err, fs.ErrNotExist) || err == nil && now != p.was
}

// close closes the file.
func (p *Program) close() {
	if p != nil && p.file != nil {
		p.file.Close()
	}
}

// Beside finds the program of a name in the directory of this one, or else in PATH, that
// says the line version when it is asked for it: another product's program of the same
// name, or another release, does not speak with this supervisor. The error names what was
// found instead.
func Beside(name, version string) (*Program, error) {
	var others []string
	for _, path := range candidates(name) {
		p, said := open(path, version)
		if p != nil {
			return p, nil
		}
		others = append(others, fmt.Sprintf("'%s' says %s", path, said))
	}
	if len(others) == 0 {
		return nil, fmt.Errorf("program '%s' is neither beside this one nor in PATH", name)
	}
	return nil, fmt.Errorf("no program '%s' of this version (%s) is beside this one or in PATH: %s", name, version, strings.Join(others, ", "))
}

// open opens the program at a path, if that says the given version; otherwise said is what
// it says.
func open(path, version string) (p *Program, said string) {
	p = &Program{name: path}
	p.was, _ = fileStateOf(path)
	p.hold()
	if said = saidVersion(p.path()); said == version {
		return p, version
	}
	p.close()
	return nil, said
}

// hold keeps the program's file open, so that it is executed whatever has its name. Two
// kinds are executed by name all the same: scripts, whose interpreter has to open them
// again, and any program of a process whose /proc entries a child may not use, as one that
// got capabilities from its own file (PR_SET_DUMPABLE(2const)).
func (p *Program) hold() {
	if dumpable, err := unix.PrctlRetInt(unix.PR_GET_DUMPABLE, 0, 0, 0, 0); err != nil || dumpable != 1 {
		return
	}
	file, err := os.Open(p.name)
	if err != nil {
		return
	}
	var begin [2]byte
	_, err = io.ReadFull(file, begin[:])
	p.file = file
	if _, bad := os.Stat(p.path()); err != nil || bad != nil || string(begin[:]) == "#!" {
		file.Close()
		p.file = nil
	}
}

// candidates are the programs of a name beside this one and in PATH.
func candidates(name string) (paths []string) {
	var dirs []string
	if own, err := os.Executable(); err == nil {
		dirs = append(dirs, filepath.Dir(own))
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

// saidVersion is the first line that a program prints for --version. The program gets no
// input; if it takes too long, it is ended with all that it has started.
func saidVersion(path string) string {
	ctx, cancel := context.WithTimeout(context.Background(), limits.VersionTime)
	defer cancel()
	cmd := exec.CommandContext(ctx, path, "--version")
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
	cmd.WaitDelay = time.Second
	out, err := cmd.Output()
	line, _, _ := strings.Cut(string(out), "\n")
	switch {
	case ctx.Err() != nil:
		return fmt.Sprintf("nothing within %v", limits.VersionTime)
	case err != nil && line == "":
		return fmt.Sprintf("nothing (%v)", err)
	}
	return strings.TrimSpace(line[:min(len(line), 80)])
}
