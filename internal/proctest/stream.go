package proctest

import (
	"net"
	"net/netip"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"github.com/miekg/dns"

	"kresd/internal/safe"
)

// streamSockets is how many source ports a stream has: the kernel chooses the
// worker by them.
const streamSockets = 64

// streamGrace is how long the last queries of a stream may wait for an answer:
// less than a client's patience, more than any drain takes.
const streamGrace = 5 * time.Second

// A Stream sends queries over UDP at a steady rate and knows of each whether it
// was answered. It never asks again, as a measuring client must not.
type Stream struct {
	server  netip.AddrPort
	queries [][]byte
	sockets []*lane
	stop    chan struct{}
	sender  chan struct{}
	group   safe.Group
}

// A lane is one socket of a stream; its pending table is indexed by message ID.
type lane struct {
	conn     *net.UDPConn
	next     uint16
	sent     uint64
	pending  [65536]atomic.Int64 // 0, or when the query was sent
	answered atomic.Uint64
	failed   atomic.Uint64
	failure  atomic.Pointer[[]byte] // the first failed answer
	lost     []time.Time
	waits    []time.Duration // of the answered; the receiver's until it ends
}

// A Report is what became of a stream's queries. Failed ones were answered, but
// not with NOERROR; Failure is one of these answers.
type Report struct {
	Sent, Answered, Failed uint64
	Failure                *dns.Msg
	Lost                   []time.Time     // when each unanswered query was sent
	Waits                  []time.Duration // for each answer, the shortest first
}

// Wait is the time within which that share of the answers came.
func (r Report) Wait(share float64) time.Duration {
	if len(r.Waits) == 0 {
		return 0
	}
	return r.Waits[min(int(share*float64(len(r.Waits))), len(r.Waits)-1)]
}

// Load starts a stream of rate queries a second for the A records of names.
func Load(t testing.TB, server netip.AddrPort, rate int, names ...string) *Stream {
	t.Helper()
	s := &Stream{server: server, stop: make(chan struct{}), sender: make(chan struct{})}
	for _, name := range names {
		wire, err := Query(name, dns.TypeA, 1232).Pack()
		if err != nil {
			t.Fatal(err)
		}
		s.queries = append(s.queries, wire)
	}
	for range streamSockets {
		conn, err := net.ListenUDP("udp", net.UDPAddrFromAddrPort(netip.AddrPortFrom(server.Addr(), 0)))
		if err != nil {
			t.Fatal(err)
		}
		_ = conn.SetReadBuffer(1 << 20)
		l := &lane{conn: conn}
		s.sockets = append(s.sockets, l)
		s.group.Go("receive", l.receive)
	}
	s.group.Go("send", func() { s.send(rate) })
	return s
}

// send paces the queries by the clock, so that a late tick does not lower the rate.
func (s *Stream) send(rate int) {
	defer close(s.sender)
	tick := time.NewTicker(2 * time.Millisecond)
	defer tick.Stop()
	begin, n := time.Now(), 0
	for {
		select {
		case <-s.stop:
			return
		case now := <-tick.C:
			for due := int(now.Sub(begin).Seconds() * float64(rate)); n < due; n++ {
				s.sockets[n%len(s.sockets)].send(s.server, s.queries[n/len(s.sockets)%len(s.queries)])
			}
		}
	}
}

// send sends one query under the lane's next ID. Where the ID comes round again
// unanswered, its last query is lost.
func (l *lane) send(to netip.AddrPort, query []byte) {
	l.next++
	id := l.next
	if at := l.pending[id].Swap(time.Now().UnixNano()); at != 0 {
		l.lost = append(l.lost, time.Unix(0, at))
	}
	packet := append([]byte{byte(id >> 8), byte(id)}, query[2:]...)
	if _, err := l.conn.WriteToUDPAddrPort(packet, to); err != nil {
		l.pending[id].Store(0) // it was never sent
		return
	}
	l.sent++
}

// receive marks answered queries until the socket is closed.
func (l *lane) receive() {
	buf := make([]byte, 65536)
	for {
		n, _, err := l.conn.ReadFromUDPAddrPort(buf)
		if err != nil {
			return
		}
		if n < 12 || buf[2]&0x80 == 0 {
			continue
		}
		at := l.pending[uint16(buf[0])<<8|uint16(buf[1])].Swap(0)
		if at == 0 {
			continue
		}
		l.waits = append(l.waits, time.Duration(time.Now().UnixNano()-at))
		l.answered.Add(1)
		if buf[3]&0x0f != dns.RcodeSuccess {
			l.failed.Add(1)
			answer := append([]byte(nil), buf[:n]...)
			l.failure.CompareAndSwap(nil, &answer)
		}
	}
}

// Stop ends the stream, waits for the answers under way, and reports.
func (s *Stream) Stop() Report {
	close(s.stop)
	<-s.sender
	for end := time.Now().Add(streamGrace); time.Now().Before(end) && s.waiting() > 0; {
		time.Sleep(10 * time.Millisecond)
	}
	var r Report
	for _, l := range s.sockets {
		l.conn.Close()
	}
	s.group.Wait()
	for _, l := range s.sockets {
		r.Sent += l.sent
		r.Answered += l.answered.Load()
		r.Failed += l.failed.Load()
		r.Lost = append(r.Lost, l.lost...)
		r.Waits = append(r.Waits, l.waits...)
		if wire := l.failure.Load(); wire != nil {
			r.Failure = new(dns.Msg)
			_ = r.Failure.Unpack(*wire)
		}
		for id := range l.pending {
			if at := l.pending[id].Load(); at != 0 {
				r.Lost = append(r.Lost, time.Unix(0, at))
			}
		}
	}
	slices.Sort(r.Waits)
	return r
}

// waiting counts the queries without an answer yet.
func (s *Stream) waiting() (n uint64) {
	for _, l := range s.sockets {
		n += l.sent - l.answered.Load() - uint64(len(l.lost))
	}
	return n
}
