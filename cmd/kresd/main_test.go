package main

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"kresd/internal/ipc"
	"kresd/internal/limits"
)

// The test binary is also the program, so that these are real processes.
const roleEnv = "KRESD_TEST_MAIN"

func TestMain(m *testing.M) {
	switch os.Getenv(roleEnv) {
	case "":
	case "stuck":
		playStuck()
	default:
		main()
		return
	}
	os.Exit(m.Run())
}

// playStuck is a worker that neither notices anything nor ends by itself.
func playStuck() {
	link, err := ipc.FromEnv()
	if err != nil {
		fmt.Println(err)
		os.Exit(9)
	}
	rename()
	endInTime(link)
	link.Ready()
	time.Sleep(time.Hour)
}

func TestStuckWorkerDoesNotOutliveItsSupervisor(t *testing.T) {
	conn, file, err := ipc.Pair()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), roleEnv+"=stuck", ipc.EnvWorker+"=0/2")
	cmd.ExtraFiles = []*os.File{file}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer cmd.Process.Kill()
	file.Close()
	for m := (ipc.Message{}); m.Kind != ipc.Ready; {
		if m, err = conn.Receive(); err != nil {
			t.Fatal(err)
		}
	}
	comm, err := os.ReadFile(fmt.Sprintf("/proc/%d/comm", cmd.Process.Pid))
	if err != nil || string(comm) != "kresd\n" {
		t.Errorf("the process is called %q, %v; want kresd", comm, err)
	}
	conn.Close() // as the death of the supervisor does
	begun := time.Now()
	_ = cmd.Wait()
	if took := time.Since(begun); took > limits.OrphanTime+time.Second || cmd.ProcessState.ExitCode() != 1 {
		t.Errorf("ended after %v with status %d, want about %v and 1", took, cmd.ProcessState.ExitCode(), limits.OrphanTime)
	}
}

// kresd runs the program in dir to its end, with nothing on standard input.
func kresd(t *testing.T, dir string, args ...string) (status int, stdout, stderr string) {
	t.Helper()
	cmd := exec.Command(os.Args[0], args...)
	cmd.Env = append(os.Environ(), roleEnv+"=1")
	cmd.Dir = dir
	var out, errOut bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errOut
	err := cmd.Run()
	if _, ended := err.(*exec.ExitError); err != nil && !ended {
		t.Fatal(err)
	}
	return cmd.ProcessState.ExitCode(), out.String(), errOut.String()
}

func TestStartFailuresAreOneLine(t *testing.T) {
	dir := t.TempDir()
	for _, sub := range []string{"run", "open"} {
		if err := os.Mkdir(filepath.Join(dir, sub), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Chmod(filepath.Join(dir, "open"), 0o777); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink("run", filepath.Join(dir, "link")); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		args   string
		status int
		says   string
	}{
		{"-x", 2, "kresd: unknown option '-x' (see 'kresd --help')"},
		{"-f", 2, "kresd: option '-f' requires an argument"},
		{"-f 0", 1, "a positive number"},
		{"-f 1 missing", 1, "'missing': no such file or directory"},
		{"-f 4 missing", 1, "'missing': no such file or directory"},
		{"-f 4 link", 1, "symbolic link"},
		{"-f 4 open", 1, "everybody may write"},
		{"-f 1 -c nothing run", 1, "config 'nothing' cannot be read: no such file"},
		{"-f 4 -c nothing run", 1, "config 'nothing' cannot be read: no such file"},
		{"-S 99 run", 1, "inherited socket 99: bad file descriptor"},
		{"-T 99 run", 1, "inherited socket 99: bad file descriptor"},
		{"run", 1, "use -f 1"}, // standard input is /dev/null
	} {
		status, stdout, stderr := kresd(t, dir, strings.Fields(c.args)...)
		if status != c.status || strings.Count(stderr, "\n") != 1 || !strings.Contains(stderr, c.says) || stdout != "" {
			t.Errorf("kresd %s: status %d, errors %q, output %q; want status %d and one line with %q",
				c.args, status, stderr, stdout, c.status, c.says)
		}
	}
}

func TestHelpAndVersion(t *testing.T) {
	for args, says := range map[string]string{"-h": "--forks", "--help": "--forks", "-V": "version", "--versi": "version"} {
		status, stdout, stderr := kresd(t, t.TempDir(), args)
		if status != 0 || !strings.Contains(stdout, says) || stderr != "" {
			t.Errorf("kresd %s: status %d, output %q, errors %q", args, status, stdout, stderr)
		}
	}
	if _, stdout, _ := kresd(t, t.TempDir(), "-V"); strings.Count(stdout, "\n") != 1 {
		t.Errorf("-V prints %q, want one line", stdout)
	}
}

func TestLostSupervisor(t *testing.T) {
	cmd := exec.Command(os.Args[0], "-f", "2")
	cmd.Env = append(os.Environ(), roleEnv+"=1", "KRESD_WORKER=1/2")
	out, err := cmd.CombinedOutput()
	if err == nil || !strings.Contains(string(out), "descriptor 3 is no connection") || strings.Count(string(out), "\n") != 1 {
		t.Errorf("a worker without its socket pair: %v, %q", err, out)
	}
}
