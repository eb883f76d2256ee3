package listen

import (
	"errors"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"kresd/internal/limits"
)

// An httpStream is what was accepted, as those that speak HTTP read and write it. It tells
// when it is closed, and bounds the silence on a connection that is to end.
type httpStream struct {
	accepted
	busy     *atomic.Int32 // requests in hand
	begun    time.Time
	requests atomic.Int64 // so far
	octets   atomic.Int64 // that were read, but for those of bodies
	flooded  func()       // is told that the connection ends as a flood; it counts that once
	end      sync.Once
	closed   chan struct{}

	mu    sync.Mutex
	quiet time.Duration // of silence, after which the connection ends; 0: as long as its reader says
}

// Read implements net.Conn. A connection that sends much more than its requests
// are, such as SETTINGS and PINGs without end or bodies that nobody wants, ends.
func (n *httpStream) Read(b []byte) (int, error) {
	read, err := n.accepted.Read(b)
	if n.octets.Add(int64(read)) > limits.HTTPUnasked+n.requests.Load()*limits.HTTPPerRequest {
		n.flooded()
		n.Close()
		return 0, net.ErrClosed
	}
	return read, err
}

// Close implements net.Conn.
func (n *httpStream) Close() error {
	n.end.Do(func() { close(n.closed) })
	return n.accepted.Close()
}

// isClosed tells whether it was closed here.
func (n *httpStream) isClosed() bool {
	select {
	case <-n.closed:
		return true
	default:
		return false
	}
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

// SetReadDeadline implements net.Conn.
func (n *httpStream) SetReadDeadline(t time.Time) error {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.accepted.SetReadDeadline(n.bounded(t))
}

// SetDeadline implements net.Conn.
func (n *httpStream) SetDeadline(t time.Time) error {
	return errors.Join(n.SetReadDeadline(t), n.SetWriteDeadline(t))
}

// bounded is the earlier of t and when a connection that is to end may end.
func (n *httpStream) bounded(t time.Time) time.Time {
	if n.quiet == 0 || n.busy.Load() > 0 {
		return t
	}
	by := time.Now().Add(n.quiet)
	if first := n.begun.Add(limits.LeaveFirstTCP); n.requests.Load() == 0 && first.After(by) {
		by = first
	}
	if t.IsZero() || by.Before(t) {
		return by
	}
	return t
}
