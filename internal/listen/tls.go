package listen

import (
	"crypto/tls"
	"errors"
	"net"
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
	empty   bool // all that was decrypted has been read
}

// Read implements net.Conn. A silent client is waited for here and not in package tls, which
// goes so deep that the stack of each idle connection would be twice as large.
func (t *tlsStream) Read(b []byte) (n int, err error) {
	if t.empty {
		t.records.await()
	}
	n, err = t.Conn.Read(b)
	t.empty = n < len(b) && (err == nil || errors.Is(err, os.ErrDeadlineExceeded))
	return n, err
}

// newTLS is protocol.connection of DNS over TLS: the messages of TCP on an encrypted
// stream. Clients need not say in the handshake that they speak it.
func newTLS(s *Server, nc accepted) *connection {
	r := newRecords(nc)
	encrypted := &tlsStream{Conn: tls.Server(r, s.tlsConfig(transport.ALPNDoT)), records: r}
	c := newFramedConn(s, transport.TLS, nc, encrypted)
	c.open = func() error { return s.shakeHands(&c.connection, encrypted.Conn, nc) }
	return &c.connection
}

// CloseWrite implements stream. Clients that do not look at the end of TLS see that
// of TCP.
func (t *tlsStream) CloseWrite() error {
	return errors.Join(t.Conn.CloseWrite(), t.records.CloseWrite())
}

// readAhead reads what can be read without waiting for the client. An error is left for the
// next Read to meet and to return.
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

// shakeHands does the handshake of a connection that clients have encrypted, and counts it.
// Every connHandler of such a connection begins with it. Where records lie beneath the
// TLS, the handshake computes only while it has a turn, and has none while it waits for
// the client. It takes no longer than s.handshakeTime, nor than c lives; the error of one
// whose time went by in the queue, at least for the half, is errNoTurn.
func (s *Server) shakeHands(c *connection, t *tls.Conn, nc accepted) error {
	s.tls.open.Add(1)
	defer s.tls.open.Add(-1)
	most := s.handshakeTime()
	due := time.Now().Add(most)
	ctx, over := c.untilKilled(due, errNoTurn)
	defer over()
	_ = nc.SetDeadline(due)
	waited, err := s.inTurn(ctx, t)
	_ = nc.SetDeadline(time.Time{})
	if errors.Is(err, os.ErrDeadlineExceeded) && waited >= most/2 {
		err = errNoTurn
	}
	switch {
	case errors.Is(err, os.ErrDeadlineExceeded):
		s.limits.Hit(limits.TLSTime)
		fallthrough
	case err != nil:
		s.tls.failed.Add(1)
	case t.ConnectionState().DidResume:
		s.tls.resumed.Add(1)
		fallthrough
	default:
		s.tls.done.Add(1)
		acknowledge(nc)
	}
	return err
}

// errNoTurn ends a handshake for which there was no processor in time.
var errNoTurn = errors.New("the turn of the handshake has not come in time")

// vain notes a handshake that has come to nothing, unless it was ended here, or its turn did
// not come.
func (s *Server) vain(c *connection, err error) {
	if !errors.Is(err, net.ErrClosed) && !errors.Is(err, errNoTurn) {
		s.offended(c, 1)
	}
}

// acknowledge tells the client that its last words have come. We have nothing to say
// to them, and many clients do not ask before they know (RFC 1122, section
// 4.2.3.4): the system would let them wait for 40 ms.
func acknowledge(nc accepted) {
	_ = withFD(nc, func(fd int) error { return set(fd, sockopt{unix.IPPROTO_TCP, unix.TCP_QUICKACK, 1}) })
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
