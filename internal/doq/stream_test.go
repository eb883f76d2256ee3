package doq

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"os"
	"testing"
	"time"

	"kresd/internal/wire"
)

// pieces are octets that come bit by bit, and then end as last says.
type pieces struct {
	octets
	left []byte
	size int
	last error
	slow bool // each piece comes after its time
	due  bool
}

func (p *pieces) SetReadDeadline(time.Time) error { return nil }

func (p *pieces) Read(b []byte) (int, error) {
	if len(b) == 0 {
		panic("a read without room")
	}
	if p.slow && !p.due {
		p.due = true
		return 0, os.ErrDeadlineExceeded
	}
	p.due = false
	n := copy(b[:min(len(b), p.size)], p.left)
	p.left = p.left[n:]
	if len(p.left) == 0 && (n == 0 || p.last == io.EOF) {
		return n, p.last
	}
	return n, nil
}

func framed(msg []byte) []byte {
	return append(binary.BigEndian.AppendUint16(nil, uint16(len(msg))), msg...)
}

// readAll reads a message, however often it is slow.
func readAll(s *Stream, buf []byte) ([]byte, error) {
	for {
		msg, err := s.Read(buf, time.Time{})
		if !errors.Is(err, ErrSlow) {
			return msg, err
		}
		s.Own()
		buf = nil
	}
}

func TestStreamsAreRead(t *testing.T) {
	short, long := []byte("question"), bytes.Repeat([]byte("long"), 10000)
	gone := errors.New("gone")
	for name, c := range map[string]struct {
		octets []byte
		last   error
		want   []byte
		err    error
	}{
		"a message":              {framed(short), io.EOF, short, nil},
		"without its end":        {framed(short), gone, short, nil},
		"a long one":             {framed(long), io.EOF, long, nil},
		"the longest":            {framed(make([]byte, wire.MaxMessage)), io.EOF, make([]byte, wire.MaxMessage), nil},
		"one octet":              {framed([]byte{1}), io.EOF, []byte{1}, nil},
		"nothing":                {nil, io.EOF, nil, ErrProtocol},
		"half a length":          {[]byte{0}, io.EOF, nil, ErrProtocol},
		"a length":               {[]byte{0, 1}, io.EOF, nil, ErrProtocol},
		"a length of nothing":    {[]byte{0, 0}, io.EOF, nil, ErrProtocol},
		"nothing and something":  {[]byte{0, 0, 1}, io.EOF, nil, ErrProtocol},
		"half":                   {framed(short)[:5], io.EOF, nil, ErrProtocol},
		"an octet more":          {append(framed(short), 0), io.EOF, nil, ErrProtocol},
		"two":                    {append(framed(short), framed(short)...), io.EOF, nil, ErrProtocol},
		"a client that gives up": {framed(short)[:5], gone, nil, gone},
	} {
		for _, size := range []int{1 << 17, 7, 1} {
			for _, slow := range []bool{false, true} {
				if size == 1 && slow && len(c.octets) > 1000 || size == 1 && name != "half" && c.err == ErrProtocol && len(c.octets) > 8 {
					continue // an octet too many is not seen when all before it has been read
				}
				s := &Stream{s: &pieces{left: c.octets, size: size, last: c.last, slow: slow}}
				got, err := readAll(s, make([]byte, 16))
				if !errors.Is(err, c.err) || (err == nil) != (c.err == nil) || !bytes.Equal(got, c.want) {
					t.Errorf("%s in pieces of %d, slow %t: %d octets, %v; want %d, %v", name, size, slow, len(got), err, len(c.want), c.err)
				}
			}
		}
	}
}

// A length that is only announced takes no memory.
func TestAnAnnouncedLengthCostsNothing(t *testing.T) {
	s := &Stream{s: &pieces{left: []byte{0xff, 0xff, 1, 2, 3}, size: 5, last: os.ErrDeadlineExceeded}}
	if _, err := s.Read(make([]byte, 3), time.Time{}); !errors.Is(err, ErrSlow) || cap(s.got) > 64 {
		t.Errorf("%v, and room for %d octets", err, cap(s.got))
	}
}

func FuzzStream(f *testing.F) {
	f.Add(framed([]byte("question")), 3, 16)
	f.Add([]byte{0, 0}, 1, 0)
	f.Add([]byte{0xff, 0xff, 0}, 2, 2)
	f.Add(append(framed([]byte("q")), 0), 9, 64)
	f.Fuzz(func(t *testing.T, in []byte, size, room int) {
		size, room = 1+(size&0xffff), room&0xff
		s := &Stream{s: &pieces{left: in, size: size, last: io.EOF, slow: size%2 == 0}}
		got, err := readAll(s, make([]byte, room))
		if err != nil && !errors.Is(err, ErrProtocol) {
			t.Fatal(err)
		}
		if err == nil && (len(got) == 0 || len(in) < 2+len(got) || !bytes.Equal(got, in[2:2+len(got)]) || int(binary.BigEndian.Uint16(in)) != len(got)) {
			t.Fatalf("read %x of %x", got, in)
		}
		if whole := len(in) > 2 && len(in) == 2+int(binary.BigEndian.Uint16(in)); whole && err != nil {
			t.Fatalf("refused %x: %v", in, err)
		}
	})
}
