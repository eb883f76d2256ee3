package upstream

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"sync/atomic"
	"time"

	"kresd/internal/limits"
	"kresd/internal/resolve"
)

// A multiplex is what links have in common on which each question has a stream of its
// own, and the ID 0: HTTPS and QUIC. It waits for the answer on each stream and hands it
// to who reads the link.
type multiplex struct {
	e      *Exchanger
	ctx    context.Context // ends when the link is closed
	cancel context.CancelFunc
	ended  chan struct{} // closed when the connection has ended: what it still brings counts
	got    chan outcome
	under  atomic.Int32 // questions of which the reader has not heard how they ended
	stuck  atomic.Bool  // a question found no stream in time, and none has ended since
}

// outcome is how the question with an ID ended on its stream: by a message, or by the
// reason why none comes.
type outcome struct {
	id  uint16
	pkt []byte
	err error
}

func newMultiplex(e *Exchanger) *multiplex {
	m := &multiplex{e: e, ended: make(chan struct{}), got: make(chan outcome)}
	m.ctx, m.cancel = context.WithCancel(context.Background())
	return m
}

// Why a question has no answer on its stream, beside kinds of resolve.ErrErring, which
// are the server's words.
var (
	// errGivenUp: its time is over, and nobody waits any longer.
	errGivenUp = errors.New("nobody waits for it")
	// errNotTaken: the server has not looked at it. It may be asked once more.
	errNotTaken = erring("did not take the question")
	// errNoStream: the server allows no further stream, as those before have not ended.
	// Nothing was sent.
	errNoStream = fmt.Errorf("the server takes no further question: %w", resolve.ErrTimeout)
)

// erring says what a server did that has no answer.
func erring(format string, args ...any) error {
	return &resolve.Erring{Did: fmt.Sprintf(format, args...)}
}

// open tells whether another question finds a stream, as far as is known.
func (m *multiplex) open() bool { return !m.stuck.Load() }

// carry waits for the answer to a question on a goroutine of its own. The message that
// wait returns has the ID 0; its errors are those above, kinds of resolve.ErrErring, or
// errConnEnded where the whole link is of no use to further questions.
func (m *multiplex) carry(name string, id uint16, wait func() ([]byte, error)) {
	m.under.Add(1)
	m.e.group.Go(name, func() {
		o := outcome{id: id, err: errConnEnded} // what a panic leaves
		defer func() {
			select {
			case m.got <- o:
			case <-m.ctx.Done():
			}
		}()
		o.pkt, o.err = wait()
	})
}

// read implements link. When the connection has ended, those who wait for streams are
// heard first: a server may close behind its last answer.
func (m *multiplex) read(wait func() bool) ([]byte, error) {
	timer := time.NewTimer(limits.UpstreamTCPIdle)
	defer timer.Stop()
	for ended := m.ended; ; {
		if ended == nil && m.under.Load() == 0 {
			return nil, errConnEnded
		}
		select {
		case o := <-m.got:
			m.under.Add(-1)
			if pkt, err := o.message(); pkt != nil || err != nil {
				m.stuck.Store(false)
				return pkt, err
			}
		case <-ended:
			ended = nil
		case <-m.ctx.Done():
			return nil, net.ErrClosed
		case <-timer.C:
			if !wait() {
				return nil, errConnEnded
			}
			timer.Reset(limits.UpstreamTCPIdle)
		}
	}
}

// message is what the reader of a link is told; nothing, if nobody waits for it.
func (o *outcome) message() ([]byte, error) {
	switch {
	case errors.Is(o.err, errGivenUp):
		return nil, nil
	case o.err != nil:
		return nil, &unanswerable{id: o.id, why: o.err, last: errors.Is(o.err, errConnEnded)}
	}
	binary.BigEndian.PutUint16(o.pkt, o.id)
	return o.pkt, nil
}
