package worker

import (
	"context"
	"fmt"
	"net/netip"

	"kresd/internal/explain"
	"kresd/internal/logging"
	"kresd/internal/resolve"
	"kresd/internal/transport"
	"kresd/internal/wire"
)

// follow has what a request does written to the log, when that is wanted. done
// is to be called when the request has its result.
func (r *requests) follow(req *resolve.Request) (done func()) {
	if !r.log.Follows() {
		return func() {}
	}
	s := explain.NewStory(r.clock.Mono)
	s.Log = r.storyLog(req)
	s.Begin(req)
	return func() { s.End(req) }
}

// storyLog writes the steps of a request to the log, in the columns that readers of
// kresd know: request and query, component, what happened; how far that is indented
// shows what it belongs to.
func (r *requests) storyLog(req *resolve.Request) func(*resolve.Query, string, int, string) {
	return func(q *resolve.Query, component string, level int, text string) {
		id := uint32(0)
		if q != nil {
			id = q.ID
		}
		if log := r.log.Group(component); log.DebugOn() {
			log.Step(fmt.Sprintf("%05d.%02d", req.ID, id), level, text,
				logging.FieldName, req.Name.String(), logging.FieldType, wire.TypeText(req.Type))
		}
	}
}

// resolver resolves what scripts ask.
type resolver struct {
	*requests
	ctx context.Context // ends with the worker
}

// Resolve resolves a request of a script, which must not be used elsewhere
// meanwhile.
func (r resolver) Resolve(req *resolve.Request) {
	r.enter(req)
	r.resolve(r.ctx, req)
}

// Trace resolves a question as that of a client on this machine that came by TCP,
// and tells how, as a tree with a line for each step. Nobody shares its resolution,
// so that all of it is there to be told.
func (r resolver) Trace(ctx context.Context, q resolve.Question) string {
	req := &resolve.Request{
		Question: q, Client: netip.AddrPortFrom(netip.AddrFrom4([4]byte{127, 0, 0, 1}), 0), Transport: transport.Transport{Kind: transport.TCP},
		RD: true, Alone: true,
	}
	r.enter(req)
	s := explain.NewStory(r.clock.Mono)
	s.Keep = true
	if r.log.Follows() {
		s.Log = r.storyLog(req)
	}
	s.Begin(req)
	r.driver.Resolve(ctx, req)
	return s.End(req)
}
