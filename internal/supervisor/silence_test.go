package supervisor

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"kresd/internal/ipc"
	"kresd/internal/limits"
	"kresd/internal/logging"
)

// silent is a group with one worker, which has spoken at the beginning of its clock and
// then no more, and of which cmd is the process.
func silent(t *testing.T, cmd *exec.Cmd) (s *group, w *worker, log *bytes.Buffer) {
	t.Helper()
	log = &bytes.Buffer{}
	s = bench(1)
	s.HangTime, s.Log = limits.HangTime, logging.New(logging.Options{Out: log})
	w = s.worker(0)
	switch err := cmd.Start(); {
	case errors.Is(err, unix.EPERM) && cmd.SysProcAttr != nil && cmd.SysProcAttr.Ptrace:
		t.Skipf("not run: a process cannot be traced here: %v", err)
	case err != nil:
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = cmd.Process.Kill(); _ = cmd.Wait() })
	w.pid, w.process = cmd.Process.Pid, cmd.Process
	var err error
	if w.status, err = os.Open(fmt.Sprintf("/proc/%d/status", w.pid)); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { w.status.Close() })
	s.message(w, ipc.Message{Kind: ipc.Alive})
	return s, w, log
}

// busy is a process that always has, or awaits, a processor.
func busy() *exec.Cmd { return exec.Command("sh", "-c", "while :; do :; done") }

// stop has a process do nothing.
func stop(t *testing.T, w *worker) {
	t.Helper()
	if err := w.process.Signal(syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	var status unix.WaitStatus
	if _, err := unix.Wait4(w.pid, &status, unix.WUNTRACED, nil); err != nil || !status.Stopped() {
		t.Fatalf("it is not stopped: %v, %v", status, err)
	}
}

// A worker that is silent is looked at in the middle of the time that it may be, and killed
// at its end if it does nothing.
func TestAWorkerThatDoesNothingIsKilledAtTheEndOfItsTime(t *testing.T) {
	s, w, log := silent(t, busy())
	stop(t, w)
	for _, c := range []struct {
		silence        time.Duration
		looked, killed bool
	}{
		{limits.HangTime/2 - 1, false, false}, {limits.HangTime / 2, true, false}, {limits.HangTime - 1, true, false}, {limits.HangTime, true, true}, {2 * limits.HangTime, true, true},
	} {
		s.lived = w.alive.heard + c.silence
		s.findHung()
		if told := strings.Count(log.String(), "hangs: it has not said that it is alive for 1.2 s"); w.alive.looked != c.looked || told > 1 || (told == 1) != c.killed {
			t.Errorf("after %v: looked at %v; log:\n%s", c.silence, w.alive.looked, log)
		}
	}
}

// One whose silence is noticed late is looked at first, since what it did before is not known.
func TestAWorkerIsLookedAtTwice(t *testing.T) {
	s, w, log := silent(t, busy())
	stop(t, w)
	s.lived += time.Hour
	if s.findHung(); log.Len() > 0 || !w.alive.looked {
		t.Errorf("at the first look:\n%s", log)
	}
	if s.findHung(); !strings.Contains(log.String(), "hangs") {
		t.Errorf("at the second look:\n%s", log)
	}
}

// A worker of a version that never says that it is alive is not awaited, nor is one that
// drains.
func TestWhoNeedNotSayThatItIsAlive(t *testing.T) {
	for what, change := range map[string]func(*worker){
		"one that has not spoken":     func(w *worker) { w.alive.spoke = false },
		"one that has spoken again":   func(w *worker) { w.alive.heard += 2 * time.Hour },
		"one that has begun to drain": func(w *worker) { w.become(draining) },
	} {
		s, w, log := silent(t, busy())
		stop(t, w)
		change(w)
		s.lived += time.Hour
		s.findHung()
		if s.findHung(); log.Len() > 0 {
			t.Errorf("%s:\n%s", what, log)
		}
	}
}

// A worker that runs, or that has used more of a processor since the first look than one that
// hangs would, has more time.
func TestAWorkerThatDoesSomethingHasMoreTime(t *testing.T) {
	for _, c := range []struct {
		what     string
		stopped  bool
		used     time.Duration // since the first look
		silence  time.Duration
		hangTime time.Duration
		killed   bool
	}{
		{"it runs", false, 0, limits.HangBusy - 1, limits.HangTime, false}, {"it runs", false, 0, limits.HangBusy, limits.HangTime, true},
		{"it may be silent for longer anyway", false, 0, limits.HangBusy, 2 * limits.HangBusy, false},
		{"it did something", true, limits.AliveIdle + 1, limits.HangTime, limits.HangTime, false},
		{"it did something", true, limits.AliveIdle + 1, limits.HangBusy, limits.HangTime, true},
		{"it did next to nothing", true, limits.AliveIdle, limits.HangTime, limits.HangTime, true},
	} {
		s, w, log := silent(t, busy())
		s.HangTime = c.hangTime
		if c.stopped {
			stop(t, w)
		}
		w.alive.looked, w.alive.seen = true, w.activity()
		w.alive.seen.used -= c.used
		if s.judge(w, c.silence); strings.Contains(log.String(), "hangs") != c.killed {
			t.Errorf("%s, %v: want killed %v; log:\n%s", c.what, c.silence, c.killed, log)
		}
	}
}

// A worker that says itself that it hangs is killed at once, if such are killed at all and it
// serves.
func TestAWorkerThatSaysThatItHangsIsKilled(t *testing.T) {
	for what, c := range map[string]struct {
		change func(*group, *worker)
		killed bool
	}{
		"as it should be":       {func(*group, *worker) {}, true},
		"when it drains":        {func(_ *group, w *worker) { w.become(draining) }, false},
		"again":                 {func(_ *group, w *worker) { w.alive.spoke = false }, false},
		"where none are killed": {func(s *group, _ *worker) { s.HangTime = 0 }, false},
	} {
		s, w, log := silent(t, busy())
		c.change(s, w)
		s.message(w, ipc.Message{Kind: ipc.Hangs, Line: "no answer for 0.8 s"})
		if strings.Contains(log.String(), "hangs: no answer for 0.8 s; it is killed") != c.killed || c.killed && w.alive.spoke {
			t.Errorf("%s: log:\n%s", what, log)
		}
		if c.killed {
			if state, err := w.process.Wait(); err != nil || state.String() != "signal: killed" {
				t.Errorf("%s: %v, %v", what, state, err)
			}
		}
	}
}

// A worker that a debugger holds is left alone, which is told once.
func TestAWorkerThatIsTracedIsLeftAlone(t *testing.T) {
	runtime.LockOSThread() // which is the one that traces
	defer runtime.UnlockOSThread()
	cmd := busy()
	cmd.SysProcAttr = &syscall.SysProcAttr{Ptrace: true}
	s, w, log := silent(t, cmd)
	for range 2 {
		s.judge(w, time.Hour)
	}
	s.hangs(w, "no answer for 0.8 s")
	if text := log.String(); strings.Contains(text, "hangs") || strings.Count(text, "is left alone, because process") != 1 {
		t.Errorf("log:\n%s", text)
	}
}

// nobody is a number that no process has.
const nobody = 1 << 23

// What is not to be seen of a process passes for being busy, unless all of it is stopped.
func TestTheActivityOfAProcessThatIsHidden(t *testing.T) {
	for text, want := range map[string]activity{
		"": {busy: true},
		"Name:\tState:\nState:\tT (stopped)\nTracerPid:\t7\n":     {busy: false, tracer: 7},
		"Name:\tkresd\nState:\tS (sleeping)\nTracerPid:\t0\n":     {busy: true},
		"Name:\tkresd\nState:\tt (tracing stop)\nTracerPid:\t9\n": {busy: true, tracer: 9},
	} {
		path := filepath.Join(t.TempDir(), "status")
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		f, err := os.Open(path)
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		w := newWorker(&slot{}, nobody)
		if w.status = f; w.activity() != want {
			t.Errorf("%q: %+v, want %+v", text, w.activity(), want)
		}
	}
	if got := newWorker(&slot{}, nobody).activity(); got != (activity{busy: true}) {
		t.Errorf("without a status: %+v", got)
	}
}

// A process of which one thread runs is busy, though its first one sleeps.
func TestAThreadThatRunsKeepsItsProcessBusy(t *testing.T) {
	path := filepath.Join(t.TempDir(), "status")
	if err := os.WriteFile(path, []byte("State:\tS (sleeping)\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	status, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer status.Close()
	w := newWorker(&slot{}, os.Getpid()) // the thread that looks runs
	if w.status = status; !w.activity().busy {
		t.Error("nothing runs here")
	}
}

// A thread that waits for a disk has a reason, one that sleeps has none.
func TestAThreadThatWaitsForADiskIsBusy(t *testing.T) {
	for state, want := range map[string]bool{"R (running)": true, "D (disk sleep)": true, "S (sleeping)": false, "T (stopped)": false, "Z (zombie)": false, "": false} {
		if isBusy(state) != want {
			t.Errorf("%q: %v", state, !want)
		}
	}
}

// What this process has used of processors is what the system says that it has.
func TestTheProcessorTimeOfAProcess(t *testing.T) {
	clock := func() time.Duration {
		var ts unix.Timespec
		if err := unix.ClockGettime(unix.CLOCK_PROCESS_CPUTIME_ID, &ts); err != nil {
			t.Fatal(err)
		}
		return time.Duration(ts.Nano())
	}
	before := clock()
	got := processorTime(os.Getpid())
	if after := clock(); got < before || got > after {
		t.Errorf("%v, which should be from %v to %v", got, before, after)
	}
	if got := processorTime(nobody); got != 0 {
		t.Errorf("of no process: %v", got)
	}
}
