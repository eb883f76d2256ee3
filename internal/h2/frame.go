package h2

import (
	"encoding/binary"
	"fmt"
)

// The types of frames (RFC 9113, section 6).
const (
	frameData         = 0
	frameHeaders      = 1
	framePriority     = 2
	frameReset        = 3
	frameSettings     = 4
	framePushPromise  = 5
	framePing         = 6
	frameGoAway       = 7
	frameWindowUpdate = 8
	frameContinuation = 9
)

// The flags of frames.
const (
	flagEndStream  = 0x1
	flagAck        = 0x1
	flagEndHeaders = 0x4
	flagPadded     = 0x8
	flagPriority   = 0x20
)

const (
	frameHeadLen = 9
	// maxFrame is the longest payload that either side sends: what both may without having
	// agreed on more (RFC 9113, section 4.2).
	maxFrame = 1 << 14
	// FrameMax is the length of the longest frame.
	FrameMax = frameHeadLen + maxFrame

	firstWindow = 1<<16 - 1 // octets (RFC 9113, section 6.9.2)
	maxWindow   = 1<<31 - 1
	priorityLen = 5
)

// Preface is what a client begins with (RFC 9113, section 3.4).
const Preface = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"

// A Code says why a stream or a connection ends (RFC 9113, section 7).
type Code uint32

// The codes that are used here.
const (
	NoError          Code = 0
	ProtocolError    Code = 1
	InternalError    Code = 2
	FlowControlError Code = 3
	StreamClosed     Code = 5
	FrameSizeError   Code = 6
	RefusedStream    Code = 7
	Cancel           Code = 8
	CompressionError Code = 9
	EnhanceYourCalm  Code = 11
)

// An Error is a violation by the client after which nothing can be believed that it says:
// the connection has to end, when the GOAWAY is sent that Next has worded.
type Error struct {
	Code Code
	text string
}

// Error implements error.
func (e *Error) Error() string { return fmt.Sprintf("HTTP/2: %s (code %d)", e.text, e.Code) }

func violation(code Code, text string) *Error { return &Error{code, text} }

// A frame is one that has come whole.
type frame struct {
	kind, flags byte
	stream      uint32
	payload     []byte
}

func (f *frame) has(flag byte) bool { return f.flags&flag != 0 }

// nextFrame is the frame that in begins with, and its length; 0: it has not come whole.
func nextFrame(in []byte) (f frame, n int, err *Error) {
	if len(in) < frameHeadLen {
		return frame{}, 0, nil
	}
	size := int(binary.BigEndian.Uint32(in) >> 8)
	if size > maxFrame {
		return frame{}, 0, violation(FrameSizeError, "a frame is longer than was agreed")
	}
	n = frameHeadLen + size
	if len(in) < n {
		return frame{}, 0, nil
	}
	return frame{kind: in[3], flags: in[4], stream: binary.BigEndian.Uint32(in[5:]) &^ (1 << 31), payload: in[frameHeadLen:n]}, n, nil
}

// IsBody tells whether a frame that has begun to come is a part of a body.
func IsBody(in []byte) bool { return len(in) > 3 && in[3] == frameData }

// content is the payload of a DATA or HEADERS frame without its padding.
func (f *frame) content() ([]byte, *Error) {
	p := f.payload
	if !f.has(flagPadded) {
		return p, nil
	}
	if len(p) == 0 || int(p[0]) >= len(p) {
		return nil, violation(ProtocolError, "a frame is padded beyond its length")
	}
	return p[1 : len(p)-int(p[0])], nil
}

// appendHead appends the head of a frame.
func appendHead(out []byte, kind, flags byte, stream uint32, size int) []byte {
	out = binary.BigEndian.AppendUint32(out, uint32(size)<<8|uint32(kind))
	out = append(out, flags)
	return binary.BigEndian.AppendUint32(out, stream)
}

// appendFrame appends a frame.
func appendFrame(out []byte, kind, flags byte, stream uint32, payload []byte) []byte {
	return append(appendHead(out, kind, flags, stream, len(payload)), payload...)
}

// appendWord appends a frame whose payload is one number.
func appendWord(out []byte, kind byte, stream, value uint32) []byte {
	return binary.BigEndian.AppendUint32(appendHead(out, kind, 0, stream, 4), value)
}
