package worker

import (
	"context"
	"sync"
	"time"

	"kresd/internal/forkmap"
	"kresd/internal/ipc"
	"kresd/internal/limits"
	"kresd/internal/luavalue"
	"kresd/internal/safe"
	"kresd/internal/script/command"
)

// siblings is what this worker knows of its group.
type siblings struct {
	id, count int
	mu        sync.Mutex
	roster    []ipc.Member
	complete  chan struct{} // closed when all were there for the first time
	relay     *forkmap.Relay
}

func newSiblings(l *ipc.Link) *siblings {
	s := &siblings{id: l.ID(), count: l.Count(), complete: make(chan struct{})}
	if s.count == 1 {
		close(s.complete)
	}
	return s
}

// serve makes the relay of map(), which evaluates expressions on this worker's
// machine.
func (s *siblings) serve(group *safe.Group, vm *command.Interpreter) {
	s.relay = forkmap.New(forkmap.Options{ID: s.id, Count: s.count, Tasks: group, Eval: func(ctx context.Context, expr string) forkmap.Result {
		switch r := vm.MapEval(ctx, expr); r.Kind {
		case command.ResultError:
			return forkmap.ErrorOf(r.Text)
		case command.ResultNothing:
			return forkmap.Result{Kind: forkmap.Nothing}
		default:
			return forkmap.ValueOf(r.Value)
		}
	}})
}

// update takes a new roster.
func (s *siblings) update(members []ipc.Member) {
	s.relay.SetRoster(members)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.roster = members
	select {
	case <-s.complete:
	default:
		if len(members) == s.count {
			close(s.complete)
		}
	}
}

// leads tells whether no living worker has a lower id.
func (s *siblings) leads() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, m := range s.roster {
		if m.ID < s.id {
			return false
		}
	}
	return true
}

// mapper is map() for scripts.
type mapper struct{ siblings *siblings }

// Map implements bindings.Mapper.
func (m mapper) Map(ctx context.Context, expr string) (*luavalue.Table, error) {
	select {
	case <-m.siblings.complete:
	case <-time.After(limits.MapAssembly):
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	return m.siblings.relay.Map(ctx, expr)
}
