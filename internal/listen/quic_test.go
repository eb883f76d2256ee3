package listen

import (
	"context"
	"crypto/tls"
	"errors"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"kresd/internal/doq"
	"kresd/internal/doq/doqtest"
	"kresd/internal/limits"
	"kresd/internal/transport"
)

// sameKey derives the keys that the workers of a test have in common.
func sameKey(label string) (key [32]byte) {
	copy(key[:], label)
	return key
}

// serveQUIC opens servers at one address, as workers of a group do.
func serveQUIC(t *testing.T, h Handler, workers int) (all []*Server, at netip.AddrPort, client *tls.Config) {
	t.Helper()
	all, at, client, _ = growingQUIC(t, h, workers, "")
	return all, at, client
}

// growingQUIC is serveQUIC for workers that reach each other in a directory, and can
// become more.
func growingQUIC(t *testing.T, h Handler, workers int, dir string) (all []*Server, at netip.AddrPort, client *tls.Config, more func(n int) []*Server) {
	t.Helper()
	conf, client := encrypted(t)
	client.NextProtos = []string{doq.Protocol}
	at = netip.MustParseAddrPort("127.0.0.1:0")
	more = func(n int) (list []*Server) {
		for range n {
			s := New(h, Options{Limits: &limits.Counters{}, Panics: quietPanics(), TLS: offering(conf), Key: sameKey, Dir: dir})
			if err := errors.Join(s.Open(), s.Listen(at, only(transport.QUIC))); err != nil {
				t.Fatal(err)
			}
			at = s.Endpoints()[0].Addr
			t.Cleanup(func() { s.Drain(t.Context()) })
			list = append(list, s)
		}
		return list
	}
	all = more(workers)
	return all, at, client, more
}

// quicClient connects to a server.
func quicClient(t *testing.T, at netip.AddrPort, conf *tls.Config) *doq.Client {
	t.Helper()
	c, err := dialQUIC(at, conf)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c
}

// oddQUIC connects as a client that does what none should.
func oddQUIC(t *testing.T, at netip.AddrPort, conf *tls.Config) *doqtest.Client {
	t.Helper()
	pc, err := net.ListenUDP("udp", nil)
	if err != nil {
		t.Fatal(err)
	}
	c, err := doqtest.Dial(t.Context(), pc, at, conf)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c
}

func dialQUIC(at netip.AddrPort, conf *tls.Config) (*doq.Client, error) {
	pc, err := net.ListenUDP("udp", nil)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	return doq.Dial(ctx, pc, at, conf, 20*time.Second)
}

// askQUIC sends a message and waits for the answer.
func askQUIC(c *doq.Client, msg []byte) ([]byte, error) {
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	st, err := c.Ask(ctx, appendFrame(nil, msg), time.Now().Add(20*time.Second))
	if err != nil {
		return nil, err
	}
	return st.Read(make([]byte, 512), time.Now().Add(20*time.Second))
}

func TestQUICIsAnswered(t *testing.T) {
	h := newEcho()
	all, at, conf := serveQUIC(t, h, 1)
	s := all[0]
	c := quicClient(t, at, conf)
	for _, how := range []byte("fd") {
		if msg, err := askQUIC(c, ask(0, how)); err != nil || msg[0] != 0 || msg[1] != 0 || msg[2]&0x80 == 0 || msg[len(msg)-1] != 1 {
			t.Errorf("%c: %v, %v", how, msg, err)
		}
	}
	long := ask(0, 'f', make([]byte, 60000)...)
	if msg, err := askQUIC(c, long); err != nil || len(msg) != len(long)+1 {
		t.Errorf("a long question: %d octets, %v", len(msg), err)
	}
	for how, rcode := range map[byte]byte{'p': 2, 'P': 2, 'n': 2} {
		if msg, err := askQUIC(c, ask(0, how)); err != nil || msg[3] != rcode {
			t.Errorf("%c: %v, %v", how, msg, err)
		}
	}
	if msg, err := askQUIC(c, ask(0, 'x')); err == nil {
		t.Errorf("a dropped question: %v", msg)
	}
	if _, err := askQUIC(c, ask(0, 'f')); err != nil {
		t.Errorf("after all that: %v", err)
	}
	if st := s.Stats(); st.TCP != 8 || st.TCPAccepted != 1 || st.Conns != 1 {
		t.Errorf("%+v", st)
	}
	if list := s.Endpoints(); len(list) != 1 || list[0].Kind != transport.QUIC {
		t.Errorf("%+v", list)
	}
	if n := len(s.Copies(9)); n != 0 {
		t.Errorf("%d copies of what nobody can go on with", n)
	}
}

// Questions of one connection are answered as they are ready, and one that does not
// come to its end holds up no other.
func TestQUICQuestionsDoNotWaitForEachOther(t *testing.T) {
	h := newEcho()
	_, at, conf := serveQUIC(t, h, 1)
	c := oddQUIC(t, at, conf)
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	var waiting sync.WaitGroup
	for range 20 {
		waiting.Go(func() {
			if _, err := c.Ask(ctx, ask(0, 'w')); err != nil {
				t.Error(err)
			}
		})
		if err := c.Begin(ctx, appendFrame(nil, ask(0, 'f'))[:9]); err != nil {
			t.Fatal(err)
		}
	}
	for range 100 {
		if _, err := c.Ask(ctx, ask(0, 'f')); err != nil {
			t.Fatal(err)
		}
	}
	close(h.release)
	waiting.Wait()
}

// Questions of which a part never comes are bounded, however many clients begin them; those
// beyond are refused, and whole ones answered all the while. When their clients go, nothing
// is left.
func TestQUICSlowStreamsAreBounded(t *testing.T) {
	all, at, conf := serveQUIC(t, newEcho(), 1)
	s := all[0]
	const each = 90 // of limits.DefaultTCPPipeline
	part := appendFrame(nil, ask(0, 'f'))[:9]
	good := quicClient(t, at, conf)
	var odd []*doqtest.Client
	begun := 0
	for begun < limits.QUICSlowStreams+3*each {
		c := oddQUIC(t, at, conf)
		odd = append(odd, c)
		for range each {
			if err := c.Begin(t.Context(), part); err != nil {
				t.Fatal(err)
			}
			begun++
		}
		if _, err := askQUIC(good, ask(0, 'f')); err != nil {
			t.Fatalf("beside %d begun questions: %v", begun, err)
		}
		if n := s.slowStreams.Taken(); n > limits.QUICSlowStreams {
			t.Fatalf("%d questions are waited for, more than %d", n, limits.QUICSlowStreams)
		}
	}
	eventually(t, "those beyond are refused", func() bool { return s.limits.Get(limits.QUIC) > 0 })
	for _, c := range odd {
		c.Close()
	}
	eventually(t, "none is left", func() bool { return s.slowStreams.Taken() == 0 && s.Stats().Conns == 1 })
	if _, err := askQUIC(good, ask(0, 'f')); err != nil {
		t.Errorf("afterwards: %v", err)
	}
}

// Questions over QUIC that are given up as soon as they are asked cost their clients the
// connection where these are counted (TestOffencesOfAClientAreSummed), and in any case
// nobody else his answers.
func TestQUICQuestionsThatAreGivenUp(t *testing.T) {
	all, at, conf := serveQUIC(t, newEcho(), 1)
	good, c := quicClient(t, at, conf), oddQUIC(t, at, conf)
	for i := range 1000 {
		if err := c.GiveUp(t.Context(), appendFrame(nil, ask(0, 'd'))); err != nil {
			t.Fatal(err)
		}
		if i%100 == 0 {
			if _, err := askQUIC(good, ask(0, 'f')); err != nil {
				t.Fatal(err)
			}
		}
	}
	c.Close()
	eventually(t, "nothing of it is left", func() bool {
		st := all[0].Stats()
		return st.Conns == 1 && st.Waiting == 0 && all[0].slowStreams.Taken() == 0
	})
}

// What is no question as it must be ends the connection, and says why.
func TestQUICProtocolErrorsEndTheConnection(t *testing.T) {
	_, at, conf := serveQUIC(t, newEcho(), 1)
	good := appendFrame(nil, ask(0, 'f'))
	response := ask(0, 'f')
	response[2] |= 0x80
	for name, octets := range map[string][]byte{
		"an ID":             appendFrame(nil, ask(1, 'f')),
		"a response":        appendFrame(nil, response),
		"no header":         appendFrame(nil, make([]byte, 11)),
		"nothing":           appendFrame(nil, nil),
		"half":              good[:7],
		"half a length":     good[:1],
		"an empty one":      {},
		"two questions":     append(append([]byte{}, good...), good...),
		"an octet more":     append(append([]byte{}, good...), 0),
		"what is forbidden": appendFrame(nil, ask(0, 'v')),
		"a longer claim":    append([]byte{0xff, 0xff}, good[2:]...),
	} {
		c := quicClient(t, at, conf)
		st, err := c.Ask(t.Context(), octets, time.Now().Add(20*time.Second))
		if err != nil {
			t.Fatal(err)
		}
		msg, err := st.Read(make([]byte, 64), time.Now().Add(20*time.Second))
		if code, ok := doq.CodeOf(err); !ok || code != doq.ProtocolError {
			t.Errorf("%s: %v, %v", name, msg, err)
		}
	}
}

// Garbage, plain questions and half-done handshakes get nothing, and hold nobody up.
func TestQUICGarbage(t *testing.T) {
	all, at, conf := serveQUIC(t, newEcho(), 1)
	u := udpClient(t, at)
	for _, b := range [][]byte{ask(7, 'f'), {}, {0x40}, {0xc0, 0, 0, 0, 1}, make([]byte, 1400), append([]byte{0xc3, 0, 0, 0, 1, 8}, make([]byte, 1300)...)} {
		if _, err := u.Write(b); err != nil {
			t.Fatal(err)
		}
	}
	for name, conf := range map[string]*tls.Config{
		"another protocol": {InsecureSkipVerify: true, NextProtos: []string{"h3"}},
		"no protocol":      {InsecureSkipVerify: true},
		"a stranger":       {ServerName: "resolver.example", NextProtos: []string{doq.Protocol}},
	} {
		if _, err := dialQUIC(at, conf); err == nil {
			t.Errorf("%s: connected", name)
		}
	}
	if _, err := askQUIC(quicClient(t, at, conf), ask(0, 'f')); err != nil {
		t.Error(err)
	}
	eventually(t, "failed handshakes are counted", func() bool { return all[0].tls.failed.Load() == 3 })
}

// One client has only so many connections, and one is closed for another.
func TestQUICConnectionsAreCounted(t *testing.T) {
	all, at, conf := serveQUIC(t, newEcho(), 1)
	s := all[0]
	may := limits.DefaultClients()
	may.Conns = 3
	s.SetClientLimits(may)
	for range 6 {
		if _, err := askQUIC(quicClient(t, at, conf), ask(0, 'f')); err != nil {
			t.Fatal(err)
		}
	}
	eventually(t, "three are left", func() bool { return s.Stats().Conns == 3 && s.Stats().TCPShed == 3 })
}

// quicEnds waits until a connection has ended.
func quicEnds(t *testing.T, what string, c *doq.Client) {
	t.Helper()
	comes(t, "the end of "+what, c.Ended())
}

// The connection that has been silent for longest gives way, whichever came first.
func TestTheQUICConnectionThatAskedLastStays(t *testing.T) {
	all, at, conf := serveQUIC(t, newEcho(), 1)
	s := all[0]
	may := limits.DefaultClients()
	may.Conns = 2
	s.SetClientLimits(may)
	first, second := quicClient(t, at, conf), quicClient(t, at, conf)
	asks := func(c *doq.Client) {
		t.Helper()
		if _, err := askQUIC(c, ask(0, 'f')); err != nil {
			t.Fatal(err)
		}
		eventually(t, "its question is answered", func() bool {
			answered := true
			s.conns.each(func(c *connection) { answered = answered && c.outstanding.Load() == 0 })
			return answered
		})
	}
	asks(first)
	asks(second)
	asks(first)
	asks(quicClient(t, at, conf))
	quicEnds(t, "the one that has been silent for longest", second)
	asks(first)
}

// Where all connections wait for answers another one is refused.
func TestQUICConnectionsAreRefusedWhereNobodyIsIdle(t *testing.T) {
	h := newEcho()
	all, at, conf := serveQUIC(t, h, 1)
	s := all[0]
	may := limits.DefaultClients()
	may.Conns = 1
	s.SetClientLimits(may)
	answered := make(chan error, 1)
	busy := quicClient(t, at, conf)
	go func() {
		_, err := askQUIC(busy, ask(0, 'w'))
		answered <- err
	}()
	eventually(t, "it waits", func() bool { return s.Stats().Waiting == 1 })
	if c, err := dialQUIC(at, conf); err == nil {
		defer c.Close()
		if _, err := askQUIC(c, ask(0, 'f')); err == nil {
			t.Error("a second client is served")
		}
	}
	eventually(t, "it is refused", func() bool { return s.Stats().TCPRefused == 1 })
	close(h.release)
	if err := <-answered; err != nil {
		t.Errorf("the first client: %v", err)
	}
}

// A server that leaves answers what was asked, closes idle connections at once, and
// its clients find another.
func TestQUICDrain(t *testing.T) {
	h := newEcho()
	all, at, conf := serveQUIC(t, h, 1)
	idle, busy := quicClient(t, at, conf), quicClient(t, at, conf)
	if _, err := askQUIC(idle, ask(0, 'f')); err != nil {
		t.Fatal(err)
	}
	answered := make(chan error, 1)
	go func() {
		_, err := askQUIC(busy, ask(0, 'w'))
		answered <- err
	}()
	eventually(t, "it waits", func() bool { return all[0].Stats().Waiting == 1 })
	drained := make(chan struct{})
	go func() { all[0].Drain(t.Context()); close(drained) }()
	quicEnds(t, "the idle one", idle)
	time.Sleep(2 * limits.LeaveQUIC) // out of the group by now
	close(h.release)
	if err := <-answered; err != nil {
		t.Errorf("a question that was asked before: %v", err)
	}
	comes(t, "the server has left", drained)
}

// Where another worker gets a connection's packets, the client is told at once.
func TestQUICConnectionsOfADeadWorkerEndAtOnce(t *testing.T) {
	all, at, conf := serveQUIC(t, newEcho(), 1)
	c := quicClient(t, at, conf)
	if _, err := askQUIC(c, ask(0, 'f')); err != nil {
		t.Fatal(err)
	}
	// The owner hears nothing any more, as if it were dead; its sibling is there.
	fd := all[0].endpoints[0].socket.(*quicSocket)
	if err := fd.withFD(func(fd int) error { return connectToItself(fd, at) }); err != nil {
		t.Fatal(err)
	}
	server, _ := encrypted(t)
	other := New(newEcho(), Options{Limits: &limits.Counters{}, Panics: quietPanics(), TLS: offering(server), Key: sameKey})
	if err := errors.Join(other.Open(), other.Listen(at, only(transport.QUIC))); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { other.Drain(t.Context()) })
	begun := time.Now()
	if _, err := askQUIC(c, ask(0, 'f')); err == nil || !strings.Contains(err.Error(), "knows nothing of this connection") {
		t.Errorf("after %v: %v", time.Since(begun), err)
	}
}

// Where keys follow from another secret, open sockets have them soon: questions that wait are
// answered, new clients served, and a sibling that has the secret since its start tells a
// client at once that its connection is lost. Sockets that are handed on have them, too.
func TestQUICSocketsHaveTheKeysOfANewSecret(t *testing.T) {
	for _, inherited := range []bool{false, true} {
		h := newEcho()
		conf, client := encrypted(t)
		client.NextProtos = []string{doq.Protocol}
		var secret atomic.Uint32
		key := func(label string) (key [32]byte) {
			copy(key[1:], label)
			key[0] = byte(secret.Load())
			return key
		}
		made := func() *Server {
			s := New(h, Options{Limits: &limits.Counters{}, Panics: quietPanics(), TLS: offering(conf), Key: key})
			t.Cleanup(func() { s.Drain(t.Context()) })
			return s
		}
		s := made()
		if err := errors.Join(s.Open(), s.Listen(netip.MustParseAddrPort("127.0.0.1:0"), only(transport.QUIC))); err != nil {
			t.Fatal(err)
		}
		at := s.Endpoints()[0].Addr
		q := s.endpoints[0].socket.(*quicSocket)
		q.at.shared = inherited
		first := q.latest()
		if err := s.RenewKeys(); err != nil || q.latest() != first {
			t.Fatalf("the same secret: %v, another era", err)
		}
		waiting := quicClient(t, at, client)
		answered := make(chan error, 1)
		go func() {
			_, err := askQUIC(waiting, ask(0, 'w'))
			answered <- err
		}()
		eventually(t, "a question waits", func() bool { return s.Stats().Waiting == 1 })
		secret.Store(1)
		if err := s.RenewKeys(); err != nil {
			t.Fatal(err)
		}
		time.Sleep(2 * limits.LeaveQUIC) // as a question may wait
		close(h.release)
		if err := <-answered; err != nil {
			t.Errorf("inherited %v: a question from before: %v", inherited, err)
		}
		eventually(t, "the former era is over", func() bool { return len(q.all()) == 1 })
		c := quicClient(t, at, client)
		if _, err := askQUIC(c, ask(0, 'f')); err != nil {
			t.Fatalf("inherited %v: a new client: %v", inherited, err)
		}
		if s.endpoints[0].socket != socket(q) || q.latest() == first {
			t.Errorf("inherited %v: another socket, or the same era", inherited)
		}
		if err := q.withFD(func(fd int) error { return connectToItself(fd, at) }); err != nil {
			t.Fatal(err)
		}
		other := made()
		if err := errors.Join(other.Open(), other.Listen(at, only(transport.QUIC))); err != nil {
			t.Fatal(err)
		}
		if _, err := askQUIC(c, ask(0, 'f')); err == nil || !strings.Contains(err.Error(), "knows nothing of this connection") {
			t.Errorf("inherited %v: from a sibling: %v", inherited, err)
		}
	}
}

// On a socket for all addresses the client hears from the one that it asked.
func TestQUICAtAllAddresses(t *testing.T) {
	conf, client := encrypted(t)
	client.NextProtos = []string{doq.Protocol}
	s := New(&teller{}, Options{Limits: &limits.Counters{}, Panics: quietPanics(), TLS: offering(conf)})
	if err := errors.Join(s.Open(), s.Listen(netip.MustParseAddrPort("0.0.0.0:0"), only(transport.QUIC))); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Drain(t.Context()) })
	at := netip.AddrPortFrom(netip.MustParseAddr("127.0.0.5"), s.Endpoints()[0].Addr.Port())
	msg, err := askQUIC(quicClient(t, at, client), ask(0, 'f'))
	if err != nil || !strings.HasSuffix(told(msg), " asks "+at.String()) {
		t.Errorf("%s, %v", msg, err)
	}
}

// When all is over, nothing of it is left.
func TestQUICLeavesNothingBehind(t *testing.T) {
	files := openFiles(t)
	t.Run("", func(t *testing.T) {
		all, at, conf, _ := growingQUIC(t, newEcho(), 3, filepath.Join(t.TempDir(), "quic"))
		for range 10 {
			if _, err := askQUIC(quicClient(t, at, conf), ask(0, 'f')); err != nil {
				t.Fatal(err)
			}
			if err := oddQUIC(t, at, conf).Begin(t.Context(), []byte{0, 99, 1}); err != nil {
				t.Fatal(err)
			}
		}
		all[0].Close(at)
	})
	eventually(t, "its descriptors are closed", func() bool { return openFiles(t) <= files })
	eventually(t, "its goroutines have ended", func() bool {
		b := make([]byte, 1<<20)
		stacks := string(b[:runtime.Stack(b, true)])
		return !strings.Contains(stacks, "quic-go") && !strings.Contains(stacks, "quicConn") && !strings.Contains(stacks, "doq.") && !strings.Contains(stacks, "quicSocket")
	})
}

func openFiles(t *testing.T) int {
	list, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	return len(list)
}

// A connection goes on at its worker while others come and go, wherever the kernel
// sends its packets; and where its worker leaves, what was asked is answered.
func TestQUICConnectionsSurviveOtherWorkers(t *testing.T) {
	h := newEcho()
	dir := filepath.Join(t.TempDir(), "quic")
	all, at, conf, more := growingQUIC(t, h, 2, dir)
	clients := map[*doq.Client]bool{}
	for range 24 {
		clients[quicClient(t, at, conf)] = true
	}
	ask := func(when string) {
		t.Helper()
		for c := range clients {
			if _, err := askQUIC(c, ask(0, 'f')); err != nil {
				t.Errorf("%s: %v", when, err)
				delete(clients, c)
			}
		}
	}
	ask("at first")
	others := more(5)
	ask("with five more workers")
	long := ask13(20000)
	for c := range clients {
		if msg, err := askQUIC(c, long); err != nil || len(msg) != len(long)+1 {
			t.Errorf("a long question: %d octets, %v", len(msg), err)
		}
	}
	for _, s := range others {
		s.Drain(t.Context())
	}
	ask("when they have left")
	var waiting sync.WaitGroup
	for c := range clients {
		waiting.Go(func() {
			if _, err := askQUIC(c, []byte{0, 0, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0, 'w'}); err != nil {
				t.Errorf("a question whose worker left: %v", err)
			}
		})
	}
	eventually(t, "all wait", func() bool { return all[0].Stats().Waiting+all[1].Stats().Waiting == len(clients) })
	more(3)
	for _, s := range all {
		waiting.Go(func() { s.Drain(t.Context()) })
	}
	time.Sleep(2 * limits.LeaveQUIC) // they are out of the group by now
	close(h.release)
	waiting.Wait()
	if list, err := os.ReadDir(dir); err != nil || len(list) != 3 {
		t.Errorf("%d sockets are left, want 3: %v", len(list), err)
	}
}

// ask13 is a question of n octets that is answered on the thread.
func ask13(n int) []byte { return ask(0, 'f', make([]byte, n-headerLen-1)...) }

// A listed proxy cannot say over QUIC for whom it asks, and is never the client itself.
func TestAListedProxyIsNoClientOverQUIC(t *testing.T) {
	all, at, conf := serveQUIC(t, newEcho(), 1)
	s := all[0]
	s.SetProxies([]netip.Prefix{netip.MustParsePrefix("127.0.0.1/32")})
	if c, err := dialQUIC(at, conf); err == nil {
		if msg, err := askQUIC(c, ask(0, 'f')); err == nil {
			t.Errorf("a listed proxy was answered: %v", msg)
		}
		c.Close()
	}
	if n := s.limits.Get(limits.Proxy); n != 1 {
		t.Errorf("counted %d times, want once", n)
	}
	s.SetProxies(nil)
	if _, err := askQUIC(quicClient(t, at, conf), ask(0, 'f')); err != nil {
		t.Errorf("when nobody is listed: %v", err)
	}
}

// Questions that are lost because this side ends the connection are no offences of the
// client; those that it gives up are.
func TestQUICQuestionsThatWeEndAreNoOffences(t *testing.T) {
	all, at, conf := serveQUIC(t, newEcho(), 1)
	s := all[0]
	source := s.sources.of(netip.MustParseAddr("192.0.2.9"))
	offences := func() int64 { source.mu.Lock(); defer source.mu.Unlock(); return source.offences }
	const n = 20
	begin := func() *doqtest.Client {
		c := oddQUIC(t, at, conf)
		eventually(t, "it is connected", func() bool { return s.conns.len() == 1 })
		s.conns.each(func(c *connection) { c.source = source })
		for range n {
			if err := c.Begin(t.Context(), appendFrame(nil, ask(0, 'f'))[:9]); err != nil {
				t.Fatal(err)
			}
		}
		eventually(t, "parts of questions have come", func() bool { return s.slowStreams.Taken() == n })
		return c
	}
	over := func() bool { return s.slowStreams.Taken() == 0 && s.conns.len() == 0 }
	ends := map[string]func(c *quicConn){
		"shed":    func(c *quicConn) { c.kill() },
		"drained": func(c *quicConn) { c.leave(); c.c.Close(doq.NoError) },
		"barred":  func(c *quicConn) { c.end(doq.ExcessiveLoad) },
	}
	for name, end := range ends {
		begin()
		s.conns.each(func(c *connection) { end(c.connHandler.(*quicConn)) })
		eventually(t, "it has ended", over)
		if got := offences(); got != 0 {
			t.Errorf("%s: %d offences", name, got)
		}
	}
	begin().Close()
	eventually(t, "its client has gone", over)
	if got := offences(); got != n {
		t.Errorf("given up by the client: %d offences, want %d", got, n)
	}
}
