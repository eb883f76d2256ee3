package doq

import (
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/quic-go/quic-go"

	"kresd/internal/limits"
)

// A Listener that cannot be had has closed the socket, and left nothing in the directory.
func TestAListenerThatFailsLeavesNothing(t *testing.T) {
	long := filepath.Join(t.TempDir(), strings.Repeat("d", 100))
	for dir, says := range map[string]string{
		"/dev/null": "directory for packets of others '/dev/null': ",
		long:        "socket for packets of others: ",
	} {
		conn, _ := localUDP(t)
		if _, err := Listen(conn, serverOptions(t, Options{Dir: dir})); err == nil || !strings.HasPrefix(err.Error(), says) || !isClosed(conn) {
			t.Errorf("%s: %v; the socket is closed: %t", dir, err, isClosed(conn))
		}
	}
	conn, _ := localUDP(t)
	_ = conn.Close()
	dir := filepath.Join(t.TempDir(), "quic")
	before := descriptors(t)
	const times = 20
	for range times {
		if _, err := Listen(conn, serverOptions(t, Options{Dir: dir})); err == nil {
			t.Fatal("a socket that is closed is served")
		}
	}
	if more := descriptors(t) - before; more >= times {
		t.Errorf("%d descriptors more are open", more)
	}
	if left, err := os.ReadDir(dir); err != nil || len(left) > 0 {
		t.Errorf("%v is left, %v", left, err)
	}
}

// The library writes nothing about buffers on standard error.
func TestTheLibraryIsQuiet(t *testing.T) {
	const name = "QUIC_GO_DISABLE_RECEIVE_BUFFER_WARNING"
	for what, do := range map[string]func(){
		"a server": func() { echoServer(t) },
		"a client": func() { _ = askOnce(freeAt(t), clientConfig(nil), time.Nanosecond) },
	} {
		t.Setenv(name, "")
		if do(); os.Getenv(name) != "true" {
			t.Errorf("%s may write", what)
		}
	}
}

// Whoever waits for clients hears that nobody comes any more.
func TestNobodyIsAcceptedWhenAListenerIsClosed(t *testing.T) {
	conn, _ := localUDP(t)
	l, err := Listen(conn, serverOptions(t, Options{}))
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if c, err := l.Accept(ctx); !errors.Is(err, context.Canceled) || c != nil {
		t.Errorf("when it waits no longer: %v, %v", c, err)
	}
	l.Close()
	if c, err := l.Accept(within(t)); err == nil || c != nil || !isClosed(conn) {
		t.Errorf("when it is closed: %v, %v; the socket is closed: %t", c, err, isClosed(conn))
	}
}

// A turn is given back when the answer to a client's hello is made: who sends no more had it
// until it was given up.
func TestATurnIsGivenBackBeforeTheClientIsWaitedFor(t *testing.T) {
	var given atomic.Int32
	at, l, _ := echoServerOf(t, Options{
		Handshake: func() time.Duration { return 10 * time.Minute },
		Turn: func(context.Context) (func(), error) {
			return sync.OnceFunc(func() { given.Add(1) }), nil
		},
	})
	begin(t, at)
	eventually(t, "the turn is given back", func() bool { return given.Load() == 1 })
	if n := l.shaking.Taken(); n != 1 {
		t.Errorf("%d handshakes are under way, want that of who sends no more", n)
	}
}

// Whose turn does not come is not connected.
func TestWhoseTurnDoesNotComeIsNotConnected(t *testing.T) {
	at, l, failed := echoServerOf(t, Options{Turn: func(context.Context) (func(), error) { return nil, errors.New("busy") }})
	if err := askOnce(at, clientConfig(nil), 10*time.Second); err == nil || errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("it ends with %v", err)
	}
	eventually(t, "the handshake is over", func() bool { return l.shaking.Taken() == 0 && failed.Load() == 1 })
}

// What a client sends and nobody reads is bounded, of a question and of all of a connection:
// so much it may send, which arrives, and not an octet more.
func TestWhatNobodyReadsIsBounded(t *testing.T) {
	conn, at := localUDP(t)
	o := serverOptions(t, Options{})
	o.Questions = func() int { return 100 }
	l, err := Listen(conn, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(l.Close)
	c := connected(t, at)
	allowed := func() (octets int) { // on another stream, before any of it is read
		s, err := c.c.OpenStreamSync(within(t))
		if err != nil {
			t.Fatal(err)
		}
		for octets = -1; err == nil && octets <= limits.QUICConnWindow; octets++ {
			err = s.TryWriteAll([]byte{0})
		}
		if !errors.Is(err, quic.ErrWouldBlock) {
			t.Fatalf("after %d octets: %v", octets, err)
		}
		return octets
	}
	if n := allowed(); n != limits.QUICStreamWindow {
		t.Errorf("a question may be of %d octets before it is read, want %d", n, limits.QUICStreamWindow)
	}
	all, streams := limits.QUICStreamWindow, 1
	for n := allowed(); n > 0; n = allowed() {
		all, streams = all+n, streams+1
	}
	if all != limits.QUICConnWindow {
		t.Errorf("a client may send %d octets that nobody reads, want %d", all, limits.QUICConnWindow)
	}
	come := 0
	for came := accepted(t, l); streams > 0; streams-- {
		st, err := came.Next(within(t))
		if err != nil {
			t.Fatalf("%d streams do not come: %v", streams, err)
		}
		_ = st.s.SetReadDeadline(time.Now().Add(20 * time.Second))
		n, _ := io.ReadFull(st.s, make([]byte, limits.QUICStreamWindow))
		come += n
	}
	if come != all {
		t.Errorf("%d octets arrive of %d", come, all)
	}
}

// Neither side tries how long datagrams may be: none is longer than those of the handshake,
// which every path carries.
func TestNoDatagramIsLongerThanThoseOfTheHandshake(t *testing.T) {
	server, _, _ := echoServer(t)
	w, at := tap(t, server)
	c := connected(t, at)
	for range 50 {
		if err := question(c); err != nil {
			t.Fatal(err)
		}
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.longest > 1280 {
		t.Errorf("one has %d octets", w.longest)
	}
}

// With a Listener ends what takes in packets that others pass on.
func TestWhatIsTakenInEndsWithTheListener(t *testing.T) {
	conn, _ := localUDP(t)
	o := serverOptions(t, Options{Dir: filepath.Join(t.TempDir(), "quic")})
	ended := make(chan struct{})
	o.Go = func(_ string, fn func()) { go func() { defer close(ended); fn() }() }
	l, err := Listen(conn, o)
	if err != nil {
		t.Fatal(err)
	}
	l.Close()
	soon(t, "it ends", ended)
}
