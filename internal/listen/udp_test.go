package listen

import (
	"encoding/binary"
	"net"
	"net/netip"
	"runtime"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"kresd/internal/limits"
)

// ownThread makes a UDP thread that is run by the test, and a client of it.
func ownThread(t testing.TB, addr string) (*udpThread, *net.UDPConn) {
	t.Helper()
	s := New(newEcho(), Options{})
	at := netip.MustParseAddrPort(addr)
	fd, err := binder(nil).udp(at, false)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { unix.Close(fd) })
	sa, err := unix.Getsockname(fd)
	if err != nil {
		t.Fatal(err)
	}
	bound := netip.AddrPortFrom(at.Addr(), fromSockaddr(sa).Port())
	session, _ := s.handler.NewSession()
	u := &udpSocket{s: s, fd: fd, at: site{addr: bound, wildcard: at.Addr().IsUnspecified()}, ended: make(chan struct{})}
	to := bound
	if u.at.wildcard {
		to = netip.AddrPortFrom(netip.MustParseAddr("127.0.0.1"), bound.Port())
	}
	return newUDPThread(u, session), udpClient(t, to)
}

// A question by UDP that is dropped on the driver's way holds no socket open.
func TestAQuestionThatIsDroppedHoldsNoSocket(t *testing.T) {
	s := serve(t, dropper{newEcho()}, "127.0.0.1:0")
	at := s.Endpoints()[0].Addr
	c := udpClient(t, at)
	if _, err := c.Write(ask(1, 'd')); err != nil {
		t.Fatal(err)
	}
	counted(t, s, "one on the driver's way, and none waiting", func(st Stats) bool { return st.Driver == 1 && st.Waiting == 0 })
	s.Close(at)
	eventually(t, "its socket is closed", func() bool { s.mu.Lock(); defer s.mu.Unlock(); return len(s.leaving) == 0 })
}

// Who waits takes nothing: a process that is killed while it waits for datagrams, or
// for its turn on the processor since some came, leaves all of them in its socket.
// The call that waited used to take what was there along, up to a batch.
func TestWaitingForDatagramsTakesNone(t *testing.T) {
	thread, c := ownThread(t, "127.0.0.1:0")
	// Shorter than the 10 ms after which Go's monitor sends a signal to who does not pause,
	// again and again.
	tv := unix.NsecToTimeval(int64(time.Millisecond))
	if err := unix.SetsockoptTimeval(thread.u.fd, unix.SOL_SOCKET, unix.SO_RCVTIMEO, &tv); err != nil {
		t.Fatal(err)
	}
	for { // a signal may come between
		e := awaitDatagram(thread.u.fd)
		if e == unix.EAGAIN {
			break
		}
		if e != unix.EINTR {
			t.Fatalf("in an empty socket: %v, want %v", e, unix.EAGAIN)
		}
	}
	const sent = 3
	for range sent {
		if _, err := c.Write(ask(1, 'f')); err != nil {
			t.Fatal(err)
		}
	}
	for range 5 {
		if e := awaitDatagram(thread.u.fd); e != 0 {
			t.Fatalf("with %d datagrams: %v", sent, e)
		}
	}
	if n, e := recvmmsg(thread.u.fd, thread.recv); n != sent || e != 0 {
		t.Errorf("%d datagrams are left, %v; want %d", n, e, sent)
	}
}

func TestCachedWayAllocatesNothing(t *testing.T) {
	for _, addr := range []string{"127.0.0.1:0", "0.0.0.0:0", "[::1]:0"} {
		thread, c := ownThread(t, addr)
		msg, buf := ask(1, 'f'), make([]byte, 100)
		const each = 8
		allocs := testing.AllocsPerRun(200, func() {
			for range each {
				if _, err := c.Write(msg); err != nil {
					t.Fatal(err)
				}
			}
			for got := 0; got < each; got += thread.served() {
			}
			for range each {
				if _, err := c.Read(buf); err != nil {
					t.Fatal(err)
				}
			}
		})
		if allocs != 0 {
			t.Errorf("%s: %v allocations for a batch of %d, want 0", addr, allocs, each)
		}
	}
}

// served serves one batch and returns its size.
func (t *udpThread) served() int {
	t.receive()
	n := t.got
	t.serve()
	return n
}

func BenchmarkUDP(b *testing.B) {
	thread, c := ownThread(b, "127.0.0.1:0")
	msg, buf := ask(1, 'f'), make([]byte, 100)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := c.Write(msg); err != nil {
			b.Fatal(err)
		}
		thread.served()
		if _, err := c.Read(buf); err != nil {
			b.Fatal(err)
		}
	}
}

// A batch whose answers do not fit into the buffer together is sent in parts.
func TestLargeAnswersOfOneBatch(t *testing.T) {
	thread, c := ownThread(t, "127.0.0.1:0")
	const n = 20
	for i := range n {
		if _, err := c.Write(ask(uint16(i), 'f', make([]byte, 4000)...)); err != nil {
			t.Fatal(err)
		}
	}
	for got := 0; got < n; got += thread.served() {
	}
	seen := map[uint16]bool{}
	buf := make([]byte, 5000)
	for range n {
		l, err := c.Read(buf)
		if err != nil || l != 4014 {
			t.Fatalf("after %d answers: %d octets, %v", len(seen), l, err)
		}
		seen[id(buf)] = true
	}
	if len(seen) != n {
		t.Errorf("%d different answers, want %d", len(seen), n)
	}
}

// Questions that claim to come from a port of a service (discard, DNS, NTP) had it
// answered: two servers kept talking to each other.
func TestPortsOfServicesAreNotAnswered(t *testing.T) {
	thread, c := ownThread(t, "127.0.0.1:0")
	for _, step := range []struct{ port, ignored uint16 }{{0, 1}, {53, 2}, {1023, 3}, {1024, 3}, {65535, 3}} {
		if _, err := c.Write(ask(1, 'f')); err != nil {
			t.Fatal(err)
		}
		thread.receive()
		binary.BigEndian.PutUint16(thread.names[0][2:], step.port)
		thread.serve()
		if got := thread.u.stats.v[nIgnored].Load(); got != uint64(step.ignored) {
			t.Errorf("port %d: ignored %d, want %d", step.port, got, step.ignored)
		}
	}
}

// A flood of questions that nobody answers must not cost memory beyond the
// table, nor the answers of the cached way.
func TestFloodIsBounded(t *testing.T) {
	h := newEcho()
	s := serve(t, h, "127.0.0.1:0")
	at := s.Endpoints()[0].Addr
	flood := udpClient(t, at)
	_ = flood.SetDeadline(time.Time{}) // it takes as long as the machine wants
	most := 2 * limits.PendingPerWorker
	before := runtime.NumGoroutine()
	for i := range 3 * most {
		if _, err := flood.Write(ask(uint16(i), 'w')); err != nil {
			t.Fatal(err)
		}
		if i%64 == 0 { // do not outrun the socket's buffer
			want := uint64(i)
			eventually(t, "the flood is taken in", func() bool { return s.Stats().UDP >= want })
		}
	}
	exchange(t, udpClient(t, at), ask(1, 'f'))
	st := s.Stats()
	if st.Waiting > limits.PendingPerWorker || st.Goroutines > most || runtime.NumGoroutine() > before+most+100 {
		t.Errorf("%d wait, %d work, %d goroutines", st.Waiting, st.Goroutines, runtime.NumGoroutine())
	}
	if st.Refused+st.Evicted == 0 { // where a machine is slow the old give way in time
		t.Error("nothing was refused, and nothing gave way")
	}
	close(h.release)
	eventually(t, "the flood is gone", func() bool { st := s.Stats(); return st.Waiting == 0 && st.Goroutines == 0 })
	exchange(t, udpClient(t, at), ask(2, 'd'))
}

func TestAnIdleThreadSleeps(t *testing.T) {
	s := serve(t, newEcho(), "127.0.0.1:0")
	exchange(t, udpClient(t, s.Endpoints()[0].Addr), ask(1, 'f'))
	var before, after unix.Rusage
	_ = unix.Getrusage(unix.RUSAGE_SELF, &before)
	time.Sleep(500 * time.Millisecond)
	_ = unix.Getrusage(unix.RUSAGE_SELF, &after)
	spent := time.Duration(after.Utime.Nano() + after.Stime.Nano() - before.Utime.Nano() - before.Stime.Nano())
	if spent > 250*time.Millisecond {
		t.Errorf("half a second of idling took %v of processor time", spent)
	}
	if n := s.unscheduled.Load(); n != 0 {
		t.Errorf("%d threads hold a processor while idle", n)
	}
}

// However long the answers of a batch are, each has room for the longest.
func TestBatchOfLongAnswers(t *testing.T) {
	h := newEcho()
	s := serve(t, h, "127.0.0.1:0")
	u := udpClient(t, s.Endpoints()[0].Addr)
	long := make([]byte, datagramMax-headerLen-1)
	if _, err := u.Write(ask(0, 's')); err != nil {
		t.Fatal(err)
	}
	const n = 20       // more than fill the memory for ordinary answers, few enough for the client's socket
	for i := range n { // they wait together while the thread is busy
		if _, err := u.Write(ask(uint16(i+1), 'f', long...)); err != nil {
			t.Fatal(err)
		}
	}
	close(h.release)
	buf := make([]byte, maxMessage)
	for i := range n + 1 {
		size, err := u.Read(buf)
		if err != nil || int(id(buf)) != i || buf[3] != 0 || i > 0 && size != datagramMax+1 {
			t.Fatalf("answer %d: ID %d, RCODE %d, %d octets, %v", i, id(buf), buf[3], size, err)
		}
	}
	if p := s.Stats().Panics; p != 0 {
		t.Errorf("%d panics", p)
	}
}

// What a session drops, what is too long, and how often the system was asked, is counted.
func TestWhatIsDroppedIsCounted(t *testing.T) {
	s := serve(t, newEcho(), "127.0.0.1:0")
	at := s.Endpoints()[0].Addr
	u, c := udpClient(t, at), tcpClient(t, at)
	for _, msg := range [][]byte{ask(1, 'x'), ask(2, 'v')} {
		if _, err := u.Write(msg); err != nil {
			t.Fatal(err)
		}
	}
	exchange(t, u, ask(3, 'f', make([]byte, datagramMax)...))
	sendFrames(t, c, ask(1, 'x'), ask(2, 'f'))
	readFrame(t, c)
	counted(t, s, "3 dropped, one oversize and one or more batches", func(st Stats) bool {
		return st.Dropped == 3 && st.Oversize == 1 && st.Batches >= 1 && st.UDP == 3 && st.TCP == 2
	})
}
