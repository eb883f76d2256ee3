package listen

import (
	"io"
	"net"
	"net/netip"
	"slices"
	"time"

	"kresd/internal/limits"
)

// Proxies.
//
// A peer that the operator has listed puts a header in front of each datagram and
// each connection, before a TLS handshake too, and whoever that names is the client:
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

// has tells whether a peer is listed.
func (p *proxies) has(a netip.Addr) bool {
	return p != nil && slices.ContainsFunc(*p, func(n netip.Prefix) bool { return n.Contains(a) })
}

// apply makes the client that a header names the one who asks. A client that is
// local to a proxy on another machine is not local to this one: it counts as the
// proxy.
func (p proxied) apply(c *Client) {
	if !p.client.IsValid() {
		return
	}
	if p.client.Addr().IsLoopback() && !c.Addr.Addr().IsLoopback() {
		p.client = netip.AddrPortFrom(c.Addr.Addr(), p.client.Port())
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
	p, err := readProxyHeader(g.nc)
	if err != nil {
		s.limits.Hit(limits.Proxy)
		return
	}
	_ = g.nc.SetReadDeadline(time.Time{})
	s.conns.remove(&g.connection)
	nc := g.nc
	if p.client.IsValid() {
		who := Client{Addr: plainAddr(nc.RemoteAddr())}
		p.apply(&who)
		nc = &forwarded{nc, net.TCPAddrFromAddrPort(who.Addr), net.TCPAddrFromAddrPort(who.Local)}
	}
	c := s.protocols[g.t.kind].connection(s, nc)
	if !s.enter(c, nc) {
		return
	}
	defer c.kill()
	defer s.conns.remove(c)
	c.run()
}

// readProxyHeader reads a header and no octet more.
func readProxyHeader(from io.Reader) (proxied, error) {
	b := make([]byte, proxyFixed, limits.ProxyHeader)
	if _, err := io.ReadFull(from, b); err != nil {
		return proxied{}, err
	}
	n, err := proxyHeaderLen(b)
	if err != nil {
		return proxied{}, err
	}
	if _, err := io.ReadFull(from, b[proxyFixed:n]); err != nil {
		return proxied{}, err
	}
	return parseProxyHeader(b[:n])
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
