package test

import (
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/miekg/dns"

	"kresd/internal/proctest"
)

// A terminator takes TLS for an authority on one of its addresses, until it is closed.
type terminator struct {
	net.Listener
	carried atomic.Int32 // connections
	ending  sync.WaitGroup
	mu      sync.Mutex
	open    []net.Conn
}

func terminate(t *testing.T, at, authority string, cert *proctest.Certificate) *terminator {
	t.Helper()
	l, err := tls.Listen("tcp", at, &tls.Config{Certificates: []tls.Certificate{cert.TLS}, NextProtos: []string{"dot"}})
	if err != nil {
		t.Fatal(err)
	}
	e := &terminator{Listener: l}
	e.ending.Go(func() {
		for {
			client, err := l.Accept()
			if err != nil {
				return
			}
			e.carried.Add(1)
			server, err := net.Dial("tcp", authority)
			if err != nil {
				client.Close()
				continue
			}
			e.mu.Lock()
			e.open = append(e.open, client, server)
			e.mu.Unlock()
			for _, way := range [][2]net.Conn{{client, server}, {server, client}} {
				e.ending.Go(func() {
					_, _ = io.Copy(way[0], way[1])
					way[0].Close()
				})
			}
		}
	})
	t.Cleanup(e.end)
	return e
}

// end closes everything; it may be called twice.
func (e *terminator) end() {
	e.Close()
	e.mu.Lock()
	for _, c := range e.open {
		c.Close()
	}
	e.mu.Unlock()
	e.ending.Wait()
}

// Authoritative servers are asked over TLS where they listen for it, whoever they are; all
// workers know what one found out; and where TLS ends no question is lost.
func TestAuthoritiesAreAskedOverTLSWhereTheyListen(t *testing.T) {
	n := proctest.SmallInternet(t)
	port := proctest.FreePort(t).Port()
	stranger := (*proctest.CertificateAuthority)(nil).Issue(t, time.Now().Add(-time.Hour), "other.test")
	var ends []*terminator
	for _, addr := range []string{firstServer, secondServer} {
		ends = append(ends, terminate(t, fmt.Sprintf("%s:%d", addr, port), fmt.Sprintf("%s:%d", addr, n.Port()), stranger))
	}
	c := proctest.On(t, n, 2, "net.tls_opportunistic(true)")
	c.Env = append(c.Env, fmt.Sprintf("KRESD_UPSTREAM_TLS_PORT=%d", port))
	u := &upstreams{t: t, net: n, g: proctest.Start(t, c)}
	sum := func(field string) (sum int) {
		for id := range 2 {
			n := 0
			fmt.Sscan(proctest.Eval(t, u.g.Worker(t, id).Socket, "worker.stats()."+field), &n)
			sum += n
		}
		return sum
	}
	asked := firstServer
	proctest.Eventually(t, 30*time.Second, "a server is known to listen for TLS", func() bool {
		u.ask()
		for _, asked = range []string{firstServer, secondServer} {
			if u.field(0, asked, "tls") == "true" {
				return true
			}
		}
		return false
	})
	u.both(asked, "tls", "true")
	before, plain := sum("tls"), sum("udp")
	for range 10 {
		u.ask()
	}
	if over, clear := sum("tls")-before, sum("udp")-plain; over < 10 || clear > over/2 {
		t.Errorf("for ten clients %d questions went over TLS and %d in the clear", over, clear)
	}
	if story := u.g.Eval(t, "trace('traced.wild.example.com', kres.type.A)"); !strings.Contains(story, "by DNS over TLS") {
		t.Errorf("trace does not tell of TLS:\n%s", story)
	}
	for _, e := range ends {
		e.end()
	}
	for range 20 {
		u.ask()
	}
	u.both(asked, "tls", "false")
	if r := u.g.Ask(t, "udp", "www.example.com", dns.TypeA, 1232); r.Rcode != dns.RcodeSuccess {
		t.Errorf("without TLS: %s", proctest.Shape(r))
	}
	if ends[0].carried.Load()+ends[1].carried.Load() == 0 {
		t.Error("no server had a connection")
	}
}

// opportunistic is a group whose authorities are asked over TLS where they listen for it, and
// who takes TLS for them, so far as they do.
type opportunistic struct {
	upstreams
	config proctest.Config
	port   uint16
	cert   *proctest.Certificate
	ends   []*terminator
}

func newOpportunistic(t *testing.T, extra ...string) *opportunistic {
	n := proctest.SmallInternet(t)
	o := &opportunistic{port: proctest.FreePort(t).Port(), cert: (*proctest.CertificateAuthority)(nil).Issue(t, time.Now().Add(-time.Hour), "other.test")}
	o.upstreams = upstreams{t: t, net: n}
	o.config = proctest.On(t, n, 2, append([]string{"net.tls_opportunistic(true)"}, extra...)...)
	o.config.Env = append(o.config.Env, fmt.Sprintf("KRESD_UPSTREAM_TLS_PORT=%d", o.port))
	return o
}

// terminate has the servers of example.com listen for TLS.
func (o *opportunistic) terminate() {
	for _, addr := range []string{firstServer, secondServer} {
		o.ends = append(o.ends, terminate(o.t, fmt.Sprintf("%s:%d", addr, o.port), fmt.Sprintf("%s:%d", addr, o.net.Port()), o.cert))
	}
}

// carried is how many connections over TLS a server has had.
func (o *opportunistic) carried(addr string) (n int) {
	for _, e := range o.ends {
		if strings.HasPrefix(e.Addr().String(), addr+":") {
			n += int(e.carried.Load())
		}
	}
	return n
}

// restart ends the group and starts it anew in the same run directory, with nothing cached.
func (o *opportunistic) restart() {
	o.t.Helper()
	if o.g != nil {
		o.config.Dir = o.g.Dir
		if _, err := o.g.Stop(); err != nil {
			o.t.Fatal(err)
		}
	}
	o.g = proctest.Start(o.t, o.config)
}

// whose tells for which of the two servers what is known of TLS is as wanted.
func (o *opportunistic) whose(want string) (list []string) {
	o.t.Helper()
	for _, addr := range []string{firstServer, secondServer} {
		if o.field(0, addr, "tls") == want {
			list = append(list, addr)
		}
	}
	return list
}

// Who is known to listen for TLS is asked that way at once by those who come after a restart.
func TestTLSOfAuthoritiesIsKnownAfterARestart(t *testing.T) {
	o := newOpportunistic(t)
	o.terminate()
	o.restart()
	var known []string
	proctest.Eventually(t, 60*time.Second, "a server is known to listen for TLS", func() bool {
		o.ask()
		known = o.whose("true")
		return len(known) > 0
	})
	o.restart()
	for _, addr := range known {
		o.both(addr, "tls", "true")
	}
	questions := func(field string) (sum int) {
		for id := range 2 {
			n := 0
			fmt.Sscan(proctest.Eval(t, o.g.Worker(t, id).Socket, "worker.stats()."+field), &n)
			sum += n
		}
		return sum
	}
	before := questions("tls")
	for range 10 {
		o.ask()
	}
	if over := questions("tls") - before; over < 5 { // the other server may have its turns
		t.Errorf("after the restart %d of 10 questions went over TLS", over)
	}
}

// Who did not answer over TLS is left alone with it for a day, also by those who come after a
// restart: nobody connects, though it listens meanwhile, and no question is lost or slow.
func TestFailedTLSOfAuthoritiesIsNotTriedAgainSoon(t *testing.T) {
	o := newOpportunistic(t)
	o.restart()
	var known []string
	proctest.Eventually(t, 60*time.Second, "a server is known not to listen for TLS", func() bool {
		o.ask()
		known = o.whose("false")
		return len(known) > 0
	})
	o.terminate()
	for range 30 {
		o.ask()
	}
	o.restart()
	for _, addr := range known {
		o.both(addr, "tls", "false")
	}
	for range 30 {
		if took := o.ask(); took > 5*time.Second {
			t.Errorf("a question took %v", took)
		}
	}
	for _, addr := range known {
		if n := o.carried(addr); n != 0 {
			t.Errorf("%s was connected to %d times", addr, n)
		}
	}
}

// A server that ends each connection over TLS, or answers there with garbage, costs no question:
// each is answered in the clear.
func TestBrokenTLSOfAuthoritiesLosesNoQuestion(t *testing.T) {
	for name, act := range map[string]func(net.Conn){
		"ends the connection": func(c net.Conn) { c.Close() },
		"is no TLS":           func(c net.Conn) { fmt.Fprint(c, "HTTP/1.1 400 Bad Request\r\n\r\n"); c.Close() },
		"never says a word":   func(c net.Conn) { time.Sleep(20 * time.Second); c.Close() },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			o := newOpportunistic(t)
			var came atomic.Int32
			for _, addr := range []string{firstServer, secondServer} {
				l, err := net.Listen("tcp", fmt.Sprintf("%s:%d", addr, o.port))
				if err != nil {
					t.Fatal(err)
				}
				t.Cleanup(func() { l.Close() })
				go func() {
					for {
						c, err := l.Accept()
						if err != nil {
							return
						}
						came.Add(1)
						go act(c)
					}
				}()
			}
			o.restart()
			for range 40 {
				o.ask() // fails where there is no answer
			}
			proctest.Eventually(t, 30*time.Second, "it is known", func() bool { o.ask(); return len(o.whose("false")) > 0 })
			if n := came.Load(); n == 0 || n > 8 {
				t.Errorf("%d connections were tried", n)
			}
		})
	}
}

// What a rule forwards goes the way that the rule says.
func TestForwardingRulesAreNotOpportunistic(t *testing.T) {
	o := newOpportunistic(t)
	o.terminate()
	o.config.Lua += fmt.Sprintf("\npolicy.add(policy.all(policy.STUB({ '%s@%d', '%s@%d' })))\n", firstServer, o.net.Port(), secondServer, o.net.Port())
	o.restart()
	for range 40 {
		o.ask()
	}
	if n := o.carried(firstServer) + o.carried(secondServer); n != 0 {
		t.Errorf("a forwarding rule's servers were connected to over TLS %d times", n)
	}
}
