package listen

import (
	"crypto/tls"
	"errors"
	"net/netip"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"kresd/internal/doq"
	"kresd/internal/limits"
	"kresd/internal/transport"
)

// comers connect, ask and go, one after the other. Nobody may be turned away; a question may
// meet the end of a connection whose client was slow to ask it.
type comers struct {
	clients                sync.WaitGroup
	served, ended, refused atomic.Int32
	over                   chan struct{}
}

func come(t *testing.T, at netip.AddrPort, conf *tls.Config) *comers {
	c := &comers{over: make(chan struct{})}
	for range 4 {
		c.clients.Go(func() {
			for {
				select {
				case <-c.over:
					return
				default:
				}
				c.one(t, at, conf)
			}
		})
	}
	return c
}

func (c *comers) one(t *testing.T, at netip.AddrPort, conf *tls.Config) {
	client, err := dialQUIC(at, conf)
	if err != nil {
		c.refused.Add(1)
		t.Errorf("a client is turned away: %v", err)
		return
	}
	defer client.Close()
	_, err = askQUIC(client, ask(0, 'f'))
	if code, ok := doq.CodeOf(err); ok && code == doq.NoError {
		c.ended.Add(1)
		return
	}
	if err != nil {
		t.Errorf("a question is lost: %v", err)
	}
	c.served.Add(1)
}

// more waits until more clients were served.
func (c *comers) more(t *testing.T) {
	t.Helper()
	before := c.served.Load()
	eventually(t, "clients are served", func() bool { return c.served.Load() >= before+20 })
}

func (c *comers) end(t *testing.T) {
	close(c.over)
	c.clients.Wait()
	t.Logf("%d served, %d ended, %d refused", c.served.Load(), c.ended.Load(), c.refused.Load())
	if c.ended.Load()*5 > c.served.Load() {
		t.Errorf("%d connections ended before their question, %d did not", c.ended.Load(), c.served.Load())
	}
}

// Keys change while clients come: nobody is turned away, whether or not other processes have
// the socket, and without a word of who binds sockets.
func TestQUICClientsComeWhileKeysChange(t *testing.T) {
	for _, inherited := range []bool{false, true} {
		conf, client := encrypted(t)
		client.NextProtos = []string{doq.Protocol}
		var secret atomic.Uint32
		key := func(label string) (key [32]byte) {
			copy(key[1:], label)
			key[0] = byte(secret.Load())
			return key
		}
		s := New(newEcho(), Options{Limits: &limits.Counters{}, Panics: quietPanics(), TLS: offering(conf), Key: key, Dir: filepath.Join(t.TempDir(), "quic")})
		t.Cleanup(func() { s.Drain(t.Context()) })
		at := netip.AddrPortFrom(netip.MustParseAddr("127.0.0.1"), freePort(t))
		if err := errors.Join(s.Open(), s.Listen(at, only(transport.QUIC))); err != nil {
			t.Fatal(err)
		}
		q := s.endpoints[0].socket.(*quicSocket)
		q.at.shared = inherited
		c := come(t, at, client)
		for range 10 {
			secret.Add(1)
			if err := s.RenewKeys(); err != nil {
				t.Error(err)
			}
			eventually(t, "the former era is over", func() bool { return len(q.all()) == 1 })
			c.more(t)
		}
		c.end(t)
	}
}

// Workers come and go while clients come: those whose first packet waits in a socket that
// leaves, and those who are on the way to be connected by it, are served by it, and all
// others by its siblings.
func TestQUICClientsComeWhileWorkersLeave(t *testing.T) {
	all, at, conf, more := growingQUIC(t, newEcho(), 2, filepath.Join(t.TempDir(), "quic"))
	c := come(t, at, conf)
	for range 8 {
		c.more(t)
		all = append(all, more(1)...)
		all[0].Drain(t.Context())
		all = all[1:]
	}
	c.end(t)
}

// Who leaves finds out whether others pass on what comes for it, at whatever addresses they are.
func TestWhetherOthersPassOnWhatComesByQUIC(t *testing.T) {
	for _, addr := range []string{"127.0.0.2", "0.0.0.0", "::1"} {
		server, _ := encrypted(t)
		at := netip.AddrPortFrom(netip.MustParseAddr(addr), freePort(t))
		dir := filepath.Join(t.TempDir(), "quic")
		made := func() *Server {
			s := New(newEcho(), Options{Limits: &limits.Counters{}, Panics: quietPanics(), TLS: offering(server), Key: sameKey, Dir: dir})
			if err := errors.Join(s.Open(), s.Listen(at, only(transport.QUIC))); err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { s.Drain(t.Context()) })
			return s
		}
		q := made().endpoints[0].socket.(*quicSocket)
		for _, others := range []bool{false, true} {
			if others {
				made()
			}
			if !q.leave() {
				t.Errorf("%s: it cannot leave", addr)
			}
			if q.passedOn() != others {
				t.Errorf("%s: others are there: %v; passed on: %v", addr, others, !others)
			}
			q.stay()
		}
	}
}

// A question that waits for long is answered by a worker that has left, be it the last at an
// address, for all addresses, or one of many that have a socket in common.
func TestQUICQuestionsWaitForAWorkerThatLeaves(t *testing.T) {
	for name, c := range map[string]struct {
		addr    string
		sibling bool
		shared  bool
	}{
		"the last":                  {"127.0.0.1", false, false},
		"the last at all addresses": {"0.0.0.0", false, false},
		"one of two":                {"127.0.0.1", true, false},
		"the last with a socket":    {"127.0.0.1", false, true},
	} {
		h := newEcho()
		server, conf := encrypted(t)
		conf.NextProtos = []string{doq.Protocol}
		at := netip.AddrPortFrom(netip.MustParseAddr(c.addr), freePort(t))
		dir := filepath.Join(t.TempDir(), "quic")
		made := func() *Server {
			s := New(h, Options{Limits: &limits.Counters{}, Panics: quietPanics(), TLS: offering(server), Key: sameKey, Dir: dir})
			if err := errors.Join(s.Open(), s.Listen(at, only(transport.QUIC))); err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { s.Drain(t.Context()) })
			return s
		}
		s := made()
		s.endpoints[0].socket.(*quicSocket).at.shared = c.shared
		to := netip.AddrPortFrom(netip.MustParseAddr("127.0.0.1"), at.Port())
		client := quicClient(t, to, conf)
		if c.sibling {
			made()
		}
		answered := make(chan error, 1)
		go func() {
			_, err := askQUIC(client, ask(0, 'w'))
			answered <- err
		}()
		eventually(t, "a question waits", func() bool { return s.Stats().Waiting == 1 })
		left := make(chan struct{})
		go func() { s.Drain(t.Context()); close(left) }()
		time.Sleep(3 * limits.LeaveQUIC)
		close(h.release)
		if err := <-answered; err != nil {
			t.Errorf("%s: %v", name, err)
		}
		comes(t, "the worker has left", left)
	}
}
