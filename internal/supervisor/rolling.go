package supervisor

import (
	"fmt"
	"slices"
	"time"

	"kresd/internal/limits"
	"kresd/internal/reload"
)

// A rolling restart replaces every worker that was there when it began (slot.go),
// one after the other, worker 0 first, so that an error in the configuration is met
// once and before anybody has left. There are never fewer workers that serve than
// before, and never more than one process above their number. It is the second half
// of a reload (reload.go), and ends at the first successor that fails. When some were
// replaced by then, what they run is in force (inforce.go): the group is half replaced, all
// of it serves, and the rest is tried again, seldom, until it is replaced, too, or another
// reload begins.

// replaceAll begins a rolling restart.
func (s *group) replaceAll() {
	s.outdate()
	s.rolling, s.accepting = true, true
	s.drainStarting()
	s.roll()
}

// roll goes on with a rolling restart when nothing is under way in any slot. A slot
// without a worker needs nothing: its next one runs what is to be in force, or, before that
// is known, what was, and is replaced as all that did. A worker that was starting when the
// restart began is told to drain, and its next one comes after that.
func (s *group) roll() {
	s.tryUpgrade()
	if !s.rolling || s.stopping {
		return
	}
	if s.InForce != nil && s.filesRun() != nil {
		return // what becomes of it comes back here
	}
	for _, slot := range s.slots {
		if len(slot.workers) > 1 {
			return // the end of one of them comes back here
		}
	}
	for _, slot := range s.slots {
		if w := slot.in(ready); w != nil && w.outdated {
			s.replace(slot)
			return
		}
	}
	if s.InForce != nil && (s.accepting || s.startsOutdated()) {
		return // the next worker that starts, or is ready, comes back here
	}
	s.accepting = false
	s.rolling = false
	left := s.half
	s.half = 0
	if s.retrying {
		s.retrying, s.caughtUp = false, left == s.reloads.Begun
		s.Log.Notice("the workers that a reload had left are replaced, too")
		s.tellRoster()
		return
	}
	s.Log.Notice("rolling restart is complete", "replaced", s.reloads.Replaced)
	s.endReload(nil)
}

// drainStarting gives up the workers that are starting and run what is not to be in force
// any more. A successor among them belongs to a try at what an earlier reload has left.
func (s *group) drainStarting() {
	for _, slot := range s.slots {
		if w := slot.in(starting); w != nil && w.outdated {
			s.drain(w)
		}
	}
}

// startsOutdated tells whether a worker is starting that is to be replaced as soon as it is ready.
func (s *group) startsOutdated() bool {
	return slices.ContainsFunc(s.workers(), func(w *worker) bool { return w.state == starting && w.outdated })
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
	switch {
	case !s.rolling:
		s.Log.Warn(line)
		return
	case s.retrying:
		s.rolling, s.retrying = false, false
		s.Log.Warn(line + s.replaceRestLater())
		return
	}
	s.rolling = false
	rest := ""
	if s.reloads.Replaced > 0 || s.half != 0 {
		if s.InForce == nil || !s.accepting {
			s.half = s.reloads.Begun
		}
		rest = s.replaceRestLater()
	}
	s.refuse()
	s.Log.Warn(fmt.Sprintf("%s; the rolling restart ends with %d of %d workers replaced%s", line, s.reloads.Replaced, s.Count, rest))
	s.endReload([]string{line})
}

// replaceRestLater has the workers that are left tried again, each time later, and says
// when.
func (s *group) replaceRestLater() string {
	s.retryDelay = min(max(2*s.retryDelay, limits.RollRetryMin), limits.RollRetryMax)
	s.retry = time.AfterFunc(s.retryDelay, func() { s.post(s.replaceRest) })
	return fmt.Sprintf("; the workers that are left are tried again in %v", s.retryDelay)
}

// replaceRest tries again to replace what a rolling restart has left. Where nothing was
// handed over (inforce.go), the files may have been changed since, so they are checked as
// before a reload.
func (s *group) replaceRest() {
	if !s.mayReplaceRest() {
		return
	}
	s.retry = nil
	s.rests++
	if s.InForce != nil { // they run what others run already
		s.restChecked(s.rests, nil)
		return
	}
	this, program := s.rests, s.Workers.path()
	s.tasks.Go("check for the workers that are left", func() {
		mistakes := []string{checkFailed} // should it panic
		defer func() { s.post(func() { s.restChecked(this, mistakes) }) }()
		mistakes = s.try(program, nil)
	})
}

// mayReplaceRest tells whether workers are left and nothing else is about to replace them.
func (s *group) mayReplaceRest() bool {
	return !s.stopping && !s.rolling && s.reloads.Phase == reload.Idle && s.half != 0
}

// restChecked goes on with a try at what is left when the configuration has been checked,
// unless a reload has begun meanwhile.
func (s *group) restChecked(this int, mistakes []string) {
	if this != s.rests || !s.mayReplaceRest() {
		return
	}
	if len(mistakes) > 0 {
		s.Log.Warn("workers are left that an earlier reload was to replace, but the configuration has mistakes: " + mistakes[0] + s.replaceRestLater())
		return
	}
	s.rolling, s.retrying = true, true
	s.roll()
}

// pauseRest leaves what is to be replaced to a reload that begins, until that has ended.
func (s *group) pauseRest() {
	if s.retry != nil {
		s.retry.Stop()
		s.retry = nil
	}
	s.rests++
	s.rolling, s.retrying, s.caughtUp, s.retryDelay, s.accepting = false, false, false, 0, false
}
