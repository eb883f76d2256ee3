package upstream

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"os"
	"slices"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"kresd/internal/limits"
	"kresd/internal/resolve"
	"kresd/internal/wire"
)

func tcpQuestion(t testing.TB, to netip.AddrPort, text string) resolve.Exchange {
	x := question(t, to, text)
	x.TCP = true
	return x
}

// truncatedUDP answers with TC and nothing else.
func truncatedUDP(s *testServer, from netip.AddrPort, q []byte) {
	r := slices.Clone(q[:questionEnd(q)])
	r[2], r[11] = 0x82, 0
	s.send(from, r)
}

func TestTruncatedGoesToTCP(t *testing.T) {
	for _, ip := range []string{"127.0.0.1", "::1"} {
		s := (&testServer{onUDP: truncatedUDP, onTCP: truthTCP}).start(t, ip)
		e := newExchanger(t, Config{})
		x := question(t, s.addr, "www.example.")
		r, err := e.Exchange(background, x)
		if address(t, r, err) != truth || !r.TCP || r.CaseLost {
			t.Errorf("%s: reply %+v, want the truth over TCP", ip, r)
		}
		if x.Budget.Sent() != 2 {
			t.Errorf("%s: %d sends debited, want 2", ip, x.Budget.Sent())
		}
		if st := e.Stats(); st.UDP != 1 || st.TCP != 1 {
			t.Errorf("%s: stats %+v, want one over each", ip, st)
		}
	}
}

func TestTruncatedWithoutTCP(t *testing.T) {
	s := (&testServer{onUDP: truncatedUDP}).start(t, "127.0.0.1")
	e := newExchanger(t, Config{})
	r, err := e.Exchange(background, question(t, s.addr, "www.example."))
	wantErr(t, err, resolve.ErrUnreachable)
	if !r.TCP {
		t.Error("the failure is not told to be TCP's")
	}
}

// TC over TCP is the end of the ways to ask; it must not loop (HARDENING B5).
func TestTruncatedOverTCPIsHandedOver(t *testing.T) {
	s := (&testServer{onUDP: truncatedUDP, onTCP: func(s *testServer, c net.Conn) {
		for q := s.readFrame(c); q != nil; q = s.readFrame(c) {
			r := reply(q, truth)
			r[2] |= 2
			writeFrame(c, r)
		}
	}}).start(t, "127.0.0.1")
	e := newExchanger(t, Config{})
	x := question(t, s.addr, "www.example.")
	r, err := e.Exchange(background, x)
	if address(t, r, err); !r.Msg.TC() || x.Budget.Sent() != 2 {
		t.Errorf("TC %v after %d sends, want TC after 2", r.Msg.TC(), x.Budget.Sent())
	}
}

func TestConnectionIsReusedAndAnswersComeInAnyOrder(t *testing.T) {
	const n = limits.UpstreamTCPInFlight
	s := &testServer{onTCP: func(s *testServer, c net.Conn) {
		var all [][]byte
		for len(all) < n {
			q := s.readFrame(c)
			if q == nil {
				return
			}
			all = append(all, q)
		}
		for _, q := range slices.Backward(all) {
			// The answer tells which question it is for: the last octet of the first label.
			writeFrame(c, reply(q, string([]byte{192, 0, 2, q[12+int(q[12])]})))
		}
		truthTCP(s, c)
	}}
	s.start(t, "127.0.0.1")
	e := newExchanger(t, Config{})
	var wg sync.WaitGroup
	for i := range n {
		wg.Go(func() {
			x := tcpQuestion(t, s.addr, "q"+string(rune('0'+i/10))+string(rune('0'+i%10))+".example.")
			r, err := e.Exchange(background, x)
			if err != nil || r.Msg.Question != x.Name || string(r.Msg.Answer[0].RData) != string([]byte{192, 0, 2, byte('0' + i%10)}) {
				t.Errorf("question %d: %+v %v", i, r, err)
			}
		})
	}
	wg.Wait()
	r, err := e.Exchange(background, tcpQuestion(t, s.addr, "again.example."))
	address(t, r, err)
	if got := s.tcpConns.Load(); got != 1 {
		t.Errorf("%d connections for %d questions, want 1", got, n+1)
	}
}

// A server that closes after each answer costs a fresh connection a question,
// not the question.
func TestServerClosesAfterEachAnswer(t *testing.T) {
	s := (&testServer{onTCP: func(s *testServer, c net.Conn) {
		if q := s.readFrame(c); q != nil {
			writeFrame(c, reply(q, truth))
		}
	}}).start(t, "127.0.0.1")
	e := newExchanger(t, Config{})
	for i := range 20 {
		x := tcpQuestion(t, s.addr, itoa(i)+".example.")
		r, err := e.Exchange(background, x)
		address(t, r, err)
		if x.Budget.Sent() > 2 {
			t.Errorf("%d sends, want at most 2", x.Budget.Sent())
		}
	}
	var wg sync.WaitGroup
	for i := range 10 {
		wg.Go(func() {
			r, err := e.Exchange(background, tcpQuestion(t, s.addr, "p"+itoa(i)+".example."))
			if err != nil || string(r.Msg.Answer[0].RData) != truth {
				t.Errorf("question %d in parallel: %v", i, err)
			}
		})
	}
	wg.Wait()
}

func TestServerThatOnlyClosesIsAskedTwice(t *testing.T) {
	s := (&testServer{onTCP: func(s *testServer, c net.Conn) { s.readFrame(c) }}).start(t, "127.0.0.1")
	e := newExchanger(t, Config{})
	x := tcpQuestion(t, s.addr, "www.example.")
	_, err := e.Exchange(background, x)
	wantErr(t, err, resolve.ErrUnreachable)
	if conns, sent := s.tcpConns.Load(), x.Budget.Sent(); conns != 2 || sent != 2 {
		t.Errorf("%d connections and %d sends, want 2 and 2", conns, sent)
	}
}

func TestConnectionsAreDebited(t *testing.T) {
	s := (&testServer{onTCP: func(s *testServer, c net.Conn) { s.readFrame(c) }}).start(t, "127.0.0.1")
	e := newExchanger(t, Config{})
	b := resolve.NewBudget(nil)
	for i := range limits.MaxTCPConnsPerRequest {
		x := tcpQuestion(t, s.addr, itoa(i)+".example.")
		x.Budget = b
		_, err := e.Exchange(background, x)
		if err == nil {
			t.Fatal("an answer from nowhere")
		}
	}
	if got := s.tcpConns.Load(); got != limits.MaxTCPConnsPerRequest {
		t.Errorf("%d connections, want %d", got, limits.MaxTCPConnsPerRequest)
	}
}

// Slow octets, garbage, a foreign question and an endless stream: all end, and
// none is believed.
func TestHostileStreams(t *testing.T) {
	for _, c := range []struct {
		name string
		then func(s *testServer, c net.Conn, q []byte)
		want error
	}{
		{"garbage in place of records", func(s *testServer, c net.Conn, q []byte) {
			writeFrame(c, append(reply(q, evil), 0))
			s.readFrame(c)
		}, ErrMalformed},
		{"endless answers to nobody", func(s *testServer, c net.Conn, q []byte) {
			r := append(reply(q, evil), make([]byte, 60000)...)
			r[0] ^= 1
			for {
				if _, err := c.Write(append([]byte{byte(len(r) >> 8), byte(len(r))}, r...)); err != nil {
					return
				}
			}
		}, resolve.ErrUnreachable},
		{"endless other questions", func(s *testServer, c net.Conn, q []byte) {
			r := reply(q, evil)
			r[13] ^= 1
			for {
				if _, err := c.Write(append([]byte{byte(len(r) >> 8), byte(len(r))}, r...)); err != nil {
					return
				}
			}
		}, ErrMalformed},
		{"one answer to another question", func(s *testServer, c net.Conn, q []byte) {
			r := reply(q, evil)
			r[13] ^= 1
			writeFrame(c, r)
			s.readFrame(c)
		}, ErrMalformed},
		{"endless empty messages", func(s *testServer, c net.Conn, q []byte) {
			for {
				if _, err := c.Write(make([]byte, 1000)); err != nil {
					return
				}
			}
		}, resolve.ErrUnreachable},
		{"half an answer", func(s *testServer, c net.Conn, q []byte) {
			_, _ = c.Write(append([]byte{0, 200}, reply(q, evil)...))
		}, resolve.ErrUnreachable},
	} {
		s := (&testServer{onTCP: func(s *testServer, conn net.Conn) {
			if q := s.readFrame(conn); q != nil {
				c.then(s, conn, q)
			}
		}}).start(t, "127.0.0.1")
		e := newExchanger(t, Config{})
		_, err := e.Exchange(background, tcpQuestion(t, s.addr, "www.example."))
		if err == nil {
			t.Errorf("%s: was believed", c.name)
			continue
		}
		wantErr(t, err, c.want)
	}
}

func TestTCPAnswerThatDripsTimesOut(t *testing.T) {
	t.Parallel()
	stop := make(chan struct{})
	s := (&testServer{onTCP: func(s *testServer, c net.Conn) {
		q := s.readFrame(c)
		if q == nil {
			return
		}
		r := reply(q, evil)
		for _, octet := range append([]byte{0, byte(len(r))}, r...) {
			if _, err := c.Write([]byte{octet}); err != nil {
				return
			}
			select {
			case <-stop:
				return
			case <-time.After(300 * time.Millisecond):
			}
		}
	}}).start(t, "127.0.0.1")
	defer close(stop)
	e := newExchanger(t, Config{})
	_, err := e.Exchange(background, tcpQuestion(t, s.addr, "www.example."))
	wantErr(t, err, resolve.ErrTimeout)
	// The connection takes no more questions.
	e.pool.mu.Lock()
	defer e.pool.mu.Unlock()
	if len(e.pool.conns) != 0 {
		t.Errorf("%d servers have a connection to choose, want none", len(e.pool.conns))
	}
}

func TestTCPContextAndClose(t *testing.T) {
	asked := make(chan struct{}, 4)
	s := (&testServer{onTCP: func(s *testServer, c net.Conn) {
		for s.readFrame(c) != nil {
			asked <- struct{}{}
		}
	}}).start(t, "127.0.0.1")
	e := newExchanger(t, Config{})
	ctx, cancel := context.WithCancel(background)
	go func() { <-asked; cancel() }()
	_, err := e.Exchange(ctx, tcpQuestion(t, s.addr, "www.example."))
	wantErr(t, err, context.Canceled)
	go func() { <-asked; e.Close() }()
	_, err = e.Exchange(background, tcpQuestion(t, s.addr, "www.example."))
	wantErr(t, err, ErrClosed)
}

func TestTCPLeavesFromTheOutgoingAddress(t *testing.T) {
	from := make(chan string, 1)
	s := (&testServer{onTCP: func(s *testServer, c net.Conn) {
		from <- c.RemoteAddr().(*net.TCPAddr).IP.String()
		truthTCP(s, c)
	}}).start(t, "127.0.0.1")
	e := newExchanger(t, Config{Outgoing: func() (netip.Addr, netip.Addr) { return netip.MustParseAddr("127.0.0.78"), netip.Addr{} }})
	r, err := e.Exchange(background, tcpQuestion(t, s.addr, "www.example."))
	address(t, r, err)
	if got := <-from; got != "127.0.0.78" {
		t.Errorf("connection came from %s", got)
	}
}

// A large answer fills many segments.
func TestLargeAnswerOverTCP(t *testing.T) {
	s := (&testServer{onTCP: func(s *testServer, c net.Conn) {
		q := s.readFrame(c)
		if q == nil {
			return
		}
		b := wire.NewBuilder(nil, 0xffff, uint16(q[0])<<8|uint16(q[1]), wire.FlagQR|wire.FlagAA)
		b.Question(q[12:questionEnd(q)-4], wire.TypeA, wire.ClassIN)
		for i := range 220 {
			b.RR(wire.Answer, name(t, "www.example."), wire.TypeTXT, wire.ClassIN, 60, append([]byte{255, byte(i)}, make([]byte, 254)...))
		}
		writeFrame(c, b.Bytes())
	}}).start(t, "127.0.0.1")
	e := newExchanger(t, Config{})
	r, err := e.Exchange(background, tcpQuestion(t, s.addr, "www.example."))
	if err != nil || len(r.Msg.Answer) != 220 || r.Size < 58000 {
		t.Errorf("%d octets, %v; want 220 records", r.Size, err)
	}
}

// Idle connections give way to new ones at the limit.
func TestTooManyConnections(t *testing.T) {
	var open atomic.Int64
	s := (&testServer{onTCP: func(s *testServer, c net.Conn) {
		open.Add(1)
		truthTCP(s, c)
		open.Add(-1)
	}}).start(t, "127.0.0.1")
	e := newExchanger(t, Config{})
	for i := range limits.UpstreamTCPConns + 20 {
		// One server each, as far as the pool knows: addresses of one loopback.
		other := &testServer{onTCP: s.onTCP}
		other.start(t, "127.0.1."+itoa(1+i%250))
		r, err := e.Exchange(background, tcpQuestion(t, other.addr, "www.example."))
		address(t, r, err)
	}
	eventually(t, "closing of the surplus", func() bool { return open.Load() <= limits.UpstreamTCPConns })
	e.Close()
	eventually(t, "closing of all", func() bool { return open.Load() == 0 })
}

// A few messages that nobody asked for, now and then, are no reason to give up a
// connection that answers: they may belong to questions that were given up.
func TestStraysAreForgivenWithEachAnswer(t *testing.T) {
	s := (&testServer{onTCP: func(s *testServer, c net.Conn) {
		for q := s.readFrame(c); q != nil; q = s.readFrame(c) {
			stray := reply(q, evil)
			stray[0] ^= 1
			for range limits.UpstreamTCPStrays - 1 {
				writeFrame(c, stray)
			}
			writeFrame(c, reply(q, truth))
		}
	}}).start(t, "127.0.0.1")
	e := newExchanger(t, Config{})
	for i := range 4 {
		r, err := e.Exchange(background, tcpQuestion(t, s.addr, itoa(i)+".example."))
		if got := address(t, r, err); got != truth {
			t.Errorf("got %x", got)
		}
	}
	if n := s.tcpConns.Load(); n != 1 {
		t.Errorf("%d connections, want one", n)
	}
}

// A connection that replaces one which ended serves one question alone until its
// first answer, and then any.
func TestAFreshConnectionServesOthersOnceItHasAnswered(t *testing.T) {
	first := make(chan struct{}, 1)
	s := (&testServer{onTCP: func(s *testServer, c net.Conn) {
		select {
		case first <- struct{}{}:
			s.readFrame(c) // and ends without an answer
		default:
			truthTCP(s, c)
		}
	}}).start(t, "127.0.0.1")
	e := newExchanger(t, Config{})
	for i := range 3 {
		r, err := e.Exchange(background, tcpQuestion(t, s.addr, itoa(i)+".example."))
		address(t, r, err)
	}
	if n := s.tcpConns.Load(); n != 2 {
		t.Errorf("%d connections, want the one that ended and one for all questions", n)
	}
}

// A connection carries so many questions at once, and a server has so many
// connections; what exceeds that is refused and counted.
func TestQuestionsFillConnections(t *testing.T) {
	s := (&testServer{onTCP: func(s *testServer, c net.Conn) {
		for s.readFrame(c) != nil {
		}
	}}).start(t, "127.0.0.1")
	var counters limits.Counters
	e := newExchanger(t, Config{Counters: &counters})
	x := tcpQuestion(t, s.addr, "www.example.")
	const most = limits.UpstreamTCPPerServer * limits.UpstreamTCPInFlight
	for i := range most {
		x.Budget = resolve.NewBudget(nil)
		if _, _, err := e.pool.get(&x, false); err != nil {
			t.Fatalf("question %d: %v", i+1, err)
		}
		if n := len(e.pool.conns[x.Endpoint]); n != 1+i/limits.UpstreamTCPInFlight {
			t.Fatalf("%d connections for %d questions", n, i+1)
		}
	}
	for _, fresh := range []bool{false, true} {
		if _, _, err := e.pool.get(&x, fresh); err != ErrBusy {
			t.Errorf("one too many, fresh %v: %v", fresh, err)
		}
	}
	if n := counters.Get(limits.UpstreamTCP); n != 2 {
		t.Errorf("counted %d times, want 2", n)
	}
}

// What is received is debited over each transport, so that large answers end a
// request that causes them (limits.MaxUpstreamBytesPerRequest).
func TestOctetsAreDebited(t *testing.T) {
	s := (&testServer{onUDP: truthUDP, onTCP: truthTCP}).start(t, "127.0.0.1")
	e := newExchanger(t, Config{})
	for _, tcp := range []bool{false, true} {
		x := question(t, s.addr, "www.example.")
		x.TCP = tcp
		x.Budget.Received(limits.MaxUpstreamBytesPerRequest - 1)
		r, err := e.Exchange(background, x) // the answer that crosses the limit counts
		address(t, r, err)
		_, err = e.Exchange(background, x)
		wantErr(t, err, resolve.ErrBudget)
	}
}

// A connection that is found idle takes no further question, which would meet its end;
// one with questions is not closed to make room for others.
func TestIdleMeansWithoutQuestions(t *testing.T) {
	s := (&testServer{onTCP: func(s *testServer, c net.Conn) {
		for s.readFrame(c) != nil {
		}
	}}).start(t, "127.0.0.1")
	e := newExchanger(t, Config{})
	x := tcpQuestion(t, s.addr, "www.example.")
	c, w, err := e.pool.get(&x, false)
	if err != nil {
		t.Fatal(err)
	}
	<-c.dialed
	if !c.busy() || c.idle() {
		t.Error("a connection with a question is idle")
	}
	c.forget(w)
	if w := c.enter(); w == nil {
		t.Error("a connection without questions takes none")
	} else {
		c.forget(w)
	}
	if c.busy() || c.enter() != nil {
		t.Error("a connection that is about to be closed takes a question")
	}
}

// A connection that replaces one which ended is not shared before it has answered:
// the server may close it after one answer too.
func TestAFreshConnectionIsNotSharedAtFirst(t *testing.T) {
	s := (&testServer{onTCP: truthTCP}).start(t, "127.0.0.1")
	e := newExchanger(t, Config{})
	x := tcpQuestion(t, s.addr, "www.example.")
	fresh, _, err := e.pool.get(&x, true)
	if err != nil {
		t.Fatal(err)
	}
	if other, _, err := e.pool.get(&x, false); err != nil || other == fresh {
		t.Errorf("shared at once; error %v", err)
	}
}

// Whose fault it is that there is no connection decides what is learnt about the
// server.
func TestDialErrors(t *testing.T) {
	for err, want := range map[error]error{
		syscall.ECONNREFUSED: resolve.ErrUnreachable, syscall.ENETUNREACH: resolve.ErrUnreachable, syscall.EHOSTUNREACH: resolve.ErrUnreachable,
		syscall.ETIMEDOUT: resolve.ErrTimeout, context.DeadlineExceeded: resolve.ErrTimeout, os.ErrDeadlineExceeded: resolve.ErrTimeout,
		syscall.EMFILE: resolve.ErrLocal, syscall.ENFILE: resolve.ErrLocal, syscall.ENOBUFS: resolve.ErrLocal, syscall.ENOMEM: resolve.ErrLocal,
		syscall.EADDRINUSE: resolve.ErrLocal, syscall.EADDRNOTAVAIL: resolve.ErrLocal,
	} {
		got := dialError(&net.OpError{Op: "dial", Err: err})
		for _, kind := range []error{resolve.ErrUnreachable, resolve.ErrTimeout, resolve.ErrLocal} {
			if errors.Is(got, kind) != (kind == want) {
				t.Errorf("%v is %v, want a kind of %v only", err, got, want)
			}
		}
	}
}

// A connection that takes no question at the moment is not given up while others wait there
// for answers.
func TestAConnectionWithOtherQuestionsIsNotGivenUp(t *testing.T) {
	c := &connection{pool: newPool(&Exchanger{}), dialed: make(chan struct{}), waiting: map[uint16]*waiter{}}
	w, other := c.enter(), c.enter()
	if c.retireAlone(); c.retired {
		t.Error("it is given up, though another question waits")
	}
	c.forget(other)
	if c.retireAlone(); !c.retired || c.enter() != nil {
		t.Error("it takes a question")
	}
	c.forget(w) // while it is being opened, whoever opens it ends it
}
