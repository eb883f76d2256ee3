package supervisor

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"kresd/internal/ipc"
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
	there, err := fileStateOf(path)
	running, failed := fileStateOf(fmt.Sprintf("/proc/%d/exe", r.pid()))
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

// A slot that waits for its next try does not keep the new program away, which may be the
// remedy: it tries at once.
func TestASlotInBackOffDoesNotKeepAnUpgradeAway(t *testing.T) {
	for _, file := range []string{"fatal", "hang"} {
		t.Run(file, func(t *testing.T) {
			dir := t.TempDir()
			program := filepath.Join(dir, "program")
			replaceProgram(t, program, 0)
			r := start(t, dir, 3, roleProgram+"="+program)
			old := r.complete(3)
			play(t, dir, file, "1")
			r.kill(old[1], syscall.SIGKILL)
			if file == "fatal" {
				for range 6 { // the wait is long by now
					r.expect("worker 1 gave up", "next try in")
				}
			} else {
				r.event(1, "start")
			}
			replaceProgram(t, program, 1)
			r.kill(r.pid(), syscall.SIGHUP)
			r.expect("the new one takes over")
			os.Remove(filepath.Join(dir, file))
			r.expect("rolling restart is complete")
			r.isImage(program)
			r.settled(3)
			r.stop()
		})
	}
}

// The pipe for last words belongs to a worker until the loop has heard of its end: what is
// handed over under its number is never somebody else's file.
func TestTheCrashPipeIsOpenUntilTheEndIsHeardOf(t *testing.T) {
	s := &group{events: make(chan func()), done: make(chan struct{}), orphaned: map[int]ipc.Descriptors{}, faults: map[string][]time.Time{}}
	defer close(s.done)
	s.stopping = true
	s.slots = []*slot{{id: 0}}
	cmd := exec.Command("true")
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	w := newWorker(s.slots[0], cmd.Process.Pid)
	var err error
	var file *os.File
	if w.crash, file, err = ipc.CrashPipe(); err != nil {
		t.Fatal(err)
	}
	file.Close()
	conn, other, err := ipc.Pair()
	if err != nil {
		t.Fatal(err)
	}
	other.Close()
	read := make(chan struct{})
	close(read)
	w.conn, w.process = conn, cmd.Process
	w.reading.Store(&read)
	go s.wait(w)
	event := <-s.events
	if _, err := unix.FcntlInt(uintptr(w.crash), unix.F_GETFD, 0); err != nil {
		t.Errorf("before the loop has heard of the end: %v", err)
	}
	event()
	if _, err := unix.FcntlInt(uintptr(w.crash), unix.F_GETFD, 0); err == nil {
		t.Error("after it the pipe is open still")
	}
}

// Nothing of a group that was handed over is open in a program that is started then.
func TestNothingOfALeftGroupLeaks(t *testing.T) {
	state := handedOver{Workers: []handedWorker{{Status: -1}}}
	fds := []*int{&state.Workers[0].Conn, &state.Workers[0].Crash}
	for _, fd := range fds {
		n, err := unix.MemfdCreate("left", 0) // stays open when a program is executed
		if err != nil {
			t.Fatal(err)
		}
		defer unix.Close(n)
		*fd = n
	}
	text, err := json.Marshal(state)
	if err != nil {
		t.Fatal(err)
	}
	memory, err := unix.MemfdCreate("group", 0)
	if err == nil {
		_, err = unix.Write(memory, text)
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Setenv(GroupVar, fmt.Sprint(memory))
	if left, err := leftGroup(); err != nil || left == nil || os.Getenv(GroupVar) != "" {
		t.Fatalf("%+v, %v", left, err)
	}
	for _, fd := range fds {
		if flags, err := unix.FcntlInt(uintptr(*fd), unix.F_GETFD, 0); err != nil || flags&unix.FD_CLOEXEC == 0 {
			t.Errorf("descriptor %d: flags %d, %v", *fd, flags, err)
		}
	}
}
