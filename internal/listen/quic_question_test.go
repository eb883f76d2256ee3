package listen

import (
	"context"
	"strings"
	"testing"
	"time"

	"kresd/internal/doq"
	"kresd/internal/limits"
)

// A dropper answers nothing on the driver's way.
type dropper struct{ *echo }

func (dropper) Resolve(_ context.Context, q *Query) { q.Drop() }

// A question that is not answered is told so at once, whoever has dropped it, and holds nothing
// up: what is asked next is answered, and the connection counts as idle.
func TestQUICQuestionsThatAreDroppedEndAtOnce(t *testing.T) {
	all, at, conf := serveQUIC(t, dropper{newEcho()}, 1)
	c := quicClient(t, at, conf)
	for _, how := range []byte("xd") {
		msg, err := askQUIC(c, ask(0, how))
		if code, reset := doq.ResetOf(err); !reset || code != doq.Unspecified {
			t.Errorf("%c: %v, %v, want %v", how, msg, err, doq.Unspecified)
		}
	}
	if _, err := askQUIC(c, ask(0, 'f')); err != nil {
		t.Errorf("afterwards: %v", err)
	}
	eventually(t, "its connection is idle", func() bool {
		n, waits := 0, int32(0)
		all[0].conns.each(func(c *connection) { n++; waits += c.outstanding.Load() })
		return n == 1 && waits == 0
	})
}

// Who comes while keys change, or an address is closed, is served and soon told to come again,
// however long others may stay silent.
func TestQUICClientsWhoComeLateAreInAHurry(t *testing.T) {
	all, at, conf := serveQUIC(t, newEcho(), 1)
	s := all[0]
	s.SetTCPIdle(10 * time.Minute)
	before := quicClient(t, at, conf)
	if _, err := askQUIC(before, ask(0, 'f')); err != nil {
		t.Fatal(err)
	}
	s.endpoints[0].socket.(*quicSocket).latest().hurry()
	quicEnds(t, "who came before", before)
	late := quicClient(t, at, conf)
	if _, err := askQUIC(late, ask(0, 'f')); err != nil {
		t.Errorf("who comes late: %v", err)
	}
	quicEnds(t, "who came late", late)
}

// A socket is waited for until nobody is served, and no longer than it is told.
func TestHowLongASocketOverQUICIsWaitedFor(t *testing.T) {
	all, at, conf := serveQUIC(t, newEcho(), 1)
	s := all[0]
	c := quicClient(t, at, conf)
	if _, err := askQUIC(c, ask(0, 'f')); err != nil {
		t.Fatal(err)
	}
	q := s.endpoints[0].socket.(*quicSocket)
	if q.wait(s.clock.Mono() + time.Millisecond) {
		t.Error("it is quiet with a client")
	}
	c.Close()
	if !q.wait(s.clock.Mono() + time.Minute) {
		t.Error("it is not quiet when its client has gone")
	}
}

// Where no socket can be had for other keys this is told, and the socket stays as it was.
func TestKeysThatCannotBeRenewed(t *testing.T) {
	all, at, conf := serveQUIC(t, newEcho(), 1)
	s := all[0]
	q := s.endpoints[0].socket.(*quicSocket)
	former := q.latest()
	s.quicKey = func(string) [32]byte { return [32]byte{1} }
	s.quicDir = "/dev/null"
	if err := s.RenewKeys(); err == nil || !strings.Contains(err.Error(), at.Addr().String()) || q.latest() != former {
		t.Errorf("%v; another era: %v", err, q.latest() != former)
	}
	if _, err := askQUIC(quicClient(t, at, conf), ask(0, 'f')); err != nil {
		t.Errorf("afterwards: %v", err)
	}
}

// A client that takes no answers loses them in time, and the memory that they have here is free.
func TestQUICClientsThatDoNotReadLoseTheirAnswers(t *testing.T) {
	t.Parallel() // it waits for long
	all, at, conf := serveQUIC(t, newEcho(), 1)
	s := all[0]
	c := oddQUIC(t, at, conf)
	long := appendFrame(nil, ask13(60000))
	go func() {
		for range 20 {
			if c.Begin(t.Context(), long) != nil {
				return // the connection has ended
			}
		}
	}()
	eventually(t, "an answer is given up", func() bool { return s.Stats().TCPStalled > 0 && s.limits.Get(limits.TCPTime) > 0 })
}

// A question whose rest does not come has limits.TCPWholeMessage, and no more.
func TestQUICSlowQuestionsEnd(t *testing.T) {
	t.Parallel() // it waits for long
	all, at, conf := serveQUIC(t, newEcho(), 1)
	s := all[0]
	c := oddQUIC(t, at, conf)
	begun := time.Now()
	if err := c.Begin(t.Context(), appendFrame(nil, ask(0, 'f'))[:9]); err != nil {
		t.Fatal(err)
	}
	eventually(t, "it is given up", func() bool { return s.limits.Get(limits.TCPTime) == 1 && s.slowStreams.Taken() == 0 })
	if took := time.Since(begun); took < limits.TCPWholeMessage {
		t.Errorf("it was given up after %v", took)
	}
}
