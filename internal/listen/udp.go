package listen

import (
	"fmt"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"

	"kresd/internal/limits"
	"kresd/internal/transport"
)

// A udpSocket is one UDP socket and the udpThread that serves it. "Thread" is meant of the
// work: goroutines may take turns at it (reception.go).
type udpSocket struct {
	fd   int
	wake int // an eventfd: readable when the thread shall look at leave
	at   site

	s       *Server
	stats   threadStats
	sampled queueSample // by Stuck, last; under the server's lock

	leave   atomic.Bool  // serve what is queued, then end
	leaveBy atomic.Int64 // at the latest then, in clock.Mono nanoseconds
	ended   chan struct{}
	users   sync.WaitGroup // queries whose answers go out by fd
	sender  udpSender
}

// startUDP serves fd from a thread of its own: it is protocol.datagrams of plain UDP.
func (s *Server) startUDP(fd int, at site) (socket, error) {
	u := &udpSocket{s: s, fd: fd, at: at, ended: make(chan struct{})}
	session, err := s.handler.NewSession()
	if err != nil {
		unix.Close(fd)
		return nil, fmt.Errorf("session for %v: %w", at.addr, err)
	}
	if u.wake, err = unix.Eventfd(0, unix.EFD_CLOEXEC|unix.EFD_NONBLOCK); err != nil {
		session.Close()
		unix.Close(fd)
		return nil, err
	}
	tv := unix.NsecToTimeval(int64(limits.UnscheduledWait))
	if err := unix.SetsockoptTimeval(fd, unix.SOL_SOCKET, unix.SO_RCVTIMEO, &tv); err != nil {
		session.Close()
		unix.Close(fd)
		unix.Close(u.wake)
		return nil, err
	}
	s.hire(job{receive: newUDPThread(u, session)})
	return u, nil
}

// leaveGroup implements socket.
func (u *udpSocket) leaveGroup() bool { return !u.at.shared && connectToItself(u.fd, u.at.addr) == nil }

// withFD implements socket.
func (u *udpSocket) withFD(fn func(fd int) error) error { return fn(u.fd) }

// stop implements socket: the thread ends when what is queued is answered, and
// the descriptors go when the last answer has left.
func (u *udpSocket) stop(by, _ time.Duration) {
	u.endBy(by)
	<-u.ended
	u.users.Wait()
	unix.Close(u.fd)
	unix.Close(u.wake)
}

// endBy makes the thread end when what is queued is answered, at the latest at
// by on the clock's monotonic scale.
func (u *udpSocket) endBy(by time.Duration) {
	u.leaveBy.Store(int64(by))
	if u.leave.CompareAndSwap(false, true) {
		one := [8]byte{}
		one[0], one[7] = 1, 1 // not zero in either byte order
		_, _ = unix.Write(u.wake, one[:])
	}
}

// answer sends the answer to a query that took the driver's way.
func (u *udpSocket) answer(q *Query, msg []byte) {
	if len(msg) == 0 {
		u.users.Done()
		return
	}
	u.sender.send(u.fd, q, msg, u.s.pending.several(), u.posted)
}

// sendHeld sends the answers that its sender holds.
func (u *udpSocket) sendHeld() { u.sender.release(u.fd, false, u.posted) }

// posted notes that answers have left.
func (u *udpSocket) posted(l answerBatch, failed int) {
	u.s.driver.sendErrors.Add(uint64(failed))
	u.users.Add(-len(l.to))
}

// A udpThread is what only the goroutine that receives from a udpSocket touches.
type udpThread struct {
	u       *udpSocket
	session Session
	client  Client
	proxies *proxies // of this batch
	pktinfo bool     // the answer to client must name its source
	n       counts
	fds     [3]unix.PollFd
	procs   int32
	quiet   bool // the last batch was a lone datagram, so that hardly any is there already
	batch

	alone    *Query // to be carried by whoever received it (reception.go)
	carrying bool   // such a query is being carried
	// What check needs (reception.go); it runs on the goroutine of a timer.
	reception atomic.Pointer[Reception] // of the goroutine that receives, or carries
	checkDue  atomic.Bool               // check will be called
	sample    receptionSample           // what the last check saw
}

// The places of descriptors in udpThread.fds.
const (
	toLeave = iota
	ofClients
	ofServer
)

func newUDPThread(u *udpSocket, session Session) *udpThread {
	t := &udpThread{u: u, session: session, procs: int32(runtime.GOMAXPROCS(0))}
	t.batch.init(u.at.wildcard)
	t.client = Client{Local: u.at.addr, Kind: transport.UDP}
	t.fds = [3]unix.PollFd{toLeave: {Fd: int32(u.wake)}, ofClients: {Fd: int32(u.fd)}}
	return t
}

// main receives until the socket is told to leave or another goroutine does. A panic costs
// the query that caused it its answer from here (it gets SERVFAIL), and the session its
// life.
func (t *udpThread) main() {
	r := &Reception{t: t}
	t.reception.Store(r)
	for t.u.s.panics.Run("udp listener", r.loop) != nil && r.resume() {
		t.carrying = false
		t.afterPanic()
	}
	if r.resume() {
		defer close(t.u.ended)
		t.u.stats.publish(&t.n)
		t.session.Close()
	}
}

// loop finishes the batch that a panic interrupted, if any, and serves.
func (r *Reception) loop() {
	if r.t.got > 0 {
		r.t.serve()
	}
	for r.carry() && r.t.receive() {
		r.t.serve()
	}
}

// receive waits for datagrams. It returns false when the thread shall end.
//
// A sleep costs more than an answer when each wakes the scheduler. So the
// thread waits a tick inside a system call, without telling the scheduler, and
// only when that was in vain sleeps with its knowledge, for as long as it takes.
// Nobody else waits for the processor longer than a tick: the collector
// interrupts the system call with its signal, and of several threads one fewer
// than there are processors may wait so.
//
// The system call that waits leaves the datagrams where they are. One that also
// received them would take along all that have come until the thread has its
// processor again, even if the process was killed meanwhile; so they are left to
// whoever has its sockets in custody.
func (t *udpThread) receive() bool {
	for look := !t.quiet; ; {
		if !look {
			switch t.awaitTick() {
			case unix.EINTR:
				continue
			case unix.EAGAIN:
				if !t.sleep() {
					return false
				}
			}
		}
		n, e := recvmmsg(t.u.fd, t.recv[:])
		switch {
		case e == 0 && n > 0:
			t.got, t.next = n, 0
			t.quiet = n == 1
			return !t.overdue()
		case e == unix.EAGAIN:
			look = false
		case e != unix.EINTR: // the system is short of something
			time.Sleep(limits.UnscheduledWait)
		}
	}
}

// awaitTick waits for a datagram without the scheduler's knowledge, a tick at most.
// EAGAIN says that none has come, or that this thread may not wait so. It is a call
// of its own so that the collector can stop the thread at its beginning, after the
// signal that interrupted it.
//
//go:noinline
func (t *udpThread) awaitTick() unix.Errno {
	if t.u.leave.Load() || !t.holdProcessor() {
		return unix.EAGAIN
	}
	e := awaitDatagram(t.u.fd)
	t.u.s.unscheduled.Add(-1)
	return e
}

// holdProcessor asks for the right to wait without the scheduler's knowledge.
func (t *udpThread) holdProcessor() bool {
	most := t.procs - 1
	if most == 0 && t.u.s.pending.quiet.Load() {
		most = 1
	}
	if t.u.s.unscheduled.Add(1) <= most {
		return true
	}
	t.u.s.unscheduled.Add(-1)
	return false
}

// sleep waits until something comes; for a thread that leaves false says that
// nothing comes any more.
func (t *udpThread) sleep() bool {
	if !t.u.leave.Load() {
		_, _ = pollIn(t.fds[:ofServer], -1)
		return true
	}
	if t.u.at.shared || t.overdue() {
		return false
	}
	// Lookups in the kernel that began before the socket left its group take
	// microseconds, so after this silence nothing is on its way any more.
	n, err := pollIn(t.fds[ofClients:ofServer], int(limits.LeaveQuietUDP/time.Millisecond))
	return n > 0 || err != nil
}

// overdue tells whether a leaving thread has served for long enough. A socket
// that could not leave its group would otherwise be served for ever.
func (t *udpThread) overdue() bool {
	return t.u.leave.Load() && int64(t.u.s.clock.Mono()) > t.u.leaveBy.Load()
}

// afterPanic answers the query that could not be, and begins with a new session.
func (t *udpThread) afterPanic() {
	if t.next < t.got {
		t.failOne()
		t.next++
	}
	old := t.session
	t.u.s.panics.Run("session end", old.Close)
	for {
		s, err := t.u.s.handler.NewSession()
		if err == nil {
			t.session = s
			return
		}
		t.u.s.log.Error("a listener has no session", "address", t.u.at.addr, "error", err)
		time.Sleep(time.Second)
	}
}

// failOne sends SERVFAIL for the query at which the session panicked.
func (t *udpThread) failOne() {
	msg := t.message(t.next)
	if !isQuery(msg) {
		return
	}
	q := t.query(t.next, msg)
	q.table = t.u.s.pending
	t.u.s.panics.Run("servfail", func() { q.fail(t.u.s.handler) })
	q.Drop()
}
