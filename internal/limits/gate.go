package limits

import (
	"context"
	"errors"
	"iter"
	"sync"
)

// ErrFull is the failure of Gate.Enter where as many wait already as may.
var ErrFull = errors.New("as many wait as may")

// A Gate gives each key a number of places and lets those who find none wait for
// one, so that a moment with more work than places costs time and not failures. To
// wait takes no goroutine and no timer beside the caller's own. The zero Gate is ready
// for use, by many goroutines at once.
//
// A caller may say which branch of the key's work it belongs to, as a path of words. Then
// the places of a key are shared fairly: of the waiting branches below a common one, the
// next place goes to the branch that has the fewest places, and within a branch callers are
// served in the order in which they came. So nobody gets more of a key by dividing the work
// below a branch into ever smaller ones, and a branch that keeps its places for long delays
// only itself.
type Gate[K comparable] struct {
	mu   sync.Mutex
	keys map[K]*branch
	idle *branch // the last one that was not needed any more, for the next key
}

// A Place is one of a key's. It is given back by Leave, once.
type Place[K comparable] struct {
	key K
	of  *branch // that it is counted for; nil: only for the key
}

// A Queue says how many may wait for a key's places.
type Queue struct {
	// Most is for all together. A branch that has others beside it may fill half of what
	// its parent has left.
	Most int
	// Vain is for a branch, or the whole key, of whose places VainPlaces in a row came to
	// nothing, for VainTime: there is little hope for who waits.
	Vain int
}

// Try is Enter for who does not wait: ok is false where no place is free.
func (g *Gate[K]) Try(key K, max int, path iter.Seq[string]) (p Place[K], ok bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.take(key, max, path)
}

// Taken is how many places of a key are taken.
func (g *Gate[K]) Taken(key K) int {
	g.mu.Lock()
	defer g.mu.Unlock()
	if root := g.keys[key]; root != nil {
		return root.taken
	}
	return 0
}

// Enter takes one of at most max places, for a branch of the key's work that path leads
// to (nil: the key's whole work is one). Where none is free it waits for one until ctx
// ends, and fails with ErrFull, at once or when little hope is left, where more wait than
// may. waited tells that time has passed, so that what the caller knew may no longer be so.
func (g *Gate[K]) Enter(ctx context.Context, key K, max int, queue Queue, path iter.Seq[string]) (p Place[K], waited bool, err error) {
	g.mu.Lock()
	p, ok := g.take(key, max, path)
	if ok {
		g.mu.Unlock()
		return p, false, nil
	}
	w := g.keys[key].join(queue, path)
	g.mu.Unlock()
	if w == nil {
		return p, false, ErrFull
	}
	select {
	case <-w.told:
	case <-ctx.Done():
		if !g.withdraw(key, w) {
			return p, true, ctx.Err()
		}
		g.Leave(Place[K]{key, w.in}, true) // it was given just now; nothing was tried with it
		return p, true, ctx.Err()
	}
	if w.shed {
		return p, true, ErrFull
	}
	return Place[K]{key, w.in}, true, nil
}

// take takes a place without waiting.
func (g *Gate[K]) take(key K, max int, path iter.Seq[string]) (p Place[K], ok bool) {
	root := g.keys[key]
	switch {
	case root == nil && max <= 0:
		return p, false
	case root == nil:
		root = g.add(key)
	case root.taken >= max:
		return p, false
	}
	p.key = key
	if root.taken >= max/uncountedShare && path != nil {
		p.of = root.find(path)
	}
	root.take(p.of)
	return p, true
}

// uncountedShare is which part of a key's places is given away without looking to whom,
// while so many are free that hardly anybody will have to wait.
const uncountedShare = 4

// withdraw takes a waiter out of the queue, if it is still there; given tells that it has
// got a place instead.
func (g *Gate[K]) withdraw(key K, w *waiter) (given bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	select {
	case <-w.told:
		return !w.shed
	default:
	}
	w.in.remove(w)
	w.in.prune()
	return false
}

// Keys is how many keys have places taken.
func (g *Gate[K]) Keys() int {
	g.mu.Lock()
	defer g.mu.Unlock()
	return len(g.keys)
}

// Leave gives a place back, to who waits for one. useful tells that something came of
// what was done in it.
func (g *Gate[K]) Leave(p Place[K], useful bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	root := g.keys[p.key]
	root.leave(p.of, useful)
	if w := root.next(); w != nil {
		w.in.remove(w)
		root.take(w.in)
		close(w.told)
	}
	p.of.prune()
	if root.taken == 0 { // nobody waits where nobody is
		delete(g.keys, p.key)
		root.reset()
		g.idle = root
	}
}

// add makes the branch that stands for all of a key's work.
func (g *Gate[K]) add(key K) *branch {
	root := g.idle
	if g.idle = nil; root == nil {
		root = &branch{}
	}
	if g.keys == nil {
		g.keys = make(map[K]*branch)
	}
	g.keys[key] = root
	return root
}
