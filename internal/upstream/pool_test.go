package upstream

import (
	"context"
	"net"
	"net/netip"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"kresd/internal/wire"
	"kresd/internal/zonecut"
)

// politeLink takes its time to say goodbye.
type politeLink struct {
	link
	goodbye, gone chan struct{}
	once          sync.Once
}

func (l *politeLink) close() error {
	<-l.goodbye
	l.once.Do(func() { close(l.gone) })
	return nil
}

func (l *politeLink) read(func() bool) ([]byte, error) {
	<-l.gone
	return nil, net.ErrClosed
}

func (l *politeLink) open() bool { return true }

// A connection that takes long to close, as the goodbye of TLS may, holds up no question
// to others.
func TestASlowGoodbyeHoldsUpNobody(t *testing.T) {
	var from atomic.Int32
	e := newExchanger(t, Config{Outgoing: func() (v4, v6 netip.Addr) {
		return netip.AddrFrom4([4]byte{127, 0, 0, byte(1 + from.Load())}), netip.Addr{}
	}})
	l := &politeLink{goodbye: make(chan struct{}), gone: make(chan struct{})}
	e.pool.dialers[zonecut.Do53] = func(context.Context, zonecut.Endpoint, netip.Addr) (link, error) { return l, nil }
	x := tcpQuestion(t, netip.MustParseAddrPort("127.0.0.1:53"), "www.example.")
	c, w, err := e.pool.get(&x, false)
	if err != nil {
		t.Fatal(err)
	}
	<-c.dialed
	c.forget(w)
	from.Store(1) // what comes from the old address is closed
	began := make(chan struct{})
	go func() {
		defer close(began)
		other, w, err := e.pool.get(&x, false)
		if err != nil || other == c {
			t.Errorf("%v", err)
			return
		}
		other.forget(w)
	}()
	select {
	case <-began:
	case <-time.After(5 * time.Second):
		t.Error("a question waits for the goodbye of another connection")
	}
	close(l.goodbye)
	<-began
}

// deafConn takes nothing any more, and has an answer that came before.
type deafConn struct {
	playedConn
	closed atomic.Bool
}

func (c *deafConn) Write([]byte) (int, error)        { return 0, syscall.EPIPE }
func (c *deafConn) SetWriteDeadline(time.Time) error { return nil }
func (c *deafConn) Close() error                     { c.closed.Store(true); return nil }

// What a server has answered before it closed a connection counts, although another
// question can no longer be written to it.
func TestAFailedWriteLosesNoAnswer(t *testing.T) {
	q, want := aQuestion()
	e := newExchanger(t, Config{})
	answered := &waiter{want: *want, got: make(chan delivery, 1)}
	c := &connection{pool: e.pool, dialed: make(chan struct{}), waiting: map[uint16]*waiter{want.id: answered}}
	close(c.dialed)
	conn := &deafConn{}
	r := reply(q, truth)
	conn.said.Reset(append([]byte{0, byte(len(r))}, r...))
	c.link = newStream(conn, zonecut.Do53)
	x := tcpQuestion(t, netip.MustParseAddrPort("127.0.0.1:53"), "other.example.")
	w := c.enter()
	if _, err := c.ask(background, &x, w, false); err != errConnEnded {
		t.Fatalf("the write says %v", err)
	}
	c.forget(w)
	if conn.closed.Load() || c.enter() != nil {
		t.Error("the connection is closed, or takes more")
	}
	c.read()
	if a := <-answered.got; a.err != nil || len(a.pkt) <= wire.HeaderLen {
		t.Errorf("the answer is %+v", a)
	}
}
