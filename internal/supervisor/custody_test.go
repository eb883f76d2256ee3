package supervisor

import (
	"os"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"kresd/internal/ipc"
	"kresd/internal/limits"
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
	fd, err := unix.MemfdCreate("handed over", unix.MFD_CLOEXEC)
	if err != nil {
		t.Fatal(err)
	}
	return ipc.Descriptors{fd}
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
