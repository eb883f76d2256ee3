package upstream

import (
	"context"
	"net"
	"net/netip"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"kresd/internal/limits"
	"kresd/internal/resolve"
	"kresd/internal/zonecut"
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

// How long a connection is waited for before others are asked: twice as long as UDP, as TCP
// takes two round trips; longer where TLS takes more; and in a hurry what UDP has left.
func TestPatience(t *testing.T) {
	const wait = 100 * time.Millisecond
	tls := peer(t, zonecut.DoT, 1)
	for _, c := range []struct {
		peer      zonecut.Peer
		hurry     bool
		wait, rtt time.Duration
		want      time.Duration
	}{
		{zonecut.Peer{}, false, wait, 30 * time.Millisecond, 2 * wait},
		{zonecut.Peer{}, true, wait, 30 * time.Millisecond, 70 * time.Millisecond},
		{zonecut.Peer{}, true, wait, time.Second, 0},
		{tls, false, wait, 0, 4 * wait},
		{tls, true, wait, 0, 4 * wait},
		{tls, false, limits.UDPMaxTimeout, 0, limits.UDPMaxTimeout},
	} {
		x := &resolve.Exchange{Timeout: c.wait, Hurry: c.hurry}
		x.Peer = c.peer
		if got := patience(x, c.rtt); got != c.want {
			t.Errorf("%v in a hurry %v: %v, want %v", c.peer.Protocol(), c.hurry, got, c.want)
		}
	}
}

// binding is a context that counts what ends with it.
type binding struct {
	context.Context
	done  chan struct{}
	bound atomic.Int32
}

func (b *binding) Done() <-chan struct{} { return b.done }

// AfterFunc is called by package context.
func (b *binding) AfterFunc(func()) (stop func() bool) {
	b.bound.Add(1)
	return func() bool { b.bound.Add(-1); return true }
}

// What is asked over a connection beside leaves nothing behind with the request, which may go
// on for long, nor with who waits for what is late.
func TestNothingStaysBoundToARequest(t *testing.T) {
	for what, c := range map[string]struct {
		udp  func(*testServer, netip.AddrPort, []byte)
		tcp  bool
		late bool
		room int // for late answers
	}{
		"by TCP":                           {tcp: true, room: 1},
		"truncated":                        {udp: truncatedUDP, room: 1},
		"doubtful":                         {udp: strayUDP, room: 1},
		"by TCP, late":                     {tcp: true, late: true, room: 1},
		"doubtful, late":                   {udp: strayUDP, late: true, room: 1},
		"by TCP, late, and no room for it": {tcp: true, late: true},
	} {
		release := make(chan struct{})
		var once sync.Once
		s := (&testServer{onUDP: c.udp, onTCP: func(s *testServer, conn net.Conn) {
			for q := s.readFrame(conn); q != nil; q = s.readFrame(conn) {
				if c.late && c.room == 0 {
					time.AfterFunc(50*time.Millisecond, func() { once.Do(func() { close(release) }) }) // after its time
				}
				if c.late {
					<-release
				}
				writeFrame(conn, reply(q, truth))
			}
		}}).start(t, "127.0.0.1")
		e := newExchanger(t, Config{})
		e.late.max = c.room
		own, waiting := &binding{Context: background, done: make(chan struct{})}, &binding{Context: background, done: make(chan struct{})}
		x := question(t, s.addr, "www.example.")
		late := waitOverdue(waiting, 20*time.Second)
		x.TCP, x.Late = c.tcp, late
		if c.late {
			x.Timeout = 10 * time.Millisecond
		}
		r, err := e.Exchange(own, x)
		if c.late && c.room > 0 {
			wantErr(t, err, resolve.ErrOverdue)
			if own.bound.Load() != 0 || c.tcp && waiting.bound.Load() != 1 {
				t.Errorf("%s: %d things end with the request, %d with who waits", what, own.bound.Load(), waiting.bound.Load())
			}
			close(release)
			l := <-late.got
			r, err = l.reply, l.err
		}
		if got := address(t, r, err); got != truth || !r.TCP {
			t.Errorf("%s: got %x over TCP %v", what, got, r.TCP)
		}
		eventually(t, what+": nothing is left", func() bool { return own.bound.Load() == 0 && waiting.bound.Load() == 0 })
	}
}
