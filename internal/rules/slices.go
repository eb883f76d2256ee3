package rules

// A Slicer distributes names over slices. Its methods are called by many threads at once.
type Slicer interface {
	// Slice is to which of n slices, from 0, the subject's name belongs, and how many octets
	// of it stand before the part for which that is so with all names below it.
	Slice(s *Subject, n int) (slice, at int)
	// Known is Slice on the way of cached answers: it must not allocate, wait, or take a lock.
	// Where it is not ok, Slice has to be asked, on the driver's way.
	Known(s *Subject, n int) (slice, at int, ok bool)
	// Digest is equal for equal slicers in all processes.
	Digest() uint64
}

// Slices are actions of which a slicer chooses one for each name, so that each of several
// resolvers sees a part of the questions only.
type Slices struct {
	By      Slicer
	Actions []*Action // one at least
}

// of is the action for a subject, and for how much of its name; quick tells that it is wanted
// on the way of cached answers, where it may not be known.
func (l *Slices) of(s *Subject, quick bool) (a *Action, at int, ok bool) {
	n, ok := 0, true
	if quick {
		n, at, ok = l.By.Known(s, len(l.Actions))
	} else {
		n, at = l.By.Slice(s, len(l.Actions))
	}
	if !ok {
		return nil, 0, false
	}
	return l.Actions[n], at, true
}
