package proctest

import (
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"kresd/internal/safe"
)

// startWait is how long a group may take until all workers answer.
const startWait = time.Minute

// A Config says how to start a group.
type Config struct {
	Program string   // default kresd
	Dir     string   // run directory; default a new one
	Workers int      // -f; default 1
	Args    []string // further options
	Lua     string   // written to the file `config` of the run directory
	Env     []string // beside this process's
	Under   []string // a command that gets the program and its arguments, and becomes it
	Addr    netip.AddrPort
	Files   []*os.File // further descriptors, from 3 on
}

// Activated is c for a group that inherits sockets as a service manager passes them,
// under their names with colons between, and that listens nowhere else.
func (c Config) Activated(names string, sockets ...*os.File) Config {
	c.Files = sockets
	c.Env = append(slices.Clone(c.Env), fmt.Sprintf("LISTEN_FDS=%d", len(sockets)), "LISTEN_FDNAMES="+names)
	c.Under = append(slices.Clone(c.Under), "sh", "-c", `export LISTEN_PID=$$; exec "$0" "$@"`)
	c.Lua = strings.Replace(c.Lua, c.listens(), "", 1)
	return c
}

// A Group is a running kresd: a supervisor and its workers, or one process.
type Group struct {
	Dir  string
	Addr netip.AddrPort

	workers int
	cmd     *exec.Cmd
	log     string
	ended   chan struct{}
	status  error
}

// A Worker is one process of a group.
type Worker struct {
	ID, PID int
	Socket  string
}

// RunDir makes a run directory. (T.TempDir's paths are too long for the name of
// a UNIX socket.)
func RunDir(t testing.TB) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "kresd")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	return dir
}

// Start starts a group and returns when all its workers answer, on the console
// and to DNS queries, and know each other. The test's end stops it.
func Start(t testing.TB, c Config) *Group {
	t.Helper()
	g := Launch(t, c)
	end := time.Now().Add(startWait)
	for time.Now().Before(end) && g.Alive() {
		if g.complete() && answers(g.Addr) {
			return g
		}
		time.Sleep(20 * time.Millisecond)
	}
	t.Fatalf("kresd did not start within %v; alive %t, workers %v, log:\n%s", startWait, g.Alive(), g.Workers(), g.Log())
	return nil
}

// complete reports whether every worker reaches every other by map().
func (g *Group) complete() bool {
	workers := g.Workers()
	for _, w := range workers {
		text, err := eval(w.Socket, "map 'true'")
		if err != nil || strings.Count(text, "=> true") != g.workers {
			return false
		}
	}
	return len(workers) == g.workers
}

// Launch starts a group and returns at once.
func Launch(t testing.TB, c Config) *Group {
	t.Helper()
	if c.Dir == "" {
		c.Dir = RunDir(t)
	}
	if c.Program == "" {
		c.Program = "kresd"
	}
	c.Workers = max(c.Workers, 1)
	if c.Lua != "" {
		if err := os.WriteFile(filepath.Join(c.Dir, "config"), []byte(c.Lua), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	line := []string{Bin(c.Program), "-f", strconv.Itoa(c.Workers)}
	return Exec(t, c, append(append(line, c.Args...), c.Dir))
}

// Exec is Launch for a whole command line: of c only the surroundings count, such as
// the environment.
func Exec(t testing.TB, c Config, line []string) *Group {
	t.Helper()
	log, err := os.CreateTemp("", "kresd-log")
	if err != nil {
		t.Fatal(err)
	}
	defer log.Close()
	g := &Group{Dir: c.Dir, Addr: c.Addr, workers: c.Workers, log: log.Name(), ended: make(chan struct{})}
	line = append(slices.Clone(c.Under), line...)
	g.cmd = exec.Command(line[0], line[1:]...)
	g.cmd.Env = append(os.Environ(), c.Env...)
	g.cmd.Stdout, g.cmd.Stderr, g.cmd.ExtraFiles = log, log, c.Files
	if err := g.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	safe.Go("wait", nil, func() { g.status = g.cmd.Wait(); close(g.ended) })
	t.Cleanup(func() { g.cleanup(t) })
	return g
}

func (g *Group) cleanup(t testing.TB) {
	if _, err := g.Stop(); err != nil {
		t.Errorf("at the end of the test: %v", err)
	}
	if t.Failed() {
		t.Logf("log of %s:\n%s", g.Dir, g.Log())
	}
	os.Remove(g.log)
}

// PID is the process that the shell would know: the supervisor, or the worker
// where there is only one.
func (g *Group) PID() int { return g.cmd.Process.Pid }

// Signal sends a signal to that process.
func (g *Group) Signal(s syscall.Signal) { _ = g.cmd.Process.Signal(s) }

// Alive reports whether that process still runs.
func (g *Group) Alive() bool {
	select {
	case <-g.ended:
		return false
	default:
		return true
	}
}

// Wait waits for the end of the process and returns its exit status, -1 after a
// signal.
func (g *Group) Wait(limit time.Duration) (int, error) {
	select {
	case <-g.ended:
		return g.cmd.ProcessState.ExitCode(), nil
	case <-time.After(limit):
		return 0, fmt.Errorf("process %d did not end within %v", g.PID(), limit)
	}
}

// Stop ends the group by SIGTERM and returns its exit status. A group that does not end is
// killed, which is an error.
func (g *Group) Stop() (int, error) {
	g.Signal(syscall.SIGTERM)
	g.Signal(syscall.SIGCONT)
	status, err := g.Wait(30 * time.Second)
	if err != nil {
		workers := g.Children()
		g.Signal(syscall.SIGKILL)
		for _, pid := range workers {
			_ = syscall.Kill(pid, syscall.SIGKILL)
		}
		<-g.ended
	}
	return status, err
}

// Log returns what the group wrote so far, standard output and error together.
func (g *Group) Log() string {
	text, _ := os.ReadFile(g.log)
	return string(text)
}

// Workers returns the workers that answer on their control sockets, by id. Of
// several groups in one run directory it returns this one's.
func (g *Group) Workers() []Worker {
	paths, _ := filepath.Glob(filepath.Join(g.Dir, "tty", "*"))
	var out []Worker
	for _, path := range paths {
		pid, err := strconv.Atoi(filepath.Base(path))
		if err != nil || (pid != g.PID() && parentOf(pid) != g.PID()) {
			continue
		}
		text, err := eval(path, "worker.id")
		id, bad := strconv.Atoi(text)
		if err == nil && bad == nil {
			out = append(out, Worker{ID: id, PID: pid, Socket: path})
		}
	}
	slices.SortFunc(out, func(a, b Worker) int { return a.ID - b.ID })
	return out
}

// Worker returns the worker with that id; it fails the test when there is none.
func (g *Group) Worker(t testing.TB, id int) Worker {
	t.Helper()
	for _, w := range g.Workers() {
		if w.ID == id {
			return w
		}
	}
	t.Fatalf("no worker %d among %v; log:\n%s", id, g.Workers(), g.Log())
	return Worker{}
}

// Eval runs a command on worker 0.
func (g *Group) Eval(t testing.TB, command string) string {
	t.Helper()
	return Eval(t, g.Worker(t, 0).Socket, command)
}

// Children returns the processes that this group's supervisor has.
func (g *Group) Children() []int {
	dirs, _ := filepath.Glob("/proc/[0-9]*")
	var out []int
	for _, dir := range dirs {
		if pid, err := strconv.Atoi(filepath.Base(dir)); err == nil && parentOf(pid) == g.PID() {
			out = append(out, pid)
		}
	}
	return out
}

// parentOf returns the parent of a process, 0 when it is gone.
func parentOf(pid int) int {
	f := stat(pid)
	if len(f) < 2 {
		return 0
	}
	parent, _ := strconv.Atoi(f[1])
	return parent
}

// stat returns the fields of /proc/PID/stat after the command: state, parent,
// process group and so on.
func stat(pid int) []string {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return nil
	}
	_, rest, _ := strings.Cut(string(text), ") ")
	return strings.Fields(rest)
}

// ProcessGroup returns the process group of a process, 0 when it is gone.
func ProcessGroup(pid int) int {
	f := stat(pid)
	if len(f) < 3 {
		return 0
	}
	pgrp, _ := strconv.Atoi(f[2])
	return pgrp
}

// Running reports whether the process exists and is no zombie.
func Running(pid int) bool {
	f := stat(pid)
	return len(f) > 0 && f[0] != "Z"
}

// Zombies returns the dead children that the supervisor did not wait for.
func (g *Group) Zombies() []int {
	return slices.DeleteFunc(g.Children(), Running)
}

// Eventually waits until cond holds, and fails the test when that takes longer
// than limit.
func Eventually(t testing.TB, limit time.Duration, what string, cond func() bool) {
	t.Helper()
	for end := time.Now().Add(limit); time.Now().Before(end); time.Sleep(10 * time.Millisecond) {
		if cond() {
			return
		}
	}
	t.Fatalf("after %v still not: %s", limit, what)
}
