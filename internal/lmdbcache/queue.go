package lmdbcache

import (
	"bytes"
	"slices"
	"sync"
)

// An op is one queued write, or a job of the writer that must stay behind the
// writes queued before it.
type op struct {
	key, val []byte // never changed in place; val nil: remove, if replace agrees
	replace  Replace
	seen     uint64 // the clear number when it was queued
	wide     bool   // it tells of more than lies under its key
	taken    bool   // the writer has it in its transaction
	gone     bool   // the writer is done with it
	job      *job
}

func (o *op) size() int { return len(o.key) + len(o.val) + 64 }

// A queue holds writes until the writer commits them, in the order they came,
// and by key so that this process sees what it has queued.
type queue struct {
	mu         sync.Mutex
	fifo       []*op
	sorted     []*op // by key, without jobs; also those taken
	bytes      int
	maxEntries int
	maxBytes   int
	ended      bool

	wake  chan struct{} // something came
	hurry chan struct{} // somebody waits, or a batch is full
}

func (q *queue) init(maxEntries, maxBytes int) {
	q.maxEntries, q.maxBytes = maxEntries, maxBytes
	q.wake, q.hurry = make(chan struct{}, 1), make(chan struct{}, 1)
}

func signal(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

func (q *queue) find(key []byte) (int, bool) {
	return slices.BinarySearchFunc(q.sorted, key, func(o *op, k []byte) int { return bytes.Compare(o.key, k) })
}

// add queues o; a waiting write of the same key gives way to it. The results tell
// whether o was accepted and, if not, whether that was the earlier write's rank.
func (q *queue) add(o *op, hurryAt int) (accepted, outranked bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.ended {
		return false, false
	}
	at, found := q.find(o.key)
	if found && o.replace != nil && q.sorted[at].val != nil && !o.mayReplace(q.sorted[at].val) {
		return false, true
	}
	if found && !q.sorted[at].taken {
		old := q.sorted[at]
		q.bytes += o.size() - old.size()
		if old.val == nil && old.replace == nil {
			o.replace = nil // what is stored is on its way out
		}
		// The key, too, for it may share its memory with the value that gives way.
		old.key, old.val, old.replace, old.seen, old.wide = o.key, o.val, o.replace, o.seen, o.wide
		return true, false
	}
	if len(q.fifo) >= q.maxEntries || q.bytes+o.size() > q.maxBytes {
		return false, false
	}
	q.bytes += o.size()
	q.fifo = append(q.fifo, o)
	if found {
		q.sorted[at] = o
	} else {
		q.sorted = slices.Insert(q.sorted, at, o)
	}
	signal(q.wake)
	if len(q.fifo) >= hurryAt {
		signal(q.hurry)
	}
	return true, false
}

// addJob queues j behind all writes; false when the writer has ended.
func (q *queue) addJob(j *job) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.ended {
		return false
	}
	q.fifo = append(q.fifo, &op{job: j})
	signal(q.wake)
	signal(q.hurry)
	return true
}

// take appends to batch at most n writes, or returns the job that is first in
// line. The writes stay visible until done.
func (q *queue) take(batch []*op, n int) ([]*op, *job) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if len(q.fifo) > 0 && q.fifo[0].job != nil {
		j := q.fifo[0].job
		q.fifo = q.fifo[1:]
		return batch, j
	}
	i := 0
	for ; i < len(q.fifo) && i < n && q.fifo[i].job == nil; i++ {
		q.fifo[i].taken = true
		batch = append(batch, q.fifo[i])
	}
	q.fifo = q.fifo[i:]
	if len(q.fifo) == 0 {
		q.fifo = nil // lets go of the array that a burst has left behind
	}
	return batch, nil
}

// done forgets the writes of a batch, written or given up; those of rest go back
// to the front of the line.
func (q *queue) done(batch, rest []*op) {
	q.mu.Lock()
	defer q.mu.Unlock()
	for _, o := range batch {
		q.bytes -= o.size()
		o.gone = true
	}
	q.sorted = slices.DeleteFunc(q.sorted, func(o *op) bool { return o.gone })
	for _, o := range rest {
		o.taken = false
	}
	if len(rest) > 0 {
		// A newer write of the same key stands behind it in line and wins.
		q.fifo = append(slices.Clone(rest), q.fifo...)
	}
}

// end refuses further writes and jobs.
func (q *queue) end() {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.ended = true
}

func (q *queue) length() int {
	q.mu.Lock()
	defer q.mu.Unlock()
	return len(q.sorted)
}

func (q *queue) empty() bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	return len(q.fifo) == 0
}

// get returns the queued value of key; known is true and val nil when its removal
// is queued.
func (q *queue) get(key []byte) (val []byte, known bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if i, ok := q.find(key); ok {
		return q.sorted[i].val, true
	}
	return nil, false
}

// floor returns the write with the greatest key that is not above key. The
// caller holds mu.
func (q *queue) floor(key []byte) *op {
	i, found := q.find(key)
	if found {
		return q.sorted[i]
	}
	if i == 0 {
		return nil
	}
	return q.sorted[i-1]
}

// within copies the writes whose keys start with prefix. The caller holds mu.
func (q *queue) within(prefix []byte) []op {
	from, _ := q.find(prefix)
	to := from
	for to < len(q.sorted) && bytes.HasPrefix(q.sorted[to].key, prefix) {
		to++
	}
	found := make([]op, 0, to-from)
	for _, o := range q.sorted[from:to] {
		found = append(found, op{key: o.key, val: o.val})
	}
	return found
}
