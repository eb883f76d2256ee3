package listen

import (
	"errors"
	"io"
	"net"
	"net/netip"
	"os"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"

	"kresd/internal/limits"
	"kresd/internal/transport"
)

// A framedConn is one client's connection on which each message stands behind
// its length, as over TCP and TLS. One goroutine reads; answers are written by
// whoever has one, in the order in which they are ready (RFC 7766, section
// 6.2.1.1).
type framedConn struct {
	connection

	s      *Server
	nc     accepted // beneath the stream
	stream stream
	open   func() error // makes the stream usable; nil: it is
	client Client

	proxied bool // its proxy's header comes first (greeting.inside)

	begun time.Time
	asked atomic.Bool // at least once

	connWriter

	messageDue time.Time // when all of the message that in begins with must be here

	in    []byte // what was read and is not answered yet
	buf   []byte // where in lies
	small [512]byte
}

// frameMax is the longest message with its length.
const frameMax = 2 + maxMessage

var errGarbage = errors.New("not a query")

// newTCP is protocol.connection of plain TCP.
func newTCP(s *Server, nc accepted) *connection {
	return &newFramedConn(s, transport.TCP, nc, punctual{nc}).connection
}

// newFramedConn makes a connection whose octets come and go by a stream on what
// was accepted, or by that itself.
func newFramedConn(s *Server, kind transport.Kind, nc accepted, on stream) *framedConn {
	c := &framedConn{s: s, nc: nc, stream: on, begun: time.Now()}
	c.connHandler = c
	c.client = clientOf(kind, nc)
	c.key = s.clients.Load().Key(c.client.Addr.Addr())
	c.source = s.sources.of(c.key)
	c.buf = c.small[:]
	c.connWriter.init(s, &c.connection, on, nc)
	return c
}

// clientOf is who asks on a connection.
func clientOf(kind transport.Kind, nc accepted) Client {
	if _, ok := nc.(*net.UnixConn); ok {
		return Client{Kind: kind, Addr: unixPeer, Local: unixPeer}
	}
	return Client{Kind: kind, Addr: plainAddr(nc.RemoteAddr()), Local: plainAddr(nc.LocalAddr())}
}

// plainAddr is a TCP address without zone, IPv4 as IPv4; of another kind it is
// none.
func plainAddr(a net.Addr) netip.AddrPort {
	if t, ok := a.(*net.TCPAddr); ok {
		ap := t.AddrPort()
		return netip.AddrPortFrom(ap.Addr().Unmap().WithZone(""), ap.Port())
	}
	return netip.AddrPort{}
}

// run implements connHandler.
func (c *framedConn) run() {
	if c.open != nil {
		if err := c.open(); err != nil {
			c.s.vain(&c.connection, err)
			return
		}
	}
	if c.proxied && c.greet() != nil {
		return
	}
	for {
		if err := c.answerAll(); err != nil {
			return
		}
		if err := c.read(); err != nil {
			c.finish(err)
			return
		}
		c.s.conns.touch(&c.connection)
	}
}

// answerAll answers the complete messages that have been read, pausing while the
// pipeline is full.
func (c *framedConn) answerAll() error {
	for {
		c.waitForRoom()
		more, err := c.answerSome()
		if !c.flush() {
			return net.ErrClosed
		}
		if err != nil {
			c.waitForAnswers()
			return err
		}
		if !more {
			c.compact()
			return nil
		}
	}
}

// answerSome looks at complete messages with one session, until there is none,
// the pipeline is full or the answers should be sent; more tells that another is
// there.
func (c *framedConn) answerSome() (more bool, err error) {
	if _, _, ok := nextFrame(c.in); !ok {
		return false, nil
	}
	sess, err := c.s.sessions.take()
	if err != nil {
		return false, err
	}
	var asked []byte // the message at which a panic happened
	p := c.s.panics.Run("tcp session", func() {
		sess.Begin()
		more, err = c.answerWith(sess, &asked)
		sess.End()
	})
	c.s.sessions.put(sess, p != nil)
	if p == nil {
		return more, err
	}
	if asked == nil {
		return false, p
	}
	c.outstanding.Add(1)
	c.s.failOne(newQuery(asked, &c.client, c))
	return true, nil
}

func (c *framedConn) answerWith(sess *tcpSession, asked *[]byte) (more bool, err error) {
	for {
		msg, rest, ok := nextFrame(c.in)
		if !ok {
			return false, nil
		}
		if c.pipelineFull() || c.buffered() >= limits.TCPSendBuffer {
			return true, nil
		}
		c.in, c.messageDue = rest, time.Time{}
		c.asked.Store(true)
		if !isQuery(msg) {
			c.s.tcp.ignored.Add(1)
			c.s.offended(&c.connection, 1)
			return false, errGarbage
		}
		*asked = msg
		c.answerOne(sess, msg)
		*asked = nil
	}
}

// answerOne asks the session about one message.
func (c *framedConn) answerOne(sess *tcpSession, msg []byte) {
	c.s.tcp.queries.Add(1)
	c.source.asks()
	reply, handling := sess.Answer(msg, &c.client, sess.out)
	switch {
	case handling == Reply && len(reply) > 0:
		c.s.tcp.answered.Add(1)
		c.put(reply)
	case handling == Driver:
		c.s.tcp.driver.Add(1)
		c.outstanding.Add(1)
		if q := newQuery(msg, &c.client, c); !c.s.dispatch(q) {
			c.s.failOne(q)
		}
	default:
		c.s.tcp.dropped.Add(1)
	}
}

// pipelineFull tells whether so many queries wait that reading pauses.
func (c *framedConn) pipelineFull() bool {
	return c.outstanding.Load() >= max(c.s.pipeline.Load(), 1)
}

// read reads until there is a complete message or a full buffer.
func (c *framedConn) read() error {
	c.grow()
	for {
		c.setDeadline()
		n, err := c.stream.Read(c.buf[len(c.in):])
		if n > 0 {
			c.in = c.buf[:len(c.in)+n]
			if beginsProxyHeader(c.in) {
				c.s.tcp.ignored.Add(1)
				c.s.offended(&c.connection, 1)
				return errGarbage
			}
			if len(c.in) >= frameLen(c.in) || len(c.in) == len(c.buf) {
				c.readAhead()
				return nil
			}
		}
		if err != nil && !c.patient(err) {
			return err
		}
	}
}

// readAhead reads what has come behind a message, if the stream can tell that.
func (c *framedConn) readAhead() {
	ahead, ok := c.stream.(interface{ readAhead([]byte) int })
	for ok && len(c.in) < len(c.buf) {
		n := ahead.readAhead(c.buf[len(c.in):])
		if n == 0 {
			return
		}
		c.in = c.buf[:len(c.in)+n]
	}
}

// patient tells whether a read that timed out is to be repeated: a message that
// has begun has its own time, silence is no reason to end a connection on which
// answers are awaited, and there was no silence if something has come meanwhile,
// which a read whose deadline is over does not look for.
func (c *framedConn) patient(err error) bool {
	if !errors.Is(err, os.ErrDeadlineExceeded) || c.s.ended() {
		return false
	}
	if len(c.in) > 0 {
		if time.Now().Before(c.messageDue) {
			return true
		}
		c.s.limits.Hit(limits.TCPTime)
		c.s.offended(&c.connection, 1)
		return false
	}
	return c.outstanding.Load() > 0 || readable(c.nc)
}

// readable tells whether the kernel holds octets that were not read.
func readable(nc accepted) bool {
	n := 0
	_ = withFD(nc, func(fd int) (err error) {
		n, _, err = unix.Recvfrom(fd, make([]byte, 1), unix.MSG_PEEK|unix.MSG_DONTWAIT)
		return err
	})
	return n > 0
}

// setDeadline sets when reading ends: the idle time while nothing has been read,
// else what a message may take from its first octet on.
func (c *framedConn) setDeadline() {
	if len(c.in) > 0 {
		if c.messageDue.IsZero() {
			c.messageDue = time.Now().Add(limits.TCPWholeMessage)
		}
		_ = c.nc.SetReadDeadline(c.messageDue)
	} else {
		_ = c.nc.SetReadDeadline(time.Now().Add(c.s.conns.idleTime(c.s.idleTime())))
	}
	// Drain sets its flag first and the deadlines then; here it is the reverse,
	// so one of both sees the other.
	if c.s.ended() || c.s.draining() && len(c.in) == 0 {
		c.hurry()
	}
}

// hurry implements connHandler. A client that has just connected is about to ask.
func (c *framedConn) hurry() {
	wait := limits.LeaveQuietTCP
	if !c.asked.Load() {
		wait = max(wait, time.Until(c.begun.Add(limits.LeaveFirstTCP)))
	}
	if c.s.ended() {
		wait = time.Millisecond
	}
	_ = c.nc.SetReadDeadline(time.Now().Add(wait))
}

// compact moves an incomplete message to the front of the buffer.
func (c *framedConn) compact() {
	n := copy(c.buf, c.in)
	if n == 0 && len(c.buf) > len(c.small) {
		c.buf = c.small[:]
	}
	c.in = c.buf[:n]
}

// grow makes room for an incomplete message, as much as has come of it already:
// a length that was only announced costs nothing.
func (c *framedConn) grow() {
	if len(c.in) < len(c.buf) {
		return
	}
	bigger := make([]byte, min(4*len(c.buf), frameMax))
	c.in = bigger[:copy(bigger, c.in)]
	c.buf = bigger
}

// finish ends the connection after the last read: what waits is answered, unless
// the client is gone.
func (c *framedConn) finish(err error) {
	if !errors.Is(err, io.EOF) && !errors.Is(err, os.ErrDeadlineExceeded) {
		return
	}
	c.waitForAnswers()
	if errors.Is(err, os.ErrDeadlineExceeded) {
		c.linger()
	}
}

// linger closes our side and reads on until the client closes its own, for a
// while: data that nobody reads would make the kernel send a reset.
func (c *framedConn) linger() {
	if c.stream.CloseWrite() != nil {
		return
	}
	_ = c.nc.SetReadDeadline(time.Now().Add(limits.TCPLinger))
	for {
		if _, err := c.stream.Read(c.small[:]); err != nil {
			return
		}
	}
}

// kill implements connHandler.
func (c *framedConn) kill() {
	c.abort()
	c.interrupt()
	c.nc.Close()
}
