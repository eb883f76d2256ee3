package ipc

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"

	"kresd/internal/limits"
	"kresd/internal/reload"
)

// reloads are a worker's part in the reloads of its group.
type reloads struct {
	state atomic.Pointer[reload.State]

	mu       sync.Mutex
	ticket   int              // of the latest request
	awaiting map[int]chan int // what gets the number of a reload, by the ticket of the request
}

// errManyReloads says that requests are not answered, so that no further one is made.
var errManyReloads = fmt.Errorf("%d requests for a reload have not been answered by the supervisor", limits.ReloadsAsked)

// ErrNoSupervisor says that nobody takes a request any more.
var ErrNoSupervisor = errors.New("the supervisor is gone")

// Reload asks for a reload of the group and returns its number.
func (l *Link) Reload(ctx context.Context) (number int, err error) {
	accepted, ticket := l.reloads.await()
	if accepted == nil {
		return 0, errManyReloads
	}
	defer l.reloads.giveUp(ticket)
	if !l.send(Message{Kind: Reload, Ticket: ticket}) {
		return 0, ErrNoSupervisor
	}
	select {
	case number = <-accepted:
		return number, nil
	case <-l.closed:
		return 0, ErrNoSupervisor
	case <-ctx.Done():
		return 0, ctx.Err()
	}
}

// await makes a ticket and what gets the number that belongs to it; nil where too many
// are out already.
func (r *reloads) await() (accepted chan int, ticket int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.awaiting) >= limits.ReloadsAsked {
		return nil, 0
	}
	r.ticket++
	accepted = make(chan int, 1)
	r.awaiting[r.ticket] = accepted
	return accepted, r.ticket
}

// giveUp ends the wait for what belongs to a ticket.
func (r *reloads) giveUp(ticket int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.awaiting, ticket)
}

// accept hands the number of a reload to who asked for it.
func (l *Link) accept(m Message) {
	l.reloads.mu.Lock()
	defer l.reloads.mu.Unlock()
	if waiting := l.reloads.awaiting[m.Ticket]; waiting != nil {
		delete(l.reloads.awaiting, m.Ticket)
		waiting <- m.Number
	}
}

// Reloads is how far reloads of the group have come; nil: none was asked for.
func (l *Link) Reloads() *reload.State {
	if l == nil {
		return nil
	}
	return l.reloads.state.Load()
}
