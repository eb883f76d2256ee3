package upstream

import (
	"context"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"net/netip"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"

	"kresd/internal/clock"
	"kresd/internal/dnsname"
	"kresd/internal/limits"
	"kresd/internal/resolve"
	"kresd/internal/wire"
	"kresd/internal/zonecut"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// A testServer is a scripted authority on one loopback port, UDP and TCP. Its
// functions run on its own goroutines; nil means silence over UDP and a closed
// port's behaviour is had by noTCP.
type testServer struct {
	addr netip.AddrPort
	udp  *net.UDPConn
	tcp  net.Listener
	// onUDP is called for each datagram and sends what it likes.
	onUDP func(s *testServer, from netip.AddrPort, query []byte)
	// onTCP is called for each connection and owns it until it returns.
	onTCP func(s *testServer, c net.Conn)

	udpQueries, tcpQueries, tcpConns atomic.Int64
	done                             sync.WaitGroup
	mu                               sync.Mutex
	conns                            []net.Conn
}

func (s *testServer) send(to netip.AddrPort, pkt []byte) { _, _ = s.udp.WriteToUDPAddrPort(pkt, to) }

// start opens the server on ip; without onTCP its TCP port refuses.
func (s *testServer) start(t testing.TB, ip string) *testServer {
	t.Helper()
	for range 100 {
		udp, err := net.ListenUDP("udp", net.UDPAddrFromAddrPort(netip.AddrPortFrom(netip.MustParseAddr(ip), 0)))
		if err != nil {
			t.Fatalf("listen on %s: %v", ip, err)
		}
		_ = udp.SetReadBuffer(4 << 20)
		s.udp, s.addr = udp, udp.LocalAddr().(*net.UDPAddr).AddrPort()
		if s.onTCP == nil {
			break
		}
		if s.tcp, err = net.Listen("tcp", s.addr.String()); err == nil {
			break
		}
		udp.Close()
	}
	s.done.Go(s.serveUDP)
	if s.tcp != nil {
		s.done.Go(s.serveTCP)
	}
	t.Cleanup(s.stop)
	return s
}

func (s *testServer) stop() {
	s.udp.Close()
	if s.tcp != nil {
		s.tcp.Close()
	}
	s.mu.Lock()
	for _, c := range s.conns {
		c.Close()
	}
	s.mu.Unlock()
	s.done.Wait()
}

func (s *testServer) serveUDP() {
	buf := make([]byte, 4096)
	for {
		n, from, err := s.udp.ReadFromUDPAddrPort(buf)
		if err != nil {
			return
		}
		s.udpQueries.Add(1)
		if s.onUDP != nil {
			s.onUDP(s, netip.AddrPortFrom(from.Addr().Unmap(), from.Port()), slices.Clone(buf[:n]))
		}
	}
}

func (s *testServer) serveTCP() {
	for {
		c, err := s.tcp.Accept()
		if errors.Is(err, net.ErrClosed) {
			return
		}
		if err != nil {
			continue // a test took all descriptors away
		}
		s.tcpConns.Add(1)
		s.mu.Lock()
		s.conns = append(s.conns, c)
		s.mu.Unlock()
		s.done.Go(func() {
			defer c.Close()
			s.onTCP(s, c)
		})
	}
}

// readFrame reads one TCP query, nil at the end of the connection.
func (s *testServer) readFrame(c net.Conn) []byte {
	var head [2]byte
	if _, err := io.ReadFull(c, head[:]); err != nil {
		return nil
	}
	q := make([]byte, binary.BigEndian.Uint16(head[:]))
	if _, err := io.ReadFull(c, q); err != nil {
		return nil
	}
	s.tcpQueries.Add(1)
	return q
}

func writeFrame(c net.Conn, pkt []byte) {
	_, _ = c.Write(append(binary.BigEndian.AppendUint16(nil, uint16(len(pkt))), pkt...))
}

// truthTCP answers every query truthfully, in order.
func truthTCP(s *testServer, c net.Conn) {
	for q := s.readFrame(c); q != nil; q = s.readFrame(c) {
		writeFrame(c, reply(q, truth))
	}
}

func truthUDP(s *testServer, from netip.AddrPort, q []byte) { s.send(from, reply(q, truth)) }

// Addresses in answers: the true one, and one that only forgeries hold.
const (
	truth = "\xc0\x00\x02\x01"
	evil  = "\xc6\x33\x64\x42"
)

// questionEnd is the offset behind the question of a query.
func questionEnd(q []byte) int { return wire.HeaderLen + nameEnd(q[wire.HeaderLen:]) + 4 }

// reply answers a query with one A record.
func reply(q []byte, rdata string) []byte {
	r := slices.Clone(q[:questionEnd(q)])
	r[2] |= 0x84 // QR, AA
	binary.BigEndian.PutUint16(r[6:], 1)
	binary.BigEndian.PutUint16(r[10:], 0)
	r = append(r, 0xc0, wire.HeaderLen, 0, 1, 0, 1, 0, 0, 0, 60, 0, 4)
	return append(r, rdata...)
}

func newExchanger(t testing.TB, c Config) *Exchanger {
	t.Helper()
	c.OnPanic = nil
	if c.Authorities == nil {
		c.Authorities = authoritiesIn
	}
	e, err := New(c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if e.Close(); e.group.Panics() > 0 {
			t.Errorf("%d panics", e.group.Panics())
		}
	})
	return e
}

func name(t testing.TB, text string) dnsname.Name {
	t.Helper()
	n, err := dnsname.Parse(text)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// question is an exchange for the A record of text.
func question(t testing.TB, to netip.AddrPort, text string) resolve.Exchange {
	return resolve.Exchange{
		Server:   resolve.Server{Endpoint: zonecut.Endpoint{Addr: to}},
		Question: resolve.Question{Name: name(t, text), Type: wire.TypeA, Class: wire.ClassIN},
		Timeout:  limits.UDPMaxTimeout,
		Budget:   resolve.NewBudget(nil),
	}
}

// address is the RDATA of the only answer record.
func address(t testing.TB, r resolve.Reply, err error) string {
	t.Helper()
	if err != nil {
		t.Fatalf("exchange: %v", err)
	}
	if len(r.Msg.Answer) != 1 {
		t.Fatalf("answer holds %d records, want 1", len(r.Msg.Answer))
	}
	return string(r.Msg.Answer[0].RData)
}

func wantErr(t testing.TB, err, want error) {
	t.Helper()
	if !errors.Is(err, want) {
		t.Fatalf("error %v, want %v", err, want)
	}
}

// eventually waits for a condition that another goroutine brings about.
func eventually(t testing.TB, what string, cond func() bool) {
	t.Helper()
	for end := time.Now().Add(20 * time.Second); !cond(); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Errorf("%s did not happen", what)
			return
		}
	}
}

var background = context.Background()

// notErr is wantErr turned round.
func notErr(t testing.TB, err, kind error) {
	t.Helper()
	if errors.Is(err, kind) {
		t.Errorf("error %v is a kind of %v", err, kind)
	}
}

// ended is a context that has ended.
func ended() context.Context {
	ctx, end := context.WithCancel(background)
	end()
	return ctx
}

// stopped is a clock that stands, so that nothing grows old on a slow machine.
func stopped() *clock.Clock { return &clock.NewFake(time.Unix(1e9, 0)).Clock }
