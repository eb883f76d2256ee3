package test

import (
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/miekg/dns"

	"kresd/internal/proctest"
)

// checkConfig runs kresd --check-config to its end.
func checkConfig(t *testing.T, args ...string) (status int, stdout, stderr string) {
	t.Helper()
	return run(t, ".", "kresd", append([]string{"--check-config"}, args...)...)
}

// run runs a program of ours in a directory to its end.
func run(t *testing.T, dir, program string, args ...string) (status int, stdout, stderr string) {
	t.Helper()
	cmd := exec.Command(proctest.Bin(program), args...)
	cmd.Dir = dir
	var out, errs strings.Builder
	cmd.Stdout, cmd.Stderr = &out, &errs
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	timer := time.AfterFunc(time.Minute, func() { _ = cmd.Process.Kill() })
	defer timer.Stop()
	_ = cmd.Wait()
	return cmd.ProcessState.ExitCode(), out.String(), errs.String()
}

// snapshot is what can be seen of all files below a directory.
func snapshot(t *testing.T, dir string) string {
	t.Helper()
	var b strings.Builder
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := d.Info()
		if err == nil {
			fmt.Fprintln(&b, path, info.Mode(), info.Size(), info.ModTime())
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return b.String()
}

// The manual's configuration example, the kernel as a witness that nothing can be
// changed, and a configuration that could do harm.
func TestCheckConfigChangesNothing(t *testing.T) {
	dir := proctest.RunDir(t)
	write := func(name, text string) {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("config", "-- interfaces\nnet = { '127.0.0.1', '::1' }\n-- load some modules\nmodules = { 'policy' }\n-- 10MB cache\ncache.size = 10*MB\n"+
		"assert(io.open('/proc/self/status'):read('*a'):find('Seccomp:%s*2'))\n")
	write("harm", "os.execute('rm config')\nio.open('made', 'w'):write('x')\nos.remove('config')\ncache.storage = 'lmdb://cache'\n"+
		"trust_anchors.file = 'root.keys'\nnet.listen('127.0.0.1', 1)\nresolve('example.com', kres.type.A)\n")
	write("bad", "net.listen('999.1.1.1')\nmodules = { 'nosuch' }\ncache.sise = 1\n")
	before := snapshot(t, dir)
	if status, stdout, stderr := checkConfig(t, dir); status != 0 || stdout != "config: no errors\n" || stderr != "" {
		t.Errorf("the example: status %d, output %q, errors %q", status, stdout, stderr)
	}
	if status, stdout, _ := checkConfig(t, "-c", "harm", "-f", "4", dir); status != 0 || stdout != "harm: no errors\n" {
		t.Errorf("what could do harm: status %d, output %q", status, stdout)
	}
	status, _, stderr := checkConfig(t, dir, "-c", "bad")
	for _, line := range []string{"bad:1: bind to '999.1.1.1@53'", "bad:2: error: no such module 'nosuch'", "bad:3: error: unknown option 'cache.sise'; did you mean", "bad: 3 errors"} {
		if status != 1 || !strings.Contains(stderr, line) {
			t.Errorf("status %d, and no %q in %q", status, line, stderr)
		}
	}
	if after := snapshot(t, dir); after != before {
		t.Errorf("the run directory was\n%s\nand is\n%s", before, after)
	}
}

// Beside a group that serves: its sockets, cache and ports are left alone.
func TestCheckConfigBesideAGroup(t *testing.T) {
	g := proctest.Start(t, proctest.On(t, proctest.SmallInternet(t), 2))
	g.Ask(t, "udp", "www.example.com", dns.TypeA, 0)
	if status, stdout, stderr := checkConfig(t, g.Dir); status != 0 || stdout != "config: no errors\n" {
		t.Errorf("status %d, output %q, errors %q", status, stdout, stderr)
	}
	if got := len(g.Workers()); got != 2 {
		t.Errorf("%d workers are left", got)
	}
	g.Ask(t, "tcp", "www.example.com", dns.TypeA, 0)
}

func TestCheckConfigIsRefusedByTheSupervisor(t *testing.T) {
	status, _, stderr := run(t, ".", "kresd-supervisor", "--check-config")
	if status != 1 || stderr != "kresd-supervisor: --check-config and --script are options of kresd\n" {
		t.Errorf("status %d, %q", status, stderr)
	}
}
