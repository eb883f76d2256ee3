package trustanchor

import (
	"errors"
	"fmt"

	"kresd/internal/wording"
)

// RereadFiles reads all key files anew. Nothing of that is in force before apply is
// called, which returns the sets that changed; after an error it is not to be. A file
// that is kept up to date here and is missing just now says nothing.
func (s *Store) RereadFiles() (apply func() []*KeySet, err error) {
	type pair struct{ old, next *KeySet }
	var read []pair
	var failed []error
	snap := s.Snapshot()
	for _, owner := range snap.Owners() {
		old := snap.Sets[owner]
		if old.File == "" {
			continue
		}
		next, err := readFile(old.File, !old.Managed)
		switch {
		case errors.Is(err, ErrNoFile):
		case err != nil:
			failed = append(failed, fmt.Errorf("trust anchors: %w", wording.Record(old.File, err)))
		case next.Owner != old.Owner:
			failed = append(failed, fmt.Errorf("trust anchors: %s: anchors of %s are expected, not of %s", old.File, old.Owner, next.Owner))
		case !next.Equal(old):
			read = append(read, pair{old, next})
		}
	}
	return func() (changed []*KeySet) {
		for _, p := range read {
			if s.Replace(p.old, p.next) {
				changed = append(changed, p.next)
			}
		}
		return changed
	}, errors.Join(failed...)
}
