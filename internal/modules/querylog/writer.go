package querylog

import (
	"time"

	"kresd/internal/limits"
)

// A writer carries what is in the rings to where the configuration wants it.
type writer struct {
	q      *queryLog
	stop   chan struct{}
	ended  chan struct{}
	opened options // those by which out was opened
	out    sink    // nil: not yet
	batch  batch
}

// A batch is lines that are written together.
type batch struct {
	text []byte
	ends []int // of each line in text
}

func newWriter(q *queryLog) *writer {
	return &writer{q: q, stop: make(chan struct{}), ended: make(chan struct{})}
}

// run writes until the end.
func (w *writer) run() {
	defer close(w.ended)
	defer w.closeSink()
	for {
		select {
		case <-w.stop:
			w.carry()
			return
		case <-w.q.wake:
		}
		w.carry()
	}
}

// end has the writer end, and waits for that, at most for limit: one that hangs on a
// disk ends when the disk lets it.
func (w *writer) end(limit time.Duration) {
	close(w.stop)
	select {
	case <-w.ended:
	case <-time.After(limit):
	}
}

// carry writes until there is nothing. It must not end before: nobody wakes it for what
// lies in a ring already. It waits before each look, so that a flood is neither a wake-up
// nor a write for each question.
func (w *writer) carry() {
	for w.pause(); w.round(); w.pause() {
	}
}

// pause waits until questions have come together, or for the end.
func (w *writer) pause() {
	select {
	case <-w.stop:
	case <-time.After(limits.QueryLogPause):
	}
}

// round writes what is there, and tells whether that was anything.
func (w *writer) round() (any bool) {
	o := w.q.options.Load()
	if o == nil {
		o = &w.opened // the module is about to be closed
	}
	var e entry
	any = w.q.drain(func(rec []byte) {
		e.read(rec)
		w.batch.text = e.appendLine(w.batch.text, o.sample)
		w.batch.ends = append(w.batch.ends, len(w.batch.text))
		if len(w.batch.text) >= limits.QueryLogBatch {
			w.flush(o)
		}
	})
	w.flush(o)
	return any
}

// flush writes the batch.
func (w *writer) flush(o *options) {
	lines := len(w.batch.ends)
	if lines == 0 {
		return
	}
	written, err := w.write(o)
	w.q.gone.written.Add(uint64(written))
	w.q.gone.failed.Add(uint64(lines - written))
	if err != nil {
		w.q.complain(err)
	}
	w.batch.text, w.batch.ends = w.batch.text[:0], w.batch.ends[:0]
}

// write returns how many lines of the batch were written.
func (w *writer) write(o *options) (lines int, err error) {
	if w.out == nil || *o != w.opened {
		w.closeSink()
		if w.out, err = o.open(); err != nil {
			return 0, err
		}
		w.opened = *o
	}
	return w.out.write(&w.batch)
}

func (w *writer) closeSink() {
	if w.out != nil {
		w.out.close()
		w.out = nil
	}
}
