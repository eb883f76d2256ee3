package listen

import (
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"

	"kresd/internal/limits"
)

// A Reception is the right of one goroutine to receive from a UDP socket. Another one
// gets a Reception of its own when this one is passed on.
//
// What a question that misses the cache costs is for a good part the waking of others:
// of the goroutine that carries it, of whoever waits for the server's answer, and of
// Go's threads, which look for work whenever there may be some. So a question that came
// alone is carried by the goroutine that received it. While that one waits for a server
// it receives and answers what comes (Await), and before it waits for anything else, or
// computes for long, it passes the reception on (Pass). Should it do neither,
// somebody else receives all the same soon (look). Where questions come
// in batches goroutines find enough to do, and each question gets its own.
type Reception struct {
	t     *udpThread
	state atomic.Uint32
	steps atomic.Uint64 // how often it began to carry, or went on
}

// The states of a Reception. While it receives, only its own goroutine changes it; while
// a question is carried, whoever does it first.
const (
	receives uint32 = iota // or answers from the cache
	carries                // a question, and nobody looks at the socket
	passed                 // for ever: another goroutine has the thread
)

// Await waits until fd, which nobody else waits for, is readable, and for at most d;
// questions are received and answered meanwhile. Held is false, at once or later, when
// somebody else receives, so that the caller has to wait in another way.
func (r *Reception) Await(fd int, d time.Duration) (readable, held bool) {
	if !r.resume() {
		return false, false
	}
	t := r.t
	for until := t.u.s.clock.Mono() + d; ; {
		left := until - t.u.s.clock.Mono()
		mine, clients := t.awaitEither(fd, max(left, 0))
		if clients { // before all else: a server may send without end
			t.receiveMore()
		}
		switch {
		case t.u.leave.Load():
			r.carryOn()
			r.Pass()
			return false, false
		case mine || left <= 0:
			r.carryOn()
			return mine, true
		}
	}
}

// Pass has another goroutine receive from now on, if that is not so already. Who carries a
// question calls it, and look.
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

// carryOn notes that nobody looks at the socket from now on.
func (r *Reception) carryOn() {
	r.steps.Add(1)
	r.state.Store(carries)
	r.t.guard()
}

// resume takes the thread back; false says that another goroutine has it.
func (r *Reception) resume() bool {
	return r.state.Load() == receives || r.state.CompareAndSwap(carries, receives)
}

// guard has somebody look soon whether the socket is received from.
func (t *udpThread) guard() {
	if !t.guarded.Load() && !t.guarded.Swap(true) {
		t.u.s.pending.alarms.After(limits.CarriedLook, t.look)
	}
}

// look passes the reception on if the goroutine that has it carried a question when
// somebody looked last, too, and did not look at the socket between.
func (t *udpThread) look() {
	r := t.reception.Load()
	now := sight{r, r.steps.Load()}
	idle := now == t.seen
	if idle && r.state.Load() == carries {
		r.Pass()
	}
	t.seen = now
	t.looked(idle)
}

// looked ends a look. Another one follows unless nothing has happened since the one before.
// Who began to carry meanwhile, perhaps with a Reception of its own by now, has found the
// thread guarded and relies on that.
func (t *udpThread) looked(idle bool) {
	t.guarded.Store(false)
	if !idle || t.reception.Load().state.Load() == carries {
		t.guard()
	}
}

// A sight is what was seen of a reception.
type sight struct {
	of    *Reception
	steps uint64
}

// receiveMore receives what is there, and answers it, for a goroutine that waits for a
// server. A panic costs one query its answer.
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

// awaitEither waits until fd is readable, a datagram has come, or the thread is to
// leave; at most for d, and perhaps less long. It waits in the manner of receive.
func (t *udpThread) awaitEither(fd int, d time.Duration) (mine, clients bool) {
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
