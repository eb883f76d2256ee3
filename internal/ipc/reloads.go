package ipc

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"

	"kresd/internal/reload"
)

// reloads are a worker's part in the reloads of its group.
type reloads struct {
	state atomic.Pointer[reload.State]

	mu       sync.Mutex
	ticket   int              // of the latest request
	awaiting map[int]chan int // what gets the number of a reload, by the ticket of the request
}

// ErrNoSupervisor says that nobody takes a request any more.
var ErrNoSupervisor = errors.New("the supervisor is gone")

// Reload asks for a reload of the group and returns its number.
func (l *Link) Reload(ctx context.Context) (number int, err error) {
	accepted := make(chan int, 1)
	l.reloads.mu.Lock()
	l.reloads.ticket++
	ticket := l.reloads.ticket
	l.reloads.awaiting[ticket] = accepted
	l.reloads.mu.Unlock()
	defer func() {
		l.reloads.mu.Lock()
		defer l.reloads.mu.Unlock()
		delete(l.reloads.awaiting, ticket)
	}()
	if !l.send(Message{Kind: Reload, PID: ticket}) {
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

// accept hands the number of a reload to who asked for it.
func (l *Link) accept(m Message) {
	l.reloads.mu.Lock()
	defer l.reloads.mu.Unlock()
	if waiting := l.reloads.awaiting[m.PID]; waiting != nil {
		delete(l.reloads.awaiting, m.PID)
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
