package limits

import (
	"container/heap"
	"iter"
	"time"
)

// A branch is a part of the work for one key of a Gate, in a tree. Its figures are those
// of the branches below it, too. The gate's lock is held for all that is done with it.
type branch struct {
	parent *branch // nil for the key's whole work
	word   string
	taken  int       // places
	vain   int       // that came to nothing since the last one that did not
	since  time.Time // when the first of these did
	queued int       // waiters

	own         int     // places of its own
	first, last *waiter // its own waiters, in the order of coming
	queue       Queue   // of its waiters, as the last one said

	below   map[string]*branch
	waiting waiting // those below that have waiters
	turn    uint64  // of branches with as many places the one with the least is first
	at      int     // in the parent's waiting
	turns   uint64  // of those below, how many there were
}

// A waiter is one caller that waits for a place.
type waiter struct {
	told       chan struct{} // closed when the place is given, or will not be
	shed       bool          // it will not be
	in         *branch
	prev, next *waiter
}

// find is the branch that a path leads to.
func (b *branch) find(path iter.Seq[string]) *branch {
	if path == nil {
		return b
	}
	for word := range path {
		next := b.below[word]
		if next == nil {
			next = &branch{parent: b, word: word}
			if b.below == nil {
				b.below = make(map[string]*branch)
			}
			b.below[word] = next
		}
		b = next
	}
	return b
}

// join puts a waiter behind the others of its branch; it is nil where as many wait as
// may.
func (b *branch) join(queue Queue, path iter.Seq[string]) *waiter {
	in := b.find(path)
	if !in.admits(queue) {
		in.prune()
		return nil
	}
	w := &waiter{told: make(chan struct{}), prev: in.last, in: in}
	if in.last != nil {
		in.last.next = w
	} else {
		in.first = w
	}
	in.last = w
	for up := in; up != nil; up = up.parent {
		up.queued++
		up.queue = queue
		if up.parent != nil && up.queued == 1 {
			up.parent.turns++
			up.turn = up.parent.turns
			heap.Push(&up.parent.waiting, up)
		}
	}
	return w
}

// admits tells whether one more may wait in b.
func (b *branch) admits(queue Queue) bool {
	for up := b; up != nil; up = up.parent {
		if up.room(queue) <= 0 {
			return false
		}
	}
	return true
}

// room is how many more may wait in b and what is below, by what its parent has room for
// and by how hopeful it is.
func (b *branch) room(queue Queue) (n int) {
	if n = queue.Most; b.parent != nil {
		n = b.parent.room(queue)
	}
	if b.hopeless() {
		n = min(n, queue.Vain)
	}
	return n - b.queued
}

// hopeless tells whether little can be hoped for from further places of b.
func (b *branch) hopeless() bool { return b.vain >= VainPlaces && time.Since(b.since) >= VainTime }

// remove takes w out of the queue.
func (b *branch) remove(w *waiter) {
	if w.prev != nil {
		w.prev.next = w.next
	} else {
		b.first = w.next
	}
	if w.next != nil {
		w.next.prev = w.prev
	} else {
		b.last = w.prev
	}
	for up := b; up != nil; up = up.parent {
		if up.queued--; up.queued == 0 && up.parent != nil {
			heap.Remove(&up.parent.waiting, up.at)
		}
	}
}

// take counts one place more, of a branch below the root b or, if of is nil, of none.
func (b *branch) take(of *branch) {
	if of == nil {
		b.taken++
		return
	}
	of.own++
	for up := of; up != nil; up = up.parent {
		up.taken++
		if p := up.parent; p != nil {
			p.turns++
			up.turn = p.turns
			up.moved()
		}
	}
}

// leave counts one place less. Where it is one of many in a row that came to nothing,
// those beyond wait no longer who have little hope.
func (b *branch) leave(of *branch, useful bool) {
	if of == nil {
		b.taken--
		of = b
	} else {
		of.own--
		for up := of; up != nil; up = up.parent {
			up.taken--
			up.moved()
		}
	}
	for up := of; up != nil; up = up.parent {
		up.came(useful)
	}
	for up := of; up != nil && !useful; up = up.parent {
		for up.hopeless() && up.queued > 0 && up.room(up.queue) < 0 {
			up.shed()
		}
	}
}

// came notes what a place of b came to.
func (b *branch) came(useful bool) {
	switch {
	case useful:
		b.vain = 0
		return
	case b.vain == 0:
		b.since = time.Now()
	}
	b.vain++
}

// shed sends one waiter away, of those that would have to wait longest.
func (b *branch) shed() {
	for len(b.waiting) > 0 {
		b = b.waiting[len(b.waiting)-1]
	}
	w := b.last
	b.remove(w)
	w.shed = true
	close(w.told)
	b.prune()
}

// next is whose turn it is; nil where nobody waits.
func (b *branch) next() *waiter {
	for len(b.waiting) > 0 {
		below := b.waiting[0]
		if b.first != nil && b.own <= below.taken {
			break
		}
		b = below
	}
	return b.first
}

// moved puts b to its place among those that wait, after its figures have changed.
func (b *branch) moved() {
	if b.parent != nil && b.queued > 0 {
		heap.Fix(&b.parent.waiting, b.at)
	}
}

// prune forgets b, and those above, where nothing is to be remembered. The root stays.
func (b *branch) prune() {
	for b != nil && b.parent != nil && b.taken == 0 && b.queued == 0 && len(b.below) == 0 {
		delete(b.parent.below, b.word)
		b = b.parent
	}
}

// reset makes a root ready for another key.
func (b *branch) reset() { *b = branch{} }

// waiting are branches in the order of their turns: a heap.
type waiting []*branch

func (w waiting) Len() int { return len(w) }

func (w waiting) Less(i, j int) bool {
	if w[i].taken != w[j].taken {
		return w[i].taken < w[j].taken
	}
	return w[i].turn < w[j].turn
}

func (w waiting) Swap(i, j int) {
	w[i], w[j] = w[j], w[i]
	w[i].at, w[j].at = i, j
}

// Push implements heap.Interface.
func (w *waiting) Push(x any) {
	b := x.(*branch)
	b.at = len(*w)
	*w = append(*w, b)
}

// Pop implements heap.Interface.
func (w *waiting) Pop() any {
	last := len(*w) - 1
	b := (*w)[last]
	(*w)[last] = nil
	*w = (*w)[:last]
	return b
}
