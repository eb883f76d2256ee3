package supervisor

import (
	"errors"
	"sync"

	"golang.org/x/sys/unix"

	"kresd/internal/ipc"
	"kresd/internal/limits"
	"kresd/internal/reload"
)

// orders are what a worker is still to be told: the newest roster, whether to
// drain, whether to hand copies of its sockets over, the state of reloads, answers,
// and of each owner the newest copies that it is to keep. A worker that does not read (stopped by a debugger)
// can so never hold the loop up, and nothing piles up for it.
type orders struct {
	mu       sync.Mutex
	roster   []ipc.Member
	draining bool
	giving   bool
	state    *reload.State
	answers  []ipc.Message
	keeping  map[int]ipc.Message // by the process of the owner
	closed   bool
	wake     chan struct{}
}

func newOrders() *orders {
	return &orders{wake: make(chan struct{}, 1), keeping: map[int]ipc.Message{}}
}

func (o *orders) setRoster(members []ipc.Member) {
	o.change(func() { o.roster = members })
}

func (o *orders) drain() { o.change(func() { o.draining = true }) }

func (o *orders) give() { o.change(func() { o.giving = true }) }

// setReloads tells how far reloads have come.
func (o *orders) setReloads(s *reload.State) { o.change(func() { o.state = s }) }

// answer answers the request with that ticket by a number. A worker that
// asks on and reads nothing has the oldest answers forgotten: it asks no more than
// limits.RequestsAsked at a time, if it is one of ours.
func (o *orders) answer(kind ipc.Kind, ticket, number int) {
	o.change(func() {
		if len(o.answers) >= limits.RequestsAsked {
			o.answers = o.answers[1:]
		}
		o.answers = append(o.answers, ipc.Message{Kind: kind, Ticket: ticket, Number: number})
	})
}

// keep makes the worker the custodian of copies of process owner's sockets, or,
// without any, ends that custody. The descriptors belong to the orders from here
// on.
func (o *orders) keep(owner int, fds ipc.Descriptors) {
	o.change(func() {
		if o.closed {
			fds.Close()
			return
		}
		o.keeping[owner].FDs.Close()
		o.keeping[owner] = ipc.Message{Kind: ipc.Keep, PID: owner, FDs: fds}
	})
}

// end ends them when what they hold has been sent.
func (o *orders) end() { o.change(func() { o.closed = true }) }

// close ends them: nothing is sent any more.
func (o *orders) close() {
	o.change(func() {
		o.closed = true
		for _, m := range o.keeping {
			m.FDs.Close()
		}
		clear(o.keeping)
	})
}

func (o *orders) change(do func()) {
	o.mu.Lock()
	do()
	o.mu.Unlock()
	select {
	case o.wake <- struct{}{}:
	default:
	}
}

// carry sends until the orders are closed or the worker does not take any more.
func (o *orders) carry(conn *ipc.Conn) {
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

// sent sends m. Where the system refuses to carry more sockets, their owner does
// without a custodian.
func sent(conn *ipc.Conn, m ipc.Message) bool {
	err := conn.Send(m)
	if errors.Is(err, unix.ETOOMANYREFS) {
		m.FDs = nil
		err = conn.Send(m)
	}
	return err == nil
}

// take empties the orders.
func (o *orders) take() (messages []ipc.Message, closed bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.roster != nil {
		messages = append(messages, ipc.Message{Kind: ipc.Roster, Members: o.roster})
		o.roster = nil
	}
	if o.state != nil {
		messages = append(messages, ipc.Message{Kind: ipc.Reloads, State: o.state})
		o.state = nil
	}
	messages = append(messages, o.answers...)
	o.answers = nil
	if o.draining {
		messages = append(messages, ipc.Message{Kind: ipc.Drain})
		o.draining = false
	}
	if o.giving {
		messages = append(messages, ipc.Message{Kind: ipc.Give})
		o.giving = false
	}
	for _, m := range o.keeping {
		messages = append(messages, m)
	}
	clear(o.keeping)
	return messages, o.closed
}
