package doq

import (
	"encoding/binary"
	"errors"
	"io"
	"os"
	"time"

	"github.com/quic-go/quic-go"
)

// octets is what a Stream needs of QUIC's.
type octets interface {
	io.Reader
	io.Writer
	io.Closer
	TryWriteAll([]byte) error
	SetReadDeadline(time.Time) error
	SetWriteDeadline(time.Time) error
	CancelRead(quic.StreamErrorCode)
	CancelWrite(quic.StreamErrorCode)
}

// A Stream is one question and its answer. One goroutine at a time uses it.
type Stream struct {
	s   octets
	got []byte // octets of the message, with its length in front
	end bool   // the other side has said that nothing follows
}

// Read reads on until the message is complete, which is returned, or until the time
// has come: then the error is ErrSlow, and it may be called again. The message lies
// in buf as long as that has room for it and buf is the same in each call.
func (s *Stream) Read(buf []byte, until time.Time) ([]byte, error) {
	_ = s.s.SetReadDeadline(until)
	if s.got == nil {
		s.got = buf[:0]
	}
	for {
		s.grow()
		n, err := s.s.Read(s.got[len(s.got):cap(s.got)])
		s.end = errors.Is(err, io.EOF)
		s.got = s.got[:len(s.got)+n]
		need, have := s.need(), len(s.got)
		switch {
		case have > need || have == 2 && need == 2: // too much, or a length of nothing
			return nil, ErrProtocol
		case have == need:
			return s.got[2:], nil
		case s.end:
			return nil, ErrProtocol
		case errors.Is(err, os.ErrDeadlineExceeded):
			return nil, ErrSlow
		case err != nil:
			return nil, plain(err)
		}
	}
}

// grow makes room for more, as much as has come already: a length that was only
// announced costs nothing. An octet more than is announced finds room, to be seen.
func (s *Stream) grow() {
	if n := len(s.got); n == cap(s.got) {
		s.got = append(make([]byte, 0, min(max(4*n, 64), s.need()+1)), s.got...)
	}
}

// need is how long the message is with its length, as far as is known.
func (s *Stream) need() int {
	if len(s.got) < 2 {
		return 2
	}
	return 2 + int(binary.BigEndian.Uint16(s.got))
}

// Own has what was read lie in memory of the stream's own, for Read to go on later
// without a buffer.
func (s *Stream) Own() { s.got = append(make([]byte, 0, max(2*len(s.got), 64)), s.got...) }

// Write sends the only message of this side, with its length in front, and ends it.
// It waits while the other side takes nothing, not beyond the given time.
func (s *Stream) Write(framed []byte, until time.Time) error {
	_ = s.s.SetWriteDeadline(until)
	if _, err := s.s.Write(framed); err != nil {
		s.s.CancelWrite(quic.StreamErrorCode(ExcessiveLoad))
		return plain(err)
	}
	_ = s.s.Close() // it fails where the other side has read all, and wants to hear no more
	return nil
}

// TryWrite writes framed if that need not wait, and returns false otherwise. framed is
// copied, and free for reuse.
func (s *Stream) TryWrite(framed []byte) bool {
	if s.s.TryWriteAll(framed) != nil {
		return false
	}
	_ = s.s.Close()
	return true
}

// Finish waits for the other side to say that nothing follows the message that has
// been read; from the given time on nothing more is taken. It is false where something
// does follow. Another goroutine may write meanwhile.
func (s *Stream) Finish(until time.Time) bool {
	if s.end {
		return true
	}
	_ = s.s.SetReadDeadline(until)
	n, err := s.s.Read(make([]byte, 1))
	if !errors.Is(err, io.EOF) {
		s.s.CancelRead(quic.StreamErrorCode(NoError))
	}
	return n == 0
}

// Refuse ends both directions without an answer.
func (s *Stream) Refuse(why Code) {
	s.s.CancelRead(quic.StreamErrorCode(why))
	s.s.CancelWrite(quic.StreamErrorCode(why))
}
