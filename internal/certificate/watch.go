package certificate

import (
	"context"
	"fmt"

	"kresd/internal/filewatch"
)

// newWatch looks after the files in use, and those of authorities.
func (s *Store) newWatch() *filewatch.Watch {
	return &filewatch.Watch{
		Files: s.watched, Look: s.look, Named: s.o.Authorities.named, Renamed: s.renamed,
		Blind: func(err error) {
			s.o.Warn(fmt.Sprintf("changes of files of certificates are seen after a minute only: %v", err))
		},
	}
}

// Watch reads the files in use, and those of authorities, again when they have changed,
// until ctx ends. Where the system does not tell of changes it looks now and then.
func (s *Store) Watch(ctx context.Context) { s.watch.Run(ctx) }

// look reads all files again.
func (s *Store) look() {
	s.Reload()
	s.o.Authorities.Reload()
}

// watched are the files that are looked after.
func (s *Store) watched() []string {
	names := s.o.Authorities.inUse()
	if certFile, keyFile := s.Files(); certFile != "" {
		names = append(names, certFile, keyFile)
	}
	return names
}
