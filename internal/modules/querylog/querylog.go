package querylog

import (
	"slices"
	"sync"
	"sync/atomic"

	"kresd/internal/limits"
	"kresd/internal/logging"
	"kresd/internal/metrics"
	"kresd/internal/module"
	"kresd/internal/resolve"
)

// queryLog is the module in a worker.
type queryLog struct {
	host    *module.Host
	figures *metrics.Group
	seldom  logging.Seldom
	options atomic.Pointer[options] // nil: nothing is logged
	wake    chan struct{}
	gone    struct{ written, failed, dropped atomic.Uint64 } // dropped by rings that are no more

	slow struct { // the driver's way
		sync.Mutex
		ring *ring
		seen uint64 // of what is wanted, for the sample
	}

	mu     sync.Mutex
	rings  []*ring
	writer *writer // nil: nobody writes
}

func newQueryLog(h *module.Host) *queryLog {
	q := &queryLog{host: h, wake: make(chan struct{}, 1)}
	q.slow.ring = newRing(limits.QueryLogRing)
	q.rings = []*ring{q.slow.ring}
	q.figures = newFigures(q.counts)
	return q
}

// configure takes the table of a configuration. A mistake leaves what was in force.
func (q *queryLog) configure(value any) error {
	if value == nil { // the module is loaded without a configuration
		return nil
	}
	o, err := parse(value)
	if err != nil {
		return err
	}
	q.options.Store(&o)
	if q.host.Context.Err() != nil { // the configuration is only tried
		return nil
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.writer == nil {
		q.writer = newWriter(q)
		q.host.Tasks.Go("querylog", q.writer.run)
	}
	return nil
}

// close ends the writer, which gets a moment for what it has.
func (q *queryLog) close() {
	q.options.Store(nil)
	q.mu.Lock()
	w := q.writer
	q.writer = nil
	q.mu.Unlock()
	if w != nil {
		w.end(limits.QueryLogEnd)
	}
}

// newTally implements module.Instance.
func (q *queryLog) newTally() module.Tally {
	t := &tally{q: q, ring: newRing(limits.QueryLogRing)}
	q.mu.Lock()
	defer q.mu.Unlock()
	q.rings = append(q.rings, t.ring)
	return t
}

// A tally is one listener's thread.
type tally struct {
	q    *queryLog
	ring *ring
	seen uint64 // of what is wanted, for the sample
}

// Answered implements module.Tally.
func (t *tally) Answered(a *module.Answered) { t.q.note(a, t.ring, &t.seen) }

// Close implements module.Tally.
func (t *tally) Close() {
	t.ring.closed.Store(true)
	t.q.rouse()
}

// observe implements module.Instance: it is told of the driver's way.
func (q *queryLog) observe(a *module.Answered) {
	if q.options.Load() == nil {
		return
	}
	q.slow.Lock()
	defer q.slow.Unlock()
	q.note(a, q.slow.ring, &q.slow.seen)
}

// note puts a question into a ring, if it is to be logged. It neither waits nor
// allocates.
func (q *queryLog) note(a *module.Answered, r *ring, seen *uint64) {
	o := q.options.Load()
	if o == nil {
		return
	}
	e := entryOf(a)
	if !e.wanted(o.which) {
		return
	}
	if *seen++; *seen%o.sample != 0 {
		return
	}
	rec := r.room(e.size())
	if rec == nil {
		return
	}
	if e.at = q.host.Clock.Now(); o.clients {
		e.flags |= hasClient
	}
	e.write(rec)
	if r.put() {
		q.rouse()
	}
}

// rouse wakes the writer.
func (q *queryLog) rouse() {
	select {
	case q.wake <- struct{}{}:
	default: // it is about to look
	}
}

// result is what the driver's way came to; nil on the other.
func result(a *module.Answered) *resolve.Result {
	if a.Request == nil {
		return nil
	}
	return &a.Request.Result
}

// drain calls use for every record that is there, each thread's in its turn, and tells
// whether there were any. It forgets the rings of threads that have ended.
func (q *queryLog) drain(use func(rec []byte)) (any bool) {
	q.mu.Lock()
	rings := slices.Clone(q.rings)
	q.mu.Unlock()
	for _, r := range rings {
		ended := r.closed.Load()
		any = r.take(use) || any
		if ended {
			q.forget(r)
		}
	}
	return any
}

func (q *queryLog) forget(r *ring) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if i := slices.Index(q.rings, r); i >= 0 {
		q.rings = slices.Delete(q.rings, i, i+1)
		q.gone.dropped.Add(r.lost.Load())
	}
}

// counts are the figures.
func (q *queryLog) counts() counts {
	q.mu.Lock()
	defer q.mu.Unlock()
	c := counts{written: q.gone.written.Load(), failed: q.gone.failed.Load(), dropped: q.gone.dropped.Load()}
	for _, r := range q.rings {
		c.dropped += r.lost.Load()
	}
	return c
}

// complain tells the log about lines that could not be written, once in a while.
func (q *queryLog) complain(err error) {
	q.seldom.Say(err.Error(), func(more string) { q.host.Warn("querylog: " + err.Error() + more) })
}
