package upstream

import (
	"encoding/binary"
	"fmt"
	"time"

	"kresd/internal/limits"
	"kresd/internal/wire"
)

// How long a connection by TCP or TLS is kept without a question is the server's to say
// (edns-tcp-keepalive, RFC 7828), within limits. It is told with the first question on a
// connection that we would hear it. By HTTPS the option means nothing, and by QUIC it
// must not come (RFC 9250, section 5.5.2).

// keepaliveLink is a link whose server may say how long it is kept.
type keepaliveLink interface {
	// keep tells how long to wait for another message while no question waits.
	keep(idle time.Duration)
}

// keep implements keepaliveLink. The new time counts at once: the reader waits for the next message.
func (s *stream) keep(idle time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.idle = min(idle, limits.UpstreamIdleMost)
	if s.waits {
		_ = s.conn.SetReadDeadline(time.Now().Add(s.idle)) // one that fails is about to end
	}
}

// appendKeepalive appends the option to the first question of a connection on which it
// means something.
func (c *connection) appendKeepalive(options []byte) []byte {
	if _, ok := c.link.(keepaliveLink); !ok || c.told.Swap(true) {
		return options
	}
	return wire.AppendOption(options, wire.OptionKeepalive, nil)
}

// heed does what a server says about the connection in an answer. If the server keeps it
// for a time of 0, no further question is asked there.
func (c *connection) heed(options []byte) error {
	value, has := wire.Option(options, wire.OptionKeepalive)
	if !has {
		return nil
	}
	switch l := c.link.(type) {
	case *quicLink:
		l.violated()
		return fmt.Errorf("edns-tcp-keepalive by QUIC: %w", ErrMalformed)
	case keepaliveLink:
		switch {
		case len(value) != 2: // of a length that there is not
		case binary.BigEndian.Uint16(value) == 0:
			c.retire()
		default:
			l.keep(time.Duration(binary.BigEndian.Uint16(value)) * 100 * time.Millisecond)
		}
	}
	return nil
}
