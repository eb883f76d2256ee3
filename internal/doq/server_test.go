package doq

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"math/big"
	"net"
	"net/netip"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/quic-go/quic-go"

	"kresd/internal/limits"
)

// outcomes count clients that failed to get in, and questions of those that did.
type outcomes struct {
	atomic.Int32
	asked atomic.Int32
}

// echoServer answers each question with itself, and is where it is, and what came of its
// clients.
func echoServer(t *testing.T) (at netip.AddrPort, l *Listener, failed *outcomes) {
	t.Helper()
	return echoServerOf(t, Options{})
}

// serverTLS is what a server of tests shows to its clients.
func serverTLS(t *testing.T) *tls.Config {
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
	return &tls.Config{Certificates: []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: key}}, NextProtos: []string{Protocol}}
}

// serverOptions completes options for a server of tests.
func serverOptions(t *testing.T, o Options) Options {
	t.Helper()
	if o.TLS == nil {
		o.TLS = serverTLS(t)
	}
	o.Key = func(string) [32]byte { return [32]byte{1} }
	o.Go = func(_ string, fn func()) { go fn() }
	o.Idle = func() time.Duration { return 10 * time.Second }
	if o.Handshake == nil {
		o.Handshake = func() time.Duration { return 20 * time.Second }
	}
	o.Questions, o.Limits = func() int { return 10 }, &limits.Counters{}
	return o
}

// echoServerOf is an echoServer with some options of its own.
func echoServerOf(t *testing.T, o Options) (at netip.AddrPort, l *Listener, failed *outcomes) {
	t.Helper()
	pc, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	l, failed = echoOn(t, pc, o)
	return netip.MustParseAddrPort(pc.LocalAddr().String()), l, failed
}

// echoOn is an echoServer on a socket.
func echoOn(t *testing.T, pc *net.UDPConn, o Options) (l *Listener, failed *outcomes) {
	t.Helper()
	failed = &outcomes{}
	o = serverOptions(t, o)
	o.Failed = func(netip.Addr) { failed.Add(1) }
	l, err := Listen(pc, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(l.Close)
	go echo(l, failed)
	return l, failed
}

// echo answers all who come to a Listener.
func echo(l *Listener, failed *outcomes) {
	for {
		c, err := l.Accept(context.Background())
		if err != nil {
			return
		}
		c.Taken()
		go func() {
			for {
				st, err := c.Next(context.Background())
				if err != nil {
					return
				}
				if msg, err := st.Read(nil, time.Now().Add(10*time.Second)); err == nil {
					failed.asked.Add(1)
					_ = st.Write(framed(msg), time.Now().Add(10*time.Second))
				}
			}
		}()
	}
}

// eventually waits until something is so.
func eventually(t *testing.T, what string, is func() bool) {
	t.Helper()
	for end := time.Now().Add(20 * time.Second); !is(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("not in 20 s: %s", what)
		}
	}
}

// within is a context for what is to happen in 20 s.
func within(t *testing.T) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	t.Cleanup(cancel)
	return ctx
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
		eventually(t, "a ticket comes", func() bool {
			_, came := cache.Get("x")
			return came
		})
		_ = c.CloseWithError(0, "")
		_ = tr.Close()
		_ = pc.Close()
	}
}

// A wiretap passes datagrams on between clients and a server, keeps what clients send, and
// notes how long the longest is that either sends.
type wiretap struct {
	conn     *net.UDPConn
	mu       sync.Mutex
	longest  int
	recorded [][]byte
}

// note notes how long a datagram is.
func (w *wiretap) note(octets int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.longest = max(w.longest, octets)
}

// record keeps what a client sends.
func (w *wiretap) record(datagram []byte) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.recorded = append(w.recorded, slices.Clone(datagram))
}

func tap(t *testing.T, server netip.AddrPort) (w *wiretap, at netip.AddrPort) {
	t.Helper()
	front, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	back, err := net.DialUDP("udp4", nil, net.UDPAddrFromAddrPort(server))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { front.Close(); back.Close() })
	w = &wiretap{conn: back}
	var client atomic.Pointer[netip.AddrPort]
	go func() {
		for b := make([]byte, 2000); ; {
			n, from, err := front.ReadFromUDPAddrPort(b)
			if err != nil {
				return
			}
			client.Store(&from)
			w.note(n)
			w.record(b[:n])
			_, _ = back.Write(b[:n])
		}
	}()
	go func() {
		for b := make([]byte, 2000); ; {
			n, err := back.Read(b)
			if errors.Is(err, net.ErrClosed) {
				return
			}
			if to := client.Load(); err == nil && to != nil {
				w.note(n)
				_, _ = front.WriteToUDPAddrPort(b[:n], *to)
			}
		}
	}()
	return w, netip.MustParseAddrPort(front.LocalAddr().String())
}

// Who has recorded all that clients sent, with a session that was resumed, and sends it again
// and again, from their address or another, asks nothing by it, and what it begins is bounded
// and given up.
func TestARecordedConnectionAsksNothing(t *testing.T) {
	server, l, came := echoServerOf(t, Options{Handshake: func() time.Duration { return limits.TLSHandshake }})
	w, at := tap(t, server)
	cache := tls.NewLRUClientSessionCache(1)
	for range 2 {
		if err := askOnce(at, clientConfig(cache), 10*time.Second); err != nil {
			t.Fatal(err)
		}
	}
	asked := came.asked.Load()
	if asked != 2 {
		t.Fatalf("%d questions came of two clients", asked)
	}
	other, err := net.DialUDP("udp4", nil, net.UDPAddrFromAddrPort(server))
	if err != nil {
		t.Fatal(err)
	}
	defer other.Close()
	w.mu.Lock()
	again := slices.Clone(w.recorded)
	w.mu.Unlock()
	for range 200 {
		for _, from := range []*net.UDPConn{w.conn, other} {
			for _, b := range again {
				_, _ = from.Write(b)
			}
		}
		if n := l.shaking.Taken(); n > limits.QUICHandshakes {
			t.Fatalf("%d handshakes are under way", n)
		}
	}
	if err := askOnce(server, clientConfig(nil), 10*time.Second); err != nil {
		t.Errorf("who means well, meanwhile: %v", err)
	}
	eventually(t, "no handshake is under way any more", func() bool { return l.shaking.Taken() == 0 })
	if n := came.asked.Load() - asked; n != 1 {
		t.Errorf("%d questions came, want the one of who means well", n)
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
	var brief atomic.Bool
	at, l, failed := echoServerOf(t, Options{Handshake: func() time.Duration {
		if brief.Load() {
			return 2 * time.Second
		}
		return 20 * time.Second
	}})
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
	brief.Store(true)
	begin(t, at)
	eventually(t, "it is under way", func() bool { return l.shaking.Taken() == 1 })
	eventually(t, "it is given up", func() bool { return l.shaking.Taken() == 0 && failed.Load() == 1 })
}

// begin is a client who sends the first packet of a handshake to a server, and nothing else.
func begin(t *testing.T, at netip.AddrPort) {
	t.Helper()
	u, err := net.DialUDP("udp4", nil, net.UDPAddrFromAddrPort(at))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { u.Close() })
	sink, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	defer sink.Close()
	pc, err := net.ListenUDP("udp4", nil)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	conf := clientConfig(nil)
	conf.CurvePreferences = []tls.CurveID{tls.X25519} // so that it is one packet
	dialled := make(chan struct{})
	go func() {
		defer close(dialled)
		_, _ = Dial(ctx, pc, netip.MustParseAddrPort(sink.LocalAddr().String()), conf, time.Second)
	}()
	_ = sink.SetReadDeadline(time.Now().Add(20 * time.Second))
	buf := make([]byte, 2000)
	n, err := sink.Read(buf)
	cancel()
	<-dialled
	if err != nil {
		t.Fatalf("the first packet of a handshake does not come: %v", err)
	}
	if _, err := u.Write(buf[:n]); err != nil {
		t.Fatal(err)
	}
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

// watchedKey tells of each handshake that is being computed.
type watchedKey struct {
	crypto.Signer
	signs func()
}

func (k watchedKey) Sign(random io.Reader, digest []byte, o crypto.SignerOpts) ([]byte, error) {
	k.signs()
	return k.Signer.Sign(random, digest, o)
}

// Handshakes are computed in turn, those that resume a session, and those whose clients
// are asked for another hello, too; and each turn is given back before the client is
// waited for.
func TestQUICHandshakesAreComputedInTurn(t *testing.T) {
	var now, outside, turns, notGiven atomic.Int32
	turn := make(chan struct{}, 1)
	conf := serverTLS(t)
	own := &conf.Certificates[0]
	own.PrivateKey = watchedKey{own.PrivateKey.(crypto.Signer), func() {
		if now.Load() == 0 {
			outside.Add(1)
		}
	}}
	at, _, _ := echoServerOf(t, Options{TLS: conf, Turn: func(ctx context.Context) (func(), error) {
		turn <- struct{}{}
		now.Add(1)
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
	cache := tls.NewLRUClientSessionCache(1)
	for range 2 { // nobody else has a turn meanwhile
		if err := askOnce(at, clientConfig(cache), 9*time.Second); err != nil {
			t.Error(err)
		}
	}
	if turns.Load() < 22 || outside.Load() != 0 {
		t.Errorf("%d turns for 22 handshakes; %d are computed outside of any", turns.Load(), outside.Load())
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
	eventually(t, "a turn is taken and given back", func() bool { return taken.Load() > 0 && given.Load() == taken.Load() })
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

// Who is barred is refused when the address is verified, and no handshake is computed for it;
// nobody is asked about an address that may be forged.
func TestABarredClientIsRefusedBeforeItsHandshake(t *testing.T) {
	var bar atomic.Bool
	var asked, turns atomic.Int32
	at, l, failed := echoServerOf(t, Options{
		Client: func(a netip.Addr) netip.Addr { return a },
		Barred: func(client netip.Addr) bool {
			asked.Add(1)
			return bar.Load() && client == netip.MustParseAddr("127.0.0.1")
		},
		Turn: func(context.Context) (func(), error) { turns.Add(1); return func() {}, nil },
	})
	dial := func() error { return askOnce(at, clientConfig(nil), 10*time.Second) }
	bar.Store(true)
	if err := dial(); err != nil || asked.Load() != 0 {
		t.Errorf("a client whose address may be forged: %v, asked about %d times", err, asked.Load())
	}
	taken := takeUp(l, limits.QUICUnverified) // each must prove its address
	began := turns.Load()
	var refused *quic.TransportError
	if err := dial(); !errors.As(err, &refused) || refused.ErrorCode != quic.ConnectionRefused {
		t.Errorf("the barred client: %v, want that it is refused", err)
	}
	if n := turns.Load() - began; n != 0 || asked.Load() == 0 || l.shaking.Taken() != taken {
		t.Errorf("%d handshakes were begun, asked about %d times, %d are under way, want %d", n, asked.Load(), l.shaking.Taken(), taken)
	}
	bar.Store(false)
	if err := dial(); err != nil {
		t.Errorf("a client that is not barred: %v", err)
	}
	if failed.Load() != 0 || l.o.Limits.Get(limits.QUIC) != 0 {
		t.Errorf("%d failed, and %d too many", failed.Load(), l.o.Limits.Get(limits.QUIC))
	}
}

// Where nobody is told of them the first handshake that failed ended the process.
func TestNobodyNeedsToBeToldOfFailedHandshakes(t *testing.T) {
	_, l, _ := echoServer(t)
	l.o.Failed = nil
	ctx, cancel := context.WithCancel(t.Context())
	if _, err := l.admit(ctx, &quic.ClientInfo{RemoteAddr: &net.UDPAddr{IP: net.IPv4(192, 0, 2, 1), Port: 1}}); err != nil {
		t.Fatal(err)
	}
	cancel()
	eventually(t, "the handshake is over", func() bool { return l.shaking.Taken() == 0 })
}
