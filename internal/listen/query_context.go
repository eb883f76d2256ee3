package listen

import (
	"context"
	"sync"
	"time"
)

// A queryContext is the context of one query. It ends when the query loses its place, or has
// been carried. Hardly any query asks for more than whether it has ended, so what a
// context costs is only spent where somebody wants to be told. The zero value has not
// ended.
type queryContext struct {
	mu   sync.Mutex
	told context.Context // nil: nobody asked for it
	tell context.CancelFunc
	over bool
}

// cancel ends it.
func (c *queryContext) cancel() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.over = true; c.tell != nil {
		c.tell()
	}
}

// context is an ordinary one that ends with c.
func (c *queryContext) context() context.Context {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.told == nil {
		if c.told, c.tell = context.WithCancel(context.Background()); c.over {
			c.tell()
		}
	}
	return c.told
}

// Deadline implements context.Context.
func (c *queryContext) Deadline() (time.Time, bool) { return time.Time{}, false }

// Done implements context.Context.
func (c *queryContext) Done() <-chan struct{} { return c.context().Done() }

// Err implements context.Context.
func (c *queryContext) Err() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.over {
		return context.Canceled
	}
	return nil
}

// Value implements context.Context. By it package context recognizes one of its own, and
// ties contexts that are made of c to it without a goroutine.
func (c *queryContext) Value(key any) any { return c.context().Value(key) }
