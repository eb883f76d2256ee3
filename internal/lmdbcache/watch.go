package lmdbcache

import (
	"fmt"
	"os"
	"path/filepath"
	"time"

	"kresd/internal/limits"
)

// watchLoop looks after what no call would notice: that the file was replaced or
// cut off, and that dead processes left slots in the reader table, whose pages
// could otherwise never be used again.
func (s *Store) watchLoop() {
	defer close(s.watcher)
	s.checkReaders()
	look := time.NewTicker(watchInterval)
	defer look.Stop()
	readers := time.NewTicker(limits.ReaderCheckInterval)
	defer readers.Stop()
	for {
		select {
		case <-s.stop:
			return
		case <-look.C:
			if reason := s.fileChanged(); reason != "" {
				s.lost(reason)
			}
		case <-readers.C:
			s.checkReaders()
		}
	}
}

func (s *Store) checkReaders() {
	if n, err := s.env.ReaderCheck(); err == nil && n > 0 {
		s.opts.Info(fmt.Sprintf("cache: %d reader slots of ended processes released", n))
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
	case !os.SameFile(st, s.file):
		return "the data file was replaced"
	case st.Size() < s.Size():
		return "the data file was cut off"
	}
	return ""
}

// lost tells the owner, once, that this Store should be closed and opened again.
func (s *Store) lost(reason string) {
	s.lostOnce.Do(func() {
		s.opts.Goroutines.Go("cache lost", func() { s.opts.OnLost(reason) })
	})
}
