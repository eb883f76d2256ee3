package listen

import (
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"kresd/internal/clock"
	"kresd/internal/limits"
)

// pending is the bounded table of queries on the driver's way, in the order of
// their arrival.
//
// Half of its places are reserved for young queries: when it is full, a new
// query takes the place of the oldest one as long as more than half of all are
// old (limits.PendingYoung); otherwise the new one is turned away. So a flood of
// questions that nobody answers cannot push out quick work, and slow work that
// is honest keeps half of the table.
//
// A client may have only so many waiting; loopback and the forwarders that the operator
// names are exempt, for there are many clients behind them (limits.Clients).
type pending struct {
	clock    *clock.Clock
	counters *limits.Counters
	clients  *atomic.Pointer[limits.Clients] // the server's
	large    *limits.Shares                  // of limits.LargeQuestions
	alarms   *clock.Alarms                   // for answers that leave later (pace.go), and checks (reception.go)
	leaving  atomic.Bool                     // the server leaves: no answer is delayed any more

	mu       sync.Mutex
	queue    queue[Query, *Query]
	young    *Query // the oldest that is not marked old; nil: none
	oldCount int
	running  int // goroutines, also those whose query lost its place
	paces    paces

	quiet atomic.Bool // no goroutine runs
}

func newPending(clients *atomic.Pointer[limits.Clients], c *clock.Clock, n *limits.Counters) *pending {
	p := &pending{clock: c, counters: n, clients: clients, large: limits.NewShares(limits.LargeQuestions), alarms: clock.NewAlarms(c), paces: paces{of: map[netip.Addr]*pace{}}}
	p.quiet.Store(true)
	return p
}

// admit gives q a place, and a running goroutine its place too, or refuses.
// When another query had to give way for it, that one is returned.
func (p *pending) admit(q *Query) (evicted *Query, ok bool) {
	now := p.clock.Mono()
	may := p.clients.Load()
	q.table, q.Received, q.key = p, now, may.Key(q.Client.Addr.Addr())
	p.mu.Lock()
	defer p.mu.Unlock()
	if q.key.IsValid() && p.queue.countOf(q.key) >= may.PerClient {
		p.counters.Hit(limits.WaitersClient)
		return nil, false
	}
	if p.running >= 2*may.Pending {
		p.counters.Hit(limits.Pending)
		return nil, false
	}
	full := p.queue.n >= may.Pending
	if full {
		p.counters.Hit(limits.Pending)
		p.age(now)
		if p.oldCount <= may.Pending/2 {
			return nil, false
		}
	}
	if !p.hasRoom(q) {
		p.counters.Hit(limits.Pending)
		return nil, false
	}
	if full {
		evicted = p.queue.head
		p.unlink(evicted)
	}
	p.link(q)
	if q.source = may.Source(q.Client.Addr.Addr()); q.Client.Kind.Stream() {
		q.source = netip.Addr{}
	}
	if q.source.IsValid() {
		p.paces.came(q.source, now)
	}
	if p.running++; p.running == 1 {
		p.quiet.Store(false)
	}
	return evicted, true
}

// hasRoom tells whether there is memory for the message of q. There is for as many
// questions as may wait, but not if each is as long as a message can be.
func (p *pending) hasRoom(q *Query) bool {
	if len(q.Wire) <= limits.UDPQuery {
		return true
	}
	q.large = p.large.Take(q.key)
	return q.large
}

// age marks the queries that have become old. Each is marked once, so the walk
// costs a step for each query in all.
func (p *pending) age(now time.Duration) {
	for p.young != nil && now-p.young.Received > limits.PendingYoung {
		p.young.old = true
		p.oldCount++
		p.young = p.young.next
	}
}

func (p *pending) link(q *Query) {
	p.queue.push(q)
	if p.young == nil {
		p.young = q
	}
}

func (p *pending) unlink(q *Query) {
	if p.young == q {
		p.young = q.next
	}
	if p.queue.remove(q) && q.old {
		p.oldCount--
	}
}

// leave frees the place of an answered query.
func (p *pending) leave(q *Query) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.unlink(q)
	if q.large {
		q.large = false
		p.large.Give(q.key)
	}
	if q.source.IsValid() {
		p.paces.left(q.source)
		q.source = netip.Addr{}
	}
}

// delays tells whether the answer to q may not leave yet, because of the client's pace: a
// copy is sent when its time has come. While the server leaves nothing is delayed, and an
// empty msg, which is no answer, never is.
func (p *pending) delays(q *Query, msg []byte) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !q.source.IsValid() || len(msg) == 0 || p.leaving.Load() {
		return false
	}
	wait, leaves := p.paces.answered(q, msg, p.clock.Mono())
	if leaves {
		return false
	}
	p.counters.Hit(limits.Paced)
	if source := q.source; wait > 0 {
		p.alarms.After(wait, func() { p.release(source) })
	}
	return true
}

// release sends those answers of a client whose time has come. The answers of one UDP
// socket go together: a system call for each would be most of what they cost.
func (p *pending) release(source netip.Addr) {
	var by *udpSocket
	for _, a := range p.due(source) {
		u, ok := a.q.path.(*udpSocket)
		if !ok {
			a.q.send(a.msg)
			continue
		}
		if by != nil && by != u {
			by.sendHeld()
		}
		by = u
		p.leave(a.q)
		u.sender.hold(a.q, a.msg)
	}
	if by != nil {
		by.sendHeld()
	}
}

// due takes those answers of a client whose time has come out of its line.
func (p *pending) due(source netip.Addr) (due []delayed) {
	p.mu.Lock()
	defer p.mu.Unlock()
	now := p.clock.Mono()
	for {
		a, wait, ok := p.paces.release(source, now)
		if wait > 0 {
			p.alarms.After(wait, func() { p.release(source) })
		}
		if !ok {
			return due
		}
		due = append(due, a)
	}
}

// ended notes that the goroutine of a query has returned.
func (p *pending) ended() {
	p.mu.Lock()
	if p.running--; p.running == 0 {
		p.quiet.Store(true)
	}
	p.mu.Unlock()
}

// late tells whether the answer to q comes too late to be of use: its client
// has long asked again, and has so much waiting that stale answers would only
// add to its load.
func (p *pending) late(q *Query) bool {
	if q.Client.Kind.Stream() || p.clock.Mono()-q.Received <= limits.LateUDPReply || !q.key.IsValid() {
		return false
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	others := p.queue.countOf(q.key)
	if q.in {
		others--
	}
	if others <= p.clients.Load().Late {
		return false
	}
	p.counters.Hit(limits.LateReply)
	return true
}

// sizes are the queries that wait and the goroutines that run.
func (p *pending) sizes() (waiting, running int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.queue.n, p.running
}

// several tells whether other goroutines run beside the caller's.
func (p *pending) several() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.running > 1
}

// all returns the queries that wait, for which keep is true.
func (p *pending) all(keep func(*Query) bool) []*Query {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.queue.all(keep)
}
