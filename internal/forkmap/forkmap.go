// Package forkmap is map(): one expression run in every worker of the group.
//
// The ready worker with the lowest id leads. It sends the expression to the
// control socket of each other worker and collects the results, all at once
// and with one limit for each, so that a worker that hangs costs its own entry
// and no more. Any other worker hands its expression to the leader, which runs
// calls one after the other: two calls happen in the same order everywhere.
//
// An expression is never sent twice. A leader that cannot be reached before it
// was told the expression is passed over; one that falls silent afterwards
// makes the outcome unknown, and that is what the caller is told.
//
// Expressions and values travel as framed data. What they mean is Lua's
// business; this package does not know it.
package forkmap

import (
	"context"
	"errors"
	"slices"
	"sync"
	"time"

	"kresd/internal/ipc"
	"kresd/internal/limits"
	"kresd/internal/luavalue"
	"kresd/internal/rundir"
	"kresd/internal/safe"
)

// ErrUnknown says that the leader fell silent after it had been given the
// expression: it may have run in some workers, in all, or in none.
var ErrUnknown = errors.New("map(): the leading worker ended or fell silent in the middle; the result is unknown")

// evalTime is how long one worker may take. It is a little less than what the
// evaluator allows, so that a worker that hangs always shows as no answer and
// not, now and then, as one that was interrupted.
const evalTime = limits.MapPerWorker - 100*time.Millisecond

// Options of a Relay. Eval is needed.
type Options struct {
	ID, Count int // of this worker
	// Eval runs the expression in this worker.
	Eval func(ctx context.Context, expr string) Result
	// Tasks starts the goroutines; nil is fine.
	Tasks *safe.Group
	// SocketPath is where a worker's control socket is; nil means
	// rundir.SocketPath of its PID.
	SocketPath func(ipc.Member) string
}

// A Relay is one worker's part in map().
type Relay struct {
	Options
	turn chan struct{} // holds one token while no call runs here

	mu     sync.Mutex
	roster []ipc.Member
}

// New makes a worker's relay. Until SetRoster it knows no other worker.
func New(o Options) *Relay {
	if o.SocketPath == nil {
		o.SocketPath = func(m ipc.Member) string { return rundir.SocketPath(m.PID) }
	}
	if o.Count < 1 {
		o.Count = 1
	}
	r := &Relay{Options: o, turn: make(chan struct{}, 1)}
	r.turn <- struct{}{}
	return r
}

// SetRoster tells who is ready.
func (r *Relay) SetRoster(members []ipc.Member) {
	members = slices.Clone(members)
	slices.SortFunc(members, func(a, b ipc.Member) int { return a.ID - b.ID })
	r.mu.Lock()
	r.roster = members
	r.mu.Unlock()
}

func (r *Relay) members() []ipc.Member {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.roster
}

// Map runs expr in every worker and returns the table of results. It waits for
// earlier calls, then for at most limits.MapPerWorker and the time to connect.
func (r *Relay) Map(ctx context.Context, expr string) (*luavalue.Table, error) {
	results, err := r.call(ctx, expr)
	if err != nil {
		return nil, err
	}
	return table(results), nil
}

func (r *Relay) call(ctx context.Context, expr string) ([]Result, error) {
	for _, m := range r.members() {
		if m.ID == r.ID {
			break // everybody before us is out of reach: we lead
		}
		conn, err := r.knock(ctx, m)
		if err == nil {
			return r.handOver(ctx, conn, expr)
		}
	}
	return r.lead(ctx, expr)
}

// lead runs one call after those before it. Once it has begun it goes on
// without its caller: the others already run the expression.
func (r *Relay) lead(ctx context.Context, expr string) ([]Result, error) {
	select {
	case <-r.turn:
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
	defer func() { r.turn <- struct{}{} }()
	return r.collect(context.WithoutCancel(ctx), expr), nil
}

// collect asks every worker at once. A worker that is not in the roster has no
// answer.
func (r *Relay) collect(ctx context.Context, expr string) []Result {
	results := make([]Result, r.Count)
	pid := map[int]int{}
	for _, m := range r.members() {
		pid[m.ID] = m.PID
	}
	var all sync.WaitGroup
	for id := range results {
		results[id].Kind = NoAnswer
		ask := func() Result { return r.ask(ctx, ipc.Member{ID: id, PID: pid[id]}, expr) }
		switch {
		case id == r.ID:
			ask = func() Result { return r.own(ctx, expr) }
		case pid[id] == 0:
			continue
		}
		all.Add(1)
		r.Tasks.Go("map worker", func() {
			defer all.Done()
			results[id] = ask()
		})
	}
	all.Wait()
	return results
}

// own evaluates in this worker, and waits for evalTime at most. An evaluation that still
// runs then ends by the evaluator's own limit.
func (r *Relay) own(ctx context.Context, expr string) Result {
	ctx, cancel := context.WithTimeout(ctx, limits.MapPerWorker)
	got := make(chan Result, 1)
	r.Tasks.Go("map own", func() {
		defer cancel()
		res := ErrorOf(errInternal.Error()) // unless Eval returns
		defer func() { got <- res }()
		res = r.Eval(ctx, expr)
	})
	limit := time.NewTimer(evalTime)
	defer limit.Stop()
	select {
	case res := <-got:
		return res
	case <-limit.C:
		return Result{Kind: NoAnswer}
	}
}
