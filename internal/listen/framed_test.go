package listen

import (
	"bytes"
	"context"
	"net"
	"net/netip"
	"testing"
	"time"

	"kresd/internal/limits"
	"kresd/internal/transport"
)

func TestTCPAnswersOutOfOrder(t *testing.T) {
	h := newEcho()
	s := serve(t, h, "127.0.0.1:0")
	c := tcpClient(t, s.Endpoints()[0].Addr)
	sendFrames(t, c, ask(1, 'w'), ask(2, 'd'), ask(3, 'f'))
	if a, b := id(readFrame(t, c)), id(readFrame(t, c)); a+b != 5 {
		t.Errorf("first answers have IDs %d and %d, want those that need not wait: 2 and 3", a, b)
	}
	close(h.release)
	if got := id(readFrame(t, c)); got != 1 {
		t.Errorf("last answer has ID %d, want 1", got)
	}
}

func TestPipelinePausesAndResumes(t *testing.T) {
	h := newEcho()
	s := serve(t, h, "127.0.0.1:0")
	s.SetTCPPipeline(4)
	c := tcpClient(t, s.Endpoints()[0].Addr)
	var msgs [][]byte
	for i := range 20 {
		msgs = append(msgs, ask(uint16(i), 'w'))
	}
	sendFrames(t, c, msgs...)
	eventually(t, "the pipeline is full", func() bool { return s.Stats().Waiting == 4 })
	if got := s.limits.Get(limits.TCPPipeline); got != 1 {
		t.Errorf("the limit was hit %d times, want 1", got)
	}
	counted(t, s, "4 queries looked at", func(st Stats) bool { return st.TCP == 4 })
	close(h.release)
	seen := map[uint16]bool{}
	for range 20 {
		seen[id(readFrame(t, c))] = true
	}
	if len(seen) != 20 {
		t.Errorf("%d different answers, want 20", len(seen))
	}
}

func TestTCPClientThatOnlySendsThenShutsDown(t *testing.T) {
	h := newEcho()
	s := serve(t, h, "127.0.0.1:0")
	c := tcpClient(t, s.Endpoints()[0].Addr)
	sendFrames(t, c, ask(1, 'w'), ask(2, 'f'))
	if err := c.CloseWrite(); err != nil {
		t.Fatal(err)
	}
	if got := id(readFrame(t, c)); got != 2 {
		t.Errorf("first answer has ID %d, want 2", got)
	}
	close(h.release)
	if got := id(readFrame(t, c)); got != 1 {
		t.Errorf("answer after the client's end has ID %d, want 1", got)
	}
}

func TestTCPMessageInPieces(t *testing.T) {
	s := serve(t, newEcho(), "127.0.0.1:0")
	c := tcpClient(t, s.Endpoints()[0].Addr)
	long := ask(5, 'f', bytes.Repeat([]byte{'.'}, 60000)...)
	stream := appendFrame(appendFrame(appendFrame(nil, ask(4, 'f')), long), ask(6, 'f'))
	for len(stream) > 0 {
		n := min(len(stream), 1+len(stream)/3)
		if _, err := c.Write(stream[:n]); err != nil {
			t.Fatal(err)
		}
		stream = stream[n:]
		time.Sleep(time.Millisecond) // so that it arrives in pieces; nothing depends on it
	}
	for _, want := range []struct{ id, len int }{{4, 14}, {5, len(long) + 1}, {6, 14}} {
		if got := readFrame(t, c); int(id(got)) != want.id || len(got) != want.len {
			t.Errorf("got ID %d with %d octets, want %d with %d", id(got), len(got), want.id, want.len)
		}
	}
}

func TestGarbageEndsAConnection(t *testing.T) {
	response := ask(1, 'f')
	response[2] |= 0x80
	for _, bad := range [][]byte{{}, ask(1, 'f')[:11], response} {
		s := serve(t, newEcho(), "127.0.0.1:0")
		c := tcpClient(t, s.Endpoints()[0].Addr)
		sendFrames(t, c, ask(1, 'f'), bad, ask(2, 'f'))
		if got := readFrame(t, c); id(got) != 1 {
			t.Errorf("answer before the garbage has ID %d, want 1", id(got))
		}
		if msg, err := nextMessage(c); err == nil {
			t.Errorf("after %d octets of garbage an answer came: %q", len(bad), msg)
		}
	}
}

func TestSlowMessageEndsAConnection(t *testing.T) {
	t.Parallel() // it waits for long
	s := serve(t, newEcho(), "127.0.0.1:0")
	c := tcpClient(t, s.Endpoints()[0].Addr)
	start := time.Now()
	stop := make(chan struct{})
	defer close(stop)
	go func() { // an octet now and then: the message has begun, the silence never lasts
		for {
			select {
			case <-stop:
				return
			case <-time.After(200 * time.Millisecond):
				if _, err := c.Write([]byte{0}); err != nil {
					return
				}
				if _, err := c.Write([]byte{0xff}); err != nil {
					return
				}
			}
		}
	}()
	if _, err := c.Write([]byte{0xff}); err != nil {
		t.Fatal(err)
	}
	if _, err := nextMessage(c); err == nil {
		t.Fatal("an answer to half a message")
	}
	if took := time.Since(start); took < limits.TCPWholeMessage-time.Second || took > 2*limits.TCPWholeMessage {
		t.Errorf("the connection was ended after %v, want %v", took, limits.TCPWholeMessage)
	}
}

func TestIdleConnectionEnds(t *testing.T) {
	s := serve(t, newEcho(), "127.0.0.1:0")
	s.SetTCPIdle(300 * time.Millisecond)
	c := tcpClient(t, s.Endpoints()[0].Addr)
	sendFrames(t, c, ask(1, 'f'))
	readFrame(t, c)
	if _, err := nextMessage(c); err == nil {
		t.Fatal("an answer to nothing")
	}
	eventually(t, "the connection is forgotten", func() bool { return s.Stats().Conns == 0 })
}

func TestIdleConnectionThatWaitsForAnAnswerStays(t *testing.T) {
	h := newEcho()
	s := serve(t, h, "127.0.0.1:0")
	c := tcpClient(t, s.Endpoints()[0].Addr)
	s.SetTCPIdle(20 * time.Millisecond)
	sendFrames(t, c, ask(1, 'w'))
	time.AfterFunc(200*time.Millisecond, func() { s.SetTCPIdle(limits.TCPIdle) })
	time.AfterFunc(300*time.Millisecond, func() { close(h.release) })
	if got := readFrame(t, c); id(got) != 1 || got[3] != 0 {
		t.Errorf("got %q, want the answer", got)
	}
	sendFrames(t, c, ask(2, 'f')) // not only was the answer sent: the connection goes on
	if got := readFrame(t, c); id(got) != 2 {
		t.Errorf("got %q, want the next answer", got)
	}
}

// A client that asks and never reads loses its connection, and holds up nobody.
func TestClientThatNeverReads(t *testing.T) {
	s := serve(t, newEcho(), "127.0.0.1:0")
	at := s.Endpoints()[0].Addr
	c := tcpClient(t, at)
	_ = c.SetReadBuffer(4096)
	big := appendFrame(nil, ask(1, 'f', make([]byte, 60000)...))
	for range 1000 {
		if _, err := c.Write(big); err != nil {
			break
		}
	}
	eventually(t, "the connection is ended", func() bool { st := s.Stats(); return st.TCPStalled > 0 && st.Conns == 0 })
	exchange(t, udpClient(t, at), ask(1, 'f'))
}

// A client that goes before its answer comes was counted as one that does not read.
func TestAClientThatHasGoneIsNotCountedAsStalled(t *testing.T) {
	h := newEcho()
	s := serve(t, h, "127.0.0.1:0")
	c := tcpClient(t, s.Endpoints()[0].Addr)
	sendFrames(t, c, ask(1, 'w', make([]byte, 3*limits.TCPWriteChunk)...))
	eventually(t, "the question waits", func() bool { return s.Stats().Waiting == 1 })
	_ = c.Close()
	close(h.release)
	eventually(t, "the connection is gone", func() bool { return s.Stats().Conns == 0 })
	if n, hits := s.Stats().TCPStalled, s.limits.Get(limits.TCPTime); n != 0 || hits != 0 {
		t.Errorf("%d clients stalled, and %d took too long", n, hits)
	}
}

// The same on the driver's way: goroutines wait for the client, but not for ever.
func TestClientThatNeverReadsFromTheDriver(t *testing.T) {
	s := serve(t, newEcho(), "127.0.0.1:0")
	c := tcpClient(t, s.Endpoints()[0].Addr)
	_ = c.SetReadBuffer(4096)
	big := appendFrame(nil, ask(1, 'd', make([]byte, 60000)...))
	for range 1000 {
		if _, err := c.Write(big); err != nil {
			break
		}
	}
	eventually(t, "nobody waits for the client", func() bool {
		st := s.Stats()
		return st.Conns == 0 && st.Waiting == 0 && st.Goroutines == 0
	})
}

func registered(r *registry, key string) (*connection, *connection, bool) {
	c := &connection{}
	if key != "" {
		c.key = netip.MustParseAddr(key)
	}
	shed, ok := r.add(c)
	return c, shed, ok
}

func TestRegistryShedsTheIdlest(t *testing.T) {
	r := newRegistry(clientLimits(limits.Clients{Conns: 4, ConnsPerClient: 2}))
	a, _, _ := registered(r, "192.0.2.1")
	b, _, _ := registered(r, "192.0.2.1")
	c, _, _ := registered(r, "")
	r.touch(a)
	if _, shed, ok := registered(r, "192.0.2.1"); !ok || shed != b {
		t.Errorf("third of one client: admitted %v, shed the idle one of its own %v", ok, shed == b)
	}
	if _, shed, ok := registered(r, ""); !ok || shed != nil {
		t.Errorf("fourth of all: admitted %v, shed %v, want room", ok, shed)
	}
	a.outstanding.Store(1)
	if _, shed, ok := registered(r, ""); !ok || shed != c {
		t.Errorf("fifth of all: admitted %v, shed the idlest %v", ok, shed == c)
	}
	r.each(func(c *connection) { c.outstanding.Store(1) })
	if _, shed, ok := registered(r, ""); ok || shed != nil {
		t.Errorf("when all are busy: admitted %v, shed %v, want refused", ok, shed)
	}
	n := r.len()
	r.remove(b)
	if r.len() != n {
		t.Error("what was shed was removed again")
	}
	r.each(r.remove)
	if r.len() != 0 || r.queue.head != nil || r.queue.tail != nil || len(r.queue.clients) != 0 {
		t.Errorf("after all are removed %d remain, clients %v", r.len(), r.queue.clients)
	}
}

func TestIdleTimeShrinks(t *testing.T) {
	r := newRegistry(clientLimits(limits.Clients{Conns: 4, ConnsPerClient: 4}))
	for n, want := range []time.Duration{10, 10, 10, 5500 * time.Millisecond, time.Second} {
		if n < 3 {
			want *= time.Second
		}
		if got := r.idleTime(10 * time.Second); got != want {
			t.Errorf("with %d of 4: %v, want %v", n, got, want)
		}
		registered(r, "")
	}
}

func TestTooManyConnections(t *testing.T) {
	s := serve(t, newEcho())
	s.conns = newRegistry(clientLimits(limits.Clients{Conns: 3, ConnsPerClient: 3}))
	if err := s.Listen(netip.MustParseAddrPort("127.0.0.1:0"), both); err != nil {
		t.Fatal(err)
	}
	at := s.Endpoints()[0].Addr
	var conns []*net.TCPConn
	for range 5 {
		c := tcpClient(t, at)
		sendFrames(t, c, ask(1, 'f'))
		readFrame(t, c)
		conns = append(conns, c)
	}
	for i, c := range conns {
		_, err := c.Write(appendFrame(nil, ask(2, 'f')))
		if err == nil {
			_, err = nextMessage(c)
		}
		if (err == nil) != (i >= 2) {
			t.Errorf("connection %d of 5: %v; the first two should have given way", i, err)
		}
	}
	counted(t, s, "2 shed and 3 open", func(st Stats) bool { return st.TCPShed == 2 && st.Conns == 3 })
}

// Clients for whom there is no place and who come again at once are taken in at a pace, and
// wait in the system's queue otherwise; one that means well has its turn among them.
func TestACrowdIsTakenInAtAPace(t *testing.T) {
	const clients, most = 600, 20
	s := serve(t, newEcho())
	s.conns = newRegistry(clientLimits(limits.Clients{Conns: most, ConnsPerClient: most}))
	if err := s.Listen(netip.MustParseAddrPort("127.0.0.1:0"), both); err != nil {
		t.Fatal(err)
	}
	at := s.Endpoints()[0].Addr
	begin := time.Now()
	for range clients {
		tcpClient(t, at)
	}
	c := tcpClient(t, at)
	sendFrames(t, c, ask(1, 'f'))
	readFrame(t, c)
	beyond := time.Duration(clients-most) * time.Second / limits.CrowdPerSecond
	if took := time.Since(begin); took < beyond-2*limits.CrowdSlack {
		t.Errorf("%d clients beside %d places had their turns within %v, want %v", clients, most, took, beyond)
	}
	if n := s.limits.Get(limits.TCPCrowd); n == 0 {
		t.Error("nobody has counted that they waited")
	}
}

// A few connections that take others' places do not wait, nor after a pause.
func TestAFewAreNoCrowd(t *testing.T) {
	c := crowd{gap: time.Second / limits.CrowdPerSecond, slack: limits.CrowdSlack}
	now, few := time.Hour, int(limits.CrowdSlack*limits.CrowdPerSecond/time.Second)-1
	for range 3 {
		for i := range few {
			if wait := c.turn(now); wait > 0 {
				t.Fatalf("number %d waits for %v", i, wait)
			}
		}
		if wait := c.turn(now); wait != limits.CrowdSlack {
			t.Errorf("one more waits for %v, want %v", wait, limits.CrowdSlack)
		}
		now += limits.CrowdSlack
	}
}

func TestFewFilesShedConnections(t *testing.T) {
	s := serve(t, newEcho(), "127.0.0.1:0")
	at := s.Endpoints()[0].Addr
	c := tcpClient(t, at)
	sendFrames(t, c, ask(1, 'f'))
	readFrame(t, c)
	s.maxFiles.Store(10)
	other := tcpClient(t, at)
	sendFrames(t, other, ask(1, 'f'))
	readFrame(t, other)
	if _, err := nextMessage(c); err == nil {
		t.Error("the idle connection was kept although descriptors are short")
	}
	if st := s.Stats(); st.TCPShed != 1 || st.Conns != 1 {
		t.Errorf("%d connections shed and %d open, want 1 and 1", st.TCPShed, st.Conns)
	}
	exchange(t, udpClient(t, at), ask(1, 'f'))
}

func TestBackoffGrows(t *testing.T) {
	d := backoff(0)
	if d != limits.AcceptBackoffMin {
		t.Errorf("first pause %v, want %v", d, limits.AcceptBackoffMin)
	}
	for range 20 {
		d = backoff(d)
	}
	if d != limits.AcceptBackoffMax {
		t.Errorf("last pause %v, want %v", d, limits.AcceptBackoffMax)
	}
}

// What the kernel has accepted while nobody took it is served before the socket
// goes.
func TestConnectionsInTheBacklogAreServed(t *testing.T) {
	s := New(newEcho(), Options{})
	at := netip.MustParseAddrPort("127.0.0.1:0")
	ln, err := binder(nil).tcp(at, false)
	if err != nil {
		t.Fatal(err)
	}
	at = plainAddr(ln.Addr())
	sock := &acceptor{s: s, kind: transport.TCP, ln: ln, at: site{addr: at}, ended: make(chan struct{})}
	close(sock.ended) // nobody accepts
	var conns []*net.TCPConn
	for i := range 20 {
		c := tcpClient(t, at)
		sendFrames(t, c, ask(uint16(i), 'd'))
		conns = append(conns, c)
	}
	sock.stop(0, 0)
	for i, c := range conns {
		if got := readFrame(t, c); int(id(got)) != i {
			t.Errorf("connection %d: ID %d", i, id(got))
		}
	}
	s.Drain(context.Background())
}
