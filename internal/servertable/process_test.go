package servertable

import (
	"bufio"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"os/signal"
	"syscall"
	"testing"
	"time"

	"kresd/internal/clock"
	"kresd/internal/limits"
)

// The test binary runs itself again as another process that shares a table, told
// by this variable what to do there.
const helperEnv = "KRESD_SERVERTABLE_TEST_HELPER"

func TestMain(m *testing.M) {
	if role := os.Getenv(helperEnv); role != "" {
		os.Exit(runHelper(role, os.Args[1]))
	}
	os.Exit(m.Run())
}

func runHelper(role, dir string) int {
	if role == "full" { // no file may grow beyond a megabyte
		signal.Ignore(syscall.SIGXFSZ)
		if err := syscall.Setrlimit(syscall.RLIMIT_FSIZE, &syscall.Rlimit{Cur: 1 << 20, Max: 1 << 20}); err != nil {
			fmt.Println(err)
			return 1
		}
	}
	if role == "plain" {
		if err := errors.Join(syscall.Mount("", "/", "", syscall.MS_REC|syscall.MS_PRIVATE, ""), syscall.Mount("ramfs", dir, "ramfs", 0, "")); err != nil {
			fmt.Println("mount:", err)
			return 1
		}
	}
	tab, err := Open(dir, clock.Real(), nil)
	if err != nil {
		fmt.Println("error:", err)
		return 1
	}
	fmt.Println("open")
	if role == "plain" {
		tab.Update(address(1), func(Record) Record { return coherent(7) })
		r, _ := tab.Load(address(1))
		fmt.Println(r.Priority)
		return 0
	}
	for n := uint64(1); ; n++ {
		tab.Update(address(rand.IntN(50)), func(Record) Record { return coherent(n) })
	}
}

// coherent is a record of which each part tells the others.
func coherent(n uint64) (r Record) {
	r.Priority = n
	for i := range r.Data {
		r.Data[i] = n * uint64(i+3)
	}
	return r
}

type helper struct {
	cmd *exec.Cmd
	out *bufio.Scanner
}

func start(t *testing.T, role, dir string) *helper {
	t.Helper()
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	h := &helper{cmd: exec.Command(exe, dir)}
	h.cmd.Env = append(os.Environ(), helperEnv+"="+role)
	h.cmd.Stderr = os.Stderr
	if role == "plain" {
		h.cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNS}
		if os.Geteuid() != 0 {
			h.cmd.SysProcAttr.Cloneflags |= syscall.CLONE_NEWUSER
			h.cmd.SysProcAttr.UidMappings = []syscall.SysProcIDMap{{HostID: os.Getuid(), Size: 1}}
			h.cmd.SysProcAttr.GidMappings = []syscall.SysProcIDMap{{HostID: os.Getgid(), Size: 1}}
		}
	}
	out, err := h.cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	h.out = bufio.NewScanner(out)
	if err := h.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(h.kill)
	return h
}

func (h *helper) line() string {
	h.out.Scan()
	return h.out.Text()
}

func (h *helper) kill() {
	h.cmd.Process.Kill()
	h.cmd.Wait()
}

func wantCoherent(t *testing.T, tab *Table) {
	t.Helper()
	tab.Each(func(key Key, r Record) bool {
		if r != coherent(r.Priority) {
			t.Errorf("%v holds %v", key, r)
		}
		return true
	})
}

// TestKilledAndFrozenProcessesHurtNobody kills, or stops for a while, processes
// that change the table as fast as they can.
func TestKilledAndFrozenProcessesHurtNobody(t *testing.T) {
	dir := t.TempDir()
	tab := open(t, dir)
	rounds := 20
	if testing.Short() {
		rounds = 6
	}
	lost := 0
	for round := range rounds {
		h := start(t, "write", dir)
		if got := h.line(); got != "open" {
			t.Fatal(got)
		}
		time.Sleep(time.Duration(5000+rand.IntN(20000)) * time.Microsecond) // the moment is the point
		frozen := round%3 == 0
		if frozen {
			h.cmd.Process.Signal(syscall.SIGSTOP)
		} else {
			h.kill()
		}
		wantCoherent(t, tab)
		time.Sleep(limits.ServersStuck * 3 / 2) // a signal takes effect a moment after it was sent
		for i := range 50 {
			n := uint64(round*100 + i)
			if !tab.Update(address(i), func(Record) Record { return coherent(n) }) {
				t.Errorf("round %d: %v cannot be changed any more", round, address(i))
			}
			if r, ok := tab.Load(address(i)); !ok || r != coherent(n) {
				lost++ // beside a frozen writer that may be right once
				if !frozen {
					t.Errorf("round %d: %v holds %v", round, address(i), r)
				}
			}
		}
		if frozen {
			h.cmd.Process.Signal(syscall.SIGCONT)
			time.Sleep(5 * time.Millisecond)
			wantCoherent(t, tab)
			h.kill()
			wantCoherent(t, tab)
		}
	}
	t.Logf("%d rounds, %d records lost beside frozen processes", rounds, lost)
}

// A file system that cannot take room for a file at once (NFS of old, the one in memory
// here) has it taken by writing.
func TestAFileSystemThatReservesNothing(t *testing.T) {
	h := start(t, "plain", t.TempDir())
	if got := h.line() + " " + h.line(); got != "open 7" {
		t.Errorf("got %q (the test needs root or user namespaces for a file system of its own)", got)
	}
}

func TestFullDisk(t *testing.T) {
	dir := t.TempDir()
	h := start(t, "full", dir)
	if got := h.line(); got != "error: servers.tab: file too large" {
		t.Errorf("got %q", got)
	}
	if left, _ := os.ReadDir(dir); len(left) != 0 {
		t.Errorf("%v was left", left)
	}
}

func TestProcessesThatOpenAtOnceShare(t *testing.T) {
	dir := t.TempDir()
	var all []*helper
	for range 4 {
		all = append(all, start(t, "write", dir))
	}
	for _, h := range all {
		if got := h.line(); got != "open" {
			t.Fatal(got)
		}
	}
	for _, h := range all {
		h.kill()
	}
	tab := open(t, dir)
	n := 0
	tab.Each(func(Key, Record) bool { n++; return true })
	if n == 0 {
		t.Error("the file under the name is not the one that was used")
	}
	wantCoherent(t, tab)
}
