package iterate

import "kresd/internal/resolve"

// state is what the layer remembers of a query between its answers.
type state struct {
	// probes counts minimised questions.
	probes int
	// whole tells that minimised questions have led as far as they can, or did not go
	// well: the whole one is asked.
	whole bool
}

// knownOf is the state of a query as it is.
func knownOf(q *resolve.Query) state {
	if s, ok := q.Iterate.(*state); ok {
		return *s
	}
	return state{}
}

// stateOf is the state of a query to be changed, made when it is first needed: most
// queries need none.
func stateOf(q *resolve.Query) *state {
	s, ok := q.Iterate.(*state)
	if !ok {
		s = &state{}
		q.Iterate = s
	}
	return s
}
