package listen

import (
	"errors"
	"io"
	"os"
	"sync/atomic"
	"time"

	"kresd/internal/h2"
	"kresd/internal/limits"
)

// An http2Conn serves a connection by HTTP/2, of which package h2 knows the protocol. As on
// connections of messages behind their length (framed.go), one goroutine reads, and answers
// what a session can; other answers are sent by whoever has one.
type http2Conn struct {
	connWriter // its lock is h2's as well

	http *httpConn
	on   stream
	h2   *h2.Conn

	in    []byte // what was read and is not taken yet
	buf   []byte // where in lies
	small [1024]byte
	part  time.Time // when the frame or the head has to be whole that has begun; zero: none has

	leaving atomic.Bool // the server leaves
	told    bool        // the client knows it

	// Fields under the lock.
	dues  int       // requests with a due time
	armed time.Time // when reading ends
	deaf  bool      // nothing is read any more
}

func newHTTP2Conn(on *httpConn, s stream) *http2Conn {
	c := &http2Conn{http: on, on: s, h2: h2.New()}
	c.connWriter.init(on.s, &on.connection, s, on.stream)
	c.h2.Ended = requestEnded
	c.buf = c.small[:]
	return c
}

// run serves the connection to its end.
func (c *http2Conn) run() {
	defer c.endRequests()
	c.greet()
	for c.serve() {
		if err := c.read(); err != nil {
			c.finish(err)
			return
		}
	}
}

// greet says what a connection begins with.
func (c *http2Conn) greet() {
	c.http.second.Store(c)
	if c.s.draining() {
		c.leaving.Store(true)
	}
	c.say(c.h2.Begin)
}

// serve takes what has been read, and sends what is to be said to it; false: the connection
// has ended.
func (c *http2Conn) serve() bool {
	if c.leaving.Load() && !c.told {
		c.told = true
		c.say(c.h2.GoAwaySoon)
	}
	err := c.takeAll()
	if !c.flush() {
		return false
	}
	if err != nil {
		c.fail(err)
	}
	return err == nil
}

// endRequests ends the requests that are not on the driver's way; the others end when their
// answers come.
func (c *http2Conn) endRequests() {
	c.abort()
	c.mu.Lock()
	defer c.mu.Unlock()
	c.h2.Streams(func(s *h2.Stream) {
		if r := s.Owner.(*http2Request); !r.driven {
			r.done()
		}
	})
}

// say has something sent by the next flush.
func (c *http2Conn) say(word func(out []byte) []byte) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if out := c.bufferLocked(); out != nil {
		*out = word(*out)
	}
}

// takeAll takes what has been read, but for the begin of a frame.
func (c *http2Conn) takeAll() error {
	for {
		if c.buffered() >= limits.TCPSendBuffer && !c.flush() || c.http.stream.isClosed() {
			return io.ErrClosedPipe
		}
		ev, err := c.next()
		if err != nil {
			return err
		}
		if ev.Kind == h2.Nothing {
			c.compact()
			return nil
		}
		c.take(&ev)
	}
}

// next reads frames.
func (c *http2Conn) next() (ev h2.Event, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	out := c.bufferLocked()
	if out == nil {
		return ev, io.ErrClosedPipe
	}
	c.h2.KeepFields = len(*c.s.http.headers.Load()) > 0
	var used int
	ev, used, *out, err = c.h2.Next(c.in, *out)
	if c.in = c.in[used:]; used > 0 && !c.h2.InHead() {
		c.part = time.Time{}
	}
	return ev, err
}

// take does what an event asks for.
func (c *http2Conn) take(ev *h2.Event) {
	switch ev.Kind {
	case h2.Head:
		c.begin(ev)
	case h2.Data:
		ev.Stream.Owner.(*http2Request).more(ev)
	case h2.Reset:
		c.http.giveUp()
	case h2.Refused:
		c.s.http.streams.Add(1)
		c.s.limits.Hit(limits.HTTPStream)
		c.http.giveUp()
	case h2.Broken:
		c.s.http.broken.Add(1)
		c.http.giveUp()
	}
}

// fail ends a connection whose client broke a rule; it has been told which.
func (c *http2Conn) fail(err error) {
	var violation *h2.Error
	switch {
	case errors.Is(err, h2.ErrFlood):
		c.http.stream.flooded()
	case errors.As(err, &violation):
		c.s.http.broken.Add(1)
		c.http.giveUp()
		c.waitUntil(func() bool { return !c.writing && c.out == nil })
		c.linger()
	}
}

// read reads what comes next.
func (c *http2Conn) read() error {
	c.grow()
	for {
		c.arm()
		have := len(c.in)
		n, err := c.on.Read(c.buf[have:])
		if n > 0 {
			c.in = c.buf[:have+n]
			c.readAhead()
			return nil
		}
		if err != nil && !c.patient(err) {
			return err
		}
		if len(c.in) > have {
			return nil
		}
	}
}

// readAhead reads what has come behind a record, if the stream can tell that.
func (c *http2Conn) readAhead() {
	ahead, ok := c.on.(interface{ readAhead([]byte) int })
	for ok && len(c.in) < len(c.buf) {
		n := ahead.readAhead(c.buf[len(c.in):])
		if n == 0 {
			return
		}
		c.in = c.buf[:len(c.in)+n]
	}
}

// arm sets when reading ends: when something is due, or after the idle time.
func (c *http2Conn) arm() {
	now := time.Now()
	if c.part.IsZero() && (len(c.in) > 0 || c.h2.InHead()) {
		c.part = now.Add(c.partTime())
	}
	by := now.Add(c.s.conns.idleTime(c.s.idleTime()))
	if !c.part.IsZero() && c.part.Before(by) {
		by = c.part
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.dues > 0 {
		acknowledge(c.http.stream) // many clients send a body when they know that its head has come
		c.h2.Streams(func(s *h2.Stream) {
			if due := s.Owner.(*http2Request).due; !due.IsZero() && due.Before(by) {
				by = due
			}
		})
	}
	if c.leaving.Load() && !c.told { // leave may have come before
		by = now
	}
	c.armed = by
	_ = c.http.stream.SetReadDeadline(by)
}

// partTime is how long what has begun to come may take: the rest of a body as long as a
// request, anything else as long as a head.
func (c *http2Conn) partTime() time.Duration {
	if !c.h2.InHead() && h2.IsBody(c.in) {
		return limits.HTTPRequestTime
	}
	return limits.HTTPHeaderTime
}

// patient tells whether a read that timed out is to be repeated. What is due has its own
// time, and silence is no reason to end a connection on which answers are awaited.
func (c *http2Conn) patient(err error) bool {
	if !errors.Is(err, os.ErrDeadlineExceeded) || c.s.ended() {
		return false
	}
	now := time.Now()
	if c.unread() { // it came in time, and the reader was late
		return true
	}
	if !c.part.IsZero() && !now.Before(c.part) {
		c.s.limits.Hit(limits.TCPTime)
		c.s.offended(c.conn, 1)
		return false
	}
	told := c.leaving.Load() && !c.told
	if told {
		c.told = true
		c.say(c.h2.GoAwaySoon)
	}
	return (c.endLate(now) || told) && c.flush() || c.conn.outstanding.Load() > 0
}

// unread reads what the kernel holds, and tells whether there was something: a read whose
// time is over does not look for it.
func (c *http2Conn) unread() bool {
	if !readable(c.http.stream) {
		return false
	}
	_ = c.http.stream.accepted.SetReadDeadline(time.Now().Add(limits.HTTPUnread))
	n, _ := c.on.Read(c.buf[len(c.in):])
	c.in = c.buf[:len(c.in)+n]
	return n > 0
}

// endLate ends requests that take too long, by no fault of ours.
func (c *http2Conn) endLate(now time.Time) (some bool) {
	c.mu.Lock()
	var late []*http2Request
	c.h2.Streams(func(s *h2.Stream) {
		if r := s.Owner.(*http2Request); !r.due.IsZero() && !now.Before(r.due) {
			late = append(late, r)
		}
	})
	c.mu.Unlock()
	for _, r := range late {
		r.endLate()
	}
	return len(late) > 0
}

// finish ends the connection after the last read: what waits for an answer gets it, unless
// the client is gone. What the client had yet to do will not be done.
func (c *http2Conn) finish(err error) {
	silent := errors.Is(err, os.ErrDeadlineExceeded)
	if !errors.Is(err, io.EOF) && !silent {
		return
	}
	c.say(c.deafen)
	c.flush()
	c.waitForAnswers()
	if silent {
		c.say(func(out []byte) []byte { return c.h2.GoAway(out, h2.NoError) })
		c.flush()
		c.linger()
	}
}

// deafen ends the requests that wait for the client, and has none wait for it any more. The
// lock is held.
func (c *http2Conn) deafen(out []byte) []byte {
	c.deaf = true
	var late []*h2.Stream
	c.h2.Streams(func(s *h2.Stream) {
		if !s.Owner.(*http2Request).due.IsZero() {
			late = append(late, s)
		}
	})
	for _, s := range late {
		out = c.h2.Reset(out, s, unwanted(s))
	}
	return out
}

// linger closes our side and reads on until the client closes its own, for a
// while: data that nobody reads would make the kernel send a reset.
func (c *http2Conn) linger() {
	if c.on.CloseWrite() != nil {
		return
	}
	_ = c.http.stream.accepted.SetReadDeadline(time.Now().Add(limits.TCPLinger))
	for {
		if _, err := c.on.Read(c.small[:]); err != nil {
			return
		}
	}
}

// compact moves the begin of a frame to the front of the buffer.
func (c *http2Conn) compact() {
	n := copy(c.buf, c.in)
	if n == 0 && len(c.buf) > len(c.small) {
		c.buf = c.small[:]
	}
	c.in = c.buf[:n]
}

// grow makes room for the rest of a frame, as much as has come of it already: a length that
// was only announced costs nothing.
func (c *http2Conn) grow() {
	if len(c.in) < len(c.buf) {
		return
	}
	bigger := make([]byte, min(4*len(c.buf), h2.FrameMax))
	c.in = bigger[:copy(bigger, c.in)]
	c.buf = bigger
}

// leave has the client told that the server leaves, by the goroutine that reads: it waits
// for nobody here.
func (c *http2Conn) leave() {
	c.leaving.Store(true)
	_ = c.http.stream.accepted.SetReadDeadline(time.Now())
}
