package test

import (
	"fmt"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"kresd/internal/proctest"
)

// replaceFile puts a text into the place of a file, as a package does: beside the old
// one, then by its name.
func replaceFile(t *testing.T, path string, text []byte) {
	t.Helper()
	if err := os.WriteFile(path+".new", text, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(path+".new", path); err != nil {
		t.Fatal(err)
	}
}

// install puts a program into a directory, each time as another file.
func install(t *testing.T, dir, program string, number int) {
	t.Helper()
	text, err := os.ReadFile(proctest.Bin(program))
	if err != nil {
		t.Fatal(err)
	}
	replaceFile(t, filepath.Join(dir, program), fmt.Appendf(text, "upgrade %d", number)) // behind what is executed
}

// runs tells whether a process executes the file that is at a path now.
func runs(t *testing.T, pid int, path string) bool {
	t.Helper()
	there, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	running, err := os.Stat(fmt.Sprintf("/proc/%d/exe", pid))
	return err == nil && os.SameFile(there, running)
}

// A reload after the program's file was replaced replaces all processes by the new
// program, the supervisor in its place, and loses nothing. KRESD_UPGRADES=20
// KRESD_RELOAD_RATE=20000 KRESD_RELOAD_TCP=200 ask for as much as the project has set
// itself, for a group of four; a worker alone gets its share, since what a full buffer
// refuses while a busy machine lets nobody read is no fault of an upgrade's.
func TestUpgradesUnderLoadLoseNothing(t *testing.T) {
	upgrades, rate, tcp := figure(t, "KRESD_UPGRADES", 3), figure(t, "KRESD_RELOAD_RATE", 2000), figure(t, "KRESD_RELOAD_TCP", 20)
	for program, workers := range map[string]int{"kresd": 4, "kresd-supervisor": 1} {
		t.Run(program, func(t *testing.T) {
			dir := proctest.RunDir(t)
			install(t, dir, "kresd", 0)
			install(t, dir, program, 0)
			config := proctest.On(t, proctest.SmallInternet(t), workers, "net.limits({ tcp_conns_per_client = 1000 })")
			config.Program = filepath.Join(dir, program)
			g := proctest.Start(t, config)
			warm(t, g)
			inCustody(t, g)
			files := openFiles(g.PID())
			s := proctest.Load(t, g.Addr, rate*workers/4, names...)
			c := connect(t, net.TCPAddrFromAddrPort(g.Addr), tcp)
			for i := range upgrades {
				old := pids(g.Workers())
				install(t, dir, "kresd", i+1)
				install(t, dir, program, i+1)
				out, errs, status := reload(t, g)
				if status != 0 || !strings.Contains(out, fmt.Sprintf("reloaded, %d worker", workers)) {
					t.Fatalf("upgrade %d: status %d, %q, %q", i, status, out, errs)
				}
				if !runs(t, g.PID(), filepath.Join(dir, program)) {
					t.Errorf("upgrade %d: the supervisor runs another program", i)
				}
				left(t, g, workers)
				for _, pid := range pids(g.Workers()) {
					if !runs(t, pid, filepath.Join(dir, "kresd")) || slices.Contains(old, pid) {
						t.Errorf("upgrade %d: worker %d runs another program, or is an old one", i, pid)
					}
				}
				inCustody(t, g)
			}
			c.end(t, "upgrades")
			report := s.Stop()
			lossless(t, "upgrades", report, 0)
			t.Logf("%d upgrades, %d queries by UDP, the slowest answer after %v", upgrades, report.Sent, report.Wait(1))
			if now := openFiles(g.PID()); now > files {
				t.Errorf("the supervisor has %d files open, and had %d", now, files)
			}
			if status, err := g.Stop(); status != 0 || err != nil {
				t.Errorf("exit status %d, %v", status, err)
			}
		})
	}
}

// Sockets that a service manager has passed are served by the workers of the new program,
// too, by those as well that come later.
func TestAnUpgradeKeepsInheritedSockets(t *testing.T) {
	dir := proctest.RunDir(t)
	install(t, dir, "kresd", 0)
	config := proctest.On(t, proctest.SmallInternet(t), 2)
	config.Dir, config.Program = proctest.RunDir(t), filepath.Join(dir, "kresd")
	udp, tcp := boundAt(t, config.Addr)
	path, control := controlSocket(t)
	g := proctest.Launch(t, config.Activated("dns:dns:control", udp, tcp, control))
	consoleSays(t, path, "map 'true'", "[2] => true")
	for i := range 2 {
		install(t, dir, "kresd", i+1)
		if out, errs, status := kresc(t, "", "reload", path); status != 0 {
			t.Fatalf("upgrade %d: status %d, %q, %q", i, status, out, errs)
		}
		consoleSays(t, path, "map 'true'", "[2] => true")
		servesAt(t, g)
		text := proctest.Eval(t, path, "worker.pid")
		pid, _ := strconv.Atoi(text)
		if !runs(t, pid, config.Program) || !runs(t, g.PID(), config.Program) {
			t.Errorf("upgrade %d: worker %s or the supervisor runs another program", i, text)
		}
		kill(t, pid)
		proctest.Eventually(t, 20*time.Second, "the worker is replaced", func() bool { return !proctest.Running(pid) })
		consoleSays(t, path, "map 'true'", "[2] => true")
		servesAt(t, g)
	}
}

// A signal to end that comes while the new program takes over ends the group.
func TestSIGTERMInAnUpgradeIsHeeded(t *testing.T) {
	dir := proctest.RunDir(t)
	install(t, dir, "kresd", 0)
	for i := range 12 {
		config := proctest.On(t, proctest.SmallInternet(t), 1)
		config.Program, config.Workers = filepath.Join(dir, "kresd"), 2
		g := proctest.Start(t, config)
		install(t, dir, "kresd", i+1)
		g.Signal(syscall.SIGHUP)
		proctest.Eventually(t, 30*time.Second, "the new program takes over", func() bool { return strings.Contains(g.Log(), "the new one takes over") })
		time.Sleep(time.Duration(i) * 3 * time.Millisecond) // another moment each time
		g.Signal(syscall.SIGTERM)
		status, err := g.Wait(20 * time.Second)
		if err != nil || status != 0 && status != -1 { // -1: it ended by the signal
			t.Fatalf("try %d: exit status %d, %v", i, status, err)
		}
		proctest.Eventually(t, 20*time.Second, "no worker is left", func() bool { return len(processesIn(t, g.Dir)) == 0 })
	}
}

// A program that cannot take over leaves everything as it was.
func TestAProgramThatCannotTakeOverReplacesNobody(t *testing.T) {
	dir := proctest.RunDir(t)
	install(t, dir, "kresd", 0)
	config := proctest.On(t, proctest.SmallInternet(t), 2)
	config.Program = filepath.Join(dir, "kresd")
	g := proctest.Start(t, config)
	old := pids(g.Workers())
	for text, says := range map[string]string{
		"#!/bin/sh\necho kresd, version 9\n": "of a version that cannot take over a group which runs; restart the service",
		"#!/bin/sh\nexit 3\n":                "exit status 3",
		"no program":                         "exec format error",
		"#!/bin/sh\n[ \"$1\" = --version ] && printf 'x\\ngroup layout 2\\n'\n": "cannot check the configuration",
	} {
		replaceFile(t, config.Program, []byte(text))
		if out, errs, status := reload(t, g); status != 1 || !strings.Contains(errs, says) {
			t.Errorf("%q: status %d, %q, %q, want %q", text, status, out, errs, says)
		}
		if now := pids(g.Workers()); !slices.Equal(now, old) {
			t.Errorf("%q: the workers are %v, and were %v", text, now, old)
		}
	}
	install(t, dir, "kresd", 1)
	if out, errs, status := reload(t, g); status != 0 {
		t.Errorf("the right program at last: %d, %q, %q", status, out, errs)
	}
	left(t, g, 2)
}

// A kresd of another version that is put under an old kresd-supervisor is never run by it: a
// worker that dies comes back as it was, and a reload says what is missing. Both together
// take over.
func TestAKresdReplacedAloneIsNotRun(t *testing.T) {
	dir := proctest.RunDir(t)
	install(t, dir, "kresd", 0)
	install(t, dir, "kresd-supervisor", 0)
	config := proctest.On(t, proctest.SmallInternet(t), 2)
	config.Program = filepath.Join(dir, "kresd-supervisor")
	g := proctest.Start(t, config)
	replaceFile(t, filepath.Join(dir, "kresd"), []byte("#!/bin/sh\necho kresd, version 9\n"))
	for id := range 2 {
		old := g.Worker(t, id).PID
		kill(t, old)
		proctest.Eventually(t, 30*time.Second, "the worker is back", func() bool {
			ws := g.Workers()
			return len(ws) == 2 && ws[id].PID != old
		})
	}
	now := pids(g.Workers())
	out, errs, status := reload(t, g)
	for _, want := range []string{filepath.Join(dir, "kresd") + "' says kresd, version 9", "; the workers stay of the version that runs: install kresd and kresd-supervisor of one version, both, and reload again"} {
		if status != 1 || !strings.Contains(errs, want) {
			t.Errorf("kresd is another: status %d, %q, %q, want %q", status, out, errs, want)
		}
	}
	install(t, dir, "kresd-supervisor", 1)
	if out, errs, status := reload(t, g); status != 1 || !strings.Contains(errs, "both, and reload again") {
		t.Errorf("kresd-supervisor is, too, and not of that version: status %d, %q, %q", status, out, errs)
	}
	if !slices.Equal(pids(g.Workers()), now) {
		t.Errorf("the workers are %v, and were %v", g.Workers(), now)
	}
	install(t, dir, "kresd", 1)
	if out, errs, status := reload(t, g); status != 0 || !runs(t, g.PID(), config.Program) || !runs(t, g.Worker(t, 1).PID, filepath.Join(dir, "kresd")) {
		t.Errorf("both: status %d, %q, %q", status, out, errs)
	}
}
