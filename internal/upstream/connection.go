package upstream

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"kresd/internal/limits"
	"kresd/internal/resolve"
	"kresd/internal/wire"
	"kresd/internal/zonecut"
)

// errConnEnded says that a connection ended before the answer came, by no fault
// of the question: it may be asked again on a fresh one (RFC 7766, section 6.2.4).
var errConnEnded = fmt.Errorf("connection ended: %w", &resolve.Unusable{Did: "ended the connection without an answer"})

// connection is a link to one server with many questions in flight, whose answers
// come in any order (RFC 7766, section 6.2.1.1). Its own goroutine dials, then reads.
type connection struct {
	pool *pool
	to   zonecut.Endpoint
	from netip.Addr // the source of its questions

	dialed chan struct{} // closed when link or fail is set
	link   link
	fail   error // why there is no link

	told    atomic.Bool // the server knows that we hear how long it keeps the connection
	mu      sync.Mutex
	waiting map[uint16]*waiter
	alone   bool // serves one question only, until its first answer
	retired bool // takes no new questions
	strays  int  // messages for nobody, and questions without an answer, since the last answer
}

// waiter waits for one answer.
type waiter struct {
	want expectation
	got  chan delivery // room for the one answer
}

// delivery is a message that matched, or why there will be none.
type delivery struct {
	pkt []byte
	err error
}

// askConnected asks over a connection that is open, or opens one: TCP, or whatever
// the server's peer demands. It tries once more, on a fresh connection, if the connection
// ends without an answer, since servers close idle connections while we write, or if the
// server lets no question through on it; and on any connection if the server says that it
// has not taken the question.
func (e *Exchanger) askConnected(ctx context.Context, x *resolve.Exchange, mixedCase bool) (resolve.Reply, error) {
	began := e.clock.Mono()
	reply, err := e.tryConnected(ctx, x, mixedCase, false)
	if why, worth := worthAgain(err); worth && ctx.Err() == nil && !e.closed.Load() {
		if x.Tell != nil {
			x.Tell(resolve.ConnectedAgain{By: x.Peer.Protocol(), Why: why})
		}
		reply, err = e.tryConnected(ctx, x, mixedCase, why != resolve.NotTaken)
	}
	if x.Tell != nil && err != nil && ctx.Err() == nil {
		x.Tell(resolve.ConnectionFailed{By: x.Peer.Protocol(), After: e.clock.Mono() - began, Err: err})
	}
	if err != nil && e.closed.Load() {
		err = ErrClosed
	}
	// Where a server is always asked over a connection, its failure is the server's
	// and not that of TCP.
	reply.TCP = err == nil || x.Peer.Plain()
	return reply, err
}

// worthAgain tells whether a question is asked once more, and why.
func worthAgain(err error) (why resolve.AgainReason, worth bool) {
	switch {
	case errors.Is(err, errConnEnded):
		return resolve.ConnectionOver, true
	case errors.Is(err, errNoStream):
		return resolve.NoTurn, true
	case errors.Is(err, errNotTaken):
		return resolve.NotTaken, true
	}
	return 0, false
}

func (e *Exchanger) tryConnected(ctx context.Context, x *resolve.Exchange, mixedCase, fresh bool) (resolve.Reply, error) {
	c, w, err := e.pool.get(x, fresh)
	if err != nil {
		return resolve.Reply{}, err
	}
	defer c.forget(w)
	began, reused := e.clock.Mono(), c.isOpen()
	select {
	case <-c.dialed:
	case <-ctx.Done():
		return resolve.Reply{}, ctx.Err()
	}
	if c.fail != nil {
		if errors.Is(c.fail, resolve.ErrTimeout) {
			e.stats.timeout.Add(1)
		}
		return resolve.Reply{}, c.fail
	}
	if x.Tell != nil {
		tellOpened(x, reused, e.clock.Mono()-began)
	}
	sent, err := c.ask(ctx, x, w, mixedCase)
	if err != nil {
		return resolve.Reply{}, err
	}
	pkt, err := c.await(ctx, w)
	if err != nil {
		return resolve.Reply{}, err
	}
	x.Budget.Received(len(pkt))
	msg, err := wire.ParseReply(pkt)
	if err != nil {
		e.counters.Hit(wire.LimitOf(err))
		return resolve.Reply{}, fmt.Errorf("%w: %w", ErrMalformed, err)
	}
	if err := c.heed(msg.Options); err != nil {
		return resolve.Reply{}, err
	}
	e.cookies.judge(x.Addr, &w.want, msg)
	lost := mixedCase && string(msg.RawName) != string(w.want.question[:x.Name.Len()])
	return resolve.Reply{Msg: msg, Size: len(pkt), RTT: e.clock.Mono() - sent, CaseLost: lost && msg.Question != ""}, nil
}

// isOpen tells whether dialling is over.
func (c *connection) isOpen() bool {
	select {
	case <-c.dialed:
		return true
	default:
		return false
	}
}

// ask writes the question, and returns when it did. The waiter's ID is its own already.
func (c *connection) ask(ctx context.Context, x *resolve.Exchange, w *waiter, mixedCase bool) (sent time.Duration, err error) {
	e := c.pool.e
	offer := uint16(0)
	if !x.NoEDNS {
		offer = e.bufsize()
	}
	var room [cookieRoom + 4]byte
	var expected expectation
	options := e.appendCookie(room[:0], &expected, x, requirements{cookie: true})
	if offer > 0 {
		options = c.appendKeepalive(options)
	}
	if offer > 0 && !x.Peer.Plain() {
		options = appendPadding(options, x.Name.Len())
	}
	msg := e.appendQuery(make([]byte, 2, 300), x, w.want.id, offer, mixedCase, options)
	c.mu.Lock()
	w.want.question = msg[2+wire.HeaderLen : 2+wire.HeaderLen+x.Name.Len()+4]
	if w.want.cookie = expected.cookie; expected.cookies.sent() {
		w.want.cookies = cookieTCP
	}
	c.mu.Unlock()
	err = e.send(ctx, x.Budget, x.Endpoint, outlet{link: c.link}, msg)
	switch {
	case err == nil, errors.Is(err, resolve.ErrBudget), errors.Is(err, ErrNoTransport):
	case errors.Is(err, errNoStream):
		c.retireAlone()
	case ctx.Err() != nil:
		err = ctx.Err()
	default:
		c.retire() // half a message may be on its way
		err = errConnEnded
	}
	return e.clock.Mono(), err
}

// await waits for the answer. A connection on which one did not come gets no
// further questions: it may be dead without having told.
func (c *connection) await(ctx context.Context, w *waiter) ([]byte, error) {
	timer := time.NewTimer(limits.TCPAnswerTimeout)
	defer timer.Stop()
	select {
	case a := <-w.got:
		return a.pkt, a.err
	case <-timer.C:
		c.pool.e.stats.timeout.Add(1)
		c.retire()
		return nil, resolve.ErrTimeout
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// retire stops new questions on the connection.
func (c *connection) retire() {
	c.pool.drop(c)
	c.mu.Lock()
	c.retired = true
	c.mu.Unlock()
}

// retireAlone is retire where nobody waits but the caller: a connection on which the server
// takes no question, though none is under way, is only in the way of others to it.
func (c *connection) retireAlone() {
	c.mu.Lock()
	alone := len(c.waiting) == 1
	c.mu.Unlock()
	if alone {
		c.retire()
	}
}

// forget takes a waiter off. The last one of a retired connection closes it.
func (c *connection) forget(w *waiter) {
	c.mu.Lock()
	delete(c.waiting, w.want.id)
	over := c.retired && len(c.waiting) == 0
	c.mu.Unlock()
	if over {
		c.shut()
	}
}

// shut closes the connection if there is one by now; its goroutine ends by that.
func (c *connection) shut() {
	select {
	case <-c.dialed:
		if c.link != nil {
			_ = c.link.close()
		}
	default: // dialling: the reader ends it when nobody waits
	}
}

// run is the connection's goroutine.
func (c *connection) run(ctx context.Context) {
	defer c.end()
	c.dial(ctx)
	if c.fail == nil {
		c.read()
	}
}

// dial ends the wait of all who need the connection, whatever happens.
func (c *connection) dial(ctx context.Context) {
	defer close(c.dialed)
	c.fail = errConnEnded
	if c.link, c.fail = c.pool.dialers[c.to.Peer.Protocol()](ctx, c.to, c.from); c.fail != nil {
		c.retire() // before anybody hears of it: who asks again is not to find it in the pool
	}
}

// end tells all who wait that nothing more will come.
func (c *connection) end() {
	c.retire()
	c.shut()
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, w := range c.waiting {
		w.tell(delivery{err: errConnEnded})
	}
}

// tell hands over an answer; a second one finds no room and is dropped.
func (w *waiter) tell(a delivery) {
	select {
	case w.got <- a:
	default:
	}
}

// read takes messages until the connection ends, is idle for too long, or
// brings too much that nobody asked for.
func (c *connection) read() {
	for {
		pkt, err := c.link.read(c.busy)
		if one, ok := err.(*unanswerable); ok {
			if !c.refuse(one) {
				return
			}
			continue
		}
		if err != nil || !c.deliver(pkt) {
			return
		}
	}
}

// busy tells whether somebody waits; if not, nobody will.
func (c *connection) busy() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.waiting) == 0 {
		c.retired = true
	}
	return !c.retired
}

// deliver gives a message to whoever it answers and tells whether to go on. A
// message for nobody may answer a question that was given up; a stream of them
// is somebody's joke, and one that is shorter than a header is no message.
func (c *connection) deliver(pkt []byte) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(pkt) < wire.HeaderLen { // who frames that speaks no DNS
		return false
	}
	w := c.waiting[binary.BigEndian.Uint16(pkt)]
	if w != nil && w.matches(pkt) {
		c.alone, c.strays = false, 0
		w.tell(delivery{pkt: pkt})
		delete(c.waiting, w.want.id)
		return true
	}
	// With our ID and another question it is the server itself that answers
	// something else: no better answer will follow on this connection.
	if w != nil && w.want.question != nil {
		w.tell(delivery{err: errOtherQuestion})
		delete(c.waiting, w.want.id)
	}
	c.strays++
	c.pool.e.stats.ignored.Add(1)
	return c.strays < limits.UpstreamTCPStrays
}

// refuse tells the question that will not be answered, and tells whether to go on: a
// server that ends one after the other is left (RFC 9250, section 4.3.2).
func (c *connection) refuse(one *unanswerable) bool {
	if one.last {
		c.retire()
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if w := c.waiting[one.id]; w != nil {
		c.alone = false
		w.tell(delivery{err: one.why})
		delete(c.waiting, one.id)
	}
	c.strays++
	return c.strays < limits.UpstreamTCPStrays && (!c.retired || len(c.waiting) > 0)
}

// errOtherQuestion: the server answered, but not what it was asked.
var errOtherQuestion = fmt.Errorf("another question's answer: %w", ErrMalformed)

// matches judges what cannot be forged from off the path: an error without a
// question counts, and so does an answer that is marked truncated.
func (w *waiter) matches(pkt []byte) bool {
	if w.want.question == nil {
		return false // not asked yet
	}
	switch w.want.judge(pkt, len(pkt)) {
	case answer, truncated, bareError:
		return true
	}
	return false
}

// dialError says whose fault a missing connection is.
func dialError(err error) error {
	var errno syscall.Errno
	blame := resolve.ErrUnreachable
	switch {
	case errors.As(err, &errno):
		switch errno {
		case syscall.EMFILE, syscall.ENFILE, syscall.ENOBUFS, syscall.ENOMEM, syscall.EADDRINUSE, syscall.EADDRNOTAVAIL:
			blame = resolve.ErrLocal
		case syscall.ETIMEDOUT:
			blame = resolve.ErrTimeout
		}
	case errors.Is(err, context.DeadlineExceeded):
		blame = resolve.ErrTimeout
	case isTimeout(err):
		blame = resolve.ErrTimeout
	}
	return fmt.Errorf("%w: %w", err, blame)
}
