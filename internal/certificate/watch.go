package certificate

import (
	"context"
	"fmt"
	"path/filepath"
	"time"

	"github.com/fsnotify/fsnotify"

	"kresd/internal/limits"
)

// Watch reads the files in use again when they have changed, until ctx ends. Where
// the system does not tell of changes it looks now and then.
func (s *Store) Watch(ctx context.Context) {
	look := time.NewTicker(limits.CertificateLook)
	defer look.Stop()
	quiet := time.NewTimer(0)
	defer quiet.Stop()
	var w watched
	defer w.close()
	for {
		select {
		case <-ctx.Done():
			return
		case <-s.renamed:
		case <-look.C: // a directory may have been replaced
			s.Reload()
		case <-w.events():
			quiet.Reset(limits.CertificateQuiet)
			continue
		case <-w.errors(): // an overflow: the next look tells
			continue
		case <-quiet.C:
			s.Reload()
		}
		if err := w.watch(s.directories()); err != nil && !w.complained {
			w.complained = true
			s.o.Warn(fmt.Sprintf("changes of the certificate's files are seen after a minute only: %v", err))
		}
	}
}

// directories are where the files in use lie, by their names and behind symbolic
// links.
func (s *Store) directories() map[string]bool {
	dirs := map[string]bool{}
	certFile, keyFile := s.Files()
	for _, name := range []string{certFile, keyFile} {
		if name == "" {
			continue
		}
		dirs[filepath.Dir(name)] = true
		if real, err := filepath.EvalSymlinks(name); err == nil {
			dirs[filepath.Dir(real)] = true
		}
	}
	return dirs
}

// watched are the directories of which the system tells changes.
type watched struct {
	watcher    *fsnotify.Watcher // nil: none
	complained bool
}

// watch watches these directories and no others.
func (w *watched) watch(dirs map[string]bool) (err error) {
	if len(dirs) == 0 {
		w.close()
		return nil
	}
	if w.watcher == nil {
		if w.watcher, err = fsnotify.NewWatcher(); err != nil {
			w.watcher = nil
			return err
		}
	}
	for _, old := range w.watcher.WatchList() {
		if !dirs[old] {
			_ = w.watcher.Remove(old) // it may be gone
		}
	}
	for dir := range dirs {
		if e := w.watcher.Add(dir); e != nil {
			err = fmt.Errorf("'%s': %w", dir, e)
		}
	}
	return err
}

func (w *watched) events() <-chan fsnotify.Event {
	if w.watcher == nil {
		return nil
	}
	return w.watcher.Events
}

func (w *watched) errors() <-chan error {
	if w.watcher == nil {
		return nil
	}
	return w.watcher.Errors
}

func (w *watched) close() {
	if w.watcher != nil {
		_ = w.watcher.Close()
		w.watcher = nil
	}
}
