package supervisor

import (
	"sync"

	"kresd/internal/ipc"
)

// An outbox holds what a worker is still to be told: the newest roster, and
// whether to drain. A worker that does not read (stopped by a debugger) can
// so never hold the loop up, and nothing piles up for it.
type outbox struct {
	mu       sync.Mutex
	roster   []ipc.Member
	draining bool
	closed   bool
	wake     chan struct{}
}

func newOutbox() *outbox { return &outbox{wake: make(chan struct{}, 1)} }

func (o *outbox) setRoster(members []ipc.Member) {
	o.change(func() { o.roster = members })
}

func (o *outbox) drain() { o.change(func() { o.draining = true }) }

func (o *outbox) close() { o.change(func() { o.closed = true }) }

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
		for _, m := range messages {
			if conn.Send(m) != nil {
				// A frame may be half sent, so this is over. The worker takes
				// the closed end for our death, drains, and is started again.
				conn.Close()
				return
			}
		}
		if closed {
			return
		}
	}
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
	return messages, o.closed
}
