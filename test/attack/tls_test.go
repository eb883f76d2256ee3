package attack

import (
	"bytes"
	"crypto/rand"
	"crypto/tls"
	"encoding/binary"
	"fmt"
	"net"
	"net/netip"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/miekg/dns"

	"kresd/internal/proctest"
)

// hostileClients do something to a worker for a while.
type hostileClients struct {
	what string
	play func(t *testing.T, at netip.AddrPort, stop <-chan struct{}) string // what was done
}

// TestC8HostileTLS has a worker hear from hostile clients by TLS, beside benign ones
// by UDP: these are answered as before, the memory stays within bounds, and a client
// that means well gets in while it goes on.
func TestC8HostileTLS(t *testing.T) {
	const rate, most = 2000, 96 << 20
	at := proctest.FreePort(t)
	l := newLab(t, honest(), 1, fmt.Sprintf("net.listen('127.0.0.1', %d, { tls = true })", at.Port()))
	l.ask("www.example.com.", dns.TypeA)
	calm := l.beside(t, rate, nil)
	tell(t, "C8", fmt.Sprintf("%d questions a second by UDP, without hostile clients", rate), "-", "p99 %.2f ms", calm)
	for _, tc := range []hostileClients{
		{"handshakes, as many as it does", handshakesTLS},
		{"connections on which nothing or half a handshake comes", half},
		{"garbage, other protocols and records cut off", garbageTLS},
		{"records that come an octet at a time", drippingTLS},
		{"clients that ask and read no answer", unreadTLS},
		{"clients that ask and end their side", halfClosed},
	} {
		before := l.sum("worker.stats().rss")
		var did string
		honest := 0
		p99 := l.beside(t, rate, func(stop <-chan struct{}) {
			var hostile sync.WaitGroup
			hostile.Go(func() { did = tc.play(t, at, stop) })
			for !over(stop) {
				if err := askTLS(at); err != nil {
					t.Errorf("%s: a client that means well: %v", tc.what, err)
				}
				honest++
				time.Sleep(100 * time.Millisecond)
			}
			hostile.Wait()
		})
		grown := l.sum("worker.stats().rss") - before
		tell(t, "C8", tc.what+": "+did, "99 % of benign, 96 MiB", "p99 %.2f ms, %d honest clients, %d MiB more", p99, honest, grown>>20)
		if grown > most || honest == 0 {
			t.Errorf("%s: %d MiB more, %d honest clients", tc.what, grown>>20, honest)
		}
		proctest.Eventually(t, 30*time.Second, tc.what+": the worker is rid of them", func() bool {
			return l.sum("worker.stats().connections") == 0
		})
	}
}

// unchecked is a client that has no doubts and no sessions.
var unchecked = &tls.Config{InsecureSkipVerify: true}

func dialTLS(at netip.AddrPort) (*tls.Conn, error) {
	return tls.DialWithDialer(&net.Dialer{Timeout: 10 * time.Second}, "tcp", at.String(), unchecked)
}

// askTLS asks one question as who means well.
func askTLS(at netip.AddrPort) error {
	c, err := dialTLS(at)
	if err != nil {
		return err
	}
	defer c.Close()
	_ = c.SetDeadline(time.Now().Add(10 * time.Second))
	d := &dns.Conn{Conn: c}
	if err := d.WriteMsg(newQuery("www.example.com.")); err != nil {
		return err
	}
	_, err = d.ReadMsg()
	return err
}

// each has so many clients do the same until it is over.
func each(clients int, stop <-chan struct{}, do func() int) int {
	var all sync.WaitGroup
	var n atomic.Int64
	for range clients {
		all.Go(func() {
			for !over(stop) {
				n.Add(int64(do()))
			}
		})
	}
	all.Wait()
	return int(n.Load())
}

func handshakesTLS(_ *testing.T, at netip.AddrPort, stop <-chan struct{}) string {
	return strconv.Itoa(each(8, stop, func() int { return oneHandshake(at) }))
}

// firstWords is the beginning of a handshake.
func firstWords() []byte {
	here, there := net.Pipe()
	defer here.Close()
	go func() { _ = tls.Client(there, unchecked).Handshake() }()
	b := make([]byte, 4096)
	n, _ := here.Read(b)
	return b[:n]
}

// half opens connections, and does what it does on them until it is over.
func half(_ *testing.T, at netip.AddrPort, stop <-chan struct{}) string {
	hello, n := firstWords(), 0
	for ; n < 1200 && !over(stop); n++ {
		c, err := net.Dial("tcp", at.String())
		if err != nil {
			break
		}
		defer c.Close()
		_, _ = c.Write(hello[:n%3*len(hello)/2])
		if n%50 == 0 {
			time.Sleep(10 * time.Millisecond)
		}
	}
	<-stop
	return strconv.Itoa(n)
}

func garbageTLS(_ *testing.T, at netip.AddrPort, stop <-chan struct{}) string {
	hello := firstWords()
	var turn atomic.Int64
	return strconv.Itoa(each(4, stop, func() int {
		c, err := net.Dial("tcp", at.String())
		if err != nil {
			return 0
		}
		defer c.Close()
		noise := make([]byte, 3000)
		_, _ = rand.Read(noise)
		spoilt := bytes.Clone(hello)
		spoilt[int(noise[0])%len(spoilt)] ^= 1 + noise[1]
		i := turn.Add(1)
		_, _ = c.Write([][]byte{
			noise, []byte("GET /dns-query HTTP/1.1\r\nHost: a\r\n\r\n"), append([]byte{22, 3, 1, 0xff, 0xff}, noise...), spoilt, hello[:len(hello)-1],
			append([]byte{22, 3, 1, 0x3f, 0xff, 1, 0xff, 0xff, 0xff}, noise...), append([]byte{21, 3, 1, 0, 2}, noise...), {0x80, 0x2e, 1, 0, 2},
		}[i%8])
		if i%2 == 0 {
			_ = c.SetReadDeadline(time.Now().Add(50 * time.Millisecond))
			_, _ = c.Read(noise)
		}
		return 1
	}))
}

// A dripper holds back what it is to send, for a goroutine that lets it go slowly.
type dripper struct {
	net.Conn
	slow atomic.Bool
	out  chan []byte
}

func (d *dripper) Write(b []byte) (int, error) {
	if d.slow.Load() {
		d.out <- bytes.Clone(b)
		return len(b), nil
	}
	return d.Conn.Write(b)
}

func drippingTLS(_ *testing.T, at netip.AddrPort, stop <-chan struct{}) string {
	var all sync.WaitGroup
	var n atomic.Int64
	for range 200 {
		all.Go(func() {
			c, err := net.Dial("tcp", at.String())
			if err != nil {
				return
			}
			defer c.Close()
			d := &dripper{Conn: c, out: make(chan []byte, 4)}
			s := tls.Client(d, unchecked)
			if s.Handshake() != nil {
				return
			}
			n.Add(1)
			d.slow.Store(true)
			_ = (&dns.Conn{Conn: s}).WriteMsg(newQuery("www.example.com."))
			for b := <-d.out; len(b) > 0 && !over(stop); b = b[1:] {
				if _, err := c.Write(b[:1]); err != nil {
					return
				}
				time.Sleep(50 * time.Millisecond)
			}
		})
	}
	all.Wait()
	return fmt.Sprintf("%d clients", n.Load())
}

func unreadTLS(_ *testing.T, at netip.AddrPort, stop <-chan struct{}) string {
	query, _ := newQuery("www.example.com.").Pack()
	framed := append(binary.BigEndian.AppendUint16(nil, uint16(len(query))), query...)
	batch := bytes.Repeat(framed, 200)
	return strconv.Itoa(each(32, stop, func() (asked int) {
		c, err := dialTLS(at)
		if err != nil {
			return 0
		}
		defer c.Close()
		_ = c.SetWriteDeadline(time.Now().Add(3 * time.Second))
		for !over(stop) {
			if _, err := c.Write(batch); err != nil {
				return asked
			}
			asked += 200
		}
		return asked
	})) + " questions"
}

func halfClosed(t *testing.T, at netip.AddrPort, stop <-chan struct{}) string {
	return strconv.Itoa(each(8, stop, func() int {
		c, err := dialTLS(at)
		if err != nil {
			return 0
		}
		defer c.Close()
		d := &dns.Conn{Conn: c}
		for range 20 {
			_ = d.WriteMsg(newQuery("www.example.com."))
		}
		_ = c.CloseWrite()
		_ = c.SetReadDeadline(time.Now().Add(10 * time.Second))
		for i := range 20 {
			if _, err := d.ReadMsg(); err != nil {
				t.Errorf("answer %d after the end of the client's side: %v", i, err)
				break
			}
		}
		return 1
	}))
}

// TestC8IdleTLS tells what a connection takes that is idle.
func TestC8IdleTLS(t *testing.T) {
	const all, most = 900, 40 << 10
	at := proctest.FreePort(t)
	l := newLab(t, honest(), 1, fmt.Sprintf("net.listen('127.0.0.1', %d, { tls = true }) net.tcp_in_idle(120000)", at.Port()))
	if err := askTLS(at); err != nil {
		t.Fatal(err)
	}
	before := l.sum("worker.stats().rss")
	for range all {
		c, err := dialTLS(at)
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		d := &dns.Conn{Conn: c}
		if err := d.WriteMsg(newQuery("www.example.com.")); err != nil {
			t.Fatal(err)
		}
		if _, err := d.ReadMsg(); err != nil {
			t.Fatal(err)
		}
	}
	if n := l.sum("worker.stats().connections"); n != all {
		t.Errorf("%d of %d connections are open", n, all)
	}
	one := (l.sum("worker.stats().rss") - before) / all
	tell(t, "C8", fmt.Sprintf("%d connections by TLS that have asked and are idle", all), "40 KiB each", "%d KiB each", one>>10)
	if one > most {
		t.Errorf("an idle connection takes %d KiB", one>>10)
	}
}
