package listen

import (
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

	"kresd/internal/doh"
	"kresd/internal/h2"
	"kresd/internal/limits"
	"kresd/internal/transport"
)

// An httpConn is one client's connection by HTTP/1.1, which package net/http reads and
// writes, by a server of its own for each, so that each ends by itself when this Server
// leaves; or by HTTP/2, which http2Conn serves.
type httpConn struct {
	connection

	s       *Server
	stream  *httpStream
	records *records  // on stream; nil: in the clear
	tls     *tls.Conn // on records; nil: in the clear
	client  Client
	share   netip.Addr // whom its requests are counted for (limits.Clients.Key)

	second   atomic.Pointer[http2Conn] // nil: HTTP/1.1 is spoken, or nothing yet
	offences atomic.Int64

	mu      sync.Mutex
	over    bool           // no further request is taken in hand
	working sync.WaitGroup // requests in hand
}

// newHTTPS is protocol.connection of DNS over HTTPS.
func newHTTPS(s *Server, nc accepted) *connection {
	c := newHTTPConn(s, transport.HTTPS, nc)
	c.records = newRecords(c.stream)
	c.tls = tls.Server(c.records, s.tlsConfig(transport.ALPNHTTP2, transport.ALPNHTTP1))
	return &c.connection
}

// newHTTP is protocol.connection of DNS over HTTP that a proxy has taken out of TLS. A
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
	c.source = s.sources.of(c.key)
	c.stream = &httpStream{accepted: nc, busy: &c.outstanding, begun: time.Now(), closed: make(chan struct{})}
	c.stream.flooded = sync.OnceFunc(func() {
		s.limits.Hit(limits.HTTPFlood)
		s.offended(&c.connection, limits.HTTPOffences)
	})
	return c
}

// An httpShare is what all connections by HTTP have in common.
type httpShare struct {
	places *limits.Shares // of limits.HTTPRequests
	bodies *limits.Shares // of limits.HTTPBodies
	large  *limits.Shares // of limits.HTTPLargeBodies

	rooms sync.Pool // of *[]byte: large bodies

	paths, headers atomic.Pointer[[]string]

	dateCache

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

// giveUp counts a request that its client does not want any more.
func (c *httpConn) giveUp() {
	c.s.offended(&c.connection, 1)
	c.offend()
}

// offend counts a request that was given up, or a violation. A connection of which
// these are the greater part costs work and asks little: it ends (CVE-2023-44487), and so
// does one whose client has done so much of that on others.
func (c *httpConn) offend() {
	if n := c.offences.Add(1); c.source.barred(c.s.clock.Mono()) || n > limits.HTTPOffences && 2*n > c.stream.requests.Load() {
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
		if err := c.s.shakeHands(&c.connection, c.tls, c.stream); err != nil {
			c.s.vain(&c.connection, err)
			return
		}
		if c.agreedOn() == transport.ALPNHTTP2 {
			if second := c.begin2(&tlsStream{Conn: c.tls, records: c.records}); second != nil {
				second.run()
			}
		} else {
			c.serve1(c.tls)
		}
	} else if begun, second, err := c.preface(c.stream); err == nil && second {
		newHTTP2Conn(c, punctual{c.stream}).run()
	} else if err == nil {
		c.serve1(&sniffed{c.stream, begun})
	}
	c.stream.Close()
	c.endRequests()
}

// agreedOn is the protocol that the handshake came to. What it looks at is large, and is not
// to lie on the stack for as long as the connection lives.
//
//go:noinline
func (c *httpConn) agreedOn() string { return c.tls.ConnectionState().NegotiatedProtocol }

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
	spoken := &http.Protocols{}
	spoken.SetHTTP1(true)
	server := http.Server{
		Handler:                      c,
		Protocols:                    spoken,
		DisableGeneralOptionsHandler: true,
		ReadHeaderTimeout:            limits.HTTPHeaderTime,
		ReadTimeout:                  limits.HTTPRequestTime,
		IdleTimeout:                  c.s.conns.idleTime(c.s.idleTime()),
		MaxHeaderBytes:               limits.HTTPHeaders - 4<<10, // to which net/http adds that
		ErrorLog:                     log.New(io.Discard, "", 0),
	}
	_ = server.Serve(&oneConn{conn: nc, closed: c.stream.closed, left: make(chan struct{})})
	<-c.stream.closed
}

// begin2 reads the preface of a connection by HTTP/2, nil if it is none.
func (c *httpConn) begin2(on stream) *http2Conn {
	if _, second, err := c.preface(on); err != nil || !second {
		return nil
	}
	return newHTTP2Conn(c, on)
}

// preface reads until it is plain whether a client speaks HTTP/2.
func (c *httpConn) preface(from io.Reader) (begun []byte, second bool, err error) {
	_ = c.stream.SetReadDeadline(time.Now().Add(limits.HTTPHeaderTime))
	defer func() { _ = c.stream.SetReadDeadline(time.Time{}) }()
	begun = make([]byte, len(h2.Preface))
	for have := 0; ; {
		n, err := from.Read(begun[have:])
		have += n
		switch got := string(begun[:have]); {
		case got == h2.Preface:
			return nil, true, nil
		case have > 0 && !strings.HasPrefix(h2.Preface, got):
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
	c.stream.leaveWithin(limits.LeaveQuietTCP)
	if second := c.second.Load(); second != nil {
		second.leave()
	}
}

// kill implements connHandler.
func (c *httpConn) kill() {
	c.interrupt()
	if second := c.second.Load(); second != nil {
		second.abort()
	}
	c.stream.Close()
}

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
