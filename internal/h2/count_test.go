package h2

import (
	"bytes"
	"testing"

	"kresd/internal/limits"
)

// sent is a frame on the first stream.
func sent(kind, flags byte, payload ...byte) []byte { return appendFrame(nil, kind, flags, 1, payload) }

// next is a frame on the next stream.
func next(b []byte) []byte {
	b = bytes.Clone(b)
	b[frameHeadLen-1] += 2
	return b
}

// passes tells how many times a connection may send these frames, up to most, each time
// on two further streams.
func passes(what []byte, most int) (n int) {
	c := &frameCount{}
	for ; n < most; n++ {
		for rest := what; len(rest) > 0; {
			f, size, _ := nextFrame(rest)
			f.stream += uint32(4 * n)
			if !c.pass(&f) {
				return n
			}
			rest = rest[size:]
		}
	}
	return n
}

// Frames that ask nothing, and streams that are given up, end a connection soon; what
// clients do does not.
func TestFramesThatAskNothingEndAConnection(t *testing.T) {
	const many = 100_000
	asks, resets := sent(frameHeaders, flagEndStream, 1, 2, 3), sent(frameReset, 0, 0, 0, 0, 8)
	join := func(list ...[]byte) (all []byte) {
		for _, b := range list {
			all = append(all, b...)
		}
		return all
	}
	for name, c := range map[string]struct {
		frames []byte
		want   int
	}{
		"streams that are reset":                  {join(asks, resets), limits.HTTPOffences},
		"streams with trailers that are reset":    {join(sent(frameHeaders, 0, 1), asks, resets), limits.HTTPOffences},
		"settings":                                {sent(4, 0), limits.HTTPFrames},
		"PINGs":                                   {sent(6, 0, make([]byte, 8)...), limits.HTTPFrames},
		"windows":                                 {sent(8, 0, 0, 0, 0, 1), limits.HTTPFrames},
		"priorities":                              {sent(2, 0, 0, 0, 0, 0, 1), limits.HTTPFrames},
		"pieces of a head":                        {sent(9, 0, 1), limits.HTTPFrames},
		"empty bodies":                            {sent(frameData, 0), limits.HTTPFrames},
		"bodies by the octet":                     {sent(frameData, 0, 1), limits.HTTPFrames},
		"a type that nobody knows":                {sent(200, 0), limits.HTTPFrames},
		"requests":                                {asks, many},
		"requests with a body":                    {join(sent(frameHeaders, 0, 1), sent(frameData, flagEndStream, 1)), many},
		"requests with what clients send beside":  {join(asks, sent(8, 0, 0, 0, 0, 1), sent(6, 0, make([]byte, 8)...), sent(2, 0, 0, 0, 0, 0, 1)), many},
		"two requests of which one is given up":   {join(asks, next(asks), resets), many},
		"two requests of which both are given up": {join(asks, next(asks), resets, next(resets)), limits.HTTPOffences / 2},
	} {
		if got := passes(c.frames, many); got != c.want {
			t.Errorf("%s: passed %d times, want %d", name, got, c.want)
		}
	}
}
