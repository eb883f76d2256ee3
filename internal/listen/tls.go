package listen

import (
	"context"
	"crypto/tls"
	"errors"
	"os"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"

	"kresd/internal/limits"
	"kresd/internal/transport"
)

// A tlsStream is a stream of TLS on its records.
type tlsStream struct {
	*tls.Conn
	records *records
}

// newTLS is the protocol of DNS over TLS: the messages of TCP on an encrypted
// stream. Clients need not say in the handshake that they speak it.
func newTLS(s *Server, nc accepted) *connection {
	r := newRecords(nc)
	encrypted := &tlsStream{tls.Server(r, s.tlsConfig(transport.ALPNDoT)), r}
	c := newFramedConn(s, transport.TLS, nc, encrypted)
	c.open = func() error { return s.shakeHands(encrypted.Conn, nc) }
	return &c.connection
}

// CloseWrite implements stream. Clients that do not look at the end of TLS see that
// of TCP.
func (t *tlsStream) CloseWrite() error {
	return errors.Join(t.Conn.CloseWrite(), t.records.CloseWrite())
}

// readAhead reads what can be read without waiting for the client. What is wrong
// with it the next Read says.
func (t *tlsStream) readAhead(b []byte) (n int) {
	if !t.records.more() {
		return 0
	}
	t.records.ahead = true
	n, _ = t.Read(b)
	t.records.ahead = false
	return n
}

// tlsStats count handshakes, and those that are under way.
type tlsStats struct {
	done, resumed, failed atomic.Uint64
	open                  atomic.Int32
}

// shakeHands does the handshake of a connection that clients have encrypted, and
// counts it. Whoever speaks something on such a connection begins with it. On
// records it computes only in its turn, and waits for the client out of it.
func (s *Server) shakeHands(c *tls.Conn, nc accepted) error {
	s.tls.open.Add(1)
	defer s.tls.open.Add(-1)
	if r, ok := c.NetConn().(*records); ok {
		r.waits, r.goesOn = s.turns.give, func() { _ = s.turns.take(context.Background(), s.limits) }
		r.goesOn()
		defer func() { r.waits(); r.waits, r.goesOn = nil, nil }()
	}
	_ = nc.SetDeadline(time.Now().Add(s.handshakeTime()))
	err := s.onOwnStack(c.Handshake)
	_ = nc.SetDeadline(time.Time{})
	switch {
	case errors.Is(err, os.ErrDeadlineExceeded):
		s.limits.Hit(limits.TLSTime)
		fallthrough
	case err != nil:
		s.tls.failed.Add(1)
	case c.ConnectionState().DidResume:
		s.tls.resumed.Add(1)
		fallthrough
	default:
		s.tls.done.Add(1)
		acknowledge(nc)
	}
	return err
}

// acknowledge tells the client that its last words have come. We have nothing to say
// to them, and many clients do not ask before they know (RFC 1122, section
// 4.2.3.4): the system would let them wait for 40 ms.
func acknowledge(nc accepted) {
	if raw, err := nc.SyscallConn(); err == nil {
		_ = withFD(raw, func(fd int) error { return unix.SetsockoptInt(fd, unix.IPPROTO_TCP, unix.TCP_QUICKACK, 1) })
	}
}

// onOwnStack runs fn on a goroutine of its own: what it needs of a stack would stay
// with a connection's for as long as that waits.
func (s *Server) onOwnStack(fn func() error) (err error) {
	done := make(chan struct{})
	s.panics.Go("handshake", func() {
		defer close(done)
		err = errGarbage // should it panic
		err = fn()
	})
	<-done
	return err
}

// turns are how many handshakes are computed at a time, so that answers to
// others' questions find a processor. Who has none stands in a queue, which the
// number of connections bounds.
type turns struct {
	places  chan struct{}
	waiting atomic.Int32 // those in the queue
}

func newTurns() *turns { return &turns{places: make(chan struct{}, limits.TLSHandshakes)} }

// take waits for a turn, until ctx ends.
func (t *turns) take(ctx context.Context, n *limits.Counters) error {
	select {
	case t.places <- struct{}{}:
		return nil
	default:
	}
	n.Hit(limits.TLSTurns)
	t.waiting.Add(1)
	defer t.waiting.Add(-1)
	select {
	case t.places <- struct{}{}:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

func (t *turns) give() { <-t.places }
