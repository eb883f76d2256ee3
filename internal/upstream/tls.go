package upstream

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"syscall"

	"kresd/internal/limits"
	"kresd/internal/resolve"
	"kresd/internal/transport"
	"kresd/internal/zonecut"
)

// DNS over TLS (RFC 7858) is a stream over a connection on which TLS has proven who the
// server is.

// dialDoT connects and shakes hands.
func (p *pool) dialDoT(ctx context.Context, to zonecut.Endpoint, from netip.Addr) (link, error) {
	conn, err := p.secure(ctx, to, from, transport.ALPNDoT)
	if err != nil {
		return nil, err
	}
	return newStream(conn, zonecut.DoT), nil
}

// secure opens a connection by TLS to a server that proves who it is. Nothing but the
// handshake was sent on it.
func (p *pool) secure(ctx context.Context, to zonecut.Endpoint, from netip.Addr, alpn string) (*tls.Conn, error) {
	raw, err := p.connect(ctx, to, from)
	if err != nil {
		return nil, err
	}
	return p.shakeHands(ctx, to, raw, alpn)
}

// shakeHands makes a TLS connection of one, or closes it.
func (p *pool) shakeHands(ctx context.Context, to zonecut.Endpoint, raw net.Conn, alpn string) (*tls.Conn, error) {
	ctx, end := context.WithTimeout(ctx, limits.UpstreamHandshake)
	defer end()
	conn := tls.Client(raw, p.e.authenticator.config(to, alpn))
	err := conn.HandshakeContext(ctx)
	p.e.handshook(to, conn.ConnectionState().DidResume, err)
	if err != nil {
		_ = raw.Close()
		return nil, handshakeError(err, err.Error())
	}
	return conn, nil
}

// handshook counts a handshake, and tells the log of a server that did not prove who it
// is.
func (e *Exchanger) handshook(to zonecut.Endpoint, resumed bool, err error) {
	stranger, known := errors.AsType[*resolve.Unauthenticated](err)
	switch {
	case err == nil && resumed:
		e.stats.resumed.Add(1)
	case err == nil:
		e.stats.handshakes.Add(1)
	case errors.Is(err, context.Canceled): // by us
	default:
		e.stats.noHandshake.Add(1)
	}
	if known {
		e.warnOfStranger(stranger)
	}
}

// warnOfStranger names a server in the log, once in limits.StrangerSaid.
func (e *Exchanger) warnOfStranger(stranger *resolve.Unauthenticated) {
	now := e.clock.Mono()
	if until, _ := e.strangers.Get(stranger.Server); now < until {
		return
	}
	e.strangers.Put(stranger.Server, now+limits.StrangerSaid, limits.UpstreamSessions)
	e.warn(stranger.Error())
}

// handshakeError says whose fault a handshake is that failed. The reason is for clients, too:
// "" where a stranger may have worded it.
func handshakeError(err error, reason string) error {
	var blame error = &resolve.Unusable{Did: noTLS(err, reason)}
	switch {
	case errors.Is(err, resolve.ErrUnreachable):
		return err // an Unauthenticated
	case errors.Is(err, context.Canceled):
		return err
	case errors.Is(err, context.DeadlineExceeded), isTimeout(err):
		blame = resolve.ErrTimeout
	case errors.Is(err, syscall.ECONNREFUSED), errors.Is(err, syscall.EHOSTUNREACH), errors.Is(err, syscall.ENETUNREACH): // by QUIC
		blame = resolve.ErrUnreachable
	}
	return fmt.Errorf("no TLS: %w: %w", err, blame)
}

// noTLS is what a server did with which it did not come to TLS.
func noTLS(err error, reason string) string {
	if errno, ok := errors.AsType[syscall.Errno](err); ok {
		reason = errno.Error()
	}
	switch {
	case errors.Is(err, io.EOF):
		return "ended the connection within the handshake of TLS"
	case reason == "":
		return "was reached, but not by TLS"
	}
	return "was reached, but not by TLS (" + reason + ")"
}
