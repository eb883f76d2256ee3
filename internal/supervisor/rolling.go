package supervisor

import (
	"fmt"
	"time"

	"kresd/internal/limits"
	"kresd/internal/reload"
)

// A rolling restart replaces every worker that was there when it began (slot.go),
// one after the other, worker 0 first, so that an error in the configuration is met
// once and before anybody has left. There are never fewer workers that serve than
// before, and never more than one process above their number. It is the second half
// of a reload (reload.go), and ends at the first successor that fails. When some were
// replaced by then, their predecessors cannot be had back, since the configuration that
// they ran may be gone: the group is half replaced, all of it serves, and the rest is tried
// again, seldom, until it is replaced, too, or another reload begins.

// replaceAll begins a rolling restart.
func (s *group) replaceAll() {
	s.outdate()
	s.rolling = true
	s.roll()
}

// roll goes on with a rolling restart when nothing is under way in any slot. A
// slot without a worker needs nothing: its next one runs the configuration as it
// is then. A worker that is starting may have read another one: it is told to drain, and
// its next one comes after that.
func (s *group) roll() {
	s.tryUpgrade()
	if !s.rolling || s.stopping {
		return
	}
	s.drainStarting()
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
	s.rolling = false
	if s.retrying {
		s.retrying, s.caughtUp = false, true
		s.Log.Notice("the workers that the latest reload had left are replaced, too")
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
	if s.reloads.Replaced > 0 {
		rest = s.replaceRestLater()
	}
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

// replaceRest tries again to replace what a rolling restart has left.
func (s *group) replaceRest() {
	if s.stopping || s.rolling || s.reloads.Phase != reload.Idle {
		return
	}
	s.rolling, s.retrying = true, true
	s.roll()
}

// forgetRest leaves what is to be replaced to a reload that begins.
func (s *group) forgetRest() {
	if s.retry != nil {
		s.retry.Stop()
	}
	s.rolling, s.retrying, s.caughtUp, s.retryDelay = false, false, false, 0
}
