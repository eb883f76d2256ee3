package supervisor

import (
	"os"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/sys/unix"

	"kresd/internal/ipc"
	"kresd/internal/limits"
	"kresd/internal/memfile"
)

// bench is a group of workers that are ready and of which no process exists.
func bench(n int) *group {
	s := &group{orphaned: map[int]ipc.Descriptors{}, done: make(chan struct{})}
	for id := range n {
		s.slots = append(s.slots, &slot{id: id})
		s.arrive(id, 100+id)
	}
	return s
}

// arrive adds a worker that is ready.
func (s *group) arrive(id, pid int) *worker {
	w := newWorker(s.slots[id], pid)
	w.become(ready)
	s.slots[id].workers = append(s.slots[id].workers, w)
	return w
}

func (s *group) worker(id int) *worker { return s.slots[id].in(ready) }

// settle has every worker that was asked hand something over, and every custodian
// but the frozen confirm, until nobody is asked any more.
func settle(t *testing.T, s *group, frozen *worker) {
	t.Helper()
	s.arrangeCustody()
	for range 100 {
		busy := false
		for _, slot := range s.slots {
			for _, m := range heard(slot.in(ready), frozen) {
				busy = true
				if m.Kind == ipc.Give {
					s.message(slot.in(ready), ipc.Message{Kind: ipc.Sockets, FDs: descriptor(t)})
				} else {
					s.message(slot.in(ready), ipc.Message{Kind: ipc.Kept, PID: m.PID})
				}
			}
		}
		if !busy {
			return
		}
	}
	t.Fatal("there is no end of it")
}

// heard is what a worker has heard now.
func heard(c, frozen *worker) []ipc.Message {
	if c == nil || c == frozen {
		return nil
	}
	list, _ := c.orders.take()
	for _, m := range list {
		m.FDs.Close()
	}
	return list
}

func descriptor(t *testing.T) ipc.Descriptors {
	t.Helper()
	return ipc.Descriptors{inMemory(t, "handed over", "")}
}

// inMemory is a descriptor of a file in memory with a text. It is closed when a program is
// executed.
func inMemory(t *testing.T, name, text string) (fd int) {
	t.Helper()
	f, err := memfile.New(name)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if _, err = f.WriteString(text); err != nil {
		t.Fatal(err)
	}
	if fd, err = unix.FcntlInt(f.Fd(), unix.F_DUPFD_CLOEXEC, 0); err != nil {
		t.Fatal(err)
	}
	return fd
}

// die ends a worker's process and starts the next one.
func (s *group) die(id int) {
	old := s.worker(id)
	s.slots[id].workers = nil
	old.orders.close()
	s.endCustody(old, false)
	s.arrangeCustody()
	next := s.arrive(id, old.pid+1000)
	s.entrustOrphaned(next)
	s.arrangeCustody()
}

// handed counts what descriptor made and nobody closed.
func handed(t *testing.T) (n int) {
	t.Helper()
	list, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range list {
		if to, _ := os.Readlink("/proc/self/fd/" + e.Name()); strings.Contains(to, "handed over") {
			n++
		}
	}
	return n
}

func TestEveryWorkerHasACustodian(t *testing.T) {
	s := bench(4)
	settle(t, s, nil)
	for _, slot := range s.slots {
		c := slot.in(ready)
		if c.holder == nil || c.holder == c || c.holder != c.custodian || c.here != nil {
			t.Errorf("worker %d: custodian %p, holder %p, here %v", slot.id, c.custodian, c.holder, c.here)
		}
	}
	for range 50 {
		s.die(1)
		findDead(s, nil)
		settle(t, s, nil)
		s.die(2)
		findDead(s, nil)
		settle(t, s, nil)
		for _, slot := range s.slots {
			if c := slot.in(ready); c.holder == nil || c.holder != c.custodian || c.holder != s.slots[slotOf(s, c.holder)].in(ready) {
				t.Fatalf("worker %d is in the hands of nobody, or of the dead", slot.id)
			}
		}
	}
	if n := handed(t); n != 0 {
		t.Errorf("%d descriptors are open that nobody needs", n)
	}
}

// findDead has every custodian but the frozen say that it found its owners dead.
func findDead(s *group, frozen *worker) {
	for _, slot := range s.slots {
		for pid := range slot.in(ready).unconfirmed {
			if slot.in(ready) != frozen {
				s.message(slot.in(ready), ipc.Message{Kind: ipc.TookOver, PID: pid})
			}
		}
	}
}

func slotOf(s *group, c *worker) int {
	for _, slot := range s.slots {
		if slot.in(ready) == c {
			return slot.id
		}
	}
	return 0
}

// A custodian that finds its owner dead before the supervisor does has nothing more to say of
// it.
func TestACustodianThatKnowsFirst(t *testing.T) {
	s := bench(2)
	settle(t, s, nil)
	owner, holder := s.worker(0), s.worker(1)
	s.message(holder, ipc.Message{Kind: ipc.TookOver, PID: owner.pid})
	if owner.holder != nil {
		t.Error("it has the sockets still")
	}
	s.slots[0].workers = nil
	if s.endCustody(owner, false); len(holder.unconfirmed) != 0 {
		t.Errorf("it has yet to confirm %v", holder.unconfirmed)
	}
	heard(holder, nil)
}

// Only who had the dead worker for a custodian does without one.
func TestWhoLosesACustodian(t *testing.T) {
	s := bench(3)
	gone, left, other := s.worker(0), s.worker(1), s.worker(2)
	left.custodian, left.holder, left.asked = gone, gone, true
	other.custodian, other.holder, other.asked = left, left, true
	s.slots[0].workers = nil
	s.endCustody(gone, true)
	if left.custodian != nil || left.holder != nil || left.asked {
		t.Errorf("%p has the dead one for its custodian", left)
	}
	if other.custodian != left || other.holder != left || !other.asked {
		t.Errorf("another one has lost its own: %p, %p, asked %v", other.custodian, other.holder, other.asked)
	}
}

// Who has fewer owners is chosen, also among those that are chosen at one time.
func TestCustodiansShareTheOwners(t *testing.T) {
	s := bench(4)
	s.worker(1).unconfirmed[7] = true // it may be frozen
	s.arrangeCustody()
	for id, want := range []int{2, 3, 0, 0} {
		if w := s.worker(id); w.custodian != s.worker(want) || !w.asked {
			t.Errorf("worker %d has process %d for its custodian, want worker %d", id, pidOf(w.custodian), want)
		}
	}
	for _, w := range s.workers() {
		heard(w, nil)
	}
	if s.arrangeCustody(); len(heard(s.worker(0), nil)) != 0 {
		t.Error("who has a custodian is asked again")
	}
}

// A custodian that is frozen keeps what it has; what comes afterwards goes to
// those that confirm.
func TestFrozenCustodianGetsNoMore(t *testing.T) {
	s := bench(3)
	settle(t, s, nil)
	frozen := s.worker(0).custodian
	var owner int
	for _, slot := range s.slots {
		if slot.in(ready) != frozen && slot.in(ready).custodian == frozen {
			owner = slot.id
		}
	}
	for range 20 {
		s.die(owner)
		findDead(s, frozen)
		settle(t, s, frozen)
	}
	if len(frozen.unconfirmed) != 1 {
		t.Errorf("the frozen custodian has not confirmed %d things, want one", len(frozen.unconfirmed))
	}
	if g := s.worker(owner).holder; g == nil || g == frozen {
		t.Error("the killed worker's successor has no custodian that is awake")
	}
	list, _ := frozen.orders.take()
	for _, m := range list {
		if m.Kind == ipc.Keep && len(m.FDs) > 0 {
			t.Errorf("the frozen custodian was sent sockets of process %d", m.PID)
		}
		m.FDs.Close()
	}
}

func TestLoneWorkersSocketsWait(t *testing.T) {
	s := bench(1)
	settle(t, s, nil)
	if c := s.worker(0); len(c.here) != 1 || c.holder != nil {
		t.Fatalf("the supervisor has %v, holder %p", c.here, c.holder)
	}
	old := s.worker(0)
	s.slots[0].workers = nil
	s.endCustody(old, true)
	if len(s.orphaned) != 0 {
		t.Error("a worker that ended in good order has left something")
	}
	s.slots[0].workers = []*worker{old}
	s.entrust(old, descriptor(t))
	s.orphaned[7] = descriptor(t)
	s.dropAllOrphaned()
	old.closeHere()
	if n := handed(t); n != 0 || len(s.orphaned) != 0 {
		t.Errorf("%d descriptors are open that nobody needs", n)
	}
}

// Copies that come when a worker serves no more, or the group is about to end, are let go.
func TestCopiesThatComeTooLateAreLetGo(t *testing.T) {
	for what, change := range map[string]func(*group){
		"the worker drains": func(s *group) { s.worker(0).become(draining) },
		"the group ends":    func(s *group) { s.stopping = true },
	} {
		s := bench(2)
		settle(t, s, nil)
		w, sibling := s.worker(0), s.worker(1)
		change(s)
		s.message(w, ipc.Message{Kind: ipc.Sockets, FDs: descriptor(t)})
		if list := heard(sibling, nil); len(list) > 0 || len(w.here) > 0 {
			t.Errorf("%s: the sibling hears %v", what, list)
		}
		if n := handed(t); n != 0 {
			t.Errorf("%s: %d descriptors are open that nobody needs", what, n)
		}
	}
}

// What the supervisor has of a worker that has ended goes to who serves, waits for who will,
// or goes nowhere.
func TestWhereTheSocketsOfALoneWorkerGo(t *testing.T) {
	for _, c := range []struct {
		what                   string
		sibling, orderly, ends bool
		hears, waits           int
	}{
		{"nobody serves", false, false, false, 0, 1}, {"a sibling has become ready", true, false, false, 1, 0},
		{"it ended in good order", true, true, false, 0, 0}, {"the group ends", true, false, true, 0, 0},
	} {
		s := bench(1)
		defer close(s.done)
		s.slots = append(s.slots, &slot{id: 1})
		w := s.worker(0)
		w.here = descriptor(t)
		s.slots[0].workers = nil
		if c.sibling {
			s.arrive(1, 900)
		}
		s.stopping = c.ends
		s.endCustody(w, c.orderly)
		list, sibling := []ipc.Message(nil), s.worker(1)
		if list = heard(sibling, nil); len(list) != c.hears || len(s.orphaned) != c.waits || sibling != nil && len(sibling.unconfirmed) != c.hears {
			t.Errorf("%s: the sibling hears %v, and %d wait", c.what, list, len(s.orphaned))
		}
		if n := handed(t); n != c.waits {
			t.Errorf("%s: %d descriptors are open, want %d", c.what, n, c.waits)
		}
		s.dropOrphaned(w.pid)
		if n := handed(t); n != 0 || len(s.orphaned) != 0 {
			t.Errorf("%s: %d descriptors are open when the time of those that wait is over", c.what, n)
		}
	}
}

// What a lone worker leaves in its sockets waits for the next one, and no longer than a client
// would.
func TestSocketsThatNobodyTakesAreLetGo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := bench(1)
		s.events = make(chan func())
		defer close(s.done)
		w := s.worker(0)
		w.here = descriptor(t)
		s.slots[0].workers = nil
		s.endCustody(w, false)
		time.Sleep(limits.HandOverTime - 1)
		if n := handed(t); n != 1 {
			t.Errorf("%d descriptors wait, want one", n)
		}
		event := <-s.events
		event()
		if n := handed(t); n != 0 || len(s.orphaned) != 0 {
			t.Errorf("%d descriptors are open after their time", n)
		}
		if late := time.Since(w.since); late != limits.HandOverTime {
			t.Errorf("they were let go after %v, want %v", late, limits.HandOverTime)
		}
	})
}

// That an owner is dead counts only if its custodian says so, and a group that ends asks for
// no copies.
func TestWhoseWordCountsInCustody(t *testing.T) {
	s := bench(3)
	settle(t, s, nil)
	owner := s.worker(0)
	holder := owner.holder
	for _, w := range s.workers() {
		if w != holder {
			s.message(w, ipc.Message{Kind: ipc.TookOver, PID: owner.pid})
		}
	}
	if owner.holder != holder {
		t.Error("somebody else than its custodian said that an owner is dead, and was believed")
	}
	s.message(owner, ipc.Message{Kind: ipc.Changed})
	if list := heard(owner, nil); len(list) != 1 || list[0].Kind != ipc.Give {
		t.Errorf("a worker whose sockets have changed hears %v", kinds(list))
	}
	s.stopping = true
	s.message(owner, ipc.Message{Kind: ipc.Changed})
	if list := heard(owner, nil); len(list) != 0 {
		t.Errorf("when the group ends it hears %v", kinds(list))
	}
}

func TestOrdersThatAreClosedKeepNothingOpen(t *testing.T) {
	o := newOrders()
	o.keep(1, descriptor(t))
	o.keep(1, descriptor(t))
	o.keep(2, descriptor(t))
	o.close()
	o.keep(3, descriptor(t))
	if n := handed(t); n != 0 {
		t.Errorf("%d descriptors are open that nobody needs", n)
	}
}

// A worker that asks for reloads and reads nothing does not fill the supervisor.
func TestAnswersToAWorkerThatDoesNotReadAreBounded(t *testing.T) {
	o := newOrders()
	for n := range 10 * limits.RequestsAsked {
		o.answer(ipc.Accepted, n, n)
	}
	list, _ := o.take()
	if len(list) != limits.RequestsAsked || list[len(list)-1].Ticket != 10*limits.RequestsAsked-1 {
		t.Errorf("%d answers wait, the last of ticket %d", len(list), list[len(list)-1].Ticket)
	}
}
