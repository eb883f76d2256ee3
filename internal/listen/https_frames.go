package listen

import (
	"crypto/tls"
	"encoding/binary"
	"net"

	"kresd/internal/limits"
)

// Floods by HTTP/2.
//
// What reads the frames of a connection does some work for each, and tells nobody of
// most: of streams that are opened and reset (CVE-2023-44487), of settings, PINGs,
// priorities, windows, empty bodies and heads in pieces without end (CVE-2019-9512 to
// 9518, CVE-2024-27316). So the heads of frames are looked at before, and a connection
// that has gone too far ends there: what it has sent behind is not read any more.

// The types of frames that are told apart (RFC 9113, section 6).
const (
	frameData    = 0
	frameHeaders = 1
	frameReset   = 3

	frameHeadLen  = 9
	flagEndStream = 1
	smallData     = 128 // octets of a body, of which a client need not send less at a time
)

// http2Preface is what a client of HTTP/2 begins with (RFC 9113, section 3.4).
const http2Preface = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"

// A frameCount looks at the frames of a connection as they come by.
type frameCount struct {
	skip   int // octets until the next head of a frame
	head   [frameHeadLen]byte
	have   int    // octets of head
	newest uint32 // stream
	asked  int    // streams that were opened
	resets int
	others int // frames that ask nothing
}

// pass looks at what comes next. It is false where the connection has gone too far.
func (f *frameCount) pass(b []byte) bool {
	for len(b) > 0 {
		if f.skip > 0 {
			n := min(f.skip, len(b))
			f.skip -= n
			b = b[n:]
			continue
		}
		n := copy(f.head[f.have:], b)
		f.have += n
		b = b[n:]
		if f.have < frameHeadLen {
			return true
		}
		f.have = 0
		if !f.count() {
			return false
		}
	}
	return true
}

// count counts a frame by its head.
func (f *frameCount) count() bool {
	kind, flags := f.head[3], f.head[4]
	stream := binary.BigEndian.Uint32(f.head[5:]) &^ (1 << 31)
	f.skip = int(binary.BigEndian.Uint32(f.head[:]) >> 8)
	switch {
	case kind == frameHeaders && stream > f.newest: // on an older one they are trailers
		f.newest = stream
		f.asked++
	case kind == frameReset:
		f.resets++
	case kind != frameData || f.skip < smallData && flags&flagEndStream == 0:
		f.others++
	}
	return (f.resets <= limits.HTTPOffences || 2*f.resets <= f.asked) &&
		f.others <= limits.HTTPFrames+f.asked*limits.HTTPFramesPerRequest
}

// frames is a connection by HTTP/2 whose frames are counted.
type frames struct {
	net.Conn
	count   frameCount
	flooded func() // is told that the connection ends as a flood
}

// Read implements net.Conn.
func (f *frames) Read(b []byte) (int, error) {
	n, err := f.Conn.Read(b)
	if !f.count.pass(b[:n]) {
		f.flooded()
		f.Close()
		return 0, net.ErrClosed
	}
	return n, err
}

// tlsFrames are frames that came encrypted.
type tlsFrames struct {
	frames
	tls *tls.Conn
}

// ConnectionState is what the handshake came to, for whoever serves the connection.
func (f *tlsFrames) ConnectionState() tls.ConnectionState { return f.tls.ConnectionState() }
