package listen

import (
	"bytes"
	"encoding/binary"
	"io"
	"testing"
	"time"

	"kresd/internal/limits"
)

// frame is one of HTTP/2 (RFC 9113, section 4.1).
func frame(kind, flags byte, payload ...byte) []byte {
	b := binary.BigEndian.AppendUint32(nil, uint32(len(payload))<<8|uint32(kind))
	return append(append(b, flags, 0, 0, 0, 1), payload...)
}

// next is a frame on the next stream.
func next(b []byte) []byte {
	b = bytes.Clone(b)
	b[frameHeadLen-1] += 2
	return b
}

// passes tells how many times a connection may send these frames, up to most, each time
// on two further streams.
func passes(what []byte, most int) (n int) {
	f := &frameCount{}
	for ; n < most && f.pass(what); n++ {
		for b := what; len(b) > 0; b = b[frameHeadLen+int(binary.BigEndian.Uint32(b)>>8):] {
			stream := b[5:frameHeadLen]
			binary.BigEndian.PutUint32(stream, binary.BigEndian.Uint32(stream)+4)
		}
	}
	return n
}

// Frames that ask nothing, and streams that are given up, end a connection soon; what
// clients do does not.
func TestFramesThatAskNothingEndAConnection(t *testing.T) {
	const many = 100_000
	asks, resets := frame(frameHeaders, flagEndStream, 1, 2, 3), frame(frameReset, 0, 0, 0, 0, 8)
	join := func(list ...[]byte) (all []byte) {
		for _, b := range list {
			all = append(all, b...)
		}
		return all
	}
	for name, c := range map[string]struct {
		sent []byte
		want int
	}{
		"streams that are reset":                  {join(asks, resets), limits.HTTPOffences},
		"streams with trailers that are reset":    {join(frame(frameHeaders, 0, 1), asks, resets), limits.HTTPOffences},
		"settings":                                {frame(4, 0), limits.HTTPFrames},
		"PINGs":                                   {frame(6, 0, make([]byte, 8)...), limits.HTTPFrames},
		"windows":                                 {frame(8, 0, 0, 0, 0, 1), limits.HTTPFrames},
		"priorities":                              {frame(2, 0, 0, 0, 0, 0, 1), limits.HTTPFrames},
		"pieces of a head":                        {frame(9, 0, 1), limits.HTTPFrames},
		"empty bodies":                            {frame(frameData, 0), limits.HTTPFrames},
		"bodies by the octet":                     {frame(frameData, 0, 1), limits.HTTPFrames},
		"a type that nobody knows":                {frame(200, 0), limits.HTTPFrames},
		"requests":                                {asks, many},
		"requests with a body":                    {join(frame(frameHeaders, 0, 1), frame(frameData, flagEndStream, 1)), many},
		"requests with what clients send beside":  {join(asks, frame(8, 0, 0, 0, 0, 1), frame(6, 0, make([]byte, 8)...), frame(2, 0, 0, 0, 0, 0, 1)), many},
		"two requests of which one is given up":   {join(asks, next(asks), resets), many},
		"two requests of which both are given up": {join(asks, next(asks), resets, next(resets)), limits.HTTPOffences / 2},
	} {
		if got := passes(c.sent, many); got != c.want {
			t.Errorf("%s: passed %d times, want %d", name, got, c.want)
		}
	}
}

// However octets are cut into pieces, the frames are the same.
func FuzzFramesOfHTTP2(f *testing.F) {
	f.Add(append(frame(1, 1, 1, 2, 3), frame(3, 0, 0, 0, 0, 8)...), byte(3))
	f.Add([]byte(http2Preface), byte(1))
	f.Fuzz(func(t *testing.T, b []byte, piece byte) {
		whole, cut := &frameCount{}, &frameCount{}
		want, got := whole.pass(b), true
		for rest := b; got && len(rest) > 0; {
			n := min(int(piece)+1, len(rest))
			got = cut.pass(rest[:n])
			rest = rest[n:]
		}
		if got != want || want && *whole != *cut {
			t.Fatalf("whole %v %+v, in pieces %v %+v", want, whole, got, cut)
		}
	})
}

// A connection that resets its streams ends before more of what it sent is read, and a
// client of the same address is served.
func TestARapidResetEndsTheConnection(t *testing.T) {
	w := newWeb(t, newEcho())
	c := tcpClient(t, w.clear)
	sent := append([]byte(http2Preface), frame(4, 0)...)
	sent[len(sent)-1] = 0 // settings are of the connection
	for id := range uint32(1000) {
		head := frame(frameHeaders, 5, 0x82, 0x86, 0x84, 0x41, 1, 'x') // GET http / x
		reset := frame(frameReset, 0, 0, 0, 0, 8)
		for _, b := range [][]byte{head, reset} {
			binary.BigEndian.PutUint32(b[5:], 2*id+1)
			sent = append(sent, b...)
		}
	}
	_ = c.SetDeadline(time.Now().Add(20 * time.Second))
	_, _ = c.Write(sent) // of which the end may find nobody any more
	_, _ = io.Copy(io.Discard, c)
	eventually(t, "the connection has ended", func() bool { return w.Stats().Conns == 0 })
	if n := w.Stats().HTTPRequests; n > limits.HTTPOffences+1 || w.limits.Get(limits.HTTPFlood) != 1 {
		t.Errorf("%d requests were served, want %d; counted %d times", n, limits.HTTPOffences+1, w.limits.Get(limits.HTTPFlood))
	}
	good, base := w.client(true, false)
	if status, body, _ := fetch(good.Get(getURL(base, ask(1, 'f')))); status != 200 {
		t.Errorf("another connection: %d %s", status, body)
	}
}
