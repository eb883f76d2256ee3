package upstream

import (
	"context"
	"net/netip"
	"sync/atomic"
	"testing"
	"time"

	"kresd/internal/dnsname"
	"kresd/internal/limits"
	"kresd/internal/resolve"
	"kresd/internal/wire"
	"kresd/internal/zonecut"
)

// overdue is a resolve.Late that hands on what comes.
type overdue struct {
	ctx   context.Context
	limit time.Duration
	got   chan lateAnswer
	asked atomic.Int32
}

type lateAnswer struct {
	reply resolve.Reply
	err   error
}

func waitOverdue(ctx context.Context, limit time.Duration) *overdue {
	return &overdue{ctx: ctx, limit: limit, got: make(chan lateAnswer, 4)}
}

func (o *overdue) Overdue() (context.Context, time.Duration, func(resolve.Reply, error)) {
	o.asked.Add(1)
	return o.ctx, o.limit, func(r resolve.Reply, err error) { o.got <- lateAnswer{r, err} }
}

// A server that had become slower than its time was taken for dead, although it
// answered every question.
func TestAnAnswerAfterItsTimeIsTaken(t *testing.T) {
	release := make(chan struct{})
	for what, play := range map[string]func(s *testServer, from netip.AddrPort, q []byte){
		"a good answer": truthUDP,
		"a truncated answer, fetched over TCP": func(s *testServer, from netip.AddrPort, q []byte) {
			a := reply(q, truth)
			a[2] |= 2 // TC
			s.send(from, a)
		},
		"forged datagrams, then TCP": func(s *testServer, from netip.AddrPort, q []byte) {
			a := reply(q, truth)
			a[0] ^= 1 // another ID
			s.send(from, a)
		},
	} {
		t.Run(what, func(t *testing.T) {
			s := (&testServer{onTCP: truthTCP, onUDP: func(s *testServer, from netip.AddrPort, q []byte) {
				<-release
				play(s, from, q)
			}}).start(t, "127.0.0.1")
			e := newExchanger(t, Config{})
			late := waitOverdue(background, 10*time.Second)
			x := question(t, s.addr, "www.example.")
			x.Timeout, x.Late = 20*time.Millisecond, late
			_, err := e.Exchange(background, x)
			wantErr(t, err, resolve.ErrOverdue)
			wantErr(t, err, resolve.ErrTimeout)
			release <- struct{}{}
			l := <-late.got
			if got := address(t, l.reply, l.err); got != truth {
				t.Errorf("got %x, want %x", got, truth)
			}
			if l.reply.RTT < x.Timeout && !l.reply.TCP {
				t.Errorf("the round trip took %v, shorter than the time that was over", l.reply.RTT)
			}
			if n := len(late.got); n != 0 || late.asked.Load() != 1 {
				t.Errorf("%d more answers, asked %d times", n, late.asked.Load())
			}
		})
	}
}

// What a late answer makes necessary is not handed over once more: who waits has
// been told of one question.
func TestALateAnswerIsWaitedForOnce(t *testing.T) {
	release := make(chan struct{})
	first := true
	s := (&testServer{onUDP: func(s *testServer, from netip.AddrPort, q []byte) {
		if !first {
			return
		}
		first = false
		<-release
		a := reply(q, truth)
		for i := range a[wire.HeaderLen : questionEnd(q)-4] { // its case is lost, and there is no TCP
			a[wire.HeaderLen+i] = dnsname.Lower(a[wire.HeaderLen+i])
		}
		s.send(from, a)
	}}).start(t, "127.0.0.1")
	e := newExchanger(t, Config{})
	late := waitOverdue(background, 10*time.Second)
	x := question(t, s.addr, "a-name-of-many-letters.www.example.")
	x.Timeout, x.Late = 20*time.Millisecond, late
	_, err := e.Exchange(background, x)
	wantErr(t, err, resolve.ErrOverdue)
	release <- struct{}{}
	wantErr(t, (<-late.got).err, resolve.ErrTimeout)
	if n := late.asked.Load(); n != 1 {
		t.Errorf("handed over %d times", n)
	}
}

// Waiting for late answers ends with whoever waits, with its limit and with the
// Exchanger, and at most so many wait.
func TestLateAnswersAreBounded(t *testing.T) {
	s := (&testServer{}).start(t, "127.0.0.1")
	e := newExchanger(t, Config{})
	ctx, cancel := context.WithCancel(background)
	ask := func(i int, late *overdue) error {
		x := question(t, s.addr, itoa(i)+".example.")
		x.Timeout, x.Late = time.Millisecond, late
		_, err := e.Exchange(background, x)
		return err
	}
	cancelled, limited, closed := waitOverdue(ctx, time.Hour), waitOverdue(background, time.Millisecond), waitOverdue(background, time.Hour)
	wantErr(t, ask(1, cancelled), resolve.ErrOverdue)
	wantErr(t, ask(2, limited), resolve.ErrOverdue)
	wantErr(t, ask(3, closed), resolve.ErrOverdue)
	wantErr(t, (<-limited.got).err, resolve.ErrTimeout)
	cancel()
	wantErr(t, (<-cancelled.got).err, context.Canceled)
	eventually(t, "one left", func() bool { return e.late.open() == 1 })
	e.late.max = 1
	if err := ask(4, waitOverdue(background, time.Hour)); err != resolve.ErrTimeout {
		t.Errorf("one too many: %v", err)
	}
	e.Close()
	wantErr(t, (<-closed.got).err, ErrClosed)
	if n := newLateAnswers().max; n < 1 || n > limits.LateAnswers {
		t.Errorf("%d may wait", n)
	}
}

// Who shares an exchange that is waited for on has merely waited in vain.
func TestFollowersOfALateExchange(t *testing.T) {
	s := (&testServer{}).start(t, "127.0.0.1")
	e := newExchanger(t, Config{})
	ctx, cancel := context.WithCancel(background)
	defer cancel()
	errs := make(chan error, 2)
	for range 2 {
		x := question(t, s.addr, "www.example.")
		x.Timeout, x.Late = 300*time.Millisecond, waitOverdue(ctx, time.Hour)
		go func() {
			_, err := e.Exchange(background, x)
			errs <- err
		}()
	}
	eventually(t, "one that joined", func() bool { return e.Stats().Joined == 1 })
	a, b := <-errs, <-errs
	if a == resolve.ErrTimeout {
		a, b = b, a
	}
	if a != resolve.ErrOverdue || b != resolve.ErrTimeout {
		t.Errorf("got %v and %v", a, b)
	}
}

// fill takes all places that questions to a server have, until leave is called.
func fill(t *testing.T, e *Exchanger, x resolve.Exchange) (leave func()) {
	t.Helper()
	var places []limits.Place[zonecut.Endpoint]
	for range limits.MaxOutstandingPerServer {
		place, free := e.servers.Try(x.Endpoint, maxWaiting(&x), branches(x.Zone))
		if !free {
			t.Fatalf("%d places", len(places))
		}
		places = append(places, place)
	}
	return func() {
		for _, place := range places {
			e.servers.Leave(place, true)
		}
	}
}

// Questions beyond a server's places wait in order where they are told to, and
// are not failures.
func TestQuestionsQueueForAServer(t *testing.T) {
	s := (&testServer{onUDP: truthUDP}).start(t, "127.0.0.1")
	e := newExchanger(t, Config{})
	x := question(t, s.addr, "www.example.")
	leave := fill(t, e, x) // so that the time of no question begins
	errs := make(chan error, limits.QueuedPerServer)
	for i := range limits.QueuedPerServer {
		x := question(t, s.addr, itoa(i)+".example.")
		x.Queue = true
		go func() {
			_, err := e.Exchange(background, x)
			errs <- err
		}()
	}
	eventually(t, "all have come", func() bool {
		e.outstanding.mu.Lock()
		defer e.outstanding.mu.Unlock()
		return len(e.outstanding.exchanges) == limits.QueuedPerServer
	})
	leave()
	for range limits.QueuedPerServer {
		if err := <-errs; err != nil {
			t.Fatal(err)
		}
	}
}

// Requests that depend on one name ask the same one after the other when its server
// is silent. Their questions must not pile up: each that waits is another chance
// for a forger.
func TestEqualLateAnswersAreFew(t *testing.T) {
	s := (&testServer{onUDP: func(*testServer, netip.AddrPort, []byte) {}}).start(t, "127.0.0.1")
	e := newExchanger(t, Config{})
	ctx, cancel := context.WithCancel(background)
	defer cancel()
	waiting := int32(0)
	ask := func(name string) {
		late := waitOverdue(ctx, 10*time.Second)
		x := question(t, s.addr, name)
		x.Timeout, x.Late = 3*time.Millisecond, late
		_, err := e.Exchange(ctx, x)
		wantErr(t, err, resolve.ErrTimeout)
		waiting += late.asked.Load()
	}
	for range 20 {
		ask("ns.example.")
	}
	if waiting != limits.RetriesPerServer+1 {
		t.Errorf("%d equal questions are waited for, want %d", waiting, limits.RetriesPerServer+1)
	}
	if ask("other.example."); waiting != limits.RetriesPerServer+2 {
		t.Error("another question is not waited for")
	}
	cancel()
	eventually(t, "no question waits", func() bool {
		return e.late.open() == 0 && len(e.late.equal) == 0
	})
}

func (l *lateAnswers) open() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.n
}

// Nothing is waited for by an Exchanger that is being closed: it would wait for that
// in turn.
func TestNothingIsWaitedForAfterTheEnd(t *testing.T) {
	e := newExchanger(t, Config{})
	e.closed.Store(true)
	defer e.closed.Store(false)
	x := question(t, netip.MustParseAddrPort("127.0.0.1:53"), "www.example.")
	late := waitOverdue(background, 0)
	x.Late = late
	a := e.poller.take(x.Addr, netip.IPv4Unspecified())
	if e.keep(a, &x, strict(&x), nil, ignored) {
		t.Error("an answer is waited for")
		return
	}
	e.poller.give(a)
	if late.asked.Load() != 0 || e.late.open() != 0 {
		t.Error("the caller was told that it is")
	}
}

// A late answer tells, as one in time does, that the server had to be asked without a
// letter case of our own.
func TestALateAnswerTellsOfLostLetterCase(t *testing.T) {
	for _, mixed := range []bool{true, false} {
		s := (&testServer{onUDP: truthUDP}).start(t, "127.0.0.1")
		e := newExchanger(t, Config{})
		x := question(t, s.addr, "a-name-of-many-letters.www.example.")
		late := waitOverdue(background, 10*time.Second)
		x.Late = late
		must, source := requirements{mixedCase: mixed, cookie: true}, netip.IPv4Unspecified()
		a := e.poller.take(s.addr, source)
		if err := e.open(a, s.addr, source); err != nil {
			t.Fatal(err)
		}
		e.compose(a, &x, must)
		out, query := outlet{fd: a.fd}, a.query // from keep on, a is somebody else's
		if !e.keep(a, &x, must, nil, ignored) {
			t.Fatal("nothing is waited for")
		}
		if err := e.send(background, x.Budget, x.Endpoint, out, query); err != nil {
			t.Fatal(err)
		}
		if got := <-late.got; got.err != nil || got.reply.CaseLost == mixed {
			t.Errorf("case of our own %v: %+v, %v", mixed, got.reply, got.err)
		}
	}
}
