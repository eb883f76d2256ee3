package upstream

import (
	"context"
	"net"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"kresd/internal/explain"
	"kresd/internal/resolve"
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
			time.Sleep(30 * time.Millisecond)
			truthUDP(s, from, q)
		}, nil, []string{"by UDP a message with another ID or question after", "no answer by TCP after", "by UDP an answer after"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := (&testServer{onUDP: c.onUDP, onTCP: c.onTCP}).start(t, "127.0.0.1")
			e := newExchanger(t, Config{})
			x := question(t, s.addr, letters)
			x.Timeout = 500 * time.Millisecond
			var told []string
			x.Tell = func(step resolve.Step) { told = append(told, explain.Words(step).Text) }
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
