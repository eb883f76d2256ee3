package listen

import (
	"sync"

	"kresd/internal/limits"
)

// An idlePool holds the goroutines of the driver's way that have nothing to do.
//
// A resolution goes deep, and a new goroutine would grow its stack for it, by
// copying it several times; one that has been there before has the room. So a
// goroutine that has done its job waits for the next, and the one that did so
// last is taken first.
type idlePool struct {
	mu     sync.Mutex
	idle   []chan job
	closed bool
}

// take hands j to an idle goroutine; it returns false when there is none.
func (p *idlePool) take(j job) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	n := len(p.idle)
	if n == 0 {
		return false
	}
	p.idle[n-1] <- j // the channel has room, and nobody else knows it
	p.idle = p.idle[:n-1]
	return true
}

// add makes the goroutine that receives from next an idle one. It returns false
// when there are enough.
func (p *idlePool) add(next chan job) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed || len(p.idle) >= limits.IdleResolvers {
		return false
	}
	p.idle = append(p.idle, next)
	return true
}

// close ends the idle goroutines, and those that would be added later.
func (p *idlePool) close() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, next := range p.idle {
		close(next)
	}
	p.idle, p.closed = nil, true
}
