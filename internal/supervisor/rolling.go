package supervisor

import "fmt"

// rolling is a rolling restart: every worker that was there when it was asked
// for is replaced (slot.go), one after the other, worker 0 first, so that an
// error in the configuration is met once and before anybody has left. There are
// never fewer workers that serve than before, and never more than one process
// above their number. It ends at the first successor that fails.
type rolling struct {
	wanted   bool
	replaced int // so far
}

// replaceAll begins a rolling restart, or begins the present one anew: the
// workers that it has started may have read a configuration that was changed
// since. A group that is still starting is completed first.
func (s *group) replaceAll() {
	s.Log.Notice("SIGHUP: all workers are replaced, one after the other")
	s.rolling = rolling{wanted: true}
	s.Notify.Reloading()
	for _, w := range s.workers() {
		w.outdated = true
	}
	s.roll()
}

// roll goes on with a rolling restart when nothing is under way in any slot. A
// slot without a worker needs nothing: its next one runs the configuration as it
// is then. Neither does one whose worker is starting serve anybody: its worker is
// told to drain, and its next one comes after that.
func (s *group) roll() {
	if !s.rolling.wanted || s.stopping || !s.complete {
		return
	}
	for _, slot := range s.slots {
		if len(slot.workers) > 1 {
			return // the end of one of them comes back here
		}
	}
	for _, slot := range s.slots {
		if w := slot.in(starting); w != nil && w.outdated {
			s.drain(w)
		}
		if w := slot.in(ready); w != nil && w.outdated {
			s.replace(slot)
			return
		}
	}
	s.endRolling()
	s.Log.Notice("rolling restart is complete", "replaced", s.rolling.replaced)
}

// notReplaced handles a successor that failed, or could not be started (nil): w
// serves on. Where all workers have been asked to be replaced again since the
// successor began, that failure is nothing to go by.
func (s *group) notReplaced(w, successor *worker, how string) {
	line := fmt.Sprintf("worker %d (pid %d) serves on: its successor %s", w.slot.id, w.pid, how)
	if s.rolling.wanted && (successor == nil || !successor.outdated) {
		s.endRolling()
		line += fmt.Sprintf("; the rolling restart ends with %d of %d workers replaced", s.rolling.replaced, s.Count)
	}
	s.Log.Warn(line)
}

// endRolling ends a rolling restart, complete or not: the group serves.
func (s *group) endRolling() {
	s.rolling.wanted = false
	s.Notify.Ready(s.tally())
}
