package ipc

import (
	"errors"
	"io"
	"net"
	"os"
	"time"

	"golang.org/x/sys/unix"

	"kresd/internal/limits"
)

// Descriptors are open file descriptors with one owner. They are plain numbers
// because an os.File may change a descriptor's blocking mode, which all copies
// of a socket share, those of its first owner too.
type Descriptors []int

// Close closes all of them.
func (d Descriptors) Close() {
	for _, fd := range d {
		unix.Close(fd)
	}
}

// passing writes a frame and has the descriptors travel with its first octet.
type passing struct {
	c   *net.UnixConn
	fds Descriptors
}

// Write implements io.Writer.
func (p *passing) Write(b []byte) (int, error) {
	if len(p.fds) == 0 {
		return p.c.Write(b)
	}
	n, _, err := p.c.WriteMsgUnix(b, unix.UnixRights(p.fds...), nil)
	if err != nil || n == len(b) {
		return n, err
	}
	rest, err := p.c.Write(b[n:])
	return n + rest, err
}

// receiving reads from a Conn and collects the descriptors that come along.
// ReadFrame reads no further than its frame, and the kernel gives descriptors
// out with the octet that they were sent with, so what is collected when a
// frame is complete came with that frame.
type receiving struct{ *Conn }

// Read implements io.Reader.
func (r receiving) Read(b []byte) (int, error) {
	var space [512 + 4*limits.HandedSockets]byte
	n, used, _, _, err := r.c.ReadMsgUnix(b, space[:])
	for errors.Is(err, os.ErrDeadlineExceeded) && r.begun { // the rest of a message comes at once
		if err := r.c.SetReadDeadline(time.Now().Add(limits.IPCSendTime)); err != nil {
			return 0, err
		}
		n, used, _, _, err = r.c.ReadMsgUnix(b, space[:])
		if errors.Is(err, os.ErrDeadlineExceeded) {
			return 0, io.ErrUnexpectedEOF
		}
	}
	r.begun = r.begun || n > 0
	if used == 0 {
		return n, err
	}
	messages, bad := unix.ParseSocketControlMessage(space[:used])
	if bad != nil {
		return n, err
	}
	for _, m := range messages {
		if fds, none := unix.ParseUnixRights(&m); none == nil {
			r.got = append(r.got, fds...)
		}
	}
	return n, err
}
