// Package doqtest is a client of DNS over QUIC that does what none should: it begins
// questions and does not end them, and gives up what it has asked. Tests alone import it.
package doqtest

import (
	"context"
	"crypto/tls"
	"encoding/binary"
	"io"
	"net"
	"net/netip"
	"time"

	"github.com/quic-go/quic-go"
)

// A Client is a connection to a server.
type Client struct {
	transport *quic.Transport
	c         *quic.Conn
}

// Dial connects to a server by a socket, which it takes over, whatever it returns.
func Dial(ctx context.Context, conn *net.UDPConn, to netip.AddrPort, conf *tls.Config) (*Client, error) {
	t := &quic.Transport{Conn: conn}
	c, err := t.Dial(ctx, net.UDPAddrFromAddrPort(to), conf, &quic.Config{MaxIdleTimeout: 20 * time.Second, DisablePathMTUDiscovery: true})
	if err != nil {
		_ = t.Close()
		_ = conn.Close()
		return nil, err
	}
	return &Client{t, c}, nil
}

// Begin opens a stream as soon as the server allows one, and sends a part of a message on it,
// behind which nothing comes.
func (c *Client) Begin(ctx context.Context, part []byte) error {
	s, err := c.c.OpenStreamSync(ctx)
	if err == nil {
		_, err = s.Write(part)
	}
	return err
}

// GiveUp asks, with the length in front, and resets the stream in both directions.
func (c *Client) GiveUp(ctx context.Context, framed []byte) error {
	s, err := c.c.OpenStreamSync(ctx)
	if err != nil {
		return err
	}
	_, err = s.Write(framed)
	s.CancelWrite(0)
	s.CancelRead(0)
	return err
}

// Ask sends a message on a stream of its own, and waits for the answer.
func (c *Client) Ask(ctx context.Context, msg []byte) ([]byte, error) {
	s, err := c.c.OpenStreamSync(ctx)
	if err != nil {
		return nil, err
	}
	until, _ := ctx.Deadline()
	_ = s.SetDeadline(until)
	if _, err := s.Write(append(binary.BigEndian.AppendUint16(nil, uint16(len(msg))), msg...)); err != nil {
		return nil, err
	}
	_ = s.Close()
	framed, err := io.ReadAll(io.LimitReader(s, 2+65535))
	if err != nil || len(framed) < 2 {
		return nil, err
	}
	return framed[2:], nil
}

// Close ends the connection and closes the socket.
func (c *Client) Close() {
	_ = c.c.CloseWithError(0, "")
	_ = c.transport.Close()
	_ = c.transport.Conn.Close()
}
