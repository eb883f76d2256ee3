package taupdate

import (
	"sync"
	"sync/atomic"
	"time"

	"kresd/internal/clock"
	"kresd/internal/dnsname"
	"kresd/internal/module"
)

// interval is the time between two looks at the files of others.
const interval = time.Second

// follower knows the zones whose keys are followed.
type follower struct {
	Config
	host    *module.Host
	cancel  func() // of the store's notice
	changed atomic.Pointer[callback]

	mu    sync.Mutex // held while anything below, or of a zone, is read or changed
	zones map[dnsname.Name]*zone
	timer *clock.Timer
	ended bool
}

func newFollower(c Config, h *module.Host) *follower {
	return &follower{Config: c, host: h, zones: map[dnsname.Name]*zone{}}
}

// open begins with the anchors that there are.
func (f *follower) open() {
	// In a task of its own, because those who change anchors may hold locks, as this
	// module does.
	f.cancel = f.Store.OnChange(func() { f.host.Tasks.Go("ta_update", f.sync) })
	f.sync()
	f.arm()
}

func (f *follower) close() {
	f.cancel()
	f.mu.Lock()
	defer f.mu.Unlock()
	f.ended = true
	f.timer.Stop()
	for name, z := range f.zones {
		z.stop()
		delete(f.zones, name)
	}
}

// arm has tick called in a second.
func (f *follower) arm() {
	f.mu.Lock()
	defer f.mu.Unlock()
	if !f.ended {
		f.timer = f.host.Clock.AfterFunc(interval, func() {
			f.host.Tasks.Run("ta_update", f.tick)
			f.arm()
		})
	}
}

// tick looks at the files.
func (f *follower) tick() {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, z := range f.zones {
		z.tick()
	}
}

// sync follows the zones that have anchors, and no others.
func (f *follower) sync() {
	f.mu.Lock()
	defer f.mu.Unlock()
	sets := f.Store.Snapshot().Sets
	if f.ended {
		return
	}
	for name, z := range f.zones {
		if !z.isFrom(sets[name]) {
			z.stop()
			delete(f.zones, name)
		}
	}
	for name, set := range sets {
		if f.zones[name] == nil {
			z := &zone{follower: f, owner: name, file: set.File, managed: set.Managed}
			f.zones[name] = z
			z.start(set.Fetched)
		}
	}
}
