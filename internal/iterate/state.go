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

// stateOf is the state of a query, made when it is first needed.
func stateOf(q *resolve.Query) *state {
	s, ok := q.Iterate.(*state)
	if !ok {
		s = &state{}
		q.Iterate = s
	}
	return s
}
