package upstream

import (
	"errors"
	"net/netip"
	"os"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
	"unsafe"

	"kresd/internal/clock"
	"kresd/internal/limits"
	"kresd/internal/safe"
)

// poller tells goroutines that their sockets became readable. It only notifies:
// each socket is read, judged and closed by the one goroutine that opened it,
// so no descriptor is ever used by somebody who does not own it. A notification
// that comes late, for a descriptor since closed, reaches whoever has the slot
// now; it finds nothing to read and waits on.
//
// The epoll descriptor itself is watched by the runtime's own poller, so that
// one goroutine parks while nothing happens and no thread is held in
// epoll_wait. Measured against the alternatives on loopback, CPU per exchange
// with 16 in flight: this 18 µs, a thread blocked in epoll_wait 23, net.Dial 26.
type poller struct {
	file  *os.File
	raw   syscall.RawConn
	ep    int
	slots [limits.UpstreamSockets]atomic.Pointer[udpQuery]

	mu   sync.Mutex
	free []*udpQuery // without a socket; a stack: the one used last is warm
	made int
	idle idleSockets
	// timed tells that run will call expire.
	timed bool
	clock *clock.Clock
}

// udpQuery is one question over UDP, its socket and the memory that it needs. When
// the question is over, its udpQuery is used for another one.
type udpQuery struct {
	slot  int32
	ready chan struct{}
	timer *time.Timer
	udpSocket
	order idleOrder

	peer, local, from sockaddr
	query             []byte
	want              expectation
	buf               []byte
	got               int           // octets of the datagram that came last, of which buf has the first
	sent              time.Duration // on the clock's monotonic scale
	junk              int           // datagrams from the server's address that could not be read
}

func newPoller(c *clock.Clock) (*poller, error) {
	ep, err := syscall.EpollCreate1(syscall.EPOLL_CLOEXEC)
	if err != nil {
		return nil, os.NewSyscallError("epoll_create1", err)
	}
	if err := syscall.SetNonblock(ep, true); err != nil { // or os.File would not park
		closeSocket(ep)
		return nil, os.NewSyscallError("fcntl", err)
	}
	p := &poller{file: os.NewFile(uintptr(ep), "epoll"), ep: ep, idle: newIdleSockets(), clock: c}
	if p.raw, err = p.file.SyscallConn(); err != nil {
		p.file.Close()
		return nil, err
	}
	return p, nil
}

// run notifies until close.
func (p *poller) run(g *safe.Group) {
	var events [limits.UDPBatch]syscall.EpollEvent
	n := 0
	wait := func(ep uintptr) bool {
		r, _, errno := syscall.RawSyscall6(syscall.SYS_EPOLL_PWAIT, ep, uintptr(unsafe.Pointer(&events[0])), uintptr(len(events)), 0, 0, 0)
		if errno != 0 {
			r = 0
		}
		n = int(r)
		return n > 0 || errno == syscall.EINTR
	}
	notify := func() {
		for i := range events[:n] {
			p.notify(events[i].Fd)
		}
	}
	for {
		switch err := p.raw.Read(wait); {
		case err == nil:
			g.Run("upstream poller", notify)
		case errors.Is(err, os.ErrDeadlineExceeded):
			p.expire()
		default:
			return
		}
	}
}

func (p *poller) notify(slot int32) {
	if a := p.slots[slot].Load(); a != nil {
		a.wake()
	}
}

func (a *udpQuery) wake() {
	select {
	case a.ready <- struct{}{}:
	default: // already told
	}
}

// wakeAll makes every waiting goroutine look around.
func (p *poller) wakeAll() {
	for i := range p.slots {
		p.notify(int32(i))
	}
}

func (p *poller) close() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for a := p.idle.longest(); a != nil; a = p.idle.longest() {
		a.disconnect()
	}
	p.file.Close()
}

// watch begins to notify a about its socket, unless that was begun before; also of what
// is there already. Edge-triggered: the reader has to read until there is nothing left
// before it waits.
func (p *poller) watch(a *udpQuery) syscall.Errno {
	if a.watched {
		return 0
	}
	errno := p.control(syscall.EPOLL_CTL_ADD, a)
	a.watched = errno == 0
	return errno
}

// unwatch ends that: a socket that the poller still knew would wake it, and with it one of
// Go's threads, for each answer that somebody else waits for.
func (p *poller) unwatch(a *udpQuery) {
	if a.watched {
		a.watched = p.control(syscall.EPOLL_CTL_DEL, a) != 0
	}
}

// control is epoll_ctl(2) for the socket of a.
func (p *poller) control(op uintptr, a *udpQuery) syscall.Errno {
	const edge = 1 << 31 // EPOLLET, which package syscall has as a negative number
	ev := syscall.EpollEvent{Events: syscall.EPOLLIN | edge, Fd: a.slot}
	_, _, errno := syscall.RawSyscall6(syscall.SYS_EPOLL_CTL, uintptr(p.ep), op, uintptr(a.fd), uintptr(unsafe.Pointer(&ev)), 0, 0)
	return errno
}

// take returns a udpQuery for a question to a server that leaves from source: one
// whose socket may carry the question if there is one, else one without a socket;
// nil when too many are in use.
func (p *poller) take(to netip.AddrPort, source netip.Addr) *udpQuery {
	p.mu.Lock()
	a := p.idle.take(to)
	if a == nil {
		a = p.blank()
	}
	p.mu.Unlock()
	if a != nil && !a.fits(to, source, p.clock.Mono()) {
		a.disconnect()
	}
	return a
}

// blank is a udpQuery that nobody uses.
func (p *poller) blank() *udpQuery {
	if n := len(p.free); n > 0 {
		a := p.free[n-1]
		p.free = p.free[:n-1]
		return a
	}
	if p.made == len(p.slots) {
		return p.idle.longest()
	}
	a := &udpQuery{slot: int32(p.made), ready: make(chan struct{}, 1), timer: time.NewTimer(time.Hour)}
	a.fd = -1
	a.timer.Stop()
	p.slots[p.made].Store(a)
	p.made++
	return a
}

// give takes a udpQuery back, and closes its socket unless that may carry another
// question.
func (p *poller) give(a *udpQuery) {
	a.timer.Stop()
	if a.stay {
		a = p.keep(a)
	}
	if a == nil {
		return
	}
	a.disconnect()
	p.mu.Lock()
	p.free = append(p.free, a)
	p.mu.Unlock()
}

// keep leaves the socket of a open for another question. The one that gives way for it is
// the caller's to close; nil: none does.
func (p *poller) keep(a *udpQuery) (instead *udpQuery) {
	p.mu.Lock()
	defer p.mu.Unlock()
	instead = p.idle.put(a)
	if !p.timed && p.idle.n > 0 {
		p.timed = true
		p.wakeAt(time.Now().Add(limits.UpstreamSocketLife))
	}
	return instead
}

// expire closes the idle sockets whose life is over.
func (p *poller) expire() {
	p.mu.Lock()
	old := p.idle.expired(p.clock.Mono())
	next := time.Time{}
	if p.timed = p.idle.n > 0; p.timed {
		next = time.Now().Add(limits.UpstreamSocketLife)
	}
	p.wakeAt(next)
	p.mu.Unlock()
	for _, a := range old {
		a.stay = false
		p.give(a)
	}
}

// wakeAt makes run call expire then; never with the zero time. It fails only when
// the poller is closed, and every idle socket with it.
func (p *poller) wakeAt(t time.Time) { _ = p.file.SetReadDeadline(t) }
