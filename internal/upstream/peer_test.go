package upstream

import (
	"context"
	"net"
	"net/netip"
	"strings"
	"sync"
	"testing"

	"kresd/internal/resolve"
	"kresd/internal/zonecut"
)

func peer(t testing.TB, protocol zonecut.Protocol, pin byte) zonecut.Peer {
	t.Helper()
	c := zonecut.PeerConfig{Protocol: protocol, Pins: []zonecut.Pin{{pin}}}
	if protocol == zonecut.DoH {
		c.Path = "/dns-query"
	}
	p, err := zonecut.NewPeer(c)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// What demands a protocol that cannot be spoken is refused with a sentence, and
// never sent in the clear: over UDP, over TCP and after truncation.
func TestNoQuestionInTheClear(t *testing.T) {
	s := (&testServer{onUDP: truncatedUDP, onTCP: truthTCP}).start(t, "127.0.0.1")
	e := newExchanger(t, Config{})
	e.pool.dialers = map[zonecut.Protocol]dialer{zonecut.Do53: e.pool.dialTCP}
	for _, protocol := range []zonecut.Protocol{zonecut.DoT, zonecut.DoH, zonecut.DoQ} {
		for _, tcp := range []bool{false, true} {
			x := question(t, s.addr, "www.example.")
			x.TCP, x.Peer, x.Late = tcp, peer(t, protocol, 1), waitOverdue(background, 1)
			_, err := e.Exchange(background, x)
			wantErr(t, err, ErrNoTransport)
			for _, kind := range []error{resolve.ErrTimeout, resolve.ErrUnreachable, resolve.ErrLocal} {
				if strings.Contains(err.Error(), kind.Error()) {
					t.Errorf("%v: something is learnt about the server by that", err)
				}
			}
			if want := s.addr.Addr().String() + "@" + itoa(int(s.addr.Port())) + " by " + protocol.String(); !strings.HasPrefix(err.Error(), want) {
				t.Errorf("%q does not begin with %q", err, want)
			}
			if x.Budget.Sent() != 0 {
				t.Errorf("%v: %d questions were debited", protocol, x.Budget.Sent())
			}
		}
	}
	if s.udpQueries.Load() != 0 || s.tcpConns.Load() != 0 {
		t.Errorf("%d datagrams and %d connections reached the server", s.udpQueries.Load(), s.tcpConns.Load())
	}
}

// Even code that took the wrong way could not send: send compares what the socket
// speaks with what the server's peer demands.
func TestSendRefusesTheWrongProtocol(t *testing.T) {
	e := newExchanger(t, Config{})
	b := resolve.NewBudget(nil)
	tls, quic := peer(t, zonecut.DoT, 1), peer(t, zonecut.DoQ, 1)
	plain := newStream(&net.TCPConn{}, zonecut.Do53)
	encrypted := newStream(&net.TCPConn{}, zonecut.DoT)
	addr := netip.MustParseAddrPort("127.0.0.1:853")
	for what, c := range map[string]struct {
		peer zonecut.Peer
		out  outlet
	}{
		"TLS over UDP":          {tls, outlet{fd: -1}},
		"TLS over TCP":          {tls, outlet{link: plain}},
		"QUIC over TLS":         {quic, outlet{link: encrypted}},
		"plain DNS through TLS": {zonecut.Peer{}, outlet{link: encrypted}},
	} {
		if err := e.send(background, b, zonecut.Endpoint{Addr: addr, Peer: c.peer}, c.out, []byte{0, 1, 0}); err == nil || b.Sent() != 0 {
			t.Errorf("%s: error %v after %d sends", what, err, b.Sent())
		} else {
			wantErr(t, err, ErrNoTransport)
		}
	}
}

// dialAs gives an exchanger a transport for a protocol, which is TCP in truth, and
// notes whom it dialled.
func dialAs(e *Exchanger, protocol zonecut.Protocol) (dialled func() []zonecut.Endpoint) {
	var mu sync.Mutex
	var list []zonecut.Endpoint
	e.pool.dialers[protocol] = func(ctx context.Context, to zonecut.Endpoint, from netip.Addr) (link, error) {
		mu.Lock()
		list = append(list, to)
		mu.Unlock()
		l, err := e.pool.dialTCP(ctx, to, from)
		if err != nil {
			return nil, err
		}
		l.(*stream).speaks = protocol
		return l, nil
	}
	return func() []zonecut.Endpoint {
		mu.Lock()
		defer mu.Unlock()
		return list
	}
}

// A protocol needs a dialer and nothing else: the pool keeps its connections apart
// from those of every other peer at the address, and shares them between questions
// to the same.
func TestConnectionsBelongToAPeer(t *testing.T) {
	s := (&testServer{onUDP: truthUDP, onTCP: truthTCP}).start(t, "127.0.0.1")
	e := newExchanger(t, Config{})
	dialled := dialAs(e, zonecut.DoT)
	one, two := peer(t, zonecut.DoT, 1), peer(t, zonecut.DoT, 2)
	for i := range 3 {
		for _, p := range []zonecut.Peer{one, two, peer(t, zonecut.DoT, 1)} {
			x := question(t, s.addr, itoa(i)+".example.")
			x.Peer = p
			r, err := e.Exchange(background, x)
			if address(t, r, err) != truth || !r.TCP || r.CaseLost {
				t.Fatalf("got %+v, %v", r, err)
			}
		}
	}
	if got := dialled(); len(got) != 2 || got[0].Peer != one || got[1].Peer != two {
		t.Errorf("dialled %v, want one connection for each of two peers", got)
	}
	x := tcpQuestion(t, s.addr, "www.example.")
	r, err := e.Exchange(background, x)
	address(t, r, err)
	if got := s.tcpConns.Load(); got != 3 || len(dialled()) != 2 {
		t.Errorf("%d connections, want one more for plain TCP", got)
	}
	if n := s.udpQueries.Load(); n != 0 {
		t.Errorf("%d questions went over UDP", n)
	}
	e.cookies.mu.Lock()
	defer e.cookies.mu.Unlock()
	if len(e.cookies.known) != 0 {
		t.Error("cookies were learnt")
	}
}

// Strict means strict: an answer in the clear is not given to a question that
// demands TLS, nor one of another peer, however equal the questions are.
func TestPeersAreNotJoined(t *testing.T) {
	held := make(chan struct{})
	s := (&testServer{
		onUDP: func(s *testServer, from netip.AddrPort, q []byte) {
			<-held
			s.send(from, reply(q, evil))
		},
		onTCP: func(s *testServer, c net.Conn) {
			for q := s.readFrame(c); q != nil; q = s.readFrame(c) {
				<-held
				writeFrame(c, reply(q, truth))
			}
		},
	}).start(t, "127.0.0.1")
	e := newExchanger(t, Config{})
	dialAs(e, zonecut.DoT)
	var wg sync.WaitGroup
	ask := func(p zonecut.Peer, want string) {
		wg.Go(func() {
			x := question(t, s.addr, "www.example.")
			x.Peer = p
			if r, err := e.Exchange(background, x); err != nil || string(r.Msg.Answer[0].RData) != want {
				t.Errorf("%v: %+v, %v", p.Protocol(), r, err)
			}
		})
	}
	ask(zonecut.Peer{}, evil)
	for _, pin := range []byte{1, 2} {
		ask(peer(t, zonecut.DoT, pin), truth)
		ask(peer(t, zonecut.DoT, pin), truth)
	}
	eventually(t, "one question for each peer", func() bool {
		return s.udpQueries.Load() == 1 && s.tcpQueries.Load() == 2 && e.Stats().Joined == 2
	})
	close(held)
	wg.Wait()
}

// The failure of a server that is always asked over a connection is its own, and not
// that of its TCP, beside which there would be UDP.
func TestFailureOfAPeerIsTheServers(t *testing.T) {
	s := (&testServer{}).start(t, "127.0.0.1") // its TCP port refuses
	e := newExchanger(t, Config{})
	dialAs(e, zonecut.DoT)
	x := question(t, s.addr, "www.example.")
	x.Peer = peer(t, zonecut.DoT, 1)
	r, err := e.Exchange(background, x)
	wantErr(t, err, resolve.ErrUnreachable)
	if r.TCP || s.udpQueries.Load() != 0 {
		t.Errorf("TCP %v, %d questions over UDP", r.TCP, s.udpQueries.Load())
	}
}

// Cookies are neither shown to a server with a peer nor learnt from it: what proves
// who it is is better than they are.
func TestPeersGetNoCookies(t *testing.T) {
	shown := make(chan []byte, 1)
	s := (&testServer{onTCP: func(s *testServer, c net.Conn) {
		for q := s.readFrame(c); q != nil; q = s.readFrame(c) {
			shown <- cookieIn(q)
			writeFrame(c, withCookie(reply(q, truth), 0, "12345678"+first))
		}
	}}).start(t, "127.0.0.1")
	e := newExchanger(t, Config{})
	dialAs(e, zonecut.DoT)
	for _, peer := range []zonecut.Peer{peer(t, zonecut.DoT, 1), {}} {
		x := tcpQuestion(t, s.addr, "www.example.")
		x.Peer = peer
		r, err := e.Exchange(background, x)
		address(t, r, err)
		if got := <-shown; (len(got) > 0) != peer.Plain() {
			t.Errorf("%v: cookie %x was shown", peer.Protocol(), got)
		}
	}
}
