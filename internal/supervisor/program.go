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

// A Program is what workers execute: a file as it was when it was found, whatever has
// its name by now. So all workers of a group run one version, that of their supervisor,
// also while a package is half unpacked.
type Program struct {
	name string   // the path where it was found
	file *os.File // nil: what is at name
	was  fileState
}

// This is the program that runs here.
func This() (*Program, error) { return &Program{name: self}, nil }

// path is what executes the program. A child that is about to execute it has other files
// under its own numbers, so it is found among those of this process.
func (p *Program) path() string {
	if p.file == nil {
		return p.name
	}
	return fmt.Sprintf("/proc/%d/fd/%d", os.Getpid(), p.file.Fd())
}

// replaced tells whether another file has the program's name, or none.
func (p *Program) replaced() bool {
	if p.name == self {
		return false
	}
	now, err := fileStateOf(p.name)
	return err != nil && errors.Is(err, fs.ErrNotExist) || err == nil && now != p.was
}

// close gives the file up.
func (p *Program) close() {
	if p != nil && p.file != nil {
		p.file.Close()
	}
}

// Beside finds the program name beside this one, or else in PATH, that says the
// given line when it is asked for its version: another product's program of the
// same name, or another release, does not speak with this supervisor. Its error
// names what was found instead.
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

// open opens the program at a path, if it says that version.
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

// hold keeps the file open. A script is executed by its name, since what interprets it has
// to open it again; so is any program where /proc does not lead a child to it, as in a
// process that has capabilities of its own file (PR_SET_DUMPABLE(2const)).
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

// saidVersion is the first line that a program says of its version. It gets no
// input, and is ended with what it has started when it takes too long.
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
