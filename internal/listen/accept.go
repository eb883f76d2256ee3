package listen

import (
	"bytes"
	"errors"
	"net"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"

	"kresd/internal/limits"
	"kresd/internal/transport"
)

// An acceptor is a listening socket whose connections are served by one
// protocol.
type acceptor struct {
	s    *Server
	kind transport.Kind
	ln   streamListener
	at   site

	leave atomic.Bool
	ended chan struct{} // closed when nobody accepts any more

	mu    sync.Mutex
	spare *os.File // a descriptor to give away when there is no other
}

// startAccepting accepts connections of ln.
func (s *Server) startAccepting(kind transport.Kind, ln streamListener, at site) *acceptor {
	t := &acceptor{s: s, kind: kind, ln: ln, at: at, ended: make(chan struct{})}
	t.keepSpare()
	s.panics.Go("tcp listener", func() {
		defer close(t.ended)
		for s.panics.Run("tcp listener", t.accept) != nil {
			time.Sleep(limits.AcceptBackoffMin)
		}
	})
	return t
}

// accept takes connections in until the socket is told to leave.
func (t *acceptor) accept() {
	var pause time.Duration
	for !t.leave.Load() {
		c, err := t.ln.Accept()
		switch {
		case err == nil:
			pause = 0
			t.receive(c)
		case errors.Is(err, net.ErrClosed):
			return
		case errors.Is(err, os.ErrDeadlineExceeded):
			// leave was set
		case errors.Is(err, unix.EMFILE) || errors.Is(err, unix.ENFILE):
			t.relieve()
			pause = backoff(pause)
			time.Sleep(pause)
		default: // the peer gave up, or the system is short of memory
			pause = backoff(pause)
			time.Sleep(pause)
		}
	}
}

// receive admits one connection, and rests if others pay for it.
func (t *acceptor) receive(c net.Conn) { t.rest(t.admit(c) == others) }

// rest leaves those who connect in the kernel's queue for a while, where they cost nothing:
// when too many have come for whom there was no place, since each costs another its own, or
// comes only to be refused; and when too many have come at all while clients by UDP ask
// much. Clients that come again at once would keep a processor busy that those need.
//
// Nobody rests for one client that has more connections than it may: that is its own affair.
func (t *acceptor) rest(crowded bool) {
	now, wait := t.s.clock.Mono(), time.Duration(0)
	if crowded {
		wait = t.s.crowd.turn(now)
	}
	if t.s.udpBusy() {
		wait = max(wait, t.s.coming.turn(now))
	}
	if wait > 0 {
		t.s.limits.Hit(limits.TCPCrowd)
		time.Sleep(wait)
	}
}

// A crowd counts connections of one kind.
type crowd struct {
	gap, slack time.Duration // between two; by which they may be ahead of that

	mu   sync.Mutex
	next time.Duration // when the next one is due
}

// turn notes one at now and tells how long it is until the next may be taken: nothing, until
// its slack is used up, and then as long as these last.
func (c *crowd) turn(now time.Duration) (wait time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.next = max(c.next, now) + c.gap
	if ahead := c.next - now; ahead >= c.slack {
		return ahead
	}
	return 0
}

// backoff is the next pause after one that was not enough.
func backoff(pause time.Duration) time.Duration {
	return min(max(2*pause, limits.AcceptBackoffMin), limits.AcceptBackoffMax)
}

// relieve makes room when the process has no descriptor left: the idlest
// connection gives its own; if all are busy, the spare one serves to tell the
// next client at once that it cannot be served.
func (t *acceptor) relieve() {
	t.s.limits.Hit(limits.TCPConns)
	if c := t.s.conns.shed(); c != nil {
		t.s.tcp.shed.Add(1)
		c.kill()
		return
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.spare != nil {
		t.spare.Close()
		t.spare = nil
		_ = t.ln.SetDeadline(time.Now().Add(limits.AcceptBackoffMin))
		if c, err := t.ln.Accept(); err == nil {
			c.Close()
			t.s.tcp.refused.Add(1)
		}
		if !t.leave.Load() {
			_ = t.ln.SetDeadline(time.Time{})
		}
	}
	t.keepSpareLocked()
}

func (t *acceptor) keepSpare() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.keepSpareLocked()
}

// keepSpareLocked does without a spare descriptor where there is none.
func (t *acceptor) keepSpareLocked() {
	if t.spare == nil {
		t.spare, _ = os.Open(os.DevNull)
	}
}

// admit begins to serve what a streamListener has accepted, if there is room for it.
func (t *acceptor) admit(conn net.Conn) price {
	s, nc := t.s, conn.(accepted)
	bound(nc)
	c := t.connection(nc)
	who, entered := s.enter(c, nc)
	if entered {
		s.tcp.accepted.Add(1)
		s.connGroup.Add(1)
		s.panics.Go("tcp client", func() { s.converse(c) })
	}
	return who
}

// connection makes of what was accepted a connection that is not served yet.
func (t *acceptor) connection(nc accepted) *connection {
	if t.s.proxies.Load().has(plainAddr(nc.RemoteAddr()).Addr()) {
		return t.newGreeting(nc)
	}
	return t.s.protocols[t.kind].connection(t.s, nc)
}

// enter takes a connection into the registry, or refuses it where there is no room. Nobody
// gives a descriptor away for a client that is refused, or has one of its own to give.
func (s *Server) enter(c *connection, nc accepted) (who price, entered bool) {
	full, welcome := s.welcome(c)
	if !welcome {
		s.refuse(nc)
		return own, false
	}
	if !full && s.nearlyOutOfFiles(nc) {
		idle := s.conns.shed()
		if idle == nil {
			s.limits.Hit(limits.TCPConns)
			s.refuse(nc)
			return others, false
		}
		s.tcp.shed.Add(1)
		idle.kill()
		who = others
	}
	paid, entered := s.seat(c, full)
	if !entered {
		s.refuse(nc)
	}
	return max(who, paid), entered
}

// converse serves a connection to its end.
func (s *Server) converse(c *connection) {
	defer s.connGroup.Done()
	defer c.kill()
	defer s.conns.remove(c)
	c.run()
}

func (s *Server) refuse(nc accepted) {
	s.tcp.refused.Add(1)
	nc.Close()
}

// nearlyOutOfFiles tells whether nine tenths of the descriptors that the process
// may have are in use. The kernel gives out the lowest free number, so a new
// connection's own tells.
func (s *Server) nearlyOutOfFiles(nc accepted) (near bool) {
	_ = withFD(nc, func(fd int) error { near = uint64(fd) >= s.maxFiles.Load()/10*9; return nil })
	return near
}

// bound has the kernel give up a client that acknowledges nothing, and take from us no
// more for one that does not read than we keep for it ourselves: it would take 4 MiB, whose
// copying is in the way of all others. Probes of the kernel (SO_KEEPALIVE) have no part in it, also
// where the listener was a descriptor, for which Go turns them on.
func bound(nc accepted) {
	_ = withFD(nc, func(fd int) error {
		return set(fd, sockopt{unix.SOL_SOCKET, unix.SO_KEEPALIVE, 0}, // a UNIX socket takes no other
			sockopt{unix.IPPROTO_TCP, unix.TCP_USER_TIMEOUT, int(limits.TCPSendStall / time.Millisecond)},
			sockopt{unix.IPPROTO_TCP, unix.TCP_NOTSENT_LOWAT, limits.TCPSendBuffer}) // not every system has it
	})
}

// leaveGroup implements socket: stop does it, in its order. A UNIX socket is not
// found any more from here on.
func (t *acceptor) leaveGroup() bool {
	if t.at.path != "" {
		t.at.file.forget(t.at.path)
	}
	return false
}

// withFD implements socket.
func (t *acceptor) withFD(fn func(fd int) error) error {
	return withFD(t.ln, fn)
}

// stop implements socket: it ends accepting, but not before everything that the
// kernel has accepted for this socket is accepted here.
//
// A listening socket takes with it, when it is closed, the connections that wait
// in its queue and the handshakes that are half done; the kernel hands them to
// the group's other sockets only with the sysctl net.ipv4.tcp_migrate_req=1.
// Without it, the socket first stops answering new handshakes, which their
// clients repeat after a second and then find another worker, and stays until
// those that it has begun are complete.
func (t *acceptor) stop(_, grace time.Duration) {
	if !t.at.shared && t.at.path == "" && grace > 0 && !migrates() && t.ignoreHandshakes() == nil {
		sleepUntil(t.s.over, grace)
	}
	t.leave.Store(true)
	_ = t.ln.SetDeadline(time.Now())
	<-t.ended
	if !t.at.shared {
		if t.at.path != "" {
			t.stopListening() // what waits stays
		}
		t.acceptRest()
		if t.at.path == "" && !migrates() {
			_ = t.ignoreHandshakes() // lest a connection be complete between the last look and the end
		}
		for t.someoneWaits() && t.acceptOne() {
		}
		t.stopListening()
	}
	t.ln.Close()
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.spare != nil {
		t.spare.Close()
		t.spare = nil
	}
}

// stopListening takes the socket out of the port group: closing alone does not
// while another process has a copy of it (Copies).
func (t *acceptor) stopListening() {
	_ = t.withFD(func(fd int) error { return unix.Shutdown(fd, unix.SHUT_RD) })
}

// acceptRest accepts what is complete in the kernel's queue. Clients that keep
// coming do not hold the end up.
func (t *acceptor) acceptRest() {
	for end := time.Now().Add(limits.LeaveQuietTCP); t.acceptOne() && time.Now().Before(end); {
	}
}

// acceptOne accepts a connection that is there, or will be in a moment.
func (t *acceptor) acceptOne() bool {
	_ = t.ln.SetDeadline(time.Now().Add(limits.AcceptBackoffMin))
	c, err := t.ln.Accept()
	if err == nil {
		t.admit(c)
	}
	return err == nil
}

// someoneWaits tells whether a connection is complete and not accepted.
func (t *acceptor) someoneWaits() bool {
	n := 0
	_ = t.withFD(func(fd int) (err error) {
		n, err = pollIn([]unix.PollFd{{Fd: int32(fd)}}, 0)
		return err
	})
	return n > 0
}

// sleepUntil waits for d, or until over is closed.
func sleepUntil(over <-chan struct{}, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-over:
	}
}

// migrates tells whether the kernel hands a closed socket's connections to the
// others of its group.
func migrates() bool {
	b, _ := os.ReadFile("/proc/sys/net/ipv4/tcp_migrate_req") // old kernels do not know it
	return bytes.HasPrefix(b, []byte("1"))
}

// ignoreHandshakes drops the segments that would open a connection (SYN without
// ACK) before the socket sees them. Segments that complete a handshake pass.
func (t *acceptor) ignoreHandshakes() error {
	const flags, syn, synAck = 13, 0x02, 0x12 // RFC 9293, section 3.1
	prog := []unix.SockFilter{
		{Code: unix.BPF_LD | unix.BPF_B | unix.BPF_ABS, K: flags},
		{Code: unix.BPF_ALU | unix.BPF_AND | unix.BPF_K, K: synAck},
		{Code: unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K, K: syn, Jf: 1},
		{Code: unix.BPF_RET | unix.BPF_K, K: 0},
		{Code: unix.BPF_RET | unix.BPF_K, K: 0xffffffff},
	}
	return t.withFD(func(fd int) error {
		return unix.SetsockoptSockFprog(fd, unix.SOL_SOCKET, unix.SO_ATTACH_FILTER,
			&unix.SockFprog{Len: uint16(len(prog)), Filter: &prog[0]})
	})
}
