package attack

import (
	"bufio"
	"bytes"
	"crypto/tls"
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/miekg/dns"

	"kresd/internal/proctest"
)

// TestC7HostileHTTP has a worker hear from hostile clients by HTTP, beside benign ones
// by UDP: these are answered as before, the memory stays within bounds, and a client
// that means well still gets in when it is over.
func TestC7HostileHTTP(t *testing.T) {
	const rate, most = 2000, 256 << 20 // what becomes garbage faster than a busy machine collects it, too
	at := proctest.FreePort(t)
	l := newLab(t, honest(), 1, fmt.Sprintf("net.listen('127.0.0.1', %d, { kind = 'http' })", at.Port()))
	l.ask("www.example.com.", dns.TypeA)
	calm := l.beside(t, rate, nil)
	tell(t, "C7", fmt.Sprintf("%d questions a second by UDP, without hostile clients", rate), "-", "p99 %.2f ms", calm)
	for _, tc := range []struct {
		what string
		play func(c net.Conn, n *atomic.Int64) // until the connection ends
	}{
		{"streams that are opened and reset (CVE-2023-44487)", rapidReset},
		{"heads that never end (CVE-2024-24549 and its like)", endlessHead},
		{"heads that refer to one large field thousands of times (HPACK bombs)", headBomb},
		{"streams that the server is made to reset (CVE-2025-8671)", madeToReset},
		{"SETTINGS without end", settingsFlood},
		{"PINGs without end whose answers nobody reads", pingFlood},
		{"bodies of 1 GiB by HTTP/2", endlessBody},
		{"bodies of 1 GiB by HTTP/1.1", hugeBody},
		{"150 bodies on each connection that stop before their end", stuckBodies},
		{"heads of 64 KiB by HTTP/1.1", hugeHead},
		{"heads that come by the octet", slowHead},
		{"answers that nobody reads", unreadAnswers},
	} {
		before, asked := l.sum("worker.stats().rss"), l.sum("worker.stats().http_requests")
		var n atomic.Int64
		p99 := l.beside(t, rate, func(stop <-chan struct{}) { assail(at, stop, &n, tc.play) })
		grown := l.sum("worker.stats().rss") - before
		tell(t, "C7", tc.what, "99 % of benign, 256 MiB", "%d sent, %d requests served, p99 %.2f ms, %d MiB more", n.Load(), l.sum("worker.stats().http_requests")-asked, p99, grown>>20)
		if grown > most {
			t.Errorf("%s: %d MiB more", tc.what, grown>>20)
		}
		if n.Load() == 0 {
			t.Errorf("%s: nothing was done", tc.what)
		}
		proctest.Eventually(t, 20*time.Second, tc.what+": who means well is let in", func() bool { return wellMeant(at) == nil })
	}
	for _, name := range []string{"http_streams", "http_size", "http_flood"} {
		if l.hits(name) == 0 {
			t.Errorf("the limit %s was not met", name)
		}
	}
}

// assail keeps 40 connections busy.
func assail(at netip.AddrPort, stop <-chan struct{}, n *atomic.Int64, play func(net.Conn, *atomic.Int64)) {
	var wg sync.WaitGroup
	for range 40 {
		wg.Go(func() {
			for !over(stop) {
				c, err := net.DialTimeout("tcp", at.String(), 5*time.Second)
				if err != nil {
					continue
				}
				go func() { <-stop; c.Close() }()
				play(c, n)
				c.Close()
				time.Sleep(10 * time.Millisecond) // the machine has its own work to do
			}
		})
	}
	wg.Wait()
}

// wellMeant asks one question.
func wellMeant(at netip.AddrPort) error {
	wire, err := newQuery("www.example.com.").Pack()
	if err != nil {
		return err
	}
	c := http.Client{Timeout: 10 * time.Second, Transport: &http.Transport{DisableKeepAlives: true}}
	resp, err := c.Post("http://"+at.String()+"/dns-query", "application/dns-message", bytes.NewReader(wire))
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("%s", resp.Status)
	}
	return nil
}

// Frames of HTTP/2 (RFC 9113, section 6).
const (
	frameData, frameHeaders, framePriority, frameReset, frameSettings, framePing, frameWindow, frameContinuation = 0, 1, 2, 3, 4, 6, 8, 9

	endStream, endHeaders = 1, 4
)

func frame(kind, flags byte, stream uint32, payload []byte) []byte {
	b := binary.BigEndian.AppendUint32(nil, uint32(len(payload))<<8|uint32(kind))
	b = append(b, flags)
	b = binary.BigEndian.AppendUint32(b, stream)
	return append(b, payload...)
}

// opened begins HTTP/2 and reads what comes, so that nobody waits for us.
func opened(c net.Conn) bool {
	go func() { _, _ = io.Copy(io.Discard, c) }()
	return begun(c)
}

func begun(c net.Conn) bool {
	_, err := c.Write(append([]byte("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"), frame(frameSettings, 0, 0, nil)...))
	return err == nil
}

// field is a field of a head, in HPACK without compression (RFC 7541, section 6.2.2).
func field(name, value string) []byte {
	b := append([]byte{0, byte(len(name))}, name...)
	return append(append(b, byte(len(value))), value...)
}

func head(method, path string) []byte {
	b := append(field(":method", method), field(":scheme", "http")...)
	b = append(append(b, field(":path", path)...), field(":authority", "x")...)
	return append(b, field("content-type", "application/dns-message")...)
}

// cold is a question that is not cached, so that the driver has it in hand.
func cold(n int64) string {
	return fmt.Sprintf("/dns-query?dns=AAABAAABAAAAAAAABn%s1nZXhhbXBsZQNjb20AAAEAAQ", []string{"h4eHh4", "h5eHh4"}[n%2])
}

func rapidReset(c net.Conn, n *atomic.Int64) {
	if !opened(c) {
		return
	}
	for id := uint32(1); ; id += 2 {
		b := frame(frameHeaders, endStream|endHeaders, id, head("GET", cold(n.Add(1))))
		if _, err := c.Write(append(b, frame(frameReset, 0, id, []byte{0, 0, 0, 8})...)); err != nil {
			return
		}
	}
}

func endlessHead(c net.Conn, n *atomic.Int64) {
	if !opened(c) {
		return
	}
	_, err := c.Write(frame(frameHeaders, 0, 1, head("GET", "/dns-query")))
	more := bytes.Repeat(field("x", "yyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyy"), 200)
	for ; err == nil; n.Add(1) {
		_, err = c.Write(frame(frameContinuation, 0, 1, more))
	}
	n.Add(1)
}

// headBomb has a field of nearly as much as the table has room for entered into it, and refers
// to it by an octet each, in heads of 16 KiB that stand for 60 MiB (RFC 7541, section 7.3).
func headBomb(c net.Conn, n *atomic.Int64) {
	if !opened(c) {
		return
	}
	const value = 3900
	large := append([]byte{0x40, 1, 'x', 0x7f}, 0x80|(value-127)&0x7f, (value-127)>>7) // 7 bits of a length, and two octets of the rest
	large = append(large, bytes.Repeat([]byte{'y'}, value)...)
	_, err := c.Write(frame(frameHeaders, endStream|endHeaders, 1, append(head("GET", "/dns-query"), large...)))
	bomb := bytes.Repeat([]byte{0x80 | 62}, 16000)
	for id := uint32(3); err == nil; id += 2 {
		n.Add(1)
		_, err = c.Write(frame(frameHeaders, endStream|endHeaders, id, append(head("GET", "/dns-query"), bomb...)))
	}
}

// madeToReset has each stream reset by the server, in turn by each of the ways in which a
// client may break the rules of one stream, while what was asked on it goes on.
func madeToReset(c net.Conn, n *atomic.Int64) {
	if !opened(c) {
		return
	}
	for id := uint32(1); ; id += 2 {
		b := frame(frameHeaders, endStream|endHeaders, id, head("GET", cold(n.Add(1))))
		switch id / 2 % 4 {
		case 0: // no increment
			b = append(b, frame(frameWindow, 0, id, make([]byte, 4))...)
		case 1: // more than a window may be
			b = append(b, frame(frameWindow, 0, id, []byte{0x7f, 0xff, 0xff, 0xff})...)
		case 2: // a body behind its end
			b = append(b, frame(frameData, 0, id, make([]byte, 200))...)
		case 3: // it depends on itself
			b = append(b, frame(framePriority, 0, id, append(binary.BigEndian.AppendUint32(nil, id), 0))...)
		}
		if _, err := c.Write(b); err != nil {
			return
		}
	}
}

func settingsFlood(c net.Conn, n *atomic.Int64) {
	if !opened(c) {
		return
	}
	many := bytes.Repeat(frame(frameSettings, 0, 0, []byte{0, 4, 0, 0, 0xff, 0xff}), 100)
	for err := error(nil); err == nil; n.Add(100) {
		_, err = c.Write(many)
	}
}

func pingFlood(c net.Conn, n *atomic.Int64) {
	if !begun(c) {
		return
	}
	many := bytes.Repeat(frame(framePing, 0, 0, make([]byte, 8)), 100)
	for {
		_ = c.SetWriteDeadline(time.Now().Add(5 * time.Second))
		n.Add(100)
		if _, err := c.Write(many); err != nil {
			return
		}
	}
}

func endlessBody(c net.Conn, n *atomic.Int64) {
	if !opened(c) {
		return
	}
	n.Add(1)
	_, err := c.Write(frame(frameHeaders, endHeaders, 1, append(head("POST", "/dns-query"), field("content-length", "1073741824")...)))
	for err == nil {
		_, err = c.Write(frame(frameData, 0, 1, make([]byte, 16<<10)))
	}
}

func hugeBody(c net.Conn, n *atomic.Int64) {
	n.Add(1)
	_, err := io.WriteString(c, "POST /dns-query HTTP/1.1\r\nHost: x\r\nContent-Type: application/dns-message\r\nTransfer-Encoding: chunked\r\n\r\n")
	for chunk := make([]byte, 16<<10); err == nil; {
		_, err = fmt.Fprintf(c, "%x\r\n%s\r\n", len(chunk), chunk)
	}
}

func stuckBodies(c net.Conn, n *atomic.Int64) {
	if !opened(c) {
		return
	}
	var err error
	for id := uint32(1); id < 300 && err == nil; id += 2 {
		n.Add(1)
		_, err = c.Write(frame(frameHeaders, endHeaders, id, head("POST", "/dns-query")))
	}
	for id := uint32(1); id < 200 && err == nil; id += 2 {
		_, err = c.Write(frame(frameData, 0, id, make([]byte, 600)))
	}
	time.Sleep(time.Second)
}

func hugeHead(c net.Conn, n *atomic.Int64) {
	n.Add(1)
	_, _ = fmt.Fprintf(c, "GET /dns-query HTTP/1.1\r\nHost: x\r\nX: %s\r\n\r\n", bytes.Repeat([]byte{'x'}, 64<<10))
	_, _ = io.Copy(io.Discard, c)
}

func slowHead(c net.Conn, n *atomic.Int64) {
	n.Add(1)
	for _, b := range []byte("GET /dns-query?dns=AAAB HTTP/1.1\r\nHost: x\r\nX: yyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyy") {
		if _, err := c.Write([]byte{b}); err != nil {
			return
		}
		time.Sleep(100 * time.Millisecond)
	}
}

func unreadAnswers(c net.Conn, n *atomic.Int64) {
	if !begun(c) {
		return
	}
	// No octet of a body may be sent to this client.
	_, err := c.Write(frame(frameSettings, 0, 0, []byte{0, 4, 0, 0, 0, 0}))
	for id := uint32(1); id < 400 && err == nil; id += 2 {
		n.Add(1)
		_, err = c.Write(frame(frameHeaders, endStream|endHeaders, id, head("GET", "/dns-query?dns=AAABAAABAAAAAAAAA3d3dwdleGFtcGxlA2NvbQAAAQAB")))
	}
	_, _ = io.Copy(io.Discard, bufio.NewReader(c))
}

// TestC7IdleHTTPS tells what a connection by HTTPS takes that has asked and is idle.
func TestC7IdleHTTPS(t *testing.T) {
	const all, most = 250, 96 << 10
	at := proctest.FreePort(t)
	l := newLab(t, honest(), 1, fmt.Sprintf("net.listen('127.0.0.1', %d, { kind = 'doh2' }) net.tcp_in_idle(120000)", at.Port()))
	wire, err := newQuery("www.example.com.").Pack()
	if err != nil {
		t.Fatal(err)
	}
	ask := func() {
		tr := &http.Transport{ForceAttemptHTTP2: true, TLSClientConfig: &tls.Config{InsecureSkipVerify: true}}
		t.Cleanup(tr.CloseIdleConnections)
		resp, err := (&http.Client{Transport: tr, Timeout: 10 * time.Second}).Post("https://"+at.String()+"/dns-query", "application/dns-message", bytes.NewReader(wire))
		if err != nil {
			t.Fatal(err)
		}
		_, _ = io.Copy(io.Discard, resp.Body)
		if resp.Body.Close(); resp.StatusCode != http.StatusOK || resp.ProtoMajor != 2 {
			t.Fatalf("%s by %s", resp.Status, resp.Proto)
		}
	}
	for range 20 { // what all connections have in common
		ask()
	}
	before := l.sum("worker.stats().rss")
	for range all {
		ask()
	}
	if n := l.sum("worker.stats().connections"); n != all+20 {
		t.Errorf("%d of %d connections are open", n, all+20)
	}
	one := (l.sum("worker.stats().rss") - before) / all
	tell(t, "C7", fmt.Sprintf("%d connections by HTTPS that have asked and are idle", all), "96 KiB each", "%d KiB each", one>>10)
	if one > most {
		t.Errorf("an idle connection takes %d KiB", one>>10)
	}
}
