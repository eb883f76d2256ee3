package doq

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"runtime"
	"testing"
	"time"

	"golang.org/x/net/ipv4"
	"golang.org/x/sys/unix"

	"kresd/internal/freeport"
	"kresd/internal/limits"
)

// freeAt is an address of this machine where nobody is.
func freeAt(t *testing.T) netip.AddrPort {
	t.Helper()
	free, err := freeport.Choose()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(free.Release)
	return netip.AddrPortFrom(netip.MustParseAddr("127.0.0.1"), free.Port)
}

// localUDP is a UDP socket of this machine, and its address.
func localUDP(t *testing.T) (*net.UDPConn, netip.AddrPort) {
	t.Helper()
	conn, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	return conn, netip.MustParseAddrPort(conn.LocalAddr().String())
}

// connect connects a socket, which takes no datagrams of others then.
func connect(t *testing.T, conn *net.UDPConn, to netip.AddrPort) {
	t.Helper()
	raw, err := conn.SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	_ = raw.Control(func(fd uintptr) {
		err = unix.Connect(int(fd), &unix.SockaddrInet4{Port: int(to.Port()), Addr: to.Addr().As4()})
	})
	if err != nil {
		t.Fatal(err)
	}
}

// dialled is a connection by a socket to a server.
func dialled(t *testing.T, pc *net.UDPConn, at netip.AddrPort) *Client {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	c, err := Dial(ctx, pc, at, clientConfig(nil), 20*time.Second)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c
}

// connected is a connection to a server.
func connected(t *testing.T, at netip.AddrPort) *Client {
	t.Helper()
	pc, _ := localUDP(t)
	return dialled(t, pc, at)
}

// accepted is the client that has come to a Listener.
func accepted(t *testing.T, l *Listener) *Conn {
	t.Helper()
	c, err := l.Accept(within(t))
	if err != nil {
		t.Fatalf("no client is accepted: %v", err)
	}
	c.Taken()
	return c
}

// question is answered on a connection, or what it gets is said.
func question(c *Client) error {
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	st, err := c.Ask(ctx, framed([]byte("question")), time.Now().Add(20*time.Second))
	if err != nil {
		return err
	}
	msg, err := st.Read(nil, time.Now().Add(20*time.Second))
	if err == nil && string(msg) != "question" {
		err = fmt.Errorf("the answer is %q", msg)
	}
	return err
}

// asks has a question be answered by the one of some servers that is meant.
func asks(t *testing.T, what string, c *Client, by *outcomes) {
	t.Helper()
	before := by.asked.Load()
	if err := question(c); err != nil || by.asked.Load() != before+1 {
		t.Fatalf("%s: %v, %d questions came to the server that is meant", what, err, by.asked.Load()-before)
	}
}

// An error of the socket ended in silence what was read from it, so that who came was not
// served, and whoever would have others read waited for ever.
func TestAnErrorOfTheSocketPasses(t *testing.T) {
	own := grouped(t, freeAt(t))
	l, _ := echoOn(t, own, Options{})
	nobody := freeAt(t)
	connect(t, own, nobody)
	if _, err := own.WriteToUDPAddrPort([]byte("who is there?"), nobody); err != nil { // the kernel is told of it by the next read
		t.Fatal(err)
	}
	pc, client := localUDP(t)
	connect(t, own, client)
	if err := question(dialled(t, pc, netip.MustParseAddrPort(own.LocalAddr().String()))); err != nil {
		t.Errorf("who comes after it: %v", err)
	}
	paused := make(chan struct{})
	go func() {
		defer close(paused)
		l.Pause()
	}()
	select {
	case <-paused:
	case <-time.After(20 * time.Second):
		t.Error("who has others read waits for ever")
	}
}

// A socket serves those who came under former keys and those who come under others, until it
// is left by the last; whoever of them reads, and whichever ends first.
func TestASocketServesTwoSetsOfKeys(t *testing.T) {
	at := freeAt(t)
	own := grouped(t, at)
	first, by1 := echoOn(t, own, Options{})
	a := connected(t, at)
	asks(t, "before", a, by1)
	o := serverOptions(t, Options{})
	o.Key = func(string) [32]byte { return [32]byte{2} }
	second, err := first.Renew(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(second.Close)
	by2 := &outcomes{}
	go echo(second, by2)
	asks(t, "who came before", a, by1)
	b := connected(t, at)
	asks(t, "who comes afterwards", b, by2)
	first.Resume()
	asks(t, "who came before, as its server reads", a, by1)
	asks(t, "who came afterwards, as another reads", b, by2)
	first.Close()
	first.Close() // which does nothing more
	if first.relay.j.of(first.relay.tag) != nil {
		t.Error("a relay that is closed is still given packets")
	}
	second.Resume()
	asks(t, "who came afterwards, when the first is closed", b, by2)
	third, err := second.Renew(serverOptions(t, Options{}))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(third.Close)
	third.Close()
	second.Resume()
	asks(t, "when the latest is closed", b, by2)
	if _, err := second.Renew(serverOptions(t, Options{Dir: "/dev/null"})); err == nil {
		t.Error("a directory that is none does not matter")
	}
	asks(t, "when there was no other", b, by2)
	second.Close()
	again, err := net.ListenUDP("udp4", net.UDPAddrFromAddrPort(at))
	if err != nil {
		t.Fatalf("when all are closed: %v", err)
	}
	again.Close()
}

// Two processes have a socket in common: one that pauses reads nothing from it, and takes in
// what the other passes on.
func TestWhoPausesTakesInWhatOthersPassOn(t *testing.T) {
	at := freeAt(t)
	own := grouped(t, at)
	f, err := own.File()
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	same, err := net.FilePacketConn(f)
	if err != nil {
		t.Fatal(err)
	}
	dir := filepath.Join(t.TempDir(), "quic")
	first, by1 := echoOn(t, own, Options{Dir: dir})
	a := connected(t, at)
	asks(t, "alone", a, by1)
	first.Pause()
	second, by2 := echoOn(t, same.(*net.UDPConn), Options{Dir: dir})
	asks(t, "who came before", a, by1)
	b := connected(t, at)
	asks(t, "who comes", b, by2)
	first.Resume()
	second.Pause()
	asks(t, "who came meanwhile", b, by2)
	c := connected(t, at)
	asks(t, "who comes when it reads again", c, by1)
}

// When another has been appointed, who has read waits aside.
func TestWhoReadsIsPutAside(t *testing.T) {
	conn, _ := localUDP(t)
	j := newJunction(conn)
	r := joined(t, j)
	reads := read(r)
	j.appoint(r)
	j.appoint(nil)
	soon(t, "it waits aside", r.aside)
	_ = r.SetReadDeadline(time.Now())
	if got := soon(t, "it ends", reads); !errors.Is(got.err, os.ErrDeadlineExceeded) {
		t.Errorf("reading comes to %+v", got)
	}
}

// Who reads from a socket that is closed hears of it, whoever has closed it.
func TestReadingEndsWithTheSocket(t *testing.T) {
	conn, _ := localUDP(t)
	j := newJunction(conn)
	r := joined(t, j)
	j.appoint(r)
	reads := read(r)
	_ = conn.Close()
	if got := soon(t, "it ends", reads); !errors.Is(got.err, net.ErrClosed) {
		t.Errorf("reading comes to %+v", got)
	}
}

// Once it is told that a socket is read from no more, whatever comes stays there for others.
func TestWhoPausesReadsNothing(t *testing.T) {
	own, at := localUDP(t)
	f, err := own.File()
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	other, err := net.FilePacketConn(f)
	if err != nil {
		t.Fatal(err)
	}
	defer other.Close()
	l, _ := echoOn(t, own, Options{})
	l.Pause()
	from, _ := localUDP(t)
	const packets = 50
	for i := range packets {
		if _, err := from.WriteToUDPAddrPort([]byte{byte(i)}, at); err != nil {
			t.Fatal(err)
		}
	}
	_ = other.SetReadDeadline(time.Now().Add(20 * time.Second))
	for i := range packets {
		buf := make([]byte, 10)
		if n, _, err := other.ReadFrom(buf); err != nil || n != 1 || buf[0] != byte(i) {
			t.Fatalf("packet %d: %x, %v", i, buf[:n], err)
		}
	}
}

// room is a batch for some packets.
func room(n int) []ipv4.Message {
	ms := make([]ipv4.Message, n)
	for i := range ms {
		ms[i] = ipv4.Message{Buffers: [][]byte{make([]byte, 100)}, OOB: make([]byte, 20)}
	}
	return ms
}

// texts are the packets of a batch.
func texts(ms []ipv4.Message) (all []string) {
	for _, m := range ms {
		all = append(all, string(m.Buffers[0][:m.N]))
	}
	return all
}

// A reading is a call of ReadBatch, and what it gave.
type reading struct {
	texts []string
	err   error
}

// read has a relay be read from.
func read(r *relay) chan reading {
	done := make(chan reading, 1)
	go func() {
		ms := room(8)
		n, err := r.ReadBatch(ms, 0)
		done <- reading{texts(ms[:max(n, 0)]), err}
	}()
	return done
}

func (r reading) is(packet string) bool {
	return r.err == nil && len(r.texts) == 1 && r.texts[0] == packet
}

// soon is what comes, if it comes.
func soon[T any](t *testing.T, what string, c chan T) (x T) {
	t.Helper()
	select {
	case x = <-c:
	case <-time.After(20 * time.Second):
		t.Fatalf("not in 20 s: %s", what)
	}
	return x
}

// joined is a relay of a junction, without a directory.
func joined(t *testing.T, j *junction) *relay {
	t.Helper()
	r, err := newRelay(j, "")
	if err != nil {
		t.Fatal(err)
	}
	j.join(r)
	t.Cleanup(func() { _ = r.Close() })
	return r
}

// What is given to a relay is read by it, whether it reads from the socket or waits to be
// given something; and it gives nothing back before there is something for it.
func TestWhatIsGivenToARelayIsRead(t *testing.T) {
	conn, at := localUDP(t)
	j := newJunction(conn)
	r, other := joined(t, j), joined(t, j)
	from := &net.UDPAddr{IP: net.IPv4(192, 0, 2, 1), Port: 7}
	waits := read(r)
	r.give(passed{from, nil, []byte("while it waits")})
	if got := soon(t, "who waits reads it", waits); !got.is("while it waits") {
		t.Errorf("who waits reads %+v", got)
	}
	j.appoint(r)
	for range 100 { // in some it is in the middle of reading
		reads := read(r)
		runtime.Gosched()
		r.give(passed{from, nil, []byte("while it reads")})
		if got := soon(t, "who reads reads it", reads); !got.is("while it reads") {
			t.Errorf("who reads reads %+v", got)
		}
	}
	reads := read(r)
	client, _ := localUDP(t)
	send := func(to tag, text string) {
		t.Helper()
		packet := append(append([]byte{0x41}, to[:]...), "12345678"+text...)
		if _, err := client.WriteToUDPAddrPort(packet, at); err != nil {
			t.Fatal(err)
		}
	}
	send(other.tag, "other's")
	eventually(t, "the other is given its own", func() bool { return len(other.came) == 1 })
	send(r.tag, "ours")
	if got := soon(t, "who reads reads its own", reads); got.err != nil || len(got.texts) != 1 || !bytes.HasSuffix([]byte(got.texts[0]), []byte("ours")) {
		t.Errorf("who reads, after another's, reads %+v", got)
	}
	reads = read(r)
	_ = r.SetReadDeadline(time.Now())
	if got := soon(t, "reading ends", reads); got.err == nil || len(got.texts) > 0 {
		t.Errorf("at its end: %+v", got)
	}
	waits = read(other)
	if got := soon(t, "what came before is read", waits); got.err != nil || len(got.texts) != 1 {
		t.Errorf("what came before: %+v", got)
	}
	waits = read(other)
	_ = other.SetReadDeadline(time.Now())
	if got := soon(t, "waiting ends", waits); got.err == nil || len(got.texts) > 0 {
		t.Errorf("at the end of waiting: %+v", got)
	}
}

// A relay takes as many packets as have room, and no more are kept for it than it may have.
func TestPacketsOfOthersAreBounded(t *testing.T) {
	conn, _ := localUDP(t)
	r := joined(t, newJunction(conn))
	for i := range 2 * limits.QUICPassed {
		r.give(passed{&net.UDPAddr{}, []byte("co"), fmt.Appendf(nil, "%d", i)})
	}
	if len(r.came) != limits.QUICPassed {
		t.Errorf("%d packets are kept, want %d", len(r.came), limits.QUICPassed)
	}
	ms := room(3)
	for _, want := range []string{"[0 1 2]", "[3 4 5]"} {
		if n := r.takeIn(ms); n != len(ms) || fmt.Sprint(texts(ms)) != want || string(ms[2].OOB[:ms[2].NN]) != "co" {
			t.Errorf("%d were taken: %q, want %s", n, texts(ms[:n]), want)
		}
	}
	for len(r.came) > 1 {
		<-r.came
	}
	if n := r.takeIn(ms); n != 1 {
		t.Errorf("%d were taken of one", n)
	}
}

// A Listener is quiet when no handshake is under way, nothing was passed on to it that it has
// not read, and nothing waits in the socket, if it is to read that.
func TestWhenAListenerIsQuiet(t *testing.T) {
	conn, at := localUDP(t)
	j := newJunction(conn)
	r := joined(t, j)
	l := &Listener{relay: r, shaking: limits.NewShares(limits.QUICHandshakes)}
	quiet := func(what string, want bool) {
		t.Helper()
		if got := l.Quiet(); got != want {
			t.Errorf("%s: it is quiet: %t", what, got)
		}
	}
	j.appoint(r)
	quiet("nothing", true)
	l.shaking.Take(netip.Addr{})
	quiet("a handshake", false)
	l.shaking.Give(netip.Addr{})
	r.came <- passed{}
	quiet("a packet was passed on", false)
	<-r.came
	quiet("nothing any more", true)
	client, _ := localUDP(t)
	if _, err := client.WriteToUDPAddrPort([]byte("x"), at); err != nil {
		t.Fatal(err)
	}
	quiet("a packet waits", false)
	j.mu.Lock()
	j.reader = nil
	j.mu.Unlock()
	quiet("a packet waits for others", true)
}
