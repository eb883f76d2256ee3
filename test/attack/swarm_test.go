package attack

import (
	"bytes"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"os/exec"
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
	swarmOrder
	ask    []byte // a hundred questions for much
	hello  []byte
	end    time.Time
	conns  atomic.Int64
	shakes atomic.Int64
	done   sync.WaitGroup
}

// A swarmOrder says whom a swarm visits, and how long; a swarmReport is what it did.
type (
	swarmOrder struct {
		TCP, TLS netip.AddrPort
		Clients  int
		During   time.Duration
	}
	swarmReport struct{ Conns, Handshakes int64 }
)

// swarmEnv has a process of this test's program be a swarm: it holds a swarmOrder.
const swarmEnv = "KRESD_ATTACK_SWARM"

// startSwarm starts clients that play for a while, begun within a second, and returns a
// function that waits for their end. They are a process of its own, which the system serves
// after whoever else wants a processor: what they take themselves is nobody's wait, and what
// is measured beside them is what the server takes for them. That holds also for a test which
// runs before all others on the machine (chrt --rr 5): they do not.
func startSwarm(t *testing.T, o swarmOrder) (wait func() swarmReport) {
	t.Helper()
	order, err := json.Marshal(o)
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command("chrt", "--other", "0", "nice", "-n", "19", os.Args[0])
	cmd.Env = append(os.Environ(), swarmEnv+"="+string(order))
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = cmd.Process.Kill() })
	return func() (r swarmReport) {
		t.Helper()
		if err := errors.Join(json.NewDecoder(out).Decode(&r), cmd.Wait()); err != nil {
			t.Fatalf("the hostile clients: %v", err)
		}
		return r
	}
}

// beSwarm plays an order and says what was done.
func beSwarm(order string) error {
	s := &swarm{hello: firstWords()}
	if err := json.Unmarshal([]byte(order), &s.swarmOrder); err != nil {
		return err
	}
	q := new(dns.Msg)
	q.SetQuestion("big.evil.com.", dns.TypeTXT)
	wire, err := q.Pack()
	if err == nil {
		err = raiseFiles(uint64(s.Clients) + 100)
	}
	if err != nil {
		return err
	}
	s.ask = bytes.Repeat(append([]byte{byte(len(wire) >> 8), byte(len(wire))}, wire...), 100)
	s.end = time.Now().Add(s.During)
	kinds := []func(net.Conn){s.halfShaken, s.idle, s.idleTLS, s.unread, s.halfClosed, s.gone, s.unreadTLS, s.goneTLS}
	for i := range s.Clients {
		s.done.Go(func() {
			time.Sleep(time.Second * time.Duration(i) / time.Duration(s.Clients))
			s.play(i, kinds[i%len(kinds)])
		})
	}
	s.done.Wait()
	return json.NewEncoder(os.Stdout).Encode(swarmReport{s.conns.Load(), s.shakes.Load()})
}

// play connects again and again, by TLS where i says so.
func (s *swarm) play(i int, on func(net.Conn)) {
	to := s.TCP
	if slices.Contains([]int{0, 2, 6, 7}, i%8) {
		to = s.TLS
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
// turns with the same without them, and with the same crowd at another server of the machine:
// handshakes that end halfway, clients that are idle, never read, close their side, or come
// again and again. What waits are longer beside them than where they visit another server is
// what they cost within this one; the rest is the machine's. On a machine that has others to
// serve, chrt --rr 5 makes the waits those of the server: who asks and who answers then go
// before everybody else.
func TestC8Swarm(t *testing.T) {
	const rounds, rate, during, mostBusy, mostGrown = 3, 10000, 2 * time.Second, 100.0, 192 << 20
	clients := 3000 * min(scale(), 4)
	if err := mayHaveFiles(uint64(clients) + 100); err != nil {
		t.Skipf("not run: %v", err)
	}
	zs := honest()
	var b strings.Builder
	for i := range 240 {
		fmt.Fprintf(&b, "big.evil.com. TXT \"%d%s\"\n", i, strings.Repeat("x", 240))
	}
	evilZone(zs, "evil.com.", "127.66.1.1", b.String())
	at, elsewhere := proctest.FreePort(t), proctest.FreePort(t)
	l := newLab(t, zs, 1, fmt.Sprintf("net.listen('127.0.0.1', %d, { tls = true })", at.Port()))
	another := proctest.Start(t, proctest.On(t, l.net, 1, fmt.Sprintf("net.listen('127.0.0.1', %d, { tls = true })", elsewhere.Port())))
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
	var alone, beside, apart []float64
	var busy time.Duration
	var conns, shakes, sent, answered int64
	for range rounds {
		r, used := load()
		alone, busy = append(alone, float64(r.Wait(0.99))/1e6), busy-used
		wait := startSwarm(t, swarmOrder{l.g.Addr, at, clients, 1500*time.Millisecond + during})
		time.Sleep(1500 * time.Millisecond)
		r, used = load()
		beside, busy = append(beside, float64(r.Wait(0.99))/1e6), busy+used
		sent, answered = sent+int64(r.Sent), answered+int64(r.Answered-r.Failed)
		did := wait()
		conns, shakes = conns+did.Conns, shakes+did.Handshakes
		wait = startSwarm(t, swarmOrder{another.Addr, elsewhere, clients, 1500*time.Millisecond + during})
		time.Sleep(1500 * time.Millisecond)
		r, _ = load()
		apart = append(apart, float64(r.Wait(0.99))/1e6)
		wait()
	}
	for _, list := range [][]float64{alone, beside, apart} {
		slices.Sort(list)
	}
	share, grown := 100*float64(busy)/float64(rounds*during), l.sum("worker.stats().rss")-before
	tell(t, "C8", fmt.Sprintf("%d hostile clients by TCP and TLS, %d connections, %d handshakes, beside %d questions a second by UDP", clients, conns, shakes, rate),
		"99 % of benign, 100 % of a processor, 192 MiB (p99 <= 10 % more where nothing else runs)", "p99 %.2f ms alone, %.2f ms beside them (%.2f ms where they visit another server), who take %.0f %% of a processor and %d MiB; %d of %d answered",
		alone[rounds/2], beside[rounds/2], apart[rounds/2], share, grown>>20, answered, sent)
	// The waits are those of the whole machine, with the clients that it plays itself: they are
	// told and not judged.
	if answered*100 < sent*99 || share > mostBusy || grown > mostGrown {
		t.Errorf("%d of %d benign questions answered; hostile clients take %.0f %% of a processor, %d MiB", answered, sent, share, grown>>20)
	}
	proctest.Eventually(t, 30*time.Second, "the worker is rid of them", func() bool { return l.sum("worker.stats().connections") == 0 })
}

// mayHaveFiles tells whether a process may have so many descriptors.
func mayHaveFiles(n uint64) error {
	var rl syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &rl); err != nil {
		return err
	}
	if rl.Max < n {
		return fmt.Errorf("%d descriptors are needed, %d may be had", n, rl.Max)
	}
	return nil
}

// raiseFiles lets this process have so many descriptors.
func raiseFiles(n uint64) error {
	var rl syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &rl); err != nil {
		return err
	}
	rl.Cur = max(rl.Cur, min(n, rl.Max))
	return syscall.Setrlimit(syscall.RLIMIT_NOFILE, &rl)
}

// TestC8HandshakesHaveAShare has clients do handshakes one after the other as fast as they
// are let, and looks at the processor time that the worker takes for them: beside a stream
// of questions by UDP it is a share of what it is without.
func TestC8HandshakesHaveAShare(t *testing.T) {
	const rate, during, most = 4000, 3 * time.Second, 60.0 // percent; what is no computing comes on top
	at := proctest.FreePort(t)
	l := newLab(t, honest(), 1, fmt.Sprintf("net.listen('127.0.0.1', %d, { tls = true })", at.Port()))
	l.ask("www.example.com.", dns.TypeA)
	measure := func(udp, hostile bool) (share float64, shakes int) {
		var load *proctest.Stream
		if udp {
			load = proctest.Load(t, l.g.Addr, rate, "www.example.com")
			time.Sleep(100 * time.Millisecond)
		}
		stop := make(chan struct{})
		var playing sync.WaitGroup
		if hostile {
			playing.Go(func() { shakes = each(8, stop, func() int { return oneHandshake(at) }) })
		}
		used := processorTime(t, l.g.PID())
		time.Sleep(during)
		used = processorTime(t, l.g.PID()) - used
		close(stop)
		playing.Wait()
		if udp {
			if r := load.Stop(); (r.Answered-r.Failed)*100 < r.Sent*99 {
				t.Errorf("%d of %d benign questions were answered", r.Answered-r.Failed, r.Sent)
			}
		}
		return 100 * float64(used) / float64(during), shakes
	}
	calm, _ := measure(true, false)
	free, shakesFree := measure(false, true)
	beside, shakes := measure(true, true)
	tell(t, "C8", fmt.Sprintf("handshakes as fast as they are let, beside %d questions a second by UDP", rate), "60 % of a processor",
		"%d, who take %.0f %% of a processor (%d and %.0f %% without UDP)", shakes, beside-calm, shakesFree, free)
	if beside-calm > most || shakes == 0 {
		t.Errorf("%d handshakes take %.0f %% of a processor, more than %.0f", shakes, beside-calm, most)
	}
	if l.hits("tls_turns") == 0 {
		t.Error("no handshake waited")
	}
}

// oneHandshake tells how many handshakes were done.
func oneHandshake(at netip.AddrPort) int {
	c, err := dialTLS(at)
	if err != nil {
		return 0
	}
	c.Close()
	return 1
}
