package upstream

import (
	"crypto/tls"
	"encoding/binary"
	"io"
	"net"
	"sync"
	"testing"

	"kresd/internal/doh"
	"kresd/internal/proctest"
	"kresd/internal/transport"
	"kresd/internal/zonecut"
)

// Kinds of frames of HTTP/2 (RFC 9113, section 6), and the flags that matter here.
const (
	frameData, frameHeaders, frameReset, frameSettings, frameGoAway = 0, 1, 3, 4, 7

	endStream, endHeaders, settingsAck = 1, 4, 1
)

// frames is the server's side of a connection by HTTP/2 that does what no library's would.
type frames struct {
	net.Conn
	mu sync.Mutex
}

// framedHTTPS lets play answer each question, which came on a stream. It is given the
// settings that a connection begins with.
func framedHTTPS(t testing.TB, cert *proctest.Certificate, settings []byte, play func(c *frames, stream uint32, q []byte)) *testServer {
	t.Helper()
	config := &tls.Config{Certificates: []tls.Certificate{cert.TLS}, NextProtos: []string{transport.ALPNHTTP2}}
	return (&testServer{onTCP: func(s *testServer, raw net.Conn) {
		c := &frames{Conn: tls.Server(raw, config)}
		if _, err := io.CopyN(io.Discard, c, int64(len("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"))); err != nil {
			return
		}
		c.put(frameSettings, 0, 0, settings)
		var head [9]byte
		for {
			if _, err := io.ReadFull(c, head[:]); err != nil {
				return
			}
			payload := make([]byte, binary.BigEndian.Uint32(head[:4])>>8)
			if _, err := io.ReadFull(c, payload); err != nil {
				return
			}
			switch stream := binary.BigEndian.Uint32(head[5:]); head[3] {
			case frameSettings:
				if head[4]&settingsAck == 0 {
					c.put(frameSettings, settingsAck, 0, nil)
				}
			case frameData:
				if len(payload) > 0 {
					s.tcpQueries.Add(1)
					play(c, stream, payload)
				}
			}
		}
	}}).start(t, "127.0.0.1")
}

// put writes a frame.
func (c *frames) put(kind, flags byte, stream uint32, payload []byte) {
	c.mu.Lock()
	defer c.mu.Unlock()
	b := binary.BigEndian.AppendUint32(nil, uint32(len(payload))<<8|uint32(kind))
	b = append(b, flags)
	b = binary.BigEndian.AppendUint32(b, stream)
	_, _ = c.Write(append(b, payload...))
}

// answer writes a response with a message.
func (c *frames) answer(stream uint32, msg []byte) {
	c.begin(stream)
	c.put(frameData, endStream, stream, msg)
}

// begin writes the head of a response: its status 200, by its number in a table, and its
// type, by that of its name (RFC 7541, appendix A).
func (c *frames) begin(stream uint32) {
	c.put(frameHeaders, endHeaders, stream, append([]byte{0x88, 0x0f, 31 - 15, byte(len(doh.MediaType))}, doh.MediaType...))
}

// numbers is the payload of frames that have some.
func numbers(list ...uint32) (b []byte) {
	for _, n := range list {
		b = binary.BigEndian.AppendUint32(b, n)
	}
	return b
}

// mostStreams is the setting of how many questions a server takes at a time.
func mostStreams(n uint32) []byte { return append([]byte{0, 3}, numbers(n)...) }

// httpsPeer is whom to ask by HTTPS.
func httpsPeer(t testing.TB, cert *proctest.Certificate) zonecut.Peer {
	t.Helper()
	return mustPeer(t, zonecut.PeerConfig{Protocol: zonecut.DoH, Path: "/q", Pins: []zonecut.Pin{cert.Hash}})
}
