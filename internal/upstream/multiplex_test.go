package upstream

import (
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"kresd/internal/doq"
	"kresd/internal/limits"
	"kresd/internal/proctest"
	"kresd/internal/resolve"
	"kresd/internal/transport"
	"kresd/internal/wire"
	"kresd/internal/zonecut"
)

// asked asks a server with a peer, and the test fails unless the truth comes.
func asked(t *testing.T, e *Exchanger, to zonecut.Endpoint, name string) resolve.Exchange {
	t.Helper()
	x := question(t, to.Addr, name)
	x.Peer = to.Peer
	if r, err := e.Exchange(background, x); err != nil || len(r.Msg.Answer) != 1 || string(r.Msg.Answer[0].RData) != truth {
		t.Errorf("%s: %+v, %v", name, r, err)
	}
	return x
}

// label is the first letter of the question's name.
func label(q []byte) byte { return q[wire.HeaderLen+1] | 0x20 }

// A question whose stream the server ends fails over, as one that it answers SERVFAIL,
// and the link, and what else waits on it, go on.
func TestARefusedStreamLeavesTheLinkUp(t *testing.T) {
	cert := proctest.NewCertificateAuthority(t).Issue(t, nextDay(), "dns.test")
	play := func(refused <-chan struct{}, q []byte, answer, refuse func()) {
		switch label(q) {
		case 's': // slow
			<-refused
			answer()
		case 'r':
			refuse()
		default:
			answer()
		}
	}
	refusedHTTPS, refusedQUIC := make(chan struct{}), make(chan struct{})
	https, opened := httpsServer(t, cert, []string{transport.ALPNHTTP2}, func(w http.ResponseWriter, r *http.Request) {
		q, _ := io.ReadAll(r.Body)
		r.Body = io.NopCloser(strings.NewReader(string(q)))
		play(refusedHTTPS, q, func() { answerHTTPS(w, r) }, func() { panic(http.ErrAbortHandler) })
	})
	quic := startQUIC(t, cert, func(c *doq.Conn, st *doq.Stream, q []byte) {
		play(refusedQUIC, q, func() { truthQUIC(c, st, q) }, func() { st.Refuse(doq.InternalError) })
	})
	for _, server := range []struct {
		protocol string
		to       zonecut.Endpoint
		refused  chan<- struct{}
	}{
		{"HTTPS", zonecut.Endpoint{Addr: https, Peer: httpsPeer(t, cert)}, refusedHTTPS},
		{"QUIC", zonecut.Endpoint{Addr: quic.addr, Peer: mustPeer(t, zonecut.PeerConfig{Protocol: zonecut.DoQ, Pins: []zonecut.Pin{cert.Hash}})}, refusedQUIC},
	} {
		e := newExchanger(t, Config{})
		protocol, to := server.protocol, server.to
		var slow sync.WaitGroup
		slow.Go(func() { asked(t, e, to, "slow.example.") })
		asked(t, e, to, "first.example.")
		x := question(t, to.Addr, "refused.example.")
		x.Peer = to.Peer
		_, err := e.Exchange(background, x)
		close(server.refused)
		if !errors.Is(err, resolve.ErrErring) || !strings.Contains(strings.ToLower(err.Error()), "internal") || x.Budget.Sent() != 1 {
			t.Errorf("%s: %v after %d questions", protocol, err, x.Budget.Sent())
		}
		asked(t, e, to, "last.example.")
		slow.Wait()
	}
	if n := opened.Load() + quic.conns.Load(); n != 2 {
		t.Errorf("%d connections", n)
	}
}

// A server that ends one stream after the other is left (RFC 9250, section 4.3.2).
func TestAServerThatRefusesEverythingIsLeft(t *testing.T) {
	cert := proctest.NewCertificateAuthority(t).Issue(t, nextDay(), "dns.test")
	s := startQUIC(t, cert, func(_ *doq.Conn, st *doq.Stream, _ []byte) { st.Refuse(doq.ExcessiveLoad) })
	e := newExchanger(t, Config{})
	for i := range limits.UpstreamTCPStrays + 1 {
		_, _, err := askQUIC(t, e, s, cert.Hash, itoa(i)+".example.")
		wantErr(t, err, resolve.ErrErring)
	}
	if n := s.conns.Load(); n != 2 {
		t.Errorf("%d connections", n)
	}
}

// What a server has not looked at (REFUSED_STREAM) it is asked once more, on the same
// connection.
func TestAQuestionThatWasNotTakenIsAskedAgain(t *testing.T) {
	cert := proctest.NewCertificateAuthority(t).Issue(t, nextDay(), "dns.test")
	var n atomic.Int32
	s := framedHTTPS(t, cert, nil, func(c *frames, stream uint32, q []byte) {
		if label(q) == 'n' || n.Add(1) == 1 {
			c.put(frameReset, 0, stream, numbers(refusedStream))
			return
		}
		c.answer(stream, reply(q, truth))
	})
	e := newExchanger(t, Config{})
	to := zonecut.Endpoint{Addr: s.addr, Peer: httpsPeer(t, cert)}
	if x := asked(t, e, to, "first.example."); x.Budget.Sent() != 2 {
		t.Errorf("it was asked %d times", x.Budget.Sent())
	}
	x := question(t, s.addr, "never.example.")
	x.Peer = to.Peer
	_, err := e.Exchange(background, x)
	wantErr(t, err, resolve.ErrErring)
	if x.Budget.Sent() != 2 || s.tcpConns.Load() != 1 {
		t.Errorf("never is asked %d times on %d connections", x.Budget.Sent(), s.tcpConns.Load())
	}
}

// A server that leaves (GOAWAY) answers what it has taken, on the same connection, and is
// asked on another one what it has not.
func TestAServerThatLeavesAnswersWhatItHasTaken(t *testing.T) {
	cert := proctest.NewCertificateAuthority(t).Issue(t, nextDay(), "dns.test")
	var s *testServer
	var taken uint32
	var first []byte
	s = framedHTTPS(t, cert, nil, func(c *frames, stream uint32, q []byte) {
		switch label(q) {
		case 't':
			taken, first = stream, q
		case 'l': // leave, with this question untaken
			if s.tcpConns.Load() > 1 {
				c.answer(stream, reply(q, truth))
				return
			}
			c.put(frameGoAway, 0, 0, numbers(taken, 0))
			s.done.Go(func() {
				for s.tcpQueries.Load() < 3 { // the other one, anew
					time.Sleep(time.Millisecond)
				}
				c.answer(taken, reply(first, truth))
			})
		default:
			c.answer(stream, reply(q, truth))
		}
	})
	e := newExchanger(t, Config{})
	to := zonecut.Endpoint{Addr: s.addr, Peer: httpsPeer(t, cert)}
	var wg sync.WaitGroup
	wg.Go(func() {
		if x := asked(t, e, to, "taken.example."); x.Budget.Sent() != 1 {
			t.Errorf("what was taken is asked %d times", x.Budget.Sent())
		}
	})
	eventually(t, "a question is taken", func() bool { return s.tcpQueries.Load() == 1 })
	if x := asked(t, e, to, "left.example."); x.Budget.Sent() != 2 {
		t.Errorf("what was not taken is asked %d times", x.Budget.Sent())
	}
	wg.Wait()
	asked(t, e, to, "more.example.")
	if s.tcpConns.Load() != 2 {
		t.Errorf("%d connections", s.tcpConns.Load())
	}
}

// An answer counts that came before the end of its connection, however close: of HTTPS,
// and of TLS with and without a goodbye, or with a reset.
func TestAnAnswerBeforeTheEndOfItsConnectionCounts(t *testing.T) {
	cert := proctest.NewCertificateAuthority(t).Issue(t, nextDay(), "dns.test")
	answerDoT := func(s *testServer, conn *tls.Conn) bool {
		q := s.readFrame(conn)
		if q != nil {
			writeFrame(conn, reply(q, truth))
		}
		return q != nil
	}
	overTLS := func(end func(*tls.Conn, *net.TCPConn)) *testServer {
		return (&testServer{onTCP: func(s *testServer, raw net.Conn) {
			conn := tls.Server(raw, &tls.Config{Certificates: []tls.Certificate{cert.TLS}, NextProtos: []string{transport.ALPNDoT}})
			if answerDoT(s, conn) {
				end(conn, raw.(*net.TCPConn))
			}
		}}).start(t, "127.0.0.1")
	}
	dot := mustPeer(t, zonecut.PeerConfig{Protocol: zonecut.DoT, Pins: []zonecut.Pin{cert.Hash}})
	for what, c := range map[string]struct {
		s    *testServer
		peer zonecut.Peer
	}{
		"HTTPS": {framedHTTPS(t, cert, nil, func(c *frames, stream uint32, q []byte) {
			c.answer(stream, reply(q, truth))
			c.Conn.(*tls.Conn).NetConn().Close()
		}), httpsPeer(t, cert)},
		"HTTPS, leaving": {framedHTTPS(t, cert, nil, func(c *frames, stream uint32, q []byte) {
			c.put(frameGoAway, 0, 0, numbers(stream, 0))
			c.answer(stream, reply(q, truth))
			c.Close()
		}), httpsPeer(t, cert)},
		"TLS, goodbye": {overTLS(func(c *tls.Conn, _ *net.TCPConn) { c.Close() }), dot},
		"TLS, end":     {overTLS(func(_ *tls.Conn, raw *net.TCPConn) { raw.Close() }), dot},
		"TLS, half":    {overTLS(func(c *tls.Conn, _ *net.TCPConn) { _ = c.CloseWrite() }), dot},
	} {
		t.Run(what, func(t *testing.T) {
			e := newExchanger(t, Config{})
			for i := range 50 {
				x := question(t, c.s.addr, itoa(i)+".example.")
				x.Peer = c.peer
				if r, err := e.Exchange(background, x); err != nil || string(r.Msg.Answer[0].RData) != truth || x.Budget.Sent() > 2 {
					t.Errorf("question %d, asked %d times: %+v, %v", i, x.Budget.Sent(), r, err)
				}
			}
			if n := c.s.tcpQueries.Load(); n > 55 { // those that met the end of the connection before are asked anew
				t.Errorf("50 questions were asked %d times", n)
			}
		})
	}
}

// A reset that overtakes an answer costs the question one more connection.
func TestAResetBehindAnAnswer(t *testing.T) {
	cert := proctest.NewCertificateAuthority(t).Issue(t, nextDay(), "dns.test")
	s := (&testServer{onTCP: overTLS(cert, func(s *testServer, conn net.Conn) {
		if q := s.readFrame(conn); q != nil {
			writeFrame(conn, reply(q, truth))
			_ = conn.(*tls.Conn).NetConn().(*net.TCPConn).SetLinger(0)
			conn.(*tls.Conn).NetConn().Close()
		}
	})}).start(t, "127.0.0.1")
	e := newExchanger(t, Config{})
	to := zonecut.Endpoint{Addr: s.addr, Peer: mustPeer(t, zonecut.PeerConfig{Protocol: zonecut.DoT, Pins: []zonecut.Pin{cert.Hash}})}
	for i := range 20 {
		asked(t, e, to, itoa(i)+".example.")
	}
}

// Connections on which a server takes no question at all are not kept: they would have all
// places of the server until they had idled for long.
func TestAServerThatTakesNoQuestionKeepsNoConnection(t *testing.T) {
	cert := proctest.NewCertificateAuthority(t).Issue(t, nextDay(), "dns.test")
	s := limitedQUIC(t, cert, -1, truthQUIC)
	e := newExchanger(t, Config{})
	if _, _, err := askQUIC(t, e, s, cert.Hash, "www.example."); !errors.Is(err, errNoStream) {
		t.Errorf("asked in vain: %v", err)
	}
	e.pool.mu.Lock()
	defer e.pool.mu.Unlock()
	if n := len(e.pool.conns); n != 0 {
		t.Errorf("connections to %d servers take questions", n)
	}
}

// Questions wait for a server that takes few at a time, and hold nobody up by that. One
// whose turn does not come is asked on another connection.
func TestAQuestionWhoseTurnDoesNotComeGoesElsewhere(t *testing.T) {
	cert := proctest.NewCertificateAuthority(t).Issue(t, nextDay(), "dns.test")
	const few = 2
	var silent atomic.Int32 // questions that the server has and does not answer
	quic := limitedQUIC(t, cert, few, func(c *doq.Conn, st *doq.Stream, q []byte) {
		if label(q) == 's' {
			silent.Add(1)
			return
		}
		truthQUIC(c, st, q)
	})
	https := framedHTTPS(t, cert, mostStreams(few), func(c *frames, stream uint32, q []byte) {
		if label(q) == 's' {
			silent.Add(1)
			return
		}
		c.answer(stream, reply(q, truth))
	})
	for protocol, c := range map[string]struct {
		to    zonecut.Endpoint
		conns func() int
	}{
		"QUIC":  {zonecut.Endpoint{Addr: quic.addr, Peer: mustPeer(t, zonecut.PeerConfig{Protocol: zonecut.DoQ, Pins: []zonecut.Pin{cert.Hash}})}, func() int { return int(quic.conns.Load()) }},
		"HTTPS": {zonecut.Endpoint{Addr: https.addr, Peer: httpsPeer(t, cert)}, func() int { return int(https.tcpConns.Load()) }},
	} {
		e := newExchanger(t, Config{})
		asked(t, e, c.to, "open.example.")
		var given atomic.Int32 // up
		var waiting sync.WaitGroup
		silent.Store(0)
		for i := range few {
			waiting.Go(func() {
				defer given.Add(1)
				x := question(t, c.to.Addr, "silent"+itoa(i)+".example.")
				x.Peer = c.to.Peer
				_, err := e.Exchange(background, x)
				if !errors.Is(err, resolve.ErrTimeout) {
					t.Errorf("%s: %v from who never answers", protocol, err)
				}
			})
		}
		eventually(t, "a connection that takes no further question", func() bool { return silent.Load() == few })
		begun := time.Now()
		// One after the other they would take longer than the server has to answer.
		const more = int(limits.TCPAnswerTimeout/limits.UpstreamStreamWait) + 1
		var wg sync.WaitGroup
		for i := range more {
			wg.Go(func() { asked(t, e, c.to, "q"+itoa(i)+".example.") })
		}
		wg.Wait()
		if took := time.Since(begun); took < limits.UpstreamStreamWait || given.Load() > 0 {
			t.Errorf("%s: answered after %v, when %d of those before them were given up", protocol, took, given.Load())
		}
		fastest := time.Hour // of some: the machine may be busy
		for i := range 3 {
			begun = time.Now()
			asked(t, e, c.to, "next"+itoa(i)+".example.")
			fastest = min(fastest, time.Since(begun))
		}
		if fastest >= limits.UpstreamStreamWait {
			t.Errorf("%s: what is asked next waits for %v", protocol, fastest)
		}
		if n := c.conns(); n > 1+more {
			t.Errorf("%s: %d connections", protocol, n)
		}
		waiting.Wait()
	}
}

// A server that answers what is no answer over QUIC is told that it broke the protocol
// (RFC 9250, section 4.3.3).
func TestAServerIsToldThatItBrokeTheProtocol(t *testing.T) {
	cert := proctest.NewCertificateAuthority(t).Issue(t, nextDay(), "dns.test")
	told := make(chan error, 4)
	s := startQUIC(t, cert, func(c *doq.Conn, st *doq.Stream, _ []byte) {
		sendQUIC(st, []byte{0})
		_, err := c.Next(background)
		told <- err
	})
	e := newExchanger(t, Config{})
	_, _, err := askQUIC(t, e, s, cert.Hash, "www.example.")
	wantErr(t, err, resolve.ErrUnreachable)
	if code, ok := doq.CodeOf(<-told); !ok || code != doq.ProtocolError {
		t.Errorf("the server was told %v", code)
	}
}

// A connection that its server closes, while no question is under way, is not there for the
// next one: that would be sent in vain.
func TestAConnectionThatEndsIsNotKept(t *testing.T) {
	cert := proctest.NewCertificateAuthority(t).Issue(t, nextDay(), "dns.test")
	answered := make(chan struct{})
	pins := []zonecut.Pin{cert.Hash}
	overTCP := func(s *testServer, c net.Conn) {
		if q := s.readFrame(c); q != nil {
			writeFrame(c, reply(q, truth))
			<-answered
		}
	}
	for what, to := range map[string]zonecut.Endpoint{
		"TLS": {Addr: (&testServer{onTCP: overTLS(cert, overTCP)}).start(t, "127.0.0.1").addr, Peer: mustPeer(t, zonecut.PeerConfig{Protocol: zonecut.DoT, Pins: pins})},
		"HTTPS": {Addr: framedHTTPS(t, cert, nil, func(c *frames, stream uint32, q []byte) {
			c.answer(stream, reply(q, truth))
			<-answered
			c.Close()
		}).addr, Peer: httpsPeer(t, cert)},
		"QUIC": {Addr: startQUIC(t, cert, func(c *doq.Conn, st *doq.Stream, q []byte) {
			truthQUIC(c, st, q)
			<-answered
			c.Close(doq.NoError)
		}).addr, Peer: mustPeer(t, zonecut.PeerConfig{Protocol: zonecut.DoQ, Pins: pins})},
	} {
		e := newExchanger(t, Config{})
		asked(t, e, to, "www.example.")
		kept := func() int {
			e.pool.mu.Lock()
			defer e.pool.mu.Unlock()
			return len(e.pool.conns)
		}
		if kept() != 1 {
			t.Errorf("%s: the connection is not kept for the next question", what)
		}
		answered <- struct{}{}
		eventually(t, what+": its end is noticed", func() bool { return kept() == 0 })
	}
}
