package supervisor

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/sys/unix"

	"kresd/internal/ipc"
	"kresd/internal/limits"
	"kresd/internal/systemd"
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
		*fd = inMemory(t, "left", "")
		defer unix.Close(*fd)
		if _, err := unix.FcntlInt(uintptr(*fd), unix.F_SETFD, 0); err != nil { // it stays open when a program is executed
			t.Fatal(err)
		}
	}
	text, err := json.Marshal(state)
	if err != nil {
		t.Fatal(err)
	}
	leave(t, string(text))
	if left, err := leftGroup(); err != nil || left == nil || os.Getenv(GroupVar) != "" {
		t.Fatalf("%+v, %v", left, err)
	}
	for _, fd := range fds {
		if flags, err := unix.FcntlInt(uintptr(*fd), unix.F_GETFD, 0); err != nil || flags&unix.FD_CLOEXEC == 0 {
			t.Errorf("descriptor %d: flags %d, %v", *fd, flags, err)
		}
	}
}

// A slot whose wait ends while the group comes to rest for the new program starts nothing of
// the old one.
func TestNoWorkerStartsInAnUpgrade(t *testing.T) {
	s := bench(2)
	s.events, s.complete, s.becoming = make(chan func()), true, true
	defer close(s.done)
	s.Workers = &Program{name: "/does/not/exist"} // a try to start it would count as a failure
	w := s.worker(0)
	conn, other, err := ipc.Pair()
	if err != nil {
		t.Fatal(err)
	}
	defer other.Close()
	w.conn = conn
	s.converse(w)
	reading := *w.reading.Load()
	waits := s.slots[1]
	waits.workers = nil
	waits.timer = time.AfterFunc(time.Hour, func() {})
	held := make(chan struct{}) // the worker's messages come to rest, but not before the other slot's wait has ended
	w.reading.Store(&held)
	go func() {
		s.post(func() { s.start(waits) })
		<-reading
		close(held)
	}()
	s.Exec = func(string) error { return errors.New("no such program") }
	s.tryUpgrade()
	if waits.failures != 0 || len(waits.workers) != 0 || waits.timer == nil {
		t.Errorf("the slot has %d workers after %d failures, timer %v", len(waits.workers), waits.failures, waits.timer)
	}
	if got := s.reloads.Errors(); len(got) != 1 || !strings.Contains(got[0], "does not take over: no such program") {
		t.Errorf("the upgrade ended with %q", got)
	}
	conn.Close()
	waits.timer.Stop()
}

// The program of the workers is looked for beside the loop, which goes on meanwhile, and a
// slot that needs it waits. What is not found is looked for again, later each time.
func TestTheLoopDoesNotWaitForTheProgram(t *testing.T) {
	s := bench(2)
	s.events, s.complete = make(chan func()), true
	defer close(s.done)
	s.slots[1].workers = nil
	asked, answer := make(chan struct{}, 9), make(chan error)
	s.Find = func() (*Program, error) { asked <- struct{}{}; return nil, <-answer }
	s.start(s.slots[1])
	s.start(s.slots[1])
	<-asked
	if !s.slots[1].waiting || len(s.slots[1].workers) != 0 {
		t.Errorf("the slot does not wait: %+v", s.slots[1])
	}
	answer <- errors.New("no program")
	event := <-s.events
	event()
	if slot := s.slots[1]; slot.waiting || slot.failures != 1 || slot.timer == nil || len(asked) != 0 {
		t.Errorf("after a failure: %+v, and it was looked for %d times more", slot, len(asked))
	}
	s.slots[1].timer.Stop()
	s.start(s.slots[1])
	if <-asked; !s.finding {
		t.Error("it is not looked for again")
	}
	s.stopping = true
	answer <- nil
	event = <-s.events
	event()
}

// While the new program is executed all that belongs to the group stays open for it; where that
// fails nothing of it is open in programs that are started later, and its description is gone.
func TestAProgramThatCannotTakeOverGetsNothing(t *testing.T) {
	s := bench(2)
	s.secret = []byte("secret")
	s.InForce = kept(t, "config")
	defer s.InForce.Close()
	for _, w := range s.workers() {
		w.conn, _ = link(t)
		w.crash = descriptor(t)[0]
		defer unix.Close(w.crash)
	}
	state, err := s.handOver()
	if err != nil {
		t.Fatal(err)
	}
	stay := func() (n int) {
		for _, fd := range state.descriptors() {
			if flags, err := unix.FcntlInt(uintptr(fd), unix.F_GETFD, 0); err == nil && flags&unix.FD_CLOEXEC == 0 {
				n++
			}
		}
		return n
	}
	if n := stay(); n != 0 {
		t.Fatalf("%d descriptors of the group would stay open in any program", n)
	}
	fails := errors.New("no such program")
	var memory int
	s.Exec = func(variable string) error {
		if n, want := stay(), len(state.descriptors()); n != want {
			t.Errorf("%d descriptors stay open, want all %d", n, want)
		}
		if n, err := fmt.Sscanf(variable, GroupVar+"=%d", &memory); n != 1 || err != nil {
			t.Errorf("the program is told %q", variable)
		}
		text := make([]byte, 1<<16)
		n, err := unix.Pread(memory, text, 0)
		var told handedOver
		if err == nil {
			err = json.Unmarshal(text[:n], &told)
		}
		if err != nil || string(told.Secret) != "secret" || len(told.Workers) != 2 {
			t.Errorf("it reads %+v, %v", told, err)
		}
		return fails
	}
	if err := s.become(); !errors.Is(err, fails) {
		t.Errorf("it ends with %v", err)
	}
	if n := stay(); n != 0 {
		t.Errorf("%d descriptors of the group stay open in any program", n)
	}
	if _, err := unix.FcntlInt(uintptr(memory), unix.F_GETFD, 0); err == nil {
		t.Error("its description is open")
	}
}

// What happens while the group comes to rest keeps the new program from taking over just then.
func TestAGroupThatChangesWhileItComesToRestIsNotHandedOver(t *testing.T) {
	for what, change := range map[string]func(*group){
		"the group ends":             func(s *group) { s.stopping = true },
		"the reload has ended":       func(s *group) { s.becoming = false },
		"a worker drains":            func(s *group) { s.worker(0).become(draining) },
		"a dead one leaves its copy": func(s *group) { s.orphaned[7] = nil },
	} {
		s := bench(1)
		s.events, s.complete, s.becoming = make(chan func()), true, true
		w := s.worker(0)
		var other *ipc.Conn
		w.conn, other = link(t)
		s.converse(w)
		read, carried := *w.reading.Load(), w.carrying
		held := make(chan struct{})
		w.reading.Store(&held)
		go s.post(func() { // while upgrade waits for who reads
			change(s)
			go func() { <-read; close(held) }()
		})
		s.Exec = func(string) error { t.Errorf("%s: the new program is executed", what); return nil }
		if err := s.upgrade(); !errors.Is(err, errNotWhole) {
			t.Errorf("%s: %v", what, err)
		}
		<-read
		<-carried
		if w.carrying == carried || *w.reading.Load() == held {
			t.Errorf("%s: nobody speaks with the worker any more", what)
		}
		for heard := map[ipc.Kind]bool{}; !heard[ipc.Reloads] || !heard[ipc.Roster] && !s.stopping; {
			m, err := other.Receive()
			if err != nil {
				t.Fatalf("%s: the worker hears %v, %v", what, m, err)
			}
			heard[m.Kind] = true
		}
		w.conn.Close()
		<-*w.reading.Load()
		w.orders.close()
		<-w.carrying
		close(s.done)
	}
}

// A new program that cannot take over in time leaves the group as it is, and the reload says
// why; a later reload has its own time.
func TestANewProgramThatCannotTakeOverInTime(t *testing.T) {
	for another, want := range map[bool]int{false: 1, true: 0} {
		synctest.Test(t, func(t *testing.T) {
			s := bench(2)
			s.events, s.complete, s.Program, s.ReadyTime = make(chan func()), true, "/new", limits.ReadyTime
			defer close(s.done)
			s.worker(1).become(draining)
			s.reloads.Ask()
			s.reloads.Begin()
			begun := time.Now()
			s.becomeNew()
			if another {
				s.reloads.End(nil)
				s.reloads.Ask()
				s.reloads.Begin()
			}
			event := <-s.events
			event()
			if took := time.Since(begun); took != limits.ReadyTime {
				t.Errorf("after %v, want %v", took, limits.ReadyTime)
			}
			got := s.reloads.Errors()
			if len(got) != want || s.becoming != another || want > 0 && got[0] != "the new program '/new' does not take over: worker 1 is not ready" {
				t.Errorf("another reload %v: %q, becoming %v", another, got, s.becoming)
			}
		})
	}
}

// What one image of the supervisor hands over is what the next one has.
func TestTheNextImageHasWhatTheOneBeforeHad(t *testing.T) {
	before := bench(2)
	before.secret, before.reloads.Asked, before.reloads.Failed = []byte("secret"), 7, 3
	socket := unixSocket(t)
	before.Sockets = []systemd.Socket{{Kind: systemd.TLS, FD: socket}}
	before.InForce = kept(t, "config")
	defer before.InForce.Close()
	first, second := before.worker(0), before.worker(1)
	workers := map[int]*ipc.Conn{}
	for i, w := range before.workers() {
		w.pid = nobody + i
		w.conn, workers[w.pid] = link(t)
		var file *os.File
		var err error
		if w.crash, file, err = ipc.CrashPipe(); err != nil {
			t.Fatal(err)
		}
		file.Close()
	}
	first.custodian, first.holder, first.asked, first.dir, first.awaited = second, second, true, "/cache", []string{"127.0.0.2:53"}
	first.unconfirmed[7] = true
	second.here = descriptor(t)
	state, err := before.handOver()
	if err != nil {
		t.Fatal(err)
	}
	for i := range state.Workers {
		state.Workers[i].Conn = duplicate(t, state.Workers[i].Conn)
	}
	state.InForce = duplicate(t, state.InForce)
	text, err := json.Marshal(state)
	if err != nil {
		t.Fatal(err)
	}
	var told handedOver
	if err := json.Unmarshal(text, &told); err != nil {
		t.Fatal(err)
	}
	s := &group{events: make(chan func()), done: make(chan struct{}), slots: []*slot{{id: 0}, {id: 1}}}
	s.Find = This
	if s.Sockets, err = told.passed(); err != nil {
		t.Fatal(err)
	}
	if err := s.resume(&told); err != nil {
		t.Fatal(err)
	}
	if len(s.Sockets) != 1 || s.Sockets[0].Kind != systemd.TLS || s.Sockets[0].FD != socket {
		t.Errorf("sockets %+v", s.Sockets)
	}
	if string(s.secret) != "secret" || s.reloads.Asked != 7 || s.reloads.Failed != 3 || !s.complete || !slices.Equal(s.filesInForce(), []string{"config"}) {
		t.Errorf("%q, %+v, complete %v, in force %q", s.secret, s.reloads, s.complete, s.filesInForce())
	}
	one, two := s.worker(0), s.worker(1)
	if one.pid != first.pid || one.custodian != two || one.holder != two || !one.asked || one.dir != "/cache" || !slices.Equal(one.awaited, first.awaited) || !one.unconfirmed[7] || one.crash != first.crash {
		t.Errorf("worker 0: %+v", one)
	}
	if one.state != ready || !one.served || time.Since(one.since) < limits.RestartSoon {
		t.Errorf("worker 0 is in state %d, and passes for one that is ready since %v", one.state, one.since)
	}
	if two.pid != second.pid || two.custodian != nil || two.holder != nil || len(two.unconfirmed) != 0 || !slices.Equal(two.here, second.here) {
		t.Errorf("worker 1: %+v", two)
	}
	for pid, conn := range workers { // and each worker is told how things are
		for heard := map[ipc.Kind]bool{}; !heard[ipc.Reloads] || !heard[ipc.Roster]; {
			m, err := conn.Receive()
			if err != nil {
				t.Fatalf("process %d hears %v", pid, err)
			}
			heard[m.Kind] = true
		}
	}
	close(s.done)
	for _, w := range s.workers() {
		w.conn.Close()
		<-*w.reading.Load()
		w.orders.close()
		<-w.carrying
		ipc.LastWords(w.crash)
		w.closeHere()
	}
	s.InForce.Close()
	s.Sockets[0].File.Close()
}

// duplicate is another number of a descriptor.
func duplicate(t *testing.T, fd int) int {
	t.Helper()
	n, err := unix.FcntlInt(uintptr(fd), unix.F_DUPFD_CLOEXEC, 3)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// A worker whose connection is none is not gone on with.
func TestAWorkerThatIsLeftWithoutAConnection(t *testing.T) {
	s := bench(0)
	s.slots = []*slot{{id: 0}}
	fd := inMemory(t, "left", "")
	if err := s.resume(&handedOver{Workers: []handedWorker{{PID: nobody, Conn: fd, Status: -1}}}); err == nil || !strings.HasPrefix(err.Error(), "connection to worker 0: ") {
		t.Errorf("got %v", err)
	}
	if _, err := unix.FcntlInt(uintptr(fd), unix.F_GETFD, 0); err == nil {
		t.Error("what is no connection is open")
	}
}
