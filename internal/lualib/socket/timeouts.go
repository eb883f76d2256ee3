package socket

import (
	"time"

	"kresd/internal/script"
)

// timeouts are how long an operation of a socket may take, as settimeout's modes "b" and
// "t" set it; negative: without end.
type timeouts struct{ block, total time.Duration }

var forever = timeouts{-1, -1}

// set is settimeout(seconds[, mode]).
func (t *timeouts) set(c *script.Call) error {
	d := time.Duration(-1)
	if !c.IsNil(2) && c.Number(2) >= 0 {
		d = script.Seconds(c.Number(2))
	}
	switch c.OptString(3, "b") {
	case "t", "r":
		t.total = d
	default:
		t.block = d
	}
	return c.Return(1)
}

// limit is how long an operation may take; negative: without end.
func (t timeouts) limit() time.Duration {
	if t.block < 0 || t.total >= 0 && t.total < t.block {
		return t.total
	}
	return t.block
}

// deadline is when an operation that begins now is given up; zero: never.
func (t timeouts) deadline() time.Time {
	d := t.limit()
	if d < 0 {
		return time.Time{}
	}
	return time.Now().Add(max(d, atOnce))
}

// atOnce is how long an operation with a timeout of 0 may take. It is to return what is
// there already; with a deadline that has passed it would not even read that.
const atOnce = time.Millisecond

// outside runs an operation of a connection outside of the Lua machine. set is what sets
// the connection's deadline for it.
func outside[T any](c *script.Call, t timeouts, set func(time.Time) error, fn func() (T, error)) (T, error) {
	_ = set(t.deadline())
	return script.Interruptible(c, func() { _ = set(time.Unix(1, 0)) }, fn)
}
