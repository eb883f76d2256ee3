package test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"kresd/internal/proctest"
)

// Whatever keeps the first worker from becoming ready, and however the group ends
// then, nothing is left behind: no process, no control socket, no lock on the run
// directory or the cache, no port.
func TestNothingIsLeftOfAGroupThatNeverBecomesReady(t *testing.T) {
	at := proctest.FreePort(t)
	listen := fmt.Sprintf("net.listen('%s', %d)\ncache.size = 10*MB\n", at.Addr(), at.Port())
	const inTime = "is not ready after 1s: its configuration waits for something or does not end"
	for _, c := range []struct {
		name, lua string
		status    int
		says      string
		frozen    bool           // the worker is stopped, so that it hears nothing
		signal    syscall.Signal // that the supervisor gets
	}{
		{name: "a loop", lua: "while true do end", status: 1, says: inTime},
		{name: "a loop that catches errors", lua: "while true do pcall(function() while true do end end) end", status: 1, says: inTime},
		{name: "a wait", lua: "worker.sleep(1000)", status: 1, says: inTime},
		{name: "a command", lua: "os.execute('sleep 50.5')", status: 1, says: inTime},
		{name: "a frozen worker", lua: "worker.sleep(1000)", frozen: true, status: 1, says: inTime},
		{name: "a worker that is killed each time", lua: "os.execute('kill -9 $PPID')", status: 1, says: "worker 0 was started 5 times and never became ready; the last time it was ended by a signal (killed)"},
		{name: "a loop that is told to end", lua: "while true do end", signal: syscall.SIGTERM},
	} {
		t.Run(c.name, func(t *testing.T) {
			seconds := "1"
			if c.signal != 0 {
				seconds = "600"
			}
			dir := proctest.RunDir(t)
			config := proctest.Config{Dir: dir, Workers: 2, Addr: at, Env: []string{"KRESD_START_TIME=" + seconds}}
			config.Lua = listen + "io.open('began', 'w'):close()\n" + c.lua + "\n"
			g := proctest.Launch(t, config)
			if c.frozen || c.signal != 0 {
				proctest.Eventually(t, 20*time.Second, "the worker begins", func() bool {
					_, err := os.Stat(filepath.Join(dir, "began"))
					return err == nil
				})
			}
			if c.frozen {
				for _, pid := range processesIn(t, dir) {
					if pid != g.PID() {
						_ = syscall.Kill(pid, syscall.SIGSTOP)
					}
				}
			}
			if c.signal != 0 {
				g.Signal(c.signal)
			}
			if status, err := g.Wait(40 * time.Second); err != nil || status != c.status || !strings.Contains(g.Log(), c.says) {
				t.Errorf("status %d, %v; want %d and %q in the log:\n%s", status, err, c.status, c.says, g.Log())
			}
			if left := processesIn(t, dir); len(left) > 0 {
				t.Errorf("processes %v are left", left)
			}
			if left, err := os.ReadDir(filepath.Join(dir, "tty")); err != nil || len(left) > 0 {
				t.Errorf("control sockets %v are left, %v", left, err)
			}
			config.Lua = listen
			if _, err := proctest.Start(t, config).Stop(); err != nil {
				t.Errorf("the next start: %v", err)
			}
		})
	}
}

// processesIn are the processes whose working directory is dir.
func processesIn(t *testing.T, dir string) (pids []int) {
	t.Helper()
	real, err := filepath.EvalSymlinks(dir)
	if err != nil {
		t.Fatal(err)
	}
	links, err := filepath.Glob("/proc/[0-9]*/cwd")
	if err != nil || len(links) == 0 {
		t.Fatalf("no processes in /proc: %v", err)
	}
	for _, link := range links {
		if to, err := os.Readlink(link); err == nil && to == real {
			pid := 0
			fmt.Sscanf(link, "/proc/%d/cwd", &pid)
			pids = append(pids, pid)
		}
	}
	return pids
}
