package upstream

import (
	"errors"
	"net"
	"net/netip"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"kresd/internal/clock"
	"kresd/internal/limits"
	"kresd/internal/resolve"
)

// leaving is an outgoing address for IPv4 that a test changes.
type leaving struct{ addr atomic.Pointer[netip.Addr] }

func (l *leaving) set(text string) {
	a := netip.MustParseAddr(text)
	l.addr.Store(&a)
}

func (l *leaving) outgoing() (v4, v6 netip.Addr) { return *l.addr.Load(), netip.Addr{} }

// A kept connection from an address that questions are not to leave from any more is
// closed; the next question has one of its own, and so has each after the setting
// changes back.
func TestKeptConnectionsFollowTheOutgoingAddress(t *testing.T) {
	from, ended := make(chan string, 4), make(chan string, 4)
	s := (&testServer{onTCP: func(s *testServer, c net.Conn) {
		ip := c.RemoteAddr().(*net.TCPAddr).IP.String()
		for q := s.readFrame(c); q != nil; q = s.readFrame(c) {
			from <- ip
			writeFrame(c, reply(q, truth))
		}
		ended <- ip
	}}).start(t, "127.0.0.1")
	var l leaving
	l.set("127.0.0.2")
	e := newExchanger(t, Config{Outgoing: l.outgoing})
	ask := func(want string) {
		t.Helper()
		r, err := e.Exchange(background, tcpQuestion(t, s.addr, "www.example."))
		address(t, r, err)
		if got := <-from; got != want {
			t.Errorf("asked from %s, want %s", got, want)
		}
	}
	ask("127.0.0.2")
	ask("127.0.0.2")
	for _, next := range [][2]string{{"127.0.0.2", "127.0.0.3"}, {"127.0.0.3", "0.0.0.0"}} {
		l.set(next[1])
		if next[1] == "0.0.0.0" {
			next[1] = "127.0.0.1"
		}
		ask(next[1])
		if got := <-ended; got != next[0] {
			t.Errorf("the connection from %s ended, want that from %s", got, next[0])
		}
	}
	if n := s.tcpConns.Load(); n != 3 {
		t.Errorf("%d connections, want 3", n)
	}
}

// A question that waits on a connection from the former address gets its answer; then
// the connection ends.
func TestAQuestionOutlivesTheOutgoingAddress(t *testing.T) {
	asked, answer, ended := make(chan struct{}, 1), make(chan struct{}), make(chan struct{})
	s := (&testServer{onTCP: func(s *testServer, c net.Conn) {
		if c.RemoteAddr().(*net.TCPAddr).IP.String() == "127.0.0.3" {
			truthTCP(s, c)
			return
		}
		q := s.readFrame(c)
		asked <- struct{}{}
		<-answer
		writeFrame(c, reply(q, truth))
		s.readFrame(c)
		close(ended)
	}}).start(t, "127.0.0.1")
	var l leaving
	l.set("127.0.0.2")
	e := newExchanger(t, Config{Outgoing: l.outgoing})
	var slow sync.WaitGroup
	slow.Go(func() {
		r, err := e.Exchange(background, tcpQuestion(t, s.addr, "slow.example."))
		address(t, r, err)
	})
	<-asked
	l.set("127.0.0.3")
	r, err := e.Exchange(background, tcpQuestion(t, s.addr, "www.example."))
	address(t, r, err)
	close(answer)
	slow.Wait()
	<-ended
}

// A kept UDP socket is bound to the address that questions left from when it was made.
func TestKeptSocketsFollowTheOutgoingAddress(t *testing.T) {
	from := make(chan netip.AddrPort, 1)
	s := (&testServer{onUDP: func(s *testServer, f netip.AddrPort, q []byte) {
		from <- f
		truthUDP(s, f, q)
	}}).start(t, "127.0.0.1")
	var l leaving
	e := newExchanger(t, Config{Outgoing: l.outgoing})
	for _, a := range []string{"127.0.0.2", "127.0.0.2", "127.0.0.3", "127.0.0.2"} {
		l.set(a)
		r, err := e.Exchange(background, question(t, s.addr, "www.example."))
		address(t, r, err)
		if got := (<-from).Addr().String(); got != a {
			t.Errorf("asked from %s, want %s", got, a)
		}
	}
}

// An outgoing address that the machine does not have is named, to whoever asks and in
// the log, there once in a while only.
func TestAMissingOutgoingAddressIsNamed(t *testing.T) {
	s := (&testServer{onTCP: truthTCP, onUDP: truthUDP}).start(t, "127.0.0.1")
	var l leaving
	var lines []string
	ck := clock.NewFake(time.Unix(1e9, 0))
	e := newExchanger(t, Config{Outgoing: l.outgoing, Clock: &ck.Clock, Warn: func(line string) { lines = append(lines, line) }})
	fails := func(addr string) {
		t.Helper()
		l.set(addr)
		want := "no socket can be bound to " + addr + ", the outgoing address"
		for _, x := range []resolve.Exchange{question(t, s.addr, "www.example."), tcpQuestion(t, s.addr, "www.example.")} {
			_, err := e.Exchange(background, x)
			if wantErr(t, err, resolve.ErrLocal); err.Error() != want {
				t.Errorf("TCP %v: %q, want %q", x.TCP, err, want)
			}
		}
		if len(lines) > 0 && lines[len(lines)-1] != want {
			t.Errorf("the log has %q, want %q at the end", lines, want)
		}
	}
	logged := func(want int) {
		t.Helper()
		if len(lines) != want {
			t.Errorf("%d lines in the log, want %d: %q", len(lines), want, lines)
		}
	}
	fails("203.0.113.1")
	logged(1)
	fails("203.0.113.2")
	logged(2)
	ck.Advance(limits.OutgoingSaid - time.Millisecond)
	fails("203.0.113.2")
	logged(2)
	ck.Advance(time.Millisecond)
	fails("203.0.113.2")
	logged(3)
	l.set("127.0.0.2")
	r, err := e.Exchange(background, question(t, s.addr, "www.example."))
	address(t, r, err)
}

// What the system says to a socket whose address is gone has other reasons, too.
func TestWhetherTheSourceHasVanished(t *testing.T) {
	for _, c := range []struct {
		source string
		errno  syscall.Errno
		want   bool
	}{
		{"203.0.113.1", syscall.EINVAL, true},
		{"2001:db8::1", syscall.EINVAL, true},
		{"fe80::1%gone0", syscall.EINVAL, true},
		{"127.0.0.2", syscall.EINVAL, false},
		{"0.0.0.0", syscall.EINVAL, false},
		{"203.0.113.1", syscall.ENETUNREACH, true},
		{"203.0.113.1", syscall.EADDRNOTAVAIL, true},
		{"127.0.0.2", syscall.ENETUNREACH, false},
		{"203.0.113.1", syscall.ECONNREFUSED, false},
		{"192.0.2.1", 0, false},
	} {
		if got := vanished(netip.MustParseAddr(c.source), c.errno); got != c.want {
			t.Errorf("%s, %v: vanished %v, want %v", c.source, c.errno, got, c.want)
		}
	}
}

// A question that gets no answer may have left from an address that is gone; what has another
// reason is told as it is.
func TestASilenceMayBeThatOfOurOwnAddress(t *testing.T) {
	var l leaving
	e := newExchanger(t, Config{Outgoing: l.outgoing})
	x := question(t, netip.MustParseAddrPort("127.0.0.1:53"), "www.example.")
	for _, c := range []struct {
		source string
		err    error
		gone   bool
	}{
		{"203.0.113.1", resolve.ErrTimeout, true}, {"203.0.113.1", resolve.ErrOverdue, true}, {"203.0.113.1", resolve.ErrUnreachable, true},
		{"203.0.113.1", resolve.ErrBudget, false}, {"203.0.113.1", ErrBusy, false}, {"203.0.113.1", nil, false},
		{"127.0.0.2", resolve.ErrTimeout, false}, {"0.0.0.0", resolve.ErrTimeout, false},
	} {
		l.set(c.source)
		got := e.bySource(&x, c.err)
		if _, gone := errors.AsType[*resolve.NoSource](got); gone != c.gone || !gone && got != c.err {
			t.Errorf("from %s, %v: %v", c.source, c.err, got)
		}
	}
}
