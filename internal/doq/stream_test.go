package doq

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/quic-go/quic-go"

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
		"nothing, without end":   {[]byte{0, 0}, gone, nil, ErrProtocol},
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

// side is a stream as the library has it: what is read comes at once, and what is done with
// it is noted.
type side struct {
	reads  []byte
	ends   error // behind what is read
	writes error
	did    []string
}

func (o *side) note(format string, args ...any) { o.did = append(o.did, fmt.Sprintf(format, args...)) }

func (o *side) Read(b []byte) (int, error) {
	n := copy(b, o.reads)
	if o.reads = o.reads[n:]; n == 0 || len(o.reads) == 0 {
		return n, o.ends
	}
	return n, nil
}

func (o *side) Write(b []byte) (int, error) {
	o.note("write %q", b)
	return len(b), o.writes
}

func (o *side) TryWriteAll(b []byte) error {
	_, err := o.Write(b)
	return err
}

func (o *side) Close() error                         { o.note("close"); return io.ErrClosedPipe }
func (o *side) SetReadDeadline(t time.Time) error    { o.note("read until %d", t.Unix()); return nil }
func (o *side) SetWriteDeadline(t time.Time) error   { o.note("write until %d", t.Unix()); return nil }
func (o *side) CancelRead(why quic.StreamErrorCode)  { o.note("refuse %#x", uint64(why)) }
func (o *side) CancelWrite(why quic.StreamErrorCode) { o.note("cancel %#x", uint64(why)) }

// What is done with a stream at its end: an answer ends this side, and one that nobody takes
// is given up; what follows a question is refused.
func TestTheEndsOfAStream(t *testing.T) {
	until := time.Unix(7, 0)
	gone := errors.New("gone")
	for name, c := range map[string]struct {
		side *side
		do   func(*Stream) any
		want any
		did  string
	}{
		"an answer":                   {&side{}, func(s *Stream) any { return s.Write([]byte("a"), until) }, nil, `write until 7, write "a", close`},
		"an answer that nobody takes": {&side{writes: gone}, func(s *Stream) any { return s.Write([]byte("a"), until) }, gone, fmt.Sprintf(`write until 7, write "a", cancel %#x`, uint64(ExcessiveLoad))},
		"an answer to nobody":         {&side{writes: &quic.StatelessResetError{}}, func(s *Stream) any { return s.Write([]byte("a"), until) }, errLost, fmt.Sprintf(`write until 7, write "a", cancel %#x`, uint64(ExcessiveLoad))},
		"at once":                     {&side{}, func(s *Stream) any { return s.TryWrite([]byte("a")) }, true, `write "a", close`},
		"not at once":                 {&side{writes: gone}, func(s *Stream) any { return s.TryWrite([]byte("a")) }, false, `write "a"`},
		"nothing follows":             {&side{ends: io.EOF}, func(s *Stream) any { return s.Finish(until) }, true, `read until 7`},
		"nothing follows, as said":    {&side{ends: gone}, func(s *Stream) any { s.end = true; return s.Finish(until) }, true, ``},
		"an octet follows":            {&side{reads: []byte("x"), ends: gone}, func(s *Stream) any { return s.Finish(until) }, false, fmt.Sprintf(`read until 7, refuse %#x`, uint64(NoError))},
		"a last octet follows":        {&side{reads: []byte("x"), ends: io.EOF}, func(s *Stream) any { return s.Finish(until) }, false, `read until 7`},
		"no end in time":              {&side{ends: os.ErrDeadlineExceeded}, func(s *Stream) any { return s.Finish(until) }, true, fmt.Sprintf(`read until 7, refuse %#x`, uint64(NoError))},
		"refused":                     {&side{}, func(s *Stream) any { s.Refuse(ProtocolError); return nil }, nil, fmt.Sprintf(`refuse %#[1]x, cancel %#[1]x`, uint64(ProtocolError))},
	} {
		got := c.do(&Stream{s: c.side})
		if did := strings.Join(c.side.did, ", "); got != c.want || did != c.did {
			t.Errorf("%s: %v, did %s; want %v, %s", name, got, did, c.want, c.did)
		}
	}
}

// Only what the other side has ended has its reason, and only a stream is reset.
func TestWhoseReasonItIs(t *testing.T) {
	for name, c := range map[string]struct {
		err         error
		code, reset bool
	}{
		"a connection, by them": {&quic.ApplicationError{Remote: true, ErrorCode: 3}, true, false},
		"a connection, by us":   {&quic.ApplicationError{ErrorCode: 3}, false, false},
		"a stream, by them":     {fmt.Errorf("read: %w", &quic.StreamError{Remote: true, ErrorCode: 3}), true, true},
		"a stream, by us":       {&quic.StreamError{ErrorCode: 3}, false, false},
		"something else":        {io.EOF, false, false},
	} {
		code, ok := CodeOf(c.err)
		if ok != c.code || ok != (code == 3) {
			t.Errorf("%s: ended with %v, %v", name, code, ok)
		}
		if code, ok = ResetOf(c.err); ok != c.reset || ok != (code == 3) {
			t.Errorf("%s: reset with %v, %v", name, code, ok)
		}
	}
}

// IDs of connections begin with the tag of their process, and no two are one.
func TestIDsOfConnections(t *testing.T) {
	g := &idGenerator{tag: tag{'t', 'a', 'g', '.'}}
	seen := map[string]bool{}
	for range 100 {
		id, err := g.GenerateConnectionID()
		if err != nil || id.Len() != g.ConnectionIDLen() || id.Len() != idLen || string(id.Bytes()[:tagLen]) != "tag." || seen[string(id.Bytes())] {
			t.Fatalf("%v, %v", id, err)
		}
		seen[string(id.Bytes())] = true
	}
}

// What another process passes on is believed as far as it is whole.
func TestWhatIsPassedOnInPart(t *testing.T) {
	whole := appendPassed(nil, passed{&net.UDPAddr{IP: net.IPv4(192, 0, 2, 1), Port: 53, Zone: "z"}, []byte("co"), []byte("p")})
	for n := range whole {
		if p, ok := parsePassed(whole[:n]); ok {
			t.Errorf("the first %d octets of %d: %+v", n, len(whole), p)
		}
	}
	p, ok := parsePassed(whole)
	if !ok || string(p.packet) != "p" || string(p.control) != "co" || p.from.Zone != "z" || p.from.Port != 53 {
		t.Errorf("%+v, %v", p, ok)
	}
	whole[len(whole)-1] = 'x'
	if string(p.packet) != "p" {
		t.Error("it lies in the memory of the buffer")
	}
	if addr := addrOf(&net.UDPAddr{IP: net.ParseIP("::ffff:192.0.2.1"), Port: 53, Zone: "lo"}); addr.String() != "192.0.2.1:53" || addrOf(&net.TCPAddr{}).IsValid() {
		t.Errorf("an address is %v", addr)
	}
}
