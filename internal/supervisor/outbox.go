package supervisor

import (
	"errors"
	"sync"

	"golang.org/x/sys/unix"

	"kresd/internal/ipc"
)

// An outbox holds what a worker is still to be told: the newest roster, whether
// to drain, whether to hand its sockets over, and the newest of each sibling's
// sockets. A worker that does not read (stopped by a debugger) can so never
// hold the loop up, and nothing piles up for it.
type outbox struct {
	mu       sync.Mutex
	roster   []ipc.Member
	draining bool
	giving   bool
	guards   map[int]ipc.Message // by the process that the sockets belong to
	closed   bool
	wake     chan struct{}
}

func newOutbox() *outbox {
	return &outbox{wake: make(chan struct{}, 1), guards: map[int]ipc.Message{}}
}

func (o *outbox) setRoster(members []ipc.Member) {
	o.change(func() { o.roster = members })
}

func (o *outbox) drain() { o.change(func() { o.draining = true }) }

func (o *outbox) give() { o.change(func() { o.giving = true }) }

// guard passes sockets of process pid on, or, without any, has them dropped. The
// descriptors are the outbox's from here on.
func (o *outbox) guard(pid int, fds ipc.Descriptors) {
	o.change(func() {
		if o.closed {
			fds.Close()
			return
		}
		o.guards[pid].FDs.Close()
		o.guards[pid] = ipc.Message{Kind: ipc.Guard, PID: pid, FDs: fds}
	})
}

// close ends it: nothing is sent any more.
func (o *outbox) close() {
	o.change(func() {
		o.closed = true
		for _, m := range o.guards {
			m.FDs.Close()
		}
		clear(o.guards)
	})
}

func (o *outbox) change(do func()) {
	o.mu.Lock()
	do()
	o.mu.Unlock()
	select {
	case o.wake <- struct{}{}:
	default:
	}
}

// carry sends until the outbox is closed or the worker does not take any more.
func (o *outbox) carry(conn *ipc.Conn) {
	for range o.wake {
		messages, closed := o.take()
		failed := false
		for _, m := range messages {
			failed = failed || !sent(conn, m)
			m.FDs.Close()
		}
		if failed {
			// A frame may be half sent, so this is over. The worker takes
			// the closed end for our death, drains, and is started again.
			o.close()
			conn.Close()
			return
		}
		if closed {
			return
		}
	}
}

// sent sends m. Where the system refuses to carry more sockets, their worker does
// without a guardian.
func sent(conn *ipc.Conn, m ipc.Message) bool {
	err := conn.Send(m)
	if errors.Is(err, unix.ETOOMANYREFS) {
		m.FDs = nil
		err = conn.Send(m)
	}
	return err == nil
}

func (o *outbox) take() (messages []ipc.Message, closed bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.roster != nil {
		messages = append(messages, ipc.Message{Kind: ipc.Roster, Members: o.roster})
		o.roster = nil
	}
	if o.draining {
		messages = append(messages, ipc.Message{Kind: ipc.Drain})
		o.draining = false
	}
	if o.giving {
		messages = append(messages, ipc.Message{Kind: ipc.Give})
		o.giving = false
	}
	for _, m := range o.guards {
		messages = append(messages, m)
	}
	clear(o.guards)
	return messages, o.closed
}
