package listen

import (
	"crypto/tls"
	"encoding/binary"
	"io"
	"net"
	"net/netip"
	"runtime"
	"testing"
	"time"

	"kresd/internal/h2"
	"kresd/internal/transport"
)

// A connection that has asked and is idle waits so far up its stack that the collector takes
// back what answering has needed of it: what it keeps is half of a connection's that waits
// within package tls.
func TestAnIdleConnectionKeepsASmallStack(t *testing.T) {
	if underRace {
		t.Skip("the race detector has functions need more of a stack")
	}
	const all, most = 200, 6 << 10
	msg := ask(1, 'f')
	begin := append([]byte(h2.Preface), onStream(0, frame(frameSettings, 0))...)
	for kind, question := range map[transport.Kind][]byte{
		transport.TLS:   append(binary.BigEndian.AppendUint16(nil, uint16(len(msg))), msg...),
		transport.HTTPS: append(begin, frame(frameHeaders, flagsWhole, requestHead(msg)...)...),
	} {
		server, client := encrypted(t)
		s := serve(t, newEcho())
		s.tlsConfig = offering(server)
		s.SetTCPIdle(10 * time.Minute) // an end would be a small stack, too
		if err := s.Listen(netip.MustParseAddrPort("127.0.0.1:0"), only(kind)); err != nil {
			t.Fatal(err)
		}
		config := client.Clone()
		config.NextProtos = map[transport.Kind][]string{transport.HTTPS: {transport.ALPNHTTP2}}[kind]
		comes := func() {
			c := tls.Client(tcpClient(t, s.Endpoints()[0].Addr), config)
			_ = c.SetDeadline(time.Now().Add(time.Minute))
			if _, err := c.Write(question); err != nil {
				t.Fatal(err)
			}
			if err := hears(c, kind); err != nil {
				t.Fatalf("%s: %v", kind, err)
			}
		}
		for range 20 { // what all have in common
			comes()
		}
		before := stacks()
		for range all {
			comes()
		}
		var each int
		eventually(t, "the stacks are small", func() bool {
			each = (stacks() - before) / all
			return each <= most
		})
		if n := s.Stats().Conns; n != all+20 {
			t.Fatalf("%s: %d of %d connections are open", kind, n, all+20)
		}
		t.Logf("%s: the stack of an idle connection has %d octets", kind, each)
	}
}

// hears reads until an answer has come.
func hears(c net.Conn, kind transport.Kind) error {
	if kind == transport.TLS {
		_, err := io.ReadFull(c, make([]byte, 2+12))
		return err
	}
	const data, endStream = 0, 1
	head := make([]byte, frameHeadLen)
	for {
		if _, err := io.ReadFull(c, head); err != nil {
			return err
		}
		n := int(binary.BigEndian.Uint32(head) >> 8)
		if _, err := io.ReadFull(c, make([]byte, n)); err != nil || head[3] == data && head[4]&endStream != 0 {
			return err
		}
	}
}

// stacks is how much memory all stacks have, when what is not needed of them is given back.
func stacks() int {
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int(m.StackInuse)
}
