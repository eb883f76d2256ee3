package supervisor

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"kresd/internal/limits"
)

// event waits for a line that a worker of that number says, and returns the
// worker's process.
func (r *running) event(id int, what string) (pid int) {
	r.t.Helper()
	line := r.expect(fmt.Sprintf("%d ", id), " "+what)
	var got int
	if n, _ := fmt.Sscanf(line, "%d %d "+what, &got, &pid); n != 2 || got != id {
		return r.event(id, what) // of another number that ends alike
	}
	return pid
}

// place is where a line stands in what has been seen, -1 where it does not.
func (r *running) place(line string) int {
	for i, l := range r.seen {
		if l == line {
			return i
		}
	}
	return -1
}

// inOrder tests that lines were seen, each after the one before it.
func (r *running) inOrder(lines ...string) {
	r.t.Helper()
	last := -1
	for _, line := range lines {
		at := r.place(line)
		if at <= last {
			r.t.Errorf("line %q has place %d, want it after place %d of the line before it, in:\n%s", line, at, last, strings.Join(r.seen, "\n"))
			return
		}
		last = at
	}
}

// children counts the processes that the supervisor has, the dead among them.
func (r *running) children() (n int) {
	r.t.Helper()
	stats, _ := filepath.Glob("/proc/[0-9]*/stat")
	for _, path := range stats {
		b, _ := os.ReadFile(path)
		_, rest, _ := strings.Cut(string(b), ") ")
		var state string
		var parent int
		if fmt.Sscan(rest, &state, &parent); parent == r.pid() {
			n++
		}
	}
	return n
}

// settled waits until the supervisor has just that many children.
func (r *running) settled(count int) {
	r.t.Helper()
	end := time.Now().Add(patience)
	for r.children() != count {
		if time.Now().After(end) {
			r.t.Fatalf("%d children, want %d; output:\n%s", r.children(), count, strings.Join(r.seen, "\n"))
		}
		time.Sleep(5 * time.Millisecond)
	}
}

// pong tests that a worker is awake.
func (r *running) pong(id, pid int) {
	r.t.Helper()
	r.kill(pid, syscall.SIGUSR1)
	if got := r.event(id, "pong"); got != pid {
		r.t.Errorf("worker %d: process %d answers, want %d", id, got, pid)
	}
}

// stop ends the group.
func (r *running) stop() {
	r.t.Helper()
	r.kill(r.pid(), syscall.SIGTERM)
	if status := r.end(); status != 0 {
		r.t.Errorf("status %d after SIGTERM, want 0", status)
	}
}

func TestSIGHUPReplacesOneWorkerAfterTheOther(t *testing.T) {
	for _, count := range []int{1, 3} {
		r := start(t, t.TempDir(), count)
		old := r.complete(count)
		r.kill(r.pid(), syscall.SIGHUP)
		r.expect("rolling restart is complete", fmt.Sprint("replaced=", count))
		next := make([]int, count)
		for id := range next {
			for _, l := range r.seen {
				var pid int
				if n, _ := fmt.Sscanf(l, fmt.Sprint(id, " %d start"), &pid); n == 1 && strings.HasSuffix(l, "start") {
					next[id] = pid
				}
			}
		}
		var members, order []string
		for id, pid := range next {
			members = append(members, fmt.Sprintf("{%d %d}", id, pid))
			order = append(order, fmt.Sprintf("%d %d start", id, pid),
				fmt.Sprintf("[system] a worker is replaced worker=%d pid=%d predecessor=%d", id, pid, old[id]),
				fmt.Sprintf("%d %d drain", id, old[id]), fmt.Sprint("died ", old[id]))
		}
		r.inOrder(order...)
		roster := fmt.Sprintf("roster [%s]", strings.Join(members, " "))
		for id, pid := range next {
			line := fmt.Sprintf("%d %d %s", id, pid, roster)
			for r.place(line) < 0 {
				r.expect("roster")
			}
			r.pong(id, pid)
		}
		r.settled(count)
		r.stop()
	}
}

// A roster never has two workers of one number, nor fewer than the group has.
func TestRostersOfARollingRestartAreWhole(t *testing.T) {
	r := start(t, t.TempDir(), 2)
	r.complete(2)
	begun := len(r.seen)
	r.kill(r.pid(), syscall.SIGHUP)
	r.expect("rolling restart is complete")
	r.stop()
	for _, l := range r.seen[begun:] {
		if strings.Contains(l, "stopping") {
			break
		}
		if strings.Contains(l, "roster") && (strings.Count(l, "{0 ") != 1 || strings.Count(l, "{1 ") != 1) {
			t.Errorf("roster in a rolling restart: %s", l)
		}
	}
}

func TestFailingSuccessorLeavesItsPredecessorServing(t *testing.T) {
	for file, says := range map[string]string{
		"fatal":      "gave up: config:3: bad option",
		"crash":      "ended with status 3",
		"quit":       "ended with status 0",
		"startfault": "crashed (",
	} {
		t.Run(file, func(t *testing.T) {
			dir := t.TempDir()
			r := start(t, dir, 3)
			old := r.complete(3)
			play(t, dir, file, "1")
			r.kill(r.pid(), syscall.SIGHUP)
			r.expect("a worker is replaced", "worker=0")
			r.expect(fmt.Sprintf("worker 1 (pid %d) serves on: its successor %s", old[1], says), "the rolling restart ends with 1 of 3 workers replaced")
			r.settled(3)
			r.pong(1, old[1])
			r.pong(2, old[2])

			os.Remove(filepath.Join(dir, file))
			r.kill(r.pid(), syscall.SIGHUP)
			if file == "startfault" {
				r.event(1, "suspect 1:/cache")
			}
			r.expect("rolling restart is complete", "replaced=3")
			r.settled(3)
			r.stop()
		})
	}
}

// However often successors fail, the group serves on and starts no other.
func TestSuccessorsThatFailAreNotCounted(t *testing.T) {
	dir := t.TempDir()
	r := start(t, dir, 1)
	old := r.complete(1)
	play(t, dir, "crash", "0")
	for range limits.StartAttempts + 1 {
		r.kill(r.pid(), syscall.SIGHUP)
		r.expect("serves on: its successor ended with status 3")
		r.settled(1)
	}
	os.Remove(filepath.Join(dir, "crash"))
	r.kill(old[0], syscall.SIGKILL)
	r.expect("it is started again")
	r.event(0, "ready")
	r.stop()
}

func TestSuccessorThatIsNotReadyInTimeIsGivenUp(t *testing.T) {
	dir := t.TempDir()
	r := start(t, dir, 2, roleReadyTime+"=200ms")
	old := r.complete(2)
	play(t, dir, "hang", "0")
	r.kill(r.pid(), syscall.SIGHUP)
	successor := r.event(0, "start")
	if pid := r.event(0, "drain"); pid != successor {
		t.Errorf("process %d was told to drain, want the successor, %d", pid, successor)
	}
	r.expect(fmt.Sprintf("worker 0 (pid %d) serves on: its successor was not ready in time", old[0]), "0 of 2")
	r.settled(2)
	r.pong(0, old[0])

	play(t, dir, "stubborn", "0") // it does not end by itself either
	r.kill(r.pid(), syscall.SIGHUP)
	successor = r.event(0, "start")
	r.expect("killing a worker", fmt.Sprint("pid=", successor))
	r.expect("its successor was not ready in time", "0 of 2")
	r.settled(2)
	r.pong(0, old[0])
	os.Remove(filepath.Join(dir, "hang"))
	os.Remove(filepath.Join(dir, "stubborn"))
	r.stop()
}

func TestSuccessorOfAWorkerThatDiesGoesOn(t *testing.T) {
	for _, sig := range []syscall.Signal{syscall.SIGKILL, syscall.SIGTERM} {
		dir := t.TempDir()
		const ready = 4 * time.Second // the race detector takes one to end a process
		r := start(t, dir, 2, roleReadyTime+"="+ready.String())
		old := r.complete(2)
		play(t, dir, "hang", "0")
		r.kill(r.pid(), syscall.SIGHUP)
		successor := r.event(0, "start")
		r.kill(old[0], sig)
		r.expect(fmt.Sprint("died ", old[0]))
		r.expect("rolling restart is complete", "replaced=1") // of the other worker
		time.Sleep(ready + 2*limits.RestartGap)               // a third process, which there must not be, would start
		r.settled(2)
		os.Remove(filepath.Join(dir, "hang"))
		if pid := r.event(0, "ready"); pid != successor {
			t.Errorf("process %d took the place after %v, want the successor, %d", pid, sig, successor)
		}
		r.expect(fmt.Sprintf("roster [{0 %d} {1 ", successor))
		r.stop()
	}
}

// When both are lost the slot begins again as after any death.
func TestSuccessorThatDiesAfterItsPredecessorIsStartedAgain(t *testing.T) {
	dir := t.TempDir()
	r := start(t, dir, 2)
	old := r.complete(2)
	play(t, dir, "hang", "0")
	r.kill(r.pid(), syscall.SIGHUP)
	successor := r.event(0, "start")
	r.kill(old[0], syscall.SIGKILL)
	r.expect("its successor is there or on its way")
	r.kill(successor, syscall.SIGKILL)
	r.expect("worker 0", "before it was ready; next try in")
	os.Remove(filepath.Join(dir, "hang"))
	r.expect("roster [{0 ")
	r.settled(2)
	r.stop()
}

func TestGroupThatIsToldToEndInAReplacement(t *testing.T) {
	dir := t.TempDir()
	r := start(t, dir, 2)
	old := r.complete(2)
	play(t, dir, "hang", "0")
	r.kill(r.pid(), syscall.SIGHUP)
	successor := r.event(0, "start")
	r.kill(r.pid(), syscall.SIGHUP) // what is asked for meanwhile does not matter any more
	r.stop()
	for _, line := range []string{fmt.Sprintf("0 %d drain", old[0]), fmt.Sprintf("0 %d drain", successor), fmt.Sprintf("1 %d drain", old[1])} {
		if r.place(line) < 0 {
			t.Errorf("no line %q", line)
		}
	}
	if n := strings.Count(strings.Join(r.seen, "\n"), " start\n"); n != 3 {
		t.Errorf("%d processes were started, want 3", n)
	}
}

func TestSupervisorThatIsKilledInAReplacementTakesAllAlong(t *testing.T) {
	dir := t.TempDir()
	r := start(t, dir, 2)
	r.complete(2)
	play(t, dir, "hang", "1")
	r.kill(r.pid(), syscall.SIGHUP)
	r.expect("a worker is replaced", "worker=0")
	r.event(1, "start")
	r.kill(r.pid(), syscall.SIGKILL)
	r.end()
}

// What is asked for while a reload is under way is one more reload, which replaces those
// too that the first one has started: they may have read the configuration before it was
// changed.
func TestSIGHUPsInAReloadAreOneMore(t *testing.T) {
	dir := t.TempDir()
	r := start(t, dir, 2)
	r.complete(2)
	play(t, dir, "hang", "1")
	r.kill(r.pid(), syscall.SIGHUP)
	first := r.event(0, "ready")
	successor := r.event(1, "start")
	for range 20 {
		r.kill(r.pid(), syscall.SIGHUP)
		r.expect("SIGHUP: another reload follows the present one")
		time.Sleep(time.Millisecond)
	}
	r.kill(successor, syscall.SIGKILL)
	r.expect("serves on: its successor", "the rolling restart ends with 1 of 2 workers replaced")
	if pid := r.event(0, "drain"); pid != first {
		t.Errorf("process %d drains, want %d, which the first SIGHUP has started", pid, first)
	}
	os.Remove(filepath.Join(dir, "hang"))
	r.expect("rolling restart is complete", "replaced=2")
	r.settled(2)
	r.stop()
	if n := strings.Count(strings.Join(r.seen, "\n"), "rolling restart is complete"); n != 1 {
		t.Errorf("%d rolling restarts were complete, want 1", n)
	}
}

func TestSIGHUPWaitsUntilTheGroupIsComplete(t *testing.T) {
	dir := t.TempDir()
	play(t, dir, "hang", "1")
	r := start(t, dir, 2)
	first := r.event(0, "ready")
	second := r.event(1, "start")
	r.kill(r.pid(), syscall.SIGHUP)
	r.expect("SIGHUP")
	os.Remove(filepath.Join(dir, "hang"))
	r.expect("all workers are ready")
	r.expect("rolling restart is complete", "replaced=2")
	r.inOrder(fmt.Sprintf("0 %d drain", first), fmt.Sprintf("1 %d drain", second))
	r.settled(2)
	r.stop()
}

// A worker that is starting anyway serves nobody, but may have read the old
// configuration.
func TestSIGHUPStartsAWorkerThatIsStartingAgain(t *testing.T) {
	dir := t.TempDir()
	r := start(t, dir, 2)
	old := r.complete(2)
	play(t, dir, "hang", "1")
	r.kill(old[1], syscall.SIGKILL)
	stuck := r.event(1, "start")
	r.kill(r.pid(), syscall.SIGHUP)
	if pid := r.event(1, "drain"); pid != stuck {
		t.Errorf("process %d drains, want %d", pid, stuck)
	}
	os.Remove(filepath.Join(dir, "hang"))
	r.event(1, "ready")
	r.settled(2)
	r.stop()
}

func TestPredecessorThatDoesNotEndIsKilledInTime(t *testing.T) {
	dir := t.TempDir()
	r := start(t, dir, 2)
	old := r.complete(2)
	play(t, dir, "stubborn", "0")
	r.kill(r.pid(), syscall.SIGHUP)
	r.expect("a worker is replaced", "worker=0")
	begun := time.Now()
	r.expect("killing a worker", fmt.Sprint("pid=", old[0]))
	if took := time.Since(begun); took < limits.DrainTime-time.Second {
		t.Errorf("killed after %v, want %v", took, limits.DrainTime)
	}
	r.expect("rolling restart is complete", "replaced=2")
	os.Remove(filepath.Join(dir, "stubborn"))
	r.settled(2)
	r.stop()
}

// A cache from which the successor serves is suspect no more.
func TestFaultOfAPredecessorThatItsSuccessorSurvives(t *testing.T) {
	dir := t.TempDir()
	r := start(t, dir, 2)
	old := r.complete(2)
	play(t, dir, "hang", "0")
	r.kill(r.pid(), syscall.SIGHUP)
	successor := r.event(0, "start")
	play(t, dir, "fault", "0")
	r.kill(old[0], syscall.SIGUSR1)
	r.expect("crashed (", "its successor is there or on its way")
	os.Remove(filepath.Join(dir, "hang"))
	r.event(0, "ready")
	if !strings.Contains(strings.Join(r.seen, "\n"), "rolling restart is complete") { // either comes first
		r.expect("rolling restart is complete")
	}
	r.kill(successor, syscall.SIGKILL)
	r.event(0, "ready")
	r.stop()
	if n := strings.Count(strings.Join(r.seen, "\n"), "rolling restart is complete"); n != 1 {
		t.Errorf("the rolling restart was complete %d times", n)
	}
	if strings.Contains(strings.Join(r.seen, "\n"), "suspect") {
		t.Errorf("a process was warned of the cache:\n%s", strings.Join(r.seen, "\n"))
	}
}

// A group of which a later successor has failed serves as a whole, and the rest of it is
// replaced at a later try, without anybody's asking.
func TestAHalfReplacedGroupIsCompletedLater(t *testing.T) {
	dir := t.TempDir()
	r := start(t, dir, 3)
	old := r.complete(3)
	play(t, dir, "fatal", "1")
	r.kill(r.pid(), syscall.SIGHUP)
	r.expect(fmt.Sprintf("worker 1 (pid %d) serves on: its successor gave up", old[1]), "1 of 3 workers replaced; the workers that are left are tried again in 1s")
	r.expect(fmt.Sprintf("worker 1 (pid %d) serves on: its successor gave up", old[1]), "tried again in 2s")
	for id := 1; id < 3; id++ {
		r.pong(id, old[id])
	}
	os.Remove(filepath.Join(dir, "fatal"))
	r.expect("a worker is replaced worker=1", fmt.Sprint("predecessor=", old[1]))
	r.expect("a worker is replaced worker=2", fmt.Sprint("predecessor=", old[2]))
	r.expect("the workers that a reload had left are replaced, too")
	r.settled(3)
	r.kill(r.pid(), syscall.SIGHUP) // it counts for itself
	r.expect("rolling restart is complete", "replaced=3")
	r.settled(3)
	r.stop()
	if n := strings.Count(strings.Join(r.seen, "\n"), "a worker is replaced"); n != 6 {
		t.Errorf("%d workers were replaced, want 3 by the first reload and its tries and 3 by the second", n)
	}
}

// A reload that begins takes over what an earlier one has left.
func TestAReloadTakesOverWhatIsLeft(t *testing.T) {
	dir := t.TempDir()
	r := start(t, dir, 2)
	r.complete(2)
	play(t, dir, "fatal", "1")
	r.kill(r.pid(), syscall.SIGHUP)
	r.expect("tried again in 1s")
	os.Remove(filepath.Join(dir, "fatal"))
	r.kill(r.pid(), syscall.SIGHUP)
	r.expect("rolling restart is complete", "replaced=2")
	time.Sleep(2 * limits.RollRetryMin)
	r.settled(2)
	r.stop()
	if all := strings.Join(r.seen, "\n"); strings.Contains(all, "had left are replaced") || strings.Count(all, "a worker is replaced") != 3 {
		t.Errorf("somebody was replaced once more:\n%s", all)
	}
}

// A reload does without a successor that began before it, to replace what an earlier one has
// left: it neither awaits that, nor fails with it.
func TestAReloadDoesNotFailWithARetryOfTheOneBefore(t *testing.T) {
	dir := t.TempDir()
	r := start(t, dir, 2)
	old := r.complete(2)
	play(t, dir, "fatal", "1")
	r.kill(r.pid(), syscall.SIGHUP)
	r.expect("tried again in 1s")
	play(t, dir, "hang", "1")
	os.Remove(filepath.Join(dir, "fatal"))
	stuck := r.event(1, "start")
	r.kill(r.pid(), syscall.SIGHUP)
	if pid := r.event(1, "drain"); pid != stuck {
		t.Errorf("process %d drains, want the successor %d of %d", pid, stuck, old[1])
	}
	os.Remove(filepath.Join(dir, "hang"))
	r.expect("rolling restart is complete", "replaced=2")
	r.settled(2)
	r.stop()
	if n := strings.Count(strings.Join(r.seen, "\n"), "serves on: its successor"); n != 1 {
		t.Errorf("a successor failed %d times, want only that of the first reload", n)
	}
}
