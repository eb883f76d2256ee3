package upstream

import (
	"context"
	"errors"
	"sync"

	"kresd/internal/limits"
	"kresd/internal/resolve"
)

// joint holds the exchanges in flight. Equal ones share one: many equal
// questions at once would multiply the chances of guessing an answer (the
// birthday attacks of HARDENING A8), besides costing the server.
type joint struct {
	mu      sync.Mutex
	flights map[flightKey]*flight
	leaders sync.WaitGroup
	closed  bool
}

// flightKey is all that makes two exchanges equal. The server's peer is a part of
// it: an answer that came in plain DNS is never that to a question which demands TLS.
type flightKey struct {
	resolve.Server
	resolve.Question
	cd, rd bool
}

func keyOf(x *resolve.Exchange) flightKey {
	return flightKey{Server: x.Server, Question: x.Question, cd: x.CD, rd: x.RD}
}

// flight is one exchange that is under way. reply, err and abandoned are
// written before done is closed.
type flight struct {
	done  chan struct{} // made by the first who follows, as hardly anybody does
	reply resolve.Reply
	err   error
	// abandoned: the leader ended for a reason of its own; whoever waits asks
	// again.
	abandoned bool
}

func newJoint() *joint {
	return &joint{flights: map[flightKey]*flight{}}
}

// enter finds the flight of k or starts one, which the caller then leads and
// must leave.
func (j *joint) enter(k flightKey) (f *flight, leader bool, err error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.closed {
		return nil, false, ErrClosed
	}
	if f := j.flights[k]; f != nil {
		if f.done == nil {
			f.done = make(chan struct{})
		}
		return f, false, nil
	}
	f = &flight{abandoned: true}
	j.flights[k] = f
	j.leaders.Add(1)
	return f, true, nil
}

// leave ends a flight and lets its followers go.
func (j *joint) leave(k flightKey, f *flight) {
	j.mu.Lock()
	delete(j.flights, k)
	j.mu.Unlock() // from here on nobody joins
	if f.done != nil {
		close(f.done)
	}
	j.leaders.Done()
}

// close refuses new flights.
func (j *joint) close() {
	j.mu.Lock()
	j.closed = true
	j.mu.Unlock()
}

// join leads or follows the flight of x. A leader that is cancelled, or whose
// request has no budget left, says nothing about the server: its followers
// start again, and the first of them leads.
func (e *Exchanger) join(ctx context.Context, x *resolve.Exchange) (resolve.Reply, error) {
	k := keyOf(x)
	for {
		f, leader, err := e.joint.enter(k)
		if err != nil {
			return resolve.Reply{}, err
		}
		if leader {
			return e.lead(ctx, x, k, f)
		}
		e.stats.joined.Add(1)
		if x.Tell != nil {
			x.Tell(resolve.ExchangeJoined{})
		}
		select {
		case <-f.done:
		case <-ctx.Done():
			return resolve.Reply{}, ctx.Err()
		}
		switch {
		case f.abandoned:
		case errors.Is(f.err, resolve.ErrOverdue): // the leader waits on, for itself
			return f.reply, resolve.ErrTimeout
		default:
			return f.reply, f.err
		}
	}
}

// lead runs the exchange for all who joined. A panic leaves it abandoned.
func (e *Exchanger) lead(ctx context.Context, x *resolve.Exchange, k flightKey, f *flight) (resolve.Reply, error) {
	defer e.joint.leave(k, f)
	if err := e.place(ctx, x); err != nil {
		return resolve.Reply{}, err // who joined asks for a place itself
	}
	defer e.servers.Leave(k.Endpoint)
	reply, err := e.run(ctx, x)
	f.reply, f.err = reply, err
	f.abandoned = err != nil && (ctx.Err() != nil || errors.Is(err, resolve.ErrBudget))
	return reply, err
}

// place takes a place among those who wait for the server.
func (e *Exchanger) place(ctx context.Context, x *resolve.Exchange) error {
	queue := 0
	if x.Queue {
		queue = limits.QueuedPerServer
	}
	waited, ok := e.servers.Enter(ctx, x.Endpoint, maxWaiting(x), queue)
	switch {
	case ok:
		return nil
	case waited:
		return ctx.Err()
	}
	e.counters.Hit(limits.OutstandingServer)
	return resolve.ErrBusy
}

// maxWaiting is how many questions may wait for one server.
func maxWaiting(x *resolve.Exchange) int {
	if x.Infrastructure {
		return limits.MaxOutstandingPerServer * limits.OutstandingInfrastructure
	}
	return limits.MaxOutstandingPerServer
}
