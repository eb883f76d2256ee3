package listen

import (
	"sync"

	"kresd/internal/limits"
)

// A crew is the goroutines of the driver's way that rest between two queries.
//
// A resolution goes deep, and a new goroutine would grow its stack for it, by
// copying it several times; one that has been there before has the room. So a
// goroutine that has done its query waits for the next, and the one that did so
// last is taken first.
type crew struct {
	mu     sync.Mutex
	idle   []chan *Query
	closed bool
}

// take hands q to a goroutine that rests; false when there is none.
func (c *crew) take(q *Query) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	n := len(c.idle)
	if n == 0 {
		return false
	}
	c.idle[n-1] <- q // has room: nobody else knows the channel of one that rests
	c.idle = c.idle[:n-1]
	return true
}

// rest makes the goroutine behind next one of the crew; false when it is not
// needed.
func (c *crew) rest(next chan *Query) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed || len(c.idle) >= limits.IdleResolvers {
		return false
	}
	c.idle = append(c.idle, next)
	return true
}

// close sends the crew home, and everybody who would join it later.
func (c *crew) close() {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, next := range c.idle {
		close(next)
	}
	c.idle, c.closed = nil, true
}
