package doq

import (
	"errors"
	"net"
	"os"
	"sync"
	"time"

	"golang.org/x/net/ipv4"

	"kresd/internal/limits"
)

// A junction is a UDP socket and the relays of this process that have it in common: one for
// each set of keys under which clients came. At most one of them reads from the socket, the
// latest; it gives the others what has their tags, and takes the rest.
type junction struct {
	conn   *net.UDPConn
	mu     sync.Mutex
	relays map[tag]*relay
	reader *relay // nil, or closed: nobody reads, here or for a while
}

func newJunction(conn *net.UDPConn) *junction {
	return &junction{conn: conn, relays: map[tag]*relay{}}
}

// join adds a relay, which reads when appoint says so.
func (j *junction) join(r *relay) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.relays[r.tag] = r
}

// leave takes a relay away, which has joined. The last one closes the socket.
func (j *junction) leave(r *relay) {
	j.mu.Lock()
	defer j.mu.Unlock()
	delete(j.relays, r.tag)
	if len(j.relays) == 0 {
		_ = j.conn.Close()
	}
}

// of is the relay of this process that has a tag.
func (j *junction) of(t tag) *relay {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.relays[t]
}

// reads tells whether a relay is to read from the socket.
func (j *junction) reads(r *relay) bool {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.reader == r
}

// appoint has a relay read from the socket, or nobody. When it returns the former one does
// so no more.
func (j *junction) appoint(r *relay) {
	j.mu.Lock()
	former := j.reader
	j.reader = nil
	j.mu.Unlock()
	if former != nil {
		former.step()
	}
	j.mu.Lock()
	j.reader = r
	j.mu.Unlock()
	if r != nil {
		r.rouse()
	}
}

// step waits until a relay that is not to read any more has noticed it, or is closed; no
// error of the socket ends its reading before. Nobody else sets the socket's deadline
// meanwhile, which is taken back by whoever it wakes.
func (r *relay) step() {
	_ = r.UDPConn.SetReadDeadline(time.Now())
	select {
	case <-r.aside:
	case <-r.over:
	}
}

// rouse has who reads by a relay look up.
func (r *relay) rouse() {
	if r.j.reads(r) {
		_ = r.UDPConn.SetReadDeadline(time.Now())
	}
	select {
	case r.turn <- struct{}{}:
	default:
	}
}

// ReadBatch gives packets that are for this relay, at least one. An error of the socket
// passes, such as what the kernel was told of another packet: the library would take most
// for the end of all connections.
func (r *relay) ReadBatch(ms []ipv4.Message, flags int) (int, error) {
	for {
		if n := r.takeIn(ms); n > 0 {
			return n, nil
		}
		if r.ended.Load() {
			return 0, os.ErrDeadlineExceeded
		}
		if !r.j.reads(r) {
			if n := r.await(ms); n > 0 {
				return n, nil
			}
			continue
		}
		n, err := r.batch.ReadBatch(ms, flags)
		switch {
		case errors.Is(err, os.ErrDeadlineExceeded):
			_ = r.UDPConn.SetReadDeadline(time.Time{})
			continue // whatever came before the deadline was taken back is seen now
		case err != nil && final(err):
			return 0, err
		case err != nil:
			continue
		}
		if n = r.passOn(ms[:n]); n > 0 {
			return n, nil
		}
	}
}

// final tells whether an error of reading is that the socket was closed. After another it
// waits a little, lest one that lasts keep a processor busy.
func final(err error) bool {
	if errors.Is(err, net.ErrClosed) {
		return true
	}
	time.Sleep(limits.AcceptBackoffMin)
	return false
}

// await waits for packets that others give this relay, or until there is something else to
// do.
func (r *relay) await(ms []ipv4.Message) int {
	select {
	case r.aside <- struct{}{}: // who waits for that learns it
		return 0
	case p := <-r.came:
		p.putInto(&ms[0])
		return 1 + r.takeIn(ms[1:])
	case <-r.turn:
		return 0
	}
}

// SetReadDeadline ends reading: its only user does it for that.
func (r *relay) SetReadDeadline(t time.Time) error {
	r.ended.Store(!t.IsZero())
	r.rouse()
	return nil
}
