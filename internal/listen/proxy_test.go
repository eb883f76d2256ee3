package listen

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"kresd/internal/limits"
	"kresd/internal/transport"
)

// A teller answers with the addresses of both ends, on the thread what has an 'f'
// behind its header, and on the driver's way the rest.
type teller struct{ echo }

type tellerSession struct{ h *teller }

func (h *teller) NewSession() (Session, error) { return &tellerSession{h}, nil }

func (*tellerSession) Begin() {}
func (*tellerSession) End()   {}
func (*tellerSession) Close() {}

func (s *tellerSession) Answer(query []byte, from *Client, out []byte) ([]byte, Handling) {
	if query[headerLen] != 'f' {
		return nil, Driver
	}
	return tell(query, from, out), Reply
}

func (h *teller) Resolve(_ context.Context, q *Query) {
	q.Reply(tell(q.Wire, &q.Client, make([]byte, maxMessage)))
}

func tell(query []byte, from *Client, out []byte) []byte {
	out = append(out[:0], query[:headerLen]...)
	out[2] |= 0x80
	return append(out, from.Addr.String()+" asks "+from.Local.String()...)
}

// behindProxy is a server that takes the peers of the prefixes for proxies.
func behindProxy(t *testing.T, addr string, list ...string) (*Server, netip.AddrPort) {
	s := serve(t, &teller{}, addr)
	var networks []netip.Prefix
	for _, p := range list {
		networks = append(networks, netip.MustParsePrefix(p))
	}
	s.SetProxies(networks)
	return s, s.Endpoints()[0].Addr
}

// told is what a teller's answer says.
func told(msg []byte) string { return string(msg[headerLen:]) }

func TestAProxyNamesTheClient(t *testing.T) {
	for _, addr := range []string{"127.0.0.1:0", "0.0.0.0:0"} {
		_, at := behindProxy(t, addr, "127.0.0.0/8")
		at = netip.AddrPortFrom(netip.MustParseAddr("127.0.0.1"), at.Port())
		own := at.String()
		for name, c := range map[string]struct {
			header []byte
			want   string
		}{
			"IPv4":                      {proxyHeader(proxyOther, 0x12, ends(client4, local4), item(4, 9)), client4 + " asks " + local4},
			"IPv6":                      {proxyHeader(proxyOther, 0x21, ends(client6, local6)), client6 + " asks " + local6},
			"the proxy":                 {proxyHeader(proxyLocal, 0), "127.0.0.1:"},
			"loopback behind loopback":  {proxyHeader(proxyOther, 0x12, ends("127.0.0.9:99", local4)), "127.0.0.9:99 asks " + local4},
			"a source port of services": {proxyHeader(proxyOther, 0x12, ends("192.0.2.9:53", local4)), "192.0.2.9:53 asks " + local4},
		} {
			for _, how := range []byte("fd") {
				u := udpClient(t, at)
				got := told(exchange(t, u, append(bytes.Clone(c.header), ask(7, how)...)))
				if !strings.HasPrefix(got, c.want) || name == "the proxy" && !strings.HasSuffix(got, " asks "+own) {
					t.Errorf("%s by UDP (%c) at %s: %s, want %s", name, how, addr, got, c.want)
				}
				s := tcpClient(t, at)
				for _, octet := range c.header { // however it comes
					if _, err := s.Write([]byte{octet}); err != nil {
						t.Fatal(err)
					}
				}
				for range 3 { // once a connection
					sendFrames(t, s, ask(7, how))
					if got := told(readFrame(t, s)); !strings.HasPrefix(got, c.want) || name == "the proxy" && !strings.HasSuffix(got, " asks "+own) {
						t.Errorf("%s by TCP (%c) at %s: %s, want %s", name, how, addr, got, c.want)
					}
				}
			}
		}
	}
}

// silent tells that nothing answers what was sent, by the answer to a question with
// the ID 9 that is sent after it.
func silent(t *testing.T, c *net.UDPConn, sent, good []byte) bool {
	t.Helper()
	if _, err := c.Write(sent); err != nil {
		t.Fatal(err)
	}
	return bytes.HasPrefix(exchange(t, c, good), []byte{0, 9})
}

func TestForgedHeadersOfAProxyGetNothing(t *testing.T) {
	s, at := behindProxy(t, "127.0.0.1:0", "127.0.0.1/32")
	u := udpClient(t, at)
	good := append(proxyHeader(proxyOther, 0x12, ends(client4, local4)), ask(9, 'f')...)
	accepted := 0
	for name, header := range forgeries() {
		bad := append(bytes.Clone(header), ask(8, 'f')...)
		if n, err := proxyHeaderLen(bad); err == nil && n <= len(bad) {
			if _, err := parseProxyHeader(bad[:n]); err == nil {
				continue // with the first octets of what follows it is a header, and the rest no message of ours
			}
		}
		if !silent(t, u, bad[:min(len(bad), 60000)], good) {
			t.Errorf("%s: answered by UDP", name)
			accepted++
		}
		c := tcpClient(t, at)
		_, _ = c.Write(appendFrame(bytes.Clone(header), ask(8, 'f')))
		_ = c.CloseWrite()
		if msg, err := nextMessage(c); err == nil {
			t.Errorf("%s: answered by TCP with %q", name, msg)
			accepted++
		}
	}
	t.Logf("%d forged headers by UDP and TCP, %d accepted", len(forgeries()), accepted)
	if hits := s.limits.Get(limits.Proxy); hits < uint64(len(forgeries())) {
		t.Errorf("%d were counted", hits)
	}
	if !silent(t, u, good[:proxyFixed+4], good) {
		t.Error("a part of a header is answered")
	}
	for _, header := range [][]byte{nil, good[:len(good)-headerLen-1]} { // a header alone, and a long datagram
		if !silent(t, u, append(bytes.Clone(header), make([]byte, limits.UDPQuery)...), good) {
			t.Error("a long datagram is answered")
		}
	}
}

// A peer that is not listed is a client, and its header garbage.
func TestAnUnlistedProxyIsNone(t *testing.T) {
	for _, list := range [][]string{nil, {"192.0.2.0/24", "::/0"}} {
		_, at := behindProxy(t, "127.0.0.1:0", list...)
		u := udpClient(t, at)
		header := proxyHeader(proxyOther, 0x12, ends(client4, local4))
		if !silent(t, u, append(bytes.Clone(header), ask(8, 'f')...), ask(9, 'f')) || !silent(t, u, header, ask(9, 'f')) {
			t.Error("answered by UDP")
		}
		if got := told(exchange(t, u, ask(7, 'f'))); !strings.HasPrefix(got, u.LocalAddr().String()) {
			t.Errorf("asked by %s, and the client is %s", u.LocalAddr(), got)
		}
		c := tcpClient(t, at)
		begun := time.Now()
		_, _ = c.Write(appendFrame(bytes.Clone(header), ask(8, 'f')))
		if msg, err := nextMessage(c); err == nil {
			t.Errorf("answered by TCP: %q", msg)
		}
		if took := time.Since(begun); took > limits.TCPWholeMessage {
			t.Errorf("the connection stayed for %v", took)
		}
	}
}

// A client behind a proxy on another machine is not one of this machine's, whatever
// its address is there.
func TestNoClientIsTrustedForALoopbackElsewhere(t *testing.T) {
	c := Client{Addr: netip.MustParseAddrPort("192.0.2.1:1000"), Local: netip.MustParseAddrPort("198.51.100.1:53")}
	p, err := parseProxyHeader(proxyHeader(proxyOther, 0x12, ends("127.0.0.1:5353", local4)))
	if err != nil {
		t.Fatal(err)
	}
	if p.apply(&c); c.Addr != netip.MustParseAddrPort("192.0.2.1:5353") {
		t.Errorf("the client is %s", c.Addr)
	}
	if p, err = parseProxyHeader(proxyHeader(proxyOther, 0x12, ends(client4, "127.0.0.1:53"))); err != nil {
		t.Fatal(err)
	}
	if p.apply(&c); c.Local.IsValid() {
		t.Errorf("a client of another machine has used %s of this one", c.Local)
	}
}

// What is one client's is counted by the address that the proxy names, and never by
// the proxy's, which loopback would free of all limits.
func TestLimitsHoldForClientsBehindAProxy(t *testing.T) {
	s, at := behindProxy(t, "127.0.0.1:0", "127.0.0.1/32")
	may := limits.DefaultClients()
	may.ConnsPerClient = 2
	s.SetClientLimits(may)
	open := func(client string) *net.TCPConn {
		c := tcpClient(t, at)
		_, _ = c.Write(proxyHeader(proxyOther, 0x11, ends(client, local4)))
		sendFrames(t, c, ask(7, 'f'))
		readFrame(t, c)
		return c
	}
	first := open("192.0.2.9:1")
	for i := range 3 {
		open("192.0.2.10:" + string(rune('1'+i)))
	}
	sendFrames(t, first, ask(7, 'f'))
	readFrame(t, first)
	if n := s.Stats().Conns; n != 3 {
		t.Errorf("%d connections, want one of the first client and two of the second", n)
	}
}

// A proxy that connects and says nothing is closed in time, and holds up no end.
func TestAProxyWithoutAHeaderHoldsNothingUp(t *testing.T) {
	s, at := behindProxy(t, "127.0.0.1:0", "127.0.0.1/32")
	for range 10 {
		tcpClient(t, at)
	}
	eventually(t, "they are there", func() bool { return s.Stats().Conns == 10 })
	begun := time.Now()
	s.Drain(t.Context())
	if took := time.Since(begun); took > limits.TCPWholeMessage-time.Second {
		t.Errorf("the end took %v", took)
	}
}

// A proxy has the time of a message for its header, before a handshake and behind one, and that
// of a client that has just come where the server leaves.
func TestHowLongAProxyMayTakeForItsHeader(t *testing.T) {
	nc := acceptedEnd(t)
	synctest.Test(t, func(t *testing.T) {
		c, o := timed(nc)
		last := func() time.Duration { return time.Until(o.readBy[len(o.readBy)-1]) }
		a := &acceptor{s: c.s, kind: transport.TCP}
		if a.newGreeting(o).run(); last() != limits.TCPWholeMessage || c.s.limits.Get(limits.Proxy) != 1 {
			t.Errorf("before everything else it has %v, want %v; counted %d times", last(), limits.TCPWholeMessage, c.s.limits.Get(limits.Proxy))
		}
		if err := c.greet(); err == nil || last() != limits.TCPWholeMessage || c.s.limits.Get(limits.Proxy) != 2 {
			t.Errorf("behind a handshake it has %v, want %v; %v", last(), limits.TCPWholeMessage, err)
		}
		c.s.drain.Store(true)
		if a.newGreeting(o).run(); last() != limits.LeaveFirstTCP {
			t.Errorf("where the server leaves it has %v, want %v", last(), limits.LeaveFirstTCP)
		}
	})
}

// Over TLS the header comes before the handshake or right behind it.
func TestAProxyOverTLS(t *testing.T) {
	server, client := encrypted(t)
	s := New(&teller{}, Options{Limits: &limits.Counters{}, Panics: quietPanics(), TLS: offering(server)})
	if err := errors.Join(s.Open(), s.Listen(netip.MustParseAddrPort("127.0.0.1:0"), only(transport.TLS))); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Drain(t.Context()) })
	at := s.Endpoints()[0].Addr
	s.SetProxies([]netip.Prefix{netip.MustParsePrefix("127.0.0.1/32")})
	header := proxyHeader(proxyOther, 0x11, ends(client4, local4))
	connect := func(outside, inside []byte) *tls.Conn {
		raw := tcpClient(t, at)
		_, _ = raw.Write(outside)
		c := tls.Client(raw, client)
		if c.Handshake() == nil {
			_, _ = c.Write(append(bytes.Clone(inside), appendFrame(nil, ask(7, 'f'))...))
		}
		return c
	}
	for name, c := range map[string]*tls.Conn{"before": connect(header, nil), "behind": connect(nil, header)} {
		if got, want := told(readFrame(t, c)), client4+" asks "+local4; got != want {
			t.Errorf("%s the handshake: %s, want %s", name, got, want)
		}
		sendFrames(t, c, ask(7, 'd'))
		if got := told(readFrame(t, c)); !strings.HasPrefix(got, client4) {
			t.Errorf("%s the handshake, the second question: %s", name, got)
		}
	}
	if n := s.conns.queue.countOf(netip.MustParseAddrPort(client4).Addr()); n != 2 {
		t.Errorf("%d connections are counted for the client, want 2", n)
	}
	for name, bad := range forgeries() {
		c := connect(nil, bad)
		_ = c.CloseWrite()
		if msg, err := nextMessage(c); err == nil {
			t.Errorf("%s behind the handshake: %q", name, msg)
		}
	}
	if msg, err := nextMessage(connect(header, header)); err == nil {
		t.Errorf("a second header: %q", msg)
	}
}

// Over HTTP, encrypted or not, the header comes before everything else.
func TestAProxyOverHTTP(t *testing.T) {
	w := newWeb(t, &teller{})
	w.SetProxies([]netip.Prefix{netip.MustParsePrefix("127.0.0.1/32")})
	for _, way := range ways {
		for name, c := range map[string]struct{ header, want string }{
			"a client":   {string(proxyHeader(proxyOther, 0x11, ends(client4, local4))), client4 + " asks " + local4},
			"no header":  {"", ""},
			"a forgery":  {string(proxyHeader(0x22, 0x11, ends(client4, local4))), ""},
			"the proxy ": {string(proxyHeader(proxyLocal, 0)), "127.0.0.1:"},
		} {
			client, base := w.client(way.two, way.safe)
			client.Transport.(*http.Transport).DialContext = func(ctx context.Context, network, addr string) (net.Conn, error) {
				nc, err := (&net.Dialer{}).DialContext(ctx, network, addr)
				if err == nil {
					_, err = nc.Write([]byte(c.header))
				}
				return nc, err
			}
			status, body, _ := fetch(client.Get(getURL(base, ask(0, 'f'))))
			if answered := status == http.StatusOK; answered != (c.want != "") || answered && !strings.HasPrefix(told([]byte(body)), c.want) {
				t.Errorf("%s by %s: %d %q", name, way.name, status, body)
			}
		}
	}
}
