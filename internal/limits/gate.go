package limits

import (
	"context"
	"sync"
)

// A Gate gives each key a number of places and lets those who find none wait in
// the order in which they came, so that a moment with more work than places
// costs time and not failures. Who waits has no goroutine and no timer besides
// its own. The zero Gate is ready for use, by many goroutines at once.
type Gate[K comparable] struct {
	mu     sync.Mutex
	places map[K]places
}

// places are those of one key; a key without any has none in the map.
type places struct {
	taken       int
	queued      int
	first, last *turn // who waits
}

// turn is the wait of one.
type turn struct {
	come       chan struct{} // closed when the place is given
	prev, next *turn
}

// Try takes one of at most max places, if one is free.
func (g *Gate[K]) Try(key K, max int) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.try(key, max)
}

func (g *Gate[K]) try(key K, max int) bool {
	p := g.places[key]
	if p.taken >= max {
		return false
	}
	if g.places == nil {
		g.places = make(map[K]places)
	}
	p.taken++
	g.places[key] = p
	return true
}

// Enter takes one of at most max places and waits for it, if it must, until ctx
// ends. It fails at once where queue others wait already. waited tells whether
// the caller may have to look at the world anew.
func (g *Gate[K]) Enter(ctx context.Context, key K, max, queue int) (waited, ok bool) {
	g.mu.Lock()
	if g.try(key, max) {
		g.mu.Unlock()
		return false, true
	}
	p := g.places[key]
	if p.queued >= queue {
		g.mu.Unlock()
		return false, false
	}
	t := p.join()
	g.places[key] = p
	g.mu.Unlock()
	select {
	case <-t.come:
		return true, true
	case <-ctx.Done():
		g.giveUp(key, t)
		return true, false
	}
}

// giveUp takes t out of the queue, or passes its place on if it was given
// meanwhile.
func (g *Gate[K]) giveUp(key K, t *turn) {
	g.mu.Lock()
	defer g.mu.Unlock()
	select {
	case <-t.come:
		g.leave(key)
		return
	default:
	}
	p := g.places[key]
	p.take(t)
	g.places[key] = p
}

// Keys is how many keys have places taken.
func (g *Gate[K]) Keys() int {
	g.mu.Lock()
	defer g.mu.Unlock()
	return len(g.places)
}

// Leave gives a place back, to who has waited longest.
func (g *Gate[K]) Leave(key K) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.leave(key)
}

func (g *Gate[K]) leave(key K) {
	p := g.places[key]
	if t := p.first; t != nil {
		p.take(t)
		close(t.come)
	} else {
		p.taken--
	}
	if p.taken <= 0 {
		delete(g.places, key) // nobody waits where nobody is
		return
	}
	g.places[key] = p
}

// join is a new turn behind all others.
func (p *places) join() *turn {
	t := &turn{come: make(chan struct{}), prev: p.last}
	if p.last != nil {
		p.last.next = t
	} else {
		p.first = t
	}
	p.last = t
	p.queued++
	return t
}

// take takes t out of the queue.
func (p *places) take(t *turn) {
	if t.prev != nil {
		t.prev.next = t.next
	} else {
		p.first = t.next
	}
	if t.next != nil {
		t.next.prev = t.prev
	} else {
		p.last = t.prev
	}
	p.queued--
}
