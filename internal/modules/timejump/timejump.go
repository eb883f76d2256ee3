// Package timejump is the module detect_time_jump: it compares the wall clock
// with the monotonic one each minute.
//
// Entries of the cache carry wall seconds. When the wall clock was set back,
// entries made before would live too long; a cache that is known to be wrong
// like that is cleared. A jump ahead only makes entries expire early and is
// noted. Small differences are left to NTP.
package timejump

import (
	"errors"
	"fmt"
	"sync"
	"time"

	"kresd/internal/cache"
	"kresd/internal/clock"
	"kresd/internal/limits"
	"kresd/internal/module"
)

// interval is the time between two looks.
const interval = time.Minute

type watch struct {
	host  *module.Host
	mu    sync.Mutex
	wall  time.Time
	mono  time.Duration
	timer *clock.Timer
	ended bool
}

// checkpoint takes what both clocks show. Round(0) takes the wall time alone: with the
// monotonic reading beside it, package time compares by that, which never jumps.
func (w *watch) checkpoint() { w.wall, w.mono = w.host.Clock.Now().Round(0), w.host.Clock.Mono() }

func (w *watch) arm() {
	w.mu.Lock()
	defer w.mu.Unlock()
	if !w.ended {
		w.timer = w.host.Clock.AfterFunc(interval, func() { w.look(); w.arm() })
	}
}

func (w *watch) close() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.ended = true
	w.timer.Stop()
}

// look judges how far the two clocks have drifted apart since the checkpoint.
func (w *watch) look() {
	w.mu.Lock()
	defer w.mu.Unlock()
	drift := w.host.Clock.Now().Sub(w.wall) - (w.host.Clock.Mono() - w.mono)
	switch {
	case drift < -limits.ClockJump:
		line := fmt.Sprintf("the clock was set back by %v: the cache is cleared", (-drift).Round(time.Second))
		if _, err := w.host.Cache.Clear(); err != nil && !errors.Is(err, cache.ErrClosed) {
			line = fmt.Sprintf("the clock was set back by %v, but the cache could not be cleared: %v", (-drift).Round(time.Second), err)
		}
		w.host.Warn("detect_time_jump: " + line)
	case drift > limits.ClockJump:
		w.host.Warn(fmt.Sprintf("detect_time_jump: the clock jumped ahead by %v", drift.Round(time.Second)))
	default:
		return
	}
	w.checkpoint()
}
