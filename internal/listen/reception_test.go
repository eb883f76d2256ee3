package listen

import (
	"context"
	"net"
	"os"
	"testing"
	"testing/synctest"
	"time"

	"kresd/internal/limits"
)

// A carrier resolves by the octet behind the header: 'a' when the pipe is readable, waited for by
// the query's Reception, 'o' after a short wait by it that is in vain, 'b' when release is closed and
// the Reception was passed on before, 'c' then without that, 'l' then after many waits for the pipe.
type carrier struct {
	*echo
	pipe *os.File
	told chan string // that a question is carried, and how a wait by the Reception ended
}

func (h *carrier) Resolve(_ context.Context, q *Query) {
	r := q.Reception()
	if r == nil {
		h.told <- "carried by another"
		return
	}
	h.told <- "carried"
	switch q.Wire[headerLen] {
	case 'a':
		readable, held := r.Await(int(h.pipe.Fd()), 10*time.Second)
		h.told <- howItEnded(readable, held)
	case 'o':
		readable, held := r.Await(int(h.pipe.Fd()), 3*time.Millisecond)
		h.told <- howItEnded(readable, held)
	case 'b':
		r.Pass()
		r.Pass() // does nothing
		<-h.release
		readable, held := r.Await(int(h.pipe.Fd()), time.Minute)
		h.told <- howItEnded(readable, held)
	case 'c':
		<-h.release
	case 'l':
		for held, ended := true, false; held && !ended; {
			_, held = r.Await(int(h.pipe.Fd()), time.Minute)
			select {
			case <-h.release:
				ended = true
			default:
			}
		}
		<-h.release // who is starved for a moment has the Reception taken from it
	}
	out := make([]byte, len(q.Wire)+1)
	q.Reply(echoTo(q.Wire, &q.Client, out))
}

func howItEnded(readable, held bool) string {
	switch {
	case !held:
		return "passed"
	case readable:
		return "readable"
	}
	return "in vain"
}

func newCarrier(t *testing.T) (*carrier, *os.File) {
	t.Helper()
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { r.Close(); w.Close() })
	return &carrier{newEcho(), r, make(chan string, 8)}, w
}

// alone sends a question and returns when it is being carried by who received it.
func (h *carrier) alone(t *testing.T, c *net.UDPConn, id uint16, how byte) {
	t.Helper()
	if _, err := c.Write(ask(id, how)); err != nil {
		t.Fatal(err)
	}
	if told := <-h.told; told != "carried" {
		t.Fatalf("question %d is %s", id, told)
	}
}

// answered expects the answer with that ID next.
func answered(t *testing.T, got []byte, id byte) {
	t.Helper()
	if got[1] != id {
		t.Fatalf("the answer to question %d came instead of %d's", got[1], id)
	}
}

// Who carries a question that came alone waits for its server and answers others
// meanwhile, also where one of them makes the session panic.
func TestALoneQuestionIsCarriedByWhoReceives(t *testing.T) {
	h, w := newCarrier(t)
	s := serve(t, h, "127.0.0.1:0")
	c := udpClient(t, s.Endpoints()[0].Addr)
	for round := range 3 {
		h.alone(t, c, 7, 'a')
		for i := range byte(20) {
			answered(t, exchange(t, c, ask(uint16(i), 'f')), i)
			time.Sleep(time.Millisecond) // some while nobody waits, some while somebody sleeps
		}
		if got := exchange(t, c, ask(9, 'p')); got[1] != 9 || got[3] != 2 {
			t.Fatalf("after a panic: %v", got)
		}
		if _, err := w.Write([]byte{1}); err != nil {
			t.Fatal(err)
		}
		buf := make([]byte, 100)
		if n, err := c.Read(buf); err != nil || buf[1] != 7 {
			t.Fatalf("round %d: %v, %v", round, buf[:n], err)
		}
		if told := <-h.told; told != "readable" {
			t.Fatalf("the wait was %s", told)
		}
		if _, err := h.pipe.Read(buf[:1]); err != nil {
			t.Fatal(err)
		}
		h.alone(t, c, 8, 'o')
		if told := <-h.told; told != "in vain" {
			t.Fatalf("the wait for nothing was %s", told)
		}
		if n, err := c.Read(buf); err != nil || buf[1] != 8 {
			t.Fatalf("round %d: %v, %v", round, buf[:n], err)
		}
	}
}

// Where the reception is passed on, questions are answered, and more than one such goes at
// once; the passed one is of no use for waiting.
func TestWhoPassesTheReceptionIsFollowed(t *testing.T) {
	h, _ := newCarrier(t)
	s := serve(t, h, "127.0.0.1:0")
	c := udpClient(t, s.Endpoints()[0].Addr)
	const n = 5
	for i := range uint16(n) {
		h.alone(t, c, i, 'b')
		answered(t, exchange(t, c, ask(100, 'f')), 100)
	}
	close(h.release)
	for range n {
		if told := <-h.told; told != "passed" {
			t.Errorf("the wait was %s", told)
		}
		if _, err := c.Read(make([]byte, 100)); err != nil {
			t.Fatal(err)
		}
	}
}

// A goroutine that blocks without having passed the reception on keeps it for a moment only.
func TestABlockedCarrierLosesTheReception(t *testing.T) {
	h, _ := newCarrier(t)
	s := serve(t, h, "127.0.0.1:0")
	c := udpClient(t, s.Endpoints()[0].Addr)
	const n = 3
	for i := range uint16(n) {
		h.alone(t, c, i, 'c')
		began := time.Now()
		answered(t, exchange(t, c, ask(100, 'f')), 100)
		if took := time.Since(began); took > 10*limits.ReceptionCheck {
			t.Logf("nobody received for %v", took) // a busy machine, perhaps
		}
	}
	close(h.release)
	for range n {
		if _, err := c.Read(make([]byte, 100)); err != nil {
			t.Fatal(err)
		}
	}
}

// A socket is left while a question is carried by who receives from it; the answer still
// goes out.
func TestLeavingWhileAQuestionIsCarried(t *testing.T) {
	h, w := newCarrier(t)
	s := serve(t, h, "127.0.0.1:0")
	at := s.Endpoints()[0].Addr
	c := udpClient(t, at)
	h.alone(t, c, 1, 'a')
	answered(t, exchange(t, c, ask(2, 'f')), 2)
	if !s.Close(at) {
		t.Fatal("nothing to close")
	}
	if told := <-h.told; told != "passed" {
		t.Fatalf("the wait was %s", told)
	}
	_ = w.Close()
	buf := make([]byte, 100)
	if _, err := c.Read(buf); err != nil || buf[1] != 1 {
		t.Errorf("%v, %v", buf[:2], err)
	}
}

// A server that sends without end has who asked it read without end. Others' questions are
// received all the same.
func TestAServerThatSendsWithoutEndKeepsNobodyWaiting(t *testing.T) {
	h, w := newCarrier(t)
	s := serve(t, h, "127.0.0.1:0")
	c := udpClient(t, s.Endpoints()[0].Addr)
	_ = c.SetDeadline(time.Now().Add(5 * time.Second))
	if _, err := w.Write([]byte{1}); err != nil { // which nobody reads
		t.Fatal(err)
	}
	h.alone(t, c, 1, 'l')
	for i := range byte(20) {
		answered(t, exchange(t, c, ask(uint16(2+i), 'f')), 2+i)
	}
	close(h.release)
	buf := make([]byte, 100)
	if n, err := c.Read(buf); err != nil || buf[1] != 1 {
		t.Errorf("%v, %v", buf[:n], err)
	}
}

// Who waits for a server and for clients, and neither sends anything, is told of neither.
func TestAWaitInVainTellsOfNobody(t *testing.T) {
	h, _ := newCarrier(t)
	th, c := ownThread(t, "127.0.0.1:0")
	for _, d := range []time.Duration{limits.UnscheduledWait, 2 * limits.UnscheduledWait} {
		if server, clients := th.awaitEither(int(h.pipe.Fd()), d); server || clients {
			t.Errorf("in %v: server %v, clients %v", d, server, clients)
		}
	}
	if _, err := c.Write(ask(1, 'f')); err != nil {
		t.Fatal(err)
	}
	if server, clients := th.awaitEither(int(h.pipe.Fd()), time.Minute); server || !clients {
		t.Errorf("a client asks: server %v, clients %v", server, clients)
	}
	if n := th.u.s.unscheduled.Load(); n != 0 {
		t.Errorf("%d threads hold a processor", n)
	}
}

// On a machine with one processor a thread waits without the scheduler's knowledge where
// nothing else is to be done, and no second one beside it.
func TestWhoHoldsAProcessor(t *testing.T) {
	th, _ := ownThread(t, "127.0.0.1:0")
	pending := th.u.s.pending
	for _, c := range []struct {
		procs int32
		quiet bool
		most  int
	}{{1, false, 0}, {1, true, 1}, {2, false, 1}, {2, true, 1}, {4, false, 3}} {
		th.procs = c.procs
		pending.quiet.Store(c.quiet)
		held := 0
		for range 8 {
			if th.holdProcessor() {
				held++
			}
		}
		if held != c.most || th.u.s.unscheduled.Load() != int32(held) {
			t.Errorf("%d processors, quiet %v: %d wait, %d are counted, want %d", c.procs, c.quiet, held, th.u.s.unscheduled.Load(), c.most)
		}
		th.u.s.unscheduled.Store(0)
	}
}

// A Reception that begins to carry while somebody ends a check of the one before relies on
// being checked, too.
func TestAReceptionThatBeginsDuringACheckIsChecked(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := New(newEcho(), Options{Limits: &limits.Counters{}})
		th := &udpThread{u: &udpSocket{s: s}}
		th.checkDue.Store(true) // a check is under way, of another one that was passed on
		now := &Reception{t: th}
		th.reception.Store(now)
		now.carryOn()
		if th.checked(true); !th.checkDue.Load() || s.pending.alarms.Len() != 1 {
			t.Errorf("check due %v, %d to come", th.checkDue.Load(), s.pending.alarms.Len())
		}
		now.state.Store(passed)
		time.Sleep(10 * limits.ReceptionCheck)
		if th.checkDue.Load() {
			t.Error("checks go on though no question is carried")
		}
	})
}
