package upstream

import (
	"net/netip"
	"syscall"
	"testing"

	"kresd/internal/limits"
	"kresd/internal/resolve"
	"kresd/internal/zonecut"
)

// idle counts the sockets that wait for another question.
func (p *poller) idling() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.idle.n
}

// fillIdle leaves sockets to servers of their own that wait for another question.
func fillIdle(t *testing.T, e *Exchanger, n int) {
	t.Helper()
	for range n {
		ask(t, e, (&testServer{onUDP: truthUDP}).start(t, "127.0.0.1").addr, 1, 1)
	}
	if got := e.poller.idling(); got != n {
		t.Fatalf("%d sockets idle, want %d", got, n)
	}
}

// A lack of descriptors costs a question time and not its answer; of the sockets that idle
// one is closed each time before it looks again.
func TestAQuestionWaitsForADescriptor(t *testing.T) {
	const idle, looks = 6, 3
	var e *Exchanger
	left := 0 // times that the question finds none, by which address to leave from is asked once each
	var counters limits.Counters
	e = newExchanger(t, Config{Counters: &counters, Clock: stopped(), Outgoing: func() (v4, v6 netip.Addr) {
		if left--; left == 0 {
			e.files = 0
		}
		return
	}})
	fillIdle(t, e, idle)
	s := (&testServer{onUDP: truthUDP}).start(t, "127.0.0.1")
	e.files, left = 1, looks+1
	x := question(t, s.addr, "www.example.")
	x.NoEDNS = true // a cookie asks for the address, too
	r, err := e.Exchange(background, x)
	if got := address(t, r, err); got != truth || s.udpQueries.Load() != 1 || counters.Get(limits.UpstreamSocket) != 1 {
		t.Errorf("got %x after %d questions, counted %d times", got, s.udpQueries.Load(), counters.Get(limits.UpstreamSocket))
	}
	if got := e.poller.idling(); got != idle-looks+1 {
		t.Errorf("%d sockets idle, want %d", got, idle-looks+1)
	}
	// A failure of another kind ends the wait, and so does the end of the Exchanger.
	e.files, left = 1, 2
	x.Addr = netip.MustParseAddrPort("255.255.255.255:53") // to which there is no way
	_, err = e.runInTime(background, &x)
	if wantErr(t, err, resolve.ErrUnreachable); outOfDescriptors(err) {
		t.Errorf("the failure is %v", err)
	}
	e.files, left = 1, 0
	e.closed.Store(true)
	_, err = e.runInTime(background, &x)
	e.closed.Store(false)
	wantErr(t, err, syscall.EMFILE)
}

// Sockets that idle are as many as may, and the next question of a server without one of its
// own takes another's place where all are in use.
func TestSocketsAreBounded(t *testing.T) {
	var counters limits.Counters
	e := newExchanger(t, Config{Counters: &counters, Clock: stopped()})
	e.poller.idle.max = 2
	fillIdle(t, e, 2)
	s := (&testServer{onUDP: truthUDP}).start(t, "127.0.0.1")
	before := openFiles(t)
	ask(t, e, s.addr, 1, 1)
	if n := e.poller.idling(); n != 2 || openFiles(t) != before {
		t.Errorf("%d sockets idle, %d descriptors, %d before", n, openFiles(t), before)
	}
	e.poller.mu.Lock()
	made, free := e.poller.made, e.poller.free
	e.poller.made, e.poller.free = len(e.poller.slots), nil
	e.poller.mu.Unlock()
	ask(t, e, (&testServer{onUDP: truthUDP}).start(t, "127.0.0.1").addr, 1, 1) // in the place of one that idles
	e.poller.idle.max = 0
	var taken []*udpQuery
	for a := e.poller.take(s.addr, netip.IPv4Unspecified()); a != nil; a = e.poller.take(s.addr, netip.IPv4Unspecified()) {
		taken = append(taken, a)
	}
	_, err := e.Exchange(background, question(t, s.addr, "www.example."))
	if wantErr(t, err, ErrBusy); len(taken) != 2 || counters.Get(limits.UpstreamSocket) != 1 {
		t.Errorf("%d were taken, counted %d times", len(taken), counters.Get(limits.UpstreamSocket))
	}
	e.poller.made, e.poller.free = made, free
	for _, a := range taken {
		a.stay = false
		e.poller.give(a)
	}
}

// Of the descriptors that a process may have, few are for what can do without.
func TestSharesOfFewDescriptors(t *testing.T) {
	var old syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &old); err != nil {
		t.Fatal(err)
	}
	shares := func(most uint64) (idle, late int, all uint64) {
		low := old
		if low.Cur = most; syscall.Setrlimit(syscall.RLIMIT_NOFILE, &low) != nil {
			t.Fatal("the limit cannot be set")
		}
		idle, late, all = newIdleSockets().max, newLateAnswers().max, mostDescriptors()
		if err := syscall.Setrlimit(syscall.RLIMIT_NOFILE, &old); err != nil {
			t.Fatal(err)
		}
		return
	}
	if idle, late, all := shares(160); idle != 10 || late != 40 || all != 150 {
		t.Errorf("of 160 descriptors %d may idle, %d wait for late answers, %d be open", idle, late, all)
	}
	if idle, late, _ := shares(old.Max); idle > limits.UpstreamIdleSockets || late > limits.LateAnswers {
		t.Errorf("of %d descriptors %d may idle, %d wait for late answers", old.Max, idle, late)
	}
}

// Where all connections that may be open have questions, or are being opened, there is no
// room for another, to whomever.
func TestNoConnectionGivesWayThatIsNeeded(t *testing.T) {
	var counters limits.Counters
	e := newExchanger(t, Config{Counters: &counters})
	s := (&testServer{onTCP: truthTCP}).start(t, "127.0.0.1")
	x := tcpQuestion(t, s.addr, "www.example.")
	opening := &connection{pool: e.pool, dialed: make(chan struct{}), waiting: map[uint16]*waiter{}}
	e.pool.mu.Lock()
	e.pool.live[opening] = struct{}{}
	for len(e.pool.live) < limits.UpstreamTCPConns {
		c := &connection{pool: e.pool, dialed: make(chan struct{}), link: &politeLink{}, waiting: map[uint16]*waiter{}}
		close(c.dialed)
		c.enter()
		e.pool.live[c] = struct{}{}
	}
	e.pool.mu.Unlock()
	_, err := e.Exchange(background, x)
	if wantErr(t, err, ErrBusy); counters.Get(limits.UpstreamTCP) != 1 || opening.enter() == nil {
		t.Errorf("counted %d times; what is being opened takes no question", counters.Get(limits.UpstreamTCP))
	}
	e.pool.mu.Lock()
	clear(e.pool.live)
	e.pool.mu.Unlock()
	r, err := e.Exchange(background, x)
	address(t, r, err)
}

// Failures of sockets say whose fault they are: that of this machine, which lacks something
// or has no way, or of the way to the server.
func TestWhoseFaultASocketsFailureIs(t *testing.T) {
	for errno, want := range map[syscall.Errno]error{
		syscall.ENETUNREACH: resolve.ErrNoRoute, syscall.EHOSTUNREACH: resolve.ErrUnreachable, syscall.EACCES: resolve.ErrUnreachable,
		syscall.EMFILE: resolve.ErrLocal, syscall.ENFILE: resolve.ErrLocal, syscall.ENOBUFS: resolve.ErrLocal, syscall.ENOMEM: resolve.ErrLocal,
	} {
		checkBlame(t, socketError("connect", errno), want)
		checkBlame(t, sendError(errno), want)
	}
	checkBlame(t, sendError(syscall.EAGAIN), resolve.ErrLocal) // its queue is full
	checkBlame(t, sendError(syscall.EPERM), resolve.ErrLocal)  // a firewall
	if err := sendError(resolve.ErrBudget); err != resolve.ErrBudget {
		t.Errorf("the end of a budget is %v", err)
	}
	e := newExchanger(t, Config{})
	x := question(t, netip.MustParseAddrPort("255.255.255.255:53"), "www.example.") // which may not be connected to
	_, err := e.Exchange(background, x)
	if checkBlame(t, err, resolve.ErrUnreachable); x.Budget.Sent() != 0 {
		t.Error("a question was debited")
	}
	if err := e.send(background, x.Budget, x.Endpoint, outlet{fd: -1}, []byte{1}); err != syscall.EBADF || e.Stats() != (Stats{}) {
		t.Errorf("%v; counted is %+v", err, e.Stats())
	}
}

func checkBlame(t *testing.T, err, want error) {
	t.Helper()
	wantErr(t, err, want)
	for _, kind := range []error{resolve.ErrNoRoute, resolve.ErrLocal} {
		if kind != want {
			notErr(t, err, kind)
		}
	}
}

// What has no address or no name is asked nobody, and so is what is over.
func TestNothingIsAskedInVain(t *testing.T) {
	s := (&testServer{onUDP: truthUDP}).start(t, "127.0.0.1")
	e := newExchanger(t, Config{})
	nameless, addressless := question(t, s.addr, "www.example."), question(t, netip.AddrPort{}, "www.example.")
	nameless.Name = ""
	for _, x := range []resolve.Exchange{nameless, addressless} {
		_, err := e.Exchange(background, x)
		wantErr(t, err, resolve.ErrUnreachable)
	}
	_, err := e.Exchange(ended(), question(t, s.addr, "www.example."))
	wantErr(t, err, ended().Err())
	if st := e.Stats(); st != (Stats{}) {
		t.Errorf("counted is %+v", st)
	}
	x := question(t, s.addr, "www.example.")
	x.Budget = nil // as of who may spend what he likes
	r, err := e.Exchange(background, x)
	address(t, r, err)
}

// An address of ours for one family is none for the other.
func TestSourcesByFamily(t *testing.T) {
	v4, v6 := netip.MustParseAddr("192.0.2.1"), netip.MustParseAddr("2001:db8::1")
	to4, to6 := netip.MustParseAddr("192.0.2.53"), netip.MustParseAddr("2001:db8::53")
	for _, c := range []struct{ v4, v6, to, want netip.Addr }{
		{v4, v6, to4, v4}, {v4, v6, to6, v6}, {netip.Addr{}, v6, to4, netip.IPv4Unspecified()}, {v4, netip.Addr{}, to6, netip.IPv6Unspecified()},
		{v6, v4, to4, netip.IPv4Unspecified()}, {v6, v4, to6, netip.IPv6Unspecified()},
	} {
		e := &Exchanger{outgoing: func() (netip.Addr, netip.Addr) { return c.v4, c.v6 }}
		if got := e.source(c.to); got != c.want {
			t.Errorf("with %v and %v to %v from %v, want %v", c.v4, c.v6, c.to, got, c.want)
		}
	}
}

// A missing outgoing address is named whatever protocol the server is spoken to in, and the
// server is not blamed.
func TestAMissingOutgoingAddressByEachProtocol(t *testing.T) {
	missing := netip.MustParseAddr("203.0.113.1")
	e := newExchanger(t, Config{Outgoing: func() (v4, v6 netip.Addr) { return missing, netip.Addr{} }})
	for _, protocol := range []zonecut.Protocol{zonecut.DoT, zonecut.DoH, zonecut.DoQ} {
		x := question(t, netip.MustParseAddrPort("127.0.0.1:853"), "www.example.")
		x.Peer = peer(t, protocol, 1)
		_, err := e.Exchange(background, x)
		if checkBlame(t, err, resolve.ErrLocal); err.Error() != (&resolve.NoSource{Addr: missing}).Error() {
			t.Errorf("%v: %v", protocol, err)
		}
	}
}

// Where the system gives nothing to begin with, that is said, and nothing is left open.
func TestWithoutDescriptorsThereIsNoExchanger(t *testing.T) {
	before := openFiles(t)
	var old syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &old); err != nil {
		t.Fatal(err)
	}
	low := old
	low.Cur = 3
	if err := syscall.Setrlimit(syscall.RLIMIT_NOFILE, &low); err != nil {
		t.Fatal(err)
	}
	e, err := New(Config{})
	if err := syscall.Setrlimit(syscall.RLIMIT_NOFILE, &old); err != nil {
		t.Fatal(err)
	}
	if wantErr(t, err, syscall.EMFILE); e != nil || openFiles(t) != before {
		t.Errorf("it is %v; %d descriptors, %d before", e, openFiles(t), before)
	}
}
