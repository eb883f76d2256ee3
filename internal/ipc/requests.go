package ipc

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"sync"

	"golang.org/x/sys/unix"

	"kresd/internal/limits"
	"kresd/internal/reload"
)

// requests are what a worker has asked of its supervisor, each under a ticket that the
// answer repeats.
type requests struct {
	mu       sync.Mutex
	ticket   int              // of the latest request
	awaiting map[int]chan int // what gets the number that is the answer, by ticket
}

// errManyRequests says that requests are not answered, so that no further one is made.
var errManyRequests = fmt.Errorf("%d requests have not been answered by the supervisor", limits.RequestsAsked)

// ErrNoSupervisor says that nobody takes a request any more.
var ErrNoSupervisor = errors.New("the supervisor is gone")

// request sends a message under a ticket and returns the number that is the answer.
func (l *Link) request(ctx context.Context, m Message) (number int, err error) {
	answer, ticket := l.requests.await()
	if answer == nil {
		return 0, errManyRequests
	}
	defer l.requests.giveUp(ticket)
	if m.Ticket = ticket; !l.send(m) {
		return 0, ErrNoSupervisor
	}
	select {
	case number = <-answer:
		return number, nil
	case <-l.closed:
		return 0, ErrNoSupervisor
	case <-ctx.Done():
		return 0, ctx.Err()
	}
}

// await makes a ticket and what gets the number that belongs to it; nil where too many
// are out already.
func (r *requests) await() (answer chan int, ticket int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.awaiting) >= limits.RequestsAsked {
		return nil, 0
	}
	r.ticket++
	answer = make(chan int, 1)
	r.awaiting[r.ticket] = answer
	return answer, r.ticket
}

// giveUp ends the wait for what belongs to a ticket.
func (r *requests) giveUp(ticket int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.awaiting, ticket)
}

// answered hands a number to who asked for it.
func (r *requests) answered(m Message) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if waiting := r.awaiting[m.Ticket]; waiting != nil {
		delete(r.awaiting, m.Ticket)
		waiting <- m.Number
	}
}

// Reload asks for a reload of the group and returns its number.
func (l *Link) Reload(ctx context.Context) (number int, err error) {
	return l.request(ctx, Message{Kind: Reload})
}

// Reloads is how far reloads of the group have come; nil: none was asked for.
func (l *Link) Reloads() *reload.State {
	if l == nil {
		return nil
	}
	return l.state.Load()
}

// Bind has the supervisor bind a socket of this process, which may not do so itself. The
// zone of addr is the number of an interface. An error of bind(2) is a unix.Errno.
func (l *Link) Bind(fd int, addr netip.AddrPort) error {
	ctx, cancel := context.WithTimeout(context.Background(), limits.BindTime)
	defer cancel()
	number, err := l.request(ctx, Message{Kind: Bind, Addr: addr.String(), FDs: Descriptors{fd}})
	if err == nil && number != 0 {
		return unix.Errno(number)
	}
	return err
}
