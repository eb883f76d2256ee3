package supervisor

import (
	"os/exec"
	"testing"
	"time"

	"kresd/internal/limits"
)

// endingOf is how a shell ends that runs a script.
func endingOf(t *testing.T, script, words string) ending {
	t.Helper()
	cmd := exec.Command("sh", "-c", "ulimit -c 0; "+script)
	_ = cmd.Run()
	if cmd.ProcessState == nil {
		t.Fatal("there is no shell")
	}
	return ending{cmd.ProcessState, words}
}

// How a worker ended decides what is said of it, whether a damaged file can be the cause, and
// whether the next one waits for a signal that may be for the supervisor, too.
func TestHowAWorkerEnded(t *testing.T) {
	const segv = "unexpected fault\n[signal SIGSEGV: segmentation violation]\n"
	for _, c := range []struct {
		script, words  string
		says           string
		success, fault bool
	}{
		{"exit 0", "", "ended with status 0", true, false},
		{"exit 3", "", "ended with status 3", false, false},
		{"exit 2", "", "ended with status 2", false, false},
		{"exit 2", segv, "crashed (unexpected fault)", false, true},
		{"exit 2", "SIGBUS: bus error\n", "crashed (SIGBUS: bus error)", false, true},
		{"exit 2", "fatal error: SIGSEGV: no\n", "crashed (fatal error: SIGSEGV: no)", false, false},
		{"exit 3", segv, "crashed (unexpected fault)", false, false},
		{"kill -KILL $$", "", "was ended by a signal (killed)", false, false},
		{"kill -TERM $$", "", "was ended by a signal (terminated)", false, false},
		{"kill -BUS $$", "", "was ended by a signal (bus error)", false, true},
		{"kill -SEGV $$", "", "was ended by a signal (segmentation fault)", false, true},
		{"kill -ABRT $$", "", "was ended by a signal (aborted)", false, true},
	} {
		e := endingOf(t, c.script, c.words)
		if got := describe(&worker{}, e); got != c.says || e.Success() != c.success || e.isFault() != c.fault {
			t.Errorf("%s, %q: it %s, success %v, fault %v; want: %s, %v, %v", c.script, c.words, got, e.Success(), e.isFault(), c.says, c.success, c.fault)
		}
		wait := time.Duration(0)
		if c.success {
			wait = limits.RestartGap
		}
		if got := afterSignal(e); got != wait {
			t.Errorf("%s: the next one waits for %v, want %v", c.script, got, wait)
		}
	}
}

// What a worker or the supervisor has said of it before comes first, and of what another
// image has waited for nothing is known.
func TestAnEndingOfWhichMoreIsKnownOrLess(t *testing.T) {
	killed := endingOf(t, "kill -KILL $$", "")
	if got := describe(&worker{late: true, fatal: "no"}, killed); got != "was not ready in time" {
		t.Errorf("late: it %s", got)
	}
	if got := describe(&worker{fatal: "no"}, killed); got != "gave up: no" {
		t.Errorf("fatal: it %s", got)
	}
	unknown := ending{}
	if got := describe(&worker{}, unknown); got != "has ended" || unknown.Success() || unknown.isFault() {
		t.Errorf("unknown: it %s, success %v, fault %v", got, unknown.Success(), unknown.isFault())
	}
}
