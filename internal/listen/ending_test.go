package listen

import (
	"context"
	"errors"
	"io"
	"net"
	"net/netip"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/sys/unix"

	"kresd/internal/clock"
	"kresd/internal/limits"
	"kresd/internal/transport"
)

// A question that crosses the end of an idle connection is read and thrown
// away: left unread, it would make the kernel reset the connection, and a reset
// overtakes answers that the client has not read yet.
func TestIdleConnectionEndsWithoutReset(t *testing.T) {
	s := serve(t, newEcho(), "127.0.0.1:0")
	s.SetTCPIdle(300 * time.Millisecond) // time for a busy machine to ask
	c := tcpClient(t, s.Endpoints()[0].Addr)
	sendFrames(t, c, ask(1, 'f'))
	readFrame(t, c)
	if _, err := nextMessage(c); err != io.EOF {
		t.Fatalf("after the idle time: %v, want %v", err, io.EOF)
	}
	if n := s.Stats().Conns; n != 1 {
		t.Errorf("%d connections while the client's end is open", n)
	}
	closed := time.Now()
	for range 5 {
		if _, err := c.Write(appendFrame(nil, ask(2, 'f'))); err != nil && time.Since(closed) < limits.TCPLinger/2 {
			t.Fatalf("the connection was reset after %v: %v", time.Since(closed), err)
		}
		time.Sleep(10 * time.Millisecond) // a reset comes at once
	}
	if _, err := nextMessage(c); err != io.EOF {
		t.Errorf("behind the end: %v", err)
	}
	eventually(t, "the connection is forgotten, though the client stays", func() bool { return s.Stats().Conns == 0 })
	if st := s.Stats(); st.TCP != 1 {
		t.Errorf("%d questions were looked at, want 1", st.TCP)
	}
}

// A client whose machine is gone leaves no acknowledgements: the kernel gives its
// connection up as soon as we would.
func TestKernelGivesUpWhereWeDo(t *testing.T) {
	s := serve(t, newEcho(), "127.0.0.1:0")
	c := tcpClient(t, s.Endpoints()[0].Addr)
	sendFrames(t, c, ask(1, 'f'))
	readFrame(t, c)
	seen := 0
	s.conns.each(func(conn *connection) {
		err := withFD(conn.connHandler.(*framedConn).nc, func(fd int) (err error) {
			seen, err = unix.GetsockoptInt(fd, unix.IPPROTO_TCP, unix.TCP_USER_TIMEOUT)
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	})
	if want := int(limits.TCPSendStall / time.Millisecond); seen != want {
		t.Errorf("the kernel gives up after %d ms, want %d", seen, want)
	}
}

// A client that closes its side leaves nothing to linger for.
func TestClosedConnectionIsForgottenAtOnce(t *testing.T) {
	s := serve(t, newEcho(), "127.0.0.1:0")
	c := tcpClient(t, s.Endpoints()[0].Addr)
	sendFrames(t, c, ask(1, 'f'))
	readFrame(t, c)
	c.Close()
	start := time.Now()
	eventually(t, "the connection is forgotten", func() bool { return s.Stats().Conns == 0 })
	if took := time.Since(start); took > limits.TCPIdle/2 {
		t.Errorf("it took %v", took)
	}
}

// An active connection outlives the idle time, a silent one does not outlive it
// by much.
func TestIdleTimeBeginsWithEachQuery(t *testing.T) {
	s := serve(t, newEcho(), "127.0.0.1:0")
	const idle = time.Second
	s.SetTCPIdle(idle)
	c, active := stayActive(t, s, idle)
	for !active { // this machine was too busy to ask in time
		c, active = stayActive(t, s, idle)
	}
	start := time.Now()
	if _, err := nextMessage(c); err != io.EOF {
		t.Errorf("a silent connection: %v", err)
	}
	if took := time.Since(start); took > limits.TCPIdle/2 {
		t.Errorf("a silent connection ended after %v, want about %v", took, idle)
	}
}

// stayActive asks now and then for longer than the idle time. It returns false
// when the test itself was silent for too long.
func stayActive(t *testing.T, s *Server, idle time.Duration) (*net.TCPConn, bool) {
	t.Helper()
	c := tcpClient(t, s.Endpoints()[0].Addr)
	last := time.Now()
	for range 6 {
		_, err := c.Write(appendFrame(nil, ask(1, 'f')))
		if err == nil {
			_, err = nextMessage(c)
		}
		if time.Since(last) > idle/2 {
			return c, false
		}
		if err != nil {
			t.Fatalf("an active connection: %v", err)
		}
		last = time.Now()
		time.Sleep(idle / 4)
	}
	return c, true
}

// Reading goes on when less than half of the pipeline is taken, not with each
// answer.
func TestPipelineResumesBelowHalf(t *testing.T) {
	s := New(newEcho(), Options{Limits: &limits.Counters{}})
	s.SetTCPPipeline(8)
	c := newFramedConn(s, transport.TCP, pipeEnd(t), nil)
	c.outstanding.Store(8)
	var went atomic.Bool
	waited := make(chan struct{})
	go func() { c.waitForRoom(); went.Store(true); close(waited) }()
	eventually(t, "the limit is hit", func() bool { return s.limits.Get(limits.TCPPipeline) == 1 })
	for n := int32(8); n > 4; n-- {
		if went.Load() {
			t.Fatalf("reading goes on with %d of 8 waiting", c.outstanding.Load())
		}
		c.answer(nil, nil)
		time.Sleep(time.Millisecond) // for a reader that would go on; nothing depends on it
	}
	comes(t, "reading goes on", waited)
	if n := c.outstanding.Load(); n != 4 {
		t.Errorf("reading goes on with %d of 8 waiting", n)
	}
	s.SetTCPPipeline(0)
	if c.outstanding.Store(0); c.pipelineFull() {
		t.Error("a pipeline of 0 never has room")
	}
}

// pipeEnd is a connection that nothing is done with.
func pipeEnd(t *testing.T) accepted {
	t.Helper()
	ln, err := binder(nil).tcp(netip.MustParseAddrPort("127.0.0.1:0"), false)
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	c := tcpClient(t, plainAddr(ln.Addr()))
	return c
}

// Answers that many clients did not read are not gathered without bound: who has
// too much waits.
func TestAnswersWaitForAClientThatDoesNotRead(t *testing.T) {
	s := New(newEcho(), Options{Limits: &limits.Counters{}})
	c := newFramedConn(s, transport.TCP, pipeEnd(t), nil)
	c.writing = true // somebody is at it, and stuck
	c.outstanding.Store(100)
	msg := make([]byte, limits.TCPSendBuffer/4)
	var left atomic.Int32
	for range 10 {
		go func() { c.answer(nil, msg); left.Add(1) }()
	}
	eventually(t, "four answers have room", func() bool { return left.Load() >= 4 })
	time.Sleep(10 * time.Millisecond)
	if n := left.Load(); n > 4 || c.buffered() > limits.TCPSendBuffer+len(msg) {
		t.Errorf("%d answers with %d octets were taken in, want 4", n, c.buffered())
	}
	c.abort()
	eventually(t, "nobody waits any more", func() bool { return left.Load() == 10 })
}

// Who has something to send beside somebody who writes waits while too much is to be written, and
// not any more when the connection has ended.
func TestWhoSendsWaitsForRoom(t *testing.T) {
	nc := acceptedEnd(t)
	synctest.Test(t, func(t *testing.T) {
		c, _ := timed(nc)
		c.writing = true // somebody is at it, and stuck
		c.put(make([]byte, limits.TCPSendBuffer/2))
		if !c.flush() {
			t.Error("who has room fails")
		}
		c.put(make([]byte, limits.TCPSendBuffer/2))
		left, ok := false, true
		go func() { ok = c.flush(); left = true }()
		if synctest.Wait(); left {
			t.Error("it does not wait")
		}
		c.abort()
		if synctest.Wait(); !left || ok {
			t.Errorf("after the end: it waits %v, has sent %v", !left, ok)
		}
	})
}

// What is evicted or comes too late depends on whether the transport is a
// stream, not on its name.
func TestStreamsAreAnsweredLate(t *testing.T) {
	for k := range transport.Kinds {
		f := clock.NewFake(time.Unix(0, 0))
		s := New(newEcho(), Options{Clock: &f.Clock, Limits: &limits.Counters{}})
		p := s.pending
		path := &countedPath{}
		var q *Query
		for range limits.LateUDPWaiters + 2 {
			q = newQuery(ask(1, 'f'), &Client{Kind: k, Addr: netip.MustParseAddrPort("192.0.2.1:5")}, path)
			if _, ok := p.admit(q); !ok {
				t.Fatal("no place")
			}
		}
		f.Advance(limits.LateUDPReply + time.Second)
		if got := p.late(q); got == k.Stream() {
			t.Errorf("%v: an answer comes too late: %v", k, got)
		}
		if q.Reply(ask(1, 'f')); path.sent > 0 != k.Stream() {
			t.Errorf("%v: %d late answers were sent", k, path.sent)
		}
		q = newQuery(ask(2, 'f'), &Client{Kind: k, Addr: netip.MustParseAddrPort("192.0.2.2:5")}, path)
		if _, ok := p.admit(q); !ok {
			t.Fatal("no place")
		}
		s.evict(q)
		if !errors.Is(q.ctx.Err(), context.Canceled) {
			t.Errorf("%v: the query goes on", k)
		}
		if q.Waiting() != k.Stream() {
			t.Errorf("%v: an evicted query waits for its answer: %v", k, q.Waiting())
		}
	}
}

// A countedPath counts the answers that are sent by it.
type countedPath struct{ sent int }

func (p *countedPath) answer(_ *Query, msg []byte) {
	if len(msg) > 0 {
		p.sent++
	}
}

// Buffers of ordinary size are kept for other answers, and are empty then.
func TestWhichBuffersAreKept(t *testing.T) {
	s := New(newEcho(), Options{})
	for size, kept := range map[int]bool{limits.TCPSendBuffer: true, limits.TCPSendBuffer + 1: false} {
		b := make([]byte, 3, size)
		s.recycle(&b)
		if (len(b) == 0) != kept {
			t.Errorf("one of %d octets is kept: %v", size, len(b) == 0)
		}
	}
}
