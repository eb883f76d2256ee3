package listen

import (
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"

	"kresd/internal/limits"
)

// A Reception is the right of one goroutine to receive from a UDP socket. When the right
// is passed on to another goroutine, that one gets a Reception of its own.
//
// Much of what a question costs that misses the cache is the waking of others: of the
// goroutine that carries it to its answer, of the one that waits for the server, and of
// Go's threads, which look for work whenever there may be some. So a question that came
// alone is carried by the goroutine that received it. While this goroutine waits for a
// server it receives and answers further questions (Await); before it waits for anything
// else, or computes for long, it passes the right on (Pass). If it does neither, a timer
// does so soon (check). Questions that come in batches keep goroutines busy, and each
// such question gets a goroutine of its own.
type Reception struct {
	t     *udpThread
	state atomic.Uint32
	steps atomic.Uint64 // how often a question was begun to be carried, or carried on after Await
}

// The states of a Reception, by what its goroutine does. Only that goroutine leaves
// receives. It leaves carries for receives, and whoever calls Pass leaves carries for
// passed: the first of them succeeds.
const (
	receives uint32 = iota // it waits for datagrams, or answers them from the cache
	carries                // it carries a question, and nobody receives
	passed                 // final: another goroutine has the udpThread
)

// Await waits until fd, which nobody else waits for, is readable, and for at most d;
// questions are received and answered meanwhile. held is false, at once or later, when
// another goroutine receives, so that the caller has to wait in another way.
func (r *Reception) Await(fd int, d time.Duration) (readable, held bool) {
	if !r.resume() {
		return false, false
	}
	t := r.t
	for until := t.u.s.clock.Mono() + d; ; {
		left := until - t.u.s.clock.Mono()
		server, clients := t.awaitEither(fd, max(left, 0))
		if clients { // first, because a server may send without end
			t.receiveMore()
		}
		switch {
		case t.u.leave.Load():
			r.carryOn()
			r.Pass()
			return false, false
		case server || left <= 0:
			r.carryOn()
			return server, true
		}
	}
}

// Pass has another goroutine receive from now on, if that is not so already. It is called
// by the goroutine that carries a question, and by check.
func (r *Reception) Pass() {
	if r.state.CompareAndSwap(carries, passed) {
		r.t.carrying = false
		r.t.u.s.hire(job{receive: r.t})
	}
}

// carry carries the question that came alone, if there is one. It returns false when
// another goroutine receives now.
func (r *Reception) carry() bool {
	t := r.t
	q := t.alone
	if q == nil {
		return true
	}
	t.alone, t.carrying = nil, true
	r.carryOn()
	t.u.s.resolve(q)
	if !r.resume() {
		return false
	}
	t.carrying = false
	return true
}

// carryOn notes that nobody receives from now on.
func (r *Reception) carryOn() {
	r.steps.Add(1)
	r.state.Store(carries)
	r.t.checkSoon()
}

// resume goes back to receiving; false says that another goroutine has the udpThread.
func (r *Reception) resume() bool {
	return r.state.Load() == receives || r.state.CompareAndSwap(carries, receives)
}

// checkSoon has check called after limits.ReceptionCheck, unless that is due already.
func (t *udpThread) checkSoon() {
	if !t.checkDue.Load() && !t.checkDue.Swap(true) {
		t.u.s.pending.alarms.After(limits.ReceptionCheck, t.check)
	}
}

// check passes the reception on if its goroutine has carried a question since the last
// check without receiving between.
func (t *udpThread) check() {
	r := t.reception.Load()
	now := receptionSample{r, r.steps.Load()}
	idle := now == t.sample
	if idle && r.state.Load() == carries {
		r.Pass()
	}
	t.sample = now
	t.checked(idle)
}

// checked ends a check. Another one follows unless nothing has happened since the one
// before. A goroutine that began to carry a question during this check, be it with a new
// Reception, has found checkDue set and relies on a further check.
func (t *udpThread) checked(idle bool) {
	t.checkDue.Store(false)
	if !idle || t.reception.Load().state.Load() == carries {
		t.checkSoon()
	}
}

// A receptionSample is what a check saw. The next check compares it with what it sees.
type receptionSample struct {
	of    *Reception
	steps uint64
}

// receiveMore receives the datagrams that have come, and answers them, for a goroutine
// that waits for a server. A panic costs one query its answer.
func (t *udpThread) receiveMore() {
	n, e := recvmmsg(t.u.fd, t.recv)
	if e != 0 || n <= 0 {
		return
	}
	t.got, t.next, t.quiet = n, 0, n == 1
	for t.got > 0 && t.u.s.panics.Run("udp listener", t.serve) != nil {
		t.afterPanic()
	}
}

// awaitEither waits until fd, where a server's answer comes, is readable, a client's
// datagram has come, or the thread is to leave; at most for d, and perhaps less long. Why
// it first waits for a tick without the scheduler's knowledge is told at receive.
func (t *udpThread) awaitEither(fd int, d time.Duration) (server, clients bool) {
	t.fds[ofServer].Fd = int32(fd)
	fds := t.fds[ofClients:]
	n, wait := 0, true
	if t.holdProcessor() {
		n = pollTick(fds, min(d, limits.UnscheduledWait))
		t.u.s.unscheduled.Add(-1)
		wait = n == 0 && d > limits.UnscheduledWait
	}
	if wait && !t.u.leave.Load() {
		n, _ = pollIn(t.fds[:], int((d+time.Millisecond-1)/time.Millisecond))
	}
	if n <= 0 {
		return false, false
	}
	return t.fds[ofServer].Revents != 0, t.fds[ofClients].Revents&unix.POLLIN != 0
}
