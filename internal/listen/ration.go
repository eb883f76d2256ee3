package listen

import (
	"context"
	"crypto/tls"
	"sync"
	"sync/atomic"
	"time"

	"kresd/internal/limits"
)

// What clients cost that only come.
//
// To compute a handshake takes as long as a hundred answers by UDP, and a connection that
// is opened and closed as long as ten. As long as clients by UDP ask much, both have only
// a share of a processor: the rest of what comes waits in a queue, where it costs nothing.

// A ration is the share of a processor that work of one kind may take while clients by UDP
// ask much.
type ration struct {
	percent time.Duration
	now     func() time.Duration // clock.Mono
	busy    func() bool          // clients by UDP ask much

	mu  sync.Mutex
	due time.Duration // when the next piece of work may begin
}

// spent notes a piece of work that has just been done and took d.
func (r *ration) spent(d time.Duration) {
	now := r.now()
	r.mu.Lock()
	defer r.mu.Unlock()
	pause := max(r.due-now, 0) + d*(100-r.percent)/r.percent
	r.due = now + min(pause, limits.RationPause)
}

// pause is how long the next piece of work has to wait.
func (r *ration) pause() time.Duration {
	now := r.now()
	r.mu.Lock()
	ahead := r.due - now
	r.mu.Unlock()
	if ahead <= 0 || !r.busy() {
		return 0
	}
	return ahead
}

// A udpLoad knows how much clients by UDP ask.
type udpLoad struct {
	mu   sync.Mutex
	at   time.Duration // of the last look
	seen uint64        // questions until then
	busy bool
}

// look notes how many questions have come by UDP until now, unless it did so just before,
// and tells whether they were limits.UDPBusy a second since the last look. count may not
// know.
func (l *udpLoad) look(now time.Duration, count func() (n uint64, ok bool)) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	since := now - l.at
	if since < limits.UDPBusyLook {
		return l.busy
	}
	if n, ok := count(); ok {
		l.busy = float64(n-l.seen) >= limits.UDPBusy*since.Seconds()
		l.at, l.seen = now, n
	}
	return l.busy
}

// udpBusy tells whether clients by UDP ask much at present.
func (s *Server) udpBusy() bool { return s.load.look(s.clock.Mono(), s.udpAsked) }

// udpAsked counts the questions that have come by UDP. Where somebody opens or closes
// sockets, which may take long, it does not wait.
func (s *Server) udpAsked() (n uint64, ok bool) {
	if !s.mu.TryLock() {
		return 0, false
	}
	defer s.mu.Unlock()
	n = s.gone[nQueries]
	for _, e := range s.endpoints {
		if u, is := e.socket.(*udpSocket); is {
			n += u.stats.v[nQueries].Load()
		}
	}
	for e := range s.leaving {
		if u, is := e.socket.(*udpSocket); is {
			n += u.stats.v[nQueries].Load()
		}
	}
	return n, true
}

// turns are how many handshakes are computed at a time, and in what share of the time, so
// that answers to others' questions find a processor. Who has none stands in a queue, no
// longer than its connection is one of those that the registry bounds, nor than a handshake
// may take.
type turns struct {
	places  chan struct{}
	waiting atomic.Int32 // those in the queue
	ration  ration
}

func newTurns(now func() time.Duration, busy func() bool) *turns {
	return &turns{places: make(chan struct{}, limits.TLSHandshakes), ration: ration{percent: limits.TLSPercent, now: now, busy: busy}}
}

// A turn is one client's, who may take and give it several times.
type turn struct {
	*turns
	held   bool          // it was taken and not given
	began  time.Duration // when it was taken
	queued bool          // its client had to wait for it, and is counted
	waited time.Duration // how long, in all
}

// take waits for a turn, until ctx ends, whose cause is then the error.
func (t *turn) take(ctx context.Context, n *limits.Counters) error {
	came := t.ration.now()
	err := t.wait(ctx, n)
	t.began = t.ration.now()
	t.waited += t.began - came
	t.held = err == nil
	return err
}

// wait waits for a place, and for the ration.
func (t *turn) wait(ctx context.Context, n *limits.Counters) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	select {
	case t.places <- struct{}{}:
	default:
		if err := t.queue(ctx, n); err != nil {
			return err
		}
	}
	if pause := t.ration.pause(); pause > 0 {
		t.count(n)
		if sleepUntil(ctx.Done(), pause); ctx.Err() != nil {
			<-t.places
			return context.Cause(ctx)
		}
	}
	return nil
}

// count notes that the client has to wait, once for its handshake.
func (t *turn) count(n *limits.Counters) {
	if !t.queued {
		t.queued = true
		n.Hit(limits.TLSTurns)
	}
}

// queue waits for a place.
func (t *turn) queue(ctx context.Context, n *limits.Counters) error {
	t.count(n)
	t.waiting.Add(1)
	defer t.waiting.Add(-1)
	select {
	case t.places <- struct{}{}:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// give ends the turn, if there is one. What it took is counted, but for what it waited for a processor
// itself, as far as that can be told: no handshake takes longer than limits.TLSTurnMost.
func (t *turn) give() {
	if !t.held {
		return
	}
	t.held = false
	t.ration.spent(min(t.ration.now()-t.began, limits.TLSTurnMost))
	<-t.places
}

// inTurn computes the handshake of a connection in turns, which it does not have while it
// waits for the client. Its records tell. The error is that of the handshake, or the cause of
// ctx where that ended while it waited for its turn.
func (s *Server) inTurn(ctx context.Context, c *tls.Conn) (waited time.Duration, err error) {
	r, ok := c.NetConn().(*records)
	if !ok {
		return 0, s.onOwnStack(c.Handshake)
	}
	t := turn{turns: s.turns}
	r.waits, r.goesOn = t.give, func() error { return t.take(ctx, s.limits) }
	if err = r.goesOn(); err == nil {
		err = s.onOwnStack(c.Handshake)
		t.give()
	}
	r.waits, r.goesOn = nil, nil
	return t.waited, err
}
