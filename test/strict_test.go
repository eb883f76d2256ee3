package test

import (
	"bytes"
	"crypto/tls"
	"encoding/binary"
	"fmt"
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/miekg/dns"

	"kresd/internal/doh"
	"kresd/internal/doq"
	"kresd/internal/proctest"
)

// A capture counts the packets on loopback that have a label in the clear, other than
// those from and to one port.
type capture struct {
	label   []byte
	exempt  uint16
	leaked  atomic.Int32
	seen    atomic.Int32 // those from and to that port
	example atomic.Pointer[string]
	ended   sync.WaitGroup
}

// captureClear begins, until the end of the test; nil where it is not permitted.
func captureClear(t *testing.T, label string, exempt uint16) *capture {
	t.Helper()
	const ip = 0x0800 // ETH_P_IP
	fd, err := syscall.Socket(syscall.AF_PACKET, syscall.SOCK_RAW|syscall.SOCK_CLOEXEC, ip>>8|ip&0xff<<8)
	if err != nil {
		t.Logf("NOT RUN: packets on loopback are not looked at: %v", err)
		return nil
	}
	lo, err := net.InterfaceByName("lo")
	if err == nil {
		err = syscall.Bind(fd, &syscall.SockaddrLinklayer{Protocol: ip>>8 | ip&0xff<<8, Ifindex: lo.Index})
	}
	if err == nil {
		err = syscall.SetsockoptTimeval(fd, syscall.SOL_SOCKET, syscall.SO_RCVTIMEO, &syscall.Timeval{Usec: 100_000})
	}
	if err != nil {
		t.Fatal(err)
	}
	_ = syscall.SetsockoptInt(fd, syscall.SOL_SOCKET, syscall.SO_RCVBUFFORCE, 32<<20)
	c := &capture{label: append([]byte{byte(len(label))}, label...), exempt: exempt}
	var over atomic.Bool
	c.ended.Go(func() {
		defer syscall.Close(fd)
		buf := make([]byte, 1<<16)
		for !over.Load() {
			if n, _, err := syscall.Recvfrom(fd, buf, 0); err == nil {
				c.look(buf[:n])
			}
		}
	})
	t.Cleanup(func() { over.Store(true); c.ended.Wait() })
	return c
}

// look looks at one frame.
func (c *capture) look(frame []byte) {
	const ethernet = 14
	if len(frame) < ethernet+20 || !bytes.Contains(bytes.ToLower(frame), c.label) {
		return
	}
	packet := frame[ethernet:]
	header := int(packet[0]&0xf) * 4
	if len(packet) < header+4 {
		return
	}
	from, to := binary.BigEndian.Uint16(packet[header:]), binary.BigEndian.Uint16(packet[header+2:])
	if from == c.exempt || to == c.exempt {
		c.seen.Add(1)
		return
	}
	c.leaked.Add(1)
	what := fmt.Sprintf("protocol %d, port %d to %d", packet[9], from, to)
	c.example.Store(&what)
}

// none fails the test if something was in the clear, or if nothing was looked at.
func (c *capture) none(t *testing.T) {
	t.Helper()
	if c == nil {
		return
	}
	proctest.Eventually(t, 10*time.Second, "what clients ask is seen on loopback", func() bool { return c.seen.Load() > 0 })
	if n := c.leaked.Load(); n > 0 {
		t.Errorf("%d packets have a question in the clear: %s", n, *c.example.Load())
	}
}

// reset ends a connection as if its program had died.
func reset(raw *net.TCPConn) bool {
	_ = raw.SetLinger(0)
	raw.Close()
	return false
}

// oddServers are servers of DNS over TLS that do what they should not. answers tells
// those from which there is an answer all the same.
func oddServers() map[string]struct {
	act     act
	answers bool
} {
	type odd = struct {
		act     act
		answers bool
	}
	return map[string]odd{
		"closes":     {func(c *tls.Conn, raw *net.TCPConn, q []byte) bool { answerAll(c, raw, q); c.Close(); return false }, true},
		"ends":       {func(c *tls.Conn, raw *net.TCPConn, q []byte) bool { answerAll(c, raw, q); raw.Close(); return false }, true},
		"resets":     {func(c *tls.Conn, raw *net.TCPConn, q []byte) bool { answerAll(c, raw, q); return reset(raw) }, true},
		"halfclosed": {func(c *tls.Conn, raw *net.TCPConn, q []byte) bool { answerAll(c, raw, q); return c.CloseWrite() == nil }, true},
		"two": {func(c *tls.Conn, _ *net.TCPConn, q []byte) bool {
			_, err := c.Write(append(toldTo(q), toldTo(q)...))
			return err == nil
		}, true},
		"drips": {func(c *tls.Conn, _ *net.TCPConn, q []byte) bool {
			for _, octet := range toldTo(q) {
				if _, err := c.Write([]byte{octet}); err != nil {
					return false
				}
			}
			return true
		}, true},
		"late": {func(c *tls.Conn, raw *net.TCPConn, q []byte) bool {
			time.Sleep(400 * time.Millisecond)
			return answerAll(c, raw, q)
		}, true},
		"never":   {func(*tls.Conn, *net.TCPConn, []byte) bool { return true }, false},
		"hangsup": {func(*tls.Conn, *net.TCPConn, []byte) bool { return false }, false},
		"half": {func(c *tls.Conn, _ *net.TCPConn, q []byte) bool {
			r := toldTo(q)
			_, err := c.Write(r[:len(r)/2])
			return err == nil
		}, false},
		"halfends": {func(c *tls.Conn, _ *net.TCPConn, q []byte) bool {
			r := toldTo(q)
			_, _ = c.Write(r[:len(r)/2])
			return false
		}, false},
		"halfresets": {func(c *tls.Conn, raw *net.TCPConn, q []byte) bool {
			r := toldTo(q)
			_, _ = c.Write(r[:len(r)/2])
			return reset(raw)
		}, false},
		"long": {func(c *tls.Conn, _ *net.TCPConn, q []byte) bool {
			r := toldTo(q)
			r[0], r[1] = 0xff, 0xff
			_, err := c.Write(r)
			return err == nil
		}, false},
		"empty": {func(c *tls.Conn, _ *net.TCPConn, _ []byte) bool { _, err := c.Write([]byte{0, 0}); return err == nil }, false},
		"garbage": {func(c *tls.Conn, _ *net.TCPConn, q []byte) bool {
			r := toldTo(q)
			for i := range r[14:] {
				r[14+i] = 0xff
			}
			_, err := c.Write(r)
			return err == nil
		}, false},
		"plain": {func(_ *tls.Conn, raw *net.TCPConn, _ []byte) bool {
			_, err := raw.Write([]byte("220 mail.test ESMTP\r\n"))
			return err == nil
		}, false},
		"echo": {func(c *tls.Conn, _ *net.TCPConn, q []byte) bool {
			_, err := c.Write(append(binary.BigEndian.AppendUint16(nil, uint16(len(q))), q...))
			return err == nil
		}, false},
	}
}

// Whatever a server of DNS over TLS does, a question has its answer where the server gives
// one, or where another server does, and an error in time where none does; and in no case
// is anything asked in the clear.
func TestOddServersByTLS(t *testing.T) {
	cert := proctest.NewCertificateAuthority(t).Issue(t, time.Now().Add(24*time.Hour), "dns.test")
	proof := fmt.Sprintf("pin_sha256 = '%s'", cert.Pin)
	server := func(s *scripted) string { return fmt.Sprintf("{ 'tls://%s', %s }", s.AddrPort, proof) }
	odd, names := map[string]oddServer{}, oddServers()
	for what, o := range names {
		odd[what] = oddServer{server(scriptTLS(t, cert, o.act)), o.answers, "no forwarder "}
	}
	askOddServers(t, odd, server(scriptTLS(t, cert, answerAll)))
}

// oddServer is how a rule names a server, and whether there is an answer from it, or what
// clients are told why there is none.
type oddServer struct {
	named   string
	answers bool
	why     string
}

// askOddServers forwards questions to each server alone, and to each beside a good one.
func askOddServers(t *testing.T, odd map[string]oddServer, good string) {
	t.Helper()
	var lines []string
	for what, o := range odd {
		lines = append(lines,
			fmt.Sprintf("policy.add(policy.suffix(policy.FORWARD({ %s }), { todname('%s.secretly.example.') }))", o.named, what),
			fmt.Sprintf("policy.add(policy.suffix(policy.FORWARD({ %s, %s }), { todname('%s.both.secretly.example.') }))", o.named, good, what))
	}
	g := proctest.Start(t, proctest.On(t, proctest.SmallInternet(t), 1, lines...))
	packets := captureClear(t, "secretly", g.Addr.Port())
	var asking sync.WaitGroup
	for what, o := range odd {
		asking.Go(func() {
			for i := range 4 {
				begun := time.Now()
				r := g.Ask(t, "udp", fmt.Sprintf("a%d.%s.secretly.example.", i, what), dns.TypeA, 1232)
				if answered := r.Rcode == dns.RcodeSuccess && len(r.Answer) == 1; answered != o.answers || !answered && r.Rcode != dns.RcodeServerFailure {
					t.Errorf("%s, alone: %s after %v", what, r, time.Since(begun))
				}
				if text := extendedText(r); i == 0 && !o.answers && !strings.Contains(text, o.why) {
					t.Errorf("%s: clients are told %q, want %q", what, text, o.why)
				}
				begun = time.Now()
				r = g.Ask(t, "udp", fmt.Sprintf("a%d.%s.both.secretly.example.", i, what), dns.TypeA, 1232)
				if took := time.Since(begun); r.Rcode != dns.RcodeSuccess || len(r.Answer) != 1 || took > 3*time.Second {
					t.Errorf("%s, beside a good one: %s after %v", what, proctest.Shape(r), took)
				}
			}
		})
	}
	asking.Wait()
	packets.none(t)
	if strings.Contains(g.Log(), "panic") {
		t.Error("the log tells of a panic")
	}
}

// The same by HTTPS.
func TestOddServersByHTTPS(t *testing.T) {
	cert := proctest.NewCertificateAuthority(t).Issue(t, time.Now().Add(24*time.Hour), "dns.test")
	answer := func(w http.ResponseWriter, q []byte) {
		w.Header().Set("Content-Type", doh.MediaType)
		_, _ = w.Write(toldTo(q)[2:])
	}
	server := func(act func(w http.ResponseWriter, q []byte)) string {
		return fmt.Sprintf("{ 'https://%s/dns-query', pin_sha256 = '%s' }", scriptHTTPS(t, cert, act), cert.Pin)
	}
	odd := map[string]oddServer{}
	for what, o := range map[string]struct {
		act func(w http.ResponseWriter, q []byte)
		why string // nothing: there is an answer
	}{
		"closes": {func(w http.ResponseWriter, q []byte) { w.Header().Set("Connection", "close"); answer(w, q) }, ""},
		"late":   {func(w http.ResponseWriter, q []byte) { time.Sleep(400 * time.Millisecond); answer(w, q) }, ""},
		"pieces": {func(w http.ResponseWriter, q []byte) {
			w.Header().Set("Content-Type", doh.MediaType)
			for _, octet := range toldTo(q)[2:] {
				_, _ = w.Write([]byte{octet})
				_ = http.NewResponseController(w).Flush()
			}
		}, ""},
		"never":  {func(http.ResponseWriter, []byte) { time.Sleep(12 * time.Second) }, "no forwarder answers"},
		"resets": {func(http.ResponseWriter, []byte) { panic(http.ErrAbortHandler) }, "1 of 1 address ended the stream of the question: INTERNAL_ERROR"},
		"half": {func(w http.ResponseWriter, q []byte) {
			w.Header().Set("Content-Type", doh.MediaType)
			_, _ = w.Write(toldTo(q)[2:20])
			_ = http.NewResponseController(w).Flush()
			panic(http.ErrAbortHandler)
		}, "ended the stream of the question: INTERNAL_ERROR"},
		"cut": {func(w http.ResponseWriter, q []byte) {
			w.Header().Set("Content-Type", doh.MediaType)
			_, _ = w.Write(toldTo(q)[2:20])
		}, "no forwarder can be reached"},
		"busy": {func(w http.ResponseWriter, _ []byte) { w.WriteHeader(http.StatusTooManyRequests) }, "no forwarder answers without an error: 1 of 1 address answered with HTTP status 429"},
		"page": {func(w http.ResponseWriter, _ []byte) { _, _ = w.Write([]byte("<html>")) }, `answered with HTTP content of type "text/html"`},
		"garbage": {func(w http.ResponseWriter, q []byte) {
			w.Header().Set("Content-Type", doh.MediaType)
			_, _ = w.Write(append(q[:12:12], 0xff, 0xff))
		}, "no forwarder "},
		"long": {func(w http.ResponseWriter, _ []byte) {
			w.Header().Set("Content-Type", doh.MediaType)
			for range 1000 {
				_, _ = w.Write(make([]byte, 1000))
			}
		}, "answered with HTTP content that is no answer"},
	} {
		odd[what] = oddServer{server(o.act), o.why == "", o.why}
	}
	askOddServers(t, odd, server(answer))
}

// The same by QUIC.
func TestOddServersByQUIC(t *testing.T) {
	cert := proctest.NewCertificateAuthority(t).Issue(t, time.Now().Add(24*time.Hour), "dns.test")
	soon := func() time.Time { return time.Now().Add(5 * time.Second) }
	answer := func(_ *doq.Conn, st *doq.Stream, q []byte) { _ = st.Write(toldTo(q), soon()) }
	server := func(act func(c *doq.Conn, st *doq.Stream, q []byte)) string {
		return fmt.Sprintf("{ 'quic://%s', pin_sha256 = '%s' }", scriptQUIC(t, cert, act), cert.Pin)
	}
	odd := map[string]oddServer{}
	for what, o := range map[string]struct {
		act func(c *doq.Conn, st *doq.Stream, q []byte)
		why string // nothing: there is an answer
	}{
		"closes": {func(c *doq.Conn, st *doq.Stream, q []byte) {
			answer(c, st, q)
			time.Sleep(100 * time.Millisecond) // what the end of a connection overtakes is lost by QUIC
			c.Close(doq.NoError)
		}, ""},
		"late":    {func(c *doq.Conn, st *doq.Stream, q []byte) { time.Sleep(400 * time.Millisecond); answer(c, st, q) }, ""},
		"never":   {func(*doq.Conn, *doq.Stream, []byte) {}, "no forwarder answers"},
		"resets":  {func(_ *doq.Conn, st *doq.Stream, _ []byte) { st.Refuse(doq.InternalError) }, "1 of 1 address ended the stream of the question: DOQ_INTERNAL_ERROR"},
		"hangsup": {func(c *doq.Conn, _ *doq.Stream, _ []byte) { c.Close(doq.ExcessiveLoad) }, "no forwarder can be reached"},
		"half":    {func(_ *doq.Conn, st *doq.Stream, q []byte) { _ = st.Write(toldTo(q)[:20], soon()) }, "no forwarder can be reached"},
		"two":     {func(_ *doq.Conn, st *doq.Stream, q []byte) { _ = st.Write(append(toldTo(q), toldTo(q)...), soon()) }, "no forwarder can be reached"},
		"empty":   {func(_ *doq.Conn, st *doq.Stream, _ []byte) { _ = st.Write([]byte{0, 0}, soon()) }, "no forwarder can be reached"},
	} {
		odd[what] = oddServer{server(o.act), o.why == "", o.why}
	}
	askOddServers(t, odd, server(answer))
}
