package supervisor

import (
	"cmp"
	"errors"
	"fmt"
	"time"

	"kresd/internal/ipc"
	"kresd/internal/reload"
)

// A reload of the group, which SIGHUP or a worker's console asks for, checks the
// configuration and then replaces all workers (rolling.go). One that is asked for
// while another is under way begins when that has ended, since the workers that are
// there by then may have read a configuration that was changed meanwhile; so does one
// that is asked for while the group is still starting.
//
// Every worker knows how far reloads have come (package reload), so that who asked one
// of them for a reload can ask any other for what became of it.

// askReload takes note of the wish for a reload and returns its number.
func (s *group) askReload(by string) int {
	number := s.reloads.Ask()
	if s.reloads.Phase == reload.Idle {
		s.Log.Notice(by + ": the configuration is checked, then all workers are replaced, one after the other")
	} else {
		s.Log.Notice(by + ": another reload follows the present one")
	}
	s.tellReloads()
	s.nextReload()
	return number
}

// nextReload begins the next reload when the group is there and none is under way.
func (s *group) nextReload() {
	if s.stopping || !s.complete || !s.reloads.Due() {
		return
	}
	s.pauseRest()
	s.reloads.Begin()
	s.reloads.Workers = s.Count
	s.Notify.Reloading()
	s.tellReloads()
	files := s.filesInForce()
	workers := s.Workers // which a worker that starts meanwhile may set
	s.tasks.Go("check", func() {
		found := checked{mistakes: []string{checkFailed}} // should it panic
		defer func() { s.post(func() { s.checked(found) }) }()
		found = s.check(workers, files)
	})
}

const checkFailed = "the check of the configuration failed"

// checked is what was found before a reload.
type checked struct {
	upgrade  bool     // this program is to be replaced
	workers  *Program // that is to be the workers'; nil: the present one
	mistakes []string // keep the reload away
}

// check looks for programs that were replaced, and has the configuration tried by the
// one that is going to run it; workers is the present program of the workers.
func (s *group) check(workers *Program, files []string) (found checked) {
	switch {
	case replaced(s.Program):
		found.upgrade = true
		if err := takesOver(s.Program); err != nil {
			found.mistakes = []string{err.Error()}
			return found
		}
		switch {
		case workers == nil: // what the new program finds is not known here
		case workers.name == self:
			found.mistakes = s.try(s.Program, files)
		default:
			found.mistakes = s.try(workers.name, files)
		}
	case workers == nil || workers.replaced():
		var err error
		if found.workers, err = s.Find(); err != nil {
			found.mistakes = []string{err.Error() + halfReplaced}
			return found
		}
		found.mistakes = s.try(found.workers.path(), files)
	default:
		found.mistakes = s.try(workers.path(), files)
	}
	return found
}

// try has a program try the configuration; files were run for what is in force.
func (s *group) try(path string, files []string) []string {
	if s.Check == nil {
		return nil
	}
	return s.Check(path, files)
}

// checked goes on with a reload whose configuration has been tried.
func (s *group) checked(found checked) {
	if s.stopping || len(found.mistakes) > 0 {
		found.workers.close()
	}
	if s.stopping {
		return
	}
	if len(found.mistakes) > 0 {
		s.endReload(found.mistakes)
		for _, m := range s.reloads.Errors() {
			s.Log.Error("the configuration in force stays: " + m)
		}
		return
	}
	s.reloads.Phase = reload.Replacing
	s.tellReloads()
	if found.workers != nil {
		s.Workers.close()
		s.Workers = found.workers
	}
	if !found.upgrade {
		s.replaceAll()
		return
	}
	s.becomeNew()
}

// becomeNew has the new program take over as soon as that can be.
func (s *group) becomeNew() {
	s.becoming = true
	s.Log.Notice("the program was replaced: the new one takes over", "program", s.Program)
	this := s.reloads.Begun
	time.AfterFunc(s.ReadyTime, func() {
		s.post(func() {
			if s.reloads.Begun == this {
				s.notBecome(cmp.Or(s.unsettled(), "the workers' connections do not come to rest"))
			}
		})
	})
	s.outdate()
	s.drainStarting()
	s.tryUpgrade()
}

// tryUpgrade has the new program take this process over, if nothing is under way in any
// slot. Else the next change in one of them comes back here.
func (s *group) tryUpgrade() {
	if !s.becoming || s.upgrading || s.stopping || !s.whole() {
		return
	}
	s.upgrading = true
	err := s.upgrade()
	s.upgrading = false
	if !errors.Is(err, errNotWhole) {
		s.notBecome(err.Error())
	}
}

// notBecome ends a reload whose new program has not taken over.
func (s *group) notBecome(why string) {
	if !s.becoming || s.stopping {
		return
	}
	s.becoming = false
	line := fmt.Sprintf("the new program '%s' does not take over: %s", s.Program, why)
	s.Log.Error(line)
	s.endReload([]string{line})
}

// endReload ends a reload, and begins the next one that was asked for meanwhile. What an
// earlier one has left is tried again if this one has not come to it.
func (s *group) endReload(failures []string) {
	s.reloads.End(failures)
	s.tellReloads()
	s.Notify.Ready(s.tally())
	if s.half != 0 && s.retry == nil {
		s.Log.Warn("workers are left that an earlier reload was to replace" + s.replaceRestLater())
	}
	s.nextReload()
}

// reloadsTally says of reloads what the service manager should show.
func (s *group) reloadsTally() string {
	if len(s.reloads.Errors()) == 0 {
		return ""
	}
	if s.caughtUp {
		return "; the latest reload was complete at a later try"
	}
	return fmt.Sprintf("; the latest reload failed (%d of %d did): %s", s.reloads.Failed, s.reloads.Failed+s.reloads.Completed, s.reloads.Errors()[0])
}

// tellReloads tells each worker how far reloads have come.
func (s *group) tellReloads() {
	for _, w := range s.workers() {
		w.orders.setReloads(s.reloads.Clone())
	}
}

// reloadAsked answers a worker that is asked for a reload, on its console or by SIGHUP.
func (s *group) reloadAsked(w *worker, m ipc.Message) {
	w.orders.answer(ipc.Accepted, m.Ticket, s.askReload(fmt.Sprintf("reload, asked for at worker %d", w.slot.id)))
}
