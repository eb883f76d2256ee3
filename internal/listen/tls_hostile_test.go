package listen

import (
	"bytes"
	"crypto/tls"
	"encoding/binary"
	"net"
	"net/netip"
	"slices"
	"testing"
	"time"

	"kresd/internal/limits"
	"kresd/internal/transport"
)

// A client that reads nothing of a long chain of certificates has had its turn: the
// others' handshakes are computed while it is written to.
func TestAClientThatNeverReadsHoldsNoTurn(t *testing.T) {
	server, client := encrypted(t)
	long := server.Certificates[0]
	for range 2000 { // certificates of no use, about a megaoctet
		long.Certificate = append(slices.Clip(long.Certificate), long.Certificate[0])
	}
	server.GetCertificate = func(hello *tls.ClientHelloInfo) (*tls.Certificate, error) {
		if hello.ServerName == "long.example" {
			return &long, nil
		}
		return &server.Certificates[0], nil
	}
	s := serveKinds(t, newEcho(), server)
	if err := s.Listen(netip.MustParseAddrPort("127.0.0.1:0"), only(transport.TLS)); err != nil {
		t.Fatal(err)
	}
	at := s.Endpoints()[0].Addr
	wants := client.Clone()
	wants.ServerName = "long.example"
	hello := helloOf(t, wants)
	const deaf = 3
	for range deaf {
		c := tcpClient(t, at)
		_ = c.SetReadBuffer(4096)
		if _, err := c.Write(hello); err != nil {
			t.Fatal(err)
		}
	}
	eventually(t, "all are written to, and nobody queues", func() bool {
		st := s.Stats()
		return st.HandshakesOpen == deaf && st.HandshakesQueued == 0 && len(s.turns.places) == 0
	})
	c := tlsClient(t, at, client)
	sendFrames(t, c, ask(1, 'f'))
	readFrame(t, c)
	eventually(t, "they are given up", func() bool { st := s.Stats(); return st.HandshakesFailed == deaf && st.HandshakesOpen == 0 })
}

// withEarlyData is a ClientHello with the extension early_data (RFC 8446, section
// 4.2.10).
func withEarlyData(hello []byte) []byte {
	hello = bytes.Clone(hello)
	at := recordHeader + 4 + 2 + 32 // the session
	at += 1 + int(hello[at])
	at += 2 + int(binary.BigEndian.Uint16(hello[at:])) // the ciphers
	at += 1 + int(hello[at])                           // the compressions
	more := []byte{0, 42, 0, 0}
	for _, length := range []int{3, recordHeader + 2, at} { // of the record, of the message (the lower half), of the extensions
		binary.BigEndian.PutUint16(hello[length:], binary.BigEndian.Uint16(hello[length:])+uint16(len(more)))
	}
	return append(hello, more...)
}

// hostileHandshakes are ways of beginning a connection that must end soon, and what
// each sends. hello is what a good client would say.
func hostileHandshakes(hello []byte) map[string]func(c *net.TCPConn) {
	send := func(octets ...[]byte) func(*net.TCPConn) {
		return func(c *net.TCPConn) { _, _ = c.Write(bytes.Join(octets, nil)) }
	}
	handshake := func(n int) []byte {
		return append([]byte{tlsHandshake, 3, 1, byte(n >> 8), byte(n)}, make([]byte, n)...)
	}
	giant := handshake(1 << 14)
	copy(giant[recordHeader:], []byte{1, 0xff, 0xff, 0xff}) // a ClientHello of 16 MiB
	return map[string]func(*net.TCPConn){
		"says nothing": func(*net.TCPConn) {},
		"an octet now and then": func(c *net.TCPConn) {
			for _, octet := range hello[:len(hello)-1] {
				if _, err := c.Write([]byte{octet}); err != nil {
					return
				}
				time.Sleep(10 * time.Millisecond)
			}
		},
		"all but the last octet":       send(hello[:len(hello)-1]),
		"nothing behind the hello":     send(hello),
		"half closed behind the hello": func(c *net.TCPConn) { send(hello)(c); _ = c.CloseWrite() },
		"a giant hello":                send(giant, giant, giant, giant, giant),
		"records without content":      send(bytes.Repeat(handshake(0), 1000)),
		"warnings without end":         send(bytes.Repeat([]byte{21, 3, 1, 0, 2, 1, 0}, 1000)),
		"a record that is too long":    send([]byte{tlsHandshake, 3, 1, 0xff, 0xff}, make([]byte, 0xffff)),
		"TLS 1.0":                      send([]byte{tlsHandshake, 3, 1, 0, 45, 1, 0, 0, 41, 3, 1}, make([]byte, 32), []byte{0, 0, 2, 0, 47, 1, 0}),
		"SSL 2":                        send([]byte{0x80, 46, 1, 0, 2, 0, 21, 0, 0, 0, 16}, make([]byte, 37)),
		"HTTP":                         send([]byte("GET /dns-query?dns=AAABAAABAAAAAAAAA3d3dwdleGFtcGxlA2NvbQAAAQAB HTTP/1.1\r\nHost: a\r\n\r\n")),
		"DNS in the clear":             send(appendFrame(nil, ask(1, 'f'))),
		"a header of a proxy":          send(OwnHeader(), hello),
		"data before the end":          send(hello, record(40), record(40)),
		"early data":                   send(withEarlyData(hello), record(40)),
	}
}

// Who does not do a handshake as it must be is given its time and no more, gets no
// answer, and is in nobody's way.
func TestHostileHandshakesAreBounded(t *testing.T) {
	s, at, conf := serveTLS(t, newEcho())
	const most = time.Second
	s.SetTLSHandshake(most)
	cases := hostileHandshakes(helloOf(t, conf))
	type end struct {
		name string
		took time.Duration
		got  []byte
	}
	ends := make(chan end, len(cases))
	for name, attack := range cases {
		c := tcpClient(t, at)
		go func() {
			begun := time.Now()
			go attack(c)
			var got bytes.Buffer
			_, _ = got.ReadFrom(c) // until the server ends it
			ends <- end{name, time.Since(begun), got.Bytes()}
		}()
	}
	c := tlsClient(t, at, conf)
	for range len(cases) {
		sendFrames(t, c, ask(1, 'f'))
		readFrame(t, c)
		e := <-ends
		if e.took > 10*most { // of a machine that is busy otherwise
			t.Errorf("%s: it took %v", e.name, e.took)
		}
		if len(e.got) > 0 && e.got[0] != tlsHandshake && e.got[0] != 21 { // 21: an alert
			t.Errorf("%s: answered with % x", e.name, e.got)
		}
	}
	eventually(t, "all are gone and counted", func() bool {
		st := s.Stats()
		return st.Conns == 1 && st.HandshakesFailed == uint64(len(cases)) && st.HandshakesOpen == 0 && st.HandshakesQueued == 0
	})
	if n := s.limits.Get(limits.TLSTime); n < 3 || n > uint64(len(cases))/2 {
		t.Errorf("%d handshakes took too long", n)
	}
}

// A client that has asked and closed its side is answered.
func TestAHalfClosedConnectionByTLSIsAnswered(t *testing.T) {
	_, at, conf := serveTLS(t, newEcho())
	for _, how := range []byte("fd") {
		raw := tcpClient(t, at)
		c := tls.Client(raw, conf)
		sendFrames(t, c, ask(7, how))
		if err := c.CloseWrite(); err != nil {
			t.Fatal(err)
		}
		_ = raw.CloseWrite()
		if got := id(readFrame(t, c)); got != 7 {
			t.Errorf("%c: answer has ID %d", how, got)
		}
	}
}

// acceptedEnd is the server's end of a connection whose client says nothing, and stays.
func acceptedEnd(t *testing.T) accepted {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	tcpClient(t, plainAddr(ln.Addr()))
	c, err := ln.Accept()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c.(accepted)
}

// Connections that end while they wait for their handshake's turn leave the queue at once:
// those that have to give way, and those whose clients have gone, when their time is over.
func TestConnectionsThatEndWhileTheyQueueLeaveTheQueue(t *testing.T) {
	s, at, conf := serveTLS(t, newEcho())
	s.turns.places <- struct{}{} // somebody else's turn, which does not end
	hello := helloOf(t, conf)
	come := func(n int) {
		for range n {
			c := tcpClient(t, at)
			if _, err := c.Write(hello); err != nil {
				t.Fatal(err)
			}
			eventually(t, "it queues", func() bool { return s.Stats().Conns == s.Stats().HandshakesQueued })
			c.Close()
		}
	}
	empty := func() bool {
		st := s.Stats()
		return st.Conns == 0 && st.HandshakesQueued == 0 && st.HandshakesOpen == 0
	}
	const n = 20
	s.SetTLSHandshake(time.Hour)
	come(n)
	eventually(t, "all queue", func() bool { return s.Stats().HandshakesQueued == n })
	for c := s.conns.shed(); c != nil; c = s.conns.shed() {
		c.kill()
	}
	eventually(t, "those that gave way have left", empty)
	s.SetTLSHandshake(20 * time.Millisecond)
	come(n)
	eventually(t, "those whose time is over have left", func() bool { return empty() && s.Stats().HandshakesFailed == 2*n })
	<-s.turns.places
	s.SetTLSHandshake(time.Hour)
	c := tlsClient(t, at, conf)
	sendFrames(t, c, ask(1, 'f'))
	readFrame(t, c)
	if len(s.turns.places) != 0 {
		t.Error("a turn is held that nobody has")
	}
	if got := s.limits.Get(limits.TLSTime); got != 0 {
		t.Errorf("%d clients are said to have taken too long", got)
	}
}

// A connection that is killed before its handshake begins does not wait for its turn.
func TestAKilledConnectionDoesNotQueue(t *testing.T) {
	s, _, _ := serveTLS(t, newEcho())
	s.turns.places <- struct{}{}
	defer func() { <-s.turns.places }()
	s.SetTLSHandshake(time.Hour)
	c := newTLS(s, acceptedEnd(t))
	c.kill()
	c.run()
}

// A handshake whose time went by while others had their turns is no offence of its client;
// that of a client that says nothing is.
func TestTimeInTheQueueIsNoOffence(t *testing.T) {
	s, _, _ := serveTLS(t, newEcho())
	source := s.sources.of(netip.MustParseAddr("192.0.2.9"))
	const most = 100 * time.Millisecond
	s.SetTLSHandshake(most)
	silent := func(queues time.Duration) (offences int64) {
		before := source.offences
		c := newTLS(s, acceptedEnd(t))
		c.source = source
		if queues > 0 {
			s.turns.places <- struct{}{}
			time.AfterFunc(queues, func() { <-s.turns.places })
		}
		c.run()
		c.kill()
		return source.offences - before
	}
	for queues, want := range map[time.Duration]int64{0: 1, most * 3 / 4: 0, 2 * most: 0} {
		if got := silent(queues); got != want {
			t.Errorf("%v in the queue: %d offences, want %d", queues, got, want)
		}
		eventually(t, "the turn has ended", func() bool { return len(s.turns.places) == 0 })
	}
	if got := s.limits.Get(limits.TLSTime); got != 1 {
		t.Errorf("%d clients are said to have taken too long, want 1", got)
	}
}
