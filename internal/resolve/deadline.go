package resolve

import (
	"context"
	"sync"
	"time"

	"kresd/internal/limits"
)

// deadlines are the contexts that end when the time of a request is over. Requests
// that begin together share one: a context of its own, with its timer and its
// place among the worker's, is dear for who is answered in a millisecond. It does not
// end with the request, so what a request leaves behind is ended by Plan.abandon.
type deadlines struct {
	mu   sync.Mutex
	last context.Context
	at   time.Time // when it ends
	// end is not needed: at comes by itself, or the worker ends before.
	end context.CancelFunc
}

// next is the context of a request that begins now. It ends when the time is over,
// at most limits.DeadlineStep before.
func (d *deadlines) next(worker context.Context) context.Context {
	at := time.Now().Add(limits.RequestDeadline)
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.last == nil || at.Sub(d.at) > limits.DeadlineStep {
		d.at = at
		d.last, d.end = context.WithDeadline(worker, at)
	}
	return d.last
}
