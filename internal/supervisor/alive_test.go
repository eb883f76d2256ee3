package supervisor

import (
	"fmt"
	"strings"
	"syscall"
	"testing"
	"time"

	"kresd/internal/limits"
)

// A worker that does nothing and says nothing is killed and replaced; one that was
// stopped is no different. A sibling that speaks is left alone.
func TestAWorkerThatHangsIsReplaced(t *testing.T) {
	for _, how := range []string{"mute", "stopped"} {
		dir := t.TempDir()
		r := start(t, dir, 2, roleHangTime+"=1200ms")
		old := r.complete(2)
		if how == "mute" {
			play(t, dir, "mute", "1")
		} else {
			r.kill(old[1], syscall.SIGSTOP)
		}
		begun := time.Now()
		r.expect(fmt.Sprintf("worker 1 (pid %d) hangs", old[1]))
		t.Logf("%s: noticed after %v", how, time.Since(begun))
		r.expect("worker 1", "was ended by a signal (killed)")
		play(t, dir, "mute", "")
		r.event(1, "ready")
		if all := strings.Join(r.seen, "\n"); strings.Contains(all, "worker 0 (") {
			t.Errorf("%s: worker 0 was ended, too:\n%s", how, all)
		}
		r.stop()
	}
}

// One that says nothing but runs has more time: the machine may be busy.
func TestAWorkerThatRunsHasMoreTime(t *testing.T) {
	dir := t.TempDir()
	r := start(t, dir, 2, roleHangTime+"=1200ms")
	old := r.complete(2)
	play(t, dir, "mute", "1 busy")
	begun := time.Now()
	r.expect(fmt.Sprintf("worker 1 (pid %d) hangs", old[1]))
	if took := time.Since(begun); took < limits.HangBusy-time.Second {
		t.Errorf("it is said to hang after %v, want %v", took, limits.HangBusy)
	}
	play(t, dir, "mute", "")
	r.event(1, "ready")
	r.stop()
}

// A group that was stopped, or a machine that was suspended, has hanged nowhere: the
// clock of silences stands meanwhile.
func TestAPauseOfTheWholeGroupIsNoSilence(t *testing.T) {
	dir := t.TempDir()
	r := start(t, dir, 2, roleHangTime+"=3s") // a busy machine may keep a worker alone from running for a second
	old := r.complete(2)
	for range 2 {
		for _, pid := range append(old, r.pid()) {
			r.kill(pid, syscall.SIGSTOP)
		}
		time.Sleep(4 * time.Second)
		for _, pid := range append([]int{r.pid()}, old...) {
			r.kill(pid, syscall.SIGCONT)
		}
		time.Sleep(time.Second)
	}
	r.pong(0, old[0])
	r.pong(1, old[1])
	r.stop()
	if all := strings.Join(r.seen, "\n"); strings.Contains(all, "hangs") {
		t.Errorf("a worker was said to hang:\n%s", all)
	}
}

func TestTheClockOfSilences(t *testing.T) {
	s := &group{}
	at := time.Now()
	s.live(at)
	for _, step := range []time.Duration{limits.AliveLook, time.Hour, limits.AliveLook} {
		at = at.Add(step)
		s.live(at)
	}
	if want := 4 * limits.AliveLook; s.lived != want {
		t.Errorf("after two ticks and a pause %v have passed, want %v", s.lived, want)
	}
}
