package h2

import (
	"errors"

	"kresd/internal/limits"
)

// Floods by HTTP/2.
//
// Each frame costs some work and most ask nothing: streams that are opened and reset
// (CVE-2023-44487), settings, PINGs, priorities, windows, empty bodies and heads in pieces
// without end (CVE-2019-9512 to 9518, CVE-2024-27316). So frames are counted before they are
// looked at, and a connection that has gone too far ends there.

// ErrFlood ends a connection on which much more was sent than asked.
var ErrFlood = errors.New("HTTP/2: more frames than requests have use for")

// smallData is how many octets of a body a client need never send less of at a time.
const smallData = 128

// A frameCount counts the frames of a connection.
type frameCount struct {
	newest uint32 // stream
	asked  int    // streams that were opened
	resets int
	others int // frames that ask nothing
}

// pass counts a frame. It is false where the connection has gone too far.
func (n *frameCount) pass(f *frame) bool {
	switch {
	case f.kind == frameHeaders && f.stream > n.newest: // on an older one they are trailers
		n.newest = f.stream
		n.asked++
	case f.kind == frameReset:
		n.resets++
	case f.kind != frameData || len(f.payload) < smallData && !f.has(flagEndStream):
		n.others++
	}
	return (n.resets <= limits.HTTPOffences || 2*n.resets <= n.asked) &&
		n.others <= limits.HTTPFrames+n.asked*limits.HTTPFramesPerRequest
}
