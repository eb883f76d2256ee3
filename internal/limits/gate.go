package limits

import (
	"context"
	"sync"
)

// A Gate gives each key a number of places and lets those who find none wait in
// the order in which they came, so that a moment with more work than places
// costs time and not failures. To wait takes no goroutine and no timer beside the
// caller's own. The zero Gate is ready for use, by many goroutines at once.
type Gate[K comparable] struct {
	mu     sync.Mutex
	places map[K]places
}

// places are those of one key; a key without any has none in the map.
type places struct {
	taken       int
	queued      int
	first, last *waiter // the queue, in the order of coming
}

// waiter is one caller that waits for a place.
type waiter struct {
	come       chan struct{} // closed when the place is given
	prev, next *waiter
}

// Try takes one of at most max places, if one is free.
func (g *Gate[K]) Try(key K, max int) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.try(key, max)
}

// Taken is how many places of a key are taken.
func (g *Gate[K]) Taken(key K) int {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.places[key].taken
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

// Enter takes one of at most max places. Where none is free it waits for one until
// ctx ends; it fails at once if as many as queue others wait already. waited tells
// that time has passed, so that what the caller knew may no longer be so.
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
	w := p.join()
	g.places[key] = p
	g.mu.Unlock()
	select {
	case <-w.come:
		return true, true
	case <-ctx.Done():
		g.giveUp(key, w)
		return true, false
	}
}

// giveUp takes w out of the queue, or passes its place on if it was given
// meanwhile.
func (g *Gate[K]) giveUp(key K, w *waiter) {
	g.mu.Lock()
	defer g.mu.Unlock()
	select {
	case <-w.come:
		g.leave(key)
		return
	default:
	}
	p := g.places[key]
	p.remove(w)
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
	if w := p.first; w != nil {
		p.remove(w)
		close(w.come)
	} else {
		p.taken--
	}
	if p.taken <= 0 {
		delete(g.places, key) // nobody waits where nobody is
		return
	}
	g.places[key] = p
}

// join puts a waiter behind all others.
func (p *places) join() *waiter {
	w := &waiter{come: make(chan struct{}), prev: p.last}
	if p.last != nil {
		p.last.next = w
	} else {
		p.first = w
	}
	p.last = w
	p.queued++
	return w
}

// remove takes w out of the queue.
func (p *places) remove(w *waiter) {
	if w.prev != nil {
		w.prev.next = w.next
	} else {
		p.first = w.next
	}
	if w.next != nil {
		w.next.prev = w.prev
	} else {
		p.last = w.prev
	}
	p.queued--
}
