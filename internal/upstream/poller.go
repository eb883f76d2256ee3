package upstream

import (
	"os"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
	"unsafe"

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
	slots [limits.UpstreamSockets]atomic.Pointer[attempt]

	mu   sync.Mutex
	free []*attempt // a stack: the one used last is warm
	made int
}

// attempt is one UDP question and the room it needs. Attempts are reused.
type attempt struct {
	slot  int32
	fd    int // -1: no socket
	ready chan struct{}
	timer *time.Timer

	peer, local, from sockaddr
	query             []byte
	want              expectation
	buf               []byte
	junk              int // datagrams from the server's address that could not be read
}

func newPoller() (*poller, error) {
	ep, err := syscall.EpollCreate1(syscall.EPOLL_CLOEXEC)
	if err != nil {
		return nil, os.NewSyscallError("epoll_create1", err)
	}
	if err := syscall.SetNonblock(ep, true); err != nil { // or os.File would not park
		closeSocket(ep)
		return nil, os.NewSyscallError("fcntl", err)
	}
	p := &poller{file: os.NewFile(uintptr(ep), "epoll"), ep: ep}
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
	for p.raw.Read(wait) == nil {
		g.Run("upstream poller", notify)
	}
}

func (p *poller) notify(slot int32) {
	if a := p.slots[slot].Load(); a != nil {
		a.wake()
	}
}

func (a *attempt) wake() {
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

func (p *poller) close() { p.file.Close() }

// watch begins to notify a about its socket. Edge-triggered: the reader has to
// read until there is nothing left before it waits.
func (p *poller) watch(a *attempt) syscall.Errno {
	const edge = 1 << 31 // EPOLLET, which package syscall has as a negative number
	ev := syscall.EpollEvent{Events: syscall.EPOLLIN | edge, Fd: a.slot}
	_, _, errno := syscall.RawSyscall6(syscall.SYS_EPOLL_CTL, uintptr(p.ep), syscall.EPOLL_CTL_ADD, uintptr(a.fd), uintptr(unsafe.Pointer(&ev)), 0, 0)
	return errno
}

// take returns an attempt without a socket, nil when too many are in use.
func (p *poller) take() *attempt {
	p.mu.Lock()
	defer p.mu.Unlock()
	if n := len(p.free); n > 0 {
		a := p.free[n-1]
		p.free = p.free[:n-1]
		return a
	}
	if p.made == len(p.slots) {
		return nil
	}
	a := &attempt{slot: int32(p.made), fd: -1, ready: make(chan struct{}, 1), timer: time.NewTimer(time.Hour)}
	a.timer.Stop()
	p.slots[p.made].Store(a)
	p.made++
	return a
}

// give closes the attempt's socket and takes it back.
func (p *poller) give(a *attempt) {
	a.timer.Stop()
	if a.fd >= 0 {
		closeSocket(a.fd) // leaves the epoll set by that
		a.fd = -1
	}
	select {
	case <-a.ready:
	default:
	}
	p.mu.Lock()
	p.free = append(p.free, a)
	p.mu.Unlock()
}
