// Package timejump is the module detect_time_jump: it compares the wall clock
// with the monotonic one each minute.
//
// Entries of the cache carry wall seconds. When the wall clock was set back,
// entries made before would live too long; a cache that is known to be wrong
// like that is cleared. A jump ahead only makes entries expire early and is
// noted. Small differences are left to NTP.
package timejump

import (
	"fmt"
	"sync"
	"time"

	"kresd/internal/clock"
	"kresd/internal/limits"
	"kresd/internal/module"
)

// interval is the time between two looks.
const interval = time.Minute

// Daemon is what the module needs of the worker.
type Daemon struct {
	Clock *clock.Clock
	// Clear forgets the whole cache.
	Clear func() error
	Warn  func(line string)
}

type watch struct {
	d     Daemon
	mu    sync.Mutex
	wall  time.Time
	mono  time.Duration
	timer *clock.Timer
	ended bool
}

// Open starts watching.
func Open(d Daemon) (*module.Instance, error) {
	w := &watch{d: d}
	w.checkpoint()
	w.arm()
	return &module.Instance{Close: w.close}, nil
}

func (w *watch) checkpoint() { w.wall, w.mono = w.d.Clock.Now(), w.d.Clock.Mono() }

func (w *watch) arm() {
	w.mu.Lock()
	defer w.mu.Unlock()
	if !w.ended {
		w.timer = w.d.Clock.AfterFunc(interval, func() { w.look(); w.arm() })
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
	drift := w.d.Clock.Now().Sub(w.wall).Round(0) - (w.d.Clock.Mono() - w.mono)
	switch {
	case drift < -limits.ClockJump:
		line := fmt.Sprintf("the clock was set back by %v: the cache is cleared", (-drift).Round(time.Second))
		if err := w.d.Clear(); err != nil {
			line = fmt.Sprintf("the clock was set back by %v, but the cache could not be cleared: %v", (-drift).Round(time.Second), err)
		}
		w.d.Warn(line)
	case drift > limits.ClockJump:
		w.d.Warn(fmt.Sprintf("the clock jumped ahead by %v", drift.Round(time.Second)))
	default:
		return
	}
	w.checkpoint()
}
