package supervisor

import (
	"os"

	"kresd/internal/inforce"
	"kresd/internal/ipc"
)

// A worker that takes the place of one that has died runs what that one ran, whatever the
// operator's files say by then: a reload may have refused them, and nobody may have checked
// them yet. Who has run the files, worker 0 at the start of the group and the first
// successor of a reload, hands over what they said (package inforce), just before it
// is ready; from then on that is in force, and all others run it.
//
// The files are run by one worker at a time, so that all of a group run the same, also when
// a file is changed while they start. Of what is in force from then on there is a number; a
// worker that runs another is to be replaced. Where nothing was handed over (no memory
// could be had, or another image of the supervisor knew nothing of this) every worker runs
// the files.

// choose decides what a worker that is about to start runs.
func (s *group) choose(w *worker) {
	w.files = s.InForce == nil || s.accepting && s.filesRun() == nil
	w.runs = s.number
	w.outdated = s.accepting && !w.files
}

// filesRun is the worker that is starting and runs the files, when they are to be in force;
// nil: none is.
func (s *group) filesRun() *worker {
	for _, slot := range s.slots {
		if w := slot.in(starting); s.accepting && w != nil && w.files && !w.outdated {
			return w
		}
	}
	return nil
}

// handsOver takes what a worker has run. A worker that serves, and reads what strangers
// send, has no say any more.
func (s *group) handsOver(w *worker, m ipc.Message) {
	if w.state != starting || !w.files || len(m.FDs) != 1 || inforce.Sound(m.FDs[0]) != nil {
		m.FDs.Close()
		return
	}
	w.dropConfiguration()
	w.configuration = os.NewFile(uintptr(m.FDs[0]), "configuration")
}

// filesInForce are the names of the files that were run for what is in force, as far as
// that is known.
func (s *group) filesInForce() []string {
	if s.InForce == nil {
		return nil
	}
	c, err := inforce.ReadCode(s.InForce)
	if err != nil {
		return nil
	}
	return c.Files
}

// dropConfiguration closes what a worker has handed over and nobody has taken.
func (w *worker) dropConfiguration() {
	if w.configuration != nil {
		w.configuration.Close()
		w.configuration = nil
	}
}

// accept puts in force what a worker runs that has become ready, if it has run the files.
func (s *group) accept(w *worker) {
	known := s.InForce != nil && !s.accepting
	if !w.files || w.outdated || known {
		w.dropConfiguration()
		return
	}
	if s.InForce != nil {
		s.InForce.Close()
	}
	s.InForce, w.configuration = w.configuration, nil
	s.accepting = false
	s.number++
	w.runs = s.number
	s.keep()
}

// keep leaves what is in force with the service manager.
func (s *group) keep() {
	if s.InForce != nil {
		s.Notify.Keep(s.InForce)
	} else {
		s.Notify.Forget()
	}
}

// firstEnded ends a reload whose first worker has ended before it was ready, where it took
// the place of one that had died: name says which, and how.
func (s *group) firstEnded(w *worker, name string) {
	if s.InForce == nil || !s.rolling || !s.accepting || !w.files || w.outdated || w.served || w.slot.in(ready) != nil {
		return
	}
	s.rolling = false
	line := name + "; the configuration in force stays"
	s.Log.Warn(line)
	if s.half != 0 {
		s.replaceRestLater()
	}
	s.refuse()
	s.endReload([]string{line})
}

// refuse ends what a reload was about to put in force: what was in force stays, and who
// runs it is not to be replaced. Who is starting and runs the files, in the place of a
// worker that died while the first successor had failed and had yet to end, gives its place
// to one that runs what is in force.
func (s *group) refuse() {
	if !s.accepting {
		return
	}
	s.accepting = false
	if s.InForce == nil {
		return
	}
	for _, w := range s.workers() {
		w.outdated = w.runs != s.number || w.state == starting && w.files
	}
	s.drainStarting()
}
