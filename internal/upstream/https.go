package upstream

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"mime"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strconv"
	"time"

	"kresd/internal/limits"
	"kresd/internal/resolve"
	"kresd/internal/zonecut"
)

const (
	alpnHTTP2  = "h2"                      // RFC 9113, section 3.1
	dnsMessage = "application/dns-message" // RFC 8484, section 6
)

// httpsLink is a connection by HTTP/2 on which each question is a request of its own
// (RFC 8484), with the ID 0. A request that fails with its connection ends the link, so
// that all who wait are asked on another one.
type httpsLink struct {
	e      *Exchanger
	conn   *http.ClientConn
	where  url.URL
	ctx    context.Context // ends with the link
	cancel context.CancelCauseFunc
	got    chan httpsAnswer
}

// httpsAnswer is a message, or why there is none for the question with the ID.
type httpsAnswer struct {
	pkt []byte
	err error
}

// dialDoH connects by TLS to a server that proves who it is, and speaks HTTP/2 there.
func (p *pool) dialDoH(ctx context.Context, to zonecut.Endpoint, from netip.Addr) (link, error) {
	var failed error
	transport := &http.Transport{
		DialTLSContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			conn, err := p.secure(ctx, to, from, alpnHTTP2)
			if err == nil && conn.ConnectionState().NegotiatedProtocol != alpnHTTP2 {
				conn.Close()
				err = fmt.Errorf("it speaks no HTTP/2: %w", resolve.ErrUnreachable)
			}
			if failed = err; err != nil {
				return nil, err
			}
			return conn, nil
		},
		DisableCompression: true, MaxResponseHeaderBytes: limits.UpstreamHTTPHeader,
		Protocols: new(http.Protocols),
		HTTP2: &http.HTTP2Config{
			MaxReceiveBufferPerConnection: limits.UpstreamHTTPBuffer, MaxReceiveBufferPerStream: limits.UpstreamHTTPBuffer,
			WriteByteTimeout: limits.TCPSendStall,
		},
	}
	transport.Protocols.SetHTTP2(true)
	conn, err := transport.NewClientConn(ctx, "https", to.Addr.String())
	switch {
	case failed != nil:
		return nil, failed
	case err != nil:
		return nil, dialError(err)
	}
	l := &httpsLink{e: p.e, conn: conn, where: questionURL(to), got: make(chan httpsAnswer)}
	l.ctx, l.cancel = context.WithCancelCause(context.Background())
	conn.SetStateHook(func(c *http.ClientConn) {
		if err := c.Err(); err != nil {
			l.cancel(errConnEnded)
		}
	})
	return l, nil
}

// questionURL is where a server takes questions.
func questionURL(to zonecut.Endpoint) url.URL {
	peer := to.Peer.Config()
	host := serverName(&peer)
	if host == "" {
		host = to.Addr.Addr().WithZone("").String()
	}
	if port := to.Addr.Port(); port != zonecut.DoH.Port() {
		host = net.JoinHostPort(host, strconv.Itoa(int(port)))
	} else if a, err := netip.ParseAddr(host); err == nil && a.Is6() {
		host = "[" + host + "]"
	}
	u := url.URL{Scheme: "https", Host: host, Path: peer.Path}
	if path, err := url.PathUnescape(peer.Path); err == nil {
		u.Path, u.RawPath = path, peer.Path
	}
	return u
}

func (l *httpsLink) protocol() zonecut.Protocol { return zonecut.DoH }

// write implements link.
func (l *httpsLink) write(msg []byte) error {
	if l.ctx.Err() != nil {
		return errConnEnded
	}
	body := bytes.Clone(msg[2:])
	id := binary.BigEndian.Uint16(body)
	binary.BigEndian.PutUint16(body, 0) // so that equal questions are equal to caches, too (RFC 8484, section 4.1)
	l.e.group.Go("upstream https", func() {
		a := httpsAnswer{}
		a.pkt, a.err = l.ask(body)
		switch {
		case errors.Is(a.err, context.DeadlineExceeded): // nobody waits any longer
			return
		case a.err != nil && !errors.Is(a.err, resolve.ErrErring):
			l.cancel(errConnEnded)
			return
		case a.err != nil:
			a.err = &unanswerable{id, a.err}
		default:
			binary.BigEndian.PutUint16(a.pkt, id)
		}
		select {
		case l.got <- a:
		case <-l.ctx.Done():
		}
	})
	return nil
}

// ask sends one question and reads its answer. An error of the server's own is a kind of
// resolve.ErrErring; others are of the connection.
func (l *httpsLink) ask(question []byte) ([]byte, error) {
	ctx, end := context.WithTimeout(l.ctx, limits.TCPAnswerTimeout)
	defer end()
	request := (&http.Request{
		Method: http.MethodPost, URL: &l.where, Host: l.where.Host,
		Header: http.Header{
			"Content-Type": {dnsMessage}, "Accept": {dnsMessage}, "User-Agent": {""},
			"Cache-Control": {"no-cache"}, // what a cache has kept has older TTLs (RFC 8484, section 5.1)
		},
		Body: io.NopCloser(bytes.NewReader(question)), ContentLength: int64(len(question)),
	}).WithContext(ctx)
	response, err := l.conn.RoundTrip(request)
	if err != nil {
		return nil, errors.Join(err, ctx.Err())
	}
	defer response.Body.Close()
	pkt, err := messageIn(response)
	if err != nil {
		return nil, errors.Join(err, ctx.Err())
	}
	return pkt, nil
}

// messageIn is the DNS message that a response has.
func messageIn(response *http.Response) ([]byte, error) {
	if response.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("HTTP status %d: %w", response.StatusCode, resolve.ErrErring)
	}
	if kind, _, _ := mime.ParseMediaType(response.Header.Get("Content-Type")); kind != dnsMessage {
		return nil, fmt.Errorf("HTTP content of type %.40q: %w", kind, resolve.ErrErring)
	}
	pkt, err := io.ReadAll(io.LimitReader(response.Body, limits.MaxBufsize+1))
	switch {
	case err != nil:
		return nil, err
	case len(pkt) > limits.MaxBufsize, len(pkt) < 2, pkt[0]|pkt[1] != 0:
		return nil, fmt.Errorf("HTTP content that is no answer: %w", resolve.ErrErring)
	}
	return pkt, nil
}

// read implements link.
func (l *httpsLink) read(wait func() bool) ([]byte, error) {
	timer := time.NewTimer(limits.UpstreamTCPIdle)
	defer timer.Stop()
	for {
		select {
		case a := <-l.got:
			return a.pkt, a.err
		case <-l.ctx.Done():
			return nil, context.Cause(l.ctx)
		case <-timer.C:
			if !wait() {
				return nil, errConnEnded
			}
			timer.Reset(limits.UpstreamTCPIdle)
		}
	}
}

// close implements link.
func (l *httpsLink) close() error {
	l.cancel(net.ErrClosed)
	return l.conn.Close()
}
