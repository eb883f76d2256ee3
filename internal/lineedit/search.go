package lineedit

import "strings"

// A search goes back through the history for what is typed (Ctrl-R).
type search struct {
	wanted string
	at     int // the line that was found, 0 being the latest; -1: none
}

// key does what a key does while one searches, and tells whether it goes on. The line is
// what was found.
func (s *search) key(k key, past *history, l *line) (goesOn bool) {
	from := max(s.at, 0)
	switch {
	case k == keySearch:
		from++
	case k == keyBackspace:
		if r := []rune(s.wanted); len(r) > 0 {
			s.wanted, from = string(r[:len(r)-1]), 0
		}
	case k >= 0:
		s.wanted += string(rune(k))
	default:
		return false
	}
	s.find(past, from, l)
	return true
}

// find looks from a line of the history on to older ones. Where none has what is wanted the
// line stays.
func (s *search) find(past *history, from int, l *line) {
	if s.wanted == "" {
		return
	}
	for i := from; i < past.Len(); i++ {
		if text := past.At(i); strings.Contains(text, s.wanted) {
			s.at = i
			l.set(text)
			l.pos = len([]rune(text[:strings.Index(text, s.wanted)]))
			return
		}
	}
}

func (s *search) prompt() string { return "(search) " + s.wanted + ": " }
