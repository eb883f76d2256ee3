package upstream

import (
	"bytes"
	"encoding/binary"
	"net"
	"slices"
	"testing"
	"time"

	"kresd/internal/limits"
	"kresd/internal/wire"
	"kresd/internal/zonecut"
)

// playedConn is a connection on which everything has already been said.
type playedConn struct {
	net.Conn
	said bytes.Reader
}

func (c *playedConn) Read(b []byte) (int, error)      { return c.said.Read(b) }
func (c *playedConn) SetReadDeadline(time.Time) error { return nil }

// FuzzStream: whatever a server writes on a connection, the question that waits
// there gets at most one message, and only one that answers it.
func FuzzStream(f *testing.F) {
	q, want := aQuestion()
	framed := func(msgs ...[]byte) (b []byte) {
		for _, m := range msgs {
			b = append(binary.BigEndian.AppendUint16(b, uint16(len(m))), m...)
		}
		return b
	}
	f.Add(framed(reply(q, truth)))
	f.Add(framed(nil, []byte{1}, reply(q, truth), reply(q, truth)))
	for _, g := range slices.Concat(forgeries, malformed) {
		f.Add(framed(g.make(q), reply(q, truth)))
	}
	f.Fuzz(func(t *testing.T, stream []byte) {
		w := &waiter{want: *want, got: make(chan delivery, 1)}
		c := &connection{pool: newPool(&Exchanger{}), waiting: map[uint16]*waiter{want.id: w}}
		conn := &playedConn{}
		conn.said.Reset(stream)
		c.link = newStream(conn, zonecut.Do53)
		c.read()
		if c.strays > limits.UpstreamTCPStrays {
			t.Errorf("%d messages that nobody asked for were read", c.strays)
		}
		select {
		case a := <-w.got:
			if a.err != nil {
				return
			}
			if v := want.judge(a.pkt, len(a.pkt)); v != answer && v != truncated && v != bareError {
				t.Errorf("%x was handed on, match %d", a.pkt, v)
			}
			_, _ = wire.Parse(a.pkt)
		default:
			if bytes.HasPrefix(stream, framed(reply(q, truth))) {
				t.Error("the answer that came first was not handed on")
			}
		}
	})
}
