package supervisor

import (
	"fmt"

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
	s.reloads.Begin()
	s.reloads.Workers = s.Count
	s.Notify.Reloading()
	s.tellReloads()
	if s.Check == nil {
		s.checked(nil)
		return
	}
	s.tasks.Go("check", func() {
		mistakes := []string{"the check of the configuration failed"} // should it panic
		defer func() { s.post(func() { s.checked(mistakes) }) }()
		mistakes = s.Check()
	})
}

// checked goes on with a reload whose configuration has been tried.
func (s *group) checked(mistakes []string) {
	if s.stopping {
		return
	}
	if len(mistakes) > 0 {
		s.endReload(mistakes)
		for _, m := range s.reloads.Errors {
			s.Log.Error("the configuration in force stays: " + m)
		}
		return
	}
	s.reloads.Phase = reload.Replacing
	s.tellReloads()
	s.replaceAll()
}

// endReload ends a reload, and begins the next one that was asked for meanwhile.
func (s *group) endReload(errors []string) {
	s.reloads.End(errors)
	s.tellReloads()
	s.Notify.Ready(s.tally())
	s.nextReload()
}

// reloadsTally says of reloads what the service manager should show.
func (s *group) reloadsTally() string {
	if len(s.reloads.Errors) == 0 {
		return ""
	}
	return fmt.Sprintf("; the latest reload failed (%d of %d did): %s", s.reloads.Failed, s.reloads.Failed+s.reloads.Completed, s.reloads.Errors[0])
}

// tellReloads tells each worker how far reloads have come.
func (s *group) tellReloads() {
	for _, w := range s.workers() {
		w.orders.setReloads(s.reloads.Clone())
	}
}

// reloadAsked answers a worker whose console is asked for a reload.
func (s *group) reloadAsked(w *worker, m ipc.Message) {
	w.orders.accept(m.PID, s.askReload(fmt.Sprintf("reload, by the console of worker %d", w.slot.id)))
}
