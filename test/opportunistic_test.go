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
