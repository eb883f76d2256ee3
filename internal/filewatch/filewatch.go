// Package filewatch tells when files may have changed that an operator has named, however
// they are replaced: written in place, renamed, or behind a symbolic link that is turned.
// It watches directories, reads no file, and leaves it to others to find out whether there
// is something new in them.
package filewatch

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"sync/atomic"
	"time"

	"github.com/fsnotify/fsnotify"

	"kresd/internal/limits"
)

// A Watch looks after files. Its fields do not change once it runs.
type Watch struct {
	// Files are the paths of those that are looked after as of now.
	Files func() []string
	// Look is called when some may have changed, and now and then without that.
	Look func()
	// Blind is told once why changes are seen now and then only.
	Blind func(error)
	// Named and Renamed are sent to when Files have become others; either may be nil.
	Named, Renamed <-chan struct{}

	seeing atomic.Bool
}

// Seeing tells whether the system tells of all changes.
func (f *Watch) Seeing() bool { return f.seeing.Load() }

// Run looks after the files until ctx ends.
func (f *Watch) Run(ctx context.Context) {
	look := time.NewTicker(limits.WatchLook)
	defer look.Stop()
	quiet := time.NewTimer(0)
	defer quiet.Stop()
	var w watched
	var patience time.Time // until which changes that go on put off a look
	defer w.close()
	for {
		select {
		case <-ctx.Done():
			return
		case <-f.Named:
		case <-f.Renamed:
		case <-look.C: // a directory may have been replaced
			f.Look()
		case e := <-w.events():
			if !w.concerns(e.Name) {
				continue
			}
			if now := time.Now(); patience.IsZero() {
				patience = now.Add(limits.WatchPatience)
			} else if now.After(patience) {
				continue // they are about to be looked at
			}
			quiet.Reset(limits.WatchQuiet)
			continue
		case <-w.errors(): // an overflow: the next look tells
			continue
		case <-quiet.C:
			patience = time.Time{}
			f.Look()
		}
		fresh, err := w.watch(wayTo(f.Files()))
		if fresh { // what changed before it was watched nobody tells
			quiet.Reset(limits.WatchQuiet)
		}
		f.seeing.Store(err == nil && w.watcher != nil)
		if err != nil && !w.complained {
			w.complained = true
			f.Blind(err)
		}
	}
}

// A way is all of which a change can make files others.
type way struct {
	names map[string]bool // the files, and the symbolic links that lead to them
	dirs  map[string]bool // in which these lie
}

func wayTo(files []string) way {
	w := way{map[string]bool{}, map[string]bool{}}
	for _, name := range files {
		if name, err := filepath.Abs(name); err == nil {
			w.follow(name)
		}
	}
	return w
}

// mostLinks is how many symbolic links the system follows.
const mostLinks = 40

// follow notes what is on the way to a file.
func (w *way) follow(name string) {
	for range mostLinks {
		link, rest := firstLink(name)
		w.names[link], w.dirs[filepath.Dir(link)] = true, true
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
	way        way
	complained bool
}

// watch watches the directories on the way to files and no others, and tells whether there is
// one among them that was not watched before.
func (w *watched) watch(to way) (fresh bool, err error) {
	if w.way = to; len(to.dirs) == 0 {
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
		if !to.dirs[old] {
			_ = w.watcher.Remove(old) // it may be gone
		}
	}
	for dir := range to.dirs {
		if e := w.watcher.Add(dir); e != nil {
			err = fmt.Errorf("'%s': %w", dir, e)
		} else if !slices.Contains(before, dir) {
			fresh = true
		}
	}
	return fresh, err
}

// concerns tells whether a change of what has that name can make the files others. Beside them
// may lie what changes all the time, such as a cache.
func (w *watched) concerns(name string) bool {
	name = filepath.Clean(name)
	return w.way.names[name] || w.way.dirs[name]
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
