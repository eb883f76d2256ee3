package upstream

import (
	"context"
	"net"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"kresd/internal/clock"
	"kresd/internal/explain"
	"kresd/internal/limits"
	"kresd/internal/resolve"
	"kresd/internal/wire"
)

// Servers without a working TCP, by what their port does.
var withoutTCP = map[string]func(*testServer, net.Conn){
	"refused": nil,
	"closed":  func(*testServer, net.Conn) {},
	"silent":  func(s *testServer, c net.Conn) { s.readFrame(c); s.readFrame(c) },
	"another's": func(s *testServer, c net.Conn) {
		q := s.readFrame(c)
		q[13] ^= 1
		writeFrame(c, reply(q, evil))
		s.readFrame(c)
	},
}

const letters = "a.name.whose.letters.are.not.all.small.by.chance.example."

// One wrong datagram took the answer of a server without TCP from its clients.
func TestWrongDatagramsDoNotEndTheWait(t *testing.T) {
	e := newExchanger(t, Config{})
	var all sync.WaitGroup
	for what, onTCP := range withoutTCP {
		for _, f := range slices.Concat(forgeries, malformed) {
			if f.want == truncated { // as good as an answer, and TCP is its only way
				continue
			}
			s := (&testServer{onTCP: onTCP, onUDP: func(s *testServer, from netip.AddrPort, q []byte) {
				for range 20 {
					s.send(from, f.make(q))
				}
				time.Sleep(10 * time.Millisecond) // TCP has failed by now, where it fails at once
				truthUDP(s, from, q)
			}}).start(t, "127.0.0.1")
			all.Go(func() {
				x := question(t, s.addr, letters)
				x.Timeout = 5 * time.Second
				r, err := e.Exchange(background, x)
				if err != nil || string(r.Msg.Answer[0].RData) != truth || r.TCP {
					t.Errorf("%s, TCP %s: %+v %v", f.name, what, r, err)
				}
				if r.CaseLost && f.want != caseLost {
					t.Errorf("%s, TCP %s: case lost", f.name, what)
				}
			})
		}
	}
	all.Wait()
}

// While TCP works, guesses over UDP are worth nothing, even one that is right.
func TestAGuessBeforeTCPAnswersIsNotRewarded(t *testing.T) {
	for _, f := range forgeries {
		if !f.want.suspicious() {
			continue
		}
		guessed := make(chan struct{})
		s := (&testServer{onUDP: func(s *testServer, from netip.AddrPort, q []byte) {
			s.send(from, f.make(q))
			time.Sleep(time.Millisecond)
			s.send(from, reply(q, evil))
			close(guessed)
		}, onTCP: func(s *testServer, c net.Conn) {
			<-guessed
			time.Sleep(50 * time.Millisecond)
			truthTCP(s, c)
		}}).start(t, "127.0.0.1")
		e := newExchanger(t, Config{})
		r, err := e.Exchange(background, question(t, s.addr, letters))
		if got := address(t, r, err); got != truth || !r.TCP {
			t.Errorf("%s: got %x over TCP %v", f.name, got, r.TCP)
		}
	}
}

// Nothing but wrong datagrams, and no TCP: the server has not answered in time.
// What follows is waited for as after any timeout.
func TestOnlyWrongDatagrams(t *testing.T) {
	for what, onTCP := range withoutTCP {
		release := make(chan struct{})
		s := (&testServer{onTCP: onTCP, onUDP: func(s *testServer, from netip.AddrPort, q []byte) {
			a := reply(q, evil)
			a[0] ^= 1
			s.send(from, a)
			<-release
			truthUDP(s, from, q)
		}}).start(t, "127.0.0.1")
		e := newExchanger(t, Config{})
		late := waitOverdue(background, 10*time.Second)
		x := question(t, s.addr, "www.example.")
		x.Timeout, x.Late = 60*time.Millisecond, late
		r, err := e.Exchange(background, x)
		if err != resolve.ErrOverdue || r.TCP {
			t.Errorf("TCP %s: error %v, TCP %v", what, err, r.TCP)
		}
		close(release)
		if l := <-late.got; l.err != nil || string(l.reply.Msg.Answer[0].RData) != truth {
			t.Errorf("TCP %s: late answer %+v %v", what, l.reply, l.err)
		}
	}
}

// A truncated answer after a wrong one is fetched over the connection that is
// being opened.
func TestTruncatedAfterAWrongDatagram(t *testing.T) {
	s := (&testServer{onTCP: truthTCP, onUDP: func(s *testServer, from netip.AddrPort, q []byte) {
		a := reply(q, truth)
		a[0] ^= 1
		s.send(from, a)
		a[0] ^= 1
		a[2] |= 2 // TC
		s.send(from, a)
	}}).start(t, "127.0.0.1")
	e := newExchanger(t, Config{})
	x := question(t, s.addr, "www.example.")
	r, err := e.Exchange(background, x)
	if got := address(t, r, err); got != truth || !r.TCP || x.Budget.Sent() != 2 {
		t.Errorf("got %x over TCP %v with %d sends", got, r.TCP, x.Budget.Sent())
	}
}

// Whoever gives up, and the Exchanger's end, end a confirmation too.
func TestDoubtsEnd(t *testing.T) {
	asking := make(chan struct{}, 2)
	s := (&testServer{onTCP: withoutTCP["silent"], onUDP: func(s *testServer, from netip.AddrPort, q []byte) {
		a := reply(q, truth)
		a[0] ^= 1
		s.send(from, a)
		asking <- struct{}{}
	}}).start(t, "127.0.0.1")
	e := newExchanger(t, Config{})
	errs := make(chan error, 2)
	ask := func(ctx context.Context, text string) {
		_, err := e.Exchange(ctx, question(t, s.addr, text))
		errs <- err
	}
	ctx, cancel := context.WithCancel(background)
	go ask(ctx, "a.example.")
	<-asking
	eventually(t, "TCP is asked", func() bool { return s.tcpConns.Load() == 1 })
	cancel()
	wantErr(t, <-errs, context.Canceled)
	go ask(background, "b.example.")
	<-asking
	eventually(t, "it is being confirmed", func() bool { return e.Stats().NearMiss == 2 })
	e.Close()
	wantErr(t, <-errs, ErrClosed)
}

// All that happens within an exchange can be read, up to its end and no longer.
func TestStepsAreTold(t *testing.T) {
	var failed chan struct{} // closed when TCP is told to have failed
	for _, c := range []struct {
		name  string
		onUDP func(s *testServer, from netip.AddrPort, q []byte)
		onTCP func(s *testServer, c net.Conn)
		want  []string
	}{
		{"an answer", truthUDP, truthTCP, nil},
		{"truncated", func(s *testServer, from netip.AddrPort, q []byte) {
			a := reply(q, truth)
			a[2] |= 2
			s.send(from, a)
		}, truthTCP, []string{"by UDP a truncated answer after", "asked by TCP, "}},
		{"case lost, no TCP", lowerUDP, nil, []string{"by UDP an answer in another letter case after", "no answer by TCP after", "asked again by UDP, letter case as it is"}},
		{"case lost, silent TCP", lowerUDP, withoutTCP["silent"], []string{"by UDP an answer in another letter case after", "asked by TCP, connected in", "no answer by TCP within", "asked again by UDP, letter case as it is"}},
		{"a wrong ID, then the answer, no TCP", func(s *testServer, from netip.AddrPort, q []byte) {
			a := reply(q, truth)
			a[0] ^= 1
			s.send(from, a)
			<-failed
			truthUDP(s, from, q)
		}, nil, []string{"by UDP a message with another ID or question after", "no answer by TCP after", "by UDP an answer after"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			failed = make(chan struct{})
			s := (&testServer{onUDP: c.onUDP, onTCP: c.onTCP}).start(t, "127.0.0.1")
			e := newExchanger(t, Config{})
			x := question(t, s.addr, letters)
			x.Timeout = 500 * time.Millisecond
			var told []string
			x.Tell = func(step resolve.Step) {
				if _, ok := step.(resolve.ConnectionFailed); ok {
					close(failed)
				}
				told = append(told, explain.Words(step).Text)
			}
			r, err := e.Exchange(background, x)
			if got := address(t, r, err); got != truth {
				t.Errorf("got %x", got)
			}
			if len(told) != len(c.want) {
				t.Fatalf("told %q, want %q", told, c.want)
			}
			for i, w := range c.want {
				if !strings.HasPrefix(told[i], w) {
					t.Errorf("told %q, want %q", told[i], w)
				}
			}
		})
	}
}

// TCP needs two round trips, and so has twice the time of UDP when it is asked beside.
func TestTCPHasTwiceTheTimeOfUDP(t *testing.T) {
	const timeout = 500 * time.Millisecond
	s := (&testServer{onUDP: func(s *testServer, from netip.AddrPort, q []byte) {
		a := reply(q, evil)
		a[0] ^= 1
		s.send(from, a)
	}, onTCP: func(s *testServer, c net.Conn) {
		if q := s.readFrame(c); q != nil {
			time.Sleep(timeout * 5 / 4)
			writeFrame(c, reply(q, truth))
		}
	}}).start(t, "127.0.0.1")
	x := question(t, s.addr, "www.example.")
	x.Timeout = timeout
	r, err := newExchanger(t, Config{}).Exchange(background, x)
	if got := address(t, r, err); got != truth || !r.TCP {
		t.Errorf("got %x over TCP %v", got, r.TCP)
	}
}

// When TCP has failed, the question over UDP has the rest of its own time, and no more.
func TestFailedTCPGivesUDPNoMoreTime(t *testing.T) {
	const timeout = time.Second
	s := (&testServer{onUDP: func(s *testServer, from netip.AddrPort, q []byte) {
		a := reply(q, evil)
		a[0] ^= 1
		s.send(from, a)
	}}).start(t, "127.0.0.1") // its TCP port refuses
	x := question(t, s.addr, "www.example.")
	x.Timeout = timeout
	began := time.Now()
	_, err := newExchanger(t, Config{}).Exchange(background, x)
	wantErr(t, err, resolve.ErrTimeout)
	if took := time.Since(began); took < timeout || took > 3*timeout/2 {
		t.Errorf("took %v, want %v", took, timeout)
	}
}

// A confirmation that goes on while others are asked has the time of nonsense, from when it
// was asked; but TCP may have been asked just now, and what alone has the answer is not
// given up with the rest.
func TestHowLongAConfirmationGoesOn(t *testing.T) {
	ck := clock.NewFake(time.Unix(1e9, 0))
	ck.Advance(2 * time.Hour)
	for what, c := range map[string]struct{ ago, want time.Duration }{
		"just asked": {0, limits.NonsenseLate}, "a while ago": {time.Second, limits.NonsenseLate - time.Second}, "long ago": {time.Hour, limits.UDPFirstTimeout},
	} {
		e := newExchanger(t, Config{Clock: &ck.Clock})
		now := ck.Mono()
		d := &confirmation{e: e, a: &udpQuery{sent: now - c.ago, timer: time.NewTimer(time.Hour)}, x: &resolve.Exchange{Late: noLate{}}}
		_, _, err := d.goOn(ended(), time.Minute)
		wantErr(t, err, context.Canceled)
		if d.end != now+c.want || d.until != d.end || d.last != now+time.Minute || d.mayBeLate() {
			t.Errorf("%s: UDP has %v, all %v, TCP alone %v", what, d.end-now, d.until-now, d.last-now)
		}
	}
}

// The first good answer counts, and nothing that comes behind it takes its place; nor does
// a good one count where somebody tries IDs.
func TestTheFirstGoodAnswerCounts(t *testing.T) {
	const guesses = limits.GuessesPerPort
	for what, c := range map[string]struct {
		came    []match
		guesses int
		good    int // the place of the one that counts, from 1
		whole   bool
		lost    match
	}{
		"two answers":                 {came: []match{answer, answer}, good: 1},
		"truncated behind it":         {came: []match{answer, truncated}, good: 1},
		"truncated before it":         {came: []match{truncated, answer}, whole: true},
		"doubts behind it":            {came: []match{answer, caseLost}, good: 1},
		"doubts behind truncated":     {came: []match{truncated, cookieLost}, whole: true},
		"doubts before it":            {came: []match{badCookie, answer}, good: 2, lost: badCookie},
		"as many guesses as may be":   {came: []match{answer}, guesses: guesses, good: 1},
		"more guesses than that":      {came: []match{answer, truncated, caseLost}, guesses: guesses + 1},
		"many more guesses than that": {came: []match{answer}, guesses: 2 * guesses},
	} {
		q, want := aQuestion()
		a := &udpQuery{want: *want, timer: time.NewTimer(time.Hour)}
		d := &confirmation{e: newExchanger(t, Config{}), a: a, x: &resolve.Exchange{}}
		for i := range c.guesses {
			a.buf = reply(q, evil)
			a.buf[0], a.buf[1], a.got = byte(i>>8), byte(i), len(a.buf)
			d.note(resolve.Reply{}, nearMiss)
		}
		msgs := []*wire.Msg{nil}
		for _, v := range c.came {
			msgs = append(msgs, &wire.Msg{})
			d.note(resolve.Reply{Msg: msgs[len(msgs)-1]}, v)
		}
		if d.good.Msg != msgs[c.good] || d.whole != c.whole || d.lost != c.lost || d.guessed() != (c.guesses > guesses) || len(d.guesses) > guesses+1 {
			t.Errorf("%s: %+v", what, d)
		}
	}
}

// How long a confirmation still waits: while TCP alone has the answer, as long as its own
// limits let it, unless others may be asked; in a hurry no longer than for UDP, unless that has
// brought an answer, which TCP is to confirm.
func TestHowLongAConfirmationWaits(t *testing.T) {
	const end, until, last = time.Second, 3 * time.Second, 20 * time.Second
	good, tcp := resolve.Reply{Msg: &wire.Msg{}}, make(chan tcpReply)
	for what, c := range map[string]struct {
		d    confirmation
		x    resolve.Exchange
		want time.Duration // 0: without end
	}{
		"as usual":                               {confirmation{tcp: tcp}, resolve.Exchange{Late: noLate{}}, until},
		"TCP has the answer":                     {confirmation{tcp: tcp, whole: true}, resolve.Exchange{}, 0},
		"TCP has it, others may be asked":        {confirmation{tcp: tcp, whole: true}, resolve.Exchange{Late: noLate{}}, until},
		"TCP has it, others were asked":          {confirmation{tcp: tcp, whole: true, late: true, last: last}, resolve.Exchange{Late: noLate{}}, last},
		"TCP has it, and has failed":             {confirmation{whole: true}, resolve.Exchange{}, until},
		"in a hurry":                             {confirmation{tcp: tcp}, resolve.Exchange{Late: noLate{}, Hurry: true}, end},
		"in a hurry, with an answer":             {confirmation{tcp: tcp, good: good}, resolve.Exchange{Late: noLate{}, Hurry: true}, until},
		"in a hurry, and nobody waits elsewhere": {confirmation{tcp: tcp}, resolve.Exchange{Hurry: true}, until},
		"in a hurry, others were asked":          {confirmation{tcp: tcp, late: true}, resolve.Exchange{Late: noLate{}, Hurry: true}, until},
	} {
		synctest.Test(t, func(t *testing.T) {
			e := &Exchanger{clock: clock.Real()}
			now, d := e.clock.Mono(), c.d
			d.e, d.x, d.end, d.until = e, &c.x, now+end, now+until
			if d.last > 0 {
				d.last += now
			}
			d.a = &udpQuery{timer: time.NewTimer(time.Hour)}
			begun := time.Now()
			d.wait()
			select {
			case <-d.a.timer.C:
				if took := time.Since(begun); took != c.want {
					t.Errorf("%s: %v, want %v", what, took, c.want)
				}
			case <-time.After(2 * time.Hour):
				if c.want != 0 {
					t.Errorf("%s: without end, want %v", what, c.want)
				}
			}
			d.until = e.clock.Mono() + until
			d.end = e.clock.Mono() + end
			begun = time.Now()
			d.withoutTCP(tcpReply{err: resolve.ErrUnreachable})
			if <-d.a.timer.C; time.Since(begun) != end || d.failed.err != resolve.ErrUnreachable {
				t.Errorf("%s: when TCP has failed: %v", what, time.Since(begun))
			}
			d.end = 0
			d.withoutTCP(tcpReply{})
			<-d.a.timer.C // at once
			d.a.timer.Stop()
		})
	}
}

// TCP is asked beside, unless that was in vain already; the wait over UDP is one for who
// receives nonsense, and there is room for what comes behind it.
func TestHowAConfirmationBegins(t *testing.T) {
	s := (&testServer{onTCP: withoutTCP["silent"]}).start(t, "127.0.0.1")
	for _, vain := range []bool{false, true} {
		e := newExchanger(t, Config{Clock: stopped()})
		source := netip.IPv4Unspecified()
		a := e.poller.take(s.addr, source)
		if err := e.open(a, s.addr, source); err != nil {
			t.Fatal(err)
		}
		narrow, err := syscall.GetsockoptInt(a.fd, syscall.SOL_SOCKET, syscall.SO_RCVBUF)
		if err != nil {
			t.Fatal(err)
		}
		x, r := question(t, s.addr, "www.example."), &reception{}
		x.Reception = r
		a.sent, a.junk = e.clock.Mono(), 3
		a.want.question = []byte("question")
		d := e.confirm(background, a, &x, requirements{udpOnly: vain}, resolve.Reply{}, caseLost, a.sent+time.Hour)
		if (d.tcp == nil) != vain || d.end != a.sent+limits.NonsenseTime || d.lost != caseLost || a.junk != 0 || !r.passed {
			t.Errorf("in vain before %v: TCP asked %v, junk %d, passed %v, UDP has %v", vain, d.tcp != nil, a.junk, r.passed, d.end-a.sent)
		}
		if wide, _ := syscall.GetsockoptInt(a.fd, syscall.SOL_SOCKET, syscall.SO_RCVBUF); wide <= narrow/2 || narrow < limits.UpstreamGuessBuffer && wide <= narrow {
			t.Errorf("the socket has room for %d octets, before it was %d", wide, narrow)
		}
		select {
		case <-a.ready: // what came with the first one is looked at
		default:
			t.Error("nothing is looked at")
		}
		d.close()
		if !vain && d.tcpCtx.Err() == nil {
			t.Error("TCP goes on")
		}
		e.poller.give(a)
	}
}
