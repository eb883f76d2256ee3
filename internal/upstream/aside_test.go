package upstream

import (
	"context"
	"net"
	"net/netip"
	"testing"
	"time"

	"kresd/internal/limits"
	"kresd/internal/resolve"
)

// strayUDP answers under another ID.
func strayUDP(s *testServer, from netip.AddrPort, q []byte) {
	a := reply(q, evil)
	a[0] ^= 1
	s.send(from, a)
}

// A truncated answer whose TCP was dead cost the client as long as a connection may
// take, and twelve of them all the time that it had. It costs no more than silence does;
// what TCP brings later is taken all the same, though the caller has ended what it asked
// with.
func TestTCPThatTakesLongIsWaitedForAside(t *testing.T) {
	for name, c := range map[string]struct {
		udp func(*testServer, netip.AddrPort, []byte)
		tcp bool
	}{
		"after truncation":            {truncatedUDP, false},
		"because the server needs it": {nil, true},
		"after truncation behind a guess": {func(s *testServer, from netip.AddrPort, q []byte) {
			strayUDP(s, from, q)
			truncatedUDP(s, from, q)
		}, false},
	} {
		t.Run(name, func(t *testing.T) {
			release := make(chan struct{})
			s := (&testServer{onUDP: c.udp, onTCP: func(s *testServer, conn net.Conn) {
				q := s.readFrame(conn)
				<-release
				writeFrame(conn, reply(q, truth))
				s.readFrame(conn)
			}}).start(t, "127.0.0.1")
			e := newExchanger(t, Config{})
			x := question(t, s.addr, "www.example.")
			late := waitOverdue(background, 20*time.Second)
			x.Timeout, x.Late, x.TCP = 60*time.Millisecond, late, c.tcp
			ctx, cancel := context.WithCancel(background)
			r, err := e.Exchange(ctx, x)
			cancel()
			if err != resolve.ErrOverdue || !r.TCP || r.Nonsense != resolve.NoNonsense {
				t.Fatalf("%v, TCP %v, nonsense %v", err, r.TCP, r.Nonsense)
			}
			eventually(t, "TCP is asked", func() bool { return s.tcpQueries.Load() == 1 })
			close(release)
			l := <-late.got
			if got := address(t, l.reply, l.err); got != truth || !l.reply.TCP {
				t.Errorf("late: %x over TCP %v", got, l.reply.TCP)
			}
		})
	}
}

// Who waits for a late answer may give it up, and TCP with it; and it is given up after
// the limit.
func TestTCPAsideEndsWithWhoWaits(t *testing.T) {
	s := (&testServer{onUDP: truncatedUDP, onTCP: withoutTCP["silent"]}).start(t, "127.0.0.1")
	e := newExchanger(t, Config{})
	ctx, cancel := context.WithCancel(background)
	defer cancel()
	for name, late := range map[string]*overdue{"a.example.": waitOverdue(ctx, time.Hour), "b.example.": waitOverdue(background, time.Millisecond)} {
		x := tcpQuestion(t, s.addr, name)
		x.Timeout, x.Late = time.Millisecond, late
		if _, err := e.Exchange(background, x); err != resolve.ErrOverdue {
			t.Errorf("%s: %v", name, err)
		}
		cancel()
		if l := <-late.got; l.err == nil || !l.reply.TCP {
			t.Errorf("%s: late %+v", name, l)
		}
	}
	// Without room for more that are waited for, TCP has its own time.
	e.late.max = 0
	x := tcpQuestion(t, s.addr, "c.example.")
	x.Timeout, x.Late = time.Millisecond, waitOverdue(background, time.Hour)
	short, end := context.WithTimeout(background, 100*time.Millisecond)
	defer end()
	if _, err := e.Exchange(short, x); err == nil || err == resolve.ErrOverdue {
		t.Errorf("without room: %v", err)
	}
}

// In a hurry, Timeout is for all that is done: a datagram that may be forged gives TCP no
// time of its own.
func TestInAHurryTCPGetsNoTimeOfItsOwn(t *testing.T) {
	const timeout = 300 * time.Millisecond
	for name, udp := range map[string]func(*testServer, netip.AddrPort, []byte){"nonsense": strayUDP, "truncated": truncatedUDP} {
		s := (&testServer{onUDP: udp, onTCP: withoutTCP["silent"]}).start(t, "127.0.0.1")
		e := newExchanger(t, Config{})
		ctx, cancel := context.WithCancel(background)
		least := map[bool]time.Duration{true: time.Hour, false: time.Hour}
		for range 3 { // the shortest of three, for the machine may be busy
			for _, hurry := range []bool{true, false} {
				x := question(t, s.addr, "www.example.")
				x.Timeout, x.Hurry, x.Late = timeout, hurry, waitOverdue(ctx, time.Hour)
				start := time.Now()
				if _, err := e.Exchange(background, x); err != resolve.ErrOverdue && err != resolve.ErrTimeout {
					t.Errorf("%s: %v", name, err)
				}
				least[hurry] = min(least[hurry], time.Since(start))
			}
		}
		cancel()
		if least[true] > 3*timeout/2 || least[false] < 2*timeout {
			t.Errorf("%s: %v in a hurry, else %v", name, least[true], least[false])
		}
	}
}

// A zone whose only server talks nonsense made clients wait until they had left. The
// caller is told of nonsense, and whose it is, and what is waited for ends sooner than
// for a server that is merely silent.
func TestNonsenseIsToldAndNotWaitedForLong(t *testing.T) {
	junk := func(s *testServer, from netip.AddrPort, q []byte) { s.send(from, make([]byte, 40)) }
	for _, c := range []struct {
		name string
		udp  func(*testServer, netip.AddrPort, []byte)
		tcp  string
		want resolve.Nonsense
	}{
		{"a wrong ID, no TCP", strayUDP, "refused", resolve.NonsenseByUDP},
		{"a wrong ID, silent TCP", strayUDP, "silent", resolve.NonsenseByUDP},
		{"a wrong ID, another question's answer by TCP", strayUDP, "another's", resolve.NonsenseByTCP},
		{"unreadable, no TCP", junk, "refused", resolve.NonsenseByUDP},
		{"unreadable, silent TCP", junk, "silent", resolve.NonsenseByUDP},
		{"silence", nil, "refused", resolve.NoNonsense},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			s := (&testServer{onUDP: c.udp, onTCP: withoutTCP[c.tcp]}).start(t, "127.0.0.1")
			e := newExchanger(t, Config{})
			limit := time.Hour
			if c.want == resolve.NoNonsense {
				limit = time.Millisecond
			}
			x := question(t, s.addr, "www.example.")
			late := waitOverdue(background, limit)
			x.Timeout, x.Late = 60*time.Millisecond, late
			if r, err := e.Exchange(background, x); err != resolve.ErrOverdue || r.Nonsense != c.want {
				t.Errorf("%v, nonsense %v, want %v", err, r.Nonsense, c.want)
			}
			select {
			case l := <-late.got:
				if l.err == nil {
					t.Errorf("late: %+v", l.reply)
				}
			case <-time.After(limits.NonsenseLate + 20*time.Second):
				t.Error("it is waited for without end")
			}
		})
	}
}

// However long a server may take, nonsense is not waited for longer than
// limits.NonsenseTime before it is asked again.
func TestNonsenseEndsALongTime(t *testing.T) {
	for name, udp := range map[string]func(*testServer, netip.AddrPort, []byte){
		"a wrong ID": strayUDP,
		"unreadable": func(s *testServer, from netip.AddrPort, q []byte) { s.send(from, make([]byte, 40)) },
	} {
		s := (&testServer{onUDP: udp}).start(t, "127.0.0.1")
		e := newExchanger(t, Config{})
		ctx, cancel := context.WithCancel(background)
		x := question(t, s.addr, "www.example.")
		x.Timeout, x.Late = limits.UDPMaxTimeout, waitOverdue(ctx, time.Hour)
		least := time.Hour
		for range 2 {
			start := time.Now()
			if _, err := e.Exchange(background, x); err != resolve.ErrOverdue {
				t.Errorf("%s: %v", name, err)
			}
			least = min(least, time.Since(start))
		}
		cancel()
		if least > limits.NonsenseTime+limits.UDPMaxTimeout/3 {
			t.Errorf("%s: %v", name, least)
		}
	}
}

// An answer that was lost among datagrams that cannot be read comes late, by TCP.
func TestAnAnswerLostInAFloodComesLate(t *testing.T) {
	s := (&testServer{onTCP: truthTCP, onUDP: func(s *testServer, from netip.AddrPort, q []byte) {
		s.send(from, make([]byte, 40))
	}}).start(t, "127.0.0.1")
	e := newExchanger(t, Config{})
	x := question(t, s.addr, "www.example.")
	late := waitOverdue(background, 20*time.Second)
	x.Timeout, x.Late = 50*time.Millisecond, late
	_, err := e.Exchange(background, x)
	wantErr(t, err, resolve.ErrOverdue)
	l := <-late.got
	if got := address(t, l.reply, l.err); got != truth || !l.reply.TCP {
		t.Errorf("got %x over TCP %v", got, l.reply.TCP)
	}
}
