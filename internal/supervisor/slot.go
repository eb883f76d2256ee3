package supervisor

import (
	"fmt"
	"slices"
	"time"

	"kresd/internal/limits"
	"kresd/internal/wording"
)

// A slot is a worker's number, which outlives its processes. It has room for two
// of them, so that a worker is replaced without a gap: its successor starts
// beside it, and it leaves when the successor is ready.
//
// A worker is in one of four states, and only goes forward; it may leave out any
// but the last:
//
//	starting   it runs its configuration, and may have begun to listen
//	ready      it serves and its control socket is open: it has said Ready
//	draining   it leaves the port group, answers what it has accepted, and ends: it
//	           was told Drain, or has said Stopping of its own accord
//	gone       its process has ended and was waited for; it is in no slot any more
//
// At most one worker of a slot is ready. That one stands in the roster under the
// slot's number, has a custodian for its sockets and may be one; a successor that
// is starting hears the roster and does not stand in it. What the changes mean
// for a slot, by the workers that it has:
//
//	none                a start is to come, at the latest when the program is found,
//	                    unless worker 0 has yet to be ready once
//	starting            its end before it is ready delays the next start, longer each time.
//	                    One that is not ready in time is told to drain; while nobody of
//	                    the group serves, the group ends
//	ready               its end is followed by the next start at once; where it comes soon
//	                    after it was ready, again and again, later each time
//	draining            as ready: the next start comes after its end
//	ready, starting     a replacement. When the successor is ready the predecessor is
//	                    told to drain. When the successor ends before, or is not
//	                    ready in time and so told to drain, the predecessor serves
//	                    on. So it does when a reload begins meanwhile, which tells the
//	                    successor to drain and then replaces the predecessor. When the predecessor ends or drains by itself, the
//	                    successor is a worker like any that starts
//	draining, ready     a replacement that has succeeded: the end of the predecessor
//	                    is followed by nothing
//	draining, starting  as starting
//	ready, draining     a successor that was not ready in time, or that a reload did
//	                    without: see above
//
// In a group that is stopping every worker is draining, and no end is followed by
// a start.
type slot struct {
	id         int
	workers    []*worker   // at most two, in the order of their starts
	failures   int         // ends before READY in a row, of workers that had no predecessor to serve on
	crashes    int         // ends in a row soon after READY
	begun      time.Time   // the last start
	timer      *time.Timer // a start to come
	waiting    bool        // a start is to come when the program is found
	suspectDir string      // the cache that was open when a worker died by a memory fault, until another is ready
}

// A state is how far a worker has come in its life; see slot.
type state uint8

const (
	starting state = iota
	ready
	draining
	gone
)

// become takes a worker forward to a state and tells whether it was a step. No
// step is what comes too late, such as Ready from a worker that was told to drain
// meanwhile.
func (w *worker) become(next state) bool {
	if next <= w.state {
		return false
	}
	w.state = next
	if next == ready {
		w.served, w.since = true, time.Now()
	}
	return true
}

// in is the slot's worker in a state, nil without one.
func (slot *slot) in(wanted state) *worker {
	for _, w := range slot.workers {
		if w.state == wanted {
			return w
		}
	}
	return nil
}

// provided tells whether the slot has a worker that serves or will.
func (slot *slot) provided() bool { return slot.in(ready) != nil || slot.in(starting) != nil }

// start starts a slot's worker, after a death before READY or not.
func (s *group) start(slot *slot) {
	slot.timer = nil
	if s.stopping || slot.provided() {
		return
	}
	switch {
	case s.becoming: // the new program is to start it
		s.startLater(slot, limits.RestartGap)
		return
	case s.Workers == nil:
		slot.waiting = true
		s.find()
		return
	}
	if _, err := s.launch(slot); err != nil {
		s.unready(slot, "", fmt.Sprintf("cannot be started: %v", wording.Reason(err)), "", true)
	}
}

// launch adds a process to a slot.
func (s *group) launch(slot *slot) (*worker, error) {
	slot.begun = time.Now()
	w, err := s.spawn(slot)
	if err != nil {
		return nil, err
	}
	slot.workers = append(slot.workers, w)
	w.orders.setReloads(s.reloads.Clone())
	time.AfterFunc(s.StartTime, func() { s.post(func() { s.neverReady(w) }) })
	return w, nil
}

// neverReady gives up a worker that is not ready in time and in whose place nobody
// serves. A group that nobody serves in yet cannot start; otherwise it is tried again.
func (s *group) neverReady(w *worker) {
	if w.state != starting || w.slot.in(ready) != nil {
		return
	}
	w.late = true
	if !s.complete && len(s.serving()) == 0 {
		s.fail(fmt.Sprintf("worker %d (pid %d) is not ready after %v: its configuration waits for something or does not end; what it may take is set by %s", w.slot.id, w.pid, s.StartTime, startTimeVar), false)
		return
	}
	s.drain(w)
}

// startLater starts a slot's worker after a delay. Two starts have a gap
// between them in any case, so that a worker that dies right after being ready
// does not take a core for itself.
func (s *group) startLater(slot *slot, delay time.Duration) {
	if gap := limits.RestartGap - time.Since(slot.begun); delay < gap {
		delay = gap
	}
	slot.timer = time.AfterFunc(delay, func() { s.post(func() { s.start(slot) }) })
}

// replace starts a successor beside the worker that serves. The rest follows
// from what becomes of the successor: ready, ended, late.
func (s *group) replace(slot *slot) {
	successor, err := s.launch(slot)
	if err != nil {
		s.notReplaced(slot.in(ready), fmt.Sprintf("cannot be started: %v", wording.Reason(err)))
		return
	}
	time.AfterFunc(s.ReadyTime, func() { s.post(func() { s.late(successor) }) })
}

// late gives up a successor that is not ready in time. One that has lost its
// predecessor has as much time as any worker that starts.
func (s *group) late(successor *worker) {
	if successor.state == starting && successor.slot.in(ready) != nil {
		successor.late = true
		s.drain(successor)
	}
}

// drain tells a worker to drain.
func (s *group) drain(w *worker) {
	s.drains(w)
	w.orders.drain()
}

// drains handles that a worker drains, told to or of its own accord: it is in the
// roster no more, and is killed if it has not ended in time.
func (s *group) drains(w *worker) {
	if !w.become(draining) {
		return
	}
	w.closeHere()
	s.tellRoster()
	time.AfterFunc(limits.DrainTime, func() {
		s.post(func() {
			if w.state != gone {
				s.kill(w)
			}
		})
	})
}

// ready handles that a worker serves. Its predecessor leaves.
func (s *group) ready(w *worker) {
	predecessor := w.slot.in(ready)
	if !w.become(ready) {
		return
	}
	w.slot.failures, w.slot.suspectDir = 0, ""
	s.accept(w)
	s.heardOf(w)
	s.entrustOrphaned(w)
	if predecessor != nil {
		s.Log.Notice("a worker is replaced", "worker", w.slot.id, "pid", w.pid, "predecessor", predecessor.pid)
		if s.rolling && !s.retrying {
			s.reloads.Replaced++
			s.tellReloads()
		}
		s.drain(predecessor)
		return
	}
	s.tellRoster()
	if !s.complete {
		s.completes(w.slot)
	}
	s.roll()
}

// completes handles the first time that a slot of a group that is starting has a
// worker that is ready.
func (s *group) completes(slot *slot) {
	if slot.id == 0 {
		for _, other := range s.slots[1:] {
			if other.timer == nil {
				s.start(other)
			}
		}
	}
	if len(s.serving()) == s.Count {
		s.complete = true
		s.Notify.Ready(s.tally())
		s.Log.Notice("all workers are ready", "workers", s.Count)
		s.nextReload()
	}
}

// ended handles the end of a worker's process.
func (s *group) ended(w *worker, how ending) {
	slot := w.slot
	w.become(gone)
	slot.workers = slices.DeleteFunc(slot.workers, func(other *worker) bool { return other == w })
	w.orders.close()
	w.conn.Close()
	w.status.Close()
	w.dropConfiguration()
	if s.Died != nil {
		s.Died(w.pid)
	}
	s.endCustody(w, how.Success())
	if w.served {
		s.tellRoster()
	}
	s.noteFault(w, how)
	if !s.stopping {
		s.follow(w, how)
	}
	s.roll()
}

// follow sees to it that a slot has a worker after one of its workers has ended.
func (s *group) follow(w *worker, how ending) {
	slot := w.slot
	name := fmt.Sprintf("worker %d (pid %d) %s", slot.id, w.pid, describe(w, how))
	s.firstEnded(w, name)
	passing := w.fatal != "" && !w.unfit // of what ends without a word the configuration may be the cause
	switch {
	case !w.served && w.outdated && slot.in(ready) != nil: // its end says nothing of what is to be in force
	case !w.served && slot.in(ready) != nil:
		s.notReplaced(slot.in(ready), describe(w, how))
	case slot.provided() || slot.timer != nil:
		if !how.Success() {
			s.Log.Warn(name + "; its successor is there or on its way")
		}
	case !w.served && w.outdated && how.Success():
		s.startLater(slot, 0) // it was told to leave its place to one that runs what is in force by now
	case w.served:
		s.again(w, name, how)
	case w.late:
		s.unready(slot, w.fatal, describe(w, how), "", passing)
	case !s.complete && w.fatal == "" && how.Success():
		s.Log.Notice("the configuration ended the worker, and so the group", "worker", slot.id)
		s.stop(0)
	default:
		s.unready(slot, w.fatal, describe(w, how), " before it was ready", passing)
	}
}

// again starts the next worker after one that served. What ends workers soon after they are
// ready, each time, is not to take a core and the log for itself. A kill counts as well: the
// system kills a worker that takes more memory than there is.
func (s *group) again(w *worker, name string, how ending) {
	slot := w.slot
	slot.crashes++
	if how.Success() || time.Since(w.since) > limits.RestartSoon {
		slot.crashes = 0
	}
	delay, when := afterSignal(how), "it is started again and runs the configuration again"
	if slot.crashes > 1 {
		delay = max(backoff(slot.crashes), limits.RestartGap)
		if len(s.serving()) == 0 {
			delay = min(delay, limits.RestartSoonMax)
		}
		when = fmt.Sprintf("it has ended %d times in a row after less than %v of service and is started again in %v", slot.crashes, limits.RestartSoon, delay)
	}
	s.Log.Warn(name + "; " + when)
	s.startLater(slot, delay)
}

// afterSignal is the wait before a worker that ended in good order is started
// again: the signal that ended it may have been for the whole process group,
// and then reaches the supervisor, too, in a moment.
func afterSignal(how ending) time.Duration {
	if how.Success() {
		return limits.RestartGap
	}
	return 0
}

// unready handles a worker that ended, or never began, before it was ready. A
// reason that the worker gave itself is final for a group that has not been
// complete; otherwise it is tried again, later each time, while others serve.
// when follows how where that does not say it; passing says that the configuration is not
// to blame.
func (s *group) unready(slot *slot, fatal, how, when string, passing bool) {
	slot.failures++
	if fatal != "" && !s.complete {
		s.fail(fatal, passing)
		return
	}
	if slot.failures >= limits.StartAttempts && (!s.complete || len(s.serving()) == 0) {
		line := fmt.Sprintf("worker %d was started %d times and never became ready; the last time it %s", slot.id, slot.failures, how)
		if fatal != "" {
			line = fatal
		}
		s.fail(line, passing)
		return
	}
	s.dropAllOrphaned()
	delay := backoff(slot.failures)
	line := how + when
	if fatal != "" && when != "" {
		line = "gave up before it was ready: " + fatal
	}
	s.Log.Warn(fmt.Sprintf("worker %d %s; next try in %v", slot.id, line, delay))
	s.startLater(slot, delay)
}

// backoff is the wait after n deaths before READY in a row.
func backoff(n int) time.Duration {
	d := limits.RestartBackoffMin
	for ; n > 1 && d < limits.RestartBackoffMax; n-- {
		d *= 2
	}
	return min(d, limits.RestartBackoffMax)
}

// noteFault remembers a death by a memory fault while a cache was open, and has
// the slot's next process told of it, unless a successor serves from that cache
// already.
func (s *group) noteFault(w *worker, how ending) {
	if w.dir == "" || !how.isFault() {
		return
	}
	s.faults[w.dir] = append(s.recentFaults(w.dir), time.Now())
	if !w.served || w.slot.in(ready) == nil {
		w.slot.suspectDir = w.dir
	}
}

// recentFaults are the deaths by a memory fault within limits.QuarantineWindow
// while a cache was open.
func (s *group) recentFaults(dir string) []time.Time {
	now := time.Now()
	return slices.DeleteFunc(s.faults[dir], func(t time.Time) bool { return now.Sub(t) > limits.QuarantineWindow })
}
