package lmdbcache

import (
	"fmt"
	"os"
	"path/filepath"
	"time"
)

// watchLoop looks after what no call would notice: that a file was replaced,
// cut off or overwritten.
func (s *Store) watchLoop() {
	defer close(s.watcher)
	look := time.NewTicker(watchInterval)
	defer look.Stop()
	for {
		select {
		case <-s.stop:
			return
		case <-look.C:
			if reason := s.fileChanged(); reason != "" {
				s.lost(reason)
			}
			s.keepOthersOut()
		}
	}
}

// fileChanged tells in words what happened to data.mdb, "" when nothing did.
func (s *Store) fileChanged() string {
	st, err := os.Lstat(filepath.Join(s.dir, dataName))
	switch {
	case os.IsNotExist(err):
		return "the data file was removed"
	case err != nil:
		return "" // cannot be told now
	case !os.SameFile(st, s.was):
		return "the data file was replaced"
	case st.Size() < s.Size():
		return errCutOff.Error()
	}
	return ""
}

// lost tells the owner, once, that this Store should be closed and opened again.
func (s *Store) lost(reason string) {
	s.lostOnce.Do(func() {
		s.opts.Goroutines.Go("cache lost", func() { s.opts.OnLost(fmt.Sprintf("cache in %s: %s", s.dir, reason)) })
	})
}
