package supervisor

import "fmt"

// A rolling restart replaces every worker that was there when it began (slot.go),
// one after the other, worker 0 first, so that an error in the configuration is met
// once and before anybody has left. There are never fewer workers that serve than
// before, and never more than one process above their number. It is the second half
// of a reload (reload.go), and ends at the first successor that fails.

// replaceAll begins a rolling restart.
func (s *group) replaceAll() {
	s.outdate()
	s.rolling = true
	s.roll()
}

// roll goes on with a rolling restart when nothing is under way in any slot. A
// slot without a worker needs nothing: its next one runs the configuration as it
// is then. Neither does one whose worker is starting serve anybody: its worker is
// told to drain, and its next one comes after that.
func (s *group) roll() {
	s.tryUpgrade()
	if !s.rolling || s.stopping {
		return
	}
	for _, slot := range s.slots {
		if len(slot.workers) > 1 {
			return // the end of one of them comes back here
		}
	}
	s.drainStarting()
	for _, slot := range s.slots {
		if w := slot.in(ready); w != nil && w.outdated {
			s.replace(slot)
			return
		}
	}
	s.rolling = false
	s.Log.Notice("rolling restart is complete", "replaced", s.reloads.Replaced)
	s.endReload(nil)
}

// drainStarting gives up the workers that are starting in nobody's place and run what is
// not to be in force any more.
func (s *group) drainStarting() {
	for _, slot := range s.slots {
		if w := slot.in(starting); w != nil && slot.in(ready) == nil && w.outdated {
			s.drain(w)
		}
	}
}

// outdate notes that all present workers are to be replaced.
func (s *group) outdate() {
	for _, w := range s.workers() {
		w.outdated = true
	}
}

// notReplaced handles a successor that failed, or could not be started (nil): w
// serves on.
func (s *group) notReplaced(w *worker, how string) {
	line := fmt.Sprintf("worker %d (pid %d) serves on: its successor %s", w.slot.id, w.pid, how)
	if !s.rolling {
		s.Log.Warn(line)
		return
	}
	s.rolling = false
	s.Log.Warn(fmt.Sprintf("%s; the rolling restart ends with %d of %d workers replaced", line, s.reloads.Replaced, s.Count))
	s.endReload([]string{line})
}
