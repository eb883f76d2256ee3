package test

import (
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"kresd/internal/proctest"
)

// failure starts a program that must not come up and returns its standard error.
func failure(t *testing.T, args ...string) string {
	t.Helper()
	cmd := exec.Command(proctest.Bin("kresd"), args...)
	cmd.Stdin = nil
	var stderr strings.Builder
	cmd.Stderr = &stderr
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	timer := time.AfterFunc(10*time.Second, func() { _ = cmd.Process.Kill() })
	err := cmd.Wait()
	if !timer.Stop() {
		t.Errorf("kresd %v did not end by itself; stderr:\n%s", args, &stderr)
	}
	if err == nil {
		t.Errorf("kresd %v: exit status 0", args)
	}
	return stderr.String()
}

// What is wrong at the start is said once, in one line, whatever the number of
// workers, and nothing stays behind.
func TestAFailedStartIsOneLine(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	port := strconv.Itoa(taken.Addr().(*net.TCPAddr).Port)
	free := proctest.FreePort(t).String()
	free = strings.Replace(free, ":", "@", 1)
	broken := filepath.Join(proctest.RunDir(t), "broken.lua")
	if err := os.WriteFile(broken, []byte("cache.size = 10 * MB\nnosuchtable.field = 1\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	syntax := filepath.Join(proctest.RunDir(t), "syntax.lua")
	if err := os.WriteFile(syntax, []byte("net = { '127.0.0.1'\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	notDir := filepath.Join(proctest.RunDir(t), "file")
	if err := os.WriteFile(notDir, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for what, tc := range map[string]struct {
		args []string
		want []string // in the line
	}{
		"unknown option":         {[]string{"--nosuch"}, []string{"nosuch"}},
		"no workers":             {[]string{"-f", "0"}, []string{"0"}},
		"workers not a number":   {[]string{"-f", "x"}, []string{"x"}},
		"bad port":               {[]string{"-a", "127.0.0.1@70000"}, []string{"70000"}},
		"bad address":            {[]string{"-a", "nowhere@53"}, []string{"nowhere"}},
		"port taken":             {[]string{"-a", "127.0.0.1@" + port}, []string{"127.0.0.1", port, "in use"}},
		"no such config":         {[]string{"-a", free, "-c", "nosuch.lua"}, []string{"nosuch.lua", "no such file"}},
		"error in config":        {[]string{"-a", free, "-c", broken}, []string{"broken.lua:2"}},
		"syntax error in config": {[]string{"-a", free, "-c", syntax}, []string{"syntax.lua:"}},
		"TLS port taken":         {[]string{"-t", "127.0.0.1@" + port}, []string{"127.0.0.1", port, "in use"}},
		"no such key file":       {[]string{"-a", free, "-K", "nosuch.keys"}, []string{"nosuch.keys", "no such file"}},
	} {
		for _, workers := range []string{"1", "4"} {
			if strings.Contains(what, "workers") && workers == "4" {
				continue
			}
			args := append([]string{}, tc.args...)
			if !strings.Contains(what, "workers") {
				args = append(args, "-f", workers)
			}
			dir := proctest.RunDir(t)
			stderr := failure(t, append(args, dir)...)
			if lines := strings.Count(strings.TrimSpace(stderr), "\n") + 1; lines != 1 || strings.TrimSpace(stderr) == "" {
				t.Errorf("%s, -f %s: %d lines on standard error:\n%s", what, workers, lines, stderr)
			}
			for _, word := range tc.want {
				if !strings.Contains(strings.ToLower(stderr), word) {
					t.Errorf("%s, -f %s: %q does not name %q", what, workers, stderr, word)
				}
			}
			if left, _ := filepath.Glob(filepath.Join(dir, "tty", "*")); len(left) > 0 {
				t.Errorf("%s, -f %s: left behind %v", what, workers, left)
			}
		}
	}
	if stderr := failure(t, "-f", "2", "-a", free, notDir); !strings.Contains(stderr, notDir) || strings.Count(stderr, "\n") != 1 {
		t.Errorf("run directory that is a file: %q", stderr)
	}
}

// A run directory that others may write to, or that is a symbolic link, is
// refused (anybody could put a cache or a socket there).
func TestUnsafeRunDirectories(t *testing.T) {
	free := strings.Replace(proctest.FreePort(t).String(), ":", "@", 1)
	open := proctest.RunDir(t)
	if err := os.Chmod(open, 0o777); err != nil {
		t.Fatal(err)
	}
	link := filepath.Join(proctest.RunDir(t), "link")
	if err := os.Symlink(proctest.RunDir(t), link); err != nil {
		t.Fatal(err)
	}
	for _, dir := range []string{open, link, "/nonexistent/dir"} {
		if stderr := failure(t, "-f", "2", "-a", free, dir); strings.Count(stderr, "\n") != 1 {
			t.Errorf("run directory %s: standard error %q, want one line", dir, stderr)
		}
	}
}

// Directories are 0700, sockets and cache files 0600.
func TestModesOfFiles(t *testing.T) {
	syscall.Umask(0)
	g := proctest.Start(t, proctest.On(t, proctest.SmallInternet(t), 2))
	want := map[string]os.FileMode{"tty": 0o700, "data.mdb": 0o600, "lock.mdb": 0o600}
	for _, w := range g.Workers() {
		want[filepath.Join("tty", strconv.Itoa(w.PID))] = 0o600
	}
	for name, mode := range want {
		info, err := os.Stat(filepath.Join(g.Dir, name))
		if err != nil {
			t.Error(err)
		} else if info.Mode().Perm() != mode {
			t.Errorf("%s has mode %o, want %o", name, info.Mode().Perm(), mode)
		}
	}
}

func TestVersionAndHelp(t *testing.T) {
	for _, program := range []string{"kresd", "kresd-supervisor"} {
		out := proctest.Run(t, proctest.Bin(program), "-V")
		if strings.Count(out, "\n") != 1 || !strings.Contains(out, ".") {
			t.Errorf("%s -V: %q", program, out)
		}
		out = proctest.Run(t, proctest.Bin(program), "-h")
		for _, option := range []string{"--addr", "--forks", "--config", "--version"} {
			if !strings.Contains(out, option) {
				t.Errorf("%s -h does not tell of %s", program, option)
			}
		}
	}
}

// A configuration that never ends, or that ends the daemon, does not make it
// deaf to the wish to end nor start it again for ever.
func TestEndingWhileTheConfigurationRuns(t *testing.T) {
	for _, tt := range []struct {
		name, lua string
		workers   int
		signal    bool
	}{
		{"endless, one process", "while true do end", 1, true},
		{"endless, a group", "while true do end", 2, true},
		{"quit(), one process", "quit()", 1, false},
		{"quit(), a group", "quit()", 2, false},
	} {
		g := proctest.Launch(t, proctest.Config{Workers: tt.workers, Lua: tt.lua, Addr: proctest.FreePort(t)})
		if tt.signal {
			time.Sleep(300 * time.Millisecond) // the configuration runs by then
			g.Signal(syscall.SIGTERM)
		}
		if status, err := g.Wait(5 * time.Second); status != 0 || err != nil {
			t.Errorf("%s: status %d, %v; log:\n%s", tt.name, status, err, g.Log())
		}
	}
}

func TestAConfigurationThatCannotBeReadIsAnError(t *testing.T) {
	dir := proctest.RunDir(t)
	if err := os.Mkdir(filepath.Join(dir, "config"), 0o700); err != nil { // nobody can read this, not even root
		t.Fatal(err)
	}
	got := failure(t, "-n", "-a", strings.Replace(proctest.FreePort(t).String(), ":", "@", 1), dir)
	if !strings.Contains(got, "config") || strings.Count(got, "\n") != 1 {
		t.Errorf("standard error %q, want one line that names the file", got)
	}
}
