package worker

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"time"

	"kresd/internal/cache"
	"kresd/internal/clock"
	"kresd/internal/dnsname"
	"kresd/internal/ipc"
	"kresd/internal/limits"
	"kresd/internal/lmdbcache"
	"kresd/internal/logging"
	"kresd/internal/resolve"
	"kresd/internal/rundir"
	"kresd/internal/safe"
	"kresd/internal/wording"
)

// storage is the cache's file as an operator handles it, and the one who keeps
// it from filling up.
type storage struct {
	cache *cache.Cache
	link  *ipc.Link // hears which cache is in use, and knows which one killed a predecessor
	clock *clock.Clock
	log   *logging.Logger
	group *safe.Group
	ctx   context.Context // of the work in the background
	// forget drops what is known about servers.
	forget func()
	// leads tells whether this worker collects for its group.
	leads func() bool
	// partition is the one in which what servers tell is kept for requests that no
	// rule changes.
	partition func() resolve.Partition

	mu      sync.Mutex
	store   *lmdbcache.Store
	uri     string
	dir     string
	size    int64
	touched bool // somebody opened or closed a cache, so no default is opened
	stays   bool // this process has become the user that it stays, and warns of other owners
	began   checkpoint
	epoch   int // begins anew with each cache that somebody opened or closed

	examined bool // the suspicion against the cache of the predecessor is settled
	full     chan struct{}
}

// Open implements caching.Cache.
func (s *storage) Open(size int64, uri, dir string) error {
	abs, err := filepath.Abs(dir)
	if err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.touched = true
	s.epoch++
	err = s.openLocked(size, uri, abs)
	if noRoom(err) {
		s.await(err, size, uri, abs)
		return nil
	}
	if err != nil {
		return err
	}
	if s.stays {
		s.warnOfOwnerLocked()
	}
	return nil
}

// warnOfOwner warns of a directory of the open cache, and of later ones, that belongs
// to somebody else. Before the configuration has run, this process may be about to
// become that owner.
func (s *storage) warnOfOwner() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.stays = true
	if s.store != nil {
		s.warnOfOwnerLocked()
	}
}

func (s *storage) warnOfOwnerLocked() {
	for _, line := range rundir.CacheOwnerWarning(s.dir) {
		s.log.Warn(line)
	}
}

// ToChown implements caching.Cache.
func (s *storage) ToChown(uid int) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	files := strings.Join(lmdbcache.Files(), " and ")
	switch name, _ := foreign(s.dir, uid); name {
	case "":
		return ""
	case ".":
		return "'" + wording.Printable(s.dir) + "', " + files
	}
	return files
}

// foreign names what of a cache belongs to another user than uid, and who that is: a file,
// or "." for its directory, where what is in that may not be seen; "": nothing.
func foreign(dir string, uid int) (name string, owner int) {
	for _, name := range lmdbcache.Files() {
		if owner, ok := ownerOf(filepath.Join(dir, name)); ok && owner != uid {
			return name, owner
		}
	}
	if _, err := os.Lstat(filepath.Join(dir, lmdbcache.Files()[0])); errors.Is(err, fs.ErrPermission) {
		if owner, ok := ownerOf(dir); ok && owner != uid {
			return ".", owner
		}
	}
	return "", 0
}

// ownerOf is the user that a file belongs to; not ok: there is no such file.
func ownerOf(path string) (uid int, ok bool) {
	info, err := os.Lstat(path)
	if err != nil {
		return 0, false
	}
	st, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return 0, false
	}
	return int(st.Uid), true
}

func (s *storage) openLocked(size int64, uri, dir string) error {
	s.closeLocked()
	s.link.CacheDir(dir)
	s.examine(dir)
	store, err := lmdbcache.Open(dir, s.options(size))
	if err != nil {
		return fmt.Errorf("cache in '%s': %w", dir, notOurs(dir, unusable(dir, wording.Reason(err))))
	}
	s.store, s.uri, s.dir, s.size = store, uri, dir, size
	s.began = s.moment()
	s.cache.Swap(cache.Disk{Store: store})
	return nil
}

// unusable adds to err what helps against a file system that takes nothing.
func unusable(dir string, err error) error {
	if remedy := lmdbcache.Remedy(err, dir); remedy != "" {
		return fmt.Errorf("%w%s", err, remedy)
	}
	return err
}

// notOurs adds to err, which says that files of a cache may not be opened, whose
// they are and the remedy: they are left by a process that opened the cache
// before it gave up the rights of another user.
func notOurs(dir string, err error) error {
	if !errors.Is(err, fs.ErrPermission) {
		return err
	}
	name, owner := foreign(dir, os.Geteuid())
	chown := strings.Join(lmdbcache.Files(), " and ")
	switch name {
	case "":
		return err
	case ".":
		name, chown = "the directory", "it, "+chown
	}
	return fmt.Errorf("%w: %s belongs to user %d, and this process is user %d; chown %s to that user, and where a configuration opens the cache (cache.open, cache.size, cache = {…}) above user(), move that line below it",
		err, name, owner, os.Geteuid(), chown)
}

func (s *storage) options(size int64) lmdbcache.Options {
	s.full = make(chan struct{}, 1)
	full, epoch := s.full, s.epoch
	return lmdbcache.Options{
		MaxSize: size,
		Schema:  cache.Schema,
		Info:    func(line string) { s.log.Notice(line) },
		Warn:    func(line string) { s.log.Warn(line) },
		OnFull: func() {
			select {
			case full <- struct{}{}:
			default:
			}
		},
		OnLost: func(reason string) {
			s.log.Warn(fmt.Sprintf("%s: opening the cache again", reason))
			s.group.Go("cache reopen", func() { s.reopen(epoch) })
		},
		Clock:      s.clock,
		Goroutines: s.group,
	}
}

// Close implements caching.Cache.
func (s *storage) Close() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.touched = true
	s.epoch++
	return s.closeLocked()
}

func (s *storage) closeLocked() bool {
	if s.store == nil {
		return false
	}
	s.cache.Swap(nil)
	if err := s.store.Close(); err != nil {
		s.log.Warn(err.Error())
	}
	s.store, s.size = nil, 0
	return true
}

// IsOpen implements caching.Cache.
func (s *storage) IsOpen() bool { return s.current() != nil }

func (s *storage) current() *lmdbcache.Store {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.store
}

// Size implements caching.Cache.
func (s *storage) Size() int64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.size
}

// URI implements caching.Cache.
func (s *storage) URI() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.uri
}

// Count implements caching.Cache.
func (s *storage) Count() (int, error) { return s.cache.Count() }

// TTLs implements caching.Cache.
func (s *storage) TTLs() (lo, hi uint32) { return s.cache.MinTTL(), s.cache.MaxTTL() }

// SetTTLs implements caching.Cache; lo is not above hi.
func (s *storage) SetTTLs(lo, hi uint32) {
	_ = s.cache.SetMaxTTL(max(hi, s.cache.MinTTL()))
	_ = s.cache.SetMinTTL(lo)
	_ = s.cache.SetMaxTTL(hi)
}

// Clear implements caching.Cache: also what is known about servers goes.
func (s *storage) Clear() (int, error) {
	s.forget()
	s.Mark()
	return s.cache.Clear()
}

// A checkpoint is a time on both scales.
type checkpoint struct {
	mono time.Duration
	wall time.Time
}

func (s *storage) moment() checkpoint { return checkpoint{s.clock.Mono(), s.clock.Now()} }

// Checkpoint implements caching.Cache.
func (s *storage) Checkpoint() (mono time.Duration, wall time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.began.mono, s.began.wall
}

// Mark implements caching.Cache.
func (s *storage) Mark() {
	now := s.moment()
	s.mu.Lock()
	defer s.mu.Unlock()
	s.began = now
}

// Export implements caching.Cache.
func (s *storage) Export(ctx context.Context, path string) (int, error) {
	store := s.current()
	if store == nil {
		return 0, cache.ErrClosed
	}
	return store.Export(ctx, path)
}

// FileSystem implements caching.Cache.
func (s *storage) FileSystem(dir string) (uint64, error) {
	abs, err := filepath.Abs(dir)
	if err != nil {
		return 0, err
	}
	return lmdbcache.FileSystem(abs)
}

// Remove implements caching.Cache.
func (s *storage) Remove(name dnsname.Name, exact bool, rrtype *uint16, limit int) (int, error) {
	if rrtype != nil {
		return s.cache.RemoveType(name, *rrtype)
	}
	return s.cache.Remove(name, exact, limit)
}

// Apex implements caching.Cache.
func (s *storage) Apex(name dnsname.Name) dnsname.Name {
	return s.cache.ClosestApex(s.partition(), name, s.clock.Unix())
}

// Prune implements caching.Cache.
func (s *storage) Prune(limit int) (int, error) {
	return s.cache.Prune(s.ctx, s.clock.Unix(), limit)
}

// Show implements caching.Cache.
func (s *storage) Show(name dnsname.Name) ([]cache.Shown, error) {
	return s.cache.Show(name, s.clock.Unix())
}

// Insert implements caching.Cache.
func (s *storage) Insert(set resolve.Set, told int64) error {
	now := s.clock.Unix()
	if told == 0 {
		told = now
	}
	return s.cache.Insert(s.partition(), set, told, now)
}

// Sync implements caching.Cache.
func (s *storage) Sync(ctx context.Context) error {
	store := s.current()
	if store == nil {
		return cache.ErrClosed
	}
	return store.Flush(ctx)
}

// wasTouched tells whether somebody decided about the cache.
func (s *storage) wasTouched() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.touched
}

// where is the directory of the open cache.
func (s *storage) where() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.dir
}

// finish commits what waits to be written and closes.
func (s *storage) finish() {
	if store := s.current(); store != nil {
		ctx, cancel := context.WithTimeout(context.Background(), limits.FlushTime)
		defer cancel()
		if err := store.Flush(ctx); err != nil {
			s.log.Warn(fmt.Sprintf("the last writes to the cache are lost: %v", lateFlush(err)))
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.epoch++
	s.closeLocked()
}

// lateFlush is why the last writes were not committed.
func lateFlush(err error) error {
	if errors.Is(err, context.DeadlineExceeded) {
		return fmt.Errorf("they took longer than %v", limits.FlushTime)
	}
	return err
}

// collect makes room while this worker leads its group, until ctx ends. Other
// workers do it too when their own writes find the map full.
func (s *storage) collect(ctx context.Context) {
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	for {
		s.mu.Lock()
		store, full := s.store, s.full
		s.mu.Unlock()
		select {
		case <-ctx.Done():
			return
		case <-full:
		case <-tick.C:
			if !s.leads() {
				continue
			}
		}
		if store == nil {
			continue
		}
		now := s.clock.Unix()
		_, err := store.Collect(ctx, func(key, val []byte) lmdbcache.Worth { return cache.Worth(key, val, now) })
		if err != nil && !errors.Is(err, context.Canceled) {
			s.log.Warn(fmt.Sprintf("making room: %v", err))
		}
	}
}
