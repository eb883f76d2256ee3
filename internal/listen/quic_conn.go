package listen

import (
	"context"
	"errors"
	"net/netip"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"kresd/internal/doq"
	"kresd/internal/limits"
	"kresd/internal/transport"
)

// A quicConn is one client's connection. Its goroutine takes one question after the
// other, and answers it if it can; a question of which a part is missing gets a
// goroutine of its own.
type quicConn struct {
	connection
	e      *quicEra
	c      *doq.Conn
	client Client
	share  netip.Addr // whom its questions are counted for (limits.Clients.Key)
	begun  time.Time
	asked  atomic.Bool
	ctx    context.Context // ends when no more questions are taken
	leave  context.CancelFunc
	ended  atomic.Bool    // by this side, before all was answered
	slow   sync.WaitGroup // questions of which a part was missing
	quiet  chan struct{}  // has something when no question waits for its answer
	small  [512]byte
}

func newQUICConn(e *quicEra, conn *doq.Conn) *quicConn {
	s := e.q.s
	c := &quicConn{e: e, c: conn, begun: time.Now(), quiet: make(chan struct{}, 1)}
	c.connHandler = c
	c.client = Client{Kind: transport.QUIC, Addr: conn.Remote(), Local: conn.Local()}
	c.share = s.clients.Load().Key(c.client.Addr.Addr())
	c.key = c.share
	c.source = s.sources.of(c.key)
	c.ctx, c.leave = context.WithCancel(context.Background())
	return c
}

// run implements connHandler.
func (c *quicConn) run() {
	if c.e.q.s.draining() {
		c.hurry()
	}
	for {
		st, err := c.c.Next(c.ctx)
		if err != nil {
			break
		}
		c.asked.Store(true)
		c.outstanding.Add(1)
		c.e.q.s.conns.touch(&c.connection)
		c.take(st)
	}
	c.waitForAnswers()
	c.c.Close(doq.NoError)
	c.slow.Wait()
}

// take reads a question. One that is not there at once is read beside the others.
func (c *quicConn) take(st *doq.Stream) {
	msg, err := st.Read(c.small[:], time.Now().Add(limits.QUICAtOnce))
	if !errors.Is(err, doq.ErrSlow) {
		c.answer(st, msg, err)
		return
	}
	s := c.e.q.s
	if !s.slowStreams.Take(c.share) {
		s.limits.Hit(limits.QUIC)
		c.refuse(st, doq.ExcessiveLoad)
		return
	}
	st.Own()
	c.slow.Add(1)
	s.panics.Go("quic question", func() {
		defer c.slow.Done()
		defer s.slowStreams.Give(c.share)
		msg, err := st.Read(nil, time.Now().Add(limits.TCPWholeMessage))
		c.answer(st, msg, err)
	})
}

// refuse ends a stream without an answer.
func (c *quicConn) refuse(st *doq.Stream, why doq.Code) {
	st.Refuse(why)
	c.answered()
}

// answer answers what was read of a stream, or ends it, or the connection.
func (c *quicConn) answer(st *doq.Stream, msg []byte, err error) {
	s := c.e.q.s
	switch {
	case errors.Is(err, doq.ErrSlow):
		s.limits.Hit(limits.TCPTime)
		c.refuse(st, doq.ExcessiveLoad)
		c.offend()
		return
	case err == nil && isQuery(msg) && msg[0]|msg[1] == 0:
	case err == nil || errors.Is(err, doq.ErrProtocol):
		c.violated() // RFC 9250, section 4.3.3
		return
	default: // the client has given the question up, or has gone, unless we have
		c.refuse(st, doq.RequestCancelled)
		if !c.ended.Load() && c.ctx.Err() == nil {
			c.offend()
		}
		return
	}
	c.answerWhole(st, msg)
	if !st.Finish(time.Now().Add(limits.QUICAtOnce)) {
		c.violated()
	}
}

// offend notes a question that was given up or did not come to its end, and ends the
// connection of a client that does little else.
func (c *quicConn) offend() {
	if c.e.q.s.offended(&c.connection, 1) {
		c.end(doq.ExcessiveLoad)
	}
}

// violated ends a connection on which something comes that is no question. What waits on it
// is not answered any more, so nobody needs to count it.
func (c *quicConn) violated() {
	c.e.q.s.tcp.ignored.Add(1)
	c.e.q.s.offended(&c.connection, 1)
	c.end(doq.ProtocolError)
}

// end ends the connection.
func (c *quicConn) end(why doq.Code) {
	c.ended.Store(true) // before questions are given up by that
	c.c.Close(why)
}

// answerWhole answers a question, or sends it the driver's way.
func (c *quicConn) answerWhole(st *doq.Stream, msg []byte) {
	s := c.e.q.s
	sess, err := s.sessions.take()
	if err != nil {
		c.fail(st, msg)
		return
	}
	var later *[]byte
	decided := false // what becomes of the question
	p := s.panics.Run("quic session", func() {
		sess.Begin()
		later = c.answerWith(sess, st, msg)
		decided = true
		sess.End()
	})
	s.sessions.put(sess, p != nil)
	switch {
	case !decided:
		c.fail(st, msg)
	case later != nil:
		(&quicAnswer{c, st}).send(later)
	}
}

// answerWith asks the session about one message. An answer that does not leave at once
// is returned behind its length, to be sent when the session serves others again.
func (c *quicConn) answerWith(sess *tcpSession, st *doq.Stream, msg []byte) (later *[]byte) {
	s := c.e.q.s
	s.tcp.queries.Add(1)
	c.source.asks()
	reply, handling := sess.Answer(msg, &c.client, sess.out)
	switch {
	case handling == Reply && len(reply) > 0:
		s.tcp.answered.Add(1)
		framed := s.buffers.Get().(*[]byte)
		*framed = appendFrame(*framed, reply)
		if len(reply) > limits.QUICSmall || !st.TryWrite(*framed) {
			return framed
		}
		s.recycle(framed)
		c.answered()
	case handling == Driver:
		s.tcp.driver.Add(1)
		if q := newQuery(msg, &c.client, &quicAnswer{c, st}); !s.dispatch(q) {
			s.failOne(q)
		}
	case handling == Violation:
		c.violated()
	default:
		s.tcp.dropped.Add(1)
		c.refuse(st, doq.Unspecified)
	}
	return nil
}

// fail answers SERVFAIL to a question at which the session failed.
func (c *quicConn) fail(st *doq.Stream, msg []byte) {
	c.e.q.s.failOne(newQuery(msg, &c.client, &quicAnswer{c, st}))
}

// A quicAnswer is the way back to one question.
type quicAnswer struct {
	c  *quicConn
	st *doq.Stream
}

// answer implements answerPath.
func (a *quicAnswer) answer(_ *Query, msg []byte) {
	if len(msg) == 0 {
		a.c.refuse(a.st, doq.Unspecified)
		return
	}
	framed := a.c.e.q.s.buffers.Get().(*[]byte)
	*framed = appendFrame(*framed, msg)
	a.send(framed)
}

// send sends the answer and gives its memory back. A client that does not take it in
// time loses it.
func (a *quicAnswer) send(framed *[]byte) {
	s := a.c.e.q.s
	defer a.c.answered()
	if err := a.st.Write(*framed, time.Now().Add(limits.TCPSendStall)); errors.Is(err, os.ErrDeadlineExceeded) {
		s.tcp.stalled.Add(1)
		s.limits.Hit(limits.TCPTime)
	}
	s.recycle(framed)
}

// answered notes that a question has been answered, or never will be.
func (c *quicConn) answered() {
	if c.outstanding.Add(-1) == 0 {
		select {
		case c.quiet <- struct{}{}:
		default:
		}
	}
}

// waitForAnswers waits until all that was asked is answered, unless the connection
// has ended or nothing is waited for any more, and then for the client to read the last
// answer: the end of a connection takes away what its program has not read yet.
func (c *quicConn) waitForAnswers() {
	for c.outstanding.Load() > 0 {
		select {
		case <-c.quiet:
		case <-c.c.Ended():
			return
		case <-c.e.q.s.over:
			return
		}
	}
	select {
	case <-c.c.Ended():
	case <-time.After(limits.LeaveQUIC):
	}
}

// hurry implements connHandler. A client that has just connected is about to ask.
func (c *quicConn) hurry() {
	wait := limits.LeaveQuietTCP
	if !c.asked.Load() {
		wait = max(wait, time.Until(c.begun.Add(limits.LeaveFirstTCP)))
	}
	if c.e.q.s.ended() {
		wait = 0
	}
	time.AfterFunc(wait, c.leave)
}

// kill implements connHandler.
func (c *quicConn) kill() {
	c.leave()
	c.end(doq.NoError)
}
