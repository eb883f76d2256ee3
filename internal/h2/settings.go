package h2

import "encoding/binary"

// The settings that are used here (RFC 9113, section 6.5.2).
const (
	settingTable   = 1 // octets of the dynamic table
	settingPush    = 2 // 1: a server may push
	settingStreams = 3 // that may be open at once
	settingWindow  = 4 // octets of a body that may be sent on a new stream
	settingFrame   = 5 // octets of the longest frame
	settingHeads   = 6 // octets of the longest head

	settingLen = 6
)

// takeOther takes a frame that belongs to no request.
func (c *Conn) takeOther(f *frame, out []byte) ([]byte, *Error) {
	switch f.kind {
	case frameSettings:
		return c.takeSettings(f, out)
	case framePing:
		switch {
		case len(f.payload) != 8:
			return out, violation(FrameSizeError, "a PING is of another length")
		case f.stream != 0:
			return out, violation(ProtocolError, "a PING is on a stream")
		case !f.has(flagAck):
			return appendFrame(out, framePing, flagAck, 0, f.payload), nil
		}
	case framePriority:
		switch {
		case f.stream == 0:
			return out, violation(ProtocolError, "a priority is on no stream")
		case len(f.payload) != priorityLen:
			return out, violation(FrameSizeError, "a priority is of another length")
		}
	case frameGoAway:
		if f.stream != 0 || len(f.payload) < 8 {
			return out, violation(ProtocolError, "a GOAWAY is on a stream, or has no code")
		}
	case framePushPromise:
		return out, violation(ProtocolError, "a client pushes")
	}
	return out, nil
}

// takeSettings takes what the client sets, and says so.
func (c *Conn) takeSettings(f *frame, out []byte) ([]byte, *Error) {
	p := f.payload
	switch {
	case f.stream != 0:
		return out, violation(ProtocolError, "settings are on a stream")
	case len(p)%settingLen != 0 || f.has(flagAck) && len(p) > 0:
		return out, violation(FrameSizeError, "settings are of another length")
	case f.has(flagAck):
		return out, nil
	}
	c.settled = true
	window := c.firstWindow
	for ; len(p) > 0; p = p[settingLen:] {
		if err := c.set(binary.BigEndian.Uint16(p), binary.BigEndian.Uint32(p[2:])); err != nil {
			return out, err
		}
	}
	// All streams are gone through once a frame, however many settings it has.
	if more := c.firstWindow - window; more != 0 {
		for _, s := range c.streams {
			if s.window += more; s.window > maxWindow {
				return out, violation(FlowControlError, "a window is larger than any may be")
			}
		}
	}
	return c.sendWaiting(appendFrame(out, frameSettings, flagAck, 0, nil)), nil
}

// set takes one setting. Those that are not known here are passed over.
func (c *Conn) set(id uint16, value uint32) *Error {
	switch id {
	case settingTable:
		c.encoder.SetMaxDynamicTableSizeLimit(min(value, tableSize))
	case settingPush:
		if value > 1 {
			return violation(ProtocolError, "a switch is neither on nor off")
		}
	case settingWindow:
		if value > maxWindow {
			return violation(FlowControlError, "a window is larger than any may be")
		}
		c.firstWindow = int(value)
	case settingFrame:
		if value < maxFrame || value >= 1<<24 {
			return violation(ProtocolError, "frames may not be bounded so")
		}
	}
	return nil
}

// takeWindow takes room that the client gives for bodies: of one stream, or of all.
func (c *Conn) takeWindow(f *frame, out []byte) (Event, []byte, *Error) {
	if len(f.payload) != 4 {
		return Event{}, out, violation(FrameSizeError, "a window has no size")
	}
	more := int(binary.BigEndian.Uint32(f.payload) &^ (1 << 31))
	if f.stream == 0 {
		if c.window += more; more == 0 {
			return Event{}, out, violation(ProtocolError, "a window grows by nothing")
		} else if c.window > maxWindow {
			return Event{}, out, violation(FlowControlError, "a window is larger than any may be")
		}
		return Event{}, c.sendWaiting(out), nil
	}
	s := c.streams[f.stream]
	switch {
	case f.stream > c.newest:
		return Event{}, out, violation(ProtocolError, "there is no such stream yet")
	case s == nil && more == 0:
		return Event{Kind: Broken}, appendWord(out, frameReset, f.stream, uint32(ProtocolError)), nil
	case s == nil:
		return Event{}, out, nil
	case more == 0:
		ev, out := c.breaks(out, s, ProtocolError)
		return ev, out, nil
	}
	if s.window += more; s.window > maxWindow {
		ev, out := c.breaks(out, s, FlowControlError)
		return ev, out, nil
	}
	return Event{}, c.sendWaiting(out), nil
}
