// Package ipc carries framed messages between processes of one group.
//
// A frame is its length in four octets, big-endian, and as many octets. The
// supervisor and its workers exchange small JSON messages over a socket pair;
// map() sends expressions and results in the same frames over the control
// sockets. The far end is a process of ours, but it may be dying, so every
// length is checked before memory is spent on it.
//
// What the messages lead to is decided by supervisor and worker; nothing here
// knows DNS or Lua.
package ipc

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
)

// ErrTooLong is a frame above the limit that its reader or writer set.
var ErrTooLong = errors.New("frame is too long")

// WriteFrame writes p as one frame with one Write, so that a frame from one
// goroutine is never cut by another's. Frames longer than max are refused
// before anything is written.
func WriteFrame(w io.Writer, p []byte, max int) error {
	if len(p) > max {
		return fmt.Errorf("%w: %d octets, at most %d", ErrTooLong, len(p), max)
	}
	b := make([]byte, 4, 4+len(p))
	binary.BigEndian.PutUint32(b, uint32(len(p)))
	_, err := w.Write(append(b, p...))
	return err
}

// chunk is how much memory is spent on a frame before its octets have come:
// a claimed length alone costs nobody more than this.
const chunk = 64 << 10

// ReadFrame reads one frame of at most max octets. At the end of the stream
// between two frames the error is io.EOF, inside a frame
// io.ErrUnexpectedEOF.
func ReadFrame(r io.Reader, max int) ([]byte, error) {
	var head [4]byte
	if _, err := io.ReadFull(r, head[:]); err != nil {
		return nil, err
	}
	n := int64(binary.BigEndian.Uint32(head[:]))
	if n > int64(max) {
		return nil, fmt.Errorf("%w: %d octets, at most %d", ErrTooLong, n, max)
	}
	p := make([]byte, 0, min(n, chunk))
	for int64(len(p)) < n {
		have := len(p)
		next := int(min(n-int64(have), chunk))
		p = append(p, make([]byte, next)...)
		if _, err := io.ReadFull(r, p[have:]); err != nil {
			if errors.Is(err, io.EOF) {
				err = io.ErrUnexpectedEOF
			}
			return nil, err
		}
	}
	return p, nil
}
