package attack

import (
	"bytes"
	"crypto/tls"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/miekg/dns"

	"kresd/internal/proctest"
)

// A swarm is hostile clients by TCP and TLS, each of which comes again a second after its
// connection has ended.
type swarm struct {
	tcp, tls netip.AddrPort
	ask      []byte // a hundred questions for much
	hello    []byte
	end      time.Time
	conns    atomic.Int64
	shakes   atomic.Int64
	done     sync.WaitGroup
}

// startSwarm starts clients that play for a while, begun within a second.
func startSwarm(t *testing.T, l *lab, overTLS netip.AddrPort, clients int, during time.Duration) *swarm {
	t.Helper()
	q := new(dns.Msg)
	q.SetQuestion("big.evil.com.", dns.TypeTXT)
	wire, err := q.Pack()
	if err != nil {
		t.Fatal(err)
	}
	s := &swarm{tcp: l.g.Addr, tls: overTLS, hello: firstWords(), end: time.Now().Add(during)}
	s.ask = bytes.Repeat(append([]byte{byte(len(wire) >> 8), byte(len(wire))}, wire...), 100)
	kinds := []func(net.Conn){s.halfShaken, s.idle, s.idleTLS, s.unread, s.halfClosed, s.gone, s.unreadTLS, s.goneTLS}
	for i := range clients {
		s.done.Go(func() {
			time.Sleep(time.Second * time.Duration(i) / time.Duration(clients))
			s.play(i, kinds[i%len(kinds)])
		})
	}
	return s
}

// play connects again and again, by TLS where i says so.
func (s *swarm) play(i int, on func(net.Conn)) {
	to := s.tcp
	if slices.Contains([]int{0, 2, 6, 7}, i%8) {
		to = s.tls
	}
	d := net.Dialer{Timeout: 3 * time.Second, Control: func(_, _ string, c syscall.RawConn) error {
		return c.Control(func(fd uintptr) { _ = syscall.SetsockoptInt(int(fd), syscall.SOL_SOCKET, syscall.SO_RCVBUF, 4096) })
	}}
	for time.Now().Before(s.end) {
		if c, err := d.Dial("tcp", to.String()); err == nil {
			s.conns.Add(1)
			on(c)
			c.Close()
		}
		time.Sleep(min(time.Second, time.Until(s.end)))
	}
}

// rest waits until the server ends the connection, or the play does.
func (s *swarm) rest(c net.Conn) {
	_ = c.SetReadDeadline(s.end)
	for b := make([]byte, 16); ; {
		if _, err := c.Read(b); err != nil {
			return
		}
	}
}

func (s *swarm) idle(c net.Conn) { s.rest(c) }

func (s *swarm) halfShaken(c net.Conn) {
	_, _ = c.Write(s.hello[:len(s.hello)/2])
	s.rest(c)
}

func (s *swarm) unread(c net.Conn) {
	_, _ = c.Write(s.ask)
	time.Sleep(min(1500*time.Millisecond, time.Until(s.end)))
}

func (s *swarm) halfClosed(c net.Conn) {
	_, _ = c.Write(s.ask[:len(s.ask)/100])
	_ = c.(*net.TCPConn).CloseWrite()
	s.rest(c)
}

func (s *swarm) gone(c net.Conn) { _, _ = c.Write(s.ask[:len(s.ask)/100]) }

func (s *swarm) shake(c net.Conn) net.Conn {
	e := tls.Client(c, unchecked)
	_ = e.SetDeadline(time.Now().Add(10 * time.Second))
	if e.Handshake() == nil {
		s.shakes.Add(1)
	}
	return e
}

func (s *swarm) idleTLS(c net.Conn)   { s.rest(s.shake(c)) }
func (s *swarm) unreadTLS(c net.Conn) { s.unread(s.shake(c)) }
func (s *swarm) goneTLS(c net.Conn)   { s.shake(c) }

// TestC8Swarm has thousands of hostile clients by TCP and TLS beside benign ones by UDP, in
// turns with the same without them: handshakes that end halfway, clients that are idle,
// never read, close their side, or come again and again.
func TestC8Swarm(t *testing.T) {
	const rounds, rate, during, mostBusy, mostGrown = 3, 10000, 2 * time.Second, 100.0, 192 << 20
	clients := 3000 * min(scale(), 4)
	if clients > 3000 {
		raiseFiles(t, uint64(clients)+4000)
	}
	zs := honest()
	var b strings.Builder
	for i := range 240 {
		fmt.Fprintf(&b, "big.evil.com. TXT \"%d%s\"\n", i, strings.Repeat("x", 240))
	}
	evilZone(zs, "evil.com.", "127.66.1.1", b.String())
	at := proctest.FreePort(t)
	l := newLab(t, zs, 1, fmt.Sprintf("net.listen('127.0.0.1', %d, { tls = true })", at.Port()))
	l.ask("www.example.com.", dns.TypeA)
	if r, err := dnsTCP(l.g.Addr, "big.evil.com.", dns.TypeTXT); err != nil || len(r.Answer) != 240 {
		t.Fatalf("%v: %d records", err, len(r.Answer))
	}
	load := func() (proctest.Report, time.Duration) {
		used := processorTime(t, l.g.PID())
		hits := proctest.Load(t, l.g.Addr, rate, "www.example.com")
		time.Sleep(during)
		r := hits.Stop()
		return r, processorTime(t, l.g.PID()) - used
	}
	load()
	before := l.sum("worker.stats().rss")
	var alone, beside []float64
	var busy time.Duration
	var conns, shakes, sent, answered int64
	for range rounds {
		r, used := load()
		alone, busy = append(alone, float64(r.Wait(0.99))/1e6), busy-used
		s := startSwarm(t, l, at, clients, 1500*time.Millisecond+during)
		time.Sleep(1500 * time.Millisecond)
		r, used = load()
		beside, busy = append(beside, float64(r.Wait(0.99))/1e6), busy+used
		sent, answered = sent+int64(r.Sent), answered+int64(r.Answered-r.Failed)
		s.done.Wait()
		conns, shakes = conns+s.conns.Load(), shakes+s.shakes.Load()
	}
	slices.Sort(alone)
	slices.Sort(beside)
	share, grown := 100*float64(busy)/float64(rounds*during), l.sum("worker.stats().rss")-before
	tell(t, "C8", fmt.Sprintf("%d hostile clients by TCP and TLS, %d connections, %d handshakes, beside %d questions a second by UDP", clients, conns, shakes, rate),
		"99 % of benign, 100 % of a processor, 192 MiB (p99 <= 10 % more where nothing else runs)", "p99 %.2f ms alone, %.2f ms beside them, who take %.0f %% of a processor and %d MiB; %d of %d answered",
		alone[rounds/2], beside[rounds/2], share, grown>>20, answered, sent)
	// The waits are those of the whole machine, with the clients that it plays itself: they are
	// told and not judged.
	if answered*100 < sent*99 || share > mostBusy || grown > mostGrown {
		t.Errorf("%d of %d benign questions answered; hostile clients take %.0f %% of a processor, %d MiB", answered, sent, share, grown>>20)
	}
	proctest.Eventually(t, 30*time.Second, "the worker is rid of them", func() bool { return l.sum("worker.stats().connections") == 0 })
}

// raiseFiles lets this process have so many descriptors, or skips the test.
func raiseFiles(t *testing.T, n uint64) {
	t.Helper()
	var rl syscall.Rlimit
	err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &rl)
	if rl.Cur = min(n, rl.Max); err == nil && rl.Max >= n {
		err = syscall.Setrlimit(syscall.RLIMIT_NOFILE, &rl)
	}
	if err != nil || rl.Max < n {
		t.Skipf("not run: %d descriptors are needed, %d may be had: %v", n, rl.Max, err)
	}
}
