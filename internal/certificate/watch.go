package certificate

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/fsnotify/fsnotify"

	"kresd/internal/limits"
)

// Watch reads the files in use, and those of authorities, again when they have changed,
// until ctx ends. Where the system does not tell of changes it looks now and then.
func (s *Store) Watch(ctx context.Context) {
	look := time.NewTicker(limits.CertificateLook)
	defer look.Stop()
	quiet := time.NewTimer(0)
	defer quiet.Stop()
	var w watched
	var patience time.Time // until which changes that go on put off reading
	defer w.close()
	for {
		select {
		case <-ctx.Done():
			return
		case <-s.renamed:
		case <-s.o.Authorities.named:
		case <-look.C: // a directory may have been replaced
			s.look()
		case <-w.events():
			if now := time.Now(); patience.IsZero() {
				patience = now.Add(limits.CertificatePatience)
			} else if now.After(patience) {
				continue // it is about to be read
			}
			quiet.Reset(limits.CertificateQuiet)
			continue
		case <-w.errors(): // an overflow: the next look tells
			continue
		case <-quiet.C:
			patience = time.Time{}
			s.look()
		}
		fresh, err := w.watch(s.directories())
		if fresh { // what changed before it was watched nobody tells
			quiet.Reset(limits.CertificateQuiet)
		}
		s.watching.Store(err == nil && w.watcher != nil)
		if err != nil && !w.complained {
			w.complained = true
			s.o.Warn(fmt.Sprintf("changes of files of certificates are seen after a minute only: %v", err))
		}
	}
}

// look reads all files again.
func (s *Store) look() {
	s.Reload()
	s.o.Authorities.Reload()
}

// directories are where a change can make the files in use others: those in which
// they lie, and those with a symbolic link on the way.
func (s *Store) directories() map[string]bool {
	dirs := map[string]bool{}
	names := s.o.Authorities.inUse()
	if certFile, keyFile := s.Files(); certFile != "" {
		names = append(names, certFile, keyFile)
	}
	for _, name := range names {
		if name, err := filepath.Abs(name); err == nil {
			follow(name, dirs)
		}
	}
	return dirs
}

// mostLinks is how many symbolic links the system follows.
const mostLinks = 40

// follow notes the directories on the way to a file.
func follow(name string, dirs map[string]bool) {
	for range mostLinks {
		link, rest := firstLink(name)
		dirs[filepath.Dir(link)] = true
		target, err := os.Readlink(link)
		if err != nil { // the file itself, or nothing
			return
		}
		if !filepath.IsAbs(target) {
			target = filepath.Join(filepath.Dir(link), target)
		}
		name = filepath.Join(target, rest)
	}
}

// firstLink splits a path behind its first symbolic link; without one the whole
// path stands for it.
func firstLink(name string) (link, rest string) {
	for i := 1; i < len(name); i++ {
		if name[i] != filepath.Separator {
			continue
		}
		if info, err := os.Lstat(name[:i]); err == nil && info.Mode()&os.ModeSymlink != 0 {
			return name[:i], name[i:]
		}
	}
	return name, ""
}

// watched are the directories of which the system tells changes.
type watched struct {
	watcher    *fsnotify.Watcher // nil: none
	complained bool
}

// watch watches these directories and no others, and tells whether there is one among
// them that was not watched before.
func (w *watched) watch(dirs map[string]bool) (fresh bool, err error) {
	if len(dirs) == 0 {
		w.close()
		return false, nil
	}
	if w.watcher == nil {
		if w.watcher, err = fsnotify.NewWatcher(); err != nil {
			w.watcher = nil
			return false, err
		}
	}
	before := w.watcher.WatchList()
	for _, old := range before {
		if !dirs[old] {
			_ = w.watcher.Remove(old) // it may be gone
		}
	}
	for dir := range dirs {
		if e := w.watcher.Add(dir); e != nil {
			err = fmt.Errorf("'%s': %w", dir, e)
		} else if !slices.Contains(before, dir) {
			fresh = true
		}
	}
	return fresh, err
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
