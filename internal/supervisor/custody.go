package supervisor

import (
	"time"

	"kresd/internal/ipc"
	"kresd/internal/limits"
)

// Custody of sockets. A worker that is killed leaves queries behind in its
// sockets. They are not lost as long as another process has the sockets open. So
// each worker, as the owner of its sockets, hands copies of them to the
// supervisor, which passes them on to a custodian: another worker that serves.
// The custodian learns of the owner's death from the kernel (the lifeline, the
// first of the descriptors, closes), takes the sockets out of the port group, so
// that new queries go to the living, and answers what is in them.
//
// The supervisor has no part in that moment: frozen, it delays nothing, and no
// copy is in its hands. Only a worker that serves alone has no sibling: the
// supervisor is its custodian, its sockets stay in the port group when it dies,
// orphaned, and go to the next worker that is ready, within limits.HandOverTime.
//
// A custodian confirms each thing it is told about an owner, and tells of the
// owner's death. One that has not confirmed may be frozen, and gets nothing more
// until it has: a socket that it has and does not read from would stay in the
// port group after the owner's death.

// custody is a worker's part in this, as an owner and as a custodian.
type custody struct {
	asked     bool            // the owner has been asked for copies
	custodian *worker         // is to have the copies; nil: the supervisor
	holder    *worker         // the worker that has them
	here      ipc.Descriptors // those that the supervisor has

	unconfirmed map[int]bool // owners, by process, of which it was told something that it has not confirmed
}

// arrangeCustody asks each worker that serves, and whose sockets are not in the
// custody of the right process, for copies of them.
func (s *group) arrangeCustody() {
	if s.stopping {
		return
	}
	serving := s.serving()
	owners := map[*worker]int{} // how many each custodian has
	for _, w := range serving {
		owners[w.custodian]++
	}
	for i, w := range serving {
		chosen := chooseCustodian(serving, i, owners)
		if chosen == nil && len(serving) > 1 || w.asked && chosen == w.custodian {
			continue
		}
		owners[w.custodian]--
		owners[chosen]++
		w.asked, w.custodian = true, chosen
		w.orders.give()
	}
}

// chooseCustodian finds a custodian for the worker at place i: its present one,
// if that serves, or, of those that have confirmed everything, the one with the
// fewest owners.
func chooseCustodian(serving []*worker, i int, owners map[*worker]int) *worker {
	w := serving[i]
	var best *worker
	for n := 1; n < len(serving); n++ {
		candidate := serving[(i+n)%len(serving)]
		if candidate == w.custodian {
			return candidate
		}
		if len(candidate.unconfirmed) == 0 && (best == nil || owners[candidate] < owners[best]) {
			best = candidate
		}
	}
	return best
}

// entrust passes copies of a worker's sockets on to its custodian, in place of
// those that were handed over before.
func (s *group) entrust(w *worker, fds ipc.Descriptors) {
	if s.stopping || w.state != ready {
		fds.Close()
		return
	}
	w.closeHere()
	if w.custodian == nil {
		w.here = fds
	} else {
		w.custodian.orders.keep(w.pid, fds)
		w.custodian.unconfirmed[w.pid] = true
	}
	if old := w.holder; old != nil && old != w.custodian {
		old.orders.keep(w.pid, nil)
	}
	w.holder = w.custodian
}

// closeHere closes the copies that the supervisor has.
func (w *worker) closeHere() {
	w.here.Close()
	w.here = nil
}

// confirmed notes that a custodian has done what it was told about an owner.
func (s *group) confirmed(custodian *worker, owner int) {
	delete(custodian.unconfirmed, owner)
	s.arrangeCustody()
}

// tookOver notes that a custodian has found an owner dead.
func (s *group) tookOver(custodian *worker, owner int) {
	for _, w := range s.workers() {
		if w.pid == owner && w.holder == custodian {
			w.holder = nil // its end, which is still to come, asks for nothing more
		}
	}
	s.confirmed(custodian, owner)
}

// endCustody forgets a worker that has ended, as an owner and as a custodian. If it did not
// end in good order, the copies of its sockets that the supervisor holds are orphaned: they
// go to a sibling that has become ready meanwhile, or wait for the next one.
func (s *group) endCustody(w *worker, orderly bool) {
	if w.holder != nil {
		w.holder.unconfirmed[w.pid] = true // until it tells that it took over
	}
	for _, other := range s.workers() {
		other.loseCustodian(w)
	}
	if len(w.here) == 0 || s.stopping || orderly {
		w.closeHere()
		return
	}
	s.orphaned[w.pid], w.here = w.here, nil
	if serving := s.serving(); len(serving) > 0 {
		s.entrustOrphaned(serving[0])
		return
	}
	time.AfterFunc(limits.HandOverTime, func() { s.post(func() { s.dropOrphaned(w.pid) }) })
}

// loseCustodian makes w do without a custodian that has ended.
func (w *worker) loseCustodian(gone *worker) {
	if w.custodian == gone {
		w.custodian, w.asked = nil, false
	}
	if w.holder == gone {
		w.holder = nil
	}
}

// entrustOrphaned gives all orphaned sockets to w.
func (s *group) entrustOrphaned(w *worker) {
	for owner, fds := range s.orphaned {
		w.orders.keep(owner, fds)
		w.unconfirmed[owner] = true
	}
	clear(s.orphaned)
}

func (s *group) dropOrphaned(owner int) {
	s.orphaned[owner].Close()
	delete(s.orphaned, owner)
}

func (s *group) dropAllOrphaned() {
	for owner := range s.orphaned {
		s.dropOrphaned(owner)
	}
}
