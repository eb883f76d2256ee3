package listen

import (
	"bytes"
	"context"
	"encoding/binary"
	"io"
	"net"
	"net/netip"
	"sync"
	"testing"
	"time"

	"kresd/internal/clock"
	"kresd/internal/limits"
	"kresd/internal/safe"
)

// An echo answers each message with itself, the QR bit set and the asked
// address's last octet appended. The octet behind the header says how: 'f' on
// the thread, 's' there when release is closed, 'd' on the driver's way, 'w' there when release is closed, 'h' not
// before its context ends and then not at all, 'x' never, 'v' never, for it must not be, 'p' and 'P' with a
// panic in the session and in the handler, 'n' by returning without an answer.
type echo struct {
	release chan struct{}

	mu       sync.Mutex
	sessions int
}

func newEcho() *echo { return &echo{release: make(chan struct{})} }

type echoSession struct {
	h    *echo
	open bool
}

func (h *echo) NewSession() (Session, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.sessions++
	return &echoSession{h: h}, nil
}

func (s *echoSession) Begin() { s.open = true }
func (s *echoSession) End()   { s.open = false }
func (s *echoSession) Close() {
	s.h.mu.Lock()
	defer s.h.mu.Unlock()
	s.h.sessions--
}

func (s *echoSession) Answer(query []byte, from *Client, out []byte) ([]byte, Handling) {
	if !s.open {
		panic("Answer outside Begin and End")
	}
	if len(out) < maxMessage {
		panic("no room for the longest answer")
	}
	if len(query) == headerLen {
		return echoTo(query, from, out), Reply
	}
	switch query[headerLen] {
	case 's':
		<-s.h.release
		return echoTo(query, from, out), Reply
	case 'f':
		return echoTo(query, from, out), Reply
	case 'x':
		return nil, Drop
	case 'v':
		return nil, Violation
	case 'p':
		panic("session")
	}
	return nil, Driver
}

func echoTo(query []byte, from *Client, out []byte) []byte {
	n := copy(out, query)
	out[2] |= 0x80
	a := from.Local.Addr().AsSlice()
	out[n] = a[len(a)-1]
	return out[:n+1]
}

func (h *echo) Resolve(ctx context.Context, q *Query) {
	out := make([]byte, len(q.Wire)+1)
	if r := q.Reception(); r != nil {
		r.Pass()
	}
	switch q.Wire[headerLen] {
	case 'w':
		select {
		case <-h.release:
		case <-ctx.Done():
		}
	case 'h':
		<-ctx.Done()
		return
	case 'P':
		panic("handler")
	case 'n':
		return
	}
	q.Reply(echoTo(q.Wire, &q.Client, out))
}

func (h *echo) Fail(query []byte, _ *Client, out []byte) []byte {
	n := copy(out, query[:headerLen])
	out[2] |= 0x80
	out[3] = 2
	return out[:n]
}

// ask is a message with the given ID.
func ask(id uint16, how byte, more ...byte) []byte {
	m := make([]byte, headerLen, headerLen+1+len(more))
	binary.BigEndian.PutUint16(m, id)
	return append(append(m, how), more...)
}

func quietPanics() *safe.Group { return &safe.Group{OnPanic: func(*safe.Panic) {}} }

// serve opens a server on the addresses and drains it at the end of the test.
func serve(t testing.TB, h Handler, addrs ...string) *Server {
	t.Helper()
	s := New(h, Options{Limits: &limits.Counters{}, Panics: quietPanics()})
	for _, a := range addrs {
		if err := s.Listen(netip.MustParseAddrPort(a), both); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.Open(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		hurry, cancel := context.WithCancel(context.Background())
		cancel()
		s.Drain(hurry)
	})
	return s
}

func udpClient(t testing.TB, to netip.AddrPort) *net.UDPConn {
	t.Helper()
	c, err := net.DialUDP("udp", nil, net.UDPAddrFromAddrPort(to))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	_ = c.SetDeadline(time.Now().Add(20 * time.Second))
	return c
}

func exchange(t testing.TB, c *net.UDPConn, msg []byte) []byte {
	t.Helper()
	if _, err := c.Write(msg); err != nil {
		t.Fatal(err)
	}
	buf := make([]byte, 70000)
	n, err := c.Read(buf)
	if err != nil {
		t.Fatalf("no answer to %q: %v", msg, err)
	}
	return buf[:n]
}

func tcpClient(t testing.TB, to netip.AddrPort) *net.TCPConn {
	t.Helper()
	c, err := net.DialTCP("tcp", nil, net.TCPAddrFromAddrPort(to))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	_ = c.SetDeadline(time.Now().Add(20 * time.Second))
	return c
}

func sendFrames(t testing.TB, c net.Conn, msgs ...[]byte) {
	t.Helper()
	var b []byte
	for _, m := range msgs {
		b = appendFrame(b, m)
	}
	if _, err := c.Write(b); err != nil {
		t.Fatal(err)
	}
}

func readFrame(t testing.TB, c net.Conn) []byte {
	t.Helper()
	msg, err := nextMessage(c)
	if err != nil {
		t.Fatalf("no answer: %v", err)
	}
	return msg
}

func nextMessage(c net.Conn) ([]byte, error) {
	var l [2]byte
	if _, err := io.ReadFull(c, l[:]); err != nil {
		return nil, err
	}
	msg := make([]byte, binary.BigEndian.Uint16(l[:]))
	_, err := io.ReadFull(c, msg)
	return msg, err
}

func id(msg []byte) uint16 { return binary.BigEndian.Uint16(msg) }

// eventually waits for cond without a limit that a slow machine could miss.
func eventually(t testing.TB, what string, cond func() bool) {
	t.Helper()
	for end := time.Now().Add(20 * time.Second); time.Now().Before(end); time.Sleep(time.Millisecond) {
		if cond() {
			return
		}
	}
	t.Fatalf("not in 20 s: %s", what)
}

// comes waits for what a channel gives, or for its end, as long as eventually does.
func comes[T any](t testing.TB, what string, from <-chan T) (v T) {
	t.Helper()
	select {
	case v = <-from:
	case <-time.After(20 * time.Second):
		t.Fatalf("not in 20 s: %s", what)
	}
	return v
}

// counted waits for counters, which are published after the answers they count
// have left: a client may see its answer first.
func counted(t testing.TB, s *Server, what string, want func(Stats) bool) {
	t.Helper()
	var st Stats
	for end := time.Now().Add(20 * time.Second); time.Now().Before(end); time.Sleep(time.Millisecond) {
		if st = s.Stats(); want(st) {
			return
		}
	}
	t.Errorf("stats %+v, want %s", st, what)
}

func TestBothWaysAnswer(t *testing.T) {
	for _, addr := range []string{"127.0.0.1:0", "[::1]:0"} {
		s := serve(t, newEcho(), addr)
		at := s.Endpoints()[0].Addr
		u, c := udpClient(t, at), tcpClient(t, at)
		for _, how := range []byte("fd") {
			want := append(ask(7, how), 1)
			want[2] |= 0x80
			if got := exchange(t, u, ask(7, how)); !bytes.Equal(got, want) {
				t.Errorf("%s UDP %c: got %q, want %q", addr, how, got, want)
			}
			sendFrames(t, c, ask(7, how))
			if got := readFrame(t, c); !bytes.Equal(got, want) {
				t.Errorf("%s TCP %c: got %q, want %q", addr, how, got, want)
			}
		}
		counted(t, s, "2 queries by each transport, 2 on each way", func(st Stats) bool {
			return st.UDP == 2 && st.TCP == 2 && st.Answered == 2 && st.Driver == 2
		})
	}
}

func TestWildcardAnswersFromTheAddressAsked(t *testing.T) {
	s := serve(t, newEcho(), "0.0.0.0:0", "[::]:0")
	v4, v6 := s.Endpoints()[0].Addr.Port(), s.Endpoints()[2].Addr.Port()
	for last := byte(1); last <= 9; last++ {
		at := netip.AddrPortFrom(netip.AddrFrom4([4]byte{127, 0, 0, last}), v4)
		checkLocal(t, at, last)
	}
	checkLocal(t, netip.AddrPortFrom(netip.IPv6Loopback(), v6), 1)
}

// checkLocal asks at from a connected socket, which takes answers from at alone.
func checkLocal(t *testing.T, at netip.AddrPort, last byte) {
	t.Helper()
	u, c := udpClient(t, at), tcpClient(t, at)
	for _, how := range []byte("fdP") {
		got := exchange(t, u, ask(1, how))
		if how != 'P' && got[len(got)-1] != last {
			t.Errorf("asked %v on way %c: handler saw ...%d", at, how, got[len(got)-1])
		}
		sendFrames(t, c, ask(1, how))
		got = readFrame(t, c)
		if how != 'P' && got[len(got)-1] != last {
			t.Errorf("asked %v by TCP on way %c: handler saw ...%d", at, how, got[len(got)-1])
		}
	}
}

func TestNotAQueryIsIgnored(t *testing.T) {
	s := serve(t, newEcho(), "127.0.0.1:0")
	u := udpClient(t, s.Endpoints()[0].Addr)
	response := ask(1, 'f')
	response[2] |= 0x80
	for _, m := range [][]byte{{}, ask(1, 'f')[:11], response} {
		if _, err := u.Write(m); err != nil {
			t.Fatal(err)
		}
	}
	if got := exchange(t, u, ask(9, 'f')); id(got) != 9 {
		t.Errorf("first answer has ID %d, want 9: something else was answered", id(got))
	}
	counted(t, s, "3 ignored", func(st Stats) bool { return st.Ignored == 3 })
}

func TestLongDatagrams(t *testing.T) {
	s := serve(t, newEcho(), "127.0.0.1:0")
	u := udpClient(t, s.Endpoints()[0].Addr)
	if got := exchange(t, u, ask(1, 'f', make([]byte, datagramMax-13)...)); len(got) != datagramMax+1 {
		t.Errorf("answer to the longest query has %d octets, want %d", len(got), datagramMax+1)
	}
	if got := exchange(t, u, ask(2, 'f', make([]byte, datagramMax)...)); len(got) != headerLen+1 {
		t.Errorf("answer to a longer one has %d octets, want %d: its header alone is looked at", len(got), headerLen+1)
	}
}

func TestPanicsCostOneAnswer(t *testing.T) {
	s := serve(t, newEcho(), "127.0.0.1:0")
	at := s.Endpoints()[0].Addr
	u, c := udpClient(t, at), tcpClient(t, at)
	for i, how := range []byte("pPnf") {
		want := byte(2) // SERVFAIL
		if how == 'f' {
			want = 0
		}
		if got := exchange(t, u, ask(uint16(i), how)); id(got) != uint16(i) || got[3] != want {
			t.Errorf("UDP %c: got ID %d RCODE %d, want %d and %d", how, id(got), got[3], i, want)
		}
		sendFrames(t, c, ask(uint16(i), how))
		if got := readFrame(t, c); id(got) != uint16(i) || got[3] != want {
			t.Errorf("TCP %c: got ID %d RCODE %d, want %d and %d", how, id(got), got[3], i, want)
		}
	}
	counted(t, s, "4 panics and 4 failed on the driver's way", func(st Stats) bool {
		return st.Panics == 4 && st.Failed == 4
	})
}

func TestSessionsAreClosed(t *testing.T) {
	h := newEcho()
	s := serve(t, h, "127.0.0.1:0")
	at := s.Endpoints()[0].Addr
	exchange(t, udpClient(t, at), ask(1, 'p'))
	c := tcpClient(t, at)
	sendFrames(t, c, ask(1, 'p'), ask(2, 'f'))
	readFrame(t, c)
	readFrame(t, c)
	s.Drain(context.Background())
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.sessions != 0 {
		t.Errorf("%d sessions are open after Drain, want 0", h.sessions)
	}
}

func TestFakeClockServes(t *testing.T) {
	f := clock.NewFake(time.Unix(1, 0))
	s := New(newEcho(), Options{Clock: &f.Clock})
	if err := s.Open(); err != nil {
		t.Fatal(err)
	}
	if err := s.Listen(netip.MustParseAddrPort("127.0.0.1:0"), udpOnly); err != nil {
		t.Fatal(err)
	}
	exchange(t, udpClient(t, s.Endpoints()[0].Addr), ask(1, 'd'))
	s.Drain(context.Background())
}
