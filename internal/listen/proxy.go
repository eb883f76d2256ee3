package listen

import (
	"io"
	"net"
	"net/netip"
	"slices"
	"time"

	"kresd/internal/limits"
	"kresd/internal/transport"
)

// Proxies.
//
// A peer that the operator has listed puts a header in front of each datagram and
// each connection, before a TLS handshake or right behind it, and whoever that names is the client:
// for policies, for limits, for the log. The listed peer must, so that its own address,
// which may be trusted for being loopback, is never taken for a client's; from others
// such a header is garbage. Where nobody is listed this costs a look at a nil pointer
// for a batch.

// proxies are the networks of those whose headers are believed.
type proxies []netip.Prefix

// SetProxies says whose headers of the PROXY protocol, version 2, are demanded and
// believed. It holds for datagrams and connections that come from then on.
func (s *Server) SetProxies(list []netip.Prefix) {
	if len(list) == 0 {
		s.proxies.Store(nil)
		return
	}
	all := proxies(slices.Clone(list))
	s.proxies.Store(&all)
}

// IsProxy tells whether a peer must put a header in front of what it asks.
func (s *Server) IsProxy(a netip.Addr) bool { return s.proxies.Load().has(a.Unmap()) }

// has tells whether a peer is listed.
func (p *proxies) has(a netip.Addr) bool {
	return p != nil && slices.ContainsFunc(*p, func(n netip.Prefix) bool { return n.Contains(a) })
}

// apply makes the client that a header names the one who asks. A client that is
// local to a proxy on another machine is not local to this one: it counts as the
// proxy, and the address that it has used is none of this machine's.
func (p proxied) apply(c *Client) {
	if !p.client.IsValid() {
		return
	}
	if far := !c.Addr.Addr().IsLoopback(); far {
		if p.client.Addr().IsLoopback() {
			p.client = netip.AddrPortFrom(c.Addr.Addr(), p.client.Port())
		}
		if p.local.Addr().IsLoopback() {
			p.local = netip.AddrPort{}
		}
	}
	c.Addr, c.Local = p.client, p.local
}

// unwrap takes the header off a datagram of t.client if that is a listed proxy, and
// makes the header's client t.client. Without one as it must be it returns nothing.
func (t *udpThread) unwrap(msg []byte) []byte {
	if !t.proxies.has(t.client.Addr.Addr()) {
		return msg
	}
	n, err := proxyHeaderLen(msg)
	if err == nil && n <= len(msg) {
		var p proxied
		if p, err = parseProxyHeader(msg[:n]); err == nil {
			p.apply(&t.client)
			return msg[n:]
		}
	}
	t.u.s.limits.Hit(limits.Proxy)
	return nil
}

// A greeting is a connection of a listed proxy on which the header has not come yet.
// Then it becomes the connection of the client that the header names.
type greeting struct {
	connection
	t  *acceptor
	nc accepted
}

// newGreeting makes a connection that is counted for nobody yet.
func (t *acceptor) newGreeting(nc accepted) *connection {
	g := &greeting{t: t, nc: nc}
	g.connHandler = g
	return &g.connection
}

// run implements connHandler.
func (g *greeting) run() {
	s := g.t.s
	_ = g.nc.SetReadDeadline(time.Now().Add(limits.TCPWholeMessage))
	if s.draining() {
		g.hurry()
	}
	c, nc := g.read()
	if c == nil {
		s.limits.Hit(limits.Proxy)
		return
	}
	s.conns.remove(&g.connection)
	if _, entered := s.enter(c, nc); !entered {
		return
	}
	defer c.kill()
	defer s.conns.remove(c)
	c.run()
}

// tlsHandshake is the first octet of what a client of TLS sends.
const tlsHandshake = 0x16

// read makes the connection that this one becomes, nil where the header is missing
// or wrong. Some proxies send the header not before the TLS handshake but as the
// first octets behind it.
func (g *greeting) read() (*connection, accepted) {
	begun := make([]byte, proxyFixed, limits.ProxyHeader)
	if _, err := io.ReadFull(g.nc, begun); err != nil {
		return nil, nil
	}
	if begun[0] == tlsHandshake && g.t.kind == transport.TLS {
		return g.inside(begun)
	}
	p, err := finishProxyHeader(begun, g.nc)
	if err != nil {
		return nil, nil
	}
	_ = g.nc.SetReadDeadline(time.Time{})
	nc := g.nc
	if p.client.IsValid() {
		who := Client{Addr: plainAddr(nc.RemoteAddr())}
		p.apply(&who)
		nc = &forwarded{nc, net.TCPAddrFromAddrPort(who.Addr), net.TCPAddrFromAddrPort(who.Local)}
	}
	return g.t.s.protocols[g.t.kind].connection(g.t.s, nc), nc
}

// inside makes a connection on which the header comes behind the handshake, of which
// the first octets have been read.
func (g *greeting) inside(begun []byte) (*connection, accepted) {
	_ = g.nc.SetReadDeadline(time.Time{})
	nc := &resumed{g.nc, begun}
	c := g.t.s.protocols[g.t.kind].connection(g.t.s, nc)
	framed := c.connHandler.(*framedConn) // as that of TLS is
	c.key, c.source = netip.Addr{}, nil   // for nobody yet
	framed.proxied = true
	return c, nc
}

// greet reads the header behind a handshake, and counts the connection for the client
// that it names.
func (c *framedConn) greet() error {
	_ = c.nc.SetReadDeadline(time.Now().Add(limits.TCPWholeMessage))
	p, err := readProxyHeader(c.stream)
	if err != nil {
		c.s.limits.Hit(limits.Proxy)
		return err
	}
	p.apply(&c.client)
	c.s.conns.remove(&c.connection)
	c.key = c.s.clients.Load().Key(c.client.Addr.Addr())
	c.source = c.s.sources.of(c.key)
	if _, entered := c.s.enter(&c.connection, c.nc); !entered {
		return net.ErrClosed
	}
	return nil
}

// readProxyHeader reads a header and no octet more.
func readProxyHeader(from io.Reader) (proxied, error) {
	b := make([]byte, proxyFixed, limits.ProxyHeader)
	if _, err := io.ReadFull(from, b); err != nil {
		return proxied{}, err
	}
	return finishProxyHeader(b, from)
}

// finishProxyHeader reads the rest of a header whose fixed part is b.
func finishProxyHeader(b []byte, from io.Reader) (proxied, error) {
	n, err := proxyHeaderLen(b)
	if err != nil {
		return proxied{}, err
	}
	if _, err := io.ReadFull(from, b[proxyFixed:n]); err != nil {
		return proxied{}, err
	}
	return parseProxyHeader(b[:n])
}

// resumed is a connection whose first octets have been read already.
type resumed struct {
	accepted
	begun []byte
}

// Read implements net.Conn.
func (r *resumed) Read(b []byte) (int, error) {
	if len(r.begun) > 0 {
		n := copy(b, r.begun)
		r.begun = r.begun[n:]
		return n, nil
	}
	return r.accepted.Read(b)
}

// hurry implements connHandler.
func (g *greeting) hurry() { _ = g.nc.SetReadDeadline(time.Now().Add(limits.LeaveFirstTCP)) }

// kill implements connHandler.
func (g *greeting) kill() { g.nc.Close() }

// forwarded is a connection with the ends that its proxy has told.
type forwarded struct {
	accepted
	remote, local net.Addr
}

// RemoteAddr implements net.Conn.
func (f *forwarded) RemoteAddr() net.Addr { return f.remote }

// LocalAddr implements net.Conn.
func (f *forwarded) LocalAddr() net.Addr { return f.local }
