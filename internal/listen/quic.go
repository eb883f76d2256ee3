package listen

import (
	"context"
	"crypto/rand"
	"maps"
	"net"
	"net/netip"
	"os"
	"slices"
	"sync"
	"time"

	"kresd/internal/doq"
	"kresd/internal/limits"
)

// DNS over QUIC.
//
// A connection's packets reach the socket that the kernel chooses for the addresses
// of both ends, and that is another one when a socket joins or leaves the port group.
// A worker that receives packets of another's connection passes them on (package doq), so
// that a connection stays at its worker while others come and go. When that worker is
// dead, its packets are answered by a stateless reset, which the client believes because
// it is made with keys that the group has in common: the client connects again and resumes
// its session, which costs a round trip or two instead of the time until it gives up.
//
// So a socket holds nothing that a sibling would have to keep for the owner's death: an
// opening packet that is lost is sent again, and reaches a worker that lives.
//
// What becomes of clients when a socket leaves (stop), and of those who come meanwhile:
//
//	 the socket                     who has connected          who comes
//	     │ serves                      │ asks                     │ reaches it or a sibling
//	  leave: out of the group, or no more read from where others read the same socket
//	     │── probe, by its own tag ───────────────────► a sibling, which passes it on
//	     │◄──────────────────────────────────────────────── probe
//	     │ out                         │ is passed on to it       │ reaches a sibling
//	     │ what is queued in it, and handshakes that have begun, are served
//	  hurry: each connection ends when its questions are answered and it is silent
//	     │ quiet: no connection, no handshake, nothing queued
//	     ✝ closed                      │ connects again           │
//
// Where the probe does not come back nobody passes anything on: the socket is the last, or
// its siblings are frozen. Then it takes its place again and serves whoever comes, until it
// is quiet or limits.LeaveQUIC is over; only then it leaves for good. What is not answered
// in the time that stop has gets an end (kill), never silence.
//
// Keys change without the kernel's noticing: another era begins on the same socket, and the
// former one is served until it is quiet (quic_renew.go).

// A quicSocket is one UDP socket over which QUIC is spoken.
type quicSocket struct {
	s    *Server
	at   site
	conn *net.UDPConn

	mu       sync.Mutex
	eras     []*quicEra // the latest last, which takes in who comes
	stopped  bool       // no other era begins
	retiring sync.WaitGroup
}

// A quicEra is what clients have in common that came under the same keys.
type quicEra struct {
	q   *quicSocket
	l   *doq.Listener
	key [32]byte // what its keys follow from, as far as that may change

	stopAccepting context.CancelFunc
	ended         chan struct{} // closed when no client is accepted any more

	mu      sync.Mutex
	leaving bool // who comes is in a hurry
	conns   map[*quicConn]struct{}
}

// startQUIC serves fd: it is protocol.datagrams of DNS over QUIC.
func (s *Server) startQUIC(fd int, at site) (socket, error) {
	f := os.NewFile(uintptr(fd), "")
	defer f.Close()
	pc, err := net.FilePacketConn(f)
	if err != nil {
		return nil, err
	}
	q := &quicSocket{s: s, at: at, conn: pc.(*net.UDPConn)}
	key := s.quicKey(quicKeyLabel)
	l, err := doq.Listen(q.conn, s.quicOptions())
	if err != nil {
		return nil, err
	}
	q.begin(l, key)
	return q, nil
}

// begin begins an era. The caller has q.mu, or nobody else has q.
func (q *quicSocket) begin(l *doq.Listener, key [32]byte) {
	e := &quicEra{q: q, l: l, key: key, ended: make(chan struct{}), conns: map[*quicConn]struct{}{}}
	ctx, cancel := context.WithCancel(context.Background())
	e.stopAccepting = cancel
	q.eras = append(q.eras, e)
	q.s.panics.Go("quic listener", func() {
		defer close(e.ended)
		for q.s.panics.Run("quic listener", func() { e.accept(ctx) }) != nil {
			time.Sleep(limits.AcceptBackoffMin)
		}
	})
}

// all are the eras, the latest last.
func (q *quicSocket) all() []*quicEra {
	q.mu.Lock()
	defer q.mu.Unlock()
	return slices.Clone(q.eras)
}

// quicOptions are what package doq asks of the server.
func (s *Server) quicOptions() doq.Options {
	return doq.Options{
		TLS: s.tlsConfig(doq.Protocol), Key: s.quicKey, Dir: s.quicDir, Go: s.panics.Go, Idle: s.quicIdle, Handshake: s.handshakeTime,
		Questions: func() int { return max(s.TCPPipeline(), 1) },
		Client:    func(a netip.Addr) netip.Addr { return s.clients.Load().Key(a) }, Turn: s.quicTurn,
		Barred: s.barred, Failed: s.quicFailed, Limits: s.limits,
	}
}

// quicTurn waits for a handshake's turn among those of TLS (doq.Options.Turn). A turn ends
// after limits.QUICTurn at the latest, because a client that is asked for another hello
// may never send it, and quic-go does not tell that it was asked.
func (s *Server) quicTurn(ctx context.Context) (give func(), err error) {
	t := turn{turns: s.turns}
	if err := t.take(ctx, s.limits); err != nil {
		return nil, err
	}
	give = sync.OnceFunc(t.give)
	time.AfterFunc(limits.QUICTurn, give)
	return give, nil
}

// barred refuses clients over QUIC before their handshake (doq.Options.Barred).
func (s *Server) barred(client netip.Addr) bool {
	if !s.sources.of(client).barred(s.clock.Mono()) {
		return false
	}
	s.limits.Hit(limits.Offences)
	return true
}

// quicFailed notes a handshake that has come to nothing (doq.Options.Failed).
func (s *Server) quicFailed(client netip.Addr) {
	s.tls.failed.Add(1)
	s.sources.of(client).offends(s.clock.Mono(), 1)
}

// quicIdle is how long a client may say nothing now.
func (s *Server) quicIdle() time.Duration { return s.conns.idleTime(s.idleTime()) }

// accept takes clients in until it is told to stop.
func (e *quicEra) accept(ctx context.Context) {
	for {
		c, err := e.l.Accept(ctx)
		if err != nil {
			return
		}
		e.admit(c)
	}
}

// admit begins to serve a client, if there is room for it. A listed proxy is refused: over
// QUIC it has no way to name its client, and it is never taken for a client itself.
func (e *quicEra) admit(conn *doq.Conn) {
	s := e.q.s
	if s.IsProxy(conn.Remote().Addr()) {
		s.limits.Hit(limits.Proxy)
		conn.Taken()
		conn.Close(doq.Unspecified)
		return
	}
	s.tls.done.Add(1)
	if conn.Resumed() {
		s.tls.resumed.Add(1)
	}
	c := newQUICConn(e, conn)
	if _, ok := s.site(&c.connection); !ok {
		s.tcp.refused.Add(1)
		conn.Taken()
		conn.Close(doq.ExcessiveLoad)
		return
	}
	s.tcp.accepted.Add(1)
	e.remember(c)
	conn.Taken() // not before, or the era would seem to be quiet
	s.connGroup.Add(1)
	s.panics.Go("quic client", func() {
		defer e.forget(c)
		s.converse(&c.connection)
	})
}

func (e *quicEra) remember(c *quicConn) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.conns[c] = struct{}{}; e.leaving {
		c.hurry()
	}
}

func (e *quicEra) forget(c *quicConn) {
	e.mu.Lock()
	defer e.mu.Unlock()
	delete(e.conns, c)
}

// quiet tells whether nobody is served, nor on his way.
func (e *quicEra) quiet() bool {
	e.mu.Lock()
	n := len(e.conns)
	e.mu.Unlock()
	return n == 0 && e.l.Quiet()
}

// hurry ends the connections as soon as they are silent, and those that come.
func (e *quicEra) hurry() {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.leaving = true
	for c := range e.conns {
		c.hurry()
	}
}

// wait waits until the era is quiet, twice in a row, since a packet that was just read is
// neither in the socket nor a handshake.
func (e *quicEra) wait(until time.Duration) bool {
	for seen := 0; ; {
		if seen++; !e.quiet() {
			seen = 0
		}
		if seen == 2 {
			return true
		}
		left := until - e.q.s.clock.Mono()
		if left <= 0 {
			return false
		}
		time.Sleep(min(left, limits.LeaveQuietTCP))
	}
}

// close tells who is left that his connection ends, and closes what the era has.
func (e *quicEra) close() {
	e.stopAccepting()
	<-e.ended
	e.mu.Lock()
	left := slices.Collect(maps.Keys(e.conns))
	e.mu.Unlock()
	for _, c := range left {
		c.kill()
	}
	e.l.Close()
}

// leaveGroup implements socket. It only tells that the socket may leave: stop has it leave
// if others are there.
func (q *quicSocket) leaveGroup() bool { return true }

// stop implements socket.
func (q *quicSocket) stop(by, _ time.Duration) {
	q.mu.Lock()
	q.stopped = true
	q.mu.Unlock()
	for _, e := range q.all() {
		e.hurry()
	}
	if !q.leave() || !q.passedOn() {
		q.stay()
		if soon := min(by, q.s.clock.Mono()+limits.LeaveQUIC); !q.wait(soon) && !q.at.shared {
			q.leave()
		}
	}
	q.wait(by + limits.LeaveFlush) // who has no answer by then gets SERVFAIL
	for _, e := range q.all() {
		e.close()
	}
	q.retiring.Wait()
}

// wait waits until all eras are quiet.
func (q *quicSocket) wait(until time.Duration) bool {
	for _, e := range q.all() {
		if !e.wait(until) {
			return false
		}
	}
	return true
}

// latest takes in who comes.
func (q *quicSocket) latest() *quicEra {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.eras[len(q.eras)-1]
}

// passedOn tells whether others pass on what comes for this socket, which has left.
func (q *quicSocket) passedOn() bool {
	at := q.at.addr
	if at.Addr().IsUnspecified() {
		at = netip.AddrPortFrom(loopback(at.Addr()), at.Port())
	}
	return q.latest().l.PassedOn(at)
}

// leave has the kernel choose others, or has them alone read from a socket that they have,
// too. It is false where the socket could not leave.
func (q *quicSocket) leave() bool {
	if q.at.shared {
		q.latest().l.Pause()
		return true
	}
	return q.withFD(func(fd int) error { return connectToItself(fd, q.at.addr) }) == nil
}

// stay takes back that the socket has left.
func (q *quicSocket) stay() {
	if q.at.shared {
		q.latest().l.Resume()
		return
	}
	_ = q.withFD(disconnect)
}

// withFD implements socket.
func (q *quicSocket) withFD(fn func(fd int) error) error {
	return withFD(q.conn, fn)
}

// quicKeyLabel names a key by which it is seen whether others are as they were.
const quicKeyLabel = "quic sockets"

// randomKey is a key that no other process knows.
func randomKey(string) (key [32]byte) {
	_, _ = rand.Read(key[:]) // it never fails: without random numbers the process ends
	return key
}
