package listen

import (
	"sync"
	"sync/atomic"
	"time"

	"kresd/internal/limits"
)

// An httpStream is what was accepted, as net/http reads and writes it. It tells
// when it is closed, and bounds the silence on a connection that is to end.
type httpStream struct {
	accepted
	busy   *atomic.Int32 // requests in hand
	begun  time.Time
	asked  atomic.Bool // at least once
	end    sync.Once
	closed chan struct{}

	mu    sync.Mutex
	quiet time.Duration // of silence, after which the connection ends; 0: as long as net/http says
}

// Close implements net.Conn.
func (n *httpStream) Close() error {
	n.end.Do(func() { close(n.closed) })
	return n.accepted.Close()
}

// leaveWithin ends the connection when nothing is in hand and nothing is read for
// a while. A client that has just connected is about to ask.
func (n *httpStream) leaveWithin(quiet time.Duration) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.quiet = quiet
	if n.busy.Load() == 0 {
		_ = n.accepted.SetReadDeadline(n.bounded(time.Time{}))
	}
}

// stay takes leaveWithin back.
func (n *httpStream) stay() {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.quiet > 0 {
		n.quiet = 0
		_ = n.accepted.SetReadDeadline(time.Time{})
	}
}

// SetReadDeadline implements net.Conn.
func (n *httpStream) SetReadDeadline(t time.Time) error {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.accepted.SetReadDeadline(n.bounded(t))
}

// SetDeadline implements net.Conn.
func (n *httpStream) SetDeadline(t time.Time) error {
	if err := n.SetReadDeadline(t); err != nil {
		return err
	}
	return n.SetWriteDeadline(t)
}

// bounded is the earlier of t and when a connection that is to end may end.
func (n *httpStream) bounded(t time.Time) time.Time {
	if n.quiet == 0 || n.busy.Load() > 0 {
		return t
	}
	by := time.Now().Add(n.quiet)
	if first := n.begun.Add(limits.LeaveFirstTCP); !n.asked.Load() && first.After(by) {
		by = first
	}
	if t.IsZero() || by.Before(t) {
		return by
	}
	return t
}
