package reload

import (
	"fmt"
	"slices"
	"strings"

	"kresd/internal/limits"
)

// A Phase is what a reload is at.
type Phase string

// The phases.
const (
	Idle      Phase = ""          // none is under way
	Checking  Phase = "checking"  // the configuration is tried
	Replacing Phase = "replacing" // workers are replaced, or files read again
)

// A State is how far reloads have come. Its zero value is that of a process that
// nobody has asked for any. It belongs to one goroutine; others get clones.
type State struct {
	Asked int `json:"asked"` // reloads that were asked for
	Begun int `json:"begun"` // of these, the ones that the present or latest run does
	Ended int `json:"ended"` // of these, the ones whose run has ended

	Phase    Phase `json:"phase,omitempty"`
	Replaced int   `json:"replaced,omitempty"` // workers, by the present or latest run
	Workers  int   `json:"workers,omitempty"`  // of the group; 0: a process alone

	// Runs are the latest that have ended, the oldest first.
	Runs []Run `json:"runs,omitempty"`

	Completed uint64 `json:"completed"` // runs that did all
	Failed    uint64 `json:"failed"`    // runs that did not
}

// OnDisk is what configuration files say, beside what is in force.
type OnDisk struct {
	Differ []string `json:"differ,omitempty"` // files that say something else
	Unread []string `json:"unread,omitempty"` // files that cannot be read by the user that a worker is
}

// A Run is what became of the reloads that one run has done.
type Run struct {
	First    int `json:"first"` // numbers of these reloads
	Last     int `json:"last"`
	Replaced int `json:"replaced,omitempty"` // workers
	// Errors say why it did not do all of its work, a line each.
	Errors []string `json:"errors,omitempty"`
}

// Ask takes note of the wish for a reload and returns its number: it is done when
// Ended is not below.
func (s *State) Ask() int {
	s.Asked++
	return s.Asked
}

// Due tells whether a run is to begin: one is asked for, and none under way.
func (s *State) Due() bool { return s.Phase == Idle && s.Asked > s.Begun }

// Begin begins a run for all that were asked for.
func (s *State) Begin() {
	s.Begun, s.Phase, s.Replaced = s.Asked, Checking, 0
}

// End ends the run, which did all of its work if errors is empty. Only the first errors of
// a run are kept, and only the latest runs.
func (s *State) End(errors []string) {
	s.Runs = append(s.Runs, Run{First: s.Ended + 1, Last: s.Begun, Replaced: s.Replaced, Errors: few(errors)})
	s.Ended, s.Phase = s.Begun, Idle
	s.Runs = slices.Delete(s.Runs, 0, max(0, len(s.Runs)-limits.ReloadRuns))
	if len(errors) > 0 {
		s.Failed++
	} else {
		s.Completed++
	}
}

// Errors say why the latest run that ended did not do all of its work, a line each.
func (s *State) Errors() []string {
	if len(s.Runs) == 0 {
		return nil
	}
	return s.Runs[len(s.Runs)-1].Errors
}

// Of is the run that has done the reload of a number; not known: it has not ended, or so
// many others have ended since that it is forgotten.
func (s *State) Of(number int) (run Run, known bool) {
	i := slices.IndexFunc(s.Runs, func(r Run) bool { return r.First <= number && number <= r.Last })
	if i < 0 {
		return Run{}, false
	}
	return s.Runs[i], true
}

// few cuts a list of errors, and each of them, to what is told.
func few(list []string) (kept []string) {
	for i, text := range list {
		if i == limits.ReloadErrors {
			return append(kept, fmt.Sprintf("and %d more", len(list)-i))
		}
		if len(text) > limits.ReloadErrorText {
			text = strings.ToValidUTF8(text[:limits.ReloadErrorText], "") + "…"
		}
		kept = append(kept, text)
	}
	return kept
}

// Clone is a copy that shares nothing.
func (s *State) Clone() *State {
	c := *s
	c.Runs = slices.Clone(s.Runs)
	for i := range c.Runs {
		c.Runs[i].Errors = slices.Clone(c.Runs[i].Errors)
	}
	return &c
}
