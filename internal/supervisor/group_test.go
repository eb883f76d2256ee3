package supervisor

import (
	"bytes"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"kresd/internal/ipc"
	"kresd/internal/limits"
	"kresd/internal/logging"
	"kresd/internal/systemd"
)

// manager is a service manager that a group tells how it is; heard is what it was told since.
func manager(t *testing.T, s *group) (heard func() string) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "notify")
	fd, err := unix.Socket(unix.AF_UNIX, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { unix.Close(fd) })
	if err := unix.Bind(fd, &unix.SockaddrUnix{Name: path}); err != nil {
		t.Fatal(err)
	}
	t.Setenv("NOTIFY_SOCKET", path)
	s.Notify = systemd.NewNotifier()
	return func() string {
		var all []string
		for b := make([]byte, 4096); ; {
			n, err := unix.Read(fd, b)
			if err != nil {
				return strings.Join(all, "\n")
			}
			all = append(all, string(b[:n]))
		}
	}
}

// A group that cannot start says why once. Where another try may succeed, the service manager
// keeps for it what is in force.
func TestAGroupFailsOnce(t *testing.T) {
	for _, passing := range []bool{true, false} {
		s := bench(2)
		defer close(s.done)
		heard := manager(t, s)
		var lines []string
		s.Fail = func(line string) { lines = append(lines, line) }
		s.orphaned[7] = descriptor(t)
		s.slots[0].timer = time.AfterFunc(time.Hour, func() {})
		s.fail("no room", passing)
		s.fail("no more room", !passing)
		s.stop(3)
		if len(lines) != 1 || lines[0] != "no room" || s.status != 1 || !s.stopping || s.passing != passing {
			t.Errorf("it says %q, status %d, stopping %v, passing %v", lines, s.status, s.stopping, s.passing)
		}
		if told := heard(); strings.Contains(told, "FDSTOREREMOVE=1") == passing || strings.Count(told, "STOPPING=1") != 1 {
			t.Errorf("passing %v: the manager hears\n%s", passing, told)
		}
		if s.slots[0].timer.Stop() {
			t.Error("a start is still to come")
		}
		if n := handed(t); n != 0 {
			t.Errorf("%d descriptors are open that nobody needs", n)
		}
		for _, w := range s.workers() {
			if _, drain := heardOf(w); !drain {
				t.Errorf("process %d is not told to drain", w.pid)
			}
		}
	}
}

// A signal to end ends the group, and a second one does not wait for it; one to reload is
// remembered until the group is complete, and means nothing when it ends. Others mean nothing.
func TestWhichSignalsMeanSomething(t *testing.T) {
	s := bench(1)
	defer close(s.done)
	log := &bytes.Buffer{}
	s.Log = logging.New(logging.Options{Out: log})
	s.signal(syscall.SIGUSR1)
	if log.Len() > 0 || s.stopping || s.reloads.Asked != 0 {
		t.Errorf("SIGUSR1: %s", log)
	}
	s.signal(syscall.SIGHUP) // the group is not complete yet
	if s.reloads.Asked != 1 || s.reloads.Begun != 0 {
		t.Errorf("SIGHUP: %+v", s.reloads)
	}
	s.signal(syscall.SIGQUIT)
	if s.signal(syscall.SIGHUP); !s.stopping || s.status != 0 || s.reloads.Asked != 1 {
		t.Errorf("SIGQUIT, SIGHUP: stopping %v, status %d, %+v", s.stopping, s.status, s.reloads)
	}
	s.slots[0].workers = nil // which had no process
	if s.signal(syscall.SIGTERM); s.status != 128+int(syscall.SIGTERM) {
		t.Errorf("a second one: status %d", s.status)
	}
}

// What workers say of themselves is remembered until their end.
func TestWhatWorkersSay(t *testing.T) {
	s := bench(2)
	defer close(s.done)
	w, sibling := s.worker(0), s.worker(1)
	fds := descriptor(t)
	s.message(w, ipc.Message{Kind: ipc.Cache, Dir: "/cache", FDs: fds}) // which are nobody's
	s.message(w, ipc.Message{Kind: ipc.Fatal, Line: "no"})
	if s.message(w, ipc.Message{Kind: ipc.Unfit}); w.dir != "/cache" || w.fatal != "no" || !w.unfit {
		t.Errorf("%q, %q, %v", w.dir, w.fatal, w.unfit)
	}
	if n := handed(t); n != 0 {
		t.Errorf("%d descriptors are open that nobody needs", n)
	}
	s.lived = time.Hour
	if s.message(w, ipc.Message{Kind: ipc.Alive}); w.alive != (aliveness{spoke: true, heard: time.Hour}) {
		t.Errorf("%+v", w.alive)
	}
	s.message(w, ipc.Message{Kind: ipc.Stopping})
	if roster, drain := heardOf(sibling); w.state != draining || len(roster) != 1 || roster[0].ID != 1 || drain {
		t.Errorf("state %d, the sibling hears %v, drain %v", w.state, roster, drain)
	}
	if _, drain := heardOf(w); drain {
		t.Error("who leaves of its own accord is told to")
	}
	s.message(sibling, ipc.Message{Kind: ipc.Bind, Ticket: 5, Addr: "nonsense"})
	if list := heard(sibling, nil); len(list) == 0 || list[0].Kind != ipc.Bound || list[0].Ticket != 5 || list[0].Number != int(syscall.EINVAL) {
		t.Errorf("who asks for a socket hears %+v", list)
	}
	s.message(sibling, ipc.Message{Kind: ipc.Reload, Ticket: 6})
	var accepted *ipc.Message
	for _, m := range heard(sibling, nil) {
		if m.Kind == ipc.Accepted {
			accepted = &m
		}
	}
	if accepted == nil || accepted.Ticket != 6 || accepted.Number != 1 {
		t.Errorf("who asks for a reload hears %+v", accepted)
	}
}

// A worker that ended before it was ready is tried again while others serve, later each time;
// a group that was never complete ends by its first reason, or after some tries.
func TestWhenAWorkerIsTriedAgain(t *testing.T) {
	const last = limits.StartAttempts - 1
	for _, c := range []struct {
		what     string
		complete bool
		serve    bool
		failures int
		fatal    string
		says     string // "": it is tried again
	}{
		{"the first try", false, false, 0, "", ""}, {"the last but one", false, false, last - 1, "", ""},
		{"the last one", false, false, last, "", "worker 1 was started 5 times and never became ready; the last time it fell"},
		{"a reason", false, false, 0, "config:3", "config:3"}, {"a reason, while others serve", true, true, last + 5, "config:3", ""},
		{"many tries, while others serve", true, true, last + 5, "", ""}, {"tries before nobody serves", true, false, last - 1, "config:3", ""},
		{"many tries, and nobody serves", true, false, last, "config:3", "config:3"},
		{"many tries of a group that was never complete", false, true, last, "", "worker 1 was started 5 times and never became ready; the last time it fell"},
	} {
		s := bench(2)
		defer close(s.done)
		var lines []string
		s.Fail = func(line string) { lines = append(lines, line) }
		s.complete = c.complete
		if !c.serve {
			s.slots[0].workers = nil
		}
		slot := s.slots[1]
		slot.workers, slot.failures = nil, c.failures
		s.orphaned[7] = descriptor(t)
		s.unready(slot, c.fatal, "fell", " down", false)
		if slot.failures != c.failures+1 || strings.Join(lines, "\n") != c.says || s.stopping != (c.says != "") || (slot.timer != nil) != (c.says == "") {
			t.Errorf("%s: %d failures, said %q, stopping %v, a start to come: %v", c.what, slot.failures, lines, s.stopping, slot.timer != nil)
		}
		if n := handed(t); n != 0 {
			t.Errorf("%s: %d descriptors are open that nobody needs", c.what, n)
		}
		if slot.timer != nil {
			slot.timer.Stop()
		}
	}
}

// Deaths by a memory fault are remembered for a time, by the caches that were open.
func TestOldFaultsAreForgotten(t *testing.T) {
	s := bench(1)
	now := time.Now()
	s.faults = map[string][]time.Time{
		"/cache": {now.Add(-limits.QuarantineWindow - time.Minute), now.Add(-limits.QuarantineWindow + time.Minute)},
		"/other": {now},
	}
	if got := len(s.recentFaults("/cache")); got != 1 {
		t.Errorf("%d faults", got)
	}
	w := newWorker(s.slots[0], 900)
	how := endingOf(t, "kill -BUS $$", "")
	if s.noteFault(w, how); len(s.faults) != 2 {
		t.Errorf("without a cache: %v", s.faults)
	}
	w.dir = "/other"
	if s.noteFault(w, endingOf(t, "exit 1", "")); len(s.faults["/other"]) != 1 {
		t.Errorf("without a fault: %v", s.faults)
	}
	if s.noteFault(w, how); len(s.faults["/other"]) != 2 {
		t.Errorf("after a fault: %v", s.faults)
	}
}

// Of what is left by another image only what can be understood is taken over.
func TestAGroupThatCannotBeTakenOver(t *testing.T) {
	for _, slot := range []int{-1, 2} {
		s := bench(2)
		if err := s.resume(&handedOver{Workers: []handedWorker{{Slot: slot}}}); err == nil || !strings.Contains(err.Error(), "is left by another image of the supervisor") {
			t.Errorf("worker %d: %v", slot, err)
		}
	}
	for _, text := range []string{"x", "999999"} {
		t.Setenv(GroupVar, text)
		if left, err := leftGroup(); err == nil || !strings.Contains(err.Error(), GroupVar) || left != nil || os.Getenv(GroupVar) != "" {
			t.Errorf("%s: %v, %v", text, left, err)
		}
	}
	if left, err := leftGroup(); left != nil || err != nil {
		t.Errorf("where there is none: %v, %v", left, err)
	}
}

// All that belongs to a group is handed over with it.
func TestWhatIsHandedOver(t *testing.T) {
	s := bench(3)
	s.secret = []byte("secret")
	s.InForce = kept(t, "config")
	defer s.InForce.Close()
	s.Sockets = []systemd.Socket{{Kind: systemd.DNS, FD: 91}}
	s.reloads.Ask()
	w, custodian, holder := s.worker(0), s.worker(1), s.worker(2)
	for _, w := range s.workers() {
		w.conn, _ = link(t)
		w.crash = 92
	}
	w.custodian, w.holder, w.asked, w.dir, w.here, w.awaited = custodian, holder, true, "/cache", ipc.Descriptors{93}, []string{"127.0.0.2:53"}
	w.unconfirmed[7] = true
	status, err := os.Open("/proc/self/status")
	if err != nil {
		t.Fatal(err)
	}
	defer status.Close()
	w.status = status
	state, err := s.handOver()
	if err != nil {
		t.Fatal(err)
	}
	h := state.Workers[0]
	if h.Slot != 0 || h.PID != w.pid || h.Custodian != custodian.pid || h.Holder != holder.pid || !h.Asked || h.Dir != "/cache" ||
		len(h.Awaited) != 1 || len(h.Unconfirmed) != 1 || h.Unconfirmed[0] != 7 || h.Crash != 92 || h.Status != int(status.Fd()) || state.Workers[1].Status != -1 {
		t.Errorf("worker 0: %+v", h)
	}
	if state.Reloads.Asked != 1 || string(state.Secret) != "secret" || state.InForce != int(s.InForce.Fd()) {
		t.Errorf("%+v", state)
	}
	var conns []int
	for _, w := range s.workers() {
		if err := w.conn.WithFD(func(fd int) { conns = append(conns, fd) }); err != nil {
			t.Fatal(err)
		}
	}
	want := []int{91, int(s.InForce.Fd()), conns[0], 92, 93, int(status.Fd()), conns[1], 92, conns[2], 92}
	if got := state.descriptors(); !slices.Equal(got, want) {
		t.Errorf("descriptors %v, want %v", got, want)
	}
	w.conn.Close()
	if _, err := s.handOver(); err != errNotWhole {
		t.Errorf("with a worker that has just ended: %v", err)
	}
	s.Exec = func(string) error { t.Error("the new program is executed"); return nil }
	if err := s.become(); err != errNotWhole {
		t.Errorf("with a worker that has just ended: %v", err)
	}
}

// Why a group cannot be handed over.
func TestAGroupThatIsNotSettled(t *testing.T) {
	for want, change := range map[string]func(*group){
		"": func(s *group) {
			s.slots[0].workers = nil // it waits for its next try
			s.slots[0].timer = time.AfterFunc(time.Hour, func() {})
		},
		"worker 0 is not ready":      func(s *group) { s.slots[0].workers = nil },
		"worker 1 is not ready":      func(s *group) { s.worker(1).become(draining) },
		"worker 1 is being replaced": func(s *group) { s.beside(1, 900) },
		"what waits in a dead worker's sockets has yet to be answered": func(s *group) { s.orphaned[7] = nil },
	} {
		s := bench(2)
		if change(s); s.unsettled() != want || s.whole() != (want == "") {
			t.Errorf("%q, want %q", s.unsettled(), want)
		}
		if timer := s.slots[0].timer; timer != nil {
			timer.Stop()
		}
	}
}
