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
	"net/http/httptrace"
	"net/netip"
	"net/url"
	"strconv"
	"sync"
	"time"

	"kresd/internal/doh"
	"kresd/internal/limits"
	"kresd/internal/resolve"
	"kresd/internal/transport"
	"kresd/internal/zonecut"
)

// httpsLink is a connection by HTTP/2 on which each question is a request of its own
// (RFC 8484).
type httpsLink struct {
	*multiplex
	conn  *http.ClientConn
	where url.URL
}

// dialDoH connects by TLS to a server that proves who it is, and speaks HTTP/2 there.
func (p *pool) dialDoH(ctx context.Context, to zonecut.Endpoint, from netip.Addr) (link, error) {
	var failed error
	client := &http.Transport{
		DialTLSContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			conn, err := p.secure(ctx, to, from, transport.ALPNHTTP2)
			if err == nil && conn.ConnectionState().NegotiatedProtocol != transport.ALPNHTTP2 {
				conn.Close()
				err = &resolve.Unusable{Did: "speaks no HTTP/2"}
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
	client.Protocols.SetHTTP2(true)
	conn, err := client.NewClientConn(ctx, "https", to.Addr.String())
	switch {
	case failed != nil:
		return nil, failed
	case err != nil:
		return nil, dialError(err)
	}
	l := &httpsLink{newMultiplex(p.e), conn, questionURL(to)}
	end := sync.OnceFunc(func() { close(l.ended) })
	conn.SetStateHook(func(c *http.ClientConn) {
		if c.Err() != nil {
			end()
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

// write implements link. The library waits for the turn of the request, and says when
// it has left.
func (l *httpsLink) write(ctx context.Context, msg []byte) error {
	body := bytes.Clone(msg[2:])
	id := binary.BigEndian.Uint16(body)
	binary.BigEndian.PutUint16(body, 0) // so that equal questions are equal to caches, too (RFC 8484, section 4.1)
	begun := make(chan struct{})
	begin := sync.OnceFunc(func() { close(begun) })
	asking, end := context.WithTimeout(l.ctx, limits.UpstreamStreamWait+limits.TCPAnswerTimeout)
	l.carry("upstream https", id, func() ([]byte, error) {
		defer end()
		defer begin() // an error comes by the reader
		return l.ask(httptrace.WithClientTrace(asking, &httptrace.ClientTrace{WroteHeaders: begin}), body)
	})
	timer := time.NewTimer(limits.UpstreamStreamWait)
	defer timer.Stop()
	select {
	case <-begun:
		return nil
	case <-ctx.Done():
		end()
		return ctx.Err()
	case <-timer.C:
		end()
		l.stuck.Store(true)
		return errNoStream
	}
}

// ask sends one question and reads its answer. The errors are those of carry.
func (l *httpsLink) ask(ctx context.Context, question []byte) ([]byte, error) {
	request := (&http.Request{
		Method: http.MethodPost, URL: &l.where, Host: l.where.Host,
		Header: http.Header{
			"Content-Type": {doh.MediaType}, "Accept": {doh.MediaType}, "User-Agent": {""},
			"Cache-Control": {"no-cache"}, // what a cache has kept has older TTLs (RFC 8484, section 5.1)
		},
		Body: io.NopCloser(bytes.NewReader(question)), ContentLength: int64(len(question)),
	}).WithContext(ctx)
	response, err := l.conn.RoundTrip(request)
	if err != nil {
		return nil, noResponse(ctx, err)
	}
	defer response.Body.Close()
	pkt, err := messageIn(response)
	if err != nil && !errors.Is(err, resolve.ErrErring) {
		return nil, noResponse(ctx, err)
	}
	return pkt, err
}

// noResponse says what it means to a question, and to its link, that no whole response
// came. A server that leaves (GOAWAY) has not looked at requests that it does not answer;
// it answers the others, so that their link stays (RFC 9113, section 6.8).
func noResponse(ctx context.Context, err error) error {
	var reset streamError
	switch {
	case ctx.Err() != nil:
		return errGivenUp
	case !errors.As(err, &reset):
		return errConnEnded
	case reset.Code == refusedStream:
		return errNotTaken
	}
	return erring("ended the stream of the question: %s", reset.name())
}

// streamError is an error that ends one stream of HTTP/2. Its fields are those of
// net/http's own, which lets errors.As fill in a struct that has the same.
type streamError struct {
	StreamID uint32
	Code     uint32
	Cause    error
}

func (e streamError) Error() string { return e.name() }

// name is that of the code in RFC 9113, section 7.
func (e streamError) name() string {
	names := [...]string{
		"NO_ERROR", "PROTOCOL_ERROR", "INTERNAL_ERROR", "FLOW_CONTROL_ERROR", "SETTINGS_TIMEOUT", "STREAM_CLOSED", "FRAME_SIZE_ERROR",
		"REFUSED_STREAM", "CANCEL", "COMPRESSION_ERROR", "CONNECT_ERROR", "ENHANCE_YOUR_CALM", "INADEQUATE_SECURITY", "HTTP_1_1_REQUIRED",
	}
	if e.Code < uint32(len(names)) {
		return names[e.Code]
	}
	return fmt.Sprintf("error %d", e.Code)
}

// refusedStream tells that nothing was done for a request (RFC 9113, section 8.7).
const refusedStream = 7

// messageIn is the DNS message that a response has.
func messageIn(response *http.Response) ([]byte, error) {
	if response.StatusCode != http.StatusOK {
		return nil, erring("answered with HTTP status %d", response.StatusCode)
	}
	if kind, _, _ := mime.ParseMediaType(response.Header.Get("Content-Type")); kind != doh.MediaType {
		return nil, erring("answered with HTTP content of type %.40q", kind)
	}
	pkt, err := io.ReadAll(io.LimitReader(response.Body, limits.MaxBufsize+1))
	switch {
	case err != nil:
		return nil, err
	case len(pkt) > limits.MaxBufsize, len(pkt) < 2, pkt[0]|pkt[1] != 0:
		return nil, erring("answered with HTTP content that is no answer")
	}
	return pkt, nil
}

// close implements link.
func (l *httpsLink) close() error {
	l.cancel()
	return l.conn.Close()
}
