package taupdate

import (
	"errors"
	"fmt"
	"time"

	"golang.org/x/sys/unix"

	"kresd/internal/clock"
	"kresd/internal/dnsname"
	"kresd/internal/trustanchor"
)

// first is the time until the first look at the keys of a zone.
const first = 10 * time.Second

// zone is one that is followed. Its methods are called with the follower's lock held,
// but for look.
type zone struct {
	*follower
	owner   dnsname.Name
	file    string
	managed bool

	lock    *trustanchor.Lock
	stamp   stamp // of the file as it was read or written last
	refused string
	timer   *clock.Timer
	ended   bool
	looking bool
	seen    trustanchor.Sighting // the last one that was proved
	unlike  string               // what an operator was told of keys that are only watched
}

// isFrom tells whether anchors are those that are followed: who gives others may be
// ahead of sync.
func (z *zone) isFrom(set *trustanchor.KeySet) bool {
	return set != nil && set.File == z.file && set.Managed == z.managed
}

// start follows the zone from then on; at once where its keys were never seen.
func (z *zone) start(fetched bool) {
	if !z.managed {
		z.plan(first)
		return
	}
	if z.take() {
		z.plan(z.delay(fetched))
	}
}

// delay is the time until the first look.
func (z *zone) delay(fetched bool) time.Duration {
	every := z.Store.Timing().Refresh
	switch {
	case fetched:
		return 0
	case every > 0:
		return min(every, first)
	}
	return first
}

// stop ends it.
func (z *zone) stop() {
	z.ended = true
	z.timer.Stop()
	if z.lock != nil {
		z.drop()
	}
}

// drop gives up the lock.
func (z *zone) drop() {
	if err := z.lock.Release(); err != nil {
		z.Log.Warn(fmt.Sprintf("%s.lock: %v", z.file, err))
	}
	z.lock = nil
}

// plan has the keys of a zone that has not ended looked at after a time, and not before.
func (z *zone) plan(after time.Duration) {
	z.timer.Stop()
	z.timer = z.host.Clock.AfterFunc(after, func() { z.host.Tasks.Go("ta_update", z.look) })
}

// take tries to be the one who writes the file, and tells whether it has become that.
func (z *zone) take() bool {
	had := z.lock != nil
	if had {
		if z.lock.Held() {
			return false
		}
		z.drop()
	}
	lock, err := trustanchor.TryLock(z.file)
	switch {
	case err == nil:
		z.lock, z.refused = lock, ""
		return !had
	case errors.Is(err, trustanchor.ErrLocked):
		z.refused = ""
	case err.Error() != z.refused: // it is told once
		z.refused = err.Error()
		z.Log.Warn(fmt.Sprintf("%s cannot be kept up to date by this worker: %v", z.file, err))
	}
	return false
}

// tick reads the file again if somebody changed it, and takes the lock if it is
// free.
func (z *zone) tick() {
	if !z.managed {
		return
	}
	if z.take() {
		z.plan(z.delay(z.fetched()))
	}
	if now := stampOf(z.file); now != z.stamp {
		z.stamp = now
		z.reread()
	}
}

// fetched tells whether the zone's keys were never seen.
func (z *zone) fetched() bool {
	set := z.Store.Snapshot().Sets[z.owner]
	return set != nil && set.Fetched
}

// reread takes over a key file that another process has written. A file that is no key file
// changes nothing.
func (z *zone) reread() {
	old := z.Store.Snapshot().Sets[z.owner]
	if !z.isFrom(old) {
		return // sync will see to it
	}
	next, err := z.Store.Reread(old)
	switch {
	case err != nil:
		z.Log.Warn(fmt.Sprintf("%v; the trust anchors that are known stay in force", err))
	case next != nil:
		z.tell(trustanchor.Changes(old, next))
	}
}

// say tells the operator.
func (z *zone) say(line string) { z.Log.Notice(line) }

// tell tells of changes, in the words of the manual.
func (z *zone) tell(changes []trustanchor.Change) {
	for _, c := range changes {
		z.say(c.String())
	}
}

// stamp tells versions of a file apart.
type stamp struct {
	inode    uint64
	size     int64
	modified unix.Timespec
}

// stampOf is that of the file that a name stands for; none for no file.
func stampOf(path string) stamp {
	var st unix.Stat_t
	_ = unix.Stat(path, &st) // which leaves it empty where it fails
	return stamp{st.Ino, st.Size, st.Mtim}
}
