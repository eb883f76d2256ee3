package listen

import (
	"context"
	"crypto/tls"
	"io"
	"log"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/net/http2"

	"kresd/internal/doh"
	"kresd/internal/limits"
	"kresd/internal/transport"
)

// An httpConn is one client's connection by HTTP/1.1, which package net/http reads and
// writes, or HTTP/2, which its sister does: by a server of its own for each, so that each
// ends by itself when this Server leaves.
type httpConn struct {
	connection

	s      *Server
	stream *httpStream
	tls    *tls.Conn // on stream; nil: in the clear
	client Client
	share  netip.Addr // whom its requests are counted for (limits.Clients.Key)
	server http.Server

	goAway   sync.Once
	second   atomic.Bool // HTTP/2 is spoken
	offences atomic.Int64

	mu      sync.Mutex
	over    bool           // no further request is taken in hand
	working sync.WaitGroup // requests in hand
}

// newHTTPS is the protocol of DNS over HTTPS.
func newHTTPS(s *Server, nc accepted) *connection {
	c := newHTTPConn(s, transport.HTTPS, nc)
	c.tls = tls.Server(newRecords(c.stream), s.tlsConfig(transport.ALPNHTTP2, transport.ALPNHTTP1))
	return &c.connection
}

// newHTTP is the protocol of DNS over HTTP that a proxy has taken out of TLS. A
// client that speaks HTTP/2 begins with it (RFC 9113, section 3.3).
func newHTTP(s *Server, nc accepted) *connection {
	return &newHTTPConn(s, transport.HTTP, nc).connection
}

func newHTTPConn(s *Server, kind transport.Kind, nc accepted) *httpConn {
	c := &httpConn{s: s}
	c.connHandler = c
	c.http = true
	c.client = clientOf(kind, nc)
	c.share = s.clients.Load().Key(c.client.Addr.Addr())
	c.key = c.share
	c.stream = &httpStream{accepted: nc, busy: &c.outstanding, begun: time.Now(), closed: make(chan struct{})}
	c.stream.flooded = sync.OnceFunc(func() { s.limits.Hit(limits.HTTPFlood) })
	spoken := &http.Protocols{}
	spoken.SetHTTP1(true)
	c.server = http.Server{
		Handler:                      c,
		Protocols:                    spoken,
		DisableGeneralOptionsHandler: true,
		ReadHeaderTimeout:            limits.HTTPHeaderTime,
		ReadTimeout:                  limits.HTTPRequestTime,
		IdleTimeout:                  s.conns.idleTime(s.idleTime()),
		MaxHeaderBytes:               limits.HTTPHeaders,
		ErrorLog:                     log.New(io.Discard, "", 0),
	}
	return c
}

// An httpShare is what all connections by HTTP have in common.
type httpShare struct {
	places *limits.Shares // of limits.HTTPRequests
	bodies *limits.Shares // of limits.HTTPBodies
	large  *limits.Shares // of limits.HTTPLargeBodies

	rooms sync.Pool // of *[]byte: large bodies

	paths, headers atomic.Pointer[[]string]

	requests, bad, refused, streams, broken atomic.Uint64
}

func (h *httpShare) init() {
	h.places = limits.NewShares(limits.HTTPRequests)
	h.bodies = limits.NewShares(limits.HTTPBodies)
	h.large = limits.NewShares(limits.HTTPLargeBodies)
	h.rooms.New = func() any { return new(make([]byte, limits.HTTPBody+1)) }
	paths := doh.DefaultPaths()
	h.paths.Store(&paths)
	h.headers.Store(new([]string))
}

// SetDoH sets at which paths questions are answered by HTTP, and which headers of
// a request, in lower case, go the driver's way with its question. The lists must
// not be changed any more.
func (s *Server) SetDoH(paths, headers []string) {
	s.http.paths.Store(&paths)
	s.http.headers.Store(&headers)
}

// countError counts what a client does against HTTP/2. What it is called ends with
// the name that net/http has for the place where it was noticed.
func (c *httpConn) countError(what string) {
	if strings.Contains(what, "over_max_streams") || strings.HasSuffix(what, "too_many_early_resets") {
		c.s.http.streams.Add(1)
		c.s.limits.Hit(limits.HTTPStream)
	} else {
		c.s.http.broken.Add(1)
	}
	c.offend()
}

// offend counts a request that was given up, or a violation. A connection of which
// these are the greater part costs work and asks little: it ends (CVE-2023-44487).
func (c *httpConn) offend() {
	if n := c.offences.Add(1); n > limits.HTTPOffences && 2*n > c.stream.requests.Load() {
		c.stream.flooded()
		c.stream.Close()
	}
}

// run implements connHandler.
func (c *httpConn) run() {
	if c.s.draining() { // it came behind those who were told
		c.hurry()
	}
	if c.tls != nil {
		if c.s.shakeHands(c.tls, c.stream) != nil {
			return
		}
		if c.tls.ConnectionState().NegotiatedProtocol == transport.ALPNHTTP2 {
			counted := &tlsFrames{frames{Conn: c.tls, flooded: c.stream.flooded}, c.tls}
			counted.count.skip = len(http2Preface)
			c.serve2(counted, false)
		} else {
			c.serve1(c.tls)
		}
	} else if begun, second, err := c.preface(); err == nil && second {
		c.serve2(&frames{Conn: c.stream, flooded: c.stream.flooded}, true)
	} else if err == nil {
		c.serve1(&sniffed{c.stream, begun})
	}
	c.stream.Close()
	c.endRequests()
}

// beginRequest takes a request in hand, until working is told of its end. It is false
// for one that comes behind the end of the connection, as its goroutine may.
func (c *httpConn) beginRequest() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.over {
		c.working.Add(1)
	}
	return !c.over
}

// endRequests waits for the requests in hand, and has no other follow.
func (c *httpConn) endRequests() {
	c.mu.Lock()
	c.over = true
	c.mu.Unlock()
	c.working.Wait()
}

// serve1 serves a connection by HTTP/1.1 to its end.
func (c *httpConn) serve1(nc net.Conn) {
	_ = c.server.Serve(&oneConn{conn: nc, closed: c.stream.closed, left: make(chan struct{})})
	<-c.stream.closed
}

// serve2 serves a connection by HTTP/2 to its end. begun tells that its preface has been
// read.
func (c *httpConn) serve2(nc net.Conn, begun bool) {
	c.second.Store(true)
	h := &http2.Server{
		MaxConcurrentStreams:         limits.HTTPStreams,
		MaxUploadBufferPerConnection: limits.HTTPBuffer,
		MaxUploadBufferPerStream:     limits.HTTPBuffer,
		WriteByteTimeout:             limits.TCPSendStall,
		CountError:                   c.countError,
	}
	if http2.ConfigureServer(&c.server, h) != nil { // it fails for lack of ciphers, of which these settings have all
		return
	}
	if c.s.draining() {
		c.hurry()
	}
	h.ServeConn(nc, &http2.ServeConnOpts{BaseConfig: &c.server, Handler: c, SawClientPreface: begun})
}

// preface reads until it is plain whether a client speaks HTTP/2.
func (c *httpConn) preface() (begun []byte, second bool, err error) {
	_ = c.stream.SetReadDeadline(time.Now().Add(limits.HTTPHeaderTime))
	defer func() { _ = c.stream.SetReadDeadline(time.Time{}) }()
	begun = make([]byte, len(http2Preface))
	for have := 0; ; {
		n, err := c.stream.Read(begun[have:])
		have += n
		switch got := string(begun[:have]); {
		case got == http2Preface:
			return nil, true, nil
		case have > 0 && !strings.HasPrefix(http2Preface, got):
			return begun[:have], false, nil // what is wrong further the next Read says
		case err != nil:
			return nil, false, err
		}
	}
}

// sniffed is a connection by HTTP/1.1 of which the first octets have been read.
type sniffed struct {
	*httpStream
	begun []byte
}

// Read implements net.Conn.
func (c *sniffed) Read(b []byte) (int, error) {
	if len(c.begun) > 0 {
		n := copy(b, c.begun)
		c.begun = c.begun[n:]
		return n, nil
	}
	return c.httpStream.Read(b)
}

// hurry implements connHandler. A client that speaks HTTP/2 is told; one that
// speaks HTTP/1.1 learns it by its last response, and one that has not asked yet by
// its first.
func (c *httpConn) hurry() {
	second := c.second.Load()
	if second {
		c.sayGoAway()
	}
	if !second || c.stream.requests.Load() == 0 {
		c.stream.leaveWithin(limits.LeaveQuietTCP)
	}
}

// sayGoAway tells a client that no further streams are served (RFC 9113, section
// 6.8). The connection ends after those that are open. One that is only about to be
// served by HTTP/2 may miss it.
func (c *httpConn) sayGoAway() {
	c.goAway.Do(func() {
		over, cancel := context.WithCancel(context.Background())
		cancel() // so that only the word is sent, and nothing waited for
		_ = c.server.Shutdown(over)
	})
}

// kill implements connHandler.
func (c *httpConn) kill() { c.stream.Close() }

// A oneConn is a listener that gives out one connection, and ends with it.
type oneConn struct {
	conn   net.Conn // nil: it is given
	closed <-chan struct{}
	left   chan struct{}
}

// Accept implements net.Listener.
func (l *oneConn) Accept() (net.Conn, error) {
	if nc := l.conn; nc != nil {
		l.conn = nil
		return nc, nil
	}
	select {
	case <-l.closed:
	case <-l.left:
	}
	return nil, net.ErrClosed
}

// Close implements net.Listener. It is called once.
func (l *oneConn) Close() error {
	close(l.left)
	return nil
}

// Addr implements net.Listener.
func (l *oneConn) Addr() net.Addr { return &net.TCPAddr{} }
