package test

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/miekg/dns"

	"kresd/internal/doq"
	"kresd/internal/proctest"
)

// dialDoQ connects to whoever is there, and resumes what cache holds.
func dialDoQ(at netip.AddrPort, cache tls.ClientSessionCache) (*doq.Client, error) {
	pc, err := net.ListenUDP("udp", nil)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	return doq.Dial(ctx, pc, at, &tls.Config{InsecureSkipVerify: true, NextProtos: []string{doq.Protocol}, ServerName: "kresd.test", ClientSessionCache: cache}, 10*time.Second)
}

// askDoQ asks for here.example.
func askDoQ(c *doq.Client, limit time.Duration, options ...dns.EDNS0) error {
	q := proctest.Query("here.example", dns.TypeA, 1232)
	q.Id, q.IsEdns0().Option = 0, options
	wire, err := q.Pack()
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(context.Background(), limit)
	defer cancel()
	st, err := c.Ask(ctx, append([]byte{byte(len(wire) >> 8), byte(len(wire))}, wire...), time.Now().Add(limit))
	if err != nil {
		return err
	}
	msg, err := st.Read(nil, time.Now().Add(limit))
	if err != nil {
		return err
	}
	r := &dns.Msg{}
	if err := r.Unpack(msg); err != nil || len(r.Answer) != 1 || r.Id != 0 {
		return fmt.Errorf("%v: %v", err, r)
	}
	return nil
}

// withDoQ is a group that listens for QUIC, and where.
func withDoQ(t *testing.T, workers int, lua string) (proctest.Config, netip.AddrPort) {
	at := proctest.FreePort(t)
	return withPort(t, workers, fmt.Sprintf("%s net.listen('127.0.0.1', %d, { kind = 'doq' })\n%s", hintHere, at.Port(), lua)), at
}

// kdigQUIC is what kdig shows of the answer about here.example by QUIC.
func kdigQUIC(at netip.AddrPort, more ...string) string {
	args := append([]string{"+quic", "@" + at.Addr().String(), "-p", fmt.Sprint(at.Port()), "+timeout=5", "+retry=0", "here.example"}, more...)
	out, _ := exec.Command("kdig", args...).CombinedOutput()
	return string(out)
}

// kdig is answered over QUIC, padded, by the cached answer's way as by the driver's,
// and what counts and tells names the transport.
func TestKdigIsAnsweredByQUIC(t *testing.T) {
	conf, at := withDoQ(t, 1, "modules.load('stats') policy.add(policy.suffix(policy.DROP, { todname('dropped.example') }))")
	g := proctest.Start(t, conf)
	out := kdigQUIC(at, "+edns", "+padding")
	if !strings.Contains(out, "192.0.2.99") || !strings.Contains(out, "QUIC") || !strings.Contains(out, "PADDING") {
		t.Errorf("kdig shows:\n%s", out)
	}
	if out := kdigQUIC(at, "dropped.example"); !strings.Contains(out, "192.0.2.99") || strings.Contains(out, "NXDOMAIN") {
		t.Errorf("a question before a dropped one:\n%s", out)
	}
	if got := strings.TrimSpace(g.Eval(t, "stats.get('request.doq4')")); got != "3" {
		t.Errorf("request.doq4 is %s, want 3", got)
	}
	c, err := dialDoQ(at, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if err := askDoQ(c, 10*time.Second, &dns.EDNS0_PADDING{Padding: make([]byte, 30)}); err != nil {
		t.Error(err)
	}
	err = askDoQ(c, 10*time.Second, &dns.EDNS0_TCP_KEEPALIVE{Code: dns.EDNS0TCPKEEPALIVE}) // RFC 9250, section 5.5.2
	if code, ok := doq.CodeOf(err); !ok || code != doq.ProtocolError {
		t.Errorf("a question with edns-tcp-keepalive: %v", err)
	}
	last := "net.endpoints()[#net.endpoints()]"
	if got := strings.TrimSpace(g.Eval(t, last+".kind .. "+last+".transport.protocol")); got != "doqudp" {
		t.Errorf("net.endpoints() says %s", got)
	}
	if got := g.Eval(t, fmt.Sprintf("net.close('127.0.0.1', %d)", at.Port())); strings.TrimSpace(got) != "true" {
		t.Errorf("net.close: %s", got)
	}
	proctest.Eventually(t, 20*time.Second, "nobody is let in after net.close", func() bool {
		c, err := dialDoQ(at, nil)
		if err == nil {
			c.Close()
		}
		return err != nil
	})
}

// A client whose worker is killed or replaced hears of it with its next question, and
// goes on by another connection, with its session. A worker that is killed may have
// acknowledged a question that it has not answered; for that its client sends nothing more,
// and so hears nothing. Who is replaced owes an answer or an end to all.
func TestQUICClientsOutliveWorkers(t *testing.T) {
	conf, at := withDoQ(t, 3, "")
	g := proctest.Start(t, conf)
	var asked, lost, resumed, dialled, unheard atomic.Int32
	var killing atomic.Bool
	killing.Store(true)
	stop := make(chan struct{})
	done := make(chan error, 8)
	for range cap(done) {
		go func() {
			cache := tls.NewLRUClientSessionCache(1)
			var c *doq.Client
			defer func() {
				if c != nil {
					c.Close()
				}
			}()
			for {
				select {
				case <-stop:
					done <- nil
					return
				case <-time.After(5 * time.Millisecond):
				}
				for c == nil {
					begun := time.Now()
					next, err := dialDoQ(at, cache)
					switch {
					case err == nil:
						c = next
						if dialled.Add(1); c.Resumed() {
							resumed.Add(1)
						}
					case time.Since(begun) > 8*time.Second:
						done <- err
						return
					}
				}
				asked.Add(1)
				may, limit := killing.Load(), 8*time.Second // less than until the connection is idle for too long
				if may {
					limit = 3 * time.Second
				}
				err := askDoQ(c, limit)
				if errors.Is(err, doq.ErrSlow) && may {
					unheard.Add(1)
					err = askDoQ(c, 5*time.Second)
				}
				if err != nil {
					if errors.Is(err, doq.ErrSlow) {
						done <- fmt.Errorf("a question got neither an answer nor an end (killing %t): %w", may, err)
						return
					}
					lost.Add(1)
					c.Close()
					c = nil
				}
			}
		}()
	}
	for range 3 {
		w := g.Workers()[0]
		if err := syscall.Kill(w.PID, syscall.SIGKILL); err != nil {
			t.Fatal(err)
		}
		proctest.Eventually(t, 20*time.Second, "the group is whole again", func() bool { return len(g.Workers()) == 3 })
		time.Sleep(200 * time.Millisecond)
	}
	killing.Store(false)
	old := g.Workers()
	g.Signal(syscall.SIGHUP)
	proctest.Eventually(t, 60*time.Second, "all workers are others", func() bool {
		now := g.Workers()
		for _, w := range now {
			for _, o := range old {
				if w.PID == o.PID {
					return false
				}
			}
		}
		return len(now) == 3
	})
	close(stop)
	for range cap(done) {
		if err := <-done; err != nil {
			t.Error(err)
		}
	}
	t.Logf("%d questions, %d connections of which %d resumed a session, %d lost, %d unheard", asked.Load(), dialled.Load(), resumed.Load(), lost.Load(), unheard.Load())
	if asked.Load() < 100 || dialled.Load() > 8 && resumed.Load() == 0 {
		t.Error("that is not what clients do")
	}
}

// One kresd forwards to another by QUIC, to the one that has the key, and to no other.
func TestForwardingByQUIC(t *testing.T) {
	conf, at := withDoQ(t, 1, "")
	far := proctest.Start(t, conf)
	var pin string
	proctest.Eventually(t, 20*time.Second, "the log tells the pin", func() bool {
		_, rest, found := strings.Cut(far.Log(), "pin-sha256 '")
		if found {
			pin, _, _ = strings.Cut(rest, "'")
		}
		return found
	})
	for want, pin := range map[string]string{"answer": pin, "failure": "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="} {
		near := proctest.Start(t, withPort(t, 1, fmt.Sprintf("trust_anchors.remove('.') policy.add(policy.all(policy.FORWARD({ { 'quic://127.0.0.1:%d', pin_sha256 = '%s' } })))", at.Port(), pin)))
		m := near.Ask(t, "udp", "here.example", dns.TypeA, 1232)
		got := "failure"
		if len(m.Answer) == 1 && m.Rcode == dns.RcodeSuccess {
			got = "answer"
		}
		if got != want {
			t.Errorf("with the pin %s: %v; log: %s", pin, m, near.Log())
		}
	}
}

// Workers that share one socket, as from a service manager, get each other's packets,
// and pass them on.
func TestWorkersShareASocketOfQUIC(t *testing.T) {
	open := func() (*os.File, netip.AddrPort) {
		c, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		f, err := c.File()
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { f.Close() })
		return f, netip.MustParseAddrPort(c.LocalAddr().String())
	}
	plain, addr := open()
	quic, at := open()
	conf := proctest.Config{Workers: 3, Addr: addr, Lua: hintHere}
	proctest.Start(t, conf.Activated("dns:doq", plain, quic))
	cache := tls.NewLRUClientSessionCache(1)
	var slowest time.Duration
	for range 12 {
		begun := time.Now()
		c, err := dialDoQ(at, cache)
		slowest = max(slowest, time.Since(begun))
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		for range 20 {
			if err := askDoQ(c, 10*time.Second); err != nil {
				t.Fatal(err)
			}
		}
	}
	t.Logf("the slowest handshake took %v", slowest)
}

// A secret that is set while the group serves reaches the sockets that are open over QUIC: two
// groups at one port that get the same secret later tell each other's clients at once that a
// connection is lost, when the process that had it is dead.
func TestALaterSecretReachesOpenQUICSockets(t *testing.T) {
	conf, at := withDoQ(t, 1, "")
	first := proctest.Start(t, conf)
	second := proctest.Start(t, withPort(t, 1, fmt.Sprintf("%s net.listen('127.0.0.1', %d, { kind = 'doq' })", hintHere, at.Port())))
	for _, g := range []*proctest.Group{first, second} {
		if got := g.Eval(t, "net.tls_sticket_secret('"+strings.Repeat("s", 40)+"')"); strings.TrimSpace(got) != "true" {
			t.Fatalf("the secret: %s", got)
		}
	}
	conns := func(g *proctest.Group) string { return strings.TrimSpace(g.Eval(t, "worker.stats().connections")) }
	time.Sleep(time.Second) // the former sockets go
	var c *doq.Client
	proctest.Eventually(t, 20*time.Second, "a client is at the first group", func() bool {
		var err error
		if c, err = dialDoQ(at, nil); err != nil {
			return false
		}
		if askDoQ(c, 5*time.Second) == nil && conns(first) != "0" {
			return true
		}
		c.Close()
		return false
	})
	defer c.Close()
	syscall.Kill(first.Workers()[0].PID, syscall.SIGKILL)
	first.Signal(syscall.SIGKILL)
	if _, err := first.Wait(10 * time.Second); err != nil {
		t.Logf("the first group has ended: %v", err)
	}
	begun := time.Now()
	if err := askDoQ(c, 8*time.Second); err == nil || !strings.Contains(err.Error(), "knows nothing of this connection") {
		t.Errorf("after %v: %v", time.Since(begun), err)
	}
}
