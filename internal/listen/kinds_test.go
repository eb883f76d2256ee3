package listen

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"io"
	"math/big"
	"net"
	"net/netip"
	"path/filepath"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"kresd/internal/limits"
	"kresd/internal/transport"
)

// A kindEcho is an echo that remembers how the last query came.
type kindEcho struct {
	*echo
	last atomic.Uint32
}

type kindSession struct {
	Session
	h *kindEcho
}

func (h *kindEcho) NewSession() (Session, error) {
	s, err := h.echo.NewSession()
	return &kindSession{s, h}, err
}

func (s *kindSession) Answer(query []byte, from *Client, out []byte) ([]byte, Handling) {
	s.h.last.Store(uint32(from.Kind))
	return s.Session.Answer(query, from, out)
}

func (h *kindEcho) kind() transport.Kind { return transport.Kind(h.last.Load()) }

// encrypted are the two sides' settings for a connection by TLS.
func encrypted(t *testing.T) (server, client *tls.Config) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), DNSNames: []string{"resolver.example"}, NotAfter: time.Now().Add(time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	roots := x509.NewCertPool()
	roots.AddCert(cert)
	server = &tls.Config{Certificates: []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: key}}}
	return server, &tls.Config{RootCAs: roots, ServerName: "resolver.example"}
}

// offering makes Options.TLS of settings.
func offering(conf *tls.Config) func(protocols ...string) *tls.Config {
	return func(protocols ...string) *tls.Config {
		c := conf.Clone()
		c.NextProtos = protocols
		return c
	}
}

// serveKinds is an open server with what TLS needs, which has a second protocol
// that lives in UDP sockets.
func serveKinds(t *testing.T, h Handler, conf *tls.Config) *Server {
	t.Helper()
	s := serve(t, h)
	s.tlsConfig = offering(conf)
	s.protocols[transport.QUIC].datagrams = (*Server).startUDP
	return s
}

func only(k ...transport.Kind) Flags { return Flags{Kinds: k} }

func tlsClient(t *testing.T, to netip.AddrPort, conf *tls.Config) *tls.Conn {
	t.Helper()
	c := tls.Client(tcpClient(t, to), conf)
	if err := c.Handshake(); err != nil {
		t.Fatal(err)
	}
	return c
}

func TestTransportOfAClient(t *testing.T) {
	c := Client{Kind: transport.TLS, Addr: netip.MustParseAddrPort("[2001:db8::1]:1")}
	if got, want := c.Transport(), (transport.Transport{Kind: transport.TLS, Family: transport.IPv6}); got != want {
		t.Errorf("got %+v, want %+v", got, want)
	}
}

func TestAStreamMayBeEncrypted(t *testing.T) {
	server, client := encrypted(t)
	h := &kindEcho{echo: newEcho()}
	s := serveKinds(t, h, server)
	if err := s.Listen(netip.MustParseAddrPort("127.0.0.1:0"), only(transport.TLS)); err != nil {
		t.Fatal(err)
	}
	e := s.Endpoints()[0]
	if e.Kind != transport.TLS {
		t.Fatalf("endpoint %+v", e)
	}
	c := tlsClient(t, e.Addr, client)
	sendFrames(t, c, ask(1, 'w'), ask(2, 'd'), ask(3, 'f'))
	if a, b := id(readFrame(t, c)), id(readFrame(t, c)); a+b != 5 || h.kind() != transport.TLS {
		t.Errorf("first answers have IDs %d and %d, by %v; want 2 and 3 by TLS", a, b, h.kind())
	}
	drained := make(chan struct{})
	go func() { s.Drain(context.Background()); close(drained) }()
	eventually(t, "the server drains", s.draining)
	close(h.release)
	if got := id(readFrame(t, c)); got != 1 {
		t.Errorf("last answer has ID %d, want 1", got)
	}
	if _, err := nextMessage(c); err != io.EOF { // and not ErrUnexpectedEOF: the end is authentic
		t.Errorf("after the last answer: %v, want %v", err, io.EOF)
	}
	c.Close()
	comes(t, "the server has left", drained)
}

func TestWhatIsNoHandshakeEndsAConnection(t *testing.T) {
	server, _ := encrypted(t)
	s := serveKinds(t, newEcho(), server)
	if err := s.Listen(netip.MustParseAddrPort("127.0.0.1:0"), only(transport.TLS)); err != nil {
		t.Fatal(err)
	}
	c := tcpClient(t, s.Endpoints()[0].Addr)
	sendFrames(t, c, ask(1, 'f'))
	if b, err := io.ReadAll(c); bytes.Contains(b, ask(1, 'f')[2:]) {
		t.Errorf("a question in the clear was answered: %q, %v", b, err)
	}
	eventually(t, "the connection is forgotten", func() bool { return s.Stats().Conns == 0 })
	if st := s.Stats(); st.TCP != 0 {
		t.Errorf("%d questions were looked at", st.TCP)
	}
}

// A mirror is a protocol that knows no messages: what comes goes back.
type mirror struct {
	connection
	nc accepted
}

func newMirror(_ *Server, nc accepted) *connection {
	m := &mirror{nc: nc}
	m.connHandler = m
	return &m.connection
}

func (m *mirror) run()   { _, _ = io.Copy(m.nc, m.nc) }
func (m *mirror) hurry() { _ = m.nc.SetReadDeadline(time.Now()) }
func (m *mirror) kill()  { m.nc.Close() }

// Whatever is spoken on a connection, it is counted, gives way when there are too
// many, and ends with its server.
func TestAConnectionMaySpeakAnything(t *testing.T) {
	server, _ := encrypted(t)
	s := serveKinds(t, newEcho(), server)
	s.conns = newRegistry(clientLimits(limits.Clients{Conns: 2, ConnsPerClient: 2}))
	s.protocols[transport.HTTPS].connection = newMirror
	if err := s.Listen(netip.MustParseAddrPort("127.0.0.1:0"), only(transport.HTTPS)); err != nil {
		t.Fatal(err)
	}
	var clients []*net.TCPConn
	word := []byte("word")
	for range 3 {
		c := tcpClient(t, s.Endpoints()[0].Addr)
		if _, err := c.Write(word); err != nil {
			t.Fatal(err)
		}
		if got := make([]byte, len(word)); !readWhole(c, got) || !bytes.Equal(got, word) {
			t.Errorf("got %q, want %q", got, word)
		}
		clients = append(clients, c)
	}
	if readWhole(clients[0], make([]byte, 1)) {
		t.Error("the idlest of too many connections is open")
	}
	if st := s.Stats(); st.Conns != 2 || st.TCPShed != 1 || st.TCPAccepted != 3 {
		t.Errorf("stats %+v, want 2 open and 1 shed of 3", st)
	}
	s.Drain(t.Context())
	if n := s.Stats().Conns; n != 0 || readWhole(clients[2], make([]byte, 1)) {
		t.Errorf("%d connections are open after Drain", n)
	}
}

func readWhole(r io.Reader, b []byte) bool { _, err := io.ReadFull(r, b); return err == nil }

// A dead sibling's socket is served as this server's own at that address.
func TestFinishServesByTheKindOfTheEndpoint(t *testing.T) {
	server, client := encrypted(t)
	h := &kindEcho{echo: newEcho()}
	s := serveKinds(t, h, server)
	if err := s.Listen(netip.MustParseAddrPort("127.0.0.1:0"), only(transport.TLS)); err != nil {
		t.Fatal(err)
	}
	at := s.Endpoints()[0].Addr
	other := netip.AddrPortFrom(netip.MustParseAddr("127.0.0.2"), at.Port())
	if err := s.Listen(other, both); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		at   netip.AddrPort
		want transport.Kind
	}{{at, transport.TLS}, {other, transport.TCP}} {
		ln, err := binder(nil).tcp(c.at, false)
		if err != nil {
			t.Fatal(err)
		}
		fd := copyOf(t, ln)
		ln.Close()
		if err := s.Finish(fd); err != nil {
			t.Fatal(err)
		}
		if got := s.kindAt(c.at, "tcp"); got != c.want {
			t.Errorf("%v is served by %v, want %v", c.at, got, c.want)
		}
	}
	if got := s.kindAt(at, "udp"); got != transport.UDP {
		t.Errorf("a UDP socket is served by %v", got)
	}
	if got := s.kindAt(netip.MustParseAddrPort("192.0.2.1:1"), "tcp"); got != transport.TCP {
		t.Errorf("a socket where nobody listens is served by %v", got)
	}
	// The kernel may give one or another socket's queue to each of these.
	for i := range 20 {
		c := tlsClient(t, at, client)
		sendFrames(t, c, ask(uint16(i), 'f'))
		if got := id(readFrame(t, c)); int(got) != i || h.kind() != transport.TLS {
			t.Errorf("answer %d by %v", got, h.kind())
		}
	}
}

// DNS over TLS and over QUIC share a port; two kinds in one network do not.
func TestEndpointsAreKnownByAddressAndKind(t *testing.T) {
	server, _ := encrypted(t)
	s := serveKinds(t, newEcho(), server)
	if err := s.Listen(netip.MustParseAddrPort("127.0.0.1:0"), only(transport.TLS)); err != nil {
		t.Fatal(err)
	}
	at := s.Endpoints()[0].Addr
	for _, step := range []struct {
		flags Flags
		want  []transport.Kind
	}{
		{only(transport.TLS), []transport.Kind{transport.TLS}},
		{only(transport.TCP), []transport.Kind{transport.TLS}},
		{both, []transport.Kind{transport.TLS}}, // a service is there whole or not at all
		{only(transport.QUIC), []transport.Kind{transport.TLS, transport.QUIC}},
		{only(transport.UDP), []transport.Kind{transport.TLS, transport.QUIC}},
	} {
		if err := s.Listen(at, step.flags); err != nil {
			t.Fatal(err)
		}
		list := s.Endpoints()
		if len(list) != len(step.want) {
			t.Fatalf("after %v: %+v, want %v", step.flags.Kinds, list, step.want)
		}
		for i, k := range step.want {
			if list[i] != (Endpoint{Addr: at, Kind: k}) {
				t.Errorf("after %v: endpoint %d is %+v, want %v", step.flags.Kinds, i, list[i], k)
			}
		}
	}
	s.protocols[transport.HTTPS] = protocol{}
	if err := s.Listen(at, only(transport.HTTPS)); err != ErrNotServed {
		t.Errorf("a kind without protocol: %v, want %v", err, ErrNotServed)
	}
	fds := s.Copies(9)
	if len(fds) != 1 { // a connection over QUIC can be no other's
		t.Errorf("%d copies, want 1", len(fds))
	}
	for _, fd := range fds {
		_ = unix.Close(fd)
	}
	if !s.Close(at) || s.Close(at) || len(s.Endpoints()) != 0 {
		t.Errorf("after Close: %+v", s.Endpoints())
	}
	eventually(t, "nobody listens", func() bool { return refused(at) })
}

// Kinds that were asked for one after the other before Open share port 0 too.
func TestPortZeroIsOnePort(t *testing.T) {
	server, _ := encrypted(t)
	s := New(newEcho(), Options{Limits: &limits.Counters{}, Panics: quietPanics(), TLS: offering(server)})
	s.protocols[transport.QUIC].datagrams = (*Server).startUDP
	at := netip.MustParseAddrPort("127.0.0.1:0")
	for _, k := range []transport.Kind{transport.QUIC, transport.TLS} {
		if err := s.Listen(at, only(k)); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.Open(); err != nil {
		t.Fatal(err)
	}
	list := s.Endpoints()
	if len(list) != 2 || list[0].Addr != list[1].Addr || list[0].Addr.Port() == 0 || list[0].Kind != transport.QUIC {
		t.Errorf("endpoints %+v", list)
	}
	s.Drain(t.Context())
}

// Where one kind of a group cannot be bound, the other is not bound either.
func TestAGroupIsBoundWholeOrNotAtAll(t *testing.T) {
	taken, err := net.ListenPacket("udp4", "127.0.0.1:0") // without SO_REUSEPORT
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	at := netip.MustParseAddrPort(taken.LocalAddr().String())
	s := serve(t, newEcho())
	if err := s.Listen(at, both); err == nil {
		t.Error("a port that another program uses was bound")
	}
	if !refused(at) || len(s.Endpoints()) != 0 {
		t.Errorf("TCP is served, or listed: %+v", s.Endpoints())
	}
}

// A connection need not be TCP's, nor its client have an address.
func TestConnectionsOfAUnixSocket(t *testing.T) {
	s := serve(t, newEcho())
	path := filepath.Join(t.TempDir(), "dns")
	ln, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	a := s.startAccepting(transport.TCP, ln.(*net.UnixListener), site{shared: true})
	c, err := net.Dial("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	_ = c.SetDeadline(time.Now().Add(20 * time.Second))
	sendFrames(t, c, ask(1, 'p'), ask(2, 'f'))
	for i := range 2 {
		if got := readFrame(t, c); int(id(got)) != i+1 {
			t.Errorf("answer %q, want ID %d", got, i+1)
		}
	}
	a.stop(0, 0)
	sendFrames(t, c, ask(3, 'f'))
	if got := readFrame(t, c); id(got) != 3 {
		t.Errorf("when its listener is gone: answer %q", got)
	}
}
