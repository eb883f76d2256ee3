package rules

// A Slicer distributes names over slices. Its methods are called by many threads at once, on
// the way of cached answers too: they must not allocate, wait, or take a lock.
type Slicer interface {
	// Slice is to which of n slices, from 0, the subject's name belongs, and how many octets
	// of it stand before the part for which that is so with all names below it.
	Slice(s *Subject, n int) (slice, at int)
	// Digest is equal for equal slicers in all processes.
	Digest() uint64
}

// Slices are actions of which a slicer chooses one for each name, so that each of several
// resolvers sees a part of the questions only.
type Slices struct {
	By      Slicer
	Actions []*Action // one at least
}

// of is the action for a subject, and for how much of its name.
func (l *Slices) of(s *Subject) (a *Action, at int) {
	n, at := l.By.Slice(s, len(l.Actions))
	return l.Actions[n], at
}
