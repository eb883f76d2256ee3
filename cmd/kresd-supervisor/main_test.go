package main

import (
	"bytes"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"kresd/internal/ipc"
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
	link.Ready()
	select {
	case <-link.Drain():
	case <-link.Closed():
	}
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
	cmd.Env = append(os.Environ(), roleEnv+"=1", "PATH="+bin)
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
		b := make([]byte, 100)
		manager.SetReadDeadline(time.Now().Add(time.Minute))
		n, err := manager.Read(b)
		if err != nil {
			t.Fatalf("nothing said: %v; errors %s", err, errOut.String())
		}
		return string(b[:n])
	}
	if got := heard(); got != "READY=1" {
		t.Errorf("said %q, want READY=1", got)
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
		{true, "-S 3 .", 1, "use kresd -f 1"},
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
