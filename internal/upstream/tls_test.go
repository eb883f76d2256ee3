package upstream

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"errors"
	"net"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"kresd/internal/limits"
	"kresd/internal/proctest"
	"kresd/internal/resolve"
	"kresd/internal/wire"
	"kresd/internal/zonecut"
)

// authoritiesIn reads files of certificates.
func authoritiesIn(files []string) *x509.CertPool {
	pool := x509.NewCertPool()
	for _, file := range files {
		text, _ := os.ReadFile(file)
		pool.AppendCertsFromPEM(text)
	}
	return pool
}

// nextDay is when certificates of tests end.
func nextDay() time.Time { return time.Now().Add(24 * time.Hour) }

// overTLS lets serve speak through TLS to who shakes hands.
func overTLS(cert *proctest.Certificate, serve func(*testServer, net.Conn)) func(*testServer, net.Conn) {
	config := &tls.Config{Certificates: []tls.Certificate{cert.TLS}, NextProtos: []string{"dot"}}
	return func(s *testServer, c net.Conn) {
		conn := tls.Server(c, config)
		if conn.Handshake() == nil {
			serve(s, conn)
		}
		conn.Close()
	}
}

func mustPeer(t testing.TB, c zonecut.PeerConfig) zonecut.Peer {
	t.Helper()
	p, err := zonecut.NewPeer(c)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// A server that proves who it is, in each way there is, is asked over TLS and in no other
// protocol; questions are padded, and many share a connection.
func TestServersThatProveWhoTheyAre(t *testing.T) {
	ca, other := proctest.NewCertificateAuthority(t), proctest.NewCertificateAuthority(t)
	good := ca.Issue(t, nextDay(), "dns.test", "127.0.0.1")
	self := (*proctest.CertificateAuthority)(nil).Issue(t, nextDay(), "dns.test")
	ended := ca.Issue(t, time.Now().Add(-time.Minute), "dns.test")
	names := func(cas []string, names ...string) zonecut.PeerConfig {
		return zonecut.PeerConfig{Names: names, Authorities: cas}
	}
	pins := func(pins ...zonecut.Pin) zonecut.PeerConfig { return zonecut.PeerConfig{Pins: pins} }
	for what, c := range map[string]struct {
		cert *proctest.Certificate
		peer zonecut.PeerConfig
	}{
		"a pin":                         {good, pins(good.Hash)},
		"one of two pins":               {good, pins(zonecut.Pin{1}, good.Hash)},
		"a name":                        {good, names([]string{ca.File}, "dns.test")},
		"a name, one of two CAs":        {good, names([]string{other.File, ca.File}, "dns.test")},
		"the second name":               {good, names([]string{ca.File}, "www.test", "DNS.test")},
		"an address":                    {good, names([]string{ca.File}, "127.0.0.1")},
		"a wrong pin, and a name":       {good, zonecut.PeerConfig{Pins: []zonecut.Pin{{1}}, Names: []string{"dns.test"}, Authorities: []string{ca.File}}},
		"a pin, and a wrong name":       {good, zonecut.PeerConfig{Pins: []zonecut.Pin{good.Hash}, Names: []string{"www.test"}}},
		"a pin, signed by itself":       {self, pins(self.Hash)},
		"signed by itself, and trusted": {self, names([]string{self.CertFile}, "dns.test")},
		"a pin, ended":                  {ended, pins(ended.Hash)},
		"anybody":                       {self, zonecut.PeerConfig{Insecure: true}},
	} {
		t.Run(what, func(t *testing.T) {
			var lengths sync.Map
			s := (&testServer{onTCP: overTLS(c.cert, func(s *testServer, conn net.Conn) {
				for q := s.readFrame(conn); q != nil; q = s.readFrame(conn) {
					lengths.Store(len(q), true)
					writeFrame(conn, reply(q, truth))
				}
			})}).start(t, "127.0.0.1")
			e := newExchanger(t, Config{Warn: func(line string) { t.Errorf("the log says %q", line) }})
			c.peer.Protocol = zonecut.DoT
			for _, n := range []string{"www.example.", strings.Repeat("long-", 11) + "." + strings.Repeat("long-", 11) + ".example."} {
				x := question(t, s.addr, n)
				x.Peer = mustPeer(t, c.peer)
				r, err := e.Exchange(background, x)
				if address(t, r, err) != truth || x.Budget.Sent() != 1 {
					t.Fatalf("got %+v after %d questions", r, x.Budget.Sent())
				}
			}
			if st := e.Stats(); st.TLS != 2 || st.UDP+st.TCP != 0 || st.Handshakes != 1 || st.Resumed+st.NoHandshake != 0 {
				t.Errorf("counted is %+v", st)
			}
			if s.udpQueries.Load() != 0 || s.tcpConns.Load() != 1 {
				t.Errorf("%d datagrams, %d connections", s.udpQueries.Load(), s.tcpConns.Load())
			}
			for _, want := range []int{128, 256} {
				if _, ok := lengths.Load(want); !ok {
					t.Errorf("no question had %d octets", want)
				}
			}
		})
	}
}

// A server that does not prove who it is gets no question, and the failure, the log and
// whoever reads along say what it showed instead.
func TestStrangersGetNoQuestion(t *testing.T) {
	ca, other := proctest.NewCertificateAuthority(t), proctest.NewCertificateAuthority(t)
	good := ca.Issue(t, nextDay(), "dns.test", "a.test", "b.test", "c.test")
	self := (*proctest.CertificateAuthority)(nil).Issue(t, nextDay(), "dns.test")
	ended := ca.Issue(t, time.Now().Add(-36*time.Hour), "dns.test")
	name := zonecut.PeerConfig{Names: []string{"dns.test"}, Authorities: []string{ca.File}}
	for what, c := range map[string]struct {
		cert *proctest.Certificate
		peer zonecut.PeerConfig
		want string
	}{
		"a wrong pin":        {good, zonecut.PeerConfig{Pins: []zonecut.Pin{{1}}}, "the pin of its key is '" + good.Pin + "', not '" + base64.StdEncoding.EncodeToString(append([]byte{1}, make([]byte, 31)...)) + "'"},
		"two wrong pins":     {good, zonecut.PeerConfig{Pins: []zonecut.Pin{{1}, {2}}}, "none of the 2 that are trusted"},
		"a wrong name":       {good, zonecut.PeerConfig{Names: []string{"www.test"}, Authorities: []string{ca.File}}, `its certificate is for "dns.test", "a.test", "b.test" and 1 more, and not for www.test`},
		"no address":         {good, zonecut.PeerConfig{Names: []string{"127.0.0.1"}, Authorities: []string{ca.File}}, "and not for 127.0.0.1"},
		"another CA":         {good, zonecut.PeerConfig{Names: []string{"dns.test"}, Authorities: []string{other.File}}, "signed by no authority that is trusted"},
		"the system's CAs":   {good, zonecut.PeerConfig{Names: []string{"dns.test"}}, "authorit"},
		"signed by itself":   {self, name, "signed by itself"},
		"ended":              {ended, name, "its certificate has ended on " + time.Now().Add(-36*time.Hour).UTC().Format(time.DateOnly)},
		"neither pin nor CA": {self, zonecut.PeerConfig{Pins: []zonecut.Pin{{1}}, Names: []string{"dns.test"}, Authorities: []string{ca.File}}, "; and its certificate is signed by itself"},
	} {
		t.Run(what, func(t *testing.T) {
			s := (&testServer{onUDP: truthUDP, onTCP: overTLS(c.cert, truthTCP)}).start(t, "127.0.0.1")
			var logged, told atomic.Int32
			e := newExchanger(t, Config{Warn: func(line string) {
				if logged.Add(1); !strings.Contains(line, c.want) {
					t.Errorf("the log says %q, want %q", line, c.want)
				}
			}})
			c.peer.Protocol = zonecut.DoT
			for range 2 {
				x := question(t, s.addr, "www.example.")
				x.Peer = mustPeer(t, c.peer)
				x.Tell = func(step resolve.Step) {
					if f, ok := step.(resolve.ConnectionFailed); ok && f.By == zonecut.DoT && strings.Contains(f.Err.Error(), c.want) {
						told.Add(1)
					}
				}
				_, err := e.Exchange(background, x)
				wantErr(t, err, resolve.ErrUnreachable)
				stranger, ok := errors.AsType[*resolve.Unauthenticated](err)
				if !ok || stranger.Server != x.Endpoint || !strings.Contains(stranger.Why, c.want) {
					t.Errorf("the failure is %v, want %q", err, c.want)
				}
				if x.Budget.Sent() != 0 {
					t.Errorf("%d questions were debited", x.Budget.Sent())
				}
			}
			if logged.Load() != 1 || told.Load() != 2 {
				t.Errorf("said %d times in the log, %d times to the reader", logged.Load(), told.Load())
			}
			if s.tcpQueries.Load() != 0 || s.udpQueries.Load() != 0 {
				t.Error("a question reached the server")
			}
			if st := e.Stats(); st.NoHandshake != 2 || st.Handshakes+st.TLS+st.UDP+st.TCP != 0 {
				t.Errorf("counted is %+v", st)
			}
		})
	}
}

// A server that closes after each answer costs each question a connection and none its
// answer, and all but the first go on with its session.
func TestServerThatClosesAfterEachAnswer(t *testing.T) {
	cert := proctest.NewCertificateAuthority(t).Issue(t, nextDay(), "dns.test")
	s := (&testServer{onTCP: overTLS(cert, func(s *testServer, conn net.Conn) {
		if q := s.readFrame(conn); q != nil {
			writeFrame(conn, reply(q, truth))
		}
	})}).start(t, "127.0.0.1")
	e := newExchanger(t, Config{})
	ask := func(n int) {
		x := question(t, s.addr, itoa(n)+".example.")
		x.Peer = mustPeer(t, zonecut.PeerConfig{Protocol: zonecut.DoT, Pins: []zonecut.Pin{cert.Hash}})
		if r, err := e.Exchange(background, x); err != nil || string(r.Msg.Answer[0].RData) != truth {
			t.Errorf("question %d: %+v, %v", n, r, err)
		}
	}
	const one, all = 6, 12
	for i := range one {
		ask(i)
	}
	if st := e.Stats(); st.Handshakes != 1 || st.Resumed < one-1 || st.NoHandshake != 0 {
		t.Errorf("counted is %+v", st)
	}
	var wg sync.WaitGroup
	for i := one; i < all; i++ {
		wg.Go(func() { ask(i) })
	}
	wg.Wait()
}

// Answers come in any order, each to its question.
func TestPipelinedOverTLS(t *testing.T) {
	cert := proctest.NewCertificateAuthority(t).Issue(t, nextDay(), "dns.test")
	const questions = 20
	s := (&testServer{onTCP: overTLS(cert, func(s *testServer, conn net.Conn) {
		var waiting [][]byte
		for q := s.readFrame(conn); q != nil; q = s.readFrame(conn) {
			if waiting = append(waiting, q); len(waiting) == questions {
				for i := range waiting { // the last one first
					q := waiting[questions-1-i]
					writeFrame(conn, reply(q, "\xc0\x00\x02"+string(q[wire.HeaderLen+1])))
				}
			}
		}
	})}).start(t, "127.0.0.1")
	e := newExchanger(t, Config{})
	var wg sync.WaitGroup
	for i := range questions {
		wg.Go(func() {
			x := question(t, s.addr, string(rune('a'+i))+".example.")
			x.Peer = mustPeer(t, zonecut.PeerConfig{Protocol: zonecut.DoT, Pins: []zonecut.Pin{cert.Hash}})
			r, err := e.Exchange(background, x)
			if err != nil || r.Msg.Answer[0].RData[3] != byte('a'+i) {
				t.Errorf("question %d: %+v, %v", i, r, err)
			}
		})
	}
	wg.Wait()
	if n := s.tcpConns.Load(); n != 1 {
		t.Errorf("%d connections", n)
	}
}

// A server that never answers, and one that never shakes hands, cost a question the time
// until others are asked; an answer that comes later is taken all the same.
func TestSilenceOverTLS(t *testing.T) {
	cert := proctest.NewCertificateAuthority(t).Issue(t, nextDay(), "dns.test")
	silent := make(chan struct{})
	defer close(silent)
	s := (&testServer{onTCP: overTLS(cert, func(s *testServer, conn net.Conn) {
		if q := s.readFrame(conn); q != nil && q[wire.HeaderLen+1] == 'l' {
			time.Sleep(10 * limits.UDPMinTimeout)
			writeFrame(conn, reply(q, truth))
		}
		<-silent
	})}).start(t, "127.0.0.1")
	mute := (&testServer{onTCP: func(*testServer, net.Conn) { <-silent }}).start(t, "127.0.0.1")
	e := newExchanger(t, Config{})
	ask := func(s *testServer, n string) (*overdue, error) {
		x := question(t, s.addr, n)
		x.Timeout = limits.UDPMinTimeout
		x.Peer = mustPeer(t, zonecut.PeerConfig{Protocol: zonecut.DoT, Pins: []zonecut.Pin{cert.Hash}})
		late := waitOverdue(background, 20*time.Second)
		x.Late = late
		r, err := e.Exchange(background, x)
		if r.TCP {
			t.Error("UDP would be tried next")
		}
		return late, err
	}
	late, err := ask(s, "late.example.")
	wantErr(t, err, resolve.ErrOverdue)
	if l := <-late.got; address(t, l.reply, l.err) != truth {
		t.Errorf("late came %+v", l.reply)
	}
	never, err := ask(mute, "www.example.")
	wantErr(t, err, resolve.ErrOverdue)
	if l := <-never.got; !errors.Is(l.err, resolve.ErrTimeout) {
		t.Errorf("of the one that does not shake hands: %v", l.err)
	}
}

// A server is told the name that it is meant to have, the host of a URL before the names
// that its certificate may have, and never an address; and that DNS over TLS is meant.
func TestServersAreToldTheirName(t *testing.T) {
	cert := proctest.NewCertificateAuthority(t).Issue(t, nextDay(), "dns.test")
	for want, c := range map[string]zonecut.PeerConfig{
		"dns.test": {Names: []string{"dns.test", "www.test"}}, "host.test": {Host: "host.test", Pins: []zonecut.Pin{cert.Hash}}, "": {Names: []string{"192.0.2.1"}},
	} {
		told := make(chan *tls.ClientHelloInfo, 1)
		s := (&testServer{onTCP: func(_ *testServer, conn net.Conn) {
			_ = tls.Server(conn, &tls.Config{GetConfigForClient: func(h *tls.ClientHelloInfo) (*tls.Config, error) {
				told <- h
				return nil, errors.New("enough")
			}}).Handshake()
		}}).start(t, "127.0.0.1")
		c.Protocol = zonecut.DoT
		x := question(t, s.addr, "www.example.")
		x.Peer = mustPeer(t, c)
		_, err := newExchanger(t, Config{}).Exchange(background, x)
		wantErr(t, err, resolve.ErrUnreachable)
		if h := <-told; h.ServerName != want || len(h.SupportedProtos) != 1 || h.SupportedProtos[0] != "dot" {
			t.Errorf("told is %q and %q, want %q", h.ServerName, h.SupportedProtos, want)
		}
	}
}

// What does not speak TLS is not spoken to otherwise.
func TestNoTLSThere(t *testing.T) {
	s := (&testServer{onUDP: truthUDP, onTCP: func(s *testServer, c net.Conn) { writeFrame(c, []byte("220 mail.test ESMTP")) }}).start(t, "127.0.0.1")
	e := newExchanger(t, Config{Warn: func(line string) { t.Errorf("the log says %q", line) }})
	x := question(t, s.addr, "www.example.")
	x.Peer = peer(t, zonecut.DoT, 1)
	_, err := e.Exchange(background, x)
	wantErr(t, err, resolve.ErrUnreachable)
	if !strings.Contains(err.Error(), "no TLS: ") || s.udpQueries.Load() != 0 {
		t.Errorf("%v, and %d datagrams", err, s.udpQueries.Load())
	}
}

// A server that was reached is not said to be out of reach: what it did instead of serving is
// told, for whoever has to mend it.
func TestWhatAServerDidThatWasReached(t *testing.T) {
	cert := proctest.NewCertificateAuthority(t).Issue(t, nextDay(), "dns.test")
	for name, tc := range map[string]struct {
		serve func(*testServer, net.Conn)
		did   string
	}{
		"no TLS":       {func(_ *testServer, c net.Conn) { writeFrame(c, []byte("220 mail.test ESMTP")) }, "was reached, but not by TLS (tls: first record does not look like a TLS handshake)"},
		"an alert":     {func(_ *testServer, c net.Conn) { _, _ = c.Write([]byte{21, 3, 3, 0, 2, 2, 70}) }, "was reached, but not by TLS (remote error: tls: protocol version not supported)"},
		"the end":      {func(_ *testServer, c net.Conn) { _, _ = c.Read(make([]byte, 4096)) }, "ended the connection within the handshake of TLS"},
		"a reset":      {func(_ *testServer, c net.Conn) { reset(c) }, "was reached, but not by TLS (connection reset by peer)"},
		"no answer":    {overTLS(cert, func(s *testServer, c net.Conn) { s.readFrame(c) }), "ended the connection without an answer"},
		"other answer": {overTLS(cert, func(s *testServer, c net.Conn) { q := s.readFrame(c); q[13] ^= 1; writeFrame(c, reply(q, truth)) }), "sent what is no answer"},
	} {
		t.Run(name, func(t *testing.T) {
			s := (&testServer{onTCP: tc.serve}).start(t, "127.0.0.1")
			x := question(t, s.addr, "www.example.")
			x.Peer = mustPeer(t, zonecut.PeerConfig{Protocol: zonecut.DoT, Pins: []zonecut.Pin{cert.Hash}})
			_, err := newExchanger(t, Config{}).Exchange(background, x)
			wantErr(t, err, resolve.ErrUnreachable)
			if u, ok := errors.AsType[*resolve.Unusable](err); !ok || u.Did != tc.did {
				t.Errorf("%v: it %+v, want %s", err, u, tc.did)
			}
		})
	}
}

// reset ends a connection so that what the client has sent is lost.
func reset(c net.Conn) {
	_, _ = c.Read(make([]byte, 1))
	_ = c.(*net.TCPConn).SetLinger(0)
	c.Close()
}

// A session is resumed only where the same proof is demanded, and a certificate that has
// ended since is not believed because of it.
func TestSessionsProveNothing(t *testing.T) {
	ca := proctest.NewCertificateAuthority(t)
	cert := ca.Issue(t, nextDay(), "dns.test")
	s := (&testServer{onTCP: overTLS(cert, func(s *testServer, conn net.Conn) {
		if q := s.readFrame(conn); q != nil {
			writeFrame(conn, reply(q, truth))
		}
	})}).start(t, "127.0.0.1")
	e := newExchanger(t, Config{})
	ask := func(c zonecut.PeerConfig) error {
		c.Protocol = zonecut.DoT
		x := question(t, s.addr, "www.example.")
		x.Peer = mustPeer(t, c)
		_, err := e.Exchange(background, x)
		return err
	}
	if err := ask(zonecut.PeerConfig{Pins: []zonecut.Pin{cert.Hash}}); err != nil {
		t.Fatal(err)
	}
	if err := ask(zonecut.PeerConfig{Pins: []zonecut.Pin{{1}}}); err == nil {
		t.Error("a session with one pin serves another")
	}
	shown := cert.TLS.Leaf
	named := &zonecut.PeerConfig{Names: []string{"dns.test"}, Authorities: []string{ca.File}}
	if why := e.authenticator.proof(named, []*x509.Certificate{shown}, time.Now()); why != "" {
		t.Errorf("now: %s", why)
	}
	if why := e.authenticator.proof(named, []*x509.Certificate{shown}, time.Now().Add(48*time.Hour)); !strings.Contains(why, "has ended on") {
		t.Errorf("in two days: %q", why)
	}
	if why := e.authenticator.proof(named, []*x509.Certificate{shown}, time.Now().Add(-48*time.Hour)); !strings.Contains(why, "begins on") {
		t.Errorf("two days ago: %q", why)
	}
}

// An authority that is no longer trusted vouches for nobody: what is open ends when its
// questions are answered, and no session brings it back.
func TestAnAuthorityThatIsNoLongerTrusted(t *testing.T) {
	ca, other := proctest.NewCertificateAuthority(t), proctest.NewCertificateAuthority(t)
	cert := ca.Issue(t, nextDay(), "dns.test")
	s := (&testServer{onTCP: overTLS(cert, truthTCP)}).start(t, "127.0.0.1")
	file := atomic.Pointer[string]{}
	file.Store(&ca.File)
	e := newExchanger(t, Config{Warn: func(string) {}, Authorities: func([]string) *x509.CertPool { return authoritiesIn([]string{*file.Load()}) }})
	to := zonecut.Endpoint{Addr: s.addr, Peer: mustPeer(t, zonecut.PeerConfig{Protocol: zonecut.DoT, Names: []string{"dns.test"}, Authorities: []string{"ca.pem"}})}
	asked(t, e, to, "a.example.")
	e.Distrust("another.pem")
	asked(t, e, to, "b.example.")
	if n := s.tcpConns.Load(); n != 1 {
		t.Errorf("%d connections", n)
	}
	file.Store(&other.File)
	e.Distrust("ca.pem")
	x := question(t, to.Addr, "c.example.")
	x.Peer = to.Peer
	_, err := e.Exchange(background, x)
	if _, ok := errors.AsType[*resolve.Unauthenticated](err); !ok || s.tcpQueries.Load() != 2 {
		t.Errorf("%v after %d questions", err, s.tcpQueries.Load())
	}
	file.Store(&ca.File)
	e.Distrust("ca.pem")
	asked(t, e, to, "d.example.")
}
