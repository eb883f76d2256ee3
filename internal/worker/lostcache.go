package worker

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"syscall"
	"time"

	"kresd/internal/limits"
	"kresd/internal/lmdbcache"
	"kresd/internal/wording"
)

// reopen opens the cache of an epoch again after its file was lost. While that
// is not possible (the disk is full, something else has the file's name) it is
// tried again, until an operator opens or closes a cache.
func (s *storage) reopen(epoch int) {
	s.mu.Lock()
	uri, dir, size, open := s.uri, s.dir, s.size, s.epoch == epoch && s.store != nil
	lo, hi := s.TTLs()
	s.mu.Unlock()
	if !open {
		return
	}
	s.tryAgain("", func() (done bool, err error) { return s.replace(epoch, size, uri, dir, lo, hi) })
}

// tryAgain opens a cache until that is done. It tells why not whenever that is another
// reason than was told before.
func (s *storage) tryAgain(said string, open func() (done bool, err error)) {
	for wait := limits.CacheReopenMin; ; wait = min(2*wait, limits.CacheReopenMax) {
		done, err := open()
		if done {
			return
		}
		if line := err.Error(); line != said {
			s.log.Error(line + ": answering without a cache and trying again")
			said = line
		}
		select {
		case <-s.ctx.Done():
			return
		case <-time.After(wait):
		}
	}
}

// noRoom tells whether a cache cannot be opened because the disk is full, or its user may
// have no more of it.
func noRoom(err error) bool {
	return errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT)
}

// await answers without the cache that somebody wants, for which there is no room, and
// opens it when there is. Of a group's workers the first tells of it.
func (s *storage) await(why error, size int64, uri, dir string) {
	s.uri, s.dir = uri, dir
	epoch := s.epoch
	if s.link.ID() == 0 {
		s.log.Error(fmt.Sprintf("%v: answering without a cache until there is room", why))
	}
	s.group.Go("cache open", func() {
		s.tryAgain(why.Error(), func() (done bool, err error) {
			lo, hi := s.TTLs()
			done, err = s.replace(epoch, size, uri, dir, lo, hi)
			if done && err == nil && s.link.ID() == 0 && s.IsOpen() {
				s.log.Notice(fmt.Sprintf("there is room again: cache of %s in %s", sizeText(size), dir))
			}
			return done, err
		})
	})
}

// replace opens the cache anew unless another epoch has begun; done says that
// nothing remains to be tried.
func (s *storage) replace(epoch int, size int64, uri, dir string, lo, hi uint32) (done bool, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.epoch != epoch {
		return true, nil
	}
	if err := s.openLocked(size, uri, dir); err != nil {
		return false, err
	}
	s.SetTTLs(lo, hi)
	return true, nil
}

// examine puts a file aside that may have killed this worker's predecessor: a
// throw-away child reads all of it first, and dies in our place if it must; a
// file that has killed several is not looked at. Where one was put aside a
// moment ago, by a sibling with the same suspicion, what is there now is another
// file, and the child decides. All of this is done once: what is opened later in
// the life of this process did not kill the predecessor.
func (s *storage) examine(dir string) {
	suspect := s.link.Suspect()
	if suspect == nil || suspect.Dir != dir || s.examined {
		return
	}
	s.examined = true
	now := s.clock.Now()
	condemned := suspect.Deaths >= limits.QuarantineDeaths && !lmdbcache.PutAsideSince(dir, now.Add(-limits.QuarantineWindow))
	if !condemned && s.canBeRead(dir) {
		return
	}
	aside, err := lmdbcache.Quarantine(dir, now)
	if err != nil {
		s.log.Error(fmt.Sprintf("a worker died reading the cache in %s, and it cannot be put aside: %v", dir, wording.Reason(err)))
		return
	}
	s.log.Warn(fmt.Sprintf("a worker died reading the cache in %s: put aside as %s", dir, aside))
}

// canBeRead lets a child read all of dir's cache.
func (s *storage) canBeRead(dir string) bool {
	ctx, cancel := context.WithTimeout(s.ctx, limits.CacheCheckTime)
	defer cancel()
	child := exec.CommandContext(ctx, "/proc/self/exe")
	child.Env = append(os.Environ(), CheckCacheVar+"="+dir)
	return child.Run() == nil
}

// CheckCacheVar is set for a child that only reads a cache through and ends.
const CheckCacheVar = "KRESD_CHECK_CACHE"

// CheckCache is that child's life.
func CheckCache(dir string) int { return lmdbcache.CheckMain(dir) }
