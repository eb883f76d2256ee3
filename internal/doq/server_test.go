package doq

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"math/big"
	"net"
	"net/netip"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/quic-go/quic-go"

	"kresd/internal/limits"
)

// echoServer answers each question with itself, and is where it is, and how many
// clients failed to get in.
func echoServer(t *testing.T) (at netip.AddrPort, l *Listener, failed *atomic.Int32) {
	t.Helper()
	return echoServerOf(t, Options{})
}

// echoServerOf is an echoServer with some options of its own.
func echoServerOf(t *testing.T, o Options) (at netip.AddrPort, l *Listener, failed *atomic.Int32) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	pc, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	failed = &atomic.Int32{}
	o.TLS = &tls.Config{Certificates: []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: key}}, NextProtos: []string{Protocol}}
	o.Key = func(string) [32]byte { return [32]byte{1} }
	o.Idle, o.Handshake = func() time.Duration { return 10 * time.Second }, func() time.Duration { return 2 * time.Second }
	o.Questions, o.Failed, o.Limits = func() int { return 10 }, func() { failed.Add(1) }, &limits.Counters{}
	l, err = Listen(pc, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(l.Close)
	go func() {
		for {
			c, err := l.Accept(context.Background())
			if err != nil {
				return
			}
			go func() {
				for {
					st, err := c.Next(context.Background())
					if err != nil {
						return
					}
					if msg, err := st.Read(nil, time.Now().Add(10*time.Second)); err == nil {
						_ = st.Write(framed(msg), time.Now().Add(10*time.Second))
					}
				}
			}()
		}
	}()
	return netip.MustParseAddrPort(pc.LocalAddr().String()), l, failed
}

func clientConfig(cache tls.ClientSessionCache) *tls.Config {
	return &tls.Config{InsecureSkipVerify: true, NextProtos: []string{Protocol}, ServerName: "x", ClientSessionCache: cache}
}

// A client that resumes its session and asks before the handshake is complete is
// answered after it: what was recorded of it is of no use to send again.
func TestNothingIsTakenBeforeTheHandshake(t *testing.T) {
	at, _, _ := echoServer(t)
	cache := tls.NewLRUClientSessionCache(1)
	for try := range 2 {
		pc, err := net.ListenUDP("udp4", nil)
		if err != nil {
			t.Fatal(err)
		}
		tr := &quic.Transport{Conn: pc}
		c, err := tr.DialEarly(t.Context(), net.UDPAddrFromAddrPort(at), clientConfig(cache), nil)
		if err != nil {
			t.Fatal(err)
		}
		s, err := c.OpenStreamSync(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		st := &Stream{s: s}
		if err := st.Write(framed([]byte("question")), time.Now().Add(10*time.Second)); err != nil {
			t.Fatal(err)
		}
		if msg, err := st.Read(nil, time.Now().Add(10*time.Second)); err != nil || string(msg) != "question" {
			t.Errorf("%q, %v", msg, err)
		}
		if s := c.ConnectionState(); s.Used0RTT || s.TLS.DidResume != (try == 1) {
			t.Errorf("try %d: asked before the handshake %t, resumed %t", try, s.Used0RTT, s.TLS.DidResume)
		}
		time.Sleep(50 * time.Millisecond) // for the ticket
		_ = c.CloseWithError(0, "")
		_ = tr.Close()
		_ = pc.Close()
	}
}

// takeUp has up to so many handshakes be under way, and returns how many more that are.
func takeUp(l *Listener, n int) (taken int) {
	for ; l.shaking.Taken() < n; taken++ {
		l.shaking.Take(netip.Addr{})
	}
	return taken
}

// While many handshakes are under way a client must prove its address, and with more
// it is refused; when they are over it gets in.
func TestHandshakesUnderWay(t *testing.T) {
	at, l, failed := echoServer(t)
	dial := func(limit time.Duration) error { return askOnce(at, clientConfig(nil), limit) }
	taken := takeUp(l, limits.QUICUnverified) // each must prove its address
	if err := dial(10 * time.Second); err != nil {
		t.Errorf("a client that proves its address: %v", err)
	}
	taken += takeUp(l, limits.QUICHandshakes)
	if err := dial(10 * time.Second); err == nil || l.o.Limits.Get(limits.QUIC) == 0 {
		t.Errorf("one too many: %v, counted %d times", err, l.o.Limits.Get(limits.QUIC))
	}
	for range taken {
		l.shaking.Give(netip.Addr{})
	}
	if err := dial(10 * time.Second); err != nil {
		t.Errorf("afterwards: %v", err)
	}
	if n := l.shaking.Taken(); n != 0 {
		t.Errorf("%d handshakes are under way", n)
	}
	if failed.Load() != 0 {
		t.Errorf("%d failed", failed.Load())
	}
	// One that begins and does not go on is given up in its time.
	u, err := net.DialUDP("udp4", nil, net.UDPAddrFromAddrPort(at))
	if err != nil {
		t.Fatal(err)
	}
	defer u.Close()
	sink, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	defer sink.Close()
	pc, err := net.ListenUDP("udp4", nil)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Millisecond)
	defer cancel()
	conf := clientConfig(nil)
	conf.CurvePreferences = []tls.CurveID{tls.X25519} // so that it is one packet
	_, _ = Dial(ctx, pc, netip.MustParseAddrPort(sink.LocalAddr().String()), conf, time.Second)
	buf := make([]byte, 2000)
	n, err := sink.Read(buf)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := u.Write(buf[:n]); err != nil {
		t.Fatal(err)
	}
	wait := func(what string, cond func() bool) {
		for end := time.Now().Add(20 * time.Second); !cond(); time.Sleep(5 * time.Millisecond) {
			if time.Now().After(end) {
				t.Fatalf("not in 20 s: %s", what)
			}
		}
	}
	wait("it is under way", func() bool { return l.shaking.Taken() == 1 })
	wait("it is given up", func() bool { return l.shaking.Taken() == 0 && failed.Load() == 1 })
}

// askOnce connects, asks and is answered in that time, or says what fails.
func askOnce(at netip.AddrPort, conf *tls.Config, limit time.Duration) error {
	pc, err := net.ListenUDP("udp4", nil)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(context.Background(), limit)
	defer cancel()
	c, err := Dial(ctx, pc, at, conf, 10*time.Second)
	if err != nil {
		return err
	}
	defer c.Close()
	st, err := c.Ask(ctx, framed([]byte("question")), time.Now().Add(limit))
	if err == nil {
		_, err = st.Read(nil, time.Now().Add(limit))
	}
	return err
}

// Handshakes are computed in turn, those that resume a session, and those whose clients
// are asked for another hello, too; and each turn is given back before the client is
// waited for.
func TestQUICHandshakesAreComputedInTurn(t *testing.T) {
	var now, most, turns, notGiven atomic.Int32
	turn := make(chan struct{}, 1)
	at, _, _ := echoServerOf(t, Options{Turn: func(ctx context.Context) (func(), error) {
		turn <- struct{}{}
		most.Store(max(most.Load(), now.Add(1)))
		turns.Add(1)
		give := sync.OnceFunc(func() { now.Add(-1); <-turn })
		time.AfterFunc(10*time.Second, func() {
			if now.Load() > 0 {
				notGiven.Add(1)
				give()
			}
		})
		return give, nil
	}})
	var all sync.WaitGroup
	for range 20 {
		all.Go(func() {
			if err := askOnce(at, clientConfig(nil), 9*time.Second); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	if most.Load() != 1 || turns.Load() < 20 {
		t.Errorf("%d at once in %d turns", most.Load(), turns.Load())
	}
	cache := tls.NewLRUClientSessionCache(1)
	for range 2 {
		if err := askOnce(at, clientConfig(cache), 9*time.Second); err != nil {
			t.Error(err)
		}
	}
	if now.Load() != 0 || notGiven.Load() != 0 {
		t.Errorf("%d turns were not given back", now.Load()+notGiven.Load())
	}
}

// A handshake that fails gives its turn back at once: those of clients that speak another
// protocol would have the turn of all others, one after the other.
func TestAQUICHandshakeThatFailsGivesItsTurnBack(t *testing.T) {
	var taken, given atomic.Int32
	at, _, _ := echoServerOf(t, Options{Turn: func(context.Context) (func(), error) {
		taken.Add(1)
		return sync.OnceFunc(func() { given.Add(1) }), nil
	}})
	conf := clientConfig(nil)
	conf.NextProtos = []string{"other"}
	if err := askOnce(at, conf, 9*time.Second); err == nil {
		t.Error("a client of another protocol was answered")
	}
	for end := time.Now().Add(20 * time.Second); taken.Load() == 0 || given.Load() < taken.Load(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("%d turns were taken, and %d given back", taken.Load(), given.Load())
		}
	}
}

// Those whose addresses are proven share the places of handshakes: one who takes what he
// can leaves some for the next. An address that may be forged takes nobody's share.
func TestHandshakesAreSharedByClients(t *testing.T) {
	_, l, _ := echoServerOf(t, Options{Client: func(a netip.Addr) netip.Addr { return a }})
	admit := func(ip byte, verified bool) error {
		ctx, cancel := context.WithCancel(context.Background())
		t.Cleanup(cancel)
		_, err := l.admit(ctx, &quic.ClientInfo{RemoteAddr: &net.UDPAddr{IP: net.IPv4(192, 0, 2, ip), Port: 1}, AddrVerified: verified})
		return err
	}
	n := 0
	for admit(1, true) == nil {
		n++
	}
	if want := (limits.QUICHandshakes + limits.ShareOfFree) / (limits.ShareOfFree + 1); n != want {
		t.Errorf("one client has %d handshakes under way, want %d", n, want)
	}
	for what, err := range map[string]error{"another client": admit(2, true), "the same address, which may be forged": admit(1, false)} {
		if err != nil {
			t.Errorf("%s: %v", what, err)
		}
	}
}
