package supervisor

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// replaceProgram puts another file with this program in the place of path.
func replaceProgram(t *testing.T, path string, number int) {
	t.Helper()
	text, err := os.ReadFile(os.Args[0])
	if err == nil {
		err = os.WriteFile(path+".new", fmt.Appendf(text, "%d", number), 0o755)
	}
	if err == nil {
		err = os.Rename(path+".new", path)
	}
	if err != nil {
		t.Fatal(err)
	}
}

// isImage tests that the supervisor runs the file that is at path.
func (r *running) isImage(path string) {
	r.t.Helper()
	there, err := imageOf(path)
	running, failed := imageOf(fmt.Sprintf("/proc/%d/exe", r.pid()))
	if err != nil || failed != nil || there != running {
		r.t.Errorf("the supervisor runs %+v, want %+v; %v, %v", running, there, err, failed)
	}
}

// The new program goes on with the group: the same workers until it replaces them, and a
// death of one of them is told like any.
func TestTheNewProgramTakesTheGroupOver(t *testing.T) {
	for _, count := range []int{1, 3} {
		dir := t.TempDir()
		program := filepath.Join(dir, "program")
		replaceProgram(t, program, 0)
		r := start(t, dir, count, roleProgram+"="+program)
		r.complete(count)
		for round := 1; round < 4; round++ {
			replaceProgram(t, program, round)
			r.kill(r.pid(), syscall.SIGHUP)
			r.expect("the new one takes over")
			r.expect("rolling restart is complete", fmt.Sprint("replaced=", count))
			r.isImage(program)
			r.settled(count)
		}
		last := r.serving(0)
		r.kill(last, syscall.SIGKILL)
		r.expect(fmt.Sprintf("worker 0 (pid %d) was ended by a signal (killed)", last))
		r.event(0, "ready")
		r.stop()
	}
}

// A worker that ends while the new program is about to take over delays it until another
// serves.
func TestAWorkerEndsInAnUpgrade(t *testing.T) {
	dir := t.TempDir()
	program := filepath.Join(dir, "program")
	replaceProgram(t, program, 0)
	r := start(t, dir, 3, roleProgram+"="+program)
	old := r.complete(3)
	for round := range 8 {
		replaceProgram(t, program, round+1)
		r.kill(r.pid(), syscall.SIGHUP)
		time.Sleep(time.Duration(round) * time.Millisecond) // another moment each time
		_ = syscall.Kill(old[1], syscall.SIGKILL)           // it may have ended just now
		r.expect("rolling restart is complete")
		r.isImage(program)
		r.settled(3)
		old[1] = r.serving(1)
	}
	r.stop()
}

// serving is the process of a worker's number that was ready last.
func (r *running) serving(id int) (pid int) {
	for _, l := range r.seen {
		var n, p int
		if k, _ := fmt.Sscanf(l, "%d %d ready", &n, &p); k == 2 && n == id && strings.HasSuffix(l, "ready") {
			pid = p
		}
	}
	return pid
}

// What is wrong with the configuration keeps the new program away.
func TestAMistakeKeepsTheOldProgram(t *testing.T) {
	dir := t.TempDir()
	program := filepath.Join(dir, "program")
	replaceProgram(t, program, 0)
	r := start(t, dir, 2, roleProgram+"="+program)
	old := r.complete(2)
	replaceProgram(t, program, 1)
	play(t, dir, "mistakes", "config:3:no")
	r.kill(r.pid(), syscall.SIGHUP)
	r.expect("the configuration in force stays: config:3:no")
	r.pong(0, old[0])
	os.Remove(filepath.Join(dir, "mistakes"))
	r.kill(r.pid(), syscall.SIGHUP)
	r.expect("rolling restart is complete", "replaced=2")
	r.isImage(program)
	r.stop()
}
