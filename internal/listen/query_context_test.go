package listen

import (
	"context"
	"errors"
	"runtime"
	"testing"
)

// Who asks before a query ends, who asks after, and what is made of its context hear
// alike that it has ended, and no goroutine is needed for that.
func TestTheContextOfAQueryEndsWithIt(t *testing.T) {
	q := &Query{}
	if err := q.ctx.Err(); err != nil {
		t.Fatalf("a new query has ended: %v", err)
	}
	before := runtime.NumGoroutine()
	under, cancel := context.WithCancel(&q.ctx)
	defer cancel()
	if n := runtime.NumGoroutine(); n > before {
		t.Errorf("%d goroutines were started for a context under a query's", n-before)
	}
	q.ctx.cancel()
	q.ctx.cancel()
	for what, ctx := range map[string]context.Context{"the query": &q.ctx, "a context under it": under} {
		select {
		case <-ctx.Done():
		default:
			t.Errorf("%s has not ended", what)
		}
		if err := ctx.Err(); !errors.Is(err, context.Canceled) || !errors.Is(context.Cause(ctx), context.Canceled) {
			t.Errorf("%s: %v, because of %v; want %v", what, err, context.Cause(ctx), context.Canceled)
		}
	}
	late := &Query{}
	late.ctx.cancel()
	select {
	case <-late.ctx.Done():
	default:
		t.Error("a query that ended before anybody asked has not ended")
	}
	c := new(queryContext)
	if n := testing.AllocsPerRun(100, func() {
		*c = queryContext{}
		_ = c.Err()
		c.cancel()
	}); n != 0 {
		t.Errorf("%v allocations for a context that nobody waits for", n)
	}
}

// A query has no end by the clock: who carries it is told when it is over.
func TestAQueryHasNoDeadline(t *testing.T) {
	if at, ok := (&Query{}).ctx.Deadline(); ok || !at.IsZero() {
		t.Errorf("%v, %v", at, ok)
	}
}
