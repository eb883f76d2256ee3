package listen

import (
	"context"
	"net"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"kresd/internal/limits"
)

// A connection is one client's, whatever is spoken on it.
type connection struct {
	position[connection]              // the registry's own, under its lock
	outstanding          atomic.Int32 // queries that wait for their answers
	http                 bool         // one of limits.Clients.OfHTTP
	source               *source      // whose it is
	killed               atomic.Bool
	cancel               atomic.Pointer[context.CancelCauseFunc] // of untilKilled; nil: nobody waits
	connHandler
}

// untilKilled is a context for what a connection waits for besides its client. It ends when
// the connection is killed, with net.ErrClosed as its cause, and when it is due, with late. One
// connection has one at a time; over ends it, too.
func (c *connection) untilKilled(due time.Time, late error) (ctx context.Context, over func()) {
	ctx, cancel := context.WithCancelCause(context.Background())
	c.cancel.Store(&cancel)
	if c.killed.Load() { // which came before there was something to cancel
		cancel(net.ErrClosed)
	}
	ctx, stop := context.WithDeadlineCause(ctx, due, late)
	return ctx, func() {
		c.cancel.Store(nil)
		stop()
		cancel(nil)
	}
}

// interrupt ends what the connection waits for by untilKilled. The kill of a connection that
// may wait so calls it.
func (c *connection) interrupt() {
	c.killed.Store(true)
	if cancel := c.cancel.Load(); cancel != nil {
		(*cancel)(net.ErrClosed)
	}
}

// registry holds all open connections of a worker in the order of their last
// activity, and keeps them within the limits.
type registry struct {
	clients *atomic.Pointer[limits.Clients] // the server's

	mu    sync.Mutex
	queue queue[connection, *connection] // the idlest first
	http  int                            // those by HTTP
}

func newRegistry(clients *atomic.Pointer[limits.Clients]) *registry {
	return &registry{clients: clients}
}

// add takes c in. At a limit an idle connection gives way (shed, to be closed by
// the caller): one of the same client if it has too many, one by HTTP if these
// are too many, else the idlest of all. When all are busy c is refused.
func (r *registry) add(c *connection) (shed *connection, ok bool) {
	may := r.clients.Load()
	r.mu.Lock()
	defer r.mu.Unlock()
	switch {
	case c.key.IsValid() && r.queue.countOf(c.key) >= may.ConnsPerClient:
		shed = r.idlest(func(o *connection) bool { return o.key == c.key })
	case c.http && r.http >= may.OfHTTP():
		shed = r.idlest(func(o *connection) bool { return o.http })
	case r.queue.n >= may.Conns:
		shed = r.idlest(anyConnection)
	default:
		r.put(c)
		return nil, true
	}
	if shed == nil {
		return nil, false
	}
	r.take(shed)
	r.put(c)
	return shed, true
}

// full tells whether a client has as many connections as it may.
func (r *registry) full(key netip.Addr) bool {
	may := r.clients.Load()
	r.mu.Lock()
	defer r.mu.Unlock()
	return key.IsValid() && r.queue.countOf(key) >= may.ConnsPerClient
}

func (r *registry) put(c *connection) {
	r.queue.push(c)
	if c.http {
		r.http++
	}
}

// take takes c out and tells whether it was in.
func (r *registry) take(c *connection) bool {
	was := r.queue.remove(c)
	if was && c.http {
		r.http--
	}
	return was
}

// shed takes the idlest connection out, to be closed by the caller; nil if all
// are busy.
func (r *registry) shed() *connection {
	r.mu.Lock()
	defer r.mu.Unlock()
	c := r.idlest(anyConnection)
	if c != nil {
		r.take(c)
	}
	return c
}

func anyConnection(*connection) bool { return true }

// idlest finds the connection that has been silent the longest and waits for
// nothing, among those for which of is true.
func (r *registry) idlest(of func(*connection) bool) *connection {
	for c := r.queue.head; c != nil; c = c.next {
		if of(c) && c.outstanding.Load() == 0 {
			return c
		}
	}
	return nil
}

// touch notes that c is active.
func (r *registry) touch(c *connection) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.queue.tail != c && r.take(c) {
		r.put(c)
	}
}

// remove takes c out, if it still is in.
func (r *registry) remove(c *connection) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.take(c)
}

func (r *registry) len() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.queue.n
}

// each calls fn for every connection, under no lock.
func (r *registry) each(fn func(*connection)) {
	r.mu.Lock()
	list := r.queue.all(func(*connection) bool { return true })
	r.mu.Unlock()
	for _, c := range list {
		fn(c)
	}
}

// idleTime is how long a silent connection is kept: all of full while at most
// half of the places are taken, then less, a tenth when none is left.
func (r *registry) idleTime(full time.Duration) time.Duration {
	n, most := r.len(), r.clients.Load().Conns
	if half := most / 2; n > half && half > 0 {
		full -= full * 9 / 10 * time.Duration(min(n, most)-half) / time.Duration(most-half)
	}
	return full
}
