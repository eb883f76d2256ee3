package listen

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"testing"
	"time"

	"kresd/internal/clock"
	"kresd/internal/h2"
	"kresd/internal/limits"
	"kresd/internal/transport"
)

// asClient connects through a listed proxy in the name of a client.
func asClient(t *testing.T, at netip.AddrPort, client string) *net.TCPConn {
	t.Helper()
	c := tcpClient(t, at)
	if _, err := c.Write(proxyHeader(proxyOther, 0x11, ends(client+":5353", local4))); err != nil {
		t.Fatal(err)
	}
	return c
}

// answersOn tells whether a question on a connection is answered.
func answersOn(c net.Conn) bool {
	_ = c.SetDeadline(time.Now().Add(20 * time.Second))
	if _, err := c.Write(appendFrame(nil, ask(1, 'f'))); err != nil {
		return false
	}
	_, err := nextMessage(c)
	return err == nil
}

// What one client has beyond its share of connections is paid for by its own, and what is
// much more than that it does not get: no other client waits for it, nor loses a connection.
func TestOneClientsExcessIsItsOwn(t *testing.T) {
	s := serve(t, newEcho())
	stands := clock.NewFake(time.Unix(1e9, 0))
	s.clock = &stands.Clock
	may := limits.DefaultClients()
	may.Conns, may.ConnsPerClient = 8, 4
	s.SetClientLimits(may)
	key := netip.MustParseAddr("192.0.2.9")
	enter := func(key netip.Addr) (price, bool) {
		c := &connection{source: s.sources.of(key)}
		c.key = key
		c.connHandler = &mirror{nc: pipeEnd(t)}
		return s.site(c)
	}
	prices, in := map[price]int{}, 0
	for range 200 {
		who, ok := enter(key)
		if prices[who]++; ok {
			in++
		}
	}
	most := may.ConnsPerClient + limits.OwnPerSecond*int(limits.OwnSlack/time.Second) - 1
	if prices[free] != may.ConnsPerClient || prices[others] != 0 || in != most {
		t.Errorf("of 200 connections %d were free and others paid for %d; %d were taken in, want %d", prices[free], prices[others], in, most)
	}
	if n := s.Stats().Conns; n != may.ConnsPerClient {
		t.Errorf("it has %d connections, want %d", n, may.ConnsPerClient)
	}
	for i := range 4 {
		if who, ok := enter(netip.AddrFrom4([4]byte{192, 0, 2, byte(100 + i)})); who != free || !ok {
			t.Errorf("another client pays %d, entered %v", who, ok)
		}
	}
	if who, ok := enter(netip.MustParseAddr("192.0.2.200")); who != others || !ok {
		t.Errorf("who takes the place of another one pays %d, entered %v", who, ok)
	}
}

// Where all others wait for answers nobody gives way, and who comes is not taken in.
func TestWhereNobodyIsIdleNobodyGivesWay(t *testing.T) {
	s := serve(t, newEcho())
	may := limits.DefaultClients()
	may.Conns = 2
	s.SetClientLimits(may)
	for i := range 3 {
		key := netip.AddrFrom4([4]byte{192, 0, 2, byte(i)})
		c := &connection{source: s.sources.of(key)}
		c.key, c.connHandler = key, &mirror{nc: pipeEnd(t)}
		c.outstanding.Add(1)
		if who, ok := s.site(c); ok != (i < 2) || i == 2 && who != others {
			t.Errorf("connection %d: taken in %v, and %d pay", i, ok, who)
		}
	}
	if st := s.Stats(); st.Conns != 2 || st.TCPShed != 0 {
		t.Errorf("%d connections, %d gave way", st.Conns, st.TCPShed)
	}
}

// Who comes from one address more often than may be is no crowd for whom all others wait.
func TestNobodyRestsForOneClient(t *testing.T) {
	s := serve(t, newEcho(), "127.0.0.1:0")
	a := s.endpoints[1].socket.(*acceptor)
	stands := clock.NewFake(time.Unix(1e9, 0))
	s.clock = &stands.Clock
	may := limits.DefaultClients()
	may.Conns, may.ConnsPerClient = 6, 4
	s.SetClientLimits(may)
	come := func(client string) {
		nc := acceptedEnd(t)
		a.receive(&forwarded{nc, net.TCPAddrFromAddrPort(netip.AddrPortFrom(netip.MustParseAddr(client), 5353)), nc.LocalAddr()})
	}
	const crowd = 2 * int(limits.CrowdSlack*limits.CrowdPerSecond/time.Second)
	for range crowd + 2*limits.OwnPerSecond {
		come("192.0.2.9")
	}
	if n := s.limits.Get(limits.TCPCrowd); n != 0 || s.limits.Get(limits.TCPConns) == 0 {
		t.Errorf("for one client they rested %d times", n)
	}
	for i := range crowd {
		come(fmt.Sprintf("192.0.2.%d", 100+i))
	}
	if s.limits.Get(limits.TCPCrowd) == 0 {
		t.Error("for many clients they did not rest")
	}
}

// Garbage of one client ends not only each of its connections: after some of them none is
// taken in for a while. Others' are, and those of one that asks much more than it offends.
func TestOffencesOfAClientAreSummed(t *testing.T) {
	s, at := behindProxy(t, "127.0.0.1:0", "127.0.0.1/32")
	spoil := func(client string, n, asked int) {
		for range n {
			c := asClient(t, at, client)
			for range asked {
				if !answersOn(c) {
					t.Fatalf("%s is not answered", client)
				}
			}
			bad := ask(1, 'f')
			bad[2] |= 0x80
			_, _ = c.Write(appendFrame(nil, bad))
			_, _ = io.Copy(io.Discard, c)
			c.Close()
		}
	}
	spoil("192.0.2.9", limits.SourceOffences, 0)
	if !answersOn(asClient(t, at, "192.0.2.9")) {
		t.Error("it is not taken in too early")
	}
	spoil("192.0.2.9", 2, 0)
	if answersOn(asClient(t, at, "192.0.2.9")) || s.limits.Get(limits.Offences) == 0 {
		t.Error("it is taken in")
	}
	spoil("192.0.2.10", limits.SourceOffences+5, 3)
	for _, client := range []string{"192.0.2.10", "192.0.2.11"} {
		if !answersOn(asClient(t, at, client)) {
			t.Errorf("%s is not taken in", client)
		}
	}
}

// A client that has done nothing of that for a while begins anew, and who is counted for
// nobody may do as it likes.
func TestOffencesAreForgotten(t *testing.T) {
	var all sources
	c, now := all.of(netip.MustParseAddr("192.0.2.9")), time.Hour
	c.offends(now, limits.SourceOffences+1)
	if !c.barred(now+limits.SourcePeriod-1) || c.barred(now+limits.SourcePeriod) {
		t.Errorf("within the period %v, behind it %v", c.barred(now+limits.SourcePeriod-1), c.barred(now+limits.SourcePeriod))
	}
	if all.of(netip.MustParseAddr("192.0.2.9")) != c {
		t.Error("it is not known any more")
	}
	now += limits.SourcePeriod
	if c.offends(now, 1); c.barred(now) {
		t.Error("one offence is too much")
	}
	nobody := all.of(netip.Addr{})
	nobody.asks()
	nobody.offends(now, 1000)
	if nobody != nil || nobody.barred(now) || nobody.exceeds(now) {
		t.Error("nobody is counted")
	}
}

// Requests that are given up are summed over the connections of a client: one that resets
// fewer streams of each than a connection may is not taken in any more.
func TestResetsOfAClientAreSummed(t *testing.T) {
	h := newEcho()
	w := newWeb(t, h)
	w.SetProxies([]netip.Prefix{netip.MustParsePrefix("127.0.0.1/32")})
	defer close(h.release)
	const each = limits.HTTPOffences / 2
	few := append([]byte(h2.Preface), frame(4, 0)...)
	few[len(few)-1] = 0
	for id := range uint32(each) {
		path := []byte("/dns-query?dns=AAAAAAAAAAAAAAAAdw") // 'w': it waits
		head := append([]byte{0x82, 0x86, 0x04, byte(len(path))}, append(path, 0x41, 1, 'x')...)
		for _, b := range [][]byte{frame(frameHeaders, 5, head...), frame(frameReset, 0, 0, 0, 0, 8)} {
			binary.BigEndian.PutUint32(b[5:], 2*id+1)
			few = append(few, b...)
		}
	}
	conns := 0
	for ; conns < 100 && w.limits.Get(limits.Offences) == 0; conns++ {
		c := asClient(t, w.clear, "192.0.2.9")
		_, _ = c.Write(few)
		time.Sleep(20 * time.Millisecond)
		c.Close()
	}
	if want := limits.SourceOffences / each; conns < want || conns == 100 {
		t.Errorf("it was refused after %d connections, want %d or a few more", conns, want)
	}
	if !answersHTTP(asClient(t, w.clear, "192.0.2.10")) {
		t.Error("another client is not served")
	}
}

// answersHTTP tells whether a request on a connection is answered.
func answersHTTP(c net.Conn) bool {
	_ = c.SetDeadline(time.Now().Add(20 * time.Second))
	fmt.Fprintf(c, "GET %s HTTP/1.1\r\nHost: x\r\n\r\n", getURL("", ask(1, 'f')))
	b := make([]byte, 15)
	_, err := io.ReadFull(c, b)
	return err == nil && string(b) == "HTTP/1.1 200 OK"
}

// Package doq is told which clients over QUIC it refuses before their handshakes; a client of
// this machine is none, since loopback is not counted.
func TestABarredClientOverQUICIsRefused(t *testing.T) {
	all, at, conf := serveQUIC(t, newEcho(), 1)
	s := all[0]
	if _, err := askQUIC(quicClient(t, at, conf), ask(0, 'f')); err != nil {
		t.Fatal(err)
	}
	o := s.quicOptions()
	client := o.Client(netip.MustParseAddr("192.0.2.9"))
	for range limits.SourceOffences + 1 {
		o.Failed(client)
	}
	for range limits.SourceOffences + 1 {
		o.Failed(o.Client(at.Addr()))
	}
	if !o.Barred(client) || o.Barred(o.Client(netip.MustParseAddr("192.0.2.10"))) || o.Barred(o.Client(at.Addr())) {
		t.Error("not the right ones are barred")
	}
	c := &connection{source: s.sources.of(client)}
	c.key, c.connHandler = client, &mirror{nc: pipeEnd(t)}
	if _, ok := s.site(c); ok {
		t.Error("it is taken in")
	}
	if _, err := askQUIC(quicClient(t, at, conf), ask(0, 'f')); err != nil {
		t.Errorf("who is not barred: %v", err)
	}
	if s.tls.failed.Load() != 2*(limits.SourceOffences+1) || s.protocols[transport.QUIC].datagrams == nil {
		t.Error("failures are not counted")
	}
}

// Where descriptors are short, nobody loses a connection for a client that is barred, has
// taken too many places of its own, or takes another one of these.
func TestNobodyGivesADescriptorForARefusedClient(t *testing.T) {
	s := serve(t, newEcho())
	now := clock.NewFake(time.Unix(1e9, 0))
	s.clock = &now.Clock
	may := limits.DefaultClients()
	may.ConnsPerClient = 2
	s.SetClientLimits(may)
	made := func(client string) (*connection, accepted) {
		nc := pipeEnd(t)
		c := newMirror(s, nc)
		c.key = netip.MustParseAddr(client)
		c.source = s.sources.of(c.key)
		return c, nc
	}
	for i := range 5 {
		c, _ := made(fmt.Sprintf("192.0.2.%d", 100+i))
		s.site(c)
	}
	const barred, many = "192.0.2.9", "192.0.2.10"
	s.sources.of(netip.MustParseAddr(barred)).offends(s.clock.Mono(), limits.SourceOffences+1)
	for range may.ConnsPerClient {
		c, _ := made(many)
		s.site(c)
	}
	s.maxFiles.Store(10) // any descriptor is among the last
	all := s.conns.len()
	for range 10 {
		c, nc := made(barred)
		if who, ok := s.enter(c, nc); ok || who != own {
			t.Errorf("a barred client entered %v, and %d pays", ok, who)
		}
		if err := nc.SetDeadline(time.Time{}); !errors.Is(err, net.ErrClosed) {
			t.Errorf("the connection of a barred client is left open: %v", err)
		}
	}
	in := 0
	for range 2 * limits.OwnPerSecond {
		who, ok := s.enter(made(many))
		if who != own {
			t.Errorf("for the places of a client %d pays", who)
		}
		if ok {
			in++
		}
	}
	if in == 0 || in == 2*limits.OwnPerSecond {
		t.Errorf("%d connections took the places of their client's others", in)
	}
	if n := s.conns.len(); n != all {
		t.Errorf("%d connections are left, want %d", n, all)
	}
	if who, ok := s.enter(made("192.0.2.11")); who != others || !ok || s.conns.len() != all {
		t.Errorf("another client entered %v, %d pays, and %d connections are left, want %d", ok, who, s.conns.len(), all)
	}
}
