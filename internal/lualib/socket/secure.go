package socket

import (
	"context"
	"crypto/tls"
	"errors"
	"net"
	"sync/atomic"
	"syscall"
	"time"

	"kresd/internal/limits"
	"kresd/internal/lualib/trust"
	"kresd/internal/luavalue"
	"kresd/internal/script"
)

// A secured connection is one over TLS. under is the connection beneath, for what concerns
// the descriptor.
type secured struct {
	*tls.Conn
	under *hasty
}

// hasty is what lies under TLS. Once it is being closed nothing waits for the other side:
// the last record of TLS goes at once, or not at all.
type hasty struct {
	plain
	closing atomic.Bool
}

// plain is a stream of the system.
type plain interface {
	net.Conn
	SyscallConn() (syscall.RawConn, error)
	CloseRead() error
	CloseWrite() error
}

func (h *hasty) SetWriteDeadline(t time.Time) error {
	if h.closing.Load() {
		t = time.Now().Add(atOnce)
	}
	return h.plain.SetWriteDeadline(t)
}

func (s *secured) Close() error {
	s.under.closing.Store(true)
	return s.Conn.Close()
}

func (s *secured) SyscallConn() (syscall.RawConn, error) { return s.under.SyscallConn() }

func (s *secured) CloseRead() error { return s.under.CloseRead() }

// startTLS is starttls(settings): the connection goes on over TLS. A connection that was
// made by connect is TLS's client, and verifies the server as ssl.https does, by
// servername; one that came from accept is the server, which shows certificate and key. If
// the handshake fails, the connection is closed: in the clear it cannot be trusted.
func startTLS(c *script.Call, s *stream) error {
	t := &luavalue.Table{}
	if !c.IsNil(2) {
		t = c.Table(2)
	}
	conn, ok := s.conn.(plain)
	switch _, secure := s.conn.(*secured); {
	case secure:
		return c.Return(nil, "it is over TLS already")
	case !ok:
		return c.Return(nil, "closed")
	case s.reading || s.writing:
		return c.Return(nil, "another coroutine uses the connection")
	case len(s.buf) > 0: // anybody on the way may have sent them (CVE-2011-0411)
		s.close()
		return c.Return(nil, "data were received before the handshake")
	}
	over, err := tlsOver(conn, t, s.accepted)
	if err != nil {
		s.close()
		return c.Return(nil, err.Error())
	}
	s.reading, s.writing = true, true
	defer func() { s.reading, s.writing = false, false }()
	at := s.timeouts.deadline()
	if _, err = script.Outside(c, func(ctx context.Context) (bool, error) {
		ctx, end := context.WithTimeout(ctx, limits.LuaHandshakeTime)
		defer end()
		if !at.IsZero() {
			var cancel context.CancelFunc
			ctx, cancel = context.WithDeadline(ctx, at)
			defer cancel()
		}
		return true, over.HandshakeContext(ctx)
	}); err != nil {
		s.close()
		return failed(c, err)
	}
	if s.conn != conn { // a script has closed it meanwhile
		return c.Return(nil, "closed")
	}
	s.conn = over
	return c.Return(1)
}

// tlsOver is the connection over TLS before the handshake.
func tlsOver(conn plain, t *luavalue.Table, server bool) (*secured, error) {
	fields, err := trust.Read(t)
	if err != nil {
		return nil, err
	}
	config, err := fields.Config()
	if err != nil {
		return nil, err
	}
	if config.ServerName, err = trust.Text(t, "servername"); err != nil {
		return nil, err
	}
	under := &hasty{plain: conn}
	switch {
	case server && len(config.Certificates) == 0:
		return nil, errors.New("a server needs { certificate = file, key = file }")
	case server:
		return &secured{tls.Server(under, config), under}, nil
	case config.ServerName == "" && !config.InsecureSkipVerify:
		return nil, errors.New("the name is missing that the server's certificate is for: { servername = name }")
	}
	return &secured{tls.Client(under, config), under}, nil
}

// buffered reads what TLS has decrypted and nobody has read: no descriptor tells of it.
func (s *secured) buffered(buf []byte) []byte {
	_ = s.SetReadDeadline(time.Unix(1, 0))
	chunk := make([]byte, 16<<10)
	for len(buf) < limits.LuaString {
		n, err := s.Read(chunk)
		buf = append(buf, chunk[:n]...)
		if err != nil {
			break
		}
	}
	return buf
}
