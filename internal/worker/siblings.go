package worker

import (
	"context"
	"sync"

	"kresd/internal/forkmap"
	"kresd/internal/ipc"
	"kresd/internal/luavalue"
	"kresd/internal/script"
)

// siblings is what this worker knows of its group.
type siblings struct {
	id, count int
	mu        sync.Mutex
	roster    []ipc.Member
	relay     *forkmap.Relay
}

func newSiblings(l *ipc.Link) *siblings { return &siblings{id: l.ID(), count: l.Count()} }

// serve makes the relay of map() over this worker's machine.
func (s *siblings) serve(w *Worker) {
	s.relay = forkmap.New(forkmap.Options{ID: s.id, Count: s.count, Tasks: w.group, Eval: func(ctx context.Context, expr string) forkmap.Result {
		switch r := w.vm.MapEval(ctx, expr); r.Kind {
		case script.ResultError:
			return forkmap.ErrorOf(r.Text)
		case script.ResultNothing:
			return forkmap.Result{Kind: forkmap.Nothing}
		default:
			return forkmap.ValueOf(r.Value)
		}
	}})
}

// update takes a new roster.
func (s *siblings) update(members []ipc.Member) {
	s.mu.Lock()
	s.roster = members
	s.mu.Unlock()
	s.relay.SetRoster(members)
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
type mapper struct{ w *Worker }

// Map implements bindings.Mapper.
func (m mapper) Map(ctx context.Context, expr string) (*luavalue.Table, error) {
	return m.w.siblings.relay.Map(ctx, expr)
}
