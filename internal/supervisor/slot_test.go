package supervisor

import (
	"os/exec"
	"testing"
	"time"

	"kresd/internal/ipc"
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
