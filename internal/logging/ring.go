package logging

import (
	"io"
	"strconv"
	"sync"
	"time"

	"kresd/internal/limits"
	"kresd/internal/safe"
)

// A Ring is a writer that never blocks. Write only copies bytes; one goroutine carries
// them to the real writer. When a terminal, a pipe or a
// full disk does not take them, whole writes are dropped and counted, and a
// line says how many once the writer moves again: a log must not be able to
// stop an answer.
type Ring struct {
	out  io.Writer
	size int

	mu      sync.Mutex
	changed sync.Cond // signalled when queue, writing or closed change
	queue   []byte
	spare   []byte
	writing bool
	closed  bool
	dropped uint64 // since the last line that said so
	total   uint64
	loss    func(n uint64) []byte // the line that says so
}

// tellLoss has what is lost told in these words.
func (r *Ring) tellLoss(words func(n uint64) []byte) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.loss = words
}

// NewRing starts a ring of at most size waiting bytes in front of out; size 0
// means limits.LogRing.
func NewRing(out io.Writer, size int) *Ring {
	if size <= 0 {
		size = limits.LogRing
	}
	r := &Ring{out: out, size: size, loss: func(n uint64) []byte { return []byte(Prefix("system") + " " + lost(n) + "\n") }}
	r.changed.L = &r.mu
	safe.Go("log writer", nil, r.carry)
	return r
}

// Write queues p as one piece, or drops it when the ring is full. It always
// reports success: no caller could do better than to go on.
func (r *Ring) Write(p []byte) (int, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.closed || len(r.queue)+len(p) > r.size {
		r.dropped++
		r.total++
		return len(p), nil
	}
	r.queue = append(r.queue, p...)
	r.changed.Broadcast()
	return len(p), nil
}

// Dropped is the number of writes that were lost so far.
func (r *Ring) Dropped() uint64 {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.total
}

// Flush waits until everything written so far has reached the real writer,
// for at most limit; it reports whether it has.
func (r *Ring) Flush(limit time.Duration) bool {
	expired := false
	timer := time.AfterFunc(limit, func() {
		r.mu.Lock()
		expired = true
		r.changed.Broadcast()
		r.mu.Unlock()
	})
	defer timer.Stop()
	r.mu.Lock()
	defer r.mu.Unlock()
	for (len(r.queue) > 0 || r.writing) && !expired {
		r.changed.Wait()
	}
	return len(r.queue) == 0 && !r.writing
}

// Close flushes for at most limit and ends the goroutine as soon as the real
// writer lets it; later writes are dropped.
func (r *Ring) Close(limit time.Duration) {
	r.Flush(limit)
	r.mu.Lock()
	r.closed = true
	r.changed.Broadcast()
	r.mu.Unlock()
}

// carry moves what is queued to the real writer. An error of the writer (a
// pipe without a reader) loses that piece only: a log that nobody reads is no
// reason to stop serving.
func (r *Ring) carry() {
	for {
		batch := r.next()
		if batch == nil {
			return
		}
		_, _ = r.out.Write(batch)
	}
}

// next hands over everything that waits, or nil when the ring is closed.
func (r *Ring) next() []byte {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.writing = false
	r.changed.Broadcast()
	for len(r.queue) == 0 {
		if r.closed {
			return nil
		}
		r.changed.Wait()
	}
	batch := r.queue
	r.queue, r.spare = r.spare[:0], batch
	if r.dropped > 0 {
		batch = append(batch, r.loss(r.dropped)...)
		r.spare, r.dropped = batch, 0
	}
	r.writing = true
	return batch
}

// lost says in words that lines were lost.
func lost(n uint64) string {
	return strconv.FormatUint(n, 10) + " log lines were lost: the output did not take them"
}
