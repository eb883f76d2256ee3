package attack

import (
	"context"
	"crypto/rand"
	"crypto/tls"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/miekg/dns"

	"kresd/internal/doq"
	"kresd/internal/doq/doqtest"
	"kresd/internal/proctest"
)

// TestC3HostileQUIC has a worker hear from hostile clients by QUIC, beside benign ones
// by UDP: these are answered as before, the memory stays within bounds, and a client
// that means well still gets in when it is over.
func TestC3HostileQUIC(t *testing.T) {
	const rate, most = 2000, 192 << 20 // a thousand connections at once, and what garbage they leave
	at := proctest.FreePort(t)
	l := newLab(t, honest(), 1, fmt.Sprintf("net.listen('127.0.0.1', %d, { kind = 'doq' })", at.Port()))
	l.ask("www.example.com.", dns.TypeA)
	calm := l.beside(t, rate, nil)
	tell(t, "C3", fmt.Sprintf("%d questions a second by UDP, without hostile clients", rate), "-", "p99 %.2f ms", calm)
	for _, tc := range []hostileClients{
		{"opening packets of connections that go no further", opening},
		{"garbage that looks like packets of QUIC", garbageQUIC},
		{"300 connections with 100 questions each that never end", unended},
		{"clients that connect, ask and vanish", vanishing},
		{"questions that are given up as soon as they are asked", givenUp},
	} {
		before := l.sum("worker.stats().rss")
		var did string
		p99 := l.beside(t, rate, func(stop <-chan struct{}) { did = tc.play(t, at, stop) })
		grown := l.sum("worker.stats().rss") - before
		tell(t, "C3", tc.what+": "+did, "99 % of benign, 192 MiB", "p99 %.2f ms, %d MiB more", p99, grown>>20)
		if grown > most {
			t.Errorf("%s: %d MiB more", tc.what, grown>>20)
		}
		proctest.Eventually(t, 20*time.Second, tc.what+": who means well is let in", func() bool {
			c, err := dialDoQ(at)
			if err == nil {
				c.Close()
			}
			return err == nil
		})
	}
	if l.hits("quic") == 0 {
		t.Error("no client was refused")
	}
}

// beside asks for three seconds, evenly, what is cached, while something else goes on,
// and returns the 99th percentile of what answers took, in milliseconds.
func (l *lab) beside(t *testing.T, rate int, play func(stop <-chan struct{})) float64 {
	t.Helper()
	stop := make(chan struct{})
	var playing sync.WaitGroup
	if play != nil {
		playing.Go(func() { play(stop) })
	}
	load := proctest.Load(t, l.g.Addr, rate, "www.example.com")
	time.Sleep(3 * time.Second)
	r := load.Stop()
	close(stop)
	playing.Wait()
	if good := r.Answered - r.Failed; good*100 < r.Sent*99 {
		t.Errorf("%d of %d benign questions were answered", good, r.Sent)
	}
	return float64(r.Wait(0.99)) / 1e6
}

func dialDoQ(at netip.AddrPort) (*doq.Client, error) {
	return dialDoQWithin(at, 10*time.Second)
}

func dialDoQWithin(at netip.AddrPort, limit time.Duration) (*doq.Client, error) {
	pc, err := net.ListenUDP("udp4", nil)
	if err != nil {
		return nil, err
	}
	return dialDoQBy(pc, at, limit)
}

// dialDoQBy connects by a socket. Who closes that has the server hear nothing any more.
func dialDoQBy(pc *net.UDPConn, at netip.AddrPort, limit time.Duration) (*doq.Client, error) {
	ctx, cancel := context.WithTimeout(context.Background(), limit)
	defer cancel()
	return doq.Dial(ctx, pc, at, &tls.Config{InsecureSkipVerify: true, NextProtos: []string{doq.Protocol}, CurvePreferences: []tls.CurveID{tls.X25519}}, 20*time.Second)
}

// dialOdd connects as a client that does what none should.
func dialOdd(at netip.AddrPort) (*doqtest.Client, error) {
	pc, err := net.ListenUDP("udp4", nil)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	return doqtest.Dial(ctx, pc, at, &tls.Config{InsecureSkipVerify: true, NextProtos: []string{doq.Protocol}})
}

// givenUp asks what takes the driver and gives it up at once, on and on.
func givenUp(t *testing.T, at netip.AddrPort, stop <-chan struct{}) string {
	return strconv.Itoa(each(8, stop, func() (n int) {
		c, err := dialOdd(at)
		if err != nil {
			return 0
		}
		defer c.Close()
		for ; n < 1000 && !over(stop); n++ {
			ctx, cancel := context.WithTimeout(context.Background(), time.Second)
			question := []byte("\x00\x22\x00\x00\x01\x00\x00\x01\x00\x00\x00\x00\x00\x00\x04xxxx\x07example\x03com\x00\x00\x01\x00\x01")
			err := c.GiveUp(ctx, question)
			cancel()
			if err != nil {
				break
			}
		}
		return n
	}))
}

// over tells whether it is time to stop.
func over(stop <-chan struct{}) bool {
	select {
	case <-stop:
		return true
	default:
		return false
	}
}

// opening sends packets that open connections, as fast as it can, from many ports, and
// reads nothing of what comes.
func opening(t *testing.T, at netip.AddrPort, stop <-chan struct{}) string {
	packets := openingPackets(t, 400)
	var socks []*net.UDPConn
	for range 64 {
		c, err := net.DialUDP("udp4", nil, net.UDPAddrFromAddrPort(at))
		if err != nil {
			t.Error(err)
			return ""
		}
		defer c.Close()
		socks = append(socks, c)
	}
	n := 0
	for ; !over(stop); n++ {
		_, _ = socks[n%len(socks)].Write(packets[n%len(packets)])
		if n%20 == 0 {
			time.Sleep(time.Millisecond)
		}
	}
	return strconv.Itoa(n)
}

// openingPackets are the first packets of so many clients.
func openingPackets(t *testing.T, n int) (list [][]byte) {
	sink, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Error(err)
		return [][]byte{{0}}
	}
	defer sink.Close()
	_ = sink.SetReadBuffer(4 << 20)
	buf := make([]byte, 2000)
	for end := time.Now().Add(time.Minute); len(list) < n; {
		if time.Now().After(end) {
			t.Errorf("only %d opening packets", len(list))
			return append(list, []byte{0})
		}
		for range n {
			_, _ = dialDoQWithin(netip.MustParseAddrPort(sink.LocalAddr().String()), time.Millisecond)
		}
		_ = sink.SetReadDeadline(time.Now().Add(10 * time.Millisecond))
		for k, err := sink.Read(buf); err == nil; k, err = sink.Read(buf) {
			list = append(list, slices.Clone(buf[:k]))
		}
	}
	return list
}

// garbageQUIC sends random octets behind the first octets of each kind of packet.
func garbageQUIC(t *testing.T, at netip.AddrPort, stop <-chan struct{}) string {
	c, err := net.DialUDP("udp4", nil, net.UDPAddrFromAddrPort(at))
	if err != nil {
		t.Error(err)
		return ""
	}
	defer c.Close()
	b, n := make([]byte, 1200), 0
	for ; !over(stop); n++ {
		_, _ = rand.Read(b)
		copy(b, [][]byte{{0xc3, 0, 0, 0, 1, 8}, {0xe3, 0, 0, 0, 1, 8}, {0x43}, {0xd3, 0, 0, 0, 1, 20}, {0xc3, 0xfa, 0xce, 0xb0, 0x0c}, {}}[n%6])
		_, _ = c.Write(b[:1+n%1200])
		if n%20 == 0 {
			time.Sleep(time.Millisecond)
		}
	}
	return strconv.Itoa(n)
}

// unended asks questions of which the last octet never comes.
func unended(t *testing.T, at netip.AddrPort, stop <-chan struct{}) string {
	conns, streams := 0, 0
	for range 300 {
		if over(stop) {
			break
		}
		c, err := dialOdd(at)
		if err != nil {
			continue
		}
		defer c.Close()
		conns++
		for range 100 {
			ctx, cancel := context.WithTimeout(context.Background(), time.Second)
			err := c.Begin(ctx, []byte{0, 40, 0, 0, 1})
			cancel()
			if err != nil {
				break
			}
			streams++
		}
	}
	<-stop
	return fmt.Sprintf("%d and %d", conns, streams)
}

// vanishing connects, asks much and reads no answer.
func vanishing(t *testing.T, at netip.AddrPort, stop <-chan struct{}) string {
	question := []byte("\x00\x21\x00\x00\x01\x00\x00\x01\x00\x00\x00\x00\x00\x00\x03www\x07example\x03com\x00\x00\x01\x00\x01")
	n := 0
	for !over(stop) {
		pc, err := net.ListenUDP("udp4", nil)
		if err != nil {
			continue
		}
		c, err := dialDoQBy(pc, at, 10*time.Second)
		if err != nil {
			continue
		}
		for range 50 {
			ctx, cancel := context.WithTimeout(context.Background(), 50*time.Millisecond)
			_, err := c.Ask(ctx, question, time.Now().Add(50*time.Millisecond))
			cancel()
			if err != nil {
				break
			}
			n++
		}
		_ = pc.Close()
		c.Close()
	}
	return strconv.Itoa(n) + " questions"
}

// TestC3IdleQUIC tells what a connection takes that is idle.
func TestC3IdleQUIC(t *testing.T) {
	const all, most = 500, 112 << 10
	at := proctest.FreePort(t)
	l := newLab(t, honest(), 1, fmt.Sprintf("net.listen('127.0.0.1', %d, { kind = 'doq' }) net.tcp_in_idle(60000)", at.Port()))
	first, err := dialDoQ(at)
	if err != nil {
		t.Fatal(err)
	}
	defer first.Close()
	before := l.sum("worker.stats().rss")
	for range all {
		c, err := dialDoQ(at)
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
	}
	each := (l.sum("worker.stats().rss") - before) / all
	tell(t, "C3", fmt.Sprintf("%d connections by QUIC that are idle", all), "112 KiB each", "%d KiB each", each>>10)
	if each > most {
		t.Errorf("an idle connection takes %d KiB", each>>10)
	}
}
