package lmdbcache

import (
	"sync"
	"sync/atomic"
	"time"

	"kresd/internal/clock"
	"kresd/internal/limits"
)

// health decides when writing is given up for a while: a disk that is full stays
// so for longer than a transaction, and each failure holds the lock that other
// processes wait for.
type health struct {
	clock   *clock.Clock
	onFull  func()
	until   atomic.Int64 // writing pauses until then, in Mono nanoseconds
	mu      sync.Mutex
	recent  []time.Duration // failures within the window
	askedAt time.Duration
	asked   bool
}

func (h *health) init(o Options) { h.clock, h.onFull = o.Clock, o.OnFull }

// failure notes a failed transaction and tells whether it began a pause.
func (h *health) failure() (paused bool) {
	now := h.clock.Mono()
	h.mu.Lock()
	defer h.mu.Unlock()
	kept := h.recent[:0]
	for _, t := range h.recent {
		if now-t < limits.WriteFailureWindow {
			kept = append(kept, t)
		}
	}
	h.recent = append(kept, now)
	if len(h.recent) < limits.WriteFailures {
		return false
	}
	h.recent = h.recent[:0]
	h.until.Store(int64(now + limits.WriteFailurePause))
	return true
}

// rest makes writing pause for a while.
func (h *health) rest(d time.Duration) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.until.Store(max(h.until.Load(), int64(h.clock.Mono()+d)))
}

// recovered ends a pause: somebody has made room.
func (h *health) recovered() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.recent = h.recent[:0]
	h.until.Store(0)
}

func (h *health) paused() bool {
	until := h.until.Load()
	return until != 0 && int64(h.clock.Mono()) < until
}

// askCollector tells the owner that the map is full, at most once a second.
func (h *health) askCollector() {
	now := h.clock.Mono()
	h.mu.Lock()
	ask := !h.asked || now-h.askedAt >= time.Second
	if ask {
		h.asked, h.askedAt = true, now
	}
	h.mu.Unlock()
	if ask {
		h.onFull()
	}
}
