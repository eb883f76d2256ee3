package upstream

import (
	"context"
	"encoding/binary"
	"net/netip"
	"os"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"kresd/internal/limits"
	"kresd/internal/resolve"
	"kresd/internal/wire"
)

func TestAnswerOverUDP(t *testing.T) {
	for _, ip := range []string{"127.0.0.1", "::1"} {
		s := (&testServer{onUDP: truthUDP}).start(t, ip)
		e := newExchanger(t, Config{})
		x := question(t, s.addr, "www.example.")
		r, err := e.Exchange(background, x)
		if got := address(t, r, err); got != truth {
			t.Errorf("%s: answer %x, want %x", ip, got, truth)
		}
		if r.TCP || r.CaseLost || r.RTT <= 0 || r.Size != 12+13+4+16 {
			t.Errorf("%s: reply %+v, want UDP, case kept, an RTT, 45 octets", ip, r)
		}
		if x.Budget.Sent() != 1 {
			t.Errorf("%s: %d sends debited, want 1", ip, x.Budget.Sent())
		}
		st := e.Stats()
		if st.UDP != 1 || st.TCP != 0 || st.IPv4+st.IPv6 != 1 || (st.IPv6 == 1) != strings.Contains(ip, ":") {
			t.Errorf("%s: stats %+v, want one question of its family", ip, st)
		}
	}
}

func TestMappedAddressIsAskedOverIPv4(t *testing.T) {
	s := (&testServer{onUDP: truthUDP}).start(t, "127.0.0.1")
	e := newExchanger(t, Config{})
	mapped := netip.AddrPortFrom(netip.AddrFrom16(s.addr.Addr().As16()), s.addr.Port())
	r, err := e.Exchange(background, question(t, mapped, "www.example."))
	address(t, r, err)
}

// What a question looks like on the wire.
func TestQueryAsAsked(t *testing.T) {
	got := make(chan []byte, 1)
	s := (&testServer{onUDP: func(s *testServer, from netip.AddrPort, q []byte) {
		got <- q
		truthUDP(s, from, q)
	}}).start(t, "127.0.0.1")
	e := newExchanger(t, Config{Bufsize: func() uint16 { return 1400 }})
	for _, c := range []struct {
		name   string
		change func(*resolve.Exchange)
		flags  uint16
		edns   bool
	}{
		{"plain", func(*resolve.Exchange) {}, 0, true},
		{"CD", func(x *resolve.Exchange) { x.CD = true }, wire.FlagCD, true},
		{"RD", func(x *resolve.Exchange) { x.RD = true }, wire.FlagRD, true},
		{"no EDNS", func(x *resolve.Exchange) { x.NoEDNS = true }, 0, false},
	} {
		x := question(t, s.addr, "query.example.")
		c.change(&x)
		r, err := e.Exchange(background, x)
		address(t, r, err)
		m, err := wire.Parse(<-got)
		if err != nil {
			t.Fatalf("%s: the query is malformed: %v", c.name, err)
		}
		if m.Flags != c.flags || m.HasEDNS != c.edns || m.DO != c.edns || c.edns && m.UDPSize != 1400 {
			t.Errorf("%s: flags %04x EDNS %v DO %v size %d, want %04x %v", c.name, m.Flags, m.HasEDNS, m.DO, m.UDPSize, c.flags, c.edns)
		}
	}
}

func TestSilenceEndsWithTimeout(t *testing.T) {
	s := (&testServer{}).start(t, "127.0.0.1")
	e := newExchanger(t, Config{})
	x := question(t, s.addr, "www.example.")
	x.Timeout = 30 * time.Millisecond
	_, err := e.Exchange(background, x)
	wantErr(t, err, resolve.ErrTimeout)
	if n := e.Stats().Timeout; n != 1 {
		t.Errorf("%d timeouts counted, want 1", n)
	}
}

// A closed port answers with ICMP, which anybody can forge: it ends no wait
// (HARDENING A3).
func TestICMPDoesNotEndTheWait(t *testing.T) {
	s := (&testServer{}).start(t, "127.0.0.1")
	s.udp.Close()
	e := newExchanger(t, Config{})
	x := question(t, s.addr, "www.example.")
	x.Timeout = 50 * time.Millisecond
	start := time.Now()
	_, err := e.Exchange(background, x)
	wantErr(t, err, resolve.ErrTimeout)
	if took := time.Since(start); took < x.Timeout {
		t.Errorf("waited %v, want all of %v", took, x.Timeout)
	}
	if e.Stats().ICMP == 0 {
		t.Error("no ICMP error was seen: the test proves nothing")
	}
}

func TestContextEndsTheWait(t *testing.T) {
	ctx, cancel := context.WithCancel(background)
	s := (&testServer{onUDP: func(*testServer, netip.AddrPort, []byte) { cancel() }}).start(t, "127.0.0.1")
	e := newExchanger(t, Config{})
	_, err := e.Exchange(ctx, question(t, s.addr, "www.example."))
	wantErr(t, err, context.Canceled)
}

func TestCloseEndsTheWait(t *testing.T) {
	e := newExchanger(t, Config{})
	closed := make(chan struct{})
	s := (&testServer{onUDP: func(*testServer, netip.AddrPort, []byte) {
		go func() { e.Close(); close(closed) }()
	}}).start(t, "127.0.0.1")
	_, err := e.Exchange(background, question(t, s.addr, "www.example."))
	wantErr(t, err, ErrClosed)
	<-closed
	_, err = e.Exchange(background, question(t, s.addr, "www.example."))
	wantErr(t, err, ErrClosed)
}

func TestOutgoingAddress(t *testing.T) {
	from := make(chan netip.AddrPort, 2)
	s := (&testServer{onUDP: func(s *testServer, f netip.AddrPort, q []byte) {
		from <- f
		truthUDP(s, f, q)
	}}).start(t, "127.0.0.1")
	v4 := netip.MustParseAddr("127.0.0.77")
	e := newExchanger(t, Config{Outgoing: func() (netip.Addr, netip.Addr) { return v4, netip.Addr{} }})
	r, err := e.Exchange(background, question(t, s.addr, "www.example."))
	address(t, r, err)
	if got := (<-from).Addr(); got != v4 {
		t.Errorf("question came from %v, want %v", got, v4)
	}
	v4 = netip.MustParseAddr("192.0.2.1") // not ours
	_, err = e.Exchange(background, question(t, s.addr, "www.example."))
	wantErr(t, err, resolve.ErrLocal)
}

// A server that sends more than we said we take is asked over TCP (HARDENING A12).
func TestTooLargeForUDPGoesToTCP(t *testing.T) {
	for _, size := range []int{1233, 2000, 4096} {
		s := (&testServer{onTCP: truthTCP, onUDP: func(s *testServer, f netip.AddrPort, q []byte) {
			s.send(f, append(reply(q, evil), make([]byte, size)...)[:size])
		}}).start(t, "127.0.0.1")
		e := newExchanger(t, Config{})
		r, err := e.Exchange(background, question(t, s.addr, "www.example."))
		if address(t, r, err) != truth || !r.TCP {
			t.Errorf("%d octets: reply %+v, want the truth over TCP", size, r)
		}
	}
}

// Ports are drawn evenly from 1024 to 65535, one for each socket, and IDs from all
// 65536, one for each question: chi-squared over 64 bins, 63 degrees of freedom,
// exceeds twice that, 130, once in 10^6 runs.
func TestPortsAndIDsAreFlat(t *testing.T) {
	const questions, bins = 12800, 64
	var mu sync.Mutex
	var ports, ids [bins]int
	distinct, sockets := map[uint16]bool{}, map[uint16]bool{}
	s := (&testServer{onUDP: func(s *testServer, f netip.AddrPort, q []byte) {
		mu.Lock()
		if f.Port() < lowestPort {
			t.Errorf("port %d is below %d", f.Port(), lowestPort)
		} else if !sockets[f.Port()] {
			ports[(int(f.Port())-lowestPort)*bins/(65536-lowestPort)]++
			sockets[f.Port()] = true
		}
		id := binary.BigEndian.Uint16(q)
		ids[int(id)*bins/65536]++
		distinct[id] = true
		mu.Unlock()
		truthUDP(s, f, q)
	}}).start(t, "127.0.0.1")
	e := newExchanger(t, Config{})
	ask(t, e, s.addr, questions, 8)
	mu.Lock()
	defer mu.Unlock()
	for what, h := range map[string][bins]int{"port": ports, "ID": ids} {
		chi, all := 0.0, 0
		for _, n := range h {
			all += n
		}
		want := float64(all) / bins
		for _, n := range h {
			chi += (float64(n) - want) * (float64(n) - want) / want
		}
		if chi > 130 {
			t.Errorf("%s: chi-squared %.0f over %d bins, want less than 130: %v", what, chi, bins, h)
		}
	}
	if len(distinct) < questions*8/10 {
		t.Errorf("%d distinct IDs of %d, want about %d", len(distinct), questions, questions*91/100)
	}
	if n := len(sockets); n < questions/limits.UpstreamSocketUses*9/10 {
		t.Errorf("%d ports for %d questions, want one for every %d", n, questions, limits.UpstreamSocketUses)
	}
}

// ask sends n different questions, some at once, and expects the truth.
func ask(t testing.TB, e *Exchanger, to netip.AddrPort, n, atOnce int) {
	t.Helper()
	var wg sync.WaitGroup
	for w := range atOnce {
		wg.Go(func() {
			for i := w; i < n; i += atOnce {
				x := question(t, to, "q"+string(rune('a'+w))+"."+itoa(i)+".example.")
				r, err := e.Exchange(background, x)
				if err != nil || len(r.Msg.Answer) != 1 || string(r.Msg.Answer[0].RData) != truth {
					t.Errorf("question %d: reply %+v, error %v", i, r, err)
					return
				}
			}
		})
	}
	wg.Wait()
}

func itoa(i int) string {
	var b [8]byte
	p := len(b)
	for {
		p--
		b[p] = byte('0' + i%10)
		if i /= 10; i == 0 {
			return string(b[p:])
		}
	}
}

func TestAvoidedPortsAreNotUsed(t *testing.T) {
	s := (&testServer{onUDP: func(s *testServer, f netip.AddrPort, q []byte) {
		if f.Port()%2 != 0 {
			t.Errorf("port %d was used", f.Port())
		}
		truthUDP(s, f, q)
	}}).start(t, "127.0.0.1")
	e := newExchanger(t, Config{AvoidPort: func(p uint16) bool { return p%2 != 0 }})
	for range 200 {
		r, err := e.Exchange(background, question(t, s.addr, "www.example."))
		if err == nil {
			address(t, r, err)
		} else { // ten odd draws in a row
			wantErr(t, err, resolve.ErrLocal)
		}
	}
	none := newExchanger(t, Config{AvoidPort: func(uint16) bool { return true }})
	_, err := none.Exchange(background, question(t, s.addr, "www.example."))
	wantErr(t, err, resolve.ErrLocal)
}

func openFiles(t testing.TB) int {
	t.Helper()
	list, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	return len(list)
}

func TestNoDescriptorIsLeft(t *testing.T) {
	s := (&testServer{onUDP: truthUDP, onTCP: truthTCP}).start(t, "127.0.0.1")
	silent := (&testServer{}).start(t, "127.0.0.1")
	before := openFiles(t)
	e, err := New(Config{})
	if err != nil {
		t.Fatal(err)
	}
	ask(t, e, s.addr, 500, 16)
	x := question(t, s.addr, "tcp.example.")
	x.TCP = true
	r, err := e.Exchange(background, x)
	address(t, r, err)
	x = question(t, silent.addr, "www.example.")
	x.Timeout = time.Millisecond
	_, err = e.Exchange(background, x)
	wantErr(t, err, resolve.ErrTimeout)
	e.Close()
	s.mu.Lock()
	for _, c := range s.conns {
		c.Close()
	}
	s.mu.Unlock()
	if after := openFiles(t); after != before {
		t.Errorf("%d descriptors open, %d before", after, before)
	}
}

// Our own lack of descriptors is not the server's fault (HARDENING D8).
func TestNoDescriptorsIsLocal(t *testing.T) {
	s := (&testServer{onUDP: truthUDP, onTCP: truthTCP}).start(t, "127.0.0.1")
	c := &limits.Counters{}
	e := newExchanger(t, Config{Counters: c})
	var old syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &old); err != nil {
		t.Fatal(err)
	}
	low := old
	low.Cur = 3
	if err := syscall.Setrlimit(syscall.RLIMIT_NOFILE, &low); err != nil {
		t.Fatal(err)
	}
	exchange := func(x resolve.Exchange) error {
		ctx, cancel := context.WithCancel(background)
		defer cancel()
		before, ended := c.Get(limits.UpstreamSocket), make(chan error, 1)
		go func() {
			_, err := e.Exchange(ctx, x)
			ended <- err
		}()
		eventually(t, "a question that waits for a descriptor", func() bool { return c.Get(limits.UpstreamSocket) > before })
		cancel()
		return <-ended
	}
	x := question(t, s.addr, "www.example.")
	udpErr := exchange(x)
	x.TCP = true
	tcpErr := exchange(x)
	if err := syscall.Setrlimit(syscall.RLIMIT_NOFILE, &old); err != nil {
		t.Fatal(err)
	}
	wantErr(t, udpErr, resolve.ErrLocal)
	wantErr(t, tcpErr, resolve.ErrLocal)
	r, err := e.Exchange(background, x)
	address(t, r, err)
}

func TestTooManyForOneServer(t *testing.T) {
	s := (&testServer{}).start(t, "127.0.0.1")
	c := &limits.Counters{}
	e := newExchanger(t, Config{Counters: c})
	ctx, cancel := context.WithCancel(background)
	var wg sync.WaitGroup
	for i := range limits.MaxOutstandingPerServer {
		wg.Go(func() { _, _ = e.Exchange(ctx, question(t, s.addr, itoa(i)+".example.")) })
	}
	eventually(t, "a full server", func() bool { return s.udpQueries.Load() == limits.MaxOutstandingPerServer })
	_, err := e.Exchange(background, question(t, s.addr, "more.example."))
	wantErr(t, err, resolve.ErrBusy)
	wantErr(t, err, resolve.ErrLocal)
	cancel()
	wg.Wait()
	if c.Get(limits.OutstandingServer) != 1 {
		t.Errorf("limit counted %d times, want 1", c.Get(limits.OutstandingServer))
	}
	if e.servers.Keys() != 0 || len(e.outstanding.exchanges) != 0 {
		t.Errorf("%d servers and %d exchanges are left, want none", e.servers.Keys(), len(e.outstanding.exchanges))
	}
}

func TestBudgetIsAskedBeforeSending(t *testing.T) {
	s := (&testServer{onUDP: truthUDP, onTCP: truthTCP}).start(t, "127.0.0.1")
	e := newExchanger(t, Config{})
	x := question(t, s.addr, "www.example.")
	for x.Budget.Send() == nil {
	}
	_, err := e.Exchange(background, x)
	wantErr(t, err, resolve.ErrBudget)
	x.TCP = true
	_, err = e.Exchange(background, x)
	wantErr(t, err, resolve.ErrBudget)
	if n := s.udpQueries.Load() + s.tcpQueries.Load(); n != 0 {
		t.Errorf("%d questions arrived, want none", n)
	}
}

// The time that a caller gives is used within bounds.
func TestWaitTime(t *testing.T) {
	for given, want := range map[time.Duration]time.Duration{
		-1: limits.UDPFirstTimeout, 0: limits.UDPFirstTimeout, 1: 1,
		limits.UDPMaxTimeout: limits.UDPMaxTimeout, limits.UDPMaxTimeout + 1: limits.UDPMaxTimeout, time.Hour: limits.UDPMaxTimeout,
	} {
		if got := waitTime(given); got != want {
			t.Errorf("%v: %v, want %v", given, got, want)
		}
	}
}

// A flood does not hold who reads it, and the answer behind it is not forgotten: the
// kernel tells of datagrams once, so the reader has to come back by itself.
func TestTheAnswerBehindAFloodIsRead(t *testing.T) {
	s := (&testServer{}).start(t, "127.0.0.1")
	e := newExchanger(t, Config{})
	x := question(t, s.addr, "www.example.")
	source := netip.IPv4Unspecified()
	a := e.poller.take(s.addr, source)
	defer e.poller.give(a)
	if err := e.open(a, s.addr, source); err != nil {
		t.Fatal(err)
	}
	e.poller.slots[a.slot].Store(nil) // nobody notifies
	defer e.poller.slots[a.slot].Store(a)
	e.compose(a, &x, strict(&x))
	local, err := syscall.Getsockname(a.fd)
	if err != nil {
		t.Fatal(err)
	}
	to := netip.AddrPortFrom(netip.MustParseAddr("127.0.0.1"), uint16(local.(*syscall.SockaddrInet4).Port))
	for range limits.UDPBatch {
		s.send(to, []byte{0})
	}
	s.send(to, reply(a.query, truth))
	time.Sleep(10 * time.Millisecond) // a notification that was under way
	select {
	case <-a.ready:
	default:
	}
	if _, _, v := e.drain(a); v != ignored || len(a.ready) != 1 {
		t.Fatalf("after %d datagrams: match %d, woken %d times", limits.UDPBatch, v, len(a.ready))
	}
	if msg, _, v := e.drain(a); v != answer || string(msg.Answer[0].RData) != truth {
		t.Errorf("then: match %d", v)
	}
}

// EDNS cannot offer less than plain DNS takes (RFC 6891, section 6.2.3).
func TestBufsizeHasALeast(t *testing.T) {
	offered := make(chan uint16, 1)
	s := (&testServer{onUDP: func(s *testServer, from netip.AddrPort, q []byte) {
		if size := q[questionEnd(q):]; len(size) >= 5 { // the class of the OPT record
			offered <- binary.BigEndian.Uint16(size[3:])
		} else {
			offered <- 0 // there is none
		}
		truthUDP(s, from, q)
	}}).start(t, "127.0.0.1")
	for size, want := range map[uint16]uint16{0: limits.MinBufsize, limits.MinBufsize - 1: limits.MinBufsize, 4096: 4096} {
		e := newExchanger(t, Config{Bufsize: func() uint16 { return size }})
		r, err := e.Exchange(background, question(t, s.addr, "www.example."))
		address(t, r, err)
		if got := <-offered; got != want {
			t.Errorf("%d configured: %d offered, want %d", size, got, want)
		}
	}
}

// A server that is given as an IPv4-mapped address is asked over IPv4.
func TestMappedAddressesAreIPv4(t *testing.T) {
	s := (&testServer{onUDP: truthUDP}).start(t, "127.0.0.1")
	e := newExchanger(t, Config{})
	r, err := e.Exchange(background, question(t, netip.AddrPortFrom(netip.MustParseAddr("::ffff:127.0.0.1"), s.addr.Port()), "www.example."))
	if got, st := address(t, r, err), e.Stats(); got != truth || st.IPv4 != 1 || st.IPv6 != 0 {
		t.Errorf("got %x; %+v", got, st)
	}
}
