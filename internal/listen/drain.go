package listen

import (
	"context"
	"net/netip"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"

	"kresd/internal/limits"
)

// Drain leaves: no new query comes to this server, those that came are answered,
// and its sockets are closed when it returns. When ctx ends what is still
// without an answer gets SERVFAIL, and Drain returns soon after. The second call
// of Drain does nothing.
//
// A UDP socket leaves by being connected to itself: a connected socket of a port
// group is passed over, and the others go on as they are (closing it instead
// would throw away what is queued in it). What is queued is received and
// answered as before. One of all addresses is moved by that from one chain of the
// kernel's table to another, and a look-up that stands at it in that instant finds
// nobody: under a flood one departure in 200 tells one client that the port is
// unreachable (refusedAtMost of the tests). A TCP socket leaves as acceptor.stop says.
func (s *Server) Drain(ctx context.Context) {
	s.mu.Lock()
	if s.left {
		s.mu.Unlock()
		return
	}
	s.left = true
	by := s.clock.Mono() + timeLeft(ctx)
	for _, e := range s.endpoints {
		if e.socket != nil {
			e.socket.leaveGroup()
		}
	}
	for _, e := range s.endpoints {
		s.retireLocked(e, by)
	}
	s.endpoints = nil
	s.mu.Unlock()

	s.drain.Store(true)
	s.pending.leaving.Store(true)
	s.conns.each((*connection).hurry)
	if s.waitFor(ctx, "drain", s.retiring.Wait, s.connGroup.Wait) != nil {
		s.end()
	}
	s.sessions.close()
	s.idlePool.close()
}

// timeLeft is how long ctx lasts; one without an end lasts as long as a worker
// may take.
func timeLeft(ctx context.Context) time.Duration {
	if deadline, ok := ctx.Deadline(); ok {
		return time.Until(deadline)
	}
	return limits.DrainAnswerTime
}

// end answers SERVFAIL where nothing better came, and closes what is open.
func (s *Server) end() {
	s.ending.Do(func() { close(s.over) })
	s.failAll(func(*Query) bool { return true })
	s.conns.each((*connection).hurry)
	ctx, cancel := context.WithTimeout(context.Background(), limits.LeaveFlush)
	defer cancel()
	// Acceptors are waited for first: until they have ended they add connections.
	if s.waitFor(ctx, "last answers", s.retiring.Wait, s.connGroup.Wait) != nil {
		s.conns.each((*connection).kill)
	}
}

// failAll ends the queries for which which is true. A connection may take its
// time, so each of its queries is answered on its own.
func (s *Server) failAll(which func(*Query) bool) {
	for _, q := range s.pending.all(which) {
		if !q.Client.Kind.Stream() {
			q.fail(s.handler)
		} else {
			s.panics.Go("servfail", func() { q.fail(s.handler) })
		}
		q.ctx.cancel()
	}
}

// retireLocked closes e's socket in the background, without loss. by is when
// datagrams that wait lose their answers, on the clock's monotonic scale.
func (s *Server) retireLocked(e *endpoint, by time.Duration) {
	if e.socket == nil { // only planned
		if e.adopted != nil {
			e.adopted.Close()
		}
		return
	}
	s.leaving[e] = struct{}{}
	s.retiring.Add(1)
	if !e.socket.leaveGroup() {
		by = min(by, s.clock.Mono()+limits.LeaveStuck)
	}
	s.panics.Go("close", func() {
		defer s.retiring.Done()
		s.retire(e, by)
	})
}

func (s *Server) retire(e *endpoint, by time.Duration) {
	e.socket.stop(by, e.handshakeGrace())
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.leaving, e)
	e.addTo(&s.gone)
}

// handshakeGrace is how long a TCP socket stays for the handshakes that it has
// begun, while clients that begin one wait for a second. For the few of a dead
// worker, which has broken all its connections, that is too dear.
func (e *endpoint) handshakeGrace() time.Duration {
	if e.orphaned {
		return 0
	}
	return limits.HandshakeGrace
}

// disconnect takes back that a UDP socket is connected.
func disconnect(fd int) error {
	nowhere := unix.RawSockaddr{Family: unix.AF_UNSPEC}
	if _, _, errno := unix.Syscall(unix.SYS_CONNECT, uintptr(fd), uintptr(unsafe.Pointer(&nowhere)), unsafe.Sizeof(nowhere)); errno != 0 {
		return errno
	}
	return nil
}

// loopback is the address of this machine for itself, of a's family.
func loopback(a netip.Addr) netip.Addr {
	if a.Is6() {
		return netip.IPv6Loopback()
	}
	return netip.AddrFrom4([4]byte{127, 0, 0, 1})
}

// connectToItself connects a UDP socket to the address and port that it is bound
// to, from which nobody but its own group could send.
func connectToItself(fd int, bound netip.AddrPort) error {
	addr, port := bound.Addr(), bound.Port()
	own := loopback(addr)
	if addr.IsUnspecified() {
		addr = own
	}
	err := unix.Connect(fd, toSockaddr(netip.AddrPortFrom(addr, port), zoneIndex(addr)))
	if err != nil && addr != own {
		err = unix.Connect(fd, toSockaddr(netip.AddrPortFrom(own, port), 0))
	}
	return err
}
