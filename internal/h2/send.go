package h2

import (
	"bytes"
	"encoding/binary"
	"slices"
	"strconv"

	"golang.org/x/net/http2/hpack"
)

// Respond appends a response. What of its body the client gives no room for is kept and
// follows when it does; Stream.Waits tells that. On a stream that has ended nothing is sent.
func (c *Conn) Respond(out []byte, s *Stream, status int, fields []Field, body []byte) []byte {
	if s.closed {
		return out
	}
	if s.Method == "HEAD" {
		body = nil // whose length the fields still tell (RFC 9110, section 9.3.2)
	}
	out = c.appendResponseHead(out, s, status, fields, len(body) == 0)
	if s.rest = body; len(body) == 0 {
		return c.responded(out, s)
	}
	if out = c.send(out, s); s.Waits() {
		s.rest = bytes.Clone(s.rest)
		c.waiting = append(c.waiting, s)
	}
	return out
}

// Continue appends the word that a body is wanted.
func (c *Conn) Continue(out []byte, s *Stream) []byte {
	return c.appendResponseHead(out, s, 100, nil, false)
}

// appendResponseHead appends the head of a response.
func (c *Conn) appendResponseHead(out []byte, s *Stream, status int, fields []Field, ends bool) []byte {
	c.block.Reset()
	_ = c.encoder.WriteField(hpack.HeaderField{Name: ":status", Value: statusText(status)})
	for _, f := range fields {
		_ = c.encoder.WriteField(hpack.HeaderField{Name: f.Name, Value: f.Value, Sensitive: f.changes()})
	}
	flags := byte(flagEndHeaders)
	if ends {
		flags |= flagEndStream
	}
	return appendFrame(out, frameHeaders, flags, s.id, c.block.Bytes())
}

// statusText avoids a piece of memory for each of the usual responses.
func statusText(status int) string {
	if status == 200 {
		return "200"
	}
	return strconv.Itoa(status)
}

// changes tells of a field that has another value in nearly every response: in HPACK's table
// it would only push out those that return.
func (f Field) changes() bool { return f.Name == "content-length" || f.Name == "cache-control" }

// send appends as much of the rest of a response as there is room for.
func (c *Conn) send(out []byte, s *Stream) []byte {
	for len(s.rest) > 0 {
		n := min(len(s.rest), maxFrame, s.window, c.window)
		if n <= 0 {
			return out
		}
		piece, flags := s.rest[:n], byte(0)
		s.rest = s.rest[n:]
		s.window -= n
		c.window -= n
		if len(s.rest) == 0 {
			flags = flagEndStream
		}
		out = appendFrame(out, frameData, flags, s.id, piece)
	}
	return c.responded(out, s)
}

// sendWaiting goes on with the responses that waited for room.
func (c *Conn) sendWaiting(out []byte) []byte {
	for _, s := range c.waiting {
		if !s.closed {
			out = c.send(out, s)
		}
	}
	c.waiting = slices.DeleteFunc(c.waiting, func(s *Stream) bool { return !s.Waits() })
	return out
}

// responded ends a stream whose response is sent. One of which not all of the request has
// come stays, so that a client which is still sending reads the response first: many take a
// reset for a failure, whatever came before it. The caller ends it soon by Reset with NoError
// (RFC 9113, section 8.1).
func (c *Conn) responded(out []byte, s *Stream) []byte {
	if s.answered = true; s.complete {
		c.finish(s)
	}
	return out
}

// Reset ends a stream without a response, or within it.
func (c *Conn) Reset(out []byte, s *Stream, code Code) []byte {
	if s.closed {
		return out
	}
	c.finish(s)
	return appendWord(out, frameReset, s.id, uint32(code))
}

// GoAway appends that the connection ends after the streams that have come (RFC 9113,
// section 6.8).
func (c *Conn) GoAway(out []byte, code Code) []byte { return appendGoAway(out, c.newest, code) }

// GoAwaySoon appends that the connection will end: a client opens no further stream when it
// has read this, and those that come until then are served.
func (c *Conn) GoAwaySoon(out []byte) []byte { return appendGoAway(out, maxWindow, NoError) }

func appendGoAway(out []byte, last uint32, code Code) []byte {
	out = appendHead(out, frameGoAway, 0, 0, 8)
	out = binary.BigEndian.AppendUint32(out, last)
	return binary.BigEndian.AppendUint32(out, uint32(code))
}

// Streams calls fn for each stream that is open.
func (c *Conn) Streams(fn func(*Stream)) {
	for _, s := range c.streams {
		fn(s)
	}
}
