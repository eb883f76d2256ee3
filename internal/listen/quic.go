package listen

import (
	"context"
	"crypto/rand"
	"net"
	"net/netip"
	"os"
	"sync"
	"time"

	"kresd/internal/doq"
	"kresd/internal/limits"
)

// DNS over QUIC.
//
// A connection's packets reach the socket that the kernel chooses for the addresses
// of both ends, and that is another one when a socket joins or leaves the port group.
// Who gets those of a connection that is another worker's passes them on (package doq),
// so that a connection stays at its worker while others come and go. Those of a worker
// that is dead tell their client so in a way that it believes (a stateless reset, by
// keys that the group has in common): it connects again and resumes its session, which
// costs a round trip or two, and not the time until a client gives up.
//
// So a socket has nothing that a sibling could keep for its owner's death: an opening
// packet that is lost is sent again, to a worker that lives. One that leaves the group
// goes on until all that was asked is answered, and hears of its clients by the others.

// A quicSocket is one UDP socket over which QUIC is spoken.
type quicSocket struct {
	s    *Server
	at   place
	conn *net.UDPConn
	l    *doq.Listener

	stopAccepting context.CancelFunc
	ended         chan struct{}

	mu    sync.Mutex
	conns map[*quicConn]struct{}
	group sync.WaitGroup
}

// startQUIC serves fd; it is the protocol of DNS over QUIC.
func (s *Server) startQUIC(fd int, at place) (socket, error) {
	f := os.NewFile(uintptr(fd), "")
	defer f.Close()
	pc, err := net.FilePacketConn(f)
	if err != nil {
		return nil, err
	}
	q := &quicSocket{s: s, at: at, conn: pc.(*net.UDPConn), ended: make(chan struct{}), conns: map[*quicConn]struct{}{}}
	q.l, err = doq.Listen(q.conn, doq.Options{
		TLS: s.tlsConfig(doq.Protocol), Key: s.quicKey, Dir: s.quicDir, Go: s.panics.Go, Idle: s.quicIdle, Handshake: s.handshakeTime,
		Questions: func() int { return max(s.TCPPipeline(), 1) },
		Client:    func(a netip.Addr) netip.Addr { return s.clients.Load().Key(a) }, Turn: s.quicTurn,
		Failed: func() { s.tls.failed.Add(1) }, Limits: s.limits,
	})
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithCancel(context.Background())
	q.stopAccepting = cancel
	s.panics.Go("quic listener", func() {
		defer close(q.ended)
		for s.panics.Run("quic listener", func() { q.accept(ctx) }) != nil {
			time.Sleep(limits.AcceptBackoffMin)
		}
	})
	return q, nil
}

// quicTurn waits for a handshake's turn among those of TLS (doq.Options.Turn). Nobody
// tells when a client is asked for another hello, which may never come: its turn ends with
// limits.QUICTurn.
func (s *Server) quicTurn(ctx context.Context) (give func(), err error) {
	if err := s.turns.take(ctx, s.limits); err != nil {
		return nil, err
	}
	give = sync.OnceFunc(s.turns.give)
	time.AfterFunc(limits.QUICTurn, give)
	return give, nil
}

// quicIdle is how long a client may say nothing now.
func (s *Server) quicIdle() time.Duration { return s.conns.idleTime(s.idleTime()) }

// accept takes clients in until it is told to stop.
func (q *quicSocket) accept(ctx context.Context) {
	for {
		c, err := q.l.Accept(ctx)
		if err != nil {
			return
		}
		q.admit(c)
	}
}

// admit begins to serve a client, if there is room for it. A listed proxy is none: it has
// no way to name the client over QUIC, and is never taken for one itself.
func (q *quicSocket) admit(conn *doq.Conn) {
	s := q.s
	if s.IsProxy(conn.Remote().Addr()) {
		s.limits.Hit(limits.Proxy)
		conn.Close(doq.Unspecified)
		return
	}
	s.tls.done.Add(1)
	if conn.Resumed() {
		s.tls.resumed.Add(1)
	}
	c := newQUICConn(q, conn)
	shed, ok := s.conns.add(&c.connection)
	if !ok {
		s.limits.Hit(limits.TCPConns)
		s.tcp.refused.Add(1)
		conn.Close(doq.ExcessiveLoad)
		return
	}
	if shed != nil {
		s.limits.Hit(limits.TCPConns)
		s.tcp.shed.Add(1)
		shed.kill()
	}
	s.tcp.accepted.Add(1)
	q.mu.Lock()
	q.conns[c] = struct{}{}
	q.mu.Unlock()
	q.group.Add(1)
	s.connGroup.Add(1)
	s.panics.Go("quic client", func() {
		defer q.group.Done()
		defer q.forget(c)
		s.converse(&c.connection)
	})
}

func (q *quicSocket) forget(c *quicConn) {
	q.mu.Lock()
	defer q.mu.Unlock()
	delete(q.conns, c)
}

// hurry ends its connections as soon as they are silent.
func (q *quicSocket) hurry() {
	q.mu.Lock()
	defer q.mu.Unlock()
	for c := range q.conns {
		c.hurry()
	}
}

// leaveGroup implements socket: stop does it, in its order.
func (q *quicSocket) leaveGroup() bool { return !q.at.shared }

// stop implements socket.
func (q *quicSocket) stop(by, _ time.Duration) {
	s := q.s
	q.hurry()
	quiet, cancel := context.WithTimeout(context.Background(), limits.LeaveQUIC)
	defer cancel()
	if s.waitFor(quiet, "quic clients", q.group.Wait) != nil && !q.at.shared {
		_ = q.withFD(func(fd int) error { return connectToItself(fd, q.at.addr) })
		q.hurry()
		last, cancel := context.WithTimeout(context.Background(), by-s.clock.Mono())
		defer cancel()
		_ = s.waitFor(last, "quic answers", q.group.Wait)
	}
	q.stopAccepting()
	<-q.ended
	q.l.Close()
	q.group.Wait() // their connections have ended
}

// withFD implements socket.
func (q *quicSocket) withFD(fn func(fd int) error) error {
	raw, err := q.conn.SyscallConn()
	if err != nil {
		return err
	}
	return withFD(raw, fn)
}

// addTo implements socket: connections are counted by the Server.
func (q *quicSocket) addTo(*counts) {}

// randomKey is a key that no other process knows.
func randomKey(string) (key [32]byte) {
	_, _ = rand.Read(key[:]) // it never fails: without random numbers the process ends
	return key
}
