package listen

import (
	"io"
	"net"
	"os"
	"testing"
	"testing/synctest"
	"time"

	"kresd/internal/limits"
	"kresd/internal/transport"
)

// timed is a connection whose goroutine is the test, in a bubble of synctest, and the
// deadlines that it is given. Its server is none that serves.
func timed(nc accepted) (*framedConn, *oneOctet) {
	o := &oneOctet{accepted: nc}
	s := New(newEcho(), Options{Limits: &limits.Counters{}, Panics: quietPanics()})
	return newFramedConn(s, transport.TCP, o, o), o
}

// Reading ends after the idle time, after the time that a message may take in all, and soon
// where the server leaves, unless a message has begun.
func TestWhenReadingByTCPEnds(t *testing.T) {
	nc := acceptedEnd(t)
	synctest.Test(t, func(t *testing.T) {
		c, o := timed(nc)
		expect := func(what string, want time.Duration) {
			t.Helper()
			c.setDeadline()
			if got := time.Until(o.readBy[len(o.readBy)-1]); got != want {
				t.Errorf("%s: it ends after %v, want %v", what, got, want)
			}
		}
		expect("nothing has begun", c.s.idleTime())
		c.in = c.buf[:1]
		expect("a message has begun", limits.TCPWholeMessage)
		time.Sleep(time.Second)
		expect("a message began a second ago", limits.TCPWholeMessage-time.Second)
		c.s.drain.Store(true)
		expect("a message has begun, and the server leaves", limits.TCPWholeMessage-time.Second)
		c.in, c.begun = c.buf[:0], time.Now()
		expect("the server leaves a client that has just come", limits.LeaveFirstTCP)
		time.Sleep(limits.LeaveFirstTCP)
		expect("the server leaves a client that came a while ago", limits.LeaveQuietTCP)
		c.asked.Store(true)
		c.begun = time.Now()
		expect("the server leaves a client that has asked", limits.LeaveQuietTCP)
		c.in = c.buf[:1]
		close(c.s.over)
		expect("nothing is waited for any more", time.Millisecond)
	})
}

// A read that took too long is repeated where the client is not to blame.
func TestWhoseReadsAreRepeated(t *testing.T) {
	nc := acceptedEnd(t)
	late := &net.OpError{Op: "read", Err: os.ErrDeadlineExceeded}
	for what, c := range map[string]struct {
		err     error
		change  func(c *framedConn)
		patient bool
		counted uint64
	}{
		"the client is silent":                {late, func(*framedConn) {}, false, 0},
		"it waits for an answer":              {late, func(c *framedConn) { c.outstanding.Add(1) }, true, 0},
		"it has gone":                         {io.EOF, func(c *framedConn) { c.outstanding.Add(1) }, false, 0},
		"nothing is waited for any more":      {late, func(c *framedConn) { c.outstanding.Add(1); close(c.s.over) }, false, 0},
		"a message has time":                  {late, func(c *framedConn) { c.in, c.messageDue = c.buf[:1], time.Now().Add(1) }, true, 0},
		"a message is late, and one answer":   {late, func(c *framedConn) { c.in, c.messageDue = c.buf[:1], time.Now(); c.outstanding.Add(1) }, false, 1},
		"a message has been late for a while": {late, func(c *framedConn) { c.in, c.messageDue = c.buf[:1], time.Now().Add(-time.Second) }, false, 1},
	} {
		synctest.Test(t, func(t *testing.T) {
			conn, _ := timed(nc)
			c.change(conn)
			if got := conn.patient(c.err); got != c.patient || conn.s.limits.Get(limits.TCPTime) != c.counted {
				t.Errorf("%s: %v, counted %d times; want %v, %d", what, got, conn.s.limits.Get(limits.TCPTime), c.patient, c.counted)
			}
		})
	}
}

// A buffer grows with what has come of a message, up to the longest one, and shrinks when all
// is answered.
func TestABufferGrowsWithItsMessage(t *testing.T) {
	c, _ := timed(acceptedEnd(t))
	size := len(c.small)
	if c.grow(); len(c.buf) != size {
		t.Errorf("an empty one has %d octets", len(c.buf))
	}
	for range 9 {
		c.in = c.buf[:len(c.buf)-1]
		if c.grow(); len(c.buf) != size {
			t.Errorf("one with room has %d octets, want %d", len(c.buf), size)
		}
		c.in = c.buf[:len(c.buf)]
		c.in[len(c.in)-1] = 'x'
		size = min(4*size, frameMax)
		if c.grow(); len(c.buf) != size || c.in[len(c.in)-1] != 'x' || &c.in[0] != &c.buf[0] {
			t.Errorf("a full one becomes one of %d octets, want %d", len(c.buf), size)
		}
	}
	c.in = c.buf[7:9]
	c.in[0], c.in[1] = 'y', 'z'
	if c.compact(); string(c.in) != "yz" || &c.in[0] != &c.buf[0] || len(c.buf) != size {
		t.Errorf("%q is left, of %d octets", c.in, len(c.buf))
	}
	c.in = c.in[:0]
	if c.compact(); len(c.in) != 0 || len(c.buf) != len(c.small) {
		t.Errorf("with nothing left it has %d octets", len(c.buf))
	}
}
