// Package clock is where the resolver learns what time it is.
//
// Wall time judges data: TTLs, signatures, hold-downs. It may be shifted for
// scenarios (offset.go) and may jump. Monotonic time drives timers and measures
// round trips, and never jumps. No other package reads the system's clock for
// these; deadlines of sockets, pipes and processes are the system's own.
package clock

import (
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"
)

// Clock tells wall and monotonic time. A Clock is safe for concurrent use.
type Clock struct {
	offset *offsetFile   // nil: not shifted
	fixed  *atomic.Int64 // not nil: a test's clock, wall nanoseconds since 1970
	start  time.Time
	boot   time.Duration // the system's monotonic clock at start
	timers bool
}

// Real is the system's clock, unshifted.
func Real() *Clock { return &Clock{boot: sinceBoot(), start: time.Now()} }

// Now is the wall time.
func (c *Clock) Now() time.Time {
	if c.fixed != nil {
		return time.Unix(0, c.fixed.Load())
	}
	t := time.Now()
	if c.offset != nil {
		t = t.Add(time.Duration(c.offset.seconds()) * time.Second)
	}
	return t
}

// Unix is the wall time in whole seconds since 1970. It allocates nothing and
// is cheap enough to be asked once for each batch of queries.
func (c *Clock) Unix() int64 { return c.Now().Unix() }

// Mono is the time since the clock was made; it never goes backwards and is not
// shifted.
func (c *Clock) Mono() time.Duration {
	if c.fixed != nil {
		return time.Duration(c.fixed.Load())
	}
	return time.Since(c.start)
}

// Boot is the time since the machine was started, suspensions left out. It never
// goes backwards, is not shifted, and is the same in all processes (give or take
// the microseconds that making a clock takes), so that instants can be shared in
// files until the machine starts again.
func (c *Clock) Boot() time.Duration { return c.boot + c.Mono() }

// sinceBoot is the system's monotonic clock, the one that package time uses.
func sinceBoot() time.Duration {
	var ts unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_MONOTONIC, &ts); err != nil {
		return 0 // not on any Linux
	}
	return time.Duration(ts.Nano())
}

// Shifted tells whether an offset file shifts the wall time.
func (c *Clock) Shifted() bool { return c.offset != nil }

// TimersFollow tells whether the console's timers follow the shifted clock, so
// that a jump fires what is due. Waits for the network never do.
func (c *Clock) TimersFollow() bool { return c.timers }

// Fake is a clock that stands still until it is moved. It serves tests.
type Fake struct {
	Clock
	now atomic.Int64
}

// NewFake makes a clock that stands at the given wall time.
func NewFake(at time.Time) *Fake {
	f := &Fake{}
	f.now.Store(at.UnixNano())
	f.fixed = &f.now
	return f
}

// Advance moves the clock.
func (f *Fake) Advance(d time.Duration) { f.now.Add(int64(d)) }
