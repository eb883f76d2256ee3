package h2

import (
	"bytes"
	"encoding/binary"
	"slices"

	"golang.org/x/net/http2/hpack"

	"kresd/internal/limits"
)

// A Kind is what has happened on a connection.
type Kind uint8

// The kinds of events.
const (
	// Nothing: all frames that have come whole are read.
	Nothing Kind = iota
	// Head: a request has begun.
	Head
	// Data: a part of a request's body has come.
	Data
	// Reset: the client gives a request up. Conn.Closed has been told.
	Reset
	// Refused: the client opened more streams than it may; that one is reset.
	Refused
	// Broken: the client broke a rule of one stream, which is reset.
	Broken
)

// An Event is what a frame came to.
type Event struct {
	Kind   Kind
	Stream *Stream // of Head and Data
	// Data is that of a body. It is valid until the octets are changed from which it was
	// read.
	Data []byte
	// End tells that the request is whole.
	End bool
}

// A Conn is the server's side of one connection. Its methods may not be called at the same
// time.
type Conn struct {
	// KeepFields has requests keep all fields of their heads, from the next one on.
	KeepFields bool
	// Abandoned is how many requests are still worked on whose streams have ended. They
	// count as if these were open, so that nobody gets more done by resetting them.
	Abandoned int
	// Ended is told of each stream that ends, by its response or without one, if a Head has
	// told of it.
	Ended func(*Stream)

	count   frameCount
	settled bool // the client's first settings have come
	head    headReader
	streams map[uint32]*Stream // open ones
	newest  uint32
	cut     []uint32 // the last streams that ended before all of their request had come
	taken   int      // octets of bodies that came, for which no new room was given yet

	// What the client has set, and what it gave room for.
	firstWindow, window int
	waiting             []*Stream // those with rest, the first to be served in front

	encoder *hpack.Encoder
	block   bytes.Buffer // the encoder writes there
}

// New makes a Conn for a client whose preface has been read.
func New() *Conn {
	c := &Conn{Ended: func(*Stream) {}, streams: map[uint32]*Stream{}, firstWindow: firstWindow, window: firstWindow}
	c.head.init()
	c.encoder = hpack.NewEncoder(&c.block)
	return c
}

// Begin appends what a server begins with: its settings (RFC 9113, section 3.4).
func (c *Conn) Begin(out []byte) []byte {
	out = appendHead(out, frameSettings, 0, 0, 3*6)
	for _, s := range [...]struct {
		id    uint16
		value uint32
	}{{settingStreams, limits.HTTPStreams}, {settingWindow, limits.HTTPBuffer}, {settingHeads, limits.HTTPHeaders}} {
		out = binary.BigEndian.AppendUint16(out, s.id)
		out = binary.BigEndian.AppendUint32(out, s.value)
	}
	return out
}

// Open is how many streams are open.
func (c *Conn) Open() int { return len(c.streams) }

// InHead tells that a head has begun and is not whole.
func (c *Conn) InHead() bool { return c.head.open }

// Next reads frames from in until one of them comes to an event, and tells how many octets
// it has read. What has to be said in return is appended to out. After an error, which is
// an *Error or ErrFlood, nothing more can be read.
func (c *Conn) Next(in, out []byte) (ev Event, used int, _ []byte, err error) {
	for ev.Kind == Nothing {
		f, n, wrong := nextFrame(in[used:])
		if wrong == nil && n == 0 {
			break
		}
		used += n
		if wrong == nil && !c.count.pass(&f) {
			return Event{}, used, out, ErrFlood
		}
		if wrong == nil {
			ev, out, wrong = c.take(&f, out)
		}
		if wrong != nil {
			return Event{}, used, c.GoAway(out, wrong.Code), wrong
		}
	}
	return ev, used, out, nil
}

// take takes one frame.
func (c *Conn) take(f *frame, out []byte) (Event, []byte, *Error) {
	switch {
	case c.head.open != (f.kind == frameContinuation) || c.head.open && f.stream != c.head.stream:
		return Event{}, out, violation(ProtocolError, "something else came where a head goes on")
	case !c.settled && f.kind != frameSettings:
		return Event{}, out, violation(ProtocolError, "the first frame is none of settings")
	}
	switch f.kind {
	case frameHeaders:
		return c.takeHeaders(f, out)
	case frameContinuation:
		return c.takePiece(f.payload, f.has(flagEndHeaders), out)
	case frameData:
		return c.takeData(f, out)
	case frameReset:
		return c.takeReset(f, out)
	case frameWindowUpdate:
		return c.takeWindow(f, out)
	}
	out, err := c.takeOther(f, out)
	return Event{}, out, err
}

// takeHeaders takes the begin of a head.
func (c *Conn) takeHeaders(f *frame, out []byte) (Event, []byte, *Error) {
	piece, err := f.content()
	switch {
	case err != nil:
		return Event{}, out, err
	case f.stream%2 == 0:
		return Event{}, out, violation(ProtocolError, "a client opened a stream of the server's")
	case f.has(flagPriority) && len(piece) < priorityLen:
		return Event{}, out, violation(FrameSizeError, "a head ends within its priority")
	case f.has(flagPriority):
		piece = piece[priorityLen:]
	}
	c.head.begin(f.stream, f.has(flagEndStream), c.KeepFields)
	return c.takePiece(piece, f.has(flagEndHeaders), out)
}

// takePiece takes a piece of a head.
func (c *Conn) takePiece(piece []byte, last bool, out []byte) (Event, []byte, *Error) {
	if err := c.head.add(piece, last); err != nil || !last {
		return Event{}, out, err
	}
	if c.head.stream > c.newest {
		return c.open(out)
	}
	s := c.streams[c.head.stream]
	switch {
	case s == nil && c.wasCut(c.head.stream):
		return Event{}, out, nil
	case s == nil:
		return Event{}, out, violation(StreamClosed, "a head came on a stream that has ended, or was passed over")
	case s.complete: // nothing follows the end
		ev, out := c.breaks(out, s, StreamClosed)
		return ev, out, nil
	case !c.head.ends || c.head.pseudo: // these are no trailers (RFC 9113, section 8.1)
		ev, out := c.breaks(out, s, ProtocolError)
		return ev, out, nil
	}
	return c.end(s, Event{Kind: Data, Stream: s}, out)
}

// open opens a stream for the request whose head has come.
func (c *Conn) open(out []byte) (Event, []byte, *Error) {
	c.newest = c.head.stream
	s := &Stream{Request: c.head.request, id: c.newest, window: c.firstWindow, left: limits.HTTPBuffer}
	switch {
	case len(c.streams)+c.Abandoned >= limits.HTTPStreams:
		return Event{Kind: Refused}, c.turnAway(out, s, RefusedStream), nil
	case !c.head.valid() || c.head.ends && s.Length > 0: // the body that is told of cannot come
		return Event{Kind: Broken}, c.turnAway(out, s, ProtocolError), nil
	}
	c.streams[s.id] = s
	s.complete = c.head.ends
	return Event{Kind: Head, Stream: s, End: s.complete}, out, nil
}

// end notes that a request is whole, unless its body has not the length that was told.
func (c *Conn) end(s *Stream, ev Event, out []byte) (Event, []byte, *Error) {
	if s.Length >= 0 && s.Length != s.came {
		ev, out = c.breaks(out, s, ProtocolError)
		return ev, out, nil
	}
	s.complete, ev.End = true, true
	if s.answered {
		c.finish(s)
		return Event{}, out, nil
	}
	return ev, out, nil
}

// takeData takes a part of a body.
func (c *Conn) takeData(f *frame, out []byte) (Event, []byte, *Error) {
	data, err := f.content()
	switch {
	case err != nil:
		return Event{}, out, err
	case f.stream == 0 || f.stream > c.newest:
		return Event{}, out, violation(ProtocolError, "a body came without a head")
	}
	if c.taken += len(f.payload); c.taken > firstWindow/2 {
		out = appendWord(out, frameWindowUpdate, 0, uint32(c.taken))
		c.taken = 0
	}
	s := c.streams[f.stream]
	switch {
	case s == nil && c.wasCut(f.stream):
		return Event{}, out, nil
	case s == nil:
		return Event{Kind: Broken}, appendWord(out, frameReset, f.stream, uint32(StreamClosed)), nil
	}
	s.came += int64(len(data))
	switch s.left -= len(f.payload); {
	case s.left < 0:
		ev, out := c.breaks(out, s, FlowControlError)
		return ev, out, nil
	case s.complete:
		ev, out := c.breaks(out, s, StreamClosed)
		return ev, out, nil
	}
	ev := Event{Kind: Data, Stream: s, Data: data}
	switch {
	case f.has(flagEndStream):
		return c.end(s, ev, out)
	case s.answered:
		return Event{}, out, nil
	}
	return ev, out, nil
}

// takeReset takes the end of a stream that the client gives up. Of one whose response has
// left it is no event: the client ends what is not wanted any more.
func (c *Conn) takeReset(f *frame, out []byte) (Event, []byte, *Error) {
	switch {
	case len(f.payload) != 4:
		return Event{}, out, violation(FrameSizeError, "a reset has no code")
	case f.stream == 0 || f.stream > c.newest:
		return Event{}, out, violation(ProtocolError, "a stream was reset that nobody opened")
	}
	s := c.streams[f.stream]
	if s == nil {
		return Event{Kind: Reset}, out, nil
	}
	c.finish(s)
	if s.answered {
		return Event{}, out, nil
	}
	return Event{Kind: Reset}, out, nil
}

// turnAway resets a stream that is not opened.
func (c *Conn) turnAway(out []byte, s *Stream, code Code) []byte {
	s.complete = c.head.ends
	c.noteCut(s)
	return appendWord(out, frameReset, s.id, uint32(code))
}

// breaks resets a stream whose rules the client broke.
func (c *Conn) breaks(out []byte, s *Stream, code Code) (Event, []byte) {
	return Event{Kind: Broken}, c.Reset(out, s, code)
}

// wasCut tells whether a client may still send on a stream that has ended, because it did
// not know that.
func (c *Conn) wasCut(stream uint32) bool { return slices.Contains(c.cut, stream) }

// finish ends a stream.
func (c *Conn) finish(s *Stream) {
	if s.Waits() {
		c.waiting = slices.DeleteFunc(c.waiting, func(o *Stream) bool { return o == s })
	}
	s.closed, s.rest = true, nil
	delete(c.streams, s.id)
	c.noteCut(s)
	c.Ended(s)
}

// noteCut remembers a stream that has ended within its request.
func (c *Conn) noteCut(s *Stream) {
	if s.complete {
		return
	}
	if len(c.cut) == limits.HTTPStreams {
		c.cut = slices.Delete(c.cut, 0, 1)
	}
	c.cut = append(c.cut, s.id)
}
