package upstream

import (
	"context"
	"maps"
	"net/netip"
	"slices"
	"sync"

	"kresd/internal/limits"
	"kresd/internal/resolve"
	"kresd/internal/zonecut"
)

// pool holds the connections that take questions, by server. A connection
// leaves it when it ends or is retired; questions on it go on.
type pool struct {
	e      *Exchanger
	ctx    context.Context // ends dialling when the pool is closed
	cancel context.CancelFunc

	// dialers open links, by the protocol of the server's peer. A protocol without
	// one cannot be spoken.
	dialers map[zonecut.Protocol]dialer

	mu     sync.Mutex
	conns  map[zonecut.Endpoint][]*connection
	live   map[*connection]struct{} // every connection whose goroutine runs
	closed bool
}

func newPool(e *Exchanger) *pool {
	p := &pool{e: e, conns: map[zonecut.Endpoint][]*connection{}, live: map[*connection]struct{}{}}
	p.dialers = map[zonecut.Protocol]dialer{
		zonecut.Do53: p.dialTCP,
		zonecut.DoT:  p.dialDoT,
		zonecut.DoH:  p.dialDoH,
		zonecut.DoQ:  p.dialDoQ,
	}
	p.ctx, p.cancel = context.WithCancel(context.Background())
	return p
}

// get finds room for a question on a connection to its server, or opens one,
// which is debited. A fresh connection is opened in any case and serves this
// question alone until it has answered: there are servers that close after each
// answer.
func (p *pool) get(x *resolve.Exchange, fresh bool) (*connection, *waiter, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		return nil, nil, ErrClosed
	}
	from := p.e.source(x.Addr.Addr())
	p.leave(x.Endpoint, from)
	if !fresh {
		for _, c := range p.conns[x.Endpoint] {
			if w := c.enter(); w != nil {
				return c, w, nil
			}
		}
	}
	if !p.room(x.Endpoint) {
		p.e.counters.Hit(limits.UpstreamTCP)
		return nil, nil, ErrBusy
	}
	if err := x.Budget.Connect(); err != nil {
		return nil, nil, err
	}
	c := &connection{pool: p, to: x.Endpoint, from: from, dialed: make(chan struct{}), waiting: map[uint16]*waiter{}}
	w := c.enter()
	c.alone = fresh
	p.conns[x.Endpoint] = append(p.conns[x.Endpoint], c)
	p.live[c] = struct{}{}
	p.e.group.Go("upstream tcp", func() {
		defer p.gone(c)
		c.run(p.ctx)
	})
	return c, w, nil
}

// room tells whether one more connection may be opened. When there are many, one
// that idles gives way.
func (p *pool) room(to zonecut.Endpoint) bool {
	if len(p.conns[to]) >= limits.UpstreamTCPPerServer {
		return false
	}
	if len(p.live) < limits.UpstreamTCPConns {
		return true
	}
	for c := range p.live {
		if c.idle() {
			p.remove(c)
			delete(p.live, c) // its goroutine is about to end
			p.shut(c)
			return true
		}
	}
	return false
}

// leave takes the connections to a server that do not come from the outgoing address
// out of the choice: the setting has changed. Questions on them go on.
func (p *pool) leave(to zonecut.Endpoint, from netip.Addr) {
	p.forsake(to, func(c *connection) bool { return c.from != from })
}

// forsake takes some of the connections to a server out of the choice.
func (p *pool) forsake(to zonecut.Endpoint, which func(*connection) bool) {
	for _, c := range slices.Clone(p.conns[to]) {
		if which(c) {
			p.remove(c)
			if c.stop() {
				p.shut(c)
			}
		}
	}
}

// distrust takes the connections out of the choice whose servers were vouched for by a
// file of authorities that has changed. Questions on them go on.
func (p *pool) distrust(file string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for to := range p.conns {
		if slices.Contains(to.Peer.Config().Authorities, file) {
			p.forsake(to, func(*connection) bool { return true })
		}
	}
}

// shut closes a connection beside, as p is locked and to say goodbye to a server may
// take long (crypto/tls waits for seconds).
func (p *pool) shut(c *connection) { p.e.group.Go("upstream close", c.shut) }

// stop takes no more questions and tells whether none waits, so that the connection is
// to be closed. Else the last one that waits closes it.
func (c *connection) stop() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.retired = true
	return len(c.waiting) == 0
}

// enter reserves room for one question, nil when there is none.
func (c *connection) enter() *waiter {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.retired || c.alone || len(c.waiting) >= limits.UpstreamTCPInFlight || c.isOpen() && c.link != nil && !c.link.open() {
		return nil
	}
	w := &waiter{got: make(chan delivery, 1)}
	w.want = expectation{anyCase: true, size: 0xffff, id: c.pool.e.entropy.uint16()}
	for c.waiting[w.want.id] != nil {
		w.want.id = c.pool.e.entropy.uint16()
	}
	c.waiting[w.want.id] = w
	return w
}

// idle tells whether a connection is open and has no questions, and retires it then.
func (c *connection) idle() bool {
	if !c.isOpen() {
		return false
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.waiting) > 0 || c.link == nil {
		return false
	}
	c.retired = true
	return true
}

// drop takes a connection out of the choice.
func (p *pool) drop(c *connection) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.remove(c)
}

func (p *pool) remove(c *connection) {
	list := p.conns[c.to]
	if i := slices.Index(list, c); i >= 0 {
		list = slices.Delete(list, i, i+1)
	}
	if len(list) == 0 {
		delete(p.conns, c.to)
		return
	}
	p.conns[c.to] = list
}

// gone notes that a connection's goroutine ends.
func (p *pool) gone(c *connection) {
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.live, c)
}

// close ends every connection and refuses new ones. Dialling ends by the
// context, which closes dialed.
func (p *pool) close() {
	p.mu.Lock()
	p.closed = true
	live := slices.Collect(maps.Keys(p.live))
	p.mu.Unlock()
	p.cancel()
	for _, c := range live {
		<-c.dialed
		c.shut()
	}
}
