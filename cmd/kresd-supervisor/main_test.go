package main

import (
	"bufio"
	"bytes"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"strings"
	"syscall"
	"testing"
	"time"

	"kresd/internal/ipc"
	"kresd/internal/rundir"
)

// The test binary is also the program, and, found in PATH as "kresd", the
// worker that the program executes.
const roleEnv = "KRESD_SUPERVISOR_TEST"

func TestMain(m *testing.M) {
	switch {
	case os.Getenv(ipc.EnvWorker) != "":
		playWorker()
	case os.Getenv(roleEnv) != "":
		main()
	default:
		os.Exit(m.Run())
	}
}

func playWorker() {
	link, err := ipc.FromEnv()
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Printf("worker %d/%d args %q notify %q\n", link.ID(), link.Count(), os.Args, os.Getenv("NOTIFY_SOCKET"))
	l, err := rundir.Listen(os.Getpid())
	if err != nil {
		link.Fatal(err.Error())
		return
	}
	defer rundir.Forget(os.Getpid())
	defer l.Close()
	link.Ready()
	fmt.Printf("ready %d %d\n", link.ID(), os.Getpid())
	select {
	case <-link.Drain():
	case <-link.Closed():
	}
}

// A group is a running program whose output is read line by line.
type group struct {
	t     *testing.T
	cmd   *exec.Cmd
	lines *bufio.Scanner
}

func startGroup(t *testing.T, dir string, count int, before ...string) *group {
	t.Helper()
	g := &group{t: t, cmd: command(t, true, "-f", fmt.Sprint(count), dir)}
	for _, dir := range before { // in PATH
		last := g.cmd.Env[len(g.cmd.Env)-1]
		g.cmd.Env = append(g.cmd.Env, "PATH="+dir+":"+strings.TrimPrefix(last, "PATH="))
	}
	out, err := g.cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	g.lines = bufio.NewScanner(out)
	if err := g.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = g.cmd.Process.Kill(); _ = g.cmd.Wait() }) // its workers end with it
	return g
}

// ready waits until n workers more have said that they are, and returns their
// numbers as processes by their numbers as workers.
func (g *group) ready(n int) map[int]int {
	g.t.Helper()
	pids := map[int]int{}
	for len(pids) < n {
		if !g.lines.Scan() {
			g.t.Fatalf("the group ended: %v", g.lines.Err())
		}
		var id, pid int
		if c, _ := fmt.Sscanf(g.lines.Text(), "ready %d %d", &id, &pid); c == 2 {
			pids[id] = pid
		}
	}
	return pids
}

// end waits until all processes of the group are gone.
func (g *group) end() error {
	for g.lines.Scan() {
	}
	return g.cmd.Wait()
}

// sockets compares the control sockets in dir with the processes that should
// have one.
func sockets(t *testing.T, when, dir string, groups ...map[int]int) {
	t.Helper()
	want := map[string]bool{}
	for _, g := range groups {
		for _, pid := range g {
			want[fmt.Sprint(pid)] = true
		}
	}
	entries, err := os.ReadDir(filepath.Join(dir, "tty"))
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]bool{}
	for _, e := range entries {
		got[e.Name()] = true
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("%s: control sockets %v, want %v", when, got, want)
	}
}

func TestTwoGroupsInOneDirectory(t *testing.T) {
	dir := t.TempDir() + "/run"
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	one, two := startGroup(t, dir, 3), startGroup(t, dir, 2)
	workers1, workers2 := one.ready(3), two.ready(2)
	sockets(t, "both groups run", dir, workers1, workers2)

	if err := syscall.Kill(workers1[1], syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	workers1[1] = one.ready(1)[1]
	sockets(t, "a worker was killed and is back", dir, workers1, workers2)

	if err := syscall.Kill(-one.cmd.Process.Pid, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	_ = one.end()
	sockets(t, "a whole group was killed", dir, workers1, workers2)

	three := startGroup(t, dir, 2)
	workers3 := three.ready(2)
	sockets(t, "the next group has cleaned up", dir, workers2, workers3)

	if err := syscall.Kill(-two.cmd.Process.Pid, syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if err := two.end(); err != nil {
		t.Errorf("the second group ended with %v, want status 0", err)
	}
	sockets(t, "the second group has ended in good order", dir, workers3)
	if err := three.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if err := three.end(); err != nil {
		t.Errorf("the third group ended with %v, want status 0", err)
	}
	sockets(t, "all have ended", dir)
}

// command prepares the program with kresd in PATH, or not.
func command(t *testing.T, withKresd bool, args ...string) *exec.Cmd {
	t.Helper()
	bin := t.TempDir()
	if withKresd {
		self, err := filepath.Abs(os.Args[0])
		if err != nil {
			t.Fatal(err)
		}
		if err := os.Symlink(self, filepath.Join(bin, "kresd")); err != nil {
			t.Fatal(err)
		}
	}
	cmd := exec.Command(os.Args[0], args...)
	cmd.Env = append(os.Environ(), roleEnv+"=1", "KRESD_HANG_TIME=0", "PATH="+bin) // playWorker does not say that it is alive
	return cmd
}

func TestGroupUnderAProcessManager(t *testing.T) {
	rundir := t.TempDir() + "/run"
	if err := os.Mkdir(rundir, 0o700); err != nil {
		t.Fatal(err)
	}
	path := t.TempDir() + "/notify"
	manager, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: path, Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	defer manager.Close()
	cmd := command(t, true, "-f", "2", rundir)
	cmd.Env = append(cmd.Env, "NOTIFY_SOCKET="+path)
	var out, errOut bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errOut
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer cmd.Process.Kill()
	heard := func() string {
		t.Helper()
		for {
			b := make([]byte, 100)
			manager.SetReadDeadline(time.Now().Add(time.Minute))
			n, err := manager.Read(b)
			if err != nil {
				t.Fatalf("nothing said: %v; errors %s", err, errOut.String())
			}
			if said := string(b[:n]); !strings.HasPrefix(said, "FDSTORE") { // that is for another test
				return said
			}
		}
	}
	if got, want := heard(), "READY=1\nSTATUS=2 of 2 workers serve"; got != want {
		t.Errorf("said %q, want %q", got, want)
	}
	if err := cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if got := heard(); got != "STOPPING=1" {
		t.Errorf("said %q, want STOPPING=1", got)
	}
	if err := cmd.Wait(); err != nil || errOut.Len() != 0 {
		t.Errorf("ended with %v and errors %q, want status 0 and none", err, errOut.String())
	}
	for id := range 2 {
		line := fmt.Sprintf(`worker %d/2 args ["kresd" "-f" "2" %q] notify ""`, id, rundir)
		if !strings.Contains(out.String(), line) {
			t.Errorf("output lacks %s:\n%s", line, out.String())
		}
	}
}

func TestErrorsAreOneLine(t *testing.T) {
	for _, c := range []struct {
		kresd  bool
		args   string
		status int
		says   string
	}{
		{true, "-x", 2, "kresd-supervisor: unknown option '-x' (see 'kresd-supervisor --help')"},
		{true, "-S 99 .", 1, "inherited socket 99: bad file descriptor"},
		{true, "-f 2 missing", 1, "'missing'"},
		{false, "-f 2 .", 1, "'kresd' is neither beside this one nor in PATH"},
	} {
		cmd := command(t, c.kresd, strings.Fields(c.args)...)
		out, _ := cmd.CombinedOutput()
		if status := cmd.ProcessState.ExitCode(); status != c.status || strings.Count(string(out), "\n") != 1 || !strings.Contains(string(out), c.says) {
			t.Errorf("kresd-supervisor %s: status %d, output %q; want %d and one line with %q", c.args, status, out, c.status, c.says)
		}
	}
}
