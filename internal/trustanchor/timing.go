package trustanchor

import (
	"fmt"
	"strconv"
	"time"
)

// holdDown is how long a key is seen before it is trusted (RFC 5011, section 2.4.1).
const holdDown = 30 * 24 * time.Hour

// Timing says how the keys of zones are followed.
type Timing struct {
	// HoldDown is how long a key is seen before it is trusted, and how long one that
	// was revoked, or went away, is remembered.
	HoldDown time.Duration
	// Refresh is the time between two looks; 0: as RFC 5011 says.
	Refresh time.Duration
	// KeepRemoved is how many keys are remembered that no longer count.
	KeepRemoved int
}

// Timing is how keys are followed.
func (s *Store) Timing() Timing {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.timing
}

// SetTiming changes how keys are followed, from the next look on.
func (s *Store) SetTiming(fn func(*Timing)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	fn(&s.timing)
}

// Next is the time until the keys of a zone are looked at again after a look that
// succeeded (RFC 5011, section 2.3). ttl is their original TTL, left the time until
// their signature expires.
func (t Timing) Next(ttl, left time.Duration) time.Duration {
	if t.Refresh > 0 {
		return t.Refresh
	}
	return max(time.Hour, min(15*24*time.Hour, ttl/2, left/2))
}

// Retry is Next after a look that failed, from what the last successful one found.
func (t Timing) Retry(ttl, left time.Duration) time.Duration {
	if t.Refresh > 0 {
		return t.Refresh
	}
	return max(time.Hour, min(24*time.Hour, ttl/10, left/10))
}

// Span is a time as it is told to the operator: in hours, or in seconds where it is
// less than one.
func Span(d time.Duration) string {
	value, unit := d.Hours(), "hour"
	if d < time.Hour {
		value, unit = d.Seconds(), "second"
	}
	text := strconv.FormatFloat(float64(int(value*100+0.5))/100, 'f', -1, 64)
	if text != "1" {
		unit += "s"
	}
	return fmt.Sprintf("%s %s", text, unit)
}
