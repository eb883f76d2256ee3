package upstream

import (
	"bytes"
	"context"
	"errors"
	"net/netip"
	"syscall"
	"testing"
	"time"

	"kresd/internal/limits"
	"kresd/internal/resolve"

	"golang.org/x/sys/unix"
)

// reception is that of a goroutine which receives for as many waits as it is told, and
// passes it on then.
type reception struct {
	waits  int // that it has left
	waited int
	passed bool
}

func (r *reception) Await(fd int, d time.Duration) (readable, held bool) {
	if r.passed || r.waits == 0 {
		r.passed = true
		return false, false
	}
	r.waits--
	r.waited++
	fds := []unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}
	for until := time.Now().Add(d); ; {
		n, err := unix.Poll(fds, int(max(time.Until(until), 0)/time.Millisecond))
		if !errors.Is(err, syscall.EINTR) {
			return n > 0, true
		}
	}
}

func (r *reception) Pass() { r.passed = true }

// A question over UDP is waited for by its Reception as long as that is held, and by the
// poller then. Nothing that was used in the one way is in the way of the other.
func TestAnswersAreAwaitedByTheReception(t *testing.T) {
	e := newExchanger(t, Config{})
	s := (&testServer{onUDP: func(s *testServer, from netip.AddrPort, q []byte) {
		read := e.Stats().Ignored
		s.send(from, []byte("junk")) // what has to be waited on after
		eventually(t, "it is read", func() bool { return e.Stats().Ignored > read })
		truthUDP(s, from, q)
	}}).start(t, "127.0.0.1")
	for i := range 2 * limits.UpstreamSocketUses {
		r := &reception{waits: i % 4}
		x := question(t, s.addr, "www.example.")
		x.Reception = r
		reply, err := e.Exchange(background, x)
		if got := address(t, reply, err); got != truth {
			t.Fatalf("answer %x, want %x", got, truth)
		}
		if few := i%4 < 2; few != r.passed || r.waited == 0 && i%4 > 0 {
			t.Fatalf("with %d waits: waited %d times, passed %v", i%4, r.waited, r.passed)
		}
	}
}

// The poller, which watched a socket for one question, is not woken by the answer to a later
// one that its Reception waits for.
func TestWhatTheReceptionAwaitsDoesNotWakeThePoller(t *testing.T) {
	s := (&testServer{onUDP: truthUDP}).start(t, "127.0.0.1")
	e := newExchanger(t, Config{Clock: stopped()})
	ask := func(r *reception) (watched bool) {
		t.Helper()
		x := question(t, s.addr, "www.example.")
		x.Reception = r
		if _, err := e.Exchange(background, x); err != nil {
			t.Fatal(err)
		}
		e.poller.mu.Lock()
		defer e.poller.mu.Unlock()
		a := e.poller.idle.take(s.addr)
		if a == nil {
			t.Fatal("the socket is not kept for another question")
		}
		defer e.poller.idle.put(a)
		_, _, errno := unix.RawSyscall6(unix.SYS_EPOLL_CTL, uintptr(e.poller.ep), unix.EPOLL_CTL_DEL, uintptr(a.fd), 0, 0, 0)
		if watched = errno == 0; watched {
			a.watched = false
			if errno := e.poller.watch(a); errno != 0 {
				t.Fatal(errno)
			}
		}
		return watched
	}
	if !ask(&reception{}) {
		t.Error("the poller does not know a socket where nobody else waits")
	}
	if ask(&reception{waits: 1 << 30}) {
		t.Error("the poller is told of what the Reception waits for")
	}
	if !ask(&reception{}) {
		t.Error("the poller does not know the socket when nobody else waits again")
	}
}

// Silence ends a wait by the Reception when it ends others.
func TestSilenceEndsAWaitByTheReception(t *testing.T) {
	s := (&testServer{onUDP: func(*testServer, netip.AddrPort, []byte) {}}).start(t, "127.0.0.1")
	e := newExchanger(t, Config{})
	x := question(t, s.addr, "www.example.")
	x.Timeout, x.Reception = 60*time.Millisecond, &reception{waits: 1 << 30}
	began := time.Now()
	if _, err := e.Exchange(background, x); !errors.Is(err, resolve.ErrTimeout) || time.Since(began) < x.Timeout-2*time.Millisecond {
		t.Errorf("%v after %v", err, time.Since(began))
	}
}

// The end of a request ends a wait by its Reception, and is not taken for the server's
// silence.
func TestTheEndOfARequestEndsAWaitByTheReception(t *testing.T) {
	s := (&testServer{onUDP: func(*testServer, netip.AddrPort, []byte) {}}).start(t, "127.0.0.1")
	e := newExchanger(t, Config{})
	x := question(t, s.addr, "www.example.")
	x.Timeout, x.Reception = limits.UDPMaxTimeout, &reception{waits: 1 << 30}
	ctx, end := context.WithTimeout(background, 60*time.Millisecond)
	defer end()
	began := time.Now()
	if _, err := e.Exchange(ctx, x); !errors.Is(err, context.DeadlineExceeded) || time.Since(began) > limits.UDPMaxTimeout/2 {
		t.Errorf("%v after %v", err, time.Since(began))
	}
}

// endless is a Reception of who asks a server that sends without end, until some time.
type endless time.Time

func (r endless) Await(int, time.Duration) (readable, held bool) {
	return true, time.Now().Before(time.Time(r))
}

func (endless) Pass() {}

// A server that sends without end what cannot be read does not keep who waits by a
// Reception beyond the time for the answer.
func TestAFloodDoesNotHoldAWaitByTheReception(t *testing.T) {
	s := (&testServer{onUDP: func(s *testServer, from netip.AddrPort, _ []byte) {
		s.send(from, bytes.Repeat([]byte{0xff}, 100))
	}}).start(t, "127.0.0.1")
	e := newExchanger(t, Config{})
	x := question(t, s.addr, "www.example.")
	began := time.Now()
	x.Timeout, x.Reception = 60*time.Millisecond, endless(began.Add(3*time.Second))
	if _, err := e.Exchange(background, x); !errors.Is(err, resolve.ErrTimeout) || time.Since(began) > 2*time.Second {
		t.Errorf("%v after %v", err, time.Since(began))
	}
}

// Whoever waits for something else than an answer over UDP passes the Reception on before.
func TestWhatElseIsWaitedForPassesTheReception(t *testing.T) {
	s := (&testServer{onUDP: truthUDP, onTCP: truthTCP}).start(t, "127.0.0.1")
	e := newExchanger(t, Config{})
	r := &reception{waits: 1 << 30}
	x := question(t, s.addr, "www.example.")
	x.TCP, x.Reception = true, r
	if _, err := e.Exchange(background, x); err != nil || !r.passed || r.waited > 0 {
		t.Errorf("by TCP: %v, passed %v, %d waits", err, r.passed, r.waited)
	}
}
