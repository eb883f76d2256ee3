package listen

import (
	"context"
	"testing"

	"kresd/internal/transport"
)

// A query that loses its place is told to nobody by UDP, where its client asks again, and ends
// without an answer for whoever carries it; a connection waits for its own.
func TestWhatBecomesOfAnEvictedQuery(t *testing.T) {
	for kind, dropped := range map[transport.Kind]bool{transport.UDP: true, transport.TCP: false} {
		s := New(newEcho(), Options{})
		q := newQuery(ask(1, 'd'), &Client{Kind: kind}, nil)
		q.table = s.pending
		q.path = &countedPath{}
		s.evict(q)
		if q.Waiting() == dropped || q.ctx.Err() != context.Canceled || s.Stats().Evicted != 1 {
			t.Errorf("%v: it waits %v, its context: %v, counted %d times", kind, q.Waiting(), q.ctx.Err(), s.Stats().Evicted)
		}
	}
}
