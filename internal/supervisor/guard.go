package supervisor

import (
	"time"

	"kresd/internal/ipc"
	"kresd/internal/limits"
)

// A worker that is killed leaves queries behind in its sockets. They are not
// lost as long as somebody else has the sockets open, so each worker hands
// copies to the supervisor, which passes them on to a guardian: another worker
// that serves. The guardian learns of the death from the kernel (the lifeline,
// the first of the descriptors, closes), takes the sockets out of the port
// group, so that new queries go to the living, and answers what is in them.
//
// The supervisor has no part in that moment: frozen, it delays nothing, and no
// copy is in its hands. Only a worker that serves alone has nobody: its sockets
// stay here, in the port group, and go to the next worker that is ready, within
// limits.HandOverTime.
//
// A guardian that has not confirmed what it was given, or the death of one in
// its care, may be frozen, and gets nothing more until it has: what it does not
// read from stays in the port group.

// guarding is a worker's part in this, as the one that is guarded and as a
// guardian.
type guarding struct {
	asked    bool   // has been asked for its sockets
	guardian *child // gets them; nil: the supervisor
	keeper   *child // has them now
	held     ipc.Descriptors

	owes map[int]bool // processes about which it is to say something
}

// guard asks each worker that serves, and whose sockets are in the wrong hands,
// for its sockets.
func (s *group) guard() {
	if s.stopping {
		return
	}
	serving := s.serving()
	wards := map[*child]int{}
	for _, c := range serving {
		wards[c.guardian]++
	}
	for i, c := range serving {
		g := choose(serving, i, wards)
		if g == nil && len(serving) > 1 || c.asked && g == c.guardian {
			continue
		}
		wards[c.guardian]--
		wards[g]++
		c.asked, c.guardian = true, g
		c.out.give()
	}
}

// choose finds a guardian for the worker at place i: its present one, if that
// serves, or of those that owe nothing the one with the fewest wards.
func choose(serving []*child, i int, wards map[*child]int) *child {
	c := serving[i]
	var best *child
	for n := 1; n < len(serving); n++ {
		g := serving[(i+n)%len(serving)]
		if g == c.guardian {
			return g
		}
		if len(g.owes) == 0 && (best == nil || wards[g] < wards[best]) {
			best = g
		}
	}
	return best
}

// serving lists the workers that serve, in the order of their numbers.
func (s *group) serving() (list []*child) {
	for _, slot := range s.slots {
		if c := slot.child; c != nil && c.ready && !c.stopping {
			list = append(list, c)
		}
	}
	return list
}

// handOver passes a worker's sockets on to its guardian, in place of those that
// were handed over before.
func (s *group) handOver(slot *slot, c *child, fds ipc.Descriptors) {
	if s.stopping || c.stopping || slot.child != c {
		fds.Close()
		return
	}
	c.dropHeld()
	if c.guardian == nil {
		c.held = fds
	} else {
		c.guardian.out.guard(c.pid, fds)
		c.guardian.owes[c.pid] = true
	}
	if old := c.keeper; old != nil && old != c.guardian {
		old.out.guard(c.pid, nil)
	}
	c.keeper = c.guardian
}

func (c *child) dropHeld() {
	c.held.Close()
	c.held = nil
}

// taken notes that g has found process pid dead.
func (s *group) taken(g *child, pid int) {
	delete(g.owes, pid)
	for _, slot := range s.slots {
		if c := slot.child; c != nil && c.pid == pid && c.keeper == g {
			c.keeper = nil // its end, which is still to come, asks for nothing more
		}
	}
	s.guard()
}

// release forgets a worker that has ended. What is held of one that did not end
// in good order goes to a sibling that has become ready meanwhile, or waits for
// the next.
func (s *group) release(c *child, orderly bool) {
	if c.keeper != nil {
		c.keeper.owes[c.pid] = true
	}
	for _, slot := range s.slots {
		if other := slot.child; other != nil {
			other.forget(c)
		}
	}
	fds := c.held
	c.held = nil
	if len(fds) == 0 || s.stopping || orderly {
		fds.Close()
		return
	}
	s.orphans[c.pid] = fds
	if serving := s.serving(); len(serving) > 0 {
		s.adopt(serving[0])
		return
	}
	time.AfterFunc(limits.HandOverTime, func() { s.post(func() { s.dropOrphan(c.pid) }) })
}

// forget makes c do without g.
func (c *child) forget(g *child) {
	if c.guardian == g {
		c.guardian, c.asked = nil, false
	}
	if c.keeper == g {
		c.keeper = nil
	}
}

// adopt gives what dead workers left to c.
func (s *group) adopt(c *child) {
	for pid, fds := range s.orphans {
		c.out.guard(pid, fds)
		c.owes[pid] = true
	}
	clear(s.orphans)
}

func (s *group) dropOrphan(pid int) {
	s.orphans[pid].Close()
	delete(s.orphans, pid)
}

func (s *group) dropOrphans() {
	for pid := range s.orphans {
		s.dropOrphan(pid)
	}
}
