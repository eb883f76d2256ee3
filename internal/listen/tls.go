package listen

import (
	"crypto/tls"
	"errors"
	"os"
	"sync/atomic"
	"time"

	"kresd/internal/limits"
	"kresd/internal/transport"
)

// alpnDoT is what DNS over TLS is called in a handshake (RFC 7858, section 3.1;
// the name is registered for RFC 7301). Clients need not say it.
const alpnDoT = "dot"

// tlsStats count handshakes.
type tlsStats struct{ done, resumed, failed atomic.Uint64 }

// newTLS is the protocol of DNS over TLS: the messages of TCP on an encrypted
// stream.
func newTLS(s *Server, nc accepted) *connection {
	encrypted := tls.Server(nc, s.tlsConfig(alpnDoT))
	c := newFramedConn(s, transport.TLS, nc, encrypted)
	c.open = func() error { return s.shakeHands(encrypted, nc) }
	return &c.connection
}

// shakeHands does the handshake of a connection that clients have encrypted, and
// counts it. Whoever speaks something on such a connection begins with it.
func (s *Server) shakeHands(c *tls.Conn, nc accepted) error {
	_ = nc.SetDeadline(time.Now().Add(s.handshakeTime()))
	err := c.Handshake()
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
	}
	return err
}
