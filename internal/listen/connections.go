package listen

import (
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
	connHandler
}

// registry holds all open connections of a worker in the order of their last
// activity, and keeps them within the limits.
type registry struct {
	clients *atomic.Pointer[limits.Clients] // the server's

	mu    sync.Mutex
	queue queue[connection, *connection] // the idlest first
}

func newRegistry(clients *atomic.Pointer[limits.Clients]) *registry {
	return &registry{clients: clients}
}

// add takes c in. At a limit an idle connection gives way (shed, to be closed by
// the caller): one of the same client if it has too many, else the idlest of
// all. When all are busy c is refused.
func (r *registry) add(c *connection) (shed *connection, ok bool) {
	may := r.clients.Load()
	r.mu.Lock()
	defer r.mu.Unlock()
	switch {
	case c.key.IsValid() && r.queue.countOf(c.key) >= may.ConnsPerClient:
		shed = r.idlest(c.key)
	case r.queue.n >= may.Conns:
		shed = r.idlest(netip.Addr{})
	default:
		r.queue.push(c)
		return nil, true
	}
	if shed == nil {
		return nil, false
	}
	r.queue.remove(shed)
	r.queue.push(c)
	return shed, true
}

// shed takes the idlest connection out, to be closed by the caller; nil if all
// are busy.
func (r *registry) shed() *connection {
	r.mu.Lock()
	defer r.mu.Unlock()
	c := r.idlest(netip.Addr{})
	if c != nil {
		r.queue.remove(c)
	}
	return c
}

// idlest finds the connection that has been silent the longest and waits for
// nothing; a valid key restricts the search to that client's.
func (r *registry) idlest(key netip.Addr) *connection {
	for c := r.queue.head; c != nil; c = c.next {
		if (!key.IsValid() || c.key == key) && c.outstanding.Load() == 0 {
			return c
		}
	}
	return nil
}

// touch notes that c is active.
func (r *registry) touch(c *connection) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.queue.tail != c && r.queue.remove(c) {
		r.queue.push(c)
	}
}

// remove takes c out, if it still is in.
func (r *registry) remove(c *connection) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.queue.remove(c)
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
