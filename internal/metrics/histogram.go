package metrics

import (
	"slices"
	"sync/atomic"
	"time"
)

// A Spread is durations counted by their length.
type Spread struct {
	// Bounds rise. A duration counts at the first bound that is not below it, or
	// behind the last one.
	Bounds []time.Duration
	// Counts has one more element than Bounds; an element does not include those
	// before it.
	Counts []uint64
	Sum    time.Duration
}

// Durations is a histogram that many goroutines write to at once.
type Durations struct {
	bounds []time.Duration
	counts []atomic.Uint64
	sum    atomic.Int64 // nanoseconds
}

// NewDurations makes a histogram with rising bounds.
func NewDurations(bounds ...time.Duration) *Durations {
	return &Durations{bounds: bounds, counts: make([]atomic.Uint64, len(bounds)+1)}
}

// Observe counts a duration.
func (h *Durations) Observe(d time.Duration) {
	i, _ := slices.BinarySearch(h.bounds, d)
	h.counts[i].Add(1)
	h.sum.Add(int64(d))
}

// Spread is what was observed so far.
func (h *Durations) Spread() Spread {
	s := Spread{Bounds: h.bounds, Counts: make([]uint64, len(h.counts)), Sum: time.Duration(h.sum.Load())}
	for i := range h.counts {
		s.Counts[i] = h.counts[i].Load()
	}
	return s
}
