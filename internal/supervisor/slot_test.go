package supervisor

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"
	"time"

	"kresd/internal/ipc"
	"kresd/internal/limits"
	"kresd/internal/logging"
)

// A worker only goes forward.
func TestWorkersGoForward(t *testing.T) {
	all := []state{starting, ready, draining, gone}
	for i, from := range all {
		for j, to := range all {
			w := &worker{state: from}
			if got := w.become(to); got != (j > i) {
				t.Errorf("from state %d to %d: %t, want %t", from, to, got, j > i)
			}
			if want := all[max(i, j)]; w.state != want {
				t.Errorf("from state %d to %d: state %d, want %d", from, to, w.state, want)
			}
			if want := from == starting && to == ready; w.served != want {
				t.Errorf("from state %d to %d: served %t, want %t", from, to, w.served, want)
			}
		}
	}
}

// heardOf empties a worker's orders and tells what they were.
func heardOf(w *worker) (roster []ipc.Member, drain bool) {
	for _, m := range heard(w, nil) {
		switch m.Kind {
		case ipc.Roster:
			roster = m.Members
		case ipc.Drain:
			drain = true
		}
	}
	return roster, drain
}

// beside adds a successor that is starting.
func (s *group) beside(id, pid int) *worker {
	w := newWorker(s.slots[id], pid)
	s.slots[id].workers = append(s.slots[id].workers, w)
	return w
}

func TestSuccessorTakesThePlaceWhenItIsReady(t *testing.T) {
	s := bench(2)
	s.complete = true
	settle(t, s, nil)
	old, sibling := s.worker(0), s.worker(1)
	successor := s.beside(0, 900)
	s.tellRoster()
	for _, w := range s.workers() {
		if roster, drain := heardOf(w); len(roster) != 2 || roster[0].PID != old.pid || drain {
			t.Errorf("while the successor is starting process %d hears roster %v, drain %t", w.pid, roster, drain)
		}
	}
	s.message(successor, ipc.Message{Kind: ipc.Ready})
	for _, w := range s.workers() {
		roster, drain := heardOf(w)
		if len(roster) != 2 || roster[0] != (ipc.Member{ID: 0, PID: 900}) || roster[1].PID != sibling.pid || drain != (w == old) {
			t.Errorf("when the successor is ready process %d hears roster %v, drain %t", w.pid, roster, drain)
		}
	}
	if old.state != draining || s.worker(0) != successor {
		t.Errorf("states %d of the predecessor and %d of the successor", old.state, successor.state)
	}
}

// Ready from a successor that was given up comes too late: its predecessor serves
// on.
func TestReadyAfterDrainChangesNothing(t *testing.T) {
	s := bench(1)
	s.complete = true
	settle(t, s, nil)
	old, successor := s.worker(0), s.beside(0, 900)
	defer old.closeHere()
	s.late(successor)
	if _, drain := heardOf(successor); !drain {
		t.Error("the successor that is late was not told to drain")
	}
	s.message(successor, ipc.Message{Kind: ipc.Ready})
	if _, drain := heardOf(old); drain || s.worker(0) != old || successor.state != draining {
		t.Errorf("drain %t, states %d and %d; want the predecessor to serve on", drain, old.state, successor.state)
	}
}

// Who serves has custody of a worker's sockets; successors that are starting and
// predecessors that drain have no part in it.
func TestCustodyFollowsAReplacement(t *testing.T) {
	s := bench(2)
	s.complete = true
	settle(t, s, nil)
	old, sibling := s.worker(0), s.worker(1)
	successor := s.beside(0, 900)
	settle(t, s, nil)
	if sibling.holder != old || successor.asked || successor.custodian != nil {
		t.Fatal("a successor that is starting has a part in custody")
	}
	s.message(successor, ipc.Message{Kind: ipc.Ready})
	settle(t, s, nil)
	if sibling.holder != successor || successor.holder != sibling {
		t.Error("the successor has no part in custody")
	}
	s.message(old, ipc.Message{Kind: ipc.Sockets, FDs: descriptor(t)}) // sent before it was told to drain
	old.become(gone)
	s.slots[0].workers = []*worker{successor}
	old.orders.close()
	s.endCustody(old, true)
	for _, w := range s.serving() {
		heard(w, nil)
	}
	if n := handed(t); n != 0 {
		t.Errorf("%d descriptors are open that nobody needs", n)
	}
}

// A lone worker's sockets, of which the supervisor is the custodian, are let go
// when it drains, and its successor's come instead.
func TestCustodyOfALoneWorkerFollowsItsReplacement(t *testing.T) {
	s := bench(1)
	s.complete = true
	settle(t, s, nil)
	old, successor := s.worker(0), s.beside(0, 900)
	if len(old.here) != 1 {
		t.Fatal("the supervisor is not the custodian of a lone worker")
	}
	s.message(successor, ipc.Message{Kind: ipc.Ready})
	if len(old.here) != 0 {
		t.Error("the supervisor keeps the sockets of a worker that drains")
	}
	settle(t, s, nil)
	if len(successor.here) != 1 {
		t.Error("the supervisor is not the custodian of the successor")
	}
	successor.closeHere()
	if n := handed(t); n != 0 {
		t.Errorf("%d descriptors are open that nobody needs", n)
	}
}

// A worker that ends is nobody's custodian any more, and what its own custodian
// has yet to say about it is waited for.
func TestEndOfAWorkerEndsItsCustody(t *testing.T) {
	s := bench(2)
	defer close(s.done)
	s.complete = true
	settle(t, s, nil)
	old, sibling := s.worker(0), s.worker(1)
	conn, file, err := ipc.Pair()
	if err != nil {
		t.Fatal(err)
	}
	file.Close()
	old.conn = conn
	killed := exec.Command("false")
	_ = killed.Run()
	s.ended(old, ending{state: killed.ProcessState})
	if sibling.custodian != nil || sibling.holder != nil || !sibling.unconfirmed[old.pid] {
		t.Errorf("the sibling has custodian %p, holder %p, and is to confirm %v", sibling.custodian, sibling.holder, sibling.unconfirmed)
	}
	if len(s.slots[0].workers) != 0 || s.slots[0].timer == nil || old.state != gone {
		t.Errorf("the slot has workers %v and timer %v, the old one state %d", s.slots[0].workers, s.slots[0].timer, old.state)
	}
}

// The time of a successor that was ready in it has no meaning any more.
func TestTimeOfASuccessorThatIsReadyRunsOut(t *testing.T) {
	s := bench(1)
	w := s.worker(0)
	s.late(w)
	if _, drain := heardOf(w); drain || w.state != ready {
		t.Errorf("drain %t, state %d; want a worker that serves on", drain, w.state)
	}
}

// A cache is suspect by the death of a worker that nobody follows yet, and by
// that of a successor; not by a predecessor's whose successor serves from it.
func TestWhoseFaultsMakeACacheSuspect(t *testing.T) {
	crash := exec.Command("sh", "-c", "exit 2")
	_ = crash.Run()
	how := ending{crash.ProcessState, "SIGSEGV: segmentation violation\n"}
	for _, c := range []struct {
		what           string
		served, beside bool
		want           string
	}{
		{"a worker alone", true, false, "/cache"},
		{"a worker that starts alone", false, false, "/cache"},
		{"a successor", false, true, "/cache"},
		{"a predecessor", true, true, ""},
	} {
		s := bench(1)
		s.faults = map[string][]time.Time{}
		if !c.beside {
			s.slots[0].workers = nil
		}
		w := newWorker(s.slots[0], 900)
		w.state, w.served, w.dir = gone, c.served, "/cache"
		s.noteFault(w, how)
		if got := s.slots[0].suspectDir; got != c.want || len(s.faults["/cache"]) != 1 {
			t.Errorf("%s: suspect is %q after %d faults, want %q after one", c.what, got, len(s.faults["/cache"]), c.want)
		}
	}
}

// What ends a worker each time soon after it is ready takes neither a core nor the log for
// itself: it is started again later each time, and the log says so. So it is where the system
// kills it each time, for the memory that it takes.
func TestAWorkerThatEndsAgainAndAgainIsStartedLaterEachTime(t *testing.T) {
	for says, how := range map[string]ending{
		"crashed (panic: no)":             {words: "panic: no"},
		"was ended by a signal (killed)":  endingOf(t, "kill -KILL $$", ""),
		"was ended by a signal (aborted)": endingOf(t, "kill -ABRT $$", ""),
	} {
		s := bench(2)
		s.events, s.complete = make(chan func()), true
		defer close(s.done)
		var log bytes.Buffer
		s.Log = logging.New(logging.Options{Out: &log})
		ends := func(lived time.Duration, want string) {
			t.Helper()
			w := s.arrive(1, 101)
			w.since = time.Now().Add(-lived)
			w.become(gone)
			s.slots[1].workers = nil
			log.Reset()
			s.follow(w, how)
			if s.slots[1].timer == nil {
				t.Fatal("it is not started again")
			}
			s.slots[1].timer.Stop()
			s.slots[1].timer = nil
			if got := log.String(); !strings.Contains(got, "worker 1 (pid 101) "+says+"; "+want) {
				t.Errorf("%q lacks %q", got, says+"; "+want)
			}
		}
		s.slots[1].workers = nil
		const atOnce = "it is started again and runs the configuration again\n"
		soon := func(delays ...time.Duration) {
			t.Helper()
			ends(0, atOnce)
			for n, delay := range delays {
				ends(0, fmt.Sprintf("it has ended %d times in a row after less than 1s of service and is started again in %v\n", n+2, delay))
			}
			ends(2*limits.RestartSoon, atOnce)
		}
		const ms = time.Millisecond
		soon(100*ms, 200*ms, 400*ms, 800*ms, 1600*ms, 3200*ms, 5*time.Second, 5*time.Second)
		s.slots[0].workers = nil // nobody else serves
		soon(100*ms, 200*ms, 400*ms, 800*ms, time.Second, time.Second)
	}
}

// The end of a worker in a group that ends is followed by nothing.
func TestNothingFollowsInAGroupThatEnds(t *testing.T) {
	for _, stopping := range []bool{false, true} {
		s := bench(2)
		defer close(s.done)
		log := &bytes.Buffer{}
		s.complete, s.stopping, s.Log = true, stopping, logging.New(logging.Options{Out: log})
		var died []int
		s.Died = func(pid int) { died = append(died, pid) }
		w := s.worker(0)
		w.conn, _ = link(t)
		w.configuration = kept(t, "config")
		handedOver := w.configuration
		s.ended(w, endingOf(t, "exit 3", ""))
		if (s.slots[0].timer != nil) == stopping || (log.Len() == 0) != stopping {
			t.Errorf("stopping %v: a start is to come: %v; log:\n%s", stopping, s.slots[0].timer != nil, log)
		}
		if !slices.Equal(died, []int{w.pid}) || w.state != gone || len(s.slots[0].workers) != 0 {
			t.Errorf("stopping %v: died %v, state %d", stopping, died, w.state)
		}
		if err := handedOver.Close(); !errors.Is(err, os.ErrClosed) {
			t.Errorf("stopping %v: what it has handed over is open", stopping)
		}
		if timer := s.slots[0].timer; timer != nil {
			timer.Stop()
		}
	}
}

// What follows the end of a worker depends on how far it had come, on who else is there, and
// on how it ended.
func TestWhatFollowsTheEndOfAWorker(t *testing.T) {
	for _, c := range []struct {
		what     string
		change   func(s *group, w *worker)
		script   string
		says     string // "": nothing
		starts   bool   // another one, after a while
		failures int
		ends     bool // the group
	}{
		{"one that served", func(_ *group, w *worker) { w.served = true }, "exit 3", "ended with status 3; it is started again and runs the configuration again", true, 0, false},
		{"one that was to be given up, and ended in order", func(_ *group, w *worker) { w.outdated = true }, "exit 0", "", true, 0, false},
		{"one that was to be given up, and fell", func(_ *group, w *worker) { w.outdated = true }, "exit 3", "ended with status 3 before it was ready; next try in 50ms", true, 1, false},
		{"one that was late", func(_ *group, w *worker) { w.late = true }, "exit 0", "was not ready in time; next try in 50ms", true, 1, false},
		{"one that gave up", func(_ *group, w *worker) { w.fatal = "no" }, "exit 1", "gave up before it was ready: no; next try in 50ms", true, 1, false},
		{"one that its configuration ended, in a complete group", func(*group, *worker) {}, "exit 0", "ended with status 0 before it was ready; next try in 50ms", true, 1, false},
		{"one that its configuration ended", func(s *group, _ *worker) { s.complete = false }, "exit 0", "the configuration ended the worker, and so the group", false, 0, true},
		{"a predecessor that ended in order", func(s *group, w *worker) { w.served = true; s.beside(0, 900) }, "exit 0", "", false, 0, false},
		{"a predecessor that fell", func(s *group, w *worker) { w.served = true; s.beside(0, 900) }, "exit 3", "ended with status 3; its successor is there or on its way", false, 0, false},
		{"a successor", func(s *group, _ *worker) { s.arrive(0, 900) }, "exit 3", "worker 0 (pid 900) serves on: its successor ended with status 3", false, 0, false},
		{"a successor that was to be given up", func(s *group, w *worker) { w.outdated = true; s.arrive(0, 900) }, "exit 3", "", false, 0, false},
	} {
		s := bench(2)
		defer close(s.done)
		log := &bytes.Buffer{}
		s.complete, s.Log = true, logging.New(logging.Options{Out: log})
		slot := s.slots[0]
		slot.workers = nil
		w := newWorker(slot, 100)
		w.state = gone
		c.change(s, w)
		s.follow(w, endingOf(t, c.script, ""))
		if !strings.Contains(log.String(), c.says) || (log.Len() == 0) != (c.says == "") {
			t.Errorf("%s: log:\n%s, want %q", c.what, log, c.says)
		}
		if (slot.timer != nil) != c.starts || slot.failures != c.failures || s.stopping != c.ends {
			t.Errorf("%s: a start is to come: %v, %d failures, the group ends: %v", c.what, slot.timer != nil, slot.failures, s.stopping)
		}
		if slot.timer != nil {
			slot.timer.Stop()
		}
	}
}
