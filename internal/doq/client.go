package doq

import (
	"context"
	"crypto/tls"
	"net"
	"net/netip"
	"time"

	"github.com/quic-go/quic-go"

	"kresd/internal/limits"
)

// A Client is a connection to a server.
type Client struct {
	transport *quic.Transport
	c         *quic.Conn
}

// Dial connects to a server by a UDP socket, which it takes over, whatever it
// returns. The settings say who the server must be.
func Dial(ctx context.Context, conn *net.UDPConn, to netip.AddrPort, conf *tls.Config, idle time.Duration) (*Client, error) {
	quieten()
	t := &quic.Transport{Conn: conn}
	c, err := t.Dial(ctx, net.UDPAddrFromAddrPort(to), conf, &quic.Config{
		HandshakeIdleTimeout:           limits.UpstreamHandshake,
		MaxIdleTimeout:                 idle,
		MaxIncomingStreams:             -1,
		MaxIncomingUniStreams:          -1,
		InitialStreamReceiveWindow:     maxFramed,
		MaxStreamReceiveWindow:         maxFramed,
		InitialConnectionReceiveWindow: 4 * maxFramed,
		MaxConnectionReceiveWindow:     16 * maxFramed,
		DisablePathMTUDiscovery:        true,
	})
	if err != nil {
		_ = t.Close()
		_ = conn.Close()
		return nil, err
	}
	return &Client{t, c}, nil
}

// Resumed tells whether an earlier session was resumed.
func (c *Client) Resumed() bool { return c.c.ConnectionState().TLS.DidResume }

// Ask opens a stream and sends a message on it, with its length in front; its ID must
// be 0 (RFC 9250, section 4.2.1). It waits for the server to allow another stream
// until ctx ends, and to take the message until the given time.
func (c *Client) Ask(ctx context.Context, framed []byte, until time.Time) (*Stream, error) {
	s, err := c.c.OpenStreamSync(ctx)
	if err != nil {
		return nil, plain(err)
	}
	st := &Stream{s: s}
	return st, st.Write(framed, until)
}

// Ended is closed when the connection has ended.
func (c *Client) Ended() <-chan struct{} { return c.c.Context().Done() }

// Close ends the connection and closes the socket.
func (c *Client) Close() {
	c.Abort(NoError)
	_ = c.transport.Close()
	_ = c.transport.Conn.Close()
}

// Abort ends the connection and tells the server why.
func (c *Client) Abort(why Code) { _ = c.c.CloseWithError(quic.ApplicationErrorCode(why), "") }
